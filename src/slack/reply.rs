//! One answer of Slack's, taken apart as far as paging needs it.
//!
//! The body stays one buffer; an element of its list (`entries`, `logins`, `logs`) is a slice of it,
//! and nothing in it is interpreted here.
//!
//! **Invariant:** unknown keys, twin keys and unexpected order are tolerated, but an answer without a
//! readable list of entries is an error: it is never taken for the end of the log.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::error::SlackError;
use super::http::Received;
use super::refusal::{Code, Said};
use crate::event::Text;

/// A page of a log: its elements as text, in Slack's order, and the way to the next page.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Reply {
    /// Each element of the list, whatever it is.
    pub(super) elements: Vec<Bytes>,
    /// Where the next page begins; `None` at the end, and where pages are counted.
    pub(super) cursor: Option<Text>,
    /// Which page this is, where pages are counted.
    pub(super) paging: Option<Paging>,
}

/// Classic paging, as an answer tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Paging {
    /// This page, from 1.
    pub(super) page: u64,
    /// The last page.
    pub(super) pages: u64,
    /// How many rows there are on all pages, where it says so.
    pub(super) total: Option<u64>,
}

impl Reply {
    /// Reads the body of an answer with a status of success, whose list bears that name.
    pub(super) fn read(list: &str, received: Received) -> Result<Self, SlackError> {
        let Received { status, body, retry_after, .. } = received;
        let body = repaired(body);
        let top = Top::accepted(list, status, &body, retry_after)?;
        let elements = top.list.ok_or(SlackError::NoEntries)?;
        Ok(Self {
            elements: elements.into_iter().map(|json| body.slice_ref(json.get().as_bytes())).collect(),
            cursor: cursor(&body, top.metadata)?,
            paging: top.paging.and_then(Paging::read),
        })
    }
}

impl Paging {
    /// Numbers, or texts that hold one; `None` where it does not say how many pages there are.
    fn read(json: &RawValue) -> Option<Self> {
        let paging: serde_json::Value = serde_json::from_str(json.get()).ok()?;
        let number = |key: &str| {
            let value = paging.get(key)?;
            value.as_u64().or_else(|| value.as_str()?.parse().ok())
        };
        Some(Self { page: number("page")?, pages: number("pages")?, total: number("total") })
    }
}

/// The body of an answer with a status of success, where it does not say that the request is refused.
pub(super) fn accepted(received: Received) -> Result<Bytes, SlackError> {
    let Received { status, body, retry_after, .. } = received;
    let body = repaired(body);
    Top::accepted("", status, &body, retry_after)?;
    Ok(body)
}

/// What the body of a refusal says, if it is JSON at all.
pub(super) fn said(body: &Bytes) -> Said {
    let text = std::str::from_utf8(body).unwrap_or_default();
    Top::read("", text).map(|top| top.said).unwrap_or_default()
}

/// The body itself where it is UTF-8; else a copy with U+FFFD in place of what is not.
fn repaired(body: Bytes) -> Bytes {
    match String::from_utf8_lossy(&body) {
        std::borrow::Cow::Borrowed(_) => body,
        std::borrow::Cow::Owned(text) => text.into(),
    }
}

/// The cursor in `response_metadata`: absent, null and empty all mean the end; an array or an object
/// where a text belongs means nothing that we know, least of all the end.
fn cursor(body: &Bytes, metadata: Option<&RawValue>) -> Result<Option<Text>, SlackError> {
    let Some(metadata) = metadata.map(RawValue::get).filter(|json| *json != "null") else {
        return Ok(None);
    };
    let unreadable = |error: serde_json::Error| SlackError::NotAPage { line: 1, column: error.column() };
    let Metadata(next) = serde_json::from_str(metadata).map_err(unreadable)?;
    let Some(next) = next.map(RawValue::get).filter(|json| *json != "null") else { return Ok(None) };
    match Text::of_json(body, next) {
        Some(text) if text.as_str().is_empty() => Ok(None),
        // A copy: it must not keep the page's whole body in memory.
        Some(text) => Ok(Some(text.as_str().to_owned().into())),
        None => Err(SlackError::NotAPage { line: 1, column: 1 }),
    }
}

/// The keys of the top object that mean something to us.
#[derive(Default)]
struct Top<'a> {
    list: Option<Vec<&'a RawValue>>,
    metadata: Option<&'a RawValue>,
    paging: Option<&'a RawValue>,
    refused: bool,
    said: Said,
}

impl<'a> Top<'a> {
    fn read(list: &str, text: &'a str) -> Result<Self, serde_json::Error> {
        let mut json = serde_json::Deserializer::from_str(text);
        let top = json.deserialize_map(TopVisitor { list })?;
        json.end().map(|()| top)
    }

    fn accepted(
        list: &str,
        status: u16,
        body: &'a Bytes,
        retry_after: Option<Duration>,
    ) -> Result<Self, SlackError> {
        let text = std::str::from_utf8(body).unwrap_or_default();
        let top = Self::read(list, text)
            .map_err(|error| SlackError::NotAPage { line: error.line(), column: error.column() })?;
        if top.refused { Err(SlackError::of_answer(status, top.said, retry_after)) } else { Ok(top) }
    }
}

