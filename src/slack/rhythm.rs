//! When polls are due: always at the same moment of a period, which the first of them sets.
//!
//! So sources that began apart stay apart, also after a stop of the machine that made all of them
//! late at once.

use std::time::Duration;

use tokio::time::Instant;

/// The rhythm of one source.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rhythm {
    every: Duration,
    /// None until the first has begun.
    due: Option<Instant>,
}

impl Rhythm {
    pub(super) fn new(every: Duration) -> Self {
        Self { every: every.max(Duration::from_nanos(1)), due: None }
    }

    /// When the next is due; the first is at any time.
    pub(super) fn next(&self, now: Instant) -> Instant {
        self.due.unwrap_or(now)
    }

    /// Notes that one begins.
    pub(super) fn begin(&mut self, now: Instant) {
        self.due.get_or_insert(now);
    }

    /// Notes that one has ended; says when the next is due.
    pub(super) fn end(&mut self, now: Instant) -> Instant {
        let due = self.next(now);
        let periods = now.saturating_duration_since(due).as_nanos() / self.every.as_nanos() + 1;
        let until = u64::try_from(periods.saturating_mul(self.every.as_nanos())).unwrap_or(u64::MAX);
        let next = due.checked_add(Duration::from_nanos(until)).unwrap_or(due + self.every);
        self.due = Some(next);
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn the_first_sets_the_beat_and_the_others_keep_it() {
        let made = Instant::now();
        let mut rhythm = Rhythm::new(MINUTE);
        let first = made + Duration::from_secs(7);
        assert_eq!(rhythm.next(first), first);
        rhythm.begin(first);
        assert_eq!(rhythm.end(first + Duration::from_secs(2)), first + MINUTE);
        // The timer is late, and so is what comes after a pause of the whole machine.
        rhythm.begin(first + Duration::from_secs(61));
        assert_eq!(rhythm.end(first + Duration::from_secs(62)), first + 2 * MINUTE);
        rhythm.begin(first + Duration::from_secs(3_605));
        assert_eq!(rhythm.end(first + Duration::from_secs(3_606)), first + 61 * MINUTE);
    }

    #[test]
    fn what_ends_on_the_beat_waits_for_the_next() {
        let now = Instant::now();
        let mut rhythm = Rhythm::new(Duration::ZERO);
        rhythm.begin(now);
        assert!(rhythm.end(now) > now);
        let mut rhythm = Rhythm::new(MINUTE);
        rhythm.begin(now);
        assert_eq!(rhythm.end(now + MINUTE), now + 2 * MINUTE);
    }
}
