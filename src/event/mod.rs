//! One log entry, as Slack sent it, with the few keys that every later stage needs. What the
//! forwarder says of itself is an entry too, of a log of its own.
//!
//! The raw JSON text is the truth: it is kept byte for byte, unknown keys and all, and whatever is
//! read out of it can be read again. Id, action and time are read once, so that routing,
//! remembering and windowing need no JSON.
//!
//! **Invariant:** nothing here interprets what an entry means; that is `mapping`'s work.
//! **Invariant:** an [`Entry`]'s text is valid UTF-8 and one JSON object, but may hold anything
//! else, lone surrogates in escapes included: everything in it is hostile until it is encoded.

mod access;
mod id;
mod integration;
mod member;

use std::fmt;

use bytes::Bytes;

pub use id::{Action, EntryId, Log, Text, UnixTime};
pub use integration::IntegrationRow;
pub(crate) use member::members;

/// One entry of one of the logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    log: Log,
    id: EntryId,
    action: Action,
    at: UnixTime,
    raw: Bytes,
}

impl Entry {
    /// Reads the routing keys of an entry out of its JSON text; of a row of the integration log by
    /// [`IntegrationRow`], of the access log from what its poller added.
    ///
    /// `otherwise` is the time of an entry that bears none (`date_create` absent or unreadable);
    /// `nth` tells entries without id apart that are alike to the byte: 0 for the first of them
    /// within its second, 1 for the next.
    ///
    /// # Errors
    /// [`NotAnEntry`] when the text is not UTF-8 or not one JSON object. Wrong types inside the
    /// object are no error: an entry is never lost for its shape.
    pub fn from_raw(log: Log, raw: Bytes, otherwise: UnixTime, nth: u32) -> Result<Self, NotAnEntry> {
        match log {
            Log::Integration => return Ok(IntegrationRow::from_raw(raw)?.into_entry(otherwise, nth)),
            Log::Access => return access::read(raw, otherwise, nth),
            Log::Audit | Log::Forwarder => {}
        }
        let text = std::str::from_utf8(&raw).map_err(|_| NotAnEntry::NotUtf8)?;
        let [id, action, date_create] =
            members(text, ["id", "action", "date_create"]).ok_or(NotAnEntry::NotAnObject)?;
        let id = id
            .and_then(|id| Text::of_json(&raw, id.get()))
            .filter(|id| !id.as_str().is_empty())
            .map_or_else(|| EntryId::derived(&raw, nth), EntryId::given);
        let action = action
            .and_then(|action| Text::of_json(&raw, action.get()))
            .filter(|action| !action.as_str().is_empty())
            .map_or_else(Action::unknown, Action::new);
        let at = date_create.and_then(|at| UnixTime::of_json(at.get())).unwrap_or(otherwise);
        Ok(Self { log, id, action, at, raw })
    }

    /// Reads an entry of whichever of Slack's logs its keys show: as people have it, who saved an
    /// answer of the API.
    ///
    /// # Errors
    /// As for [`Entry::from_raw`].
    pub fn of_any_log(raw: Bytes, otherwise: UnixTime, nth: u32) -> Result<Self, NotAnEntry> {
        let entry = Self::from_raw(Log::Audit, raw.clone(), otherwise, nth)?;
        if entry.action != Action::unknown() {
            return Ok(entry);
        }
        if access::is_row(&raw) {
            return access::read(raw, otherwise, nth);
        }
        match IntegrationRow::from_raw(raw)? {
            row if row.says_a_change() => Ok(row.into_entry(otherwise, nth)),
            _ => Ok(entry),
        }
    }

    /// Puts an entry together again from parts that [`Entry::from_raw`] read before.
    pub fn from_parts(log: Log, id: EntryId, action: Action, at: UnixTime, raw: Bytes) -> Self {
        Self { log, id, action, at, raw }
    }

    /// The log it came from.
    pub fn log(&self) -> Log {
        self.log
    }

    /// Slack's id, or one derived from the text where Slack gave none.
    pub fn id(&self) -> &EntryId {
        &self.id
    }

    /// The action's name as Slack spells it.
    pub fn action(&self) -> &Action {
        &self.action
    }

    /// When it happened, in Slack's one-second resolution.
    pub fn at(&self) -> UnixTime {
        self.at
    }

