//! The few things that a simulated Slack reads out of an entry's JSON.

use std::fmt;

use serde::Deserializer as _;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The value of `key` in a JSON object; the last one where the key stands twice.
///
/// An error says that `object` is not one JSON object.
pub(super) fn member<'a>(object: &'a str, key: &str) -> Result<Option<&'a str>, serde_json::Error> {
    struct Find<'k>(&'k str);
    impl<'de> Visitor<'de> for Find<'_> {
        type Value = Option<&'de str>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut found = None;
            // Keys stay in their JSON form: one may hold a lone surrogate and be no string.
            while let Some(key) = map.next_key::<&'de RawValue>()? {
                if key.get().trim_matches('"') == self.0 {
                    found = Some(map.next_value::<&'de RawValue>()?.get());
                } else {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            Ok(found)
        }
    }
    let mut json = serde_json::Deserializer::from_str(object);
    let found = json.deserialize_map(Find(key))?;
    json.end().map(|()| found)
}

/// The value at a path of keys, in its JSON form.
pub(super) fn at<'a>(object: &'a str, path: &[&str]) -> Option<&'a str> {
    path.iter().try_fold(object, |value, key| member(value, key).ok().flatten())
}

/// The text at a path: of a string what it says, of a number its digits.
pub(super) fn text(object: &str, path: &[&str]) -> Option<String> {
    let json = at(object, path)?;
    serde_json::from_str(json).ok().or_else(|| json.parse::<i64>().ok().map(|number| number.to_string()))
}

/// Unix seconds, written as a number or as a string of digits.
pub(super) fn seconds(object: &str, path: &[&str]) -> Option<i64> {
    at(object, path)?.trim_matches('"').parse().ok()
}
