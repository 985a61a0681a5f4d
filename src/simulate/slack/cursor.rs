//! Cursors: base64 around a place in time, and nothing else remembered.
//!
//! **Invariant:** a cursor knows neither `oldest` nor any filter. A client that does not repeat
//! them walks on through the whole history.

use std::time::Duration;

/// Where a page left off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor {
    /// The newest second that the next page may hold.
    pub(super) from: i64,
    /// When the cursor was handed out.
    pub(super) issued: i64,
}

impl Cursor {
    /// The cursor as Slack hands it out: it always ends in `=`.
    pub(super) fn encode(self) -> String {
        let mut plain = format!("audit:{}:{}:", self.from, self.issued);
        while plain.len() % 3 == 0 {
            plain.push(':');
        }
        encode(plain.as_bytes())
    }

    /// The cursor back; `None` for anything that was not handed out in this form.
    pub(super) fn decode(text: &str) -> Option<Self> {
        let plain = String::from_utf8(decode(text)?).ok()?;
        let (from, issued) = plain.trim_end_matches(':').strip_prefix("audit:")?.split_once(':')?;
        let cursor = Self { from: from.parse().ok()?, issued: issued.parse().ok()? };
        (cursor.encode() == text).then_some(cursor)
    }

    pub(super) fn has_expired(self, now: i64, life: Option<Duration>) -> bool {
        let life = life.map_or(i64::MAX, |life| i64::try_from(life.as_secs()).unwrap_or(i64::MAX));
        now.saturating_sub(self.issued) > life
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn encode(plain: &[u8]) -> String {
    let mut text = String::with_capacity(plain.len().div_ceil(3) * 4);
    for group in plain.chunks(3) {
        let bits = (0..3).fold(0, |bits, nth| bits << 8 | usize::from(group.get(nth).copied().unwrap_or(0)));
        for nth in 0..4 {
            let digit = ALPHABET.get(bits >> (18 - 6 * nth) & 63).copied().unwrap_or(b'=');
            text.push(if nth > group.len() { '=' } else { char::from(digit) });
        }
    }
    text
}

/// The bytes; what follows the first `=`, and digits that do not fill a byte, are dropped.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut plain = Vec::with_capacity(text.len());
    let (mut bits, mut width) = (0_u32, 0);
    for digit in text.bytes().take_while(|digit| *digit != b'=') {
        let value = ALPHABET.iter().position(|known| *known == digit)?;
        bits = bits << 6 | u32::try_from(value).ok()?;
        width += 6;
        if width >= 8 {
            width -= 8;
            plain.push(u8::try_from(bits >> width & 0xff).ok()?);
        }
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_ends_in_an_equals_sign_and_comes_back_whole() {
        for from in [-1, 0, 9, 99, 1_787_680_154, i64::MAX] {
            let cursor = Cursor { from, issued: 1_787_680_155 };
            let text = cursor.encode();
            assert!(text.ends_with('='), "{text}");
            assert_eq!(Cursor::decode(&text), Some(cursor));
            assert_eq!(Cursor::decode(text.trim_end_matches('=')), None);
        }
        for text in ["", "=", "%3D", "dXNlcjpVMEc5V0ZYTlo=", "a cursor", "YXVkaXQ6MTI="] {
            assert_eq!(Cursor::decode(text), None, "{text}");
        }
        assert_eq!(encode(b"user:U0G9WFXNZ"), "dXNlcjpVMEc5V0ZYTlo=");
    }

    #[test]
    fn a_cursor_lives_as_long_as_it_may() {
        let cursor = Cursor { from: 1, issued: 100 };
        assert!(!cursor.has_expired(1_000_000, None));
        assert!(!cursor.has_expired(160, Some(Duration::from_secs(60))));
        assert!(cursor.has_expired(161, Some(Duration::from_secs(60))));
    }
}
