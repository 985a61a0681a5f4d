//! A line read back, strictly: for tests, and for people who ask why a field holds what it holds.
//!
//! This is no reader for other people's CEF. It refuses whatever [`Encoder`](super::Encoder) must
//! never write, valid CEF or not: a header that needs an escape, an escape other than `\\`, `\=`
//! and `\n`, an empty value, a value of the wrong type or over its key's length, a name that
//! stands twice, a custom field without its label, a label without its field.

use std::net::{IpAddr, Ipv4Addr};

use super::header::{
    CLASS_ID_LIMIT, DEVICE_VERSION_LIMIT, NAME_LIMIT, PRODUCT_LIMIT, Severity, VENDOR_LIMIT, is_header_text,
};
use super::key::{BadKey, CUT_KEY, Key, Kind, Label, Since};
use super::place::IPV6_HOMES;
use super::{text, typed};

/// What a line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// The version in the header.
    pub version: Since,
    /// Who made the product.
    pub vendor: String,
    /// The product that saw the event.
    pub product: String,
    /// The product's version.
    pub device_version: String,
    /// The stable class id.
    pub class_id: String,
    /// What happened, in words.
    pub name: String,
    /// How grave it is.
    pub severity: Severity,
    /// Keys and values in their order, labels and `slackcefCut` among them, escapes undone.
    pub fields: Vec<(String, String)>,
}

impl Decoded {
    /// The value of a key.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.fields.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}

/// Why a line is none of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A line break, another control character, or a separator of lines or paragraphs.
    #[error("a control character or line break at byte {at}")]
    Control {
        /// Where it stands.
        at: usize,
    },
    /// Not `CEF:0|` or `CEF:1|`.
    #[error("the line does not begin with `CEF:0|` or `CEF:1|`")]
    Version,
    /// Fewer than seven pipes.
    #[error("the header has fewer than seven pipes")]
    Pipes,
    /// Empty, too long, or with a character that some reader misreads.
    #[error("`{part}` in the header is empty, too long or not plain text")]
    Header {
        /// The part of the header.
        part: &'static str,
    },
    /// Text where a key and `=` must stand.
    #[error("text at byte {at} of the extension belongs to no key")]
    Keyless {
        /// Where it stands.
        at: usize,
    },
    /// An `=` in a value without a backslash before it.
    #[error("an unescaped `=` in the value of `{key}`")]
    Equals {
        /// The value's key.
        key: String,
    },
    /// A backslash that is not the first half of `\\`, `\=` or `\n`.
    #[error("a backslash that escapes nothing in the value of `{key}`")]
    Escape {
        /// The value's key.
        key: String,
    },
    /// A key that must not be written.
    #[error("`{key}` may not be written")]
    Key {
        /// The key.
        key: String,
        /// Why not.
        source: BadKey,
    },
    /// A value that some reader changes: empty, with white space or a pipe at an end, in quotes,
    /// or with `CEF:` in it.
    #[error("the value of `{key}` is one that readers change")]
    Form {
        /// The value's key.
        key: String,
    },
    /// A value that is not of its key's type.
    #[error("the value of `{key}` is not {}", .wanted.described())]
    Type {
        /// The value's key.
        key: String,
        /// What it must be.
        wanted: Kind,
    },
    /// A value over its key's length.
    #[error("the value of `{key}` is longer than {limit} bytes")]
    Length {
        /// The value's key.
        key: String,
        /// The key's length.
        limit: usize,
    },
    /// A name that an earlier key or label has, in any case.
    #[error("`{name}` stands twice, as a key or a label")]
    Twice {
        /// The name.
        name: String,
    },
    /// A custom field without its label right after it, or a label without its field.
    #[error("`{key}` has no label, or is a label without its field")]
    Label {
        /// The key of the field or the label.
        key: String,
    },
    /// The mark of what was cut is unreadable or not the last field.
    #[error("the mark of what was cut is unreadable, or not the last field")]
    Mark,
}

