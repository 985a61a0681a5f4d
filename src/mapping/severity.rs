//! Severities.

use crate::cef::Severity;

/// The severity that is written like this: `0` to `10`.
pub(super) fn of_digits(text: &str) -> Option<Severity> {
    let digits = matches!(text.as_bytes(), [b'0'..=b'9'] | [b'1', b'0']);
    digits.then(|| text.parse().ok()).flatten().and_then(Severity::new)
}
