//! What is remembered of a row: how many alike were told, by which walk, and when one was last met.
//!
//! The stored form is JSON: `{"n":1,"walk":7,"at":1787680154}`.

use serde::{Deserialize, Serialize};

use crate::event::UnixTime;

/// What is remembered of the rows that are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Told {
    /// How many there are.
    pub(super) count: u32,
    /// The number of the walk that found the last of them.
    pub(super) walk: u64,
    /// When one was last met, to the day.
    pub(super) at: UnixTime,
}

/// Rows are met all the time: it is noted once in so many seconds.
const NOTE_EVERY: i64 = 86_400;

impl Told {
    /// Reads the stored form. What cannot be read was never remembered: a row is told twice rather
    /// than never.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let Form { n, walk, at } = serde_json::from_slice(bytes).ok()?;
        Some(Self { count: n, walk, at: UnixTime::from_seconds(at) })
    }

    /// Writes the stored form.
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let Self { count, walk, at } = self;
        // Three numbers under fixed names are always JSON.
        serde_json::to_vec(&Form { n: count, walk, at: at.seconds() }).unwrap_or_default()
    }

    /// The same, met once more; `None` where that need not be noted yet.
    pub(super) fn met(self, now: UnixTime) -> Option<Self> {
        let since = now.seconds().saturating_sub(self.at.seconds());
        (since >= NOTE_EVERY).then_some(Self { at: now, ..self })
    }
}

#[derive(Serialize, Deserialize)]
struct Form {
    n: u32,
    walk: u64,
    at: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_form_is_read_and_written() {
        let stored = br#"{"n":2,"walk":7,"at":1787680154}"#;
        let told = Told::from_bytes(stored).unwrap();
        assert_eq!(told, Told { count: 2, walk: 7, at: UnixTime::from_seconds(1_787_680_154) });
        assert_eq!(told.to_bytes(), stored);
        for damaged in [&b""[..], b"{}", b"\xff", br#"{"n":-1,"walk":7,"at":1}"#] {
            assert_eq!(Told::from_bytes(damaged), None);
        }
    }

    #[test]
    fn a_row_is_noted_once_a_day() {
        let told = Told { count: 1, walk: 1, at: UnixTime::from_seconds(1_000) };
        assert_eq!(told.met(told.at.plus(NOTE_EVERY - 1)), None);
        assert_eq!(told.met(told.at.plus(NOTE_EVERY)).unwrap().at, told.at.plus(NOTE_EVERY));
        assert_eq!(told.met(told.at.plus(-9)), None);
    }
}