/// By hand, for a derived one refuses twin keys; and the list's name is not always the same.
struct TopVisitor<'l> {
    list: &'l str,
}

impl<'de> Visitor<'de> for TopVisitor<'_> {
    type Value = Top<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an answer of Slack's")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut top = Top::default();
        while let Some(name) = map.next_key_seed(Name { list: self.list })? {
            match name {
                Key::List => {
                    if let Elements(Some(more)) = map.next_value()? {
                        // Of two lists, both: an entry too many is dropped by its id.
                        top.list.get_or_insert_default().extend(more);
                    }
                }
                Key::Metadata => top.metadata = Some(map.next_value()?),
                Key::Paging => top.paging = Some(map.next_value()?),
                Key::Ok => top.refused = map.next_value::<&RawValue>()?.get() == "false",
                Key::Error => top.said.code = word(map.next_value()?),
                Key::Needed => top.said.needed = word(map.next_value()?),
                Key::Provided => top.said.provided = word(map.next_value()?),
                Key::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(top)
    }
}

/// A short text of a refusal.
fn word(json: &RawValue) -> Option<Code> {
    serde_json::from_str::<String>(json.get()).ok().as_deref().and_then(Code::new)
}

/// The list of entries; nothing when it is null.
struct Elements<'a>(Option<Vec<&'a RawValue>>);

impl<'de> Deserialize<'de> for Elements<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Elements<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of entries")
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Elements(None))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut elements = Vec::new();
                while let Some(element) = seq.next_element()? {
                    elements.push(element);
                }
                Ok(Elements(Some(elements)))
            }
        }
        deserializer.deserialize_any(List)
    }
}

/// The cursor of `response_metadata`.
struct Metadata<'a>(Option<&'a RawValue>);

impl<'de> Deserialize<'de> for Metadata<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = Metadata<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("response_metadata")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut next = None;
                while let Some(CursorKey(is_cursor)) = map.next_key()? {
                    if is_cursor {
                        next = Some(map.next_value()?);
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(Metadata(next))
            }
        }
        deserializer.deserialize_map(Keys)
    }
}

enum Key {
    List,
    Metadata,
    Paging,
    Ok,
    Error,
    Needed,
    Provided,
    Other,
}

/// Reads a key of the top object.
struct Name<'l> {
    list: &'l str,
}

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Key;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Key, D::Error> {
        deserializer.deserialize_bytes(KeyBytes(|key: &[u8]| match key {
            list if list == self.list.as_bytes() => Key::List,
            b"response_metadata" => Key::Metadata,
            b"paging" => Key::Paging,
            b"ok" => Key::Ok,
            b"error" => Key::Error,
            b"needed" => Key::Needed,
            b"provided" => Key::Provided,
            _ => Key::Other,
        }))
    }
}

struct CursorKey(bool);

impl<'de> Deserialize<'de> for CursorKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(KeyBytes(|key: &[u8]| Self(key == b"next_cursor")))
    }
}

/// A key as bytes: one with a lone surrogate is no string, and no reason to lose a page.
struct KeyBytes<F>(F);

