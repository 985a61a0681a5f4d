//! One row of the list: what identifies it, and what can change.
//!
//! **Invariant:** every JSON object is a row; a key that is missing, null or of an odd type is one
//! that says nothing.

use bytes::Bytes;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::event::{Text, UnixTime, members};
use crate::slack::step::RowKey;

/// A combination of user, address and user agent, as Slack has it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) key: RowKey,
    /// The first use.
    pub(super) first: Option<UnixTime>,
    /// The last one.
    pub(super) last: Option<UnixTime>,
    pub(super) count: u64,
    /// As Slack sent it: one JSON object.
    pub(super) raw: Bytes,
}

impl Row {
    /// `None` when it is no JSON object.
    pub(super) fn read(raw: Bytes) -> Option<Self> {
        let text = std::str::from_utf8(&raw).ok()?;
        let [first, last, count, user, ip, agent, team] = members(text, NAMES)?;
        // A workspace is part of the combination where the row names one, which no document says.
        let parts = [user, ip, agent, team];
        let time = |json: Option<&RawValue>| {
            UnixTime::of_json(json?.get()).filter(|time| *time > UnixTime::from_seconds(0))
        };
        let count = count.and_then(|json| whole(json.get())).unwrap_or(0);
        Some(Self { key: key(&raw, parts), first: time(first), last: time(last), count, raw })
    }

    /// The row's time: its last use, or the first one where that is all it says.
    pub(super) fn at(&self) -> Option<UnixTime> {
        self.last.or(self.first)
    }
}

const NAMES: [&str; 7] = ["date_first", "date_last", "count", "user_id", "ip", "user_agent", "team_id"];

/// A number, or a text that holds one.
fn whole(json: &str) -> Option<u64> {
    let text = json.trim_matches('"');
    text.split_once('.').map_or(text, |(whole, _)| whole).parse().ok()
}

/// A hash of the combination; of the whole row where nothing identifies it.
fn key(raw: &Bytes, parts: [Option<&RawValue>; 4]) -> RowKey {
    let text = |json: Option<&RawValue>| {
        json.and_then(|json| Text::of_json(raw, json.get())).filter(|text| !text.as_str().is_empty())
    };
    let parts = parts.map(text);
    let mut hash = Sha256::new();
    if parts.iter().all(Option::is_none) {
        hash.update(raw);
    }
    for part in parts {
        let part = part.as_ref().map_or("", Text::as_str);
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut key = [0; 16];
    key.iter_mut().zip(hash.finalize()).for_each(|(to, byte)| *to = byte);
    RowKey(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(json: &str) -> Row {
        Row::read(Bytes::from(json.to_owned())).unwrap()
    }

    #[test]
    fn a_row_is_read_whatever_its_types() {
        let plain = row(
            r#"{"user_id":"U1","ip":"192.0.2.1","user_agent":"a/1","date_first":5,"date_last":9,"count":3,"isp":null}"#,
        );
        assert_eq!(plain.first, Some(UnixTime::from_seconds(5)));
        assert_eq!((plain.at(), plain.count), (Some(UnixTime::from_seconds(9)), 3));
        let odd = row(
            r#"{"\ud800":1,"count":"3","date_last":"9","date_first":5.0,"user_agent":"a\/1","ip":"no","ip":"192.0.2.1","user_id":"U1"}"#,
        );
        assert_eq!(Row { raw: plain.raw.clone(), ..odd }, plain);
        for json in [r#"{"count":null,"date_last":[]}"#, "{}", r#"{"count":-1,"date_first":0}"#] {
            let row = row(json);
            assert_eq!((row.at(), row.count), (None, 0), "{json}");
        }
        for json in ["[]", "null", "7", "\"x\"", "{", ""] {
            assert_eq!(Row::read(Bytes::from(json.to_owned())), None, "{json}");
        }
    }

    #[test]
    fn a_combination_is_user_address_and_agent_and_nothing_else() {
        let key = |json: &str| row(json).key;
        let one = key(r#"{"user_id":"U1","ip":"a","user_agent":"b","count":1,"username":"x"}"#);
        assert_eq!(one, key(r#"{"ip":"a","user_agent":"b","user_id":"U1","count":2,"isp":"y"}"#));
        for other in [
            r#"{"user_id":"U1","ip":"ab","user_agent":""}"#,
            r#"{"user_id":"U1","ip":"b","user_agent":"a"}"#,
            r#"{"user_id":"U2","ip":"a","user_agent":"b"}"#,
            r#"{"user_id":"U1","ip":"a"}"#,
            r#"{"user_id":"U1","ip":"a","user_agent":"b","team_id":"T1"}"#,
        ] {
            assert_ne!(one, key(other), "{other}");
        }
        assert_eq!(key(r#"{"user_id":"U1","ip":null}"#), key(r#"{"user_id":"U1","ip":""}"#));
        assert_ne!(key(r#"{"username":"x"}"#), key(r#"{"username":"y"}"#));
    }
}
