//! The parts of a syslog header, each made fit for the wire when it is made.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use crate::cef;

/// Where a message comes from, by RFC 5424 §6.2.1: `local0`, `auth` and so on.
#[derive(Clone, Copy)]
pub struct Facility(syslog::Facility);

impl Facility {
    /// `local0`, unless the receiver sorts by another one.
    pub const LOCAL0: Self = Self(syslog::Facility::LOG_LOCAL0);

    /// The facility with this number, 0 to 23.
    pub fn from_code(code: u8) -> Option<Self> {
        NAMES.get(usize::from(code))?.parse().ok()
    }

    /// 0 to 23.
    pub const fn code(self) -> u8 {
        self.0 as u8 >> 3
    }

    /// The facility's name: `local0`.
    pub fn name(self) -> &'static str {
        NAMES.get(usize::from(self.code())).copied().unwrap_or("local0")
    }
}

impl Default for Facility {
    fn default() -> Self {
        Self::LOCAL0
    }
}

impl FromStr for Facility {
    type Err = BadFacility;

    /// The name as syslog.conf has it, or the number.
    fn from_str(text: &str) -> Result<Self, BadFacility> {
        if let Ok(code) = text.parse() {
            return Self::from_code(code).ok_or(BadFacility);
        }
        text.parse().map(Self).map_err(|()| BadFacility)
    }
}

impl PartialEq for Facility {
    fn eq(&self, other: &Self) -> bool {
        self.code() == other.code()
    }
}

impl Eq for Facility {}

impl fmt::Debug for Facility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Facility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The text names no facility.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no such facility: they are {}", NAMES.join(", "))]
pub struct BadFacility;

/// In the order of their codes, in the spelling that [`syslog::Facility`] reads.
const NAMES: [&str; 24] = [
    "kern",
    "user",
    "mail",
    "daemon",
    "auth",
    "syslog",
    "lpr",
    "news",
    "uucp",
    "cron",
    "authpriv",
    "ftp",
    "ntp",
    "audit",
    "alert",
    "clock_daemon",
    "local0",
    "local1",
    "local2",
    "local3",
    "local4",
    "local5",
    "local6",
    "local7",
];

/// How urgent a message is, by RFC 5424 §6.2.1: 0 (emergency) to 7 (debug).
#[derive(Clone, Copy)]
pub struct Severity(pub(super) syslog::Severity);

impl Severity {
    /// 0 to 7.
    pub const fn code(self) -> u8 {
        self.0 as u8
    }
}

/// The one table: CEF's Low, Medium, High and Very-High become informational, warning, error and
/// critical. Alert and emergency wake people up on machines that forward their own syslog; nothing
/// that Slack reports is one of them.
impl From<cef::Severity> for Severity {
    fn from(severity: cef::Severity) -> Self {
        Self(match severity.get() {
            0..=3 => syslog::Severity::LOG_INFO,
            4..=6 => syslog::Severity::LOG_WARNING,
            7..=8 => syslog::Severity::LOG_ERR,
            _ => syslog::Severity::LOG_CRIT,
        })
    }
}

impl PartialEq for Severity {
    fn eq(&self, other: &Self) -> bool {
        self.code() == other.code()
    }
}

impl Eq for Severity {}

impl fmt::Debug for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.code().fmt(f)
    }
}

/// PRI's number: facility and severity in one.
pub(super) const fn priority(facility: Facility, severity: syslog::Severity) -> u8 {
    facility.0 as u8 | severity as u8
}

/// HOSTNAME of RFC 5424 §6.2.4: up to 255 printable ASCII characters, `-` when there are none.
pub(super) fn hostname_5424(text: &str) -> String {
    without_cef(field(text, 255))
}

/// APP-NAME of RFC 5424 §6.2.5: up to 48 printable ASCII characters, `-` when there are none.
pub(super) fn app_name(text: &str) -> String {
    without_cef(field(text, 48))
}

/// The host of an RFC 3164 header as the strictest reader wants it (rsyslog shifts all fields
/// otherwise): letters, digits, `.`, `_`, `-`, a letter or digit at both ends, no IPv6 address.
/// There is no nil value: without a name the reader would take the message's first word for it.
pub(super) fn hostname_3164(text: &str) -> String {
    let text =
        text.parse::<Ipv6Addr>().map_or_else(|_| text.to_owned(), |ip| ip.to_string().replace(':', "-"));
    let safe = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let name: String = text.trim().chars().take(255).map(safe).collect();
    let name = name.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    if name.is_empty() { "slackcef".to_owned() } else { name.to_owned() }
}

/// Printable ASCII (33 to 126) and nothing else: what is not becomes `_`.
fn field(text: &str, most: usize) -> String {
    let safe = |c: char| if c.is_ascii_graphic() { c } else { '_' };
    let field: String = text.trim().chars().take(most).map(safe).collect();
    if field.is_empty() { "-".to_owned() } else { field }
}

/// Most readers of CEF begin at the first `CEF:` they see: there may be none before the message.
fn without_cef(field: String) -> String {
    if field.to_ascii_uppercase().contains("CEF:") { field.replace(':', "_") } else { field }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facilities_have_their_names_and_codes() {
        for (code, name) in NAMES.iter().enumerate() {
            let facility: Facility = name.parse().unwrap();
            assert_eq!(usize::from(facility.code()), code);
            assert_eq!(facility.to_string(), *name);
            assert_eq!(Facility::from_code(facility.code()), Some(facility));
            assert_eq!(code.to_string().parse(), Ok(facility));
        }
        assert_eq!("LOCAL3".parse::<Facility>().unwrap().code(), 19);
        assert_eq!("24".parse::<Facility>(), Err(BadFacility));
        assert!("mine".parse::<Facility>().unwrap_err().to_string().contains("local0"));
    }

    #[test]
    fn severities_follow_the_table() {
        let expected = [6, 6, 6, 6, 4, 4, 4, 3, 3, 2, 2];
        for (cef, syslog) in (0..).zip(expected) {
            assert_eq!(Severity::from(cef::Severity::new(cef).unwrap()).code(), syslog, "of {cef}");
        }
        assert_eq!(priority(Facility::LOCAL0, syslog::Severity::LOG_INFO), 134);
    }

    #[test]
    fn host_names_are_cleaned_for_each_header() {
        for (text, rfc5424, rfc3164) in [
            ("fw1.example.com", "fw1.example.com", "fw1.example.com"),
            ("", "-", "slackcef"),
            ("two words\n", "two_words", "two-words"),
            ("fw_1-", "fw_1-", "fw_1"),
            ("2001:db8::7", "2001:db8::7", "2001-db8--7"),
            ("::", "::", "slackcef"),
            ("bücher", "b_cher", "b-cher"),
            ("xCEF:0|", "xCEF_0|", "xCEF-0"),
        ] {
            assert_eq!(hostname_5424(text), rfc5424, "{text:?}");
            assert_eq!(hostname_3164(text), rfc3164, "{text:?}");
        }
        assert_eq!(hostname_5424(&"h".repeat(300)).len(), 255);
        assert_eq!(app_name(&"a".repeat(60)).len(), 48);
        assert_eq!(app_name("CEF:0"), "CEF_0");
    }
}
