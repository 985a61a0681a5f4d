//! How late entries come: counted by how long after it happened each was found, and what follows for
//! the settings of its source.
//!
//! Slack makes no promise on when an entry becomes readable. One is late when its second had been read
//! before without it. When it became readable nobody can tell: only that it was not there when its
//! second was read before, and was when it was found.
//!
//! **Invariant:** nothing is measured here: times in, counts and advice out.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::event::UnixTime;
use crate::slack::Pass;

/// The late entries of a source, by how long after they happened they were found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lateness {
    /// Since when it is counted; a restart goes on with it.
    pub since: UnixTime,
    /// Entries that were read since then while they were young, and late ones.
    pub entries: u64,
    /// How long after it happened the last one to be found was found, in seconds.
    pub longest_seconds: u64,
    /// The late ones. A span in which there was none is left out.
    pub found: Vec<Found>,
}

/// Late entries that were found within some span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// The end of the span, in seconds after they happened; none: later than the last that has one.
    pub within_seconds: Option<u64>,
    /// Found as the last `settle` seconds of a cycle were read again.
    pub by_overlap: u64,
    /// Found as `verify_after` had passed.
    pub by_verification: u64,
}

/// When a source reads its seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rereading {
    pub(super) settle: Duration,
    pub(super) verify_after: Option<Duration>,
}

/// What the settings of a source could be, by what was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Advice {
    /// Many come soon after their seconds were read first.
    RaiseSettle { to: u64, late: u64, of: u64 },
    /// Some come late, and nobody looks for those that come later still.
    Verify { late: u64 },
    /// They come later than any `settle` waits, and are found all the same.
    Covered { late: u64 },
    /// None of very many came late.
    LowerSettle { to: u64, of: u64 },
}

/// The ends of the spans, in seconds.
const SPANS: [u64; 8] = [60, 120, 300, 600, 1_800, 3_600, 10_800, 43_200];
/// What is older when it is read first was never to be had in time.
const YOUNG: i64 = 3_600;
/// Counts of long ago say little of today.
const FORGOTTEN_AFTER: i64 = 30 * 86_400;
/// The longest `settle` that is advised: it holds up every event, and not the late ones alone.
const LONGEST_SETTLE: u64 = 600;
/// The shortest.
const SHORTEST_SETTLE: u64 = 30;
/// One late entry in so many is borne.
const BORNE: u64 = 10_000;
/// So few say nothing yet.
const FEW: u64 = 5;
/// So many without a late one say that there is none.
const MANY: u64 = 100_000;

impl Lateness {
    /// Nothing yet.
    pub(super) fn since(since: UnixTime) -> Self {
        Self { since, entries: 0, longest_seconds: 0, found: Vec::new() }
    }

    /// Counts entries that were found at that moment and are new, the late ones among them by when they
    /// happened; `newest` is the last second that was asked for.
    pub(super) fn add(
        &mut self,
        pass: Pass,
        found_at: UnixTime,
        newest: UnixTime,
        fresh: usize,
        late: &[UnixTime],
    ) {
        if found_at.seconds().saturating_sub(self.since.seconds()) > FORGOTTEN_AFTER {
            *self = Self::since(found_at);
        }
        let is_young = newest.plus(YOUNG) >= found_at;
        let counted = if is_young { fresh } else { late.len() };
        self.entries = self.entries.saturating_add(counted as u64);
        for at in late {
            let seconds = u64::try_from(found_at.seconds().saturating_sub(at.seconds())).unwrap_or(0);
            self.longest_seconds = self.longest_seconds.max(seconds);
            let found = self.span(seconds);
            match pass {
                Pass::Front => found.by_overlap = found.by_overlap.saturating_add(1),
                Pass::Verify => found.by_verification = found.by_verification.saturating_add(1),
            }
        }
    }

