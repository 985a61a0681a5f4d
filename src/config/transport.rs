//! `[destinations.NAME.tls]` and its like: how a destination is reached.

use std::ops::Range;
use std::path::PathBuf;

use super::reader::{Section, Word};
use crate::net::{Address, TlsSettings};
use crate::syslog::{Framing, Profile, Strategy, UnixKind};

/// Exactly one of the transports.
#[derive(Debug, Clone)]
pub enum Transport {
    /// Syslog over TLS.
    Tls(Tls),
    /// Syslog over plain TCP.
    Tcp {
        /// Tried in this order, or all used: see [`Strategy`].
        to: Vec<Address>,
        /// How messages are told apart.
        framing: Framing,
    },
    /// RELP.
    Relp {
        /// Tried in this order, or all used: see [`Strategy`].
        to: Vec<Address>,
        /// Whom to trust, and who we are; none: plaintext.
        tls: Option<TlsSettings>,
    },
    /// Syslog over UDP.
    Udp {
        /// Tried in this order, or all used: see [`Strategy`].
        to: Vec<Address>,
    },
    /// A Unix socket.
    Unix {
        /// Where it lies.
        path: PathBuf,
        /// What it takes.
        kind: UnixKind,
        /// How messages are told apart, where it is a stream.
        framing: Framing,
    },
    /// Standard output, one message a line.
    Stdout,
    /// A file, one message a line.
    File {
        /// Created with mode 0600.
        path: PathBuf,
    },
}

impl Transport {
    /// Somebody says what has arrived.
    pub fn has_receipts(&self) -> bool {
        match self {
            Self::Tls(_) | Self::Tcp { .. } | Self::Relp { .. } => true,
            Self::Unix { kind, .. } => *kind != UnixKind::Datagram,
            Self::Udp { .. } | Self::Stdout | Self::File { .. } => false,
        }
    }
}

/// `[destinations.NAME.tls]`.
#[derive(Debug, Clone)]
pub struct Tls {
    /// Tried in this order, or all used: see [`Strategy`].
    pub to: Vec<Address>,
    /// How messages are told apart.
    pub framing: Framing,
    /// Whom to trust, and who we are.
    pub settings: TlsSettings,
}

/// The transport, what its endpoints are for, and whether it wants a syslog header by itself.
pub(super) fn read(section: &Section<'_, '_>, profile: &Profile) -> Option<(Transport, Strategy, bool)> {
    let given: Vec<(&str, Range<usize>)> = ["tls", "tcp", "udp", "unix", "relp", "stdout", "file"]
        .into_iter()
        .filter_map(|key| Some((key, section.place(key)?)))
        .collect();
    let (first, rest) = given.split_first().or_else(|| {
        let name = "the destination does not say how to get there";
        let help = "add one of its tables: tls, tcp, relp, udp, unix, stdout or file";
        section.problem(&section.span(), "missing", name, help);
        None
    })?;
    for (key, place) in rest {
        let what = format!("a destination has one transport, here are `{}` and `{key}`", first.0);
        section.problem(place, "two-transports", what, "make two destinations of it");
    }
    let inner = section.section(first.0)?;
    match first.0 {
        "tls" => {
            let strategy = read_strategy(&inner);
            Some((Transport::Tls(read_tls(&inner, profile)?), strategy, true))
        }
        "tcp" => {
            let (to, framing) = (read_to(&inner), read_framing(&inner, profile.tcp_framing));
            let strategy = read_strategy(&inner);
            inner.finish();
            Some((Transport::Tcp { to: to?, framing }, strategy, true))
        }
        "relp" => {
            let (to, strategy) = (read_to(&inner), read_strategy(&inner));
            let tls = inner.section("tls").map(|tls| {
                let settings = super::tls::read(&tls);
                tls.finish();
                settings
            });
            inner.finish();
            Some((Transport::Relp { to: to?, tls }, strategy, true))
        }
        "udp" => {
            let (to, strategy) = (read_to(&inner), read_strategy(&inner));
            inner.finish();
            Some((Transport::Udp { to: to? }, strategy, true))
        }
        "unix" => {
            let path = read_path(&inner, "the socket", "path = \"/dev/log\"");
            let kinds =
                [("auto", UnixKind::Any), ("datagram", UnixKind::Datagram), ("stream", UnixKind::Stream)];
            let kind = inner.one_of("kind", &kinds).unwrap_or(UnixKind::Any);
            let framing = read_framing(&inner, Framing::Newline);
            inner.finish();
            Some((Transport::Unix { path: path?, kind, framing }, Strategy::Failover, true))
        }
        "stdout" => {
            inner.finish();
            Some((Transport::Stdout, Strategy::Failover, false))
        }
        "file" => {
            let path = read_path(&inner, "the file", "path = \"/var/log/slack.cef\"");
            inner.finish();
            Some((Transport::File { path: path? }, Strategy::Failover, false))
        }
        _ => None,
    }
}

fn read_path(section: &Section<'_, '_>, what: &str, example: &str) -> Option<PathBuf> {
    let path = section.text("path");
    if section.place("path").is_none() {
        let help = format!("write `{example}`");
        section.problem(&section.span(), "missing", format!("{what} has no `path`"), help);
    }
    Some(path?.text.into())
}

fn read_strategy(section: &Section<'_, '_>) -> Strategy {
    let choices = [("failover", Strategy::Failover), ("balance", Strategy::Balance)];
    section.one_of("strategy", &choices).unwrap_or_default()
}

fn read_tls(tls: &Section<'_, '_>, profile: &Profile) -> Option<Tls> {
    let to = read_to(tls);
    let framing = read_framing(tls, profile.tls_framing);
    let settings = super::tls::read(tls);
    tls.finish();
    Some(Tls { to: to?, framing, settings })
}

fn read_to(section: &Section<'_, '_>) -> Option<Vec<Address>> {
    const HELP: &str = "write `to = [\"siem.example.com:6514\"]`";
    if section.place("to").is_none() {
        section.problem(&section.span(), "missing", "the transport does not say `to` where", HELP);
    }
    let words = section.texts("to")?;
    if words.is_empty() {
        section.problem(&section.place("to")?, "missing", "`to` names no receiver", HELP);
        return None;
    }
    let read = |word: &Word<'_>| {
        word.text
            .parse::<Address>()
            .map_err(|error| section.problem(&word.span, "bad-address", error.to_string(), HELP))
            .ok()
    };
    let to: Vec<_> = words.iter().filter_map(read).collect();
    (to.len() == words.len()).then_some(to)
}

fn read_framing(section: &Section<'_, '_>, usual: Framing) -> Framing {
    let choices = [("octet-counting", Framing::OctetCounting), ("newline", Framing::Newline)];
    section.one_of("framing", &choices).unwrap_or(usual)
}
