//! An entry of the access log: a row of Slack's list, and behind it what the poller found new in it.
//!
//! Slack's rows have neither id nor action. The poller adds one key, `slackcef`, with both; a bare row,
//! as people have it who saved an answer of the API, is taken for one that is seen for the first time.

use bytes::Bytes;
use serde_json::value::RawValue;

use super::{Action, Entry, EntryId, Log, NotAnEntry, Text, UnixTime, members};

/// The action of a bare row.
const FIRST_SEEN: &str = "access_first_seen";

/// Whether an object is a row of Slack's list, as such or with what the poller added.
pub(super) fn is_row(raw: &Bytes) -> bool {
    let text = std::str::from_utf8(raw).unwrap_or_default();
    let found = members(text, ["date_first", "date_last", "slackcef"]).unwrap_or_default();
    matches!(found, [Some(_), Some(_), _] | [_, _, Some(_)])
}

/// Reads an entry of the access log.
pub(super) fn read(raw: Bytes, otherwise: UnixTime, nth: u32) -> Result<Entry, NotAnEntry> {
    let text = std::str::from_utf8(&raw).map_err(|_| NotAnEntry::NotUtf8)?;
    let [ours, last, first] =
        members(text, ["slackcef", "date_last", "date_first"]).ok_or(NotAnEntry::NotAnObject)?;
    let [id, action] = ours.and_then(|ours| members(ours.get(), ["id", "action"])).unwrap_or_default();
    let word = |json: Option<&RawValue>| {
        json.and_then(|json| Text::of_json(&raw, json.get())).filter(|text| !text.as_str().is_empty())
    };
    let time = |json: Option<&RawValue>| json.and_then(|json| UnixTime::of_json(json.get()));
    let id = word(id).map_or_else(|| EntryId::derived(&raw, nth), EntryId::given);
    let action = Action::new(word(action).unwrap_or(Text::from(FIRST_SEEN)));
    let at = time(last).or_else(|| time(first)).unwrap_or(otherwise);
    Ok(Entry::from_parts(Log::Access, id, action, at, raw))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(json: &'static str) -> Entry {
        read(Bytes::from_static(json.as_bytes()), UnixTime::from_seconds(7), 0).unwrap()
    }

    #[test]
    fn what_the_poller_added_says_what_it_is() {
        let told = entry(
            r#"{"user_id":"U1","id":"no","date_last":9,"slackcef":{"action":"x"},"slackcef":{"action":"access_seen_again","id":"ab","uses":2}}"#,
        );
        assert_eq!((told.id().as_str(), told.action().as_str()), ("ab", "access_seen_again"));
        assert_eq!(told.at(), UnixTime::from_seconds(9));
        let bare = entry(r#"{"user_id":"U1","date_first":5,"date_last":null}"#);
        assert_eq!((bare.action().as_str(), bare.at().seconds()), (FIRST_SEEN, 5));
        assert!(bare.id().has_derived_form());
        assert_eq!(entry(r#"{"slackcef":[]}"#).at().seconds(), 7);
        for text in ["[]", "null", "{"] {
            let read = read(Bytes::from_static(text.as_bytes()), UnixTime::from_seconds(7), 0);
            assert_eq!(read, Err(NotAnEntry::NotAnObject), "{text}");
        }
    }
}