    /// The span that so many seconds fall into.
    fn span(&mut self, seconds: u64) -> &mut Found {
        let within_seconds = SPANS.into_iter().find(|end| seconds <= *end);
        let order = |end: Option<u64>| end.unwrap_or(u64::MAX);
        let place = self.found.partition_point(|found| order(found.within_seconds) < order(within_seconds));
        if self.found.get(place).is_none_or(|found| found.within_seconds != within_seconds) {
            self.found.insert(place, Found { within_seconds, by_overlap: 0, by_verification: 0 });
        }
        #[expect(clippy::indexing_slicing, reason = "it stands there, or was put there just now")]
        &mut self.found[place]
    }

    /// All late entries.
    pub fn late(&self) -> u64 {
        self.found.iter().map(Found::count).sum()
    }

    /// Late entries that a `settle` of so many seconds would still have found late.
    fn beyond(&self, settle: u64) -> u64 {
        let within =
            |found: &&Found| found.within_seconds.is_some_and(|end| settle < end && end <= LONGEST_SETTLE);
        self.found.iter().filter(within).map(Found::count).sum()
    }

    /// What to do about it, where there is something to say.
    pub(super) fn advice(&self, rereading: Rereading) -> Option<Advice> {
        let settle = rereading.settle.as_secs();
        let (late, of) = (self.late(), self.entries);
        let too_many = |late: u64| late >= FEW && late.saturating_mul(BORNE) > of;
        if too_many(self.beyond(settle)) {
            let mut longer = SPANS.into_iter().filter(|end| settle < *end && *end <= LONGEST_SETTLE);
            let to = longer.find(|end| !too_many(self.beyond(*end)))?;
            return Some(Advice::RaiseSettle { to, late: self.beyond(settle), of });
        }
        match (rereading.verify_after, late) {
            (None, 1..) => Some(Advice::Verify { late }),
            (Some(_), 1..) => Some(Advice::Covered { late }),
            (Some(_), 0) if of >= MANY && settle > SHORTEST_SETTLE => {
                Some(Advice::LowerSettle { to: (settle / 2).max(SHORTEST_SETTLE), of })
            }
            _ => None,
        }
    }
}

