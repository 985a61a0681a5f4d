//! Sources that begin together, begun one after the other.
//!
//! Each polls in a rhythm that its beginning sets, so that a thousand of them, polled every minute,
//! make seventeen requests a second and not a thousand at once.

use std::time::Duration;

/// So much later than one source the next begins, at most: a few are at work within a moment.
const GAP: Duration = Duration::from_millis(50);

/// How long each of them waits, given how often each polls; in their order, the first not at all, and
/// none longer than until its second poll would be due.
pub(super) fn starts(poll_every: impl ExactSizeIterator<Item = Duration>) -> Vec<Duration> {
    let count = u32::try_from(poll_every.len()).unwrap_or(u32::MAX).max(1);
    (0..).zip(poll_every).map(|(nth, every)| (every / count).min(GAP) * nth).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn starts_of(count: usize, every: Duration) -> Vec<Duration> {
        starts(vec![every; count].into_iter())
    }

    #[test]
    fn a_lone_source_begins_at_once_and_few_within_a_moment() {
        assert_eq!(starts_of(1, MINUTE), [Duration::ZERO]);
        assert_eq!(starts_of(3, MINUTE), [0, 50, 100].map(Duration::from_millis));
        assert!(starts_of(0, MINUTE).is_empty());
    }

    #[test]
    fn many_fill_the_time_between_two_polls_evenly() {
        for count in [1_200, 2_000, 10_000] {
            let starts = starts_of(count, MINUTE);
            let gap = starts[1];
            assert!(starts.windows(2).all(|pair| pair[0] + gap == pair[1]), "{count}");
            let last = *starts.last().unwrap();
            assert!(last < MINUTE && last > MINUTE * 9 / 10, "{count}: {last:?}");
        }
    }
}
