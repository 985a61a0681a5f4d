//! Texts of strangers, made safe to show.

/// The text on one line, with nothing in it that could command a terminal: what Slack's users and
/// receivers wrote may hold anything.
pub fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            // Of those that Rust escapes these do no harm.
            '"' | '\'' | '\\' => shown.push(c),
            c => shown.extend(c.escape_debug()),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_command_a_terminal_is_spelled_out() {
        assert_eq!(plain("he said \"no\", C:\\ näh 日本"), "he said \"no\", C:\\ näh 日本");
        assert_eq!(plain("a\nb\u{1b}[2J\u{9b}31m\u{202e}x"), "a\\nb\\u{1b}[2J\\u{9b}31m\\u{202e}x");
    }
}