impl<T, F: FnOnce(&[u8]) -> T> Visitor<'_> for KeyBytes<F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_bytes<E>(self, key: &[u8]) -> Result<T, E> {
        Ok((self.0)(key))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::error::Class;
    use super::*;

    fn received(body: Bytes) -> Received {
        Received { status: 200, body, retry_after: None, scopes: None }
    }

    fn read(body: &[u8]) -> Result<Reply, SlackError> {
        Reply::read("entries", received(Bytes::copy_from_slice(body)))
    }

    fn elements(reply: &Reply) -> Vec<&str> {
        reply.elements.iter().map(|element| std::str::from_utf8(element).unwrap()).collect()
    }

    #[test]
    fn elements_are_slices_of_the_body() {
        let body = Bytes::from_static(
            br#"{"entries":[{"id":"a","x":"\/"}, {"id":"b"}],"response_metadata":{"next_cursor":"MTI="}}"#,
        );
        let reply = Reply::read("entries", received(body.clone())).unwrap();
        assert_eq!(elements(&reply), [r#"{"id":"a","x":"\/"}"#, r#"{"id":"b"}"#]);
        assert!(body.as_ptr_range().contains(&reply.elements[1].as_ptr()));
        assert_eq!(reply.cursor.unwrap().as_str(), "MTI=");
    }

    #[test]
    fn the_end_has_many_forms() {
        for tail in [
            "",
            r#","response_metadata":null"#,
            r#","response_metadata":{}"#,
            r#","response_metadata":{"next_cursor":""}"#,
            r#","response_metadata":{"next_cursor":null}"#,
            r#","response_metadata":{"messages":[1]}"#,
        ] {
            let reply = read(format!(r#"{{"entries":[]{tail}}}"#).as_bytes()).unwrap();
            assert_eq!(reply, Reply::default(), "{tail}");
        }
    }

    #[test]
    fn each_list_has_its_name_and_pages_may_be_counted() {
        let body = br#"{"ok":true,"logins":[{"a":1}],"entries":[2],"paging":{"count":1,"total":7,"page":"2","pages":7}}"#;
        let reply = Reply::read("logins", received(Bytes::from_static(body))).unwrap();
        assert_eq!(elements(&reply), [r#"{"a":1}"#]);
        assert_eq!(reply.paging, Some(Paging { page: 2, pages: 7, total: Some(7) }));
        assert_eq!(read(body).unwrap().elements, ["2"]);
        for paging in ["null", "[]", "{}", r#"{"page":1}"#, r#"{"page":1,"pages":-1}"#] {
            let body = format!(r#"{{"entries":[],"paging":{paging}}}"#);
            assert_eq!(read(body.as_bytes()).unwrap(), Reply::default(), "{paging}");
        }
    }

    #[test]
    fn an_answer_without_a_list_is_accepted_unless_it_says_no() {
        let answer = |body: &'static str| accepted(received(Bytes::from_static(body.as_bytes())));
        assert_eq!(answer(r#"{"ok":true,"team":"T1"}"#).unwrap(), r#"{"ok":true,"team":"T1"}"#);
        let error = answer(r#"{"ok":false,"error":"token_revoked"}"#).unwrap_err();
        assert_eq!(error.class(), Class::Token);
        assert!(matches!(answer("<html>"), Err(SlackError::NotAPage { .. })));
    }

    #[test]
    fn an_unreadable_cursor_is_not_the_end() {
        for metadata in ["[]", "3", r#"{"next_cursor":[]}"#, r#"{"next_cursor":{}}"#] {
            let body = format!(r#"{{"entries":[],"response_metadata":{metadata}}}"#);
            assert!(matches!(read(body.as_bytes()), Err(SlackError::NotAPage { .. })), "{metadata}");
        }
    }

    #[test]
    fn what_is_no_page_is_tried_again() {
        let garbage: [&[u8]; 10] = [
            b"",
            b"<html>",
            b"{",
            b"[]",
            b"null",
            b"\"a text\"",
            br#"{"entries":{}}"#,
            br#"{"entries":3}"#,
            br#"{"entries":[{"a":1}"#,
            b"\x1f\x8b\x08",
        ];
        for body in garbage {
            let error = read(body).unwrap_err();
            assert!(matches!(error, SlackError::NotAPage { .. }), "{error:?}");
            assert_eq!(error.class(), Class::Retry);
        }
        for body in [&b"{}"[..], br#"{"entries":null}"#, br#"{"ok":true}"#] {
            assert!(matches!(read(body), Err(SlackError::NoEntries)));
        }
    }

    #[test]
    fn an_error_inside_a_success_is_an_error() {
        let error = read(br#"{"ok":false,"error":"missing_scope","needed":"auditlogs:read"}"#).unwrap_err();
        assert_eq!(error.class(), Class::Token);
        let error = read(br#"{"ok":false,"entries":[]}"#).unwrap_err();
        assert_eq!(error.class(), Class::Retry);
    }

    #[test]
    fn twin_and_broken_keys_lose_nothing() {
        let reply =
            read(br#"{"\ud800":1,"entries":[1],"entries":[2],"ok":true,"response_metadata":{"\udc00":1,"next_cursor":"x"}}"#)
                .unwrap();
        assert_eq!(elements(&reply), ["1", "2"]);
        assert_eq!(reply.cursor.unwrap().as_str(), "x");
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_repaired() {
        let reply = read(b"{\"entries\":[{\"id\":\"a\xffb\"}]}").unwrap();
        assert_eq!(elements(&reply), ["{\"id\":\"a\u{fffd}b\"}"]);
    }

    #[test]
    fn a_deep_entry_is_no_reason_to_fail() {
        let deep = format!(r#"{{"entries":[{}{}]}}"#, "[".repeat(10_000), "]".repeat(10_000));
        assert_eq!(read(deep.as_bytes()).unwrap().elements.len(), 1);
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(body in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            "\\{(\"entries\":(\\[(\\{\\}|1|null|\"x\")?\\]|null|3),?)?(\"response_metadata\":\\{\"next_cursor\":(\"a\"|1|\\[\\])\\})?\\}?"
                .prop_map(String::into_bytes),
        ]) {
            if let Ok(reply) = read(&body) {
                prop_assert!(reply.elements.iter().all(|element| std::str::from_utf8(element).is_ok()));
            }
            said(&Bytes::from(body));
        }
    }

    #[test]
    fn the_body_of_a_refusal_may_be_anything() {
        assert_eq!(said(&Bytes::new()), Said::default());
        assert_eq!(said(&Bytes::from_static(b"<html>")), Said::default());
        let said = said(&Bytes::from_static(br#"{"ok":false,"error":"invalid_cursor","warning":"x"}"#));
        assert_eq!(said.code, Code::new("invalid_cursor"));
    }
}
