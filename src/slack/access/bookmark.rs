//! How far an access log has been read: what outlives the process.
//!
//! The stored form is JSON with a version, `{"v":1,"log":"access","start":…,"polled":…,"walked":…,
//! "walk":{…}}`, times in seconds since 1970. A version is never changed, only followed by another;
//! each has its test.

use serde::{Deserialize, Serialize};

use super::place::Place;
use crate::event::{Log, UnixTime};
use crate::slack::bookmark::{self, BadBookmark};

/// How far an access log has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bookmark {
    /// What was last used before it was not told of, fixed when the source was first run.
    pub(super) start: UnixTime,
    /// When the newest poll that came to its end began.
    pub(super) polled: Option<UnixTime>,
    /// When the newest walk that came to its end began.
    pub(super) walked: Option<UnixTime>,
    /// The walk that is under way.
    pub(super) walk: Option<Walk>,
}

/// A walk through the whole list, under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Walk {
    pub(super) begun: UnixTime,
    pub(super) place: Place,
}

impl Bookmark {
    /// Nothing read yet.
    pub(super) fn at(start: UnixTime) -> Self {
        Self { start, polled: None, walked: None, walk: None }
    }

    /// What was there before is met again, above rows that are known: the top of the list has been
    /// read since then.
    pub(super) fn mark(&self) -> Option<UnixTime> {
        let walk = self.walk.as_ref().filter(|walk| !walk.place.is_top()).map(|walk| walk.begun);
        self.polled.max(self.walked).max(walk)
    }

    /// When the newest reading to its end began, once the whole list was read.
    pub(super) fn read_up_to(&self) -> Option<UnixTime> {
        self.walked.max(self.walked.and(self.polled))
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, BadBookmark> {
        let V1 { start, polled, walked, walk, .. } = bookmark::read(Log::Access, bytes)?;
        let time = UnixTime::from_seconds;
        Ok(Self {
            start: time(start),
            polled: polled.map(time),
            walked: walked.map(time),
            walk: walk.map(|V1Walk { begun, place }| Walk { begun: time(begun), place }),
        })
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let walk = self.walk.as_ref();
        let v1 = V1 {
            v: 1,
            log: Log::Access.name().to_owned(),
            start: self.start.seconds(),
            polled: self.polled.map(UnixTime::seconds),
            walked: self.walked.map(UnixTime::seconds),
            walk: walk.map(|walk| V1Walk { begun: walk.begun.seconds(), place: walk.place.clone() }),
        };
        // Numbers and texts under fixed names are always JSON.
        serde_json::to_vec(&v1).unwrap_or_default()
    }
}

/// When the newest reading to its end began of the source with this stored bookmark.
pub(in crate::slack) fn read_up_to(bookmark: &[u8]) -> Result<Option<UnixTime>, BadBookmark> {
    Bookmark::from_bytes(bookmark).map(|bookmark| bookmark.read_up_to())
}

#[derive(Serialize, Deserialize)]
struct V1 {
    v: u64,
    log: String,
    start: i64,
    polled: Option<i64>,
    walked: Option<i64>,
    walk: Option<V1Walk>,
}

#[derive(Serialize, Deserialize)]
struct V1Walk {
    begun: i64,
    place: Place,
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORED_V1: &[u8] = br#"{"v":1,"log":"access","start":1787680000,"polled":1787690060,"walked":1787680060,"walk":{"begun":1787690000,"place":{"before":1787000000,"page":7,"cursor":null,"bottom":1786000000,"lowest":1786000000,"level":0}}}"#;

    #[test]
    fn version_1_is_read_and_written() {
        let bookmark = Bookmark::from_bytes(STORED_V1).unwrap();
        assert_eq!(bookmark.to_bytes(), STORED_V1);
        assert_eq!(bookmark.read_up_to(), Some(UnixTime::from_seconds(1_787_690_060)));
        assert_eq!(
            bookmark.walk.unwrap().place.arguments(),
            [("count", "1000".to_owned()), ("page", "7".to_owned()), ("before", "1787000000".to_owned())]
        );
    }

    #[test]
    fn a_bookmark_of_another_log_is_refused_with_what_to_do() {
        let audit = br#"{"v":1,"start":1519862400,"next":1787680154,"verified":1787676554}"#;
        let error = Bookmark::from_bytes(audit).unwrap_err();
        assert!(matches!(error, BadBookmark::OtherLog { found: Log::Audit, wanted: Log::Access }));
        assert!(error.to_string().contains("give a source of another log another name"), "{error}");
        let error = crate::slack::read_up_to(Log::Audit, STORED_V1).unwrap_err();
        assert!(matches!(error, BadBookmark::OtherLog { found: Log::Access, .. }));
        assert!(matches!(
            Bookmark::from_bytes(br#"{"v":2,"log":"access"}"#),
            Err(BadBookmark::Unknown { found: 2 })
        ));
        assert!(matches!(Bookmark::from_bytes(br#"{"v":1,"log":"access"}"#), Err(BadBookmark::Damaged(_))));
    }

    #[test]
    fn a_list_is_read_once_it_was_read_to_its_end() {
        let at = UnixTime::from_seconds;
        let polled = Bookmark { polled: Some(at(20)), ..Bookmark::at(at(10)) };
        assert_eq!(polled.read_up_to(), None);
        let walked = Bookmark { walked: Some(at(15)), ..polled };
        assert_eq!(walked.read_up_to(), Some(at(20)));
        assert_eq!(Bookmark { polled: None, ..walked }.read_up_to(), Some(at(15)));
    }
}
