//! A mistake in a file that people write: where it is, what is wrong, what to do.
//!
//! Configuration and mapping files are read whole, every mistake becomes one [`Problem`], and all
//! of them are shown at once in file order, the way a good compiler does.
//!
//! **Invariant:** rendering never panics, whatever the span says and whatever the file holds.

use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

/// One mistake in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// A stable word for the kind of mistake: `unknown-key`.
    pub code: &'static str,
    /// The file, as the reader knows it.
    pub file: Arc<str>,
    /// The file's whole text.
    pub text: Arc<str>,
    /// The bytes of `text` that are wrong.
    pub span: Range<usize>,
    /// What is wrong, in one sentence without a full stop.
    pub what: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Problem {
    /// The problem as a terminal shows it: what, where, the line with a caret, what to do.
    ///
    /// `colour` adds ANSI escapes. The text ends without a line break.
    pub fn render(&self, colour: bool) -> String {
        let shown = shown(&self.text);
        let span = clamped(&shown, &self.span);
        let mut group = Level::ERROR.primary_title(printable(&self.what)).id(self.code).element(
            Snippet::source(shown.as_str())
                .path(self.file.as_ref())
                .annotation(AnnotationKind::Primary.span(span)),
        );
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(printable(help)));
        }
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let report: &[Group<'_>] = &[group];
        renderer.render(report)
    }

    /// The line on which the mistake begins, counted from 1.
    pub fn line(&self) -> u32 {
        line_of(&self.text, self.span.start)
    }
}

/// The line, counted from 1, that holds the byte at `offset`.
pub fn line_of(text: &str, offset: usize) -> u32 {
    let breaks = text.bytes().take(offset).filter(|&b| b == b'\n').count();
    u32::try_from(breaks).unwrap_or(u32::MAX).saturating_add(1)
}

/// The candidate that `word` was most likely meant to be, where one is close enough.
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed: Vec<char> = word.to_lowercase().chars().collect();
    // A word of three letters may be one letter off, a long one three.
    let at_most = (typed.len() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .filter_map(|candidate| Some((distance(&typed, candidate, at_most)?, candidate)))
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// How many letters must be put in, left out, changed or swapped with their neighbour; `None` when
/// they are more than `at_most`.
fn distance(typed: &[char], candidate: &str, at_most: usize) -> Option<usize> {
    let meant: Vec<char> = candidate.to_lowercase().chars().collect();
    if typed.len().abs_diff(meant.len()) > at_most {
        return None;
    }
    let at = |row: &[usize], n: usize| row.get(n).copied().unwrap_or(usize::MAX / 2);
    let mut before = Vec::new();
    let mut last: Vec<usize> = (0..=meant.len()).collect();
    for (i, &a) in typed.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &b) in meant.iter().enumerate() {
            let change = at(&last, j) + usize::from(a != b);
            let mut best = change.min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            let swapped = i > 0 && j > 0 && typed.get(i - 1) == Some(&b) && meant.get(j - 1) == Some(&a);
            if swapped {
                best = best.min(at(&before, j - 1) + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    let distance = at(&last, meant.len());
    (distance <= at_most).then_some(distance)
}

/// The span within the text and on character boundaries: the renderer panics on any other.
fn clamped(text: &str, span: &Range<usize>) -> Range<usize> {
    let floor = |mut at: usize| {
        at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at = at.saturating_sub(1);
        }
        at
    };
    let start = floor(span.start);
    let end = floor(span.end).max(start);
    start..end
}

/// The file's text with what a terminal must not be sent replaced, at the same width in bytes.
fn shown(text: &str) -> String {
    // The same number of bytes, so that spans stay true.
    text.chars()
        .flat_map(|c| match c {
            '\n' | '\t' => std::iter::repeat_n(c, 1),
            '\r' => std::iter::repeat_n(' ', 1),
            c if unprintable(c) => std::iter::repeat_n('?', c.len_utf8()),
            c => std::iter::repeat_n(c, 1),
        })
        .collect()
}

/// A sentence of ours that may quote the file.
fn printable(text: &str) -> String {
    text.chars().map(|c| if unprintable(c) { '?' } else { c }).collect()
}

/// Control characters, and those that turn the direction of writing.
fn unprintable(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn problem(text: &str, span: Range<usize>) -> Problem {
        Problem {
            code: "unknown-key",
            file: "mappings/user_login.toml".into(),
            text: text.into(),
            span,
            what: "`suserr` is not a CEF key".into(),
            help: Some("did you mean `suser` (sourceUserName)?".into()),
        }
    }

    #[test]
    fn renders_what_where_and_what_to_do() {
        let text = "version = 1\n\n[fields]\nsuserr = \"{actor.user.name}\"\n";
        let rendered = problem(text, 22..28).render(false);
        assert_eq!(
            rendered,
            "error[unknown-key]: `suserr` is not a CEF key\n \
             --> mappings/user_login.toml:4:1\n  \
             |\n\
             4 | suserr = \"{actor.user.name}\"\n  \
             | ^^^^^^\n  \
             |\n  \
             = help: did you mean `suser` (sourceUserName)?"
        );
        assert!(problem(text, 22..28).render(true).contains('\u{1b}'));
    }

    #[test]
    fn a_terminal_is_sent_no_escape_of_the_files_own() {
        let rendered = problem("a = \"\u{1b}[2J\u{202e}\"\r\n", 4..10).render(false);
        assert!(!rendered.contains(['\u{1b}', '\u{202e}', '\r']), "{rendered:?}");
    }

    #[test]
    fn suggests_only_what_is_close() {
        let keys = ["suser", "suid", "src", "sourceUserName"];
        assert_eq!(closest("suserr", keys), Some("suser"));
        assert_eq!(closest("sorc", keys), Some("src"));
        assert_eq!(closest("souceUserNmae", keys), Some("sourceUserName"));
        assert_eq!(closest("department", keys), None);
    }

    #[test]
    fn counts_lines_from_one() {
        assert_eq!(line_of("a\nb\n", 0), 1);
        assert_eq!(line_of("a\nb\n", 2), 2);
        assert_eq!(line_of("a\nb\n", 99), 3);
    }

    proptest! {
        #[test]
        fn no_span_and_no_text_makes_it_panic(text in any::<String>(), a in 0_usize..200, b in 0_usize..200) {
            problem(&text, a..b).render(false);
            problem(&text, a..b).render(true);
        }
    }
}