/// Reads one line, without a line break at its end.
///
/// # Errors
/// [`DecodeError`] for the first thing in it that our encoder never writes.
pub fn decode(line: &str) -> Result<Decoded, DecodeError> {
    let control = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    if let Some(at) = line.find(control) {
        return Err(DecodeError::Control { at });
    }
    let (version, rest) = match (line.strip_prefix("CEF:0|"), line.strip_prefix("CEF:1|")) {
        (Some(rest), _) => (Since::V0, rest),
        (_, Some(rest)) => (Since::V1, rest),
        (None, None) => return Err(DecodeError::Version),
    };
    let mut parts = rest.splitn(7, '|');
    let mut part = || parts.next().ok_or(DecodeError::Pipes);
    let (vendor, product, device_version) = (part()?, part()?, part()?);
    let (class_id, name, severity, extension) = (part()?, part()?, part()?, part()?);
    let decoded = Decoded {
        version,
        vendor: header_text("vendor", vendor, VENDOR_LIMIT)?,
        product: header_text("product", product, PRODUCT_LIMIT)?,
        device_version: header_text("device version", device_version, DEVICE_VERSION_LIMIT)?,
        class_id: header_text("class id", class_id, CLASS_ID_LIMIT)?,
        name: header_text("name", name, NAME_LIMIT)?,
        severity: (0..=10)
            .filter_map(Severity::new)
            .find(|one| one.digits() == severity)
            .ok_or(DecodeError::Header { part: "severity" })?,
        fields: pairs(extension)?,
    };
    check_fields(version, &decoded.fields)?;
    Ok(decoded)
}

fn header_text(part: &'static str, text: &str, limit: usize) -> Result<String, DecodeError> {
    if text.len() > limit || !is_header_text(text) {
        return Err(DecodeError::Header { part });
    }
    Ok(text.to_owned())
}

/// `key=value key=value`, escapes undone.
fn pairs(extension: &str) -> Result<Vec<(String, String)>, DecodeError> {
    let mut pairs = Vec::new();
    let mut rest = extension;
    while !rest.is_empty() {
        let keyless = DecodeError::Keyless { at: extension.len().saturating_sub(rest.len()) };
        let (key, after) = key_at(rest).ok_or(keyless)?;
        let (value, after) = value_at(key, after)?;
        pairs.push((key.to_owned(), value));
        rest = after;
    }
    Ok(pairs)
}

/// The word before an `=` at the beginning of the text, and what comes after the `=`.
fn key_at(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric())?;
    let (key, after) = text.split_at_checked(end)?;
    Some((key, after.strip_prefix('=')?)).filter(|(key, _)| !key.is_empty())
}

/// The value at the beginning of the text, up to a space with a key and `=` behind it, and what
/// comes after that space.
fn value_at<'a>(key: &str, text: &'a str) -> Result<(String, &'a str), DecodeError> {
    let mut value = String::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            ' ' if key_at(rest.as_str()).is_some() => return Ok((value, rest.as_str())),
            '=' => return Err(DecodeError::Equals { key: key.to_owned() }),
            '\\' => match rest.next() {
                Some('n') => value.push('\n'),
                Some(escaped @ ('\\' | '=')) => value.push(escaped),
                _ => return Err(DecodeError::Escape { key: key.to_owned() }),
            },
            c => value.push(c),
        }
    }
    Ok((value, rest.as_str()))
}

fn check_fields(version: Since, fields: &[(String, String)]) -> Result<(), DecodeError> {
    let mut names: Vec<&str> = Vec::new();
    let mut fields = fields.iter().peekable();
    while let Some((name, value)) = fields.next() {
        check_form(name, value)?;
        take(&mut names, name)?;
        if name == CUT_KEY {
            return if is_mark(value) && fields.next().is_none() { Ok(()) } else { Err(DecodeError::Mark) };
        }
        let key = match Key::new(name) {
            Err(BadKey::Label) => return Err(DecodeError::Label { key: name.clone() }),
            key => key.map_err(|source| DecodeError::Key { key: name.clone(), source })?,
        };
        check_type(version, &key, value)?;
        if let Some(label_key) = key.label_key() {
            let label = fields.next_if(|(next, _)| next == label_key);
            let missing = || DecodeError::Label { key: name.clone() };
            let (label_key, label) = label.ok_or_else(missing)?;
            if !is_label(label) {
                return Err(missing());
            }
            take(&mut names, label_key)?;
            take(&mut names, label)?;
        }
    }
    Ok(())
}

