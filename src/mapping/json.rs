//! JSON read in place: values found, strings unescaped, containers compacted, nothing copied that
//! need not be.
//!
//! By hand, and not by `serde_json`, for three reasons: skipping a nested value must allocate
//! nothing, a string or key with a lone surrogate must be read and not refused, and an entry
//! nested ten thousand deep must cost no stack. The text was checked when it became an entry, so
//! nothing is validated here; the tests hold the results against `serde_json`'s.
//!
//! **Invariant:** total on any text: what is not JSON ends the reading, never the program.
//! **Invariant:** no function here recurses.

mod string;

use std::ops::Range;

use string::write_readable;
pub(super) use string::{string_is, unescape, write_string};

/// A position in a JSON text that moves forward only.
#[derive(Debug, Clone)]
pub(super) struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text: text.as_bytes(), at: 0 }
    }

    /// Where the next byte lies.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The next byte that is not white space, which stays unread.
    pub(super) fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = *self.text.get(self.at)?;
            // One comparison for what nearly always follows.
            if byte > b' ' || !is_space(byte) {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    /// Reads the byte that [`Scanner::peek`] showed.
    pub(super) fn step(&mut self) {
        self.at += 1;
    }

    /// Reads `byte` where it comes next.
    pub(super) fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// After a member or an element: whether another one follows. `None` where the text ends or
    /// is no JSON.
    pub(super) fn another(&mut self, end: u8) -> Option<bool> {
        match self.peek()? {
            b',' => {
                self.at += 1;
                Some(true)
            }
            byte if byte == end => {
                self.at += 1;
                Some(false)
            }
            _ => None,
        }
    }

    /// Reads a string, and says whether there is an escape in it. Its inside lies between the
    /// quotes, which are the byte that came next and the byte before the new place.
    pub(super) fn string(&mut self) -> Option<bool> {
        if !self.eat(b'"') {
            return None;
        }
        let mut escaped = false;
        loop {
            self.at = plain_until(self.text, self.at);
            let byte = *self.text.get(self.at)?;
            self.at += 1;
            if byte == b'"' {
                return Some(escaped);
            }
            escaped = true;
            self.at += 1;
        }
    }

    /// Reads over one value of any kind and says where it lay.
    pub(super) fn skip(&mut self) -> Option<Range<usize>> {
        match self.peek()? {
            b'"' => {
                let start = self.at;
                self.string()?;
                Some(start..self.at)
            }
            b'{' | b'[' => self.skip_container(),
            b'}' | b']' | b',' | b':' => None,
            _ => {
                let start = self.at;
                while self.text.get(self.at).is_some_and(|&b| !ends_scalar(b)) {
                    self.at += 1;
                }
                Some(start..self.at)
            }
        }
    }

    /// In valid JSON every bracket has its fellow, so a count takes the place of a stack.
    fn skip_container(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        let mut depth = 0_usize;
        loop {
            match self.text.get(self.at)? {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.saturating_sub(1),
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Some(start..self.at);
            }
        }
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

fn ends_scalar(byte: u8) -> bool {
    is_space(byte) || matches!(byte, b',' | b'}' | b']' | b':' | b'"' | b'{' | b'[')
}

/// The first place at or after `at` that holds a quote or a backslash, or the text's end. Eight
/// bytes at a time: most of an entry is the inside of strings.
fn plain_until(text: &[u8], mut at: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = 0x8080_8080_8080_8080;
    const QUOTES: u64 = ONES * b'"' as u64;
    const SLASHES: u64 = ONES * b'\\' as u64;
    // The top bit of each byte that is zero; bits above the lowest set one may be wrong.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word;
    let mut rest = text.get(at..).unwrap_or_default();
    while let Some((chunk, behind)) = rest.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(*chunk);
        let hits = (zeros(word ^ QUOTES) | zeros(word ^ SLASHES)) & TOPS;
        if hits != 0 {
            return at + hits.trailing_zeros() as usize / 8;
        }
        at += 8;
        rest = behind;
    }
    while text.get(at).is_some_and(|b| !matches!(b, b'"' | b'\\')) {
        at += 1;
    }
    at
}

/// Whether a value says nothing: null, an empty text, or a list or object of nothing else.
pub(super) fn is_nothing(raw: &str) -> bool {
    match raw.as_bytes() {
        [] | [b'n', ..] => true,
        [b'"', ..] => raw.len() <= 2,
        [b'[' | b'{', ..] => says_nothing(raw),
        _ => false,
    }
}

/// Whether a container holds neither a key nor a scalar that says something.
fn says_nothing(raw: &str) -> bool {
    let mut scan = Scanner::new(raw);
    while let Some(byte) = scan.peek() {
        match byte {
            b'[' | b']' | b'{' | b'}' | b',' | b':' => scan.at += 1,
            _ => match scan.skip() {
                Some(scalar) if is_nothing(raw.get(scalar.clone()).unwrap_or_default()) => {}
                _ => return false,
            },
        }
    }
    true
}

/// What lies between a string's quotes, escapes and all; `None` for any other value.
pub(super) fn inside(raw: &str) -> Option<&str> {
    raw.strip_prefix('"')?.strip_suffix('"')
}

/// Appends a value as text: strings unescaped, numbers and booleans as they stand, a list of
/// scalars joined by `separator` less those that say nothing, other containers as compact JSON.
pub(super) fn write_text(raw: &str, separator: &str, out: &mut String) {
    match raw.as_bytes() {
        [b'"', ..] => unescape(inside(raw).unwrap_or_default(), out),
        [b'[', ..] if !elements(raw).any(is_container) => write_list(raw, separator, out),
        [b'[' | b'{', ..] => write_compact(raw, out),
        b"null" => {}
        _ => out.push_str(raw),
    }
}

/// Appends a list's elements joined by `separator`, less those that say nothing; containers among
/// them as compact JSON.
pub(super) fn write_list(raw: &str, separator: &str, out: &mut String) {
    let mut first = true;
    for element in elements(raw).filter(|element| !is_nothing(element)) {
        if !first {
            out.push_str(separator);
        }
        first = false;
        match element.as_bytes() {
            [b'[' | b'{', ..] => write_compact(element, out),
            [b'"', ..] => unescape(inside(element).unwrap_or_default(), out),
            _ => out.push_str(element),
        }
    }
}

/// Whether a value is a list or an object.
pub(super) fn is_container(raw: &str) -> bool {
    raw.starts_with(['[', '{'])
}

/// Appends the value without the white space between its tokens, and with its strings as people read
/// them: Slack escapes every slash and every letter beyond ASCII.
pub(super) fn write_compact(raw: &str, out: &mut String) {
    // What most values are, and all keys.
    if !is_container(raw) && !raw.contains('\\') {
        out.push_str(raw.trim_ascii());
        return;
    }
    let mut scan = Scanner::new(raw);
    let mut run = 0;
    while scan.at < raw.len() {
        let start = scan.at;
        match scan.peek() {
            // The rest is no JSON: nothing of it is kept.
            None => break,
            // White space was passed over: what lies before it is a run to copy.
            Some(_) if scan.at > start => {
                out.push_str(raw.get(run..start).unwrap_or_default());
                run = scan.at;
            }
            Some(b'"') if scan.string().is_none() => break,
            Some(b'"') => {
                let string = raw.get(start..scan.at).unwrap_or_default();
                if string.contains('\\') {
                    out.push_str(raw.get(run..start).unwrap_or_default());
                    write_readable(inside(string).unwrap_or_default(), out);
                    run = scan.at;
                }
            }
            Some(_) => scan.at += 1,
        }
    }
    let end = if scan.at >= raw.len() { raw.trim_ascii_end().len() } else { scan.at };
    out.push_str(raw.get(run..end).unwrap_or_default());
}

/// The elements of a list; none where the value is no list.
pub(super) fn elements(raw: &str) -> Elements<'_> {
    let mut scan = Scanner::new(raw);
    let more = scan.eat(b'[') && scan.peek() != Some(b']');
    Elements { raw, scan, more }
}

/// See [`elements`].
pub(super) struct Elements<'a> {
    raw: &'a str,
    scan: Scanner<'a>,
    more: bool,
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if !self.more {
            return None;
        }
        let element = self.scan.skip();
        self.more = element.is_some() && self.scan.another(b']') == Some(true);
        self.raw.get(element?)
    }
}

/// How many members an object has.
pub(super) fn members(raw: &str) -> usize {
    let mut scan = Scanner::new(raw);
    let mut count = 0;
    if !scan.eat(b'{') || scan.eat(b'}') {
        return count;
    }
    while scan.string().is_some() && scan.eat(b':') && scan.skip().is_some() {
        count += 1;
        if scan.another(b'}') != Some(true) {
            break;
        }
    }
    count
}

/// Whether a scalar's text is `wanted`. Null and containers equal no text.
pub(super) fn scalar_is(raw: &str, wanted: &str) -> bool {
    match raw.as_bytes() {
        [b'"', ..] => string_is(inside(raw).unwrap_or_default(), wanted),
        [b'[' | b'{', ..] | b"null" => false,
        _ => raw == wanted,
    }
}

#[cfg(test)]
mod tests;
