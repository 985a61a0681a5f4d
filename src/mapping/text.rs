//! Reading the small languages inside a file's strings: a cursor, and what it stumbles over.

use std::ops::Range;

/// A mistake inside a string: the bytes of that string, what is wrong, what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Slip {
    pub(super) at: Range<usize>,
    pub(super) code: &'static str,
    pub(super) what: String,
    pub(super) help: Option<String>,
}

impl Slip {
    pub(super) fn new(at: Range<usize>, code: &'static str, what: impl Into<String>) -> Self {
        Self { at, code, what: what.into(), help: None }
    }

    #[must_use]
    pub(super) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

/// A position in a text.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// A cursor that stands at the byte `at`.
    pub(super) fn starting(text: &'a str, at: usize) -> Self {
        Self { text, at }
    }

    /// The byte that comes next.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    /// Reads `c` where it comes next.
    pub(super) fn eat(&mut self, c: char) -> bool {
        self.eat_text(c.encode_utf8(&mut [0; 4]))
    }

    /// Reads `text` where it comes next.
    pub(super) fn eat_text(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        self.at += if found { text.len() } else { 0 };
        found
    }

    pub(super) fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    pub(super) fn skip_spaces(&mut self) {
        self.take_while(char::is_whitespace);
    }

    /// Reads a text in quotes of either kind; the other kind may stand inside.
    pub(super) fn quoted(&mut self) -> Result<&'a str, Slip> {
        let start = self.at;
        let quote = self.next().unwrap_or('"');
        let inner = self.take_while(|c| c != quote);
        if self.next().is_none() {
            let help = format!("close it with {quote}; inside double quotes of TOML write single ones");
            return Err(Slip::new(start..self.at, "unclosed-quote", "the quote is not closed").help(help));
        }
        Ok(inner)
    }
}

/// Where bytes of a decoded TOML string lie in the file.
///
/// `span` is the string with its quotes, `decoded` what it means. Where the two can't be brought
/// together the whole string is the answer.
pub(super) fn within_string(
    file: &str,
    span: &Range<usize>,
    decoded: &str,
    at: &Range<usize>,
) -> Range<usize> {
    let locate = || {
        let raw = file.get(span.clone())?;
        let start = raw_offset(raw, decoded, at.start)?;
        let end = raw_offset(raw, decoded, at.end.min(decoded.len()))?.max(start + 1);
        Some(span.start + start..(span.start + end).min(span.end))
    };
    locate().unwrap_or_else(|| span.clone())
}

/// How far into the string's source the decoded byte `wanted` lies.
fn raw_offset(raw: &str, decoded: &str, wanted: usize) -> Option<usize> {
    for quotes in ["'''", "\"\"\""] {
        if let Some(inner) = raw.strip_prefix(quotes) {
            // A line break behind the opening quotes is no part of the text.
            let body = inner.strip_prefix("\r\n").or_else(|| inner.strip_prefix('\n')).unwrap_or(inner);
            return body.starts_with(decoded).then(|| raw.len() - body.len() + wanted);
        }
    }
    let literal = raw.starts_with('\'');
    if !literal && !raw.starts_with('"') {
        // A bare key is its own source.
        return (raw == decoded).then_some(wanted);
    }
    let mut source = raw.char_indices().skip(1);
    for (meant, _) in decoded.char_indices() {
        if meant >= wanted {
            break;
        }
        let (_, c) = source.next()?;
        if c == '\\' && !literal {
            let digits = match source.next()?.1 {
                'x' => 2,
                'u' => 4,
                'U' => 8,
                _ => 0,
            };
            for _ in 0..digits {
                source.next()?;
            }
        }
    }
    source.next().map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_place_behind_escapes() {
        let file = r#"a = "{x ?? \"é\" | lowr}""#;
        let span = 4..file.len();
        let decoded = r#"{x ?? "é" | lowr}"#;
        let at = decoded.find("lowr").unwrap();
        let found = within_string(file, &span, decoded, &(at..at + 4));
        assert_eq!(file.get(found), Some("lowr"));
        let file = "a = '{x | lowr}'";
        let found = within_string(file, &(4..file.len()), "{x | lowr}", &(5..9));
        assert_eq!(file.get(found), Some("lowr"));
    }

    #[test]
    fn finds_the_place_in_a_text_of_many_lines() {
        let file = "a = '''\n{\n  x | lowr}'''";
        let decoded = "{\n  x | lowr}";
        let at = decoded.find("lowr").unwrap();
        let found = within_string(file, &(4..file.len()), decoded, &(at..at + 4));
        assert_eq!(file.get(found), Some("lowr"));
    }

    #[test]
    fn answers_the_whole_string_where_it_cannot_tell() {
        let file = "a = \"\"\"\n\\u007Bx\"\"\"";
        assert_eq!(within_string(file, &(4..file.len()), "{x", &(1..2)), 4..file.len());
        assert_eq!(within_string(file, &(4..999), "{x", &(1..2)), 4..999);
    }
}
