//! The inside of JSON strings: escapes undone, compared without undoing them, and written.

use std::fmt::Write as _;

/// Whether the inside of a string, unescaped, is `wanted`.
pub(in crate::mapping) fn string_is(inner: &str, wanted: &str) -> bool {
    if !inner.contains('\\') {
        return inner == wanted;
    }
    let mut rest = wanted;
    for piece in Pieces(inner) {
        let left = match piece {
            Piece::Run(run) => rest.strip_prefix(run),
            Piece::Char(c) => rest.strip_prefix(c),
        };
        match left {
            Some(left) => rest = left,
            None => return false,
        }
    }
    rest.is_empty()
}

/// Appends the inside of a string with its escapes undone; a lone surrogate becomes U+FFFD.
pub(in crate::mapping) fn unescape(inner: &str, out: &mut String) {
    for piece in Pieces(inner) {
        match piece {
            Piece::Run(run) => out.push_str(run),
            Piece::Char(c) => out.push(c),
        }
    }
}

/// A string's inside, taken apart into runs without escapes and characters that were escaped.
struct Pieces<'a>(&'a str);

enum Piece<'a> {
    Run(&'a str),
    Char(char),
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        if self.0.is_empty() {
            return None;
        }
        let (run, rest) = self.0.split_at_checked(self.0.find('\\').unwrap_or(self.0.len()))?;
        if !run.is_empty() {
            self.0 = rest;
            return Some(Piece::Run(run));
        }
        let mut chars = rest.chars();
        chars.next();
        let c = match chars.next() {
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('u') => return Some(Piece::Char(self.code_point(chars.as_str()))),
            Some(c) => c,
            None => char::REPLACEMENT_CHARACTER,
        };
        self.0 = chars.as_str();
        Some(Piece::Char(c))
    }
}

impl<'a> Pieces<'a> {
    /// The character of the escape whose digits begin `digits`, its second half included.
    fn code_point(&mut self, digits: &'a str) -> char {
        let (unit, rest) = code_unit(digits);
        self.0 = rest;
        let Some(unit) = unit else { return char::REPLACEMENT_CHARACTER };
        if let Some(c) = char::from_u32(unit) {
            return c;
        }
        // A surrogate: half a character, whole only as high and low together.
        if let Some((Some(low @ 0xdc00..=0xdfff), after)) = rest.strip_prefix("\\u").map(code_unit)
            && unit < 0xdc00
        {
            self.0 = after;
            let joined = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
            return char::from_u32(joined).unwrap_or(char::REPLACEMENT_CHARACTER);
        }
        char::REPLACEMENT_CHARACTER
    }
}

/// Four hexadecimal digits and what follows them.
fn code_unit(text: &str) -> (Option<u32>, &str) {
    match text.split_at_checked(4) {
        Some((digits, rest)) if digits.bytes().all(|b| b.is_ascii_hexdigit()) => {
            (u32::from_str_radix(digits, 16).ok(), rest)
        }
        _ => (None, text),
    }
}

/// Appends a text as a JSON string.
pub(in crate::mapping) fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        write_char(c, out);
    }
    out.push('"');
}

/// Appends a JSON string whose inside is `inner`, with no more escapes than it needs.
pub(super) fn write_readable(inner: &str, out: &mut String) {
    out.push('"');
    for piece in Pieces(inner) {
        match piece {
            Piece::Run(run) => out.push_str(run),
            Piece::Char(c) => write_char(c, out),
        }
    }
    out.push('"');
}

/// Appends one character of a JSON string. What nobody sees is escaped though JSON would take it:
/// it could hide or turn around what stands beside it.
fn write_char(c: char, out: &mut String) {
    // Writing into a String cannot fail.
    match c {
        '"' | '\\' => out.extend(['\\', c]),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        c if is_unseen(c) => {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}").unwrap_or_default();
            }
        }
        c => out.push(c),
    }
}

/// Control characters, marks that turn the direction of writing, and other characters without any
/// width; but not the two joiners, which emoji and some scripts are written with.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{200b}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}
