//! How far a source has been read: the few numbers that outlive the process.
//!
//! The stored form is JSON with a version: `{"v":1,"start":…,"next":…,"verified":…}`, seconds since
//! 1970. A version is never changed, only followed by another; each has its test.

use serde::{Deserialize, Serialize};

use crate::event::{Log, UnixTime};
use crate::slack::bookmark::{self, BadBookmark};

/// How far a source has been read.
///
/// All seconds from `start` up to, and without, `next` have been read once; those up to, and without,
/// `verified` a second time, or only once but long after they had passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bookmark {
    /// The first second that is wanted at all, fixed when the source was first run.
    pub(super) start: UnixTime,
    /// The first second not yet read.
    pub(super) next: UnixTime,
    /// The first second not yet verified.
    pub(super) verified: UnixTime,
}

impl Bookmark {
    /// Nothing read yet.
    pub(super) fn at(start: UnixTime) -> Self {
        Self { start, next: start, verified: start }
    }

    /// Reads the stored form.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, BadBookmark> {
        let V1 { start, next, verified, .. } = bookmark::read(Log::Audit, bytes)?;
        let [start, next, verified] = [start, next, verified].map(UnixTime::from_seconds);
        let next = next.max(start);
        Ok(Self { start, next, verified: verified.clamp(start, next) })
    }

    /// Writes the stored form.
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let Self { start, next, verified } = self;
        let [start, next, verified] = [start, next, verified].map(UnixTime::seconds);
        // Four numbers under fixed names are always JSON.
        serde_json::to_vec(&V1 { v: 1, start, next, verified }).unwrap_or_default()
    }
}

/// The last second that a source with this stored bookmark has read.
///
/// # Errors
/// It is no bookmark that this program can read.
pub(in crate::slack) fn read_up_to(bookmark: &[u8]) -> Result<UnixTime, BadBookmark> {
    marks(bookmark).map(|marks| marks.next.plus(-1))
}

/// What a stored bookmark says of the seconds that were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marks {
    /// The first second that is wanted at all.
    pub start: UnixTime,
    /// The first second not yet read.
    pub next: UnixTime,
    /// The first second that was read, if at all, so early that something may have come late since.
    pub verified: UnixTime,
}

/// What a stored bookmark says.
///
/// # Errors
/// It is no bookmark that this program can read.
pub fn marks(bookmark: &[u8]) -> Result<Marks, BadBookmark> {
    let Bookmark { start, next, verified } = Bookmark::from_bytes(bookmark)?;
    Ok(Marks { start, next, verified })
}

#[derive(Serialize, Deserialize)]
struct V1 {
    v: u64,
    start: i64,
    next: i64,
    verified: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORED_V1: &[u8] = br#"{"v":1,"start":1519862400,"next":1787680154,"verified":1787676554}"#;

    #[test]
    fn version_1_is_read_and_written() {
        let bookmark = Bookmark::from_bytes(STORED_V1).unwrap();
        assert_eq!(bookmark.start, UnixTime::from_seconds(1_519_862_400));
        assert_eq!(bookmark.next, UnixTime::from_seconds(1_787_680_154));
        assert_eq!(bookmark.verified, UnixTime::from_seconds(1_787_676_554));
        assert_eq!(bookmark.to_bytes(), STORED_V1);
        assert_eq!(read_up_to(STORED_V1).unwrap(), UnixTime::from_seconds(1_787_680_153));
    }

    #[test]
    fn a_later_version_is_refused_with_what_to_do() {
        let error = Bookmark::from_bytes(br#"{"v":2,"marks":[]}"#).unwrap_err();
        assert!(matches!(error, BadBookmark::Unknown { found: 2 }));
        assert!(error.to_string().contains("run the slackcef that wrote it"));
    }

    #[test]
    fn damage_is_refused() {
        for bytes in
            [&b""[..], b"{}", b"\xff", br#"{"v":1}"#, br#"{"v":1,"start":"x","next":1,"verified":1}"#]
        {
            assert!(matches!(Bookmark::from_bytes(bytes), Err(BadBookmark::Damaged(_))), "{bytes:?}");
        }
    }

    #[test]
    fn marks_out_of_order_are_put_in_order() {
        let bookmark = Bookmark::from_bytes(br#"{"v":1,"start":10,"next":5,"verified":99}"#).unwrap();
        assert_eq!(bookmark, Bookmark::at(UnixTime::from_seconds(10)));
    }
}
