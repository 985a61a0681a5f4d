//! A row that changed, made an entry: Slack's own text, and one key of ours behind it.

use bytes::Bytes;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::memo::Change;
use super::row::Row;
use crate::event::{Action, Entry, EntryId, Log, UnixTime};

/// A combination that was not there before.
const FIRST_SEEN: &str = "access_first_seen";
/// One that was.
const SEEN_AGAIN: &str = "access_seen_again";

/// What the key `slackcef` holds.
#[derive(Serialize)]
struct Ours<'a> {
    action: &'static str,
    id: &'a str,
    row: String,
    uses: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_date_last: Option<i64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    began_anew: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    team_id: Option<&'a str>,
}

/// The entry that tells of a change; `otherwise` is the time of a row that bears none.
pub(super) fn entry(
    row: &Row,
    change: Change,
    start: UnixTime,
    team_id: Option<&str>,
    otherwise: UnixTime,
) -> Entry {
    // What was there before the start was only never told of.
    let is_first = change.previous.is_none() && row.first.is_none_or(|first| first >= start);
    let action = if is_first { FIRST_SEEN } else { SEEN_AGAIN };
    let id = id(row);
    let ours = Ours {
        action,
        id: &id,
        row: hex(&row.key.0),
        uses: change.uses,
        previous_count: change.previous.map(|previous| previous.count),
        previous_date_last: change.previous.map(|previous| previous.last).filter(|last| *last > 0),
        began_anew: change.anew,
        team_id,
    };
    let raw = with_ours(&row.raw, &ours);
    let at = row.at().unwrap_or(otherwise);
    Entry::from_parts(Log::Access, EntryId::given(id.into()), Action::new(action.into()), at, raw)
}

/// Slack's object, and our key as its last one: of a key that stands twice the last one counts.
fn with_ours(row: &Bytes, ours: &Ours<'_>) -> Bytes {
    // Texts and numbers under fixed names are always JSON.
    let ours = serde_json::to_string(ours).unwrap_or_default();
    let slacks = row.strip_suffix(b"}").unwrap_or(row).trim_ascii_end();
    let comma: &[u8] = if slacks.ends_with(b"{") { b"" } else { b"," };
    [slacks, comma, b"\"slackcef\":", ours.as_bytes(), b"}"].concat().into()
}

/// Made of all that a change changes: told twice, it is the same; 40 digits, as other hashes have
/// that go where Slack's ids go.
fn id(row: &Row) -> String {
    let seconds = |time: Option<UnixTime>| time.map_or(0, UnixTime::seconds).to_be_bytes();
    let hash = Sha256::new()
        .chain_update(row.key.0)
        .chain_update(seconds(row.first))
        .chain_update(seconds(row.last))
        .chain_update(row.count.to_be_bytes())
        .finalize();
    hex(hash.as_slice().get(..20).unwrap_or_default())
}

/// The key as text, to find all entries of a combination by.
fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap_or_default();
        text
    })
}

#[cfg(test)]
mod tests {
    use super::super::memo::Beginning;
    use super::*;

    fn told(json: &'static str, change: Change) -> serde_json::Value {
        let row = Row::read(Bytes::from_static(json.as_bytes())).unwrap();
        let entry = entry(&row, change, UnixTime::from_seconds(4), Some("T1"), UnixTime::from_seconds(7));
        let value: serde_json::Value = serde_json::from_slice(entry.raw()).unwrap();
        assert_eq!(value["slackcef"]["id"], entry.id().as_str());
        assert_eq!(value["slackcef"]["action"], entry.action().as_str());
        assert!(entry.raw().starts_with(json.trim_end_matches('}').trim_end().as_bytes()));
        value
    }

    #[test]
    fn the_row_stays_as_it_was_and_ours_is_apart() {
        let first = Change { uses: 3, previous: None, anew: false };
        let value = told(r#"{"user_id":"U1","count":3,"date_first":5, "date_last":6 }"#, first);
        assert_eq!(value["slackcef"]["action"], FIRST_SEEN);
        assert_eq!(value["slackcef"]["uses"], 3);
        assert_eq!(value["slackcef"]["team_id"], "T1");
        assert_eq!(value["slackcef"].get("previous_count"), None);
        let known = Some(Beginning { first: 5, last: 6, count: 3 });
        let again = Change { uses: 1, previous: known, anew: false };
        let value = told(r#"{"slackcef":"forged","count":4,"date_first":5,"date_last":9}"#, again);
        assert_eq!(value["slackcef"]["action"], SEEN_AGAIN);
        assert_eq!(value["slackcef"]["previous_count"], 3);
        assert_eq!(value["slackcef"]["previous_date_last"], 6);
        assert_eq!(told("{}", first)["slackcef"]["action"], FIRST_SEEN);
        let old = told(r#"{"count":4,"date_first":3,"date_last":9}"#, first);
        assert_eq!(old["slackcef"]["action"], SEEN_AGAIN, "it began before the start");
    }

    #[test]
    fn an_entry_told_twice_bears_the_same_id() {
        let id = |json: &str| id(&Row::read(Bytes::from(json.to_owned())).unwrap());
        let one = id(r#"{"user_id":"U1","count":3,"date_first":5,"date_last":6}"#);
        assert_eq!(one.len(), 40);
        assert_eq!(one, id(r#"{"user_id":"U1","count":"3","date_last":6,"date_first":5,"isp":"x"}"#));
        assert_ne!(one, id(r#"{"user_id":"U1","count":4,"date_first":5,"date_last":6}"#));
        assert_ne!(one, id(r#"{"user_id":"U1","count":3,"date_first":5,"date_last":7}"#));
    }
}
