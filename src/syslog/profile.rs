//! Receivers by name, and what each wants: the defaults for what a destination leaves unsaid.
//!
//! A profile is advice, never a rule: every line of it is a setting too. Where nothing certain is
//! known about a receiver its line says so and keeps to [`GENERIC`]. `deploy/receivers/` says what to
//! set on the other side.
//!
//! What no profile changes: PRI's severity follows CEF's by the table at [`Severity`](super::Severity);
//! times are the event's own, in UTC, RFC 3339 to the second in an RFC 5424 header and
//! `Nov  5 21:31:00` in an RFC 3164 one, where `timezone` sets another zone.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::frames::Framing;
use super::message::Facility;
use crate::cef::{Ipv6Labels, Values};

/// The defaults for one kind of receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile {
    /// Its name in the configuration.
    pub name: &'static str,
    /// What it is for, in the words of its makers.
    pub receiver: &'static str,
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
    /// How long an event may lie in its memory alone after its process has read it: so long the event
    /// is kept here, and sent again should a connection to it fail meanwhile.
    pub age: Duration,
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

/// A receiver that passes on what it reads within moments. Less (a second) is right only for one that
/// writes before it reads on, such as the daemons of `deploy/receivers/` do; no profile can know that.
const BRIEFLY: Duration = Duration::from_secs(5);

/// A receiver that gathers batches, or whose next hop may lag: what it has read waits in memory.
const BEHIND: Duration = Duration::from_secs(30);

/// Each line's reason, unless a profile below has another:
///
/// - header: relays keep the message whole behind an RFC 5424 header only, and it alone has year and zone.
/// - framing: RFC 5425 knows octet counting alone, and half a frame is never an event; on plain TCP every
///   receiver takes newlines.
/// - facility: local0, which systems leave to applications: no mail or login record is mistaken for ours.
/// - size: an rsyslog in between cuts what is longer than 8,096 bytes into several events.
/// - values: escaped as CEF's specification has it; all but the readers named below undo it.
/// - labels: one word each, for some readers lose a field whose label has a blank.
/// - age: what a receiver that keeps up needs to get it out of its memory.
const GENERIC: Profile = Profile {
    name: "generic",
    receiver: "rsyslog, syslog-ng's `syslog()`, anything that keeps to RFC 5425",
    header: HeaderKind::Rfc5424,
    tls_framing: Framing::OctetCounting,
    tcp_framing: Framing::Newline,
    facility: Facility::LOCAL0,
    max_message: 8000,
    values: Values::Escaped,
    ipv6_labels: Ipv6Labels::OneWord,
    age: BRIEFLY,
};

/// As [`GENERIC`], for a receiver that may read lines alone. Where its framing is not known newlines
/// are the safer guess: one that wants counts closes the connection at the first line, and that is
/// seen; one that wants lines takes counts into its events, and nobody sees it for weeks.
const LINES: Profile = Profile { tls_framing: Framing::Newline, ..GENERIC };

const PROFILES: [Profile; 11] = [
    GENERIC,
    Profile {
        name: "arcsight",
        receiver: "OpenText ArcSight: Syslog NG Daemon SmartConnector",
        // As the specification of CEF shows it: `Nov  5 21:31:00 host CEF:0|`.
        header: HeaderKind::Rfc3164,
        // The labels that its own parsers set for IPv6 addresses.
        ipv6_labels: Ipv6Labels::ArcSight,
        // Framing, size and how long it holds events: not confirmed.
        ..LINES
    },
    Profile {
        name: "splunk",
        receiver: "Splunk Connect for Syslog (SC4S)",
        // It passes over `rt` in milliseconds and takes the header's time, which so needs its zone: RFC 5424.
        // Its TLS port 6514 reads lines: LINES. Splunk itself cuts at 10,000 bytes (TRUNCATE): 8,000 fits.
        // Up to 20,000,000 events wait in its memory while the HTTP Event Collector lags.
        age: BEHIND,
        ..LINES
    },
    Profile {
        name: "elastic",
        receiver: "Filebeat, Elastic Agent or Logstash",
        // `decode_cef` and Logstash's codec pass over any header. Both split at newlines unless told
        // otherwise (Filebeat: `framing: rfc6587`), and the codec cannot be told: LINES.
        // Filebeat's queue in memory waits up to ten seconds for a full batch (since 8.13).
        age: BEHIND,
        ..LINES
    },
    Profile {
        name: "sentinel",
        receiver: "Microsoft Sentinel: Azure Monitor Agent behind rsyslog or syslog-ng",
        // What most devices send: the forwarder's rsyslog takes `CEF:` for the tag and hands the agent
        // `CEF: 0|`, as it does Microsoft's own test message. Year and zone are lost there: `rt` has them.
        header: HeaderKind::Rfc3164,
        // The agent's action holds 25,000 events in memory in front of the agent.
        age: BEHIND,
        // Framing: both daemons take octet counting (syslog-ng by `syslog()`). Size: rsyslog's 8,096.
        ..GENERIC
    },
    Profile {
        name: "qradar",
        receiver: "IBM QRadar: Universal CEF over TLS syslog",
        // The host name in the header selects the log source; that of RFC 3164 is read by all its versions.
        header: HeaderKind::Rfc3164,
        // 4,096 bytes of TCP syslog unless raised, the rest becomes an event without header: not confirmed.
        max_message: 4000,
        // Lines; that it reads octet counting is not confirmed, nor how long it holds events.
        ..LINES
    },
    Profile {
        name: "logrhythm",
        receiver: "LogRhythm System Monitor Agent",
        // Regular expressions of its knowledge base, written for RFC 3164 and undoing no escape: not confirmed.
        header: HeaderKind::Rfc3164,
        values: Values::Plain,
        // Framing, size and how long it holds events: not confirmed.
        ..LINES
    },
    Profile {
        name: "logpoint",
        receiver: "Logpoint Syslog Collector with a CEF normalizer",
        // Nothing of it is confirmed: header, size and values as generic.
        ..LINES
    },
    Profile {
        name: "graylog",
        receiver: "Graylog: CEF TCP input",
        // It reads RFC 3164 times; RFC 5424 is not confirmed.
        header: HeaderKind::Rfc3164,
        // Older versions take `\=` for the end of a key, so that a name could forge a field.
        values: Values::Plain,
        // Lines (or NUL). Its journal on disk takes events as they come; 2 MiB a message: 8,000 is for relays.
        ..LINES
    },
    Profile {
        name: "wazuh",
        receiver: "Wazuh, by a file or its syslog input",
        // No decoder for CEF: users' own regular expressions know RFC 3164 and undo no escape.
        header: HeaderKind::Rfc3164,
        values: Values::Plain,
        // One line is one event; 65,536 bytes. How long it holds events: not confirmed.
        ..LINES
    },
    Profile {
        name: "secops",
        receiver: "Google SecOps: forwarder or Bindplane agent",
        // Both split at newlines unless told otherwise: LINES. CEF of a new vendor needs a parser there.
        // Both gather batches in memory before they upload, the forwarder for up to ten seconds.
        age: BEHIND,
        ..LINES
    },
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
            assert_eq!(profile.tcp_framing, Framing::Newline, "{profile}: what every receiver takes");
            assert!((BRIEFLY..=BEHIND).contains(&profile.age), "{profile}: {:?}", profile.age);
        }
        assert_eq!("google".parse::<Profile>().unwrap().name, "secops");
        assert_eq!(Profile::default().name, "generic");
        let unknown = "spunk".parse::<Profile>().unwrap_err().to_string();
        assert!(unknown.contains("splunk") && unknown.contains("qradar"), "{unknown}");
    }
}
