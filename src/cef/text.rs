//! A value's way into a line: made harmless, trimmed, escaped, cut.
//!
//! Which characters change, and why:
//!
//! | in the value | escaped | plain |
//! |---|---|---|
//! | CR LF, CR, LF | `\n` | space |
//! | tab, NEL, LS, PS | space | space |
//! | other control characters | nothing | nothing |
//! | white space of any kind at the ends, pipes at the end | nothing | nothing |
//! | `"` at both ends | `'` | `'` |
//! | `\` | `\\` | `/` |
//! | `=` | `\=` | `%3D` |
//! | the pipe | itself | `%7C` |
//! | `CEF:` | `CEF%3A` | `CEF%3A` |
//!
//! `CEF:` is broken in capitals alone, which is how every reader that looks for it spells it;
//! `cef:` stands inside IPv6 addresses (`2001:cef::1`) and must stay.
//!
//! **Invariant:** what is written holds no line break, no control character and no `=` that a
//! backslash does not precede, so no value can end its field or its line.

use super::encode::Values;

/// How much of a value may be written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    /// Bytes of the value as a reader has it, its escapes undone.
    pub(super) read: usize,
    /// Bytes in the line.
    pub(super) written: usize,
}

/// What was written of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// All of it.
    Whole,
    /// So many bytes of it, as a reader has them; maybe none.
    Cut(usize),
}

/// Appends `value` as far as `room` reaches: nothing, a part that ends at a character's edge and
/// in a character worth reading, or all of it.
pub(super) fn write(values: Values, value: &str, room: Room, out: &mut Vec<u8>) -> Written {
    let text = trimmed(value);
    let start = out.len();
    let escapes = write_all(values, text, out);
    let written = out.len().saturating_sub(start);
    let quoted = text.starts_with('"') && text.ends_with('"');
    if written <= room.written && written.saturating_sub(escapes) <= room.read {
        if quoted {
            set(out, start, b'\'');
            set(out, start.saturating_add(written).saturating_sub(1), b'\'');
        }
        return Written::Whole;
    }
    out.truncate(start);
    let escapes = write_all(values, beginning(values, text, room, out), out);
    if quoted && out.len() > start {
        set(out, start, b'\'');
    }
    Written::Cut(out.len().saturating_sub(start).saturating_sub(escapes))
}

/// The value without what means nothing at its ends.
pub(super) fn trimmed(value: &str) -> &str {
    let graphic = |b: Option<&u8>| b.is_some_and(|&b| b.is_ascii_graphic() && b != b'|');
    if graphic(value.as_bytes().first()) && graphic(value.as_bytes().last()) {
        return value;
    }
    value.trim_start_matches(is_void).trim_end_matches(|c| is_void(c) || c == '|')
}

fn is_void(c: char) -> bool {
    c.is_whitespace() || c.is_control()
}

/// The longest beginning of `text` that `room` takes.
///
/// It ends neither in what [`trimmed`] takes off nor in a quote: a cut must not make an end that
/// readers change, and what is cut is marked anyway. `out` is lent to measure in, and given back
/// as it came.
fn beginning<'a>(values: Values, text: &'a str, room: Room, out: &mut Vec<u8>) -> &'a str {
    let start = out.len();
    let mut escapes = 0_usize;
    let mut fits = 0_usize;
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        escapes = escapes.saturating_add(write_char(values, c, rest.as_str(), out));
        let written = out.len().saturating_sub(start);
        if written > room.written || written.saturating_sub(escapes) > room.read {
            break;
        }
        fits = text.len().saturating_sub(rest.as_str().len());
    }
    out.truncate(start);
    let kept = text.get(..fits).unwrap_or_default();
    kept.trim_end_matches(|c| is_void(c) || matches!(c, '|' | '"'))
}

/// Appends all of `text`; the number of backslashes that escape.
fn write_all(values: Values, text: &str, out: &mut Vec<u8>) -> usize {
    let mut escapes = 0_usize;
    let mut rest = text;
    loop {
        let (plain, special) = rest.split_at_checked(plain_bytes(rest.as_bytes())).unwrap_or((rest, ""));
        out.extend_from_slice(plain.as_bytes());
        let mut after = special.chars();
        let Some(c) = after.next() else { return escapes };
        rest = after.as_str();
        escapes = escapes.saturating_add(write_char(values, c, rest, out));
    }
}

/// Appends one character, before which the value's beginning was written and after which comes
/// `rest`; 1 when a backslash escapes it.
fn write_char(values: Values, c: char, rest: &str, out: &mut Vec<u8>) -> usize {
    let (written, escapes): (&[u8], usize) = match (c, values) {
        ('\r', _) if rest.starts_with('\n') => (b"", 0),
        ('\n' | '\r', Values::Escaped) => (b"\\n", 1),
        ('\n' | '\r', Values::Plain) | ('\t' | '\u{85}' | '\u{2028}' | '\u{2029}', _) => (b" ", 0),
        ('\\', Values::Escaped) => (b"\\\\", 1),
        ('\\', Values::Plain) => (b"/", 0),
        ('=', Values::Escaped) => (b"\\=", 1),
        ('=', Values::Plain) => (b"%3D", 0),
        ('|', Values::Plain) => (b"%7C", 0),
        // Looked for in what is written: dropped characters may have stood between the letters,
        // and `%7C` may have brought the first.
        (':', _) if out.ends_with(b"CEF") => (b"%3A", 0),
        (c, _) if c.is_control() => (b"", 0),
        (c, _) => {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            return 0;
        }
    };
    out.extend_from_slice(written);
    escapes
}

/// How many bytes at the beginning of a text are written as they are: up to the next character
/// that [`write_char`] must look at.
fn plain_bytes(text: &[u8]) -> usize {
    // Whole blocks first, without a branch inside, so that they are compared many bytes at a time.
    let (blocks, _) = text.as_chunks::<16>();
    let clean = blocks.iter().take_while(|block| !block.iter().fold(false, |any, &b| any | is_special(b)));
    let clean = clean.count().saturating_mul(16);
    let rest = text.get(clean..).unwrap_or_default();
    clean.saturating_add(rest.iter().position(|&b| is_special(b)).unwrap_or(rest.len()))
}

/// Control characters, the escaped ones, the colon of `CEF:`, and the first bytes of C1 controls
/// and NEL (`C2`), LS and PS (`E2`).
#[expect(
    clippy::needless_bitwise_bool,
    reason = "without a branch, so that many bytes are compared at a time"
)]
const fn is_special(b: u8) -> bool {
    (b < 0x20)
        | (b == b'\\')
        | (b == b'=')
        | (b == b'|')
        | (b == b':')
        | (b == 0x7f)
        | (b == 0xc2)
        | (b == 0xe2)
}

fn set(out: &mut [u8], at: usize, b: u8) {
    if let Some(place) = out.get_mut(at) {
        *place = b;
    }
}
