//! Globs and regular expressions, made into what is matched in linear time.

use std::ops::Range;

use regex::{Regex, RegexBuilder};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind, Look};

use crate::mapping::text::{Cursor, Slip};

/// The largest compiled pattern, in bytes: enough for a hundred letters of any script.
const LARGEST: usize = 4 << 20;
/// What a pattern may keep of its own work, in bytes and for each thread; it is as quick with less,
/// but for patterns that are hardly written.
const KEPT: usize = 512 << 10;
/// The deepest nesting of groups and repetitions.
const DEEPEST: u32 = 64;

/// Reads a glob, which is matched from end to end.
pub(super) fn glob(text: &str) -> Result<Regex, Slip> {
    if text.is_empty() {
        return Err(matches_none(text, "glob"));
    }
    let mut cursor = Cursor::new(text);
    let mut made = String::from(r"(?s)\A");
    let mut everything = true;
    while let Some(c) = cursor.next() {
        everything &= c == '*';
        match c {
            // What is meant as a `*` was written with a `\`.
            '*' if made.ends_with(".*") => {}
            '*' => made.push_str(".*"),
            '?' => made.push('.'),
            '[' => set(&mut cursor, &mut made)?,
            '{' => brace(&cursor, &mut made)?,
            '\\' => push_literal(escaped(&mut cursor)?, &mut made),
            c => push_literal(c, &mut made),
        }
    }
    if everything {
        return Err(matches_all(text, "glob"));
    }
    made.push_str(r"\z");
    compile(&made, text, "glob")
}

/// Reads a set, whose `[` has been read.
fn set(cursor: &mut Cursor<'_>, made: &mut String) -> Result<(), Slip> {
    let start = cursor.at().saturating_sub(1);
    made.push('[');
    if cursor.eat('!') || cursor.eat('^') {
        made.push('^');
    }
    let mut empty = true;
    loop {
        let at = cursor.at();
        let first = match cursor.next() {
            Some(']') if empty => {
                return Err(Slip::new(start..cursor.at(), "bad-glob", "the set is empty")
                    .help(r"write a bracket that is meant as one `\[`"));
            }
            Some(']') => break,
            Some('\\') => escaped(cursor)?,
            Some(c) => c,
            None => {
                return Err(Slip::new(start..cursor.at(), "bad-glob", "the set is not closed")
                    .help(r"close it with `]`, or write a bracket that is meant as one `\[`"));
            }
        };
        empty = false;
        push_literal(first, made);
        let mut ahead = cursor.clone();
        // A `-` before the end is one.
        if !ahead.eat('-') || matches!(ahead.peek(), None | Some(']')) {
            continue;
        }
        *cursor = ahead;
        let last = match cursor.next() {
            Some('\\') => escaped(cursor)?,
            Some(c) => c,
            None => continue,
        };
        if last < first {
            return Err(Slip::new(at..cursor.at(), "bad-glob", "the range ends before it begins")
                .help(format!("write `{last}-{first}`")));
        }
        made.push('-');
        push_literal(last, made);
    }
    made.push(']');
    Ok(())
}

/// The character behind a `\`, which has been read.
fn escaped(cursor: &mut Cursor<'_>) -> Result<char, Slip> {
    let start = cursor.at().saturating_sub(1);
    cursor.next().ok_or_else(|| {
        Slip::new(start..start.saturating_add(1), "bad-glob", r"nothing follows the `\`")
            .help(r"write a backslash that is meant as one `\\`")
    })
}

/// A brace that has been read: it means itself, which is not what `{a,b}` is written for.
fn brace(cursor: &Cursor<'_>, made: &mut String) -> Result<(), Slip> {
    let mut ahead = cursor.clone();
    let inside = ahead.take_while(|c| !matches!(c, '{' | '}'));
    if inside.contains(',') && ahead.eat('}') {
        let at = cursor.at().saturating_sub(1)..ahead.at();
        return Err(Slip::new(at, "bad-glob", "a glob has no choice in braces").help(
            r#"write a list of globs, of which one must hold: `glob = ["a*", "b*"]`; a brace that is meant as one is `\{`"#,
        ));
    }
    push_literal('{', made);
    Ok(())
}

fn push_literal(c: char, made: &mut String) {
    if regex_syntax::is_meta_character(c) {
        made.push('\\');
    }
    made.push(c);
}

