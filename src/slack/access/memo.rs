//! What is remembered of a combination: how often it was used when it was last seen.
//!
//! The stored form is a version (1), the day when it was written, and for each beginning its
//! first use, last use and count: little-endian, 5 and 24 bytes. A version is never changed, only
//! followed by another.

use super::row::Row;
use crate::event::UnixTime;

/// The beginnings that are told apart, the one used last first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Remembered {
    /// The day when it was written, counted from 1970.
    day: u32,
    beginnings: Vec<Beginning>,
}

/// One row of a combination: Slack has begun to count at its first use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Beginning {
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) count: u64,
}

/// What a row says that was not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Change {
    /// How many uses are new.
    pub(super) uses: u64,
    /// What was known of this beginning, or of the latest one where this is another.
    pub(super) previous: Option<Beginning>,
    /// Slack began to count anew.
    pub(super) anew: bool,
}

impl Remembered {
    const VERSION: u8 = 1;
    /// The most beginnings of one combination that are told apart.
    const MOST: usize = 16;

    /// Reads the stored form; one that cannot be read was never there.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (&[version, d0, d1, d2, d3], rest) = bytes.split_first_chunk::<5>()?;
        let (beginnings, rest) = rest.as_chunks::<24>();
        if version != Self::VERSION || beginnings.is_empty() || !rest.is_empty() {
            return None;
        }
        let day = u32::from_le_bytes([d0, d1, d2, d3]);
        let beginnings = beginnings.iter().map(Beginning::from_bytes).collect::<Option<_>>()?;
        Some(Self { day, beginnings })
    }

    /// Writes the stored form.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(5 + 24 * self.beginnings.len());
        bytes.push(Self::VERSION);
        bytes.extend(self.day.to_le_bytes());
        for Beginning { first, last, count } in &self.beginnings {
            bytes.extend(first.to_le_bytes());
            bytes.extend(last.to_le_bytes());
            bytes.extend(count.to_le_bytes());
        }
        bytes
    }

    /// Takes in what a row says; `None` when that was known.
    pub(super) fn learn(&mut self, row: &Row) -> Option<Change> {
        let seconds = |time: Option<UnixTime>| time.map_or(0, UnixTime::seconds);
        let now = Beginning { first: seconds(row.first), last: seconds(row.last), count: row.count };
        let change = match self.beginnings.iter_mut().find(|known| known.first == now.first) {
            Some(known) => known.update(now)?,
            None => self.begin(now)?,
        };
        self.beginnings.sort_by_key(|known| std::cmp::Reverse(known.last));
        self.beginnings.truncate(Self::MOST);
        Some(change)
    }

    fn begin(&mut self, now: Beginning) -> Option<Change> {
        let oldest = self.beginnings.last().filter(|_| self.beginnings.len() >= Self::MOST);
        // One that was left out for its age is not news at every reading.
        if oldest.is_some_and(|oldest| now.last <= oldest.last) {
            return None;
        }
        let previous = self.beginnings.first().copied();
        self.beginnings.push(now);
        Some(Change { uses: now.count, previous, anew: previous.is_some() })
    }

    /// Notes the day on which the combination was met; false when that day is noted already.
    pub(super) fn met(&mut self, at: UnixTime) -> bool {
        let day = u32::try_from(at.seconds() / 86_400).unwrap_or(0);
        let is_later = day > self.day;
        self.day = self.day.max(day);
        is_later
    }
}

impl Beginning {
    fn from_bytes(bytes: &[u8; 24]) -> Option<Self> {
        let ([first, last, count], []) = bytes.as_chunks::<8>() else { return None };
        Some(Self {
            first: i64::from_le_bytes(*first),
            last: i64::from_le_bytes(*last),
            count: u64::from_le_bytes(*count),
        })
    }

    /// Becomes what the row says now, and says what changed with that.
    fn update(&mut self, now: Self) -> Option<Change> {
        let known = *self;
        let later = now.last > known.last;
        let uses = match now.count.checked_sub(known.count) {
            Some(0) if !later => return None,
            Some(more) => more,
            // Fewer than before: counted anew, if it was used since.
            None if later => now.count,
            None if now.last == known.last => 0,
            // A copy that is older than what is known.
            None => return None,
        };
        *self = Self { last: now.last.max(known.last), ..now };
        Some(Change { uses, previous: Some(known), anew: now.count < known.count })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::slack::step::RowKey;

    fn row(first: i64, last: i64, count: u64) -> Row {
        let at = |seconds| Some(UnixTime::from_seconds(seconds));
        Row { key: RowKey([0; 16]), first: at(first), last: at(last), count, raw: Bytes::new() }
    }

    fn uses(known: &mut Remembered, first: i64, last: i64, count: u64) -> Option<u64> {
        known.learn(&row(first, last, count)).map(|change| change.uses)
    }

    #[test]
    fn what_changes_is_told_once() {
        let mut known = Remembered::default();
        assert_eq!(uses(&mut known, 10, 20, 3), Some(3));
        assert_eq!(uses(&mut known, 10, 20, 3), None);
        assert_eq!(uses(&mut known, 10, 25, 5), Some(2));
        assert_eq!(uses(&mut known, 10, 25, 6), Some(1), "within the same second");
        assert_eq!(uses(&mut known, 10, 30, 6), Some(0), "only the time");
        assert_eq!(uses(&mut known, 10, 20, 3), None, "an old copy");
        assert_eq!(uses(&mut known, 10, 30, 6), None);
        let change = known.learn(&row(10, 40, 2)).unwrap();
        assert_eq!((change.uses, change.anew), (2, true), "counted anew");
        assert_eq!(change.previous, Some(Beginning { first: 10, last: 30, count: 6 }));
        assert_eq!(uses(&mut known, 10, 40, 1), Some(0), "fewer, and not used since");
        assert_eq!(uses(&mut known, 10, 40, 1), None);
    }

    #[test]
    fn rows_of_one_combination_are_told_apart_by_their_beginning() {
        let mut known = Remembered::default();
        assert_eq!(uses(&mut known, 10, 20, 3), Some(3));
        let change = known.learn(&row(50, 60, 1)).unwrap();
        assert_eq!((change.uses, change.anew), (1, true));
        for _ in 0..3 {
            assert_eq!(uses(&mut known, 10, 20, 3), None);
            assert_eq!(uses(&mut known, 50, 60, 1), None);
        }
        assert_eq!(uses(&mut known, 10, 70, 4), Some(1));
        for first in 100..200 {
            assert_eq!(uses(&mut known, first, first, 1), Some(1));
        }
        assert_eq!(known.beginnings.len(), Remembered::MOST);
        assert_eq!(uses(&mut known, 100, 100, 1), None, "what was left out is not told again and again");
        assert!(known.to_bytes().len() <= 1024);
    }

    #[test]
    fn version_1_is_read_and_written() {
        let mut known = Remembered::default();
        assert!(known.met(UnixTime::from_seconds(86_400 * 20_000 + 7)));
        assert!(!known.met(UnixTime::from_seconds(86_400 * 20_000 + 8)));
        known.learn(&row(10, 20, 3)).unwrap();
        let stored = b"\x01\x20\x4e\0\0\x0a\0\0\0\0\0\0\0\x14\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0";
        assert_eq!(known.to_bytes(), stored);
        assert_eq!(Remembered::from_bytes(stored), Some(known));
        for damaged in [&b""[..], b"\x01", b"\x01\0\0\0\0", &stored[..28], b"\x02\0\0\0\0"] {
            assert_eq!(Remembered::from_bytes(damaged), None);
        }
    }
}