fn take<'a>(names: &mut Vec<&'a str>, name: &'a str) -> Result<(), DecodeError> {
    if names.iter().any(|taken| taken.eq_ignore_ascii_case(name)) {
        return Err(DecodeError::Twice { name: name.to_owned() });
    }
    names.push(name);
    Ok(())
}

fn check_form(key: &str, value: &str) -> Result<(), DecodeError> {
    let quoted = value.starts_with('"') && value.ends_with('"');
    if value.is_empty() || text::trimmed(value) != value || quoted || value.contains("CEF:") {
        return Err(DecodeError::Form { key: key.to_owned() });
    }
    Ok(())
}

fn check_type(version: Since, key: &Key, value: &str) -> Result<(), DecodeError> {
    let right = match key.kind() {
        Kind::Text => true,
        Kind::Time => value.parse::<u64>().is_ok_and(|time| time.to_string() == value),
        Kind::Address if version == Since::V0 => value.parse::<Ipv4Addr>().is_ok(),
        Kind::Address => value.parse::<IpAddr>().is_ok(),
        kind => {
            let mut written = String::new();
            typed::write(kind, value, &mut written).is_ok() && written == value
        }
    };
    if !right {
        return Err(DecodeError::Type { key: key.name().to_owned(), wanted: key.kind() });
    }
    match key.limit() {
        Some(limit) if value.len() > limit => Err(DecodeError::Length { key: key.name().to_owned(), limit }),
        _ => Ok(()),
    }
}

/// A word, or the words of a moved IPv6 address.
fn is_label(label: &str) -> bool {
    Label::new(label).is_some() || IPV6_HOMES.iter().any(|home| home.words == label)
}

