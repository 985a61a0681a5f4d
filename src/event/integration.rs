//! A row of the integration log: it has no id, so what it says is what it is known by.
//!
//! Slack writes one and the same row in more than one way: a `service_id` is a number here and a text
//! there, within one answer. Two rows are therefore compared by a form of their own (texts, sorted
//! keys, nothing that is null), and of that a hash is the row's id. The name of a person, a service
//! or an app is no part of it where their id is: who is renamed has done nothing anew.
//!
//! **Invariant:** keys that nobody knows count as well: two rows that differ in one are two.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::{Action, Entry, EntryId, Log, NotAnEntry, Text, UnixTime};

/// One row of the integration log, read as far as telling it from others takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntegrationRow {
    digest: [u8; 16],
    action: Action,
    at: Option<UnixTime>,
    raw: Bytes,
}

impl IntegrationRow {
    /// Reads a row from its JSON text.
    ///
    /// # Errors
    /// [`NotAnEntry`] when the text is not UTF-8 or not one JSON object. Wrong types inside the
    /// object are no error.
    pub fn from_raw(raw: Bytes) -> Result<Self, NotAnEntry> {
        let text = std::str::from_utf8(&raw).map_err(|_| NotAnEntry::NotUtf8)?;
        let Members(members) = serde_json::from_str(text).map_err(|_| NotAnEntry::NotAnObject)?;
        let word = |key: &[u8]| {
            let text = members.get(key).and_then(|json| Text::of_json(&raw, json.get()));
            text.filter(|text| !text.as_str().is_empty())
        };
        // A feed's row may say what changed under a key of its own.
        let change = word(b"change_type").or_else(|| word(b"rss_feed_change_type"));
        let action = action(change.as_ref().map(Text::as_str));
        let at = members.get(&b"date"[..]).and_then(|json| UnixTime::of_json(json.get()));
        let digest = digest(&members);
        Ok(Self { digest, action, at, raw })
    }

    /// A hash of all that makes the row itself; of rows that are alike it is the same.
    pub fn digest(&self) -> [u8; 16] {
        self.digest
    }

    /// Whether it names a type of change, as every row of Slack's does.
    pub(super) fn says_a_change(&self) -> bool {
        self.action.as_str() != action(None).as_str()
    }

    /// When it happened, where it says.
    pub fn at(&self) -> Option<UnixTime> {
        self.at
    }

    /// The row as an entry: the `nth`, from 0, of those alike. `otherwise` is the time of a row that
    /// bears none.
    pub fn into_entry(self, otherwise: UnixTime, nth: u32) -> Entry {
        let id = EntryId::of_digest(&self.digest, nth);
        Entry::from_parts(Log::Integration, id, self.action, self.at.unwrap_or(otherwise), self.raw)
    }
}

/// `integration_added` for `added`, and so on for words that are not known yet.
fn action(change: Option<&str>) -> Action {
    Action::new(Text::from(format!("integration_{}", change.unwrap_or("unknown"))))
}

/// The name that goes with an id, and says nothing that the id does not.
const NAMES: [(&[u8], &[u8]); 3] =
    [(b"user_name", b"user_id"), (b"service_type", b"service_id"), (b"app_type", b"app_id")];

fn digest(members: &BTreeMap<Vec<u8>, &RawValue>) -> [u8; 16] {
    let has = |key: &[u8]| members.get(key).is_some_and(|json| !matches!(json.get(), "null" | "\"\""));
    let counts = |key: &[u8]| !NAMES.iter().any(|(name, id)| *name == key && has(id));
    let mut form = b"integration row 1".to_vec();
    for (key, value) in members.iter().filter(|(key, value)| counts(key) && value.get() != "null") {
        text(&mut form, key);
        write(&mut form, value, 0);
    }
    let mut digest = [0; 16];
    for (byte, hashed) in digest.iter_mut().zip(Sha256::digest(form)) {
        *byte = hashed;
    }
    digest
}

/// Deeper values count as they are written: no row of Slack's is so deep.
const DEEPEST: u8 = 8;

/// Writes a value so that no two that differ look alike: what is long begins with its length.
fn write(form: &mut Vec<u8>, value: &RawValue, depth: u8) {
    let json = value.get();
    let members = || serde_json::from_str::<Members<'_>>(json).map(|Members(members)| members);
    let elements = || serde_json::from_str::<Vec<&RawValue>>(json);
    match json.as_bytes() {
        [b'{', ..]
            if depth < DEEPEST
                && let Ok(members) = members() =>
        {
            form.push(b'{');
            for (key, value) in members.iter().filter(|(_, value)| value.get() != "null") {
                text(form, key);
                write(form, value, depth + 1);
            }
            form.push(b'}');
        }
        [b'[', ..]
            if depth < DEEPEST
                && let Ok(elements) = elements() =>
        {
            form.push(b'[');
            for element in elements {
                write(form, element, depth + 1);
            }
            form.push(b']');
        }
        [b'"', ..] if let Ok(Unescaped(bytes)) = serde_json::from_str(json) => text(form, &bytes),
        bytes => text(form, bytes),
    }
}

fn text(form: &mut Vec<u8>, bytes: &[u8]) {
    form.push(b'"');
    form.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
    form.extend_from_slice(bytes);
}