/// Reads a regular expression, which holds where it is found anywhere in a text.
pub(super) fn regex(text: &str) -> Result<Regex, Slip> {
    let parsed = ParserBuilder::new().nest_limit(DEEPEST).build().parse(text);
    let meant = parsed.map_err(|error| {
        let (at, why) = reason(&error, text);
        Slip::new(at, "bad-regex", format!("this is no regex: {why}")).help(SYNTAX)
    })?;
    match Reach::of(&meant) {
        Reach::Every => Err(matches_all(text, "regex")),
        Reach::Empty => Err(matches_none(text, "regex")),
        Reach::Some => compile(text, text, "regex"),
    }
}

/// Where a regex goes wrong, and why, in one line.
fn reason(error: &regex_syntax::Error, text: &str) -> (Range<usize>, String) {
    let (span, why) = match error {
        regex_syntax::Error::Parse(error) => (error.span(), error.kind().to_string()),
        regex_syntax::Error::Translate(error) => (error.span(), error.kind().to_string()),
        _ => return (0..text.len(), "it can't be read".to_owned()),
    };
    // What is missing at the end is shown at the last character.
    let start = span.start.offset.min(text.len().saturating_sub(1));
    (start..span.end.offset.max(start.saturating_add(1)), why.lines().next().unwrap_or_default().to_owned())
}

/// Which texts hold a match, as far as it is easily told.
enum Reach {
    /// Every one that is not empty.
    Every,
    /// None but the empty one.
    Empty,
    Some,
}

impl Reach {
    fn of(hir: &Hir) -> Self {
        let parts = match hir.kind() {
            HirKind::Concat(parts) => parts.as_slice(),
            _ => std::slice::from_ref(hir),
        };
        let is =
            |part: Option<&Hir>, look| matches!(part.map(Hir::kind), Some(HirKind::Look(l)) if *l == look);
        let (from_start, to_end) = (is(parts.first(), Look::Start), is(parts.last(), Look::End));
        let inner = parts.get(usize::from(from_start)..parts.len().saturating_sub(usize::from(to_end)));
        let nothing_wanted = |part: &Hir| {
            let of = part.properties();
            of.look_set().is_empty() && of.minimum_len() == Some(0)
        };
        match inner.unwrap_or_default() {
            // As `.*` between the two ends, and `.+` anywhere.
            [only] if is_any_run(only) => Self::Every,
            [] if from_start && to_end => Self::Empty,
            _ if from_start && to_end => Self::Some,
            inner if inner.iter().all(nothing_wanted) => Self::Every,
            _ => Self::Some,
        }
    }
}

/// Whether this is `.*` or `.+`.
fn is_any_run(hir: &Hir) -> bool {
    let HirKind::Repetition(run) = hir.kind() else { return false };
    let is_dot = match run.sub.kind() {
        // All but the line break, or all.
        HirKind::Class(Class::Unicode(class)) => {
            let mut not = class.clone();
            not.negate();
            not.iter().all(|range| (range.start(), range.end()) == ('\n', '\n'))
        }
        _ => false,
    };
    is_dot && run.min <= 1 && run.max.is_none()
}

fn matches_all(text: &str, what: &str) -> Slip {
    Slip::new(0..text.len(), "no-effect", format!("every text is like this {what}"))
        .help("to ask whether there is a value write `{ exists = true }`")
}

fn matches_none(text: &str, what: &str) -> Slip {
    Slip::new(
        0..text.len(),
        "never-matches",
        format!("this never holds: only an empty text is like this {what}"),
    )
    .help("to ask for what is absent or empty write `{ exists = false }`")
}

const SYNTAX: &str = r"what is meant as it stands, such as `.` or `(`, has a `\` before it; the syntax is at https://docs.rs/regex/#syntax";

