//! What a trace must not hold, taken out of a text that may be anything: tokens, cookies, secrets of
//! webhooks and of apps, and addresses of e-mail, also inside JSON, forms and links.
//!
//! **Invariant:** where it is not clear what ends a secret, more is taken out than less.

/// The text without them. `token`: one that is known, whatever it looks like.
pub(super) fn redacted(text: &str, token: Option<&str>) -> String {
    let mut text = text.to_owned();
    if let Some(token) = token.filter(|token| !token.is_empty()) {
        text = text.replace(token, TOKEN);
    }
    let text = each(&text, secret_value, SECRET);
    let text = each(&text, webhook, SECRET);
    let text = each(&text, token_of_slack, TOKEN);
    without_addresses(&text)
}

/// The beginning of a text, at most so many bytes; it ends where no word is torn.
pub(super) fn beginning(text: &str, most: usize) -> &str {
    if text.len() <= most {
        return text;
    }
    let head = (0..=most).rev().find_map(|end| text.get(..end)).unwrap_or_default();
    let end = head.rfind(ends_a_word).unwrap_or(0);
    head.get(..end).unwrap_or_default()
}

const TOKEN: &str = "[token]";
const SECRET: &str = "[secret]";
const ADDRESS: &str = "[e-mail]";

/// Finds the next part to take out: its first byte and the byte after it.
type Find = fn(&str) -> Option<(usize, usize)>;

fn each(text: &str, find: Find, instead: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((from, to)) = find(rest) {
        let (Some(before), Some(after)) = (rest.get(..from), rest.get(to..)) else { break };
        kept.push_str(before);
        kept.push_str(instead);
        rest = after;
    }
    kept.push_str(rest);
    kept
}

/// Slack's tokens and its cookie `d`: `xoxp-…`, `xoxe.xoxp-…`, `xapp-…`, in any case.
fn token_of_slack(text: &str) -> Option<(usize, usize)> {
    let of_a_token = |c: char| c.is_ascii_alphanumeric() || "-._~%+/=".contains(c);
    let from = ["xox", "xapp-"].iter().filter_map(|begin| find_in_any_case(text, begin)).min()?;
    Some((from, run(text, from, of_a_token)))
}

/// The way of a webhook from `services` on, and all of an address on its host.
fn webhook(text: &str) -> Option<(usize, usize)> {
    const BEGINNINGS: [&str; 6] =
        ["hooks.slack", "/services/", "/workflows/", "/triggers/", "\\/services\\/", "\\/triggers\\/"];
    let found = BEGINNINGS.iter().filter_map(|begin| Some((find_in_any_case(text, begin)?, begin.len())));
    let (from, length) = found.min()?;
    let of_an_address = |c: char| !c.is_whitespace() && !"\"'<>|,)".contains(c);
    Some((from, run(text, from + length, of_an_address)))
}

/// What stands behind the name of a secret: `"token":"…"`, `token=…`, `token: …`, JSON in JSON too.
fn secret_value(text: &str) -> Option<(usize, usize)> {
    const NAMES: [&str; 9] = [
        "token",
        "secret",
        "password",
        "passwd",
        "cookie",
        "authorization",
        "code_verifier",
        "api_key",
        "code",
    ];
    NAMES.iter().filter_map(|name| value_of(text, name)).min()
}

fn value_of(text: &str, name: &str) -> Option<(usize, usize)> {
    let mut from = 0;
    loop {
        let rest = text.get(from..)?;
        let end = from + find_in_any_case(rest, name)? + name.len();
        if let Some(found) = value_behind(text, end, name) {
            return Some(found);
        }
        from = end;
    }
}

fn value_behind(text: &str, end: usize, name: &str) -> Option<(usize, usize)> {
    // `code` is a name only as a whole: a status code is none of a secret's.
    let before = text.get(..end - name.len())?.chars().next_back();
    if name == "code" && before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '-')) {
        return None;
    }
    let fill = |c: char| matches!(c, '\\' | '"' | '\'' | ' ');
    let between = run(text, end, fill);
    let mark = text.get(between..)?.chars().next().filter(|c| matches!(c, ':' | '='))?;
    let value = run(text, between + mark.len_utf8(), fill);
    let is_quoted = text.get(between..value)?.contains(['"', '\'']);
    let to = if is_quoted {
        run(text, value, |c| !matches!(c, '"' | '\''))
    } else {
        run(text, value, |c| !c.is_whitespace() && !"\"'&<>,;}".contains(c))
    };
    let is_there = to > value && text.get(value..to) != Some(SECRET);
    is_there.then_some((value, to))
}