/// The members of an object, sorted; of a key that stands twice the last one counts.
struct Members<'a>(BTreeMap<Vec<u8>, &'a RawValue>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a row of the integration log")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = BTreeMap::new();
                while let Some((Unescaped(key), value)) = map.next_entry()? {
                    members.insert(key, value);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// A text without its escapes, as bytes: one with a lone surrogate is no string, and no reason to
/// lose a row.
struct Unescaped(Vec<u8>);

impl<'de> Deserialize<'de> for Unescaped {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl Visitor<'_> for Any {
            type Value = Unescaped;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Unescaped, E> {
                Ok(Unescaped(bytes.to_vec()))
            }
        }
        deserializer.deserialize_bytes(Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(json: &str) -> IntegrationRow {
        IntegrationRow::from_raw(Bytes::from(json.to_owned())).unwrap()
    }

    fn alike(one: &str, other: &str) -> bool {
        row(one).digest() == row(other).digest()
    }

    #[test]
    fn a_row_is_the_same_however_it_is_written() {
        let one = r#"{"service_id":1234,"date":"1392163200","change_type":"added","rss_feed":true}"#;
        for other in [
            r#"{"service_id":"1234","date":1392163200,"rss_feed":"true","change_type":"added"}"#,
            r#"{ "date" : "1392163200", "change_type":"\u0061dded", "rss_feed":true, "service_id":1234 }"#,
            r#"{"reason":null,"service_id":1234,"date":"1392163200","change_type":"added","rss_feed":true}"#,
            r#"{"date":"7","service_id":1234,"date":"1392163200","change_type":"added","rss_feed":true}"#,
        ] {
            assert!(alike(one, other), "{other}");
        }
    }

    #[test]
    fn a_row_that_differs_anywhere_is_another() {
        let one = r#"{"app_id":"A1","date":"1","scope":"a,b","new":{"x":[1,{"y":2}]}}"#;
        for other in [
            r#"{"app_id":"A2","date":"1","scope":"a,b","new":{"x":[1,{"y":2}]}}"#,
            r#"{"app_id":"A1","date":"2","scope":"a,b","new":{"x":[1,{"y":2}]}}"#,
            r#"{"app_id":"A1","date":"1","scope":"a","new":{"x":[1,{"y":2}]}}"#,
            r#"{"app_id":"A1","date":"1","scope":"a,b","new":{"x":[1,{"y":3}]}}"#,
            r#"{"app_id":"A1","date":"1","scope":"a,b","new":{"x":[[1],{"y":2}]}}"#,
            r#"{"app_id":"A1","date":"1","scope":"a,b","new":{"x":[1,{"y":2}]},"newer":1}"#,
            r#"{"app_id":"A1","date":"1","scope":"a,b","new":{"x":[1,{"y":2,"z":""}]}}"#,
        ] {
            assert!(!alike(one, other), "{other}");
        }
        assert!(!alike(r#"{"a":"b\"c","d":"e"}"#, r#"{"a":"b","\"c\"d":"e"}"#));
        assert!(!alike(r#"{"a":"\ud800"}"#, r#"{"a":"\ud801"}"#));
    }

    #[test]
    fn a_new_name_makes_no_new_row_and_a_row_without_id_goes_by_its_name() {
        assert!(alike(r#"{"user_id":"U1","user_name":"ada"}"#, r#"{"user_id":"U1","user_name":"lovelace"}"#));
        assert!(alike(r#"{"app_id":"A1","app_type":"One"}"#, r#"{"app_id":"A1","app_type":"Two"}"#));
        assert!(!alike(r#"{"user_name":"ada"}"#, r#"{"user_name":"lovelace"}"#));
        assert!(!alike(
            r#"{"service_id":null,"service_type":"RSS"}"#,
            r#"{"service_id":null,"service_type":"Jira"}"#
        ));
    }

    #[test]
    fn the_action_is_what_changed_whatever_it_was() {
        for (json, action) in [
            (r#"{"change_type":"added"}"#, "integration_added"),
            (r#"{"change_type":"exploded"}"#, "integration_exploded"),
            (r#"{"rss_feed":true,"rss_feed_change_type":"removed"}"#, "integration_removed"),
            (r#"{"change_type":"","rss_feed_change_type":"updated"}"#, "integration_updated"),
            (r#"{"change_type":["added"]}"#, "integration_unknown"),
            ("{}", "integration_unknown"),
        ] {
            assert_eq!(row(json).into_entry(UnixTime::from_seconds(0), 0).action().as_str(), action);
        }
    }

    #[test]
    fn an_entry_is_the_row_byte_for_byte_with_an_id_of_its_own() {
        let json = r#"{ "date":"1392163200", "change_type":"added" , "channel":"C1"}"#;
        let entry = |nth| row(json).into_entry(UnixTime::from_seconds(7), nth);
        assert_eq!(&entry(0).raw()[..], json.as_bytes());
        assert_eq!(entry(0).at(), UnixTime::from_seconds(1_392_163_200));
        assert_eq!(entry(0), entry(0));
        assert_ne!(entry(0).id(), entry(1).id());
        assert_eq!(row(r#"{"date":"today"}"#).into_entry(UnixTime::from_seconds(7), 0).at().seconds(), 7);
    }

    /// The store remembers rows by it: another value would tell every row once more.
    #[test]
    fn the_digest_never_changes() {
        let entry = row(r#"{"user_id":"U1","date":"1392163200","change_type":"added","service_id":12}"#)
            .into_entry(UnixTime::from_seconds(0), 3);
        assert_eq!(entry.id().as_str(), "8fe7ddf6077fc7eff50628bc717e8e22-3");
    }

    #[test]
    fn what_is_no_object_is_no_row_and_depth_harms_nobody() {
        for text in ["[]", "[1,2]", "null", "3", "\"x\"", "{", ""] {
            let raw = Bytes::from(text.to_owned());
            assert_eq!(IntegrationRow::from_raw(raw), Err(NotAnEntry::NotAnObject), "{text}");
        }
        let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(100), "]".repeat(100));
        assert!(!alike(&deep, r#"{"a":[]}"#));
    }
}