    /// The JSON text, byte for byte as Slack sent it.
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }
}

/// The text is no log entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAnEntry {
    /// The bytes are not UTF-8.
    #[error("the entry is not UTF-8 text")]
    NotUtf8,
    /// The text is not one JSON object.
    #[error("the entry is not a JSON object")]
    NotAnObject,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Shown to people, on terminals too: what Slack's users wrote must not command those.
        write!(
            f,
            "{} {} at {}",
            self.action.as_str().escape_debug(),
            self.id.as_str().escape_debug(),
            self.at
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(json: &str) -> Entry {
        Entry::from_raw(Log::Audit, Bytes::from(json.to_owned()), UnixTime::from_seconds(7), 0).unwrap()
    }

    #[test]
    fn reads_the_routing_keys_without_copying_them() {
        let e = entry(r#"{"id":"a-1","date_create":1766105755,"action":"user_login","x":{"id":"no"}}"#);
        assert_eq!(e.id().as_str(), "a-1");
        assert_eq!(e.action().as_str(), "user_login");
        assert_eq!(e.at(), UnixTime::from_seconds(1_766_105_755));
    }

    #[test]
    fn tolerates_every_type_of_the_keys() {
        let e = entry(r#"{"id":12,"date_create":"1766105755","action":null}"#);
        assert_eq!(e.id().as_str(), "12");
        assert_eq!(e.action().as_str(), "unknown");
        assert_eq!(e.at(), UnixTime::from_seconds(1_766_105_755));
        let e = entry(r#"{"date_create":[],"action":{"a":1}}"#);
        assert_eq!(e.at(), UnixTime::from_seconds(7));
        assert_eq!(e.action().as_str(), "unknown");
    }

    #[test]
    fn an_entry_without_id_gets_one_from_its_text_and_its_count() {
        let raw = Bytes::from_static(br#"{"action":"user_login"}"#);
        let id = |nth| {
            Entry::from_raw(Log::Audit, raw.clone(), UnixTime::from_seconds(0), nth).unwrap().id().clone()
        };
        assert_eq!(id(0), id(0));
        assert_ne!(id(0), id(1));
    }

    #[test]
    fn a_lone_surrogate_does_not_lose_the_entry() {
        let e = entry(r#"{"id":"\ud800x","action":"user_login","actor":"\udc00"}"#);
        assert_eq!(e.id().as_str(), "\u{fffd}x");
    }

    #[test]
    fn a_twin_key_or_a_broken_one_does_not_lose_the_entry() {
        let e = entry(r#"{"id":"a","\ud800":1,"id":"b","action":"user_login"}"#);
        assert_eq!(e.id().as_str(), "b");
        assert_eq!(e.action().as_str(), "user_login");
    }

    #[test]
    fn the_keys_show_which_log_an_entry_is_of() {
        for (json, log, action) in [
            (r#"{"id":"1","action":"user_login"}"#, Log::Audit, "user_login"),
            (r#"{"action":"app_installed","change_type":"added"}"#, Log::Audit, "app_installed"),
            (r#"{"change_type":"added","date":"1"}"#, Log::Integration, "integration_added"),
            (
                r#"{"rss_feed":true,"rss_feed_change_type":"removed"}"#,
                Log::Integration,
                "integration_removed",
            ),
            (r#"{"user_id":"U1","date_first":1,"date_last":2}"#, Log::Access, "access_first_seen"),
            (
                r#"{"count":1,"slackcef":{"action":"access_seen_again","id":"a"}}"#,
                Log::Access,
                "access_seen_again",
            ),
            (r#"{"x":1}"#, Log::Audit, "unknown"),
        ] {
            let raw = Bytes::from_static(json.as_bytes());
            let entry = Entry::of_any_log(raw, UnixTime::from_seconds(0), 0).unwrap();
            assert_eq!((entry.log(), entry.action().as_str()), (log, action));
        }
    }

    #[test]
    fn refuses_what_is_no_object() {
        for text in ["[]", "null", "3", "{", "{} {}", ""] {
            let raw = Bytes::from(text.to_owned());
            assert_eq!(
                Entry::from_raw(Log::Audit, raw, UnixTime::from_seconds(0), 0),
                Err(NotAnEntry::NotAnObject),
                "{text}"
            );
        }
    }
}
