//! Receivers by name, and what each wants: the defaults for what a destination leaves unsaid.
//!
//! A profile is advice, never a rule: every line of it is a setting too. Where nothing certain is
//! known about a receiver its line says so and keeps to [`GENERIC`].

use std::fmt;
use std::str::FromStr;

use super::frames::Framing;
use super::message::Facility;
use crate::cef::{Ipv6Labels, Values};

/// The defaults for one kind of receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile {
    /// Its name in the configuration.
    pub name: &'static str,
    /// The header it reads best.
    pub header: HeaderKind,
    /// Its framing inside TLS.
    pub tls_framing: Framing,
    /// Its framing on plain TCP.
    pub tcp_framing: Framing,
    /// The facility by which it may select.
    pub facility: Facility,
    /// The longest message in bytes, header included and frame excluded.
    pub max_message: usize,
    /// How values are written: plain for readers that undo no escape.
    pub values: Values,
    /// The labels of addresses that have no key of their own.
    pub ipv6_labels: Ipv6Labels,
}

/// A header's form, before its zone is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderKind {
    /// RFC 5424.
    Rfc5424,
    /// RFC 3164.
    Rfc3164,
    /// No header.
    None,
}

/// Relays keep the message whole behind an RFC 5424 header only, and it alone has year and zone.
/// RFC 5425 knows octet counting alone; on plain TCP every receiver takes newlines. An rsyslog in
/// between cuts what is longer than 8,096 bytes into several events.
const GENERIC: Profile = Profile {
    name: "generic",
    header: HeaderKind::Rfc5424,
    tls_framing: Framing::OctetCounting,
    tcp_framing: Framing::Newline,
    facility: Facility::LOCAL0,
    max_message: 8000,
    values: Values::Escaped,
    ipv6_labels: Ipv6Labels::OneWord,
};

const PROFILES: [Profile; 11] = [
    GENERIC,
    // CEF's own specification: `Nov  5 21:31:00 host CEF:0|`, and the labels of its IPv6 fields fixed.
    Profile { name: "arcsight", header: HeaderKind::Rfc3164, ipv6_labels: Ipv6Labels::ArcSight, ..GENERIC },
    // SC4S: 6514 is a newline port; it ignores `rt` in milliseconds and takes the header's time, which
    // therefore needs its zone. TRUNCATE is 10,000 bytes.
    Profile { name: "splunk", tls_framing: Framing::Newline, ..GENERIC },
    // Filebeat's tcp input splits at newlines unless told `framing: rfc6587`; decode_cef skips any header.
    Profile { name: "elastic", tls_framing: Framing::Newline, ..GENERIC },
    // The agent's relay writes time, host, tag and message: with RFC 3164 it puts `CEF:0|` together again.
    Profile { name: "sentinel", header: HeaderKind::Rfc3164, ..GENERIC },
    // Newlines (octet counting is not confirmed); 4,096 bytes unless raised, the rest becomes an event
    // without header. The host name in the header selects the log source.
    Profile {
        name: "qradar",
        header: HeaderKind::Rfc3164,
        tls_framing: Framing::Newline,
        max_message: 4000,
        ..GENERIC
    },
    // Regular expressions of its knowledge base, written for RFC 3164 and undoing no escape; not confirmed.
    Profile { name: "logrhythm", header: HeaderKind::Rfc3164, values: Values::Plain, ..GENERIC },
    // A CEF normaliser of which nothing is published.
    Profile { name: "logpoint", ..GENERIC },
    // The CEF input reads RFC 3164 times and newlines; older versions take `\=` for the end of a key,
    // so that a name could forge a field.
    Profile {
        name: "graylog",
        header: HeaderKind::Rfc3164,
        tls_framing: Framing::Newline,
        values: Values::Plain,
        ..GENERIC
    },
    // No decoder for CEF: users' own regular expressions undo no escape. One line is one event.
    Profile {
        name: "wazuh",
        header: HeaderKind::Rfc3164,
        tls_framing: Framing::Newline,
        values: Values::Plain,
        ..GENERIC
    },
    // Google SecOps: its forwarder takes RFC 5424 or 3164; CEF of a new vendor needs a parser there.
    Profile { name: "secops", ..GENERIC },
];

impl Profile {
    /// All of them, `generic` first.
    pub const fn all() -> &'static [Self] {
        &PROFILES
    }
}

impl Default for Profile {
    fn default() -> Self {
        GENERIC
    }
}

impl FromStr for Profile {
    type Err = BadProfile;

    fn from_str(name: &str) -> Result<Self, BadProfile> {
        // Google's product is asked for by its owner's name as well.
        let name = if name == "google" { "secops" } else { name };
        PROFILES.into_iter().find(|profile| profile.name == name).ok_or(BadProfile)
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// The text names no profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no such profile: they are {}", PROFILES.map(|profile| profile.name).join(", "))]
pub struct BadProfile;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_found_by_their_names() {
        for profile in Profile::all() {
            assert_eq!(profile.name.parse(), Ok(*profile));
            assert!(profile.max_message <= 8096, "{profile} would be cut by an rsyslog in between");
        }
        assert_eq!("google".parse::<Profile>().unwrap().name, "secops");
        assert_eq!(Profile::default().name, "generic");
        let unknown = "spunk".parse::<Profile>().unwrap_err().to_string();
        assert!(unknown.contains("splunk") && unknown.contains("qradar"), "{unknown}");
    }
}
