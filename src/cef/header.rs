//! What may stand in a header: severity, and text that no reader needs an escape for.

use std::fmt;
use std::sync::Arc;

/// The longest vendor, in bytes.
pub const VENDOR_LIMIT: usize = 63;
/// The longest product, in bytes.
pub const PRODUCT_LIMIT: usize = 63;
/// The longest device version, in bytes.
pub const DEVICE_VERSION_LIMIT: usize = 31;
/// The longest class id, in bytes.
pub const CLASS_ID_LIMIT: usize = 1023;
/// The longest name, in bytes.
pub const NAME_LIMIT: usize = 512;

/// CEF's severity: 0 (least) to 10. Low to 3, Medium to 6, High to 8, then Very-High.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Severity(u8);

impl Severity {
    /// A severity, where it is within 0 to 10.
    pub const fn new(severity: u8) -> Option<Self> {
        if severity <= 10 { Some(Self(severity)) } else { None }
    }

    /// 0 to 10.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// As it is written: `0` to `10`.
    pub const fn digits(self) -> &'static str {
        match self.0 {
            0 => "0",
            1 => "1",
            2 => "2",
            3 => "3",
            4 => "4",
            5 => "5",
            6 => "6",
            7 => "7",
            8 => "8",
            9 => "9",
            _ => "10",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Text that may stand in a header: ASCII letters, digits, space, `.`, `_` and `-`, not empty, no
/// space at either end. No reader needs an escape for it: several never undo one (pycef, SC4S).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderText(Arc<str>);

impl HeaderText {
    /// The text, where it keeps to the rule and to `limit` bytes.
    pub fn new(text: &str, limit: usize) -> Option<Self> {
        (text.len() <= limit && is_header_text(text)).then(|| Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether the text keeps to the rule of [`HeaderText`].
pub(super) fn is_header_text(text: &str) -> bool {
    let safe = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b' ' | b'.' | b'_' | b'-');
    !text.is_empty() && text.trim() == text && text.bytes().all(safe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_text_needs_no_escape_anywhere() {
        for good in ["Slack", "Audit Logs", "0.1.0-rc.1", "a_b"] {
            assert!(HeaderText::new(good, 63).is_some(), "{good}");
        }
        for bad in
            ["", " Slack", "Slack ", "a|b", "a\\b", "a=b", "\"a\"", "a(b)", "a/b", "a,b", "a%b", "ä", "a\n"]
        {
            assert!(HeaderText::new(bad, 63).is_none(), "{bad}");
        }
        assert!(HeaderText::new("abcd", 3).is_none());
    }

    #[test]
    fn severities_are_written_as_their_number() {
        for severity in 0..=10 {
            assert_eq!(Severity::new(severity).unwrap().digits(), severity.to_string());
        }
        assert_eq!(Severity::new(11), None);
    }
}