impl Found {
    /// All of them.
    pub fn count(&self) -> u64 {
        self.by_overlap.saturating_add(self.by_verification)
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RaiseSettle { to, late, of } => write!(
                f,
                "raise `settle` to \"{to}s\": {late} of {of} entries came within that time, after their seconds had been read"
            ),
            Self::Verify { .. } => write!(
                f,
                "give `verify_after` a time: entries come late, and what comes later still is looked for by nobody"
            ),
            Self::Covered { .. } => {
                write!(f, "nothing is to be done: what `settle` is too short for, the later readings find")
            }
            Self::LowerSettle { to, of } => {
                write!(
                    f,
                    "`settle` may be \"{to}s\": none of {of} entries came late, and all would arrive sooner"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime::from_seconds(1_790_000_000);
    const MINUTE: Duration = Duration::from_secs(60);
    const USUAL: Rereading = Rereading { settle: MINUTE, verify_after: Some(Duration::from_secs(3_600)) };

    /// So many entries, of which some were found so many seconds after they happened.
    fn measured(entries: usize, pass: Pass, late: &[(usize, i64)]) -> Lateness {
        let mut lateness = Lateness::since(NOW);
        lateness.add(Pass::Front, NOW, NOW, entries, &[]);
        for (count, seconds) in late {
            lateness.add(pass, NOW, NOW.plus(-*seconds), *count, &vec![NOW.plus(-*seconds); *count]);
        }
        lateness
    }

    fn told(lateness: &Lateness, rereading: Rereading) -> String {
        lateness.advice(rereading).map_or_else(String::new, |advice| advice.to_string())
    }

    #[test]
    fn late_entries_are_counted_by_how_late_they_were_found() {
        let mut lateness = measured(1_000, Pass::Front, &[(3, 90), (1, 61), (2, 120), (1, 30)]);
        let two_hours = NOW.plus(-7_200);
        lateness.add(Pass::Verify, NOW, two_hours, 5, &[two_hours; 5]);
        lateness.add(Pass::Verify, NOW, NOW.plus(-100_000), 1, &[NOW.plus(-100_000)]);
        let found = |within_seconds, by_overlap, by_verification| Found {
            within_seconds,
            by_overlap,
            by_verification,
        };
        assert_eq!(
            lateness.found,
            [found(Some(60), 1, 0), found(Some(120), 6, 0), found(Some(10_800), 0, 5), found(None, 0, 1)]
        );
        assert_eq!((lateness.entries, lateness.late(), lateness.longest_seconds), (1_013, 13, 100_000));
        let json = serde_json::to_vec(&lateness).unwrap();
        assert_eq!(serde_json::from_slice::<Lateness>(&json).unwrap(), lateness);
    }

    #[test]
    fn what_is_kept_of_it_is_short_enough_to_be_kept() {
        let mut lateness = Lateness { entries: u64::MAX, longest_seconds: u64::MAX, ..Lateness::since(NOW) };
        for seconds in SPANS.into_iter().chain([u64::MAX]) {
            *lateness.span(seconds) =
                Found { by_overlap: u64::MAX, by_verification: u64::MAX, ..*lateness.span(seconds) };
        }
        let length = serde_json::to_vec(&lateness).unwrap().len();
        assert!(length <= crate::store::Memo::LONGEST, "{length}");
    }

    #[test]
    fn a_backfill_says_nothing_and_a_month_is_forgotten() {
        let mut lateness = Lateness::since(NOW);
        lateness.add(Pass::Front, NOW, NOW.plus(-YOUNG - 1), 5_000, &[]);
        assert_eq!(lateness.entries, 0);
        lateness.add(Pass::Front, NOW, NOW, 7, &[NOW.plus(-90)]);
        let later = NOW.plus(FORGOTTEN_AFTER + 1);
        lateness.add(Pass::Front, later, later, 2, &[]);
        assert_eq!(lateness, Lateness { entries: 2, ..Lateness::since(later) });
    }

    #[test]
    fn a_longer_settle_is_advised_for_what_it_would_cover() {
        let many = measured(100_000, Pass::Front, &[(200, 100), (30, 200), (5, 400)]);
        assert_eq!(
            told(&many, USUAL),
            "raise `settle` to \"300s\": 235 of 100235 entries came within that time, after their seconds had been read"
        );
        // Found soon by a verification is found soon as well.
        let verified = measured(100_000, Pass::Verify, &[(200, 600)]);
        assert!(matches!(verified.advice(USUAL), Some(Advice::RaiseSettle { to: 600, late: 200, .. })));
        // One in ten thousand is borne, and four say nothing.
        for few in [measured(1_000_000, Pass::Front, &[(90, 100)]), measured(100, Pass::Front, &[(4, 100)])] {
            assert!(matches!(few.advice(USUAL), Some(Advice::Covered { .. })), "{few:?}");
        }
        let long = Rereading { settle: 10 * MINUTE, ..USUAL };
        assert!(matches!(many.advice(long), Some(Advice::Covered { .. })));
    }

    #[test]
    fn what_no_settle_covers_is_verified() {
        let hours = measured(1_000, Pass::Verify, &[(200, 4_000)]);
        assert_eq!(
            told(&hours, USUAL),
            "nothing is to be done: what `settle` is too short for, the later readings find"
        );
        let off = Rereading { verify_after: None, ..USUAL };
        assert!(
            told(&measured(1_000, Pass::Front, &[(1, 90)]), off).starts_with("give `verify_after` a time")
        );
    }

    #[test]
    fn a_shorter_settle_is_proposed_only_where_nothing_was_late_for_long() {
        let none = measured(100_000, Pass::Front, &[]);
        assert_eq!(
            told(&none, USUAL),
            "`settle` may be \"30s\": none of 100000 entries came late, and all would arrive sooner"
        );
        assert_eq!(none.advice(Rereading { verify_after: None, ..USUAL }), None);
        assert_eq!(none.advice(Rereading { settle: MINUTE / 2, ..USUAL }), None);
        assert_eq!(measured(99_999, Pass::Front, &[]).advice(USUAL), None);
    }
}