/// How the `@` of an address may be written.
const AT: [&str; 7] = ["@", "%40", "%2540", "\\u0040", "&#64;", "&#x40;", "\u{ff20}"];

fn without_addresses(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((at, length)) =
        AT.iter().filter_map(|at| Some((find_in_any_case(rest, at)?, at.len()))).min()
    {
        let (Some(before), Some(after)) = (rest.get(..at), rest.get(at + length..)) else { break };
        kept.push_str(before);
        let user = beginning_of_user(&kept);
        if user < kept.len() {
            kept.truncate(user);
            kept.push_str(ADDRESS);
            rest = after.get(end_of_domain(after)..).unwrap_or_default();
        } else {
            // `<@U1>`, `@here`: a mention.
            kept.push_str(rest.get(at..at + length).unwrap_or_default());
            rest = after;
        }
    }
    kept.push_str(rest);
    kept
}

/// Where the part before the `@` begins, which may be quoted.
fn beginning_of_user(before: &str) -> usize {
    let word = before.rfind(ends_a_word).map_or(0, |end| end + 1);
    let word = (word..=before.len()).find(|at| before.is_char_boundary(*at)).unwrap_or(before.len());
    // What was taken out before stood in front of an `@`: it is part of the address.
    if let Some(gone) = [TOKEN, SECRET, ADDRESS].into_iter().find(|gone| before.ends_with(gone)) {
        return before.len() - gone.len();
    }
    let quoted = before.strip_suffix('"').and_then(|before| {
        let begin = before.rfind('"')?;
        before.get(begin..)?.contains(char::is_alphanumeric).then_some(begin)
    });
    quoted.unwrap_or(word)
}

/// Where the part after the `@` ends.
fn end_of_domain(after: &str) -> usize {
    let mut chars = after.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let goes_on = c.is_alphanumeric()
            || "-._%[]:".contains(c)
            || (c == '\\' && chars.peek().is_some_and(|(_, next)| *next == 'u'));
        if !goes_on {
            return at;
        }
    }
    after.len()
}

/// What stands in no unquoted part of an address before its `@` (RFC 5322 §3.2.3).
fn ends_a_word(c: char) -> bool {
    c.is_whitespace() || c.is_control() || "\"<>()[],;:".contains(c)
}

/// Where the run of such characters from that byte on ends.
fn run(text: &str, from: usize, belongs: impl Fn(char) -> bool) -> usize {
    let rest = text.get(from..).unwrap_or_default();
    from + rest.find(|c| !belongs(c)).unwrap_or(rest.len())
}

