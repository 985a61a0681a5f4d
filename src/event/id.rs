//! The names an entry goes by: its log, its id, its action, its time.

use std::fmt;

use bytes::Bytes;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

/// One of the logs that the forwarder knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Log {
    /// The Audit Logs API.
    Audit,
    /// What the forwarder says of itself; nothing is polled for it.
    Forwarder,
    /// The access log: `team.accessLogs`.
    Access,
    /// The integration log: `team.integrationLogs`.
    Integration,
}

impl Log {
    /// Every log, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Audit, Self::Forwarder, Self::Access, Self::Integration];

    /// The name that configuration and mapping files use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Audit => "audit",
            Self::Forwarder => "forwarder",
            Self::Access => "access",
            Self::Integration => "integration",
        }
    }

    /// The log of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|log| log.name() == name)
    }
}

impl fmt::Display for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A piece of UTF-8 text that shares the buffer it was found in.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Text(Bytes);

impl Text {
    /// Takes the bytes where they are UTF-8.
    pub fn from_utf8(bytes: Bytes) -> Option<Self> {
        std::str::from_utf8(&bytes).is_ok().then_some(Self(bytes))
    }

    /// The text of a JSON scalar that lies in `within`; `None` for null, arrays and objects.
    ///
    /// A string without escapes is borrowed from `within`; lone surrogates become U+FFFD.
    pub(crate) fn of_json(within: &Bytes, json: &str) -> Option<Self> {
        match json.as_bytes() {
            [b'"', inner @ .., b'"'] if !inner.contains(&b'\\') => Some(Self(within.slice_ref(inner))),
            [b'"', ..] => Some(Self::from(unescape(json))),
            [b'{' | b'[', ..] | b"null" | [] => None,
            scalar => Some(Self(within.slice_ref(scalar))),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The buffer behind it.
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(Bytes::from(text))
    }
}

impl From<&'static str> for Text {
    fn from(text: &'static str) -> Self {
        Self(Bytes::from_static(text.as_bytes()))
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// A JSON string with its escapes undone; a lone surrogate becomes U+FFFD.
fn unescape(json: &str) -> String {
    // serde_json hands out a string with lone surrogates as bytes alone.
    struct Lossy;
    impl serde::de::Visitor<'_> for Lossy {
        type Value = String;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }
        fn visit_bytes<E>(self, bytes: &[u8]) -> Result<String, E> {
            Ok(repaired(bytes))
        }
    }
    let mut de = serde_json::Deserializer::from_str(json);
    serde::Deserializer::deserialize_bytes(&mut de, Lossy).unwrap_or_default()
}

/// UTF-8 with each surrogate (three bytes in WTF-8) replaced by one U+FFFD.
fn repaired(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    let mut rest = bytes;
    while !rest.is_empty() {
        match std::str::from_utf8(rest) {
            Ok(valid) => {
                text.push_str(valid);
                break;
            }
            Err(at) => {
                let (valid, bad) = rest.split_at(at.valid_up_to());
                text.push_str(std::str::from_utf8(valid).unwrap_or_default());
                text.push('\u{fffd}');
                let width = if matches!(bad, [0xed, 0xa0..=0xbf, ..]) {
                    3
                } else {
                    at.error_len().unwrap_or(bad.len())
                };
                rest = bad.get(width..).unwrap_or_default();
            }
        }
    }
    text
}

/// What makes an entry itself: two entries with one id and one time are one entry.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryId(Text);

impl EntryId {
    /// The id that Slack gave.
    pub fn given(id: Text) -> Self {
        Self(id)
    }

    /// An id for an entry that has none: a hash of its text, and its count among equals.
    ///
    /// A window read again yields the same ids, and of two entries alike to the byte neither is
    /// taken for the other.
    pub fn derived(raw: &[u8], nth: u32) -> Self {
        Self::of_digest(&Sha256::digest(raw), nth)
    }

    /// An id for an entry that is known by a hash of what it says, and its count among equals.
    pub(super) fn of_digest(digest: &[u8], nth: u32) -> Self {
        use fmt::Write as _;
        let mut id = String::with_capacity(44);
        for byte in digest.iter().take(16) {
            write!(id, "{byte:02x}").unwrap_or_default();
        }
        write!(id, "-{nth}").unwrap_or_default();
        Self(id.into())
    }

    /// Whether it has the form of a derived id; one that Slack gave has it by accident only.
    pub(crate) fn has_derived_form(&self) -> bool {
        matches!(self.as_str().split_once('-'), Some((hash, nth))
            if hash.len() == 32 && !nth.is_empty() && nth.bytes().all(|byte| byte.is_ascii_digit()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// The name of what was done, as Slack spells it: `user_login`, `pref.sso_setting_changed`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Action(Text);

impl Action {
    /// Any text: Slack invents names without notice, and hostile ones are made safe when encoded.
    pub fn new(name: Text) -> Self {
        Self(name)
    }

    /// The name of an entry that names no action.
    pub fn unknown() -> Self {
        Self(Text::from("unknown"))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// Whole seconds since 1970: the resolution of Slack's audit log. In JSON of ours it is a text of
/// RFC 3339, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UnixTime(i64);

impl UnixTime {
    /// A time from seconds.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Seconds since 1970.
    pub const fn seconds(self) -> i64 {
        self.0
    }

    /// A time from a JSON number, or a string that holds one, in seconds, milli- or microseconds:
    /// Slack uses all three, and the magnitude tells which.
    pub(crate) fn of_json(json: &str) -> Option<Self> {
        let text = json.trim_matches('"');
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        // `1.787e9` is a number as well, and its whole part no time.
        if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let number: i64 = whole.parse().ok()?;
        Some(Self(match number.unsigned_abs() {
            0..100_000_000_000 => number,
            100_000_000_000..100_000_000_000_000 => number.div_euclid(1_000),
            _ => number.div_euclid(1_000_000),
        }))
    }

    /// That many seconds later, or earlier where negative.
    #[must_use]
    pub const fn plus(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds))
    }
}

impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_second(self.0) {
            Ok(time) => fmt::Display::fmt(&time, f),
            Err(_) => write!(f, "second {}", self.0),
        }
    }
}

impl Serialize for UnixTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UnixTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let time: jiff::Timestamp = text.parse().map_err(D::Error::custom)?;
        Ok(Self(time.as_second()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_of_a_time_shows_in_its_magnitude() {
        for json in ["1787680154", "\"1787680154\"", "1787680154590", "1787680154590746", "1787680154.59"] {
            assert_eq!(UnixTime::of_json(json), Some(UnixTime(1_787_680_154)), "{json}");
        }
        for json in ["\"yesterday\"", "1.787680154e9", "1e9"] {
            assert_eq!(UnixTime::of_json(json), None, "{json}");
        }
    }

    #[test]
    fn in_json_a_time_is_a_text_of_rfc_3339() {
        let time = UnixTime(1_787_680_154);
        let json = serde_json::to_string(&time).unwrap();
        assert_eq!(json, "\"2026-08-25T17:49:14Z\"");
        assert_eq!(serde_json::from_str::<UnixTime>(&json).unwrap(), time);
        assert!(serde_json::from_str::<UnixTime>("\"yesterday\"").is_err());
    }

    #[test]
    fn escapes_are_undone_and_surrogates_repaired() {
        assert_eq!(unescape(r#""a\/b\u00e9\ud83d\ude00""#), "a/bé😀");
        assert_eq!(unescape(r#""\ud800""#), "\u{fffd}");
        assert_eq!(unescape(r#""x\udc00y""#), "x\u{fffd}y");
    }
}
