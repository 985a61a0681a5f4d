//! Values of events as texts that command nothing: no reader, no client and no eye.
//!
//! | in the value | here | for |
//! |---|---|---|
//! | `<`, `>` | `‹`, `›` | Slack's mark for links and calls |
//! | line breaks and white space of any kind | one space | a line of its own |
//! | control characters, bidi marks, what is not seen | `�` | text that reads other than it is |
//! | `@` at the beginning of a word | `＠` | `@channel`, `@here` |
//! | `://` | `[:]//` | what clients make links of |
//! | more than three marks on one letter | nothing | text over the lines beside it |
//!
//! Formatting (`*`, `~`, the backtick) has no meaning in rich text; [`in_mrkdwn`] takes it away
//! where it has.
//!
//! **Invariant:** the result of [`harmless`] holds no `<`, no `>`, no line break and no `://`.

/// The value as such a text, of at most so many characters.
pub(super) fn harmless(value: &str, most: usize) -> String {
    let mut out = String::with_capacity(value.len().min(4 * most));
    let (mut written, mut marks) = (0_usize, 0_usize);
    let mut before = ' ';
    for c in value.trim().chars() {
        let c = match c {
            '<' => '‹',
            '>' => '›',
            c if c.is_whitespace() => ' ',
            // Joins letters of some scripts, and pictures; hides between Latin letters.
            '\u{200c}' | '\u{200d}' if !before.is_ascii() && before != HIDDEN => c,
            c if is_hidden(c) => HIDDEN,
            '@' if !(before.is_ascii_alphanumeric() || matches!(before, '.' | '_' | '-' | '+')) => '＠',
            c => c,
        };
        let repeats = (c == ' ' || c == HIDDEN) && c == before;
        marks = if is_mark(c) { marks + 1 } else { 0 };
        if repeats || marks > MOST_MARKS {
            continue;
        }
        if written >= most {
            out.push('…');
            break;
        }
        // The slash that would make an address of it.
        if c == '/' && out.ends_with(":/") {
            out.truncate(out.len().saturating_sub(2));
            out.push_str("[:]/");
            written += 2;
        }
        out.push(c);
        written += 1;
        before = c;
    }
    out.truncate(out.trim_end().len());
    out
}

/// A harmless text where Slack may read formatting: without any that could hide something, its
/// ampersands escaped.
pub(super) fn in_mrkdwn(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '*' => out.push('∗'),
            '`' => out.push('ˋ'),
            '~' => out.push('∼'),
            c => out.push(c),
        }
    }
    out
}

/// Stands for what would not be seen.
const HIDDEN: char = '\u{fffd}';
const MOST_MARKS: usize = 3;

/// Characters that show nothing by themselves, or change how others are shown.
const fn is_hidden(c: char) -> bool {
    matches!(c,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{2800}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{e000}'..='\u{f8ff}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{10ffff}')
}

/// Marks that are put on the letter before them.
const fn is_mark(c: char) -> bool {
    matches!(c,
        '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
        | '\u{20d0}'..='\u{20ff}' | '\u{fe00}'..='\u{fe0f}' | '\u{fe20}'..='\u{fe2f}')
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    /// Pieces that mean something to Slack, to a client or to an eye.
    pub(in crate::notice) const PIECES: &[&str] = &[
        "<",
        ">",
        "&",
        "!",
        "@",
        "#",
        "|",
        "<!channel>",
        "<!here|x>",
        "<@U123>",
        "<#C123>",
        "<!subteam^S1>",
        "<https://evil.example|acme.com>",
        "&lt;!channel&gt;",
        "&amp;lt;!here&amp;gt;",
        "@here",
        "@channel",
        "@everyone",
        "http://",
        "https://evil.example/x",
        ":/",
        "/",
        ":",
        "www.evil.example",
        "*",
        "_",
        "~",
        "`",
        "```",
        "\n",
        "\r\n",
        "\u{85}",
        "\u{2028}",
        "\u{2029}",
        "\u{b}",
        "\u{202e}",
        "\u{2066}",
        "\u{200b}",
        "\u{200d}",
        "\u{0}",
        "\u{1b}[31m",
        "ana",
        "ana@example.com",
        " ",
        ">",
        "> quoted",
        "• ",
        "é",
        "e\u{301}",
        "日本",
        "👩\u{200d}👧",
        "\u{301}\u{301}\u{301}\u{301}\u{301}",
        ":skull:",
        "\"",
        "\\",
        "\\n",
        "{\"type\":\"broadcast\"}",
        "\u{feff}",
        "＜!channel＞",
    ];

    pub(in crate::notice) fn hostile() -> impl Strategy<Value = String> {
        prop_oneof![
            6 => vec(select(PIECES), 0..8).prop_map(|pieces| pieces.concat()),
            2 => any::<String>(),
            1 => (select(PIECES), 1_usize..900).prop_map(|(piece, times)| piece.repeat(times)),
        ]
    }

    proptest! {
        #[test]
        fn nothing_that_commands_is_left(value in hostile(), most in 1_usize..200) {
            let text = harmless(&value, most);
            prop_assert!(!text.contains(['<', '>']) && !text.contains("://"), "{text:?}");
            prop_assert!(text.lines().count() <= 1 && !text.chars().any(char::is_control), "{text:?}");
            let turns = text.chars().any(|c| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'));
            prop_assert!(!turns, "{text:?}");
            prop_assert!(text.trim() == text && !text.contains("  "), "{text:?}");
            for call in ["@here", "@channel", "@everyone"] {
                let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '@' | '.' | '_' | '-' | '+')));
                prop_assert!(!words.into_iter().any(|word| word.starts_with(call)), "{text:?}");
            }
            prop_assert!(text.chars().count() <= most + 3, "{text:?}");
            let text = in_mrkdwn(&text);
            prop_assert!(!text.contains(['<', '>', '*', '`', '~']), "{text:?}");
            for (at, _) in text.match_indices('&') {
                prop_assert!(text.split_at(at).1.starts_with("&amp;"), "{text:?}");
            }
        }
    }

    #[test]
    fn what_is_harmless_stays_as_it_is() {
        for text in [
            "ana@example.com",
            "R&D *north*",
            "Inês Carvalho",
            "日本語",
            "👩\u{200d}👧",
            "2001:db8::1",
            "a/b:c",
            "🛡️",
        ] {
            assert_eq!(harmless(text, 100), text);
        }
        for (value, text) in [
            ("<!channel> now", "‹!channel› now"),
            ("<https://evil.example|acme.com>", "‹https[:]//evil.example|acme.com›"),
            ("@here @channel a@b", "＠here ＠channel a@b"),
            ("ad\u{200b}min ad\u{200d}min", "ad\u{fffd}min ad\u{fffd}min"),
            (" one\n\n>two\u{2028}three ", "one ›two three"),
            ("\u{202e}gnp.exe", "\u{fffd}gnp.exe"),
            ("::///x", ":[:]///x"),
        ] {
            assert_eq!(harmless(value, 100), text, "{value:?}");
        }
        assert_eq!(harmless("abcdef", 3), "abc…");
        assert_eq!(harmless("abc", 3), "abc");
        assert_eq!(harmless("a\u{301}\u{301}\u{301}\u{301}\u{301}b", 9), "a\u{301}\u{301}\u{301}b");
        assert_eq!(in_mrkdwn("R&D *north* :x:"), "R&amp;D ∗north∗ :x:");
    }
}