/// `key:bytes,key:bytes,+3`.
fn is_mark(mark: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let mut pieces = mark.split(',').peekable();
    while let Some(piece) = pieces.next() {
        let named = piece.split_once("CEF%3A").or_else(|| piece.split_once(':'));
        let right = match (piece.strip_prefix('+'), named) {
            (Some(more), _) => is_number(more) && pieces.peek().is_none(),
            (None, Some((key, bytes))) => key.bytes().all(|b| b.is_ascii_alphanumeric()) && is_number(bytes),
            (None, None) => false,
        };
        if !right {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "CEF:0|Slack|Audit Logs|0.1.0|user_login|User logged in|3|";

    fn fields(extension: &str) -> Result<Vec<(String, String)>, DecodeError> {
        decode(&format!("{HEADER}{extension}")).map(|decoded| decoded.fields)
    }

    fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn reads_a_line_of_ours() {
        let decoded =
            decode(&format!(r"{HEADER}rt=1787680154000 suser=ann b cs1=a\\=b\nc cs1Label=SlackActorName"));
        let Err(DecodeError::Equals { key }) = decoded else { panic!("{decoded:?}") };
        assert_eq!(key, "cs1");

        let decoded = decode(&format!(
            r"{HEADER}rt=1787680154000 suser=ann b src=192.0.2.1 cs1=a\\\=b\nc cs1Label=SlackActorName slackcefCut=cs6:8000,FooCEF%3A1,+2"
        ))
        .unwrap();
        assert_eq!((decoded.version, decoded.vendor.as_str()), (Since::V0, "Slack"));
        assert_eq!((decoded.class_id.as_str(), decoded.severity.get()), ("user_login", 3));
        assert_eq!(
            decoded.fields,
            owned(&[
                ("rt", "1787680154000"),
                ("suser", "ann b"),
                ("src", "192.0.2.1"),
                ("cs1", "a\\=b\nc"),
                ("cs1Label", "SlackActorName"),
                ("slackcefCut", "cs6:8000,FooCEF%3A1,+2"),
            ])
        );
        assert_eq!(decoded.value("suser"), Some("ann b"));
        assert_eq!(decode(HEADER).unwrap().fields, []);
    }

    #[test]
    fn refuses_a_header_that_some_reader_misreads() {
        for (line, error) in [
            ("CEF:2|a|b|c|d|e|3|", DecodeError::Version),
            ("<1>CEF:0|a|b|c|d|e|3|", DecodeError::Version),
            ("CEF:0|a|b|c|d|e|3", DecodeError::Pipes),
            ("CEF:0||b|c|d|e|3|", DecodeError::Header { part: "vendor" }),
            (r"CEF:0|a|b\|c|d|e|3|", DecodeError::Header { part: "product" }),
            ("CEF:0|a|b| c|d|e|3|", DecodeError::Header { part: "device version" }),
            ("CEF:0|a|b|c|d=|e|3|", DecodeError::Header { part: "class id" }),
            ("CEF:0|a|b|c|d|\"e\"|3|", DecodeError::Header { part: "name" }),
            ("CEF:0|a|b|c|d|e|11|", DecodeError::Header { part: "severity" }),
            ("CEF:0|a|b|c|d|e|High|", DecodeError::Header { part: "severity" }),
            ("CEF:0|a|b|c|d|e|3|rt=1\nCEF:0|", DecodeError::Control { at: 22 }),
        ] {
            assert_eq!(decode(line), Err(error), "{line}");
        }
    }

    #[test]
    fn refuses_what_the_encoder_never_writes() {
        let key = |key: &str| key.to_owned();
        for (extension, error) in [
            ("text", DecodeError::Keyless { at: 0 }),
            (" suser=a", DecodeError::Keyless { at: 0 }),
            ("my-key=a", DecodeError::Keyless { at: 0 }),
            ("suser=a=b", DecodeError::Equals { key: key("suser") }),
            ("suser=a\\b", DecodeError::Escape { key: key("suser") }),
            ("suser=a\\|b", DecodeError::Escape { key: key("suser") }),
            ("suser=a\\r", DecodeError::Escape { key: key("suser") }),
            ("suser=a\\", DecodeError::Escape { key: key("suser") }),
            ("suser=", DecodeError::Form { key: key("suser") }),
            ("suser=a  duser=b", DecodeError::Form { key: key("suser") }),
            ("suser=a|", DecodeError::Form { key: key("suser") }),
            ("suser=\"a\"", DecodeError::Form { key: key("suser") }),
            ("suser=xCEF:0", DecodeError::Form { key: key("suser") }),
            ("suser=a\\n duser=b", DecodeError::Form { key: key("suser") }),
            ("suser=a suser=b", DecodeError::Twice { name: key("suser") }),
            ("SlackTeam=a slackteam=b", DecodeError::Twice { name: key("slackteam") }),
            ("cs1=a cs1Label=X cs2=b cs2Label=x", DecodeError::Twice { name: key("x") }),
            ("cs1=a", DecodeError::Label { key: key("cs1") }),
            ("cs1=a suser=b cs1Label=X", DecodeError::Label { key: key("cs1") }),
            ("cs1=a cs1Label=two words", DecodeError::Label { key: key("cs1") }),
            ("cs1Label=X", DecodeError::Label { key: key("cs1Label") }),
            ("agt=192.0.2.1", DecodeError::Key { key: key("agt"), source: BadKey::ConsumersOnly }),
            ("src=2001:db8::1", DecodeError::Type { key: key("src"), wanted: Kind::Address }),
            ("cnt=1.5", DecodeError::Type { key: key("cnt"), wanted: Kind::Integer }),
            ("rt=2026-08-25T17:49:14Z", DecodeError::Type { key: key("rt"), wanted: Kind::Time }),
            ("slackcefCut=", DecodeError::Form { key: key("slackcefCut") }),
            ("slackcefCut=cs6", DecodeError::Mark),
            ("slackcefCut=+1,cs6:1", DecodeError::Mark),
            ("slackcefCut=cs6:1 suser=a", DecodeError::Mark),
        ] {
            assert_eq!(fields(extension), Err(error), "{extension}");
        }
        let long = format!("act={}", "a".repeat(64));
        assert_eq!(fields(&long), Err(DecodeError::Length { key: key("act"), limit: 63 }));
    }

    #[test]
    fn the_words_of_arcsight_are_labels_too() {
        assert!(fields("c6a2=2001:db8::1 c6a2Label=Source IPv6 Address").is_ok());
        assert!(fields("cs1=a cs1Label=deviceCustomString1").is_err());
        assert!(decode(&HEADER.replace("CEF:0", "CEF:1")).is_ok());
    }
}