fn compile(pattern: &str, text: &str, what: &str) -> Result<Regex, Slip> {
    let built =
        RegexBuilder::new(pattern).size_limit(LARGEST).dfa_size_limit(KEPT).nest_limit(DEEPEST).build();
    built.map_err(|_| {
        Slip::new(0..text.len(), "pattern-too-large", format!("this {what} is too large"))
            .help("it would fill more than 4 MiB: shorten it, or repeat less in it")
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{glob, regex};

    /// A glob as slow and as plain as it can be said.
    fn is_like(glob: &[char], text: &[char]) -> bool {
        match (glob, text) {
            ([], text) => text.is_empty(),
            (['*', rest @ ..], text) => (0..=text.len()).any(|at| is_like(rest, &text[at..])),
            (['?', rest @ ..], [_, behind @ ..]) => is_like(rest, behind),
            (['[', inner @ ..], [first, behind @ ..]) => {
                let (not, inner) = match inner {
                    ['!' | '^', inner @ ..] => (true, inner),
                    inner => (false, inner),
                };
                let (within, rest) = is_in(inner, *first);
                within != not && is_like(rest, behind)
            }
            (['\\', c, rest @ ..] | [c, rest @ ..], [first, behind @ ..]) => {
                c == first && is_like(rest, behind)
            }
            (_, []) => false,
        }
    }

    /// Whether the character is in the set that begins here, and what follows the set.
    fn is_in(set: &[char], c: char) -> (bool, &[char]) {
        match set {
            [']', rest @ ..] => (false, rest),
            [first, '-', last, rest @ ..] if *last != ']' => {
                let (within, rest) = is_in(rest, c);
                (within || (*first..=*last).contains(&c), rest)
            }
            [first, rest @ ..] => {
                let (within, rest) = is_in(rest, c);
                (within || *first == c, rest)
            }
            [] => panic!("the glob was read, so the set is closed"),
        }
    }

    proptest! {
        #[test]
        fn a_glob_is_what_the_plainest_one_says(
            written in r"([ab.\-é\n]|\*|\?|\\[*?\[\\a]|\[[!^]?[ab.é][ab.^é]?\]|\[[!^]?a-[ab]\]|\[b-?\]){1,8}",
            text in r"[ab.\-é\n*?\[\\^]{0,8}",
        ) {
            if let Ok(made) = glob(&written) {
                let (written, chars): (Vec<_>, Vec<_>) = (written.chars().collect(), text.chars().collect());
                prop_assert_eq!(made.is_match(&text), is_like(&written, &chars), "{}", made);
            } else {
                prop_assert!(written.chars().all(|c| c == '*'), "{written:?} is refused");
            }
        }

        #[test]
        fn no_text_makes_reading_panic(text in any::<String>(), near in r"[a\[\]\\*?!^{},(|)+\-.$]{0,12}") {
            for text in [&text, &near] {
                for slip in [glob(text).err(), regex(text).err()].into_iter().flatten() {
                    prop_assert!(slip.at.start <= slip.at.end && !slip.what.contains('\n'));
                }
            }
        }
    }

    #[test]
    fn a_glob_is_asked_from_end_to_end() {
        let like = |written, text| glob(written).unwrap().is_match(text);
        assert!(
            like("user_*", "user_login") && !like("user_*", "app_user_login") && !like("user", "user_login")
        );
        assert!(like("*.exe", "a\nb.exe") && !like("*.exe", "aexe") && !like("*.exe", "a.exe\n"));
        assert!(like("[!a-c]?", "dé") && !like("[!a-c]?", "bé"));
        assert!(like("(a|b)+$^{1}#&~", "(a|b)+$^{1}#&~") && like(r"\*\?\[\]\\", r"*?[]\"));
        assert!(like("[a\\]-]", "]") && like("[a\\]-]", "-") && like("[\\a-\\c]", "b") && like("{a}", "{a}"));
    }

    #[test]
    fn what_holds_always_or_never_is_refused() {
        for every in [
            "", ".*", ".+", "^", "$", "^.*$", "^.+$", "(?s).*", "a*", "x?", "(tor|)", "^a*", "()",
            r"[\s\S]*", "\\w*$",
        ] {
            assert_eq!(regex(every).unwrap_err().code, "no-effect", "{every}");
        }
        assert_eq!(regex("^$").unwrap_err().code, "never-matches");
        assert_eq!(glob("***").unwrap_err().code, "no-effect");
        for some in [
            "a",
            "^a*$",
            "^.{0,9}$",
            r"\b",
            "^(a|b)*$",
            "..",
            "(?m)^$",
            "^[^é]*$",
            r"^\w+$",
            "(?i)é",
            "^[a-z]*$|^x",
        ] {
            assert!(regex(some).is_ok(), "{some}");
        }
    }

    #[test]
    fn what_grows_without_bound_elsewhere_is_small_here() {
        let evil = regex("(a+)+$").unwrap();
        assert!(!evil.is_match(&("a".repeat(1 << 16) + "b")));
        assert!(regex(&format!("{}a{}", "(".repeat(500), ")".repeat(500))).is_err());
        assert_eq!(regex(r"(\w{200}){200}").unwrap_err().code, "pattern-too-large");
        assert!(regex(r"^\w{3,64}@example\.com$").is_ok());
        assert!(!glob(&"*a".repeat(200)).unwrap().is_match(&"a".repeat(199)));
    }
}
