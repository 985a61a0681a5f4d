//! What stands in an answer: `200 OK`, or why not; after `open`, what the server offers.

use std::fmt;

/// What a server says of itself when a session opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offers {
    /// `librelp,1.11.0,http://librelp.adiscon.com`, cut at 100 characters; none: it did not say.
    pub software: Option<String>,
    /// It takes the command `syslog`.
    pub(super) syslog: bool,
}

impl Offers {
    /// Looks through the whole text: librelp parts offers by line feeds and begins them on a line of
    /// their own, Logstash puts the first one behind `OK`.
    pub(super) fn read(text: &[u8]) -> Self {
        let mut offers = Self { software: None, syslog: false };
        for offer in text.split(u8::is_ascii_whitespace) {
            if let Some(commands) = offer.strip_prefix(b"commands=") {
                offers.syslog |= commands.split(|&byte| byte == b',').any(|command| command == b"syslog");
            } else if let Some(software) = offer.strip_prefix(b"relp_software=") {
                offers.software.get_or_insert_with(|| readable(software));
            }
        }
        offers
    }
}

/// A server's No.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Its number, such as 500.
    pub code: u16,
    /// Its words, cut at 100 characters; may be empty.
    pub text: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let between = if self.text.is_empty() { "" } else { " " };
        write!(f, "{}{between}{}", self.code, self.text)
    }
}

/// An answer: the rest of its text behind `200`, or the refusal. None: it does not begin with a code.
pub(super) fn read(data: &[u8]) -> Option<Result<&[u8], Refusal>> {
    let (code, text) = data.split_at_checked(3)?;
    if !code.iter().all(u8::is_ascii_digit) || text.first().is_some_and(|byte| !byte.is_ascii_whitespace()) {
        return None;
    }
    let code = code.iter().fold(0, |code: u16, digit| code.saturating_mul(10) + u16::from(digit - b'0'));
    Some(if code == 200 { Ok(text) } else { Err(Refusal { code, text: readable(text) }) })
}

/// A stranger's words, fit for a line of a log.
fn readable(text: &[u8]) -> String {
    let text = text.get(..MOST_READABLE * 4).unwrap_or(text);
    let text = String::from_utf8_lossy(text);
    let text: String = text.trim().chars().take(MOST_READABLE).collect();
    text.replace(char::is_control, " ")
}

const MOST_READABLE: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_are_found_wherever_they_stand() {
        let librelp = b" OK\nrelp_version=0\nrelp_software=librelp,1.11.0,http://x\ncommands=syslog";
        let found = Offers::read(librelp);
        assert_eq!(found, Offers { software: Some("librelp,1.11.0,http://x".into()), syslog: true });
        let logstash =
            b" OK relp_version=0\nrelp_software=logstash,1.1.0,http://logstash.net\ncommands=syslog";
        assert_eq!(Offers::read(logstash).software.unwrap(), "logstash,1.1.0,http://logstash.net");
        assert!(Offers::read(b" OK commands=foo,syslog,bar\n").syslog);
        for without in ["", " OK", " commands=", " commands=syslogs,eventlog", " OKcommands=syslog"] {
            assert!(!Offers::read(without.as_bytes()).syslog, "{without}");
        }
    }

    #[test]
    fn an_answer_is_a_yes_or_a_no_or_none() {
        assert_eq!(read(b"200 OK"), Some(Ok(&b" OK"[..])));
        assert_eq!(read(b"200"), Some(Ok(&b""[..])));
        let refusal = read(b"500 no\x1b[31m such\xffcommand\n").unwrap().unwrap_err();
        assert_eq!(refusal.to_string(), "500 no [31m such\u{fffd}command");
        assert_eq!(read(b"500").unwrap().unwrap_err().to_string(), "500");
        let long = [b"500 ".to_vec(), vec![b'x'; 100_000]].concat();
        assert_eq!(read(&long).unwrap().unwrap_err().text.len(), 100);
        for none in ["", "20", "2000 OK", "OK", "+20 OK", " 200 OK"] {
            assert_eq!(read(none.as_bytes()), None, "{none}");
        }
    }
}
