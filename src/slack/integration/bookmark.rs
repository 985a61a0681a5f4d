//! How far a source has come: the little beside its memos that outlives the process.
//!
//! The stored form is JSON with a version and the log's name; seconds since 1970, by our clock.

use serde::{Deserialize, Serialize};

use super::walk::Walk;
use crate::event::{Log, UnixTime};
use crate::slack::bookmark::{self, BadBookmark};

/// How far a source has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bookmark {
    /// From when on rows are told that are found by a walk that is `quiet`.
    pub(super) start: UnixTime,
    /// What chooses the rows; with another choice, rows come in that are old.
    pub(super) filters: String,
    /// Walks begun so far: the number of the one that is under way, or of the last.
    pub(super) walks: u64,
    /// No full walk has come to its end with these filters: what is unknown need not be new.
    pub(super) quiet: bool,
    /// When the last full walk began that has come to its end.
    pub(super) full_at: Option<UnixTime>,
    /// The same of any walk.
    pub(super) read_at: Option<UnixTime>,
    /// The walk that is under way.
    pub(super) walk: Option<Walk>,
}

impl Bookmark {
    /// Nothing read yet.
    pub(super) fn at(start: UnixTime, filters: String) -> Self {
        Self { start, filters, walks: 0, quiet: true, full_at: None, read_at: None, walk: None }
    }

    /// The same where other rows are chosen now: what happened before is left alone.
    pub(super) fn choosing(self, filters: String) -> Self {
        if filters == self.filters {
            return self;
        }
        let start = self.read_at.map_or(self.start, |read_at| read_at.max(self.start));
        Self { start, filters, quiet: true, walk: None, ..self }
    }

    /// Reads the stored form.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, BadBookmark> {
        let V1 { start, filters, walks, quiet, full_at, read_at, walk, .. } =
            bookmark::read(Log::Integration, bytes)?;
        Ok(Self {
            start: UnixTime::from_seconds(start),
            filters,
            walks,
            quiet,
            full_at: full_at.map(UnixTime::from_seconds),
            read_at: read_at.map(UnixTime::from_seconds),
            walk,
        })
    }

    /// Writes the stored form.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let Self { start, filters, walks, quiet, full_at, read_at, walk } = self.clone();
        let form = V1 {
            v: 1,
            log: Log::Integration.name().to_owned(),
            start: start.seconds(),
            filters,
            walks,
            quiet,
            full_at: full_at.map(UnixTime::seconds),
            read_at: read_at.map(UnixTime::seconds),
            walk,
        };
        // Numbers and texts under fixed names are always JSON.
        serde_json::to_vec(&form).unwrap_or_default()
    }
}

/// The second in which the newest walk began that a source with this stored bookmark has ended.
///
/// # Errors
/// It is no bookmark that this program can read.
pub(in crate::slack) fn read_up_to(bookmark: &[u8]) -> Result<Option<UnixTime>, BadBookmark> {
    Bookmark::from_bytes(bookmark).map(|bookmark| bookmark.read_at)
}

#[derive(Serialize, Deserialize)]
struct V1 {
    v: u64,
    log: String,
    start: i64,
    filters: String,
    walks: u64,
    quiet: bool,
    full_at: Option<i64>,
    read_at: Option<i64>,
    walk: Option<Walk>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORED_V1: &str = r#"{"v":1,"log":"integration","start":1787600000,"filters":"user=U1","walks":9,"quiet":false,"full_at":1787670000,"read_at":1787680000,"walk":{"begun":1787680154,"full":false,"lane":0,"page":7,"back_to":3}}"#;

    fn second(second: i64) -> UnixTime {
        UnixTime::from_seconds(second)
    }

    #[test]
    fn version_1_is_read_and_written() {
        let bookmark = Bookmark::from_bytes(STORED_V1.as_bytes()).unwrap();
        assert_eq!(bookmark.walk.unwrap().back_to, Some(3));
        assert_eq!((bookmark.walks, bookmark.full_at), (9, Some(second(1_787_670_000))));
        assert_eq!(String::from_utf8(bookmark.to_bytes()).unwrap(), STORED_V1);
        assert_eq!(read_up_to(STORED_V1.as_bytes()).unwrap(), Some(second(1_787_680_000)));
        assert_eq!(read_up_to(&Bookmark::at(second(1), String::new()).to_bytes()).unwrap(), None);
    }

    #[test]
    fn what_is_none_of_its_versions_is_refused() {
        let refused = |text: &str| Bookmark::from_bytes(text.as_bytes()).unwrap_err();
        let later = refused(r#"{"v":2,"log":"integration"}"#);
        assert!(matches!(later, BadBookmark::Unknown { found: 2 }), "{later}");
        let other = refused(r#"{"v":1,"start":1,"next":1,"verified":1}"#);
        assert!(matches!(other, BadBookmark::OtherLog { found: Log::Audit, .. }), "{other}");
        for damaged in ["", "{}", r#"{"v":1,"log":"integration"}"#] {
            let error = refused(damaged);
            assert!(matches!(error, BadBookmark::Damaged(_)), "{damaged}: {error}");
        }
    }

    #[test]
    fn with_another_choice_of_rows_the_old_ones_are_not_told() {
        let bookmark = Bookmark::from_bytes(STORED_V1.as_bytes()).unwrap();
        assert_eq!(bookmark.clone().choosing("user=U1".to_owned()), bookmark);
        let other = bookmark.choosing(String::new());
        assert!(other.quiet && other.walk.is_none());
        assert_eq!((other.start, other.walks), (second(1_787_680_000), 9));
    }
}
