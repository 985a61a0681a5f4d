//! The one entry of a case, out of a text.

use bytes::Bytes;
use serde_json::value::RawValue;

use super::super::text::Slip;
use crate::event::{Entry, UnixTime};

/// The entry that a text holds.
pub(super) fn entry(text: &str) -> Result<Entry, Slip> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    let Some(value) = values.next() else {
        return Err(Slip::new(0..text.len(), "no-entry", "there is no entry in it").help(ONE));
    };
    let value = value.map_err(|error| {
        let at = offset(text, error.line(), error.column());
        let why = error.to_string();
        let why = why.rsplit_once(" at line ").map_or(why.as_str(), |(why, _)| why);
        Slip::new(at..at.saturating_add(1).min(text.len()), "not-json", format!("this is not JSON: {why}"))
    })?;
    let end = values.byte_offset();
    let rest = text.get(end..).unwrap_or_default();
    if !rest.trim_ascii().is_empty() {
        let start = text.len().saturating_sub(rest.trim_ascii_start().len());
        let slip = Slip::new(start..start.saturating_add(1), "no-entry", "something follows the entry");
        return Err(slip.help("a case has one entry: make a case of each"));
    }
    let whole = end.saturating_sub(value.get().len())..end;
    let never = UnixTime::from_seconds(0);
    let entry = Entry::of_any_log(Bytes::from(value.get().to_owned()), never, 0).map_err(|_| {
        Slip::new(whole.clone(), "no-entry", "this is no entry, but another kind of JSON").help(ONE)
    })?;
    let has = |key: &str| {
        serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(value.get())
            .is_ok_and(|map| map.contains_key(key))
    };
    if has("entries") && !has("action") {
        let slip = Slip::new(whole, "no-entry", "this is a whole answer of Slack's API, not an entry");
        return Err(slip.help("a case has one entry: take one of `entries`"));
    }
    Ok(entry)
}

const ONE: &str = "a case has one entry, as Slack's API gives it: { \"id\": …, \"action\": … }";

/// The byte at a line and column as JSON's reader counts them: from 1, in bytes.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    before.saturating_add(column.saturating_sub(1)).min(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slip(text: &str) -> (&str, String) {
        let slip = entry(text).unwrap_err();
        (text.get(slip.at).unwrap(), slip.what)
    }

    #[test]
    fn places_what_is_wrong_in_the_text() {
        assert_eq!(slip("{\n  \"id\": \"1\",\n  \"x\": tru }").0, " ");
        assert_eq!(slip(r#"{"a":1,}"#).0, "}");
        assert_eq!(slip("{\"a\":1}\n{\"a\":2}").0, "{");
        assert_eq!(slip(" [1] "), ("[1]", "this is no entry, but another kind of JSON".into()));
        assert!(slip(r#"{"entries":[{"id":"1"}]}"#).1.contains("whole answer"));
        assert_eq!(slip("").1, "there is no entry in it");
    }

    #[test]
    fn takes_one_entry_whatever_stands_around_it() {
        let entry = entry("\n  {\"id\":\"1\",\"action\":\"user_login\"}\n").unwrap();
        assert_eq!((entry.id().as_str(), entry.action().as_str()), ("1", "user_login"));
    }
}
