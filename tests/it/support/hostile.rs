//! Text as an attacker writes it, and what a reader must get of it: an oracle of its own, one pass
//! a rule, that shares no code with the encoder.

use slackcef::cef::Values;

/// Pieces of hostile values, each aimed at some reader, framing or rule.
#[rustfmt::skip]
pub(crate) const PIECES: &[&str] = &[
    "", "a", "Ann", "ann@example.com", " ", "  ", "|", "||", "=", "==", "\\", "\\\\", "\n", "\r", "\r\n",
    "\n\n", "\\n", "\\r", "\\=", "\\|", "\t", "\0", "\u{1b}[31m", "\u{7f}", "\u{80}", "\u{85}", "\u{9f}",
    "\u{a0}", "\u{2028}", "\u{2029}", "\u{3000}", "\u{200b}", "\u{202e}", "\u{2066}", "\u{feff}",
    "\u{fffd}", "\"", "'", "\"\"", "%", "%3D", "%0a", "#", "#012", "&", "<", ">", " suser=eve", "suser=eve",
    " duser=eve act=deleted", "\nsuser=eve", "|suser=eve", " cs1Label=x", " slackcefCut=msg:1", "CEF:",
    "CEF:0", "CE\0F:0", "cef:0", "|EF:0", "CEF:0|Slack|Audit Logs|1|forged|Forged|10|suser=eve",
    "\nCEF:0|Slack|Audit Logs|1|forged|Forged|10|suser=eve",
    "\n<134>1 2026-01-01T00:00:00Z host CEF - - - CEF:0|a|b|c|d|e|9|x=y",
    "123 <134>1 2026-01-01T00:00:00Z host CEF - - - forged", "<13>Jan  1 00:00:00 host forged", "é", "ß",
    "日本語", "🦀", "👩\u{200d}👩\u{200d}👧", "e\u{301}", "2001:cef::1", "2001:CEF::1", "{\"a\":\"b=c|d\\\\e\"}",
    "${jndi:ldap://x}", "'; drop table", "$(id)", "../../etc/passwd", "key", "key ", " key", "x =", "= x",
    "x=\\", "\\ ", "| |", "https://example.com/?a=b&c=d|e",
];

/// What a reader that undoes the escapes gets of a whole value: the rules, one after the other.
pub(crate) fn sanitised(value: &str, values: Values) -> String {
    let lines = value.replace("\r\n", "\n").replace('\r', "\n");
    let mut text: String = lines
        .chars()
        .map(|c| if matches!(c, '\t' | '\u{85}' | '\u{2028}' | '\u{2029}') { ' ' } else { c })
        .filter(|&c| c == '\n' || !c.is_control())
        .collect();
    loop {
        let trimmed = text.trim().trim_end_matches('|');
        if trimmed.len() == text.len() {
            break;
        }
        text = trimmed.to_owned();
    }
    if text.starts_with('"') && text.ends_with('"') {
        text.replace_range(..1, "'");
        text.replace_range(text.len() - 1.., "'");
    }
    if values == Values::Plain {
        text = text.replace('\\', "/").replace('=', "%3D").replace('|', "%7C").replace('\n', " ");
    }
    text.replace("CEF:", "CEF%3A")
}