/// Where the ASCII text begins first, in capitals or small letters.
fn find_in_any_case(text: &str, what: &str) -> Option<usize> {
    text.as_bytes().windows(what.len()).position(|window| window.eq_ignore_ascii_case(what.as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;

    use super::*;

    fn clean(text: &str) -> String {
        redacted(text, Some("a-known-token"))
    }

    #[test]
    fn what_is_secret_goes_and_the_rest_stays() {
        for (text, expected) in [
            ("xoxp-1-2-abc", "[token]"),
            (r#"{"ok":true,"a":"XOXE.xoxp-1-Mi0y"}"#, r#"{"ok":true,"a":"[token]"}"#),
            ("d=xoxd-a%2Fb%3D; e=1", "d=[token]; e=1"),
            ("say a-known-token!", "say [token]!"),
            (r#"{"access_token":"abc d","n":1}"#, r#"{"access_token":"[secret]","n":1}"#),
            (r#"{"x":"{\"client_secret\": \"0123\"}"}"#, r#"{"x":"{\"client_secret\": \"[secret]"}"}"#),
            ("client_secret=0123&code=77&state=5", "client_secret=[secret]&code=[secret]&state=5"),
            ("status_code: 200, error_code=5", "status_code: 200, error_code=5"),
            ("see https://hooks.slack.com/services/T1/B2/x3 now", "see https://[secret] now"),
            (r#""https:\/\/hooks.slack-gov.com\/services\/T1\/B2\/x3""#, r#""https:\/\/[secret]""#),
            ("http://127.0.0.1:9/services/T1/B2/x3?a", "http://127.0.0.1:9[secret]"),
            (r#"{"email":"alice@example.com"}"#, r#"{"email":"[e-mail]"}"#),
            ("<mailto:o'brien+x@example.com|Al> hi", "<mailto:[e-mail]|Al> hi"),
            ("to=alice%40example.com&x=1", "[e-mail]&x=1"),
            (r"andr\u00e9\u0040m\u00fcller.de.", "[e-mail]"),
            (r#"\"john doe\"@example.com"#, "\\[e-mail]"),
            ("<@U1> @here, 5 @ 3", "<@U1> @here, 5 @ 3"),
            (r#"{"a":"@here","b":1}"#, r#"{"a":"@here","b":1}"#),
            ("xoxo-alice@example.com, a@b@c.d", "[e-mail], [e-mail]"),
            ("", ""),
        ] {
            assert_eq!(clean(text), expected, "{text}");
        }
    }

    #[test]
    fn no_word_is_torn_at_the_end() {
        assert_eq!(beginning("short", 5), "short");
        assert_eq!(beginning(r#"{"email":"alice@example.com"}"#, 14), r#"{"email":"#);
        assert_eq!(beginning("alice%40example.com", 7), "");
        assert_eq!(beginning("äöü äöü", 9), "äöü");
    }

    /// A part of a secret that stands nowhere else.
    const MARK: &str = "Zq7Jx";

    /// The text as it is, inside JSON, in JSON of ASCII alone, in a form, and in a form in JSON.
    fn written(text: &str) -> Vec<String> {
        let json = serde_json::to_string(text).unwrap();
        let ascii = json.chars().fold(String::new(), |mut ascii, c| {
            if c.is_ascii() {
                ascii.push(c);
            } else {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    write!(ascii, "\\u{unit:04x}").unwrap();
                }
            }
            ascii
        });
        let form: String = text
            .bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
                _ => format!("%{byte:02X}"),
            })
            .collect();
        let both = serde_json::to_string(&form).unwrap();
        vec![text.to_owned(), json, ascii, form, both]
    }

    proptest! {
        #[test]
        fn no_address_gets_through(
            before in any::<String>(), after in any::<String>(),
            user in "[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~äßжé-]{0,20}",
            domain in "[a-zA-Z0-9äж-]{0,10}\\.[a-z]{2,6}",
        ) {
            for address in written(&format!("{user}{MARK}{user}@{MARK}{domain}")) {
                let cleaned = clean(&format!("{before}{address}{after}"));
                prop_assert!(!cleaned.contains(MARK), "{address}: {cleaned}");
                // At the end of a beginning too.
                let text = format!("{before}{address}");
                for most in before.len()..=text.len() {
                    let head = clean(beginning(&text, most));
                    prop_assert!(!head.contains(MARK), "{address}: {head}");
                }
            }
        }

        #[test]
        fn no_token_gets_through(
            before in any::<String>(), after in any::<String>(),
            prefix in "(xox[a-z]-|xoxe\\.xox[bp]-1-|xapp-1-|XOXB-)[A-Za-z0-9-]{0,8}",
            rest in "[A-Za-z0-9-]{0,40}",
        ) {
            for token in written(&format!("{prefix}{MARK}{rest}")) {
                let cleaned = clean(&format!("{before}{token}{after}"));
                prop_assert!(!cleaned.contains(MARK), "{token}: {cleaned}");
                let head = format!("{before}{token}");
                let cleaned = clean(beginning(&head, head.len() - 2));
                prop_assert!(!cleaned.contains(MARK), "{token}: {cleaned}");
            }
        }

        #[test]
        fn no_named_secret_gets_through(
            before in any::<String>(), after in any::<String>(),
            name in "(access_token|refresh_token|client_secret|code|password|Cookie|token)",
            secret in "[A-Za-z0-9._-]{0,20}",
        ) {
            let secret = format!("{secret}{MARK}{secret}");
            let json = serde_json::json!({ &name: &secret }).to_string();
            for text in [format!("{name}={secret}"), format!("{name}: {secret}"), serde_json::to_string(&json).unwrap(), json] {
                let cleaned = clean(&format!("{before} {text}&{after}"));
                prop_assert!(!cleaned.contains(MARK), "{text}: {cleaned}");
            }
        }

        #[test]
        fn any_text_is_read(text in any::<String>(), most in 0_usize..100) {
            let _cleaned = clean(beginning(&text, most));
        }
    }
}
