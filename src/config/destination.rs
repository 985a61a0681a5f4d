//! `[destinations.NAME]`: one receiver, how it wants its messages, and how many of them.
//!
//! What a destination leaves unsaid comes from its profile.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::reader::{Section, Word};
use super::{Mapping, Source, duration, not_yet, rate, size};
use crate::cef;
use crate::mapping::When;
use crate::net::{Address, Limits, TlsSettings};
use crate::store::SourceId;
use crate::syslog::{Facility, Framing, Header, HeaderKind, Profile, Strategy, UnixKind};

/// One destination.
#[derive(Debug, Clone)]
pub struct Destination {
    /// The mapping that lies over the shipped one; `None` for the shipped one alone.
    pub mapping: Option<String>,
    /// The sources whose entries go here; `None` for all.
    pub sources: Option<Vec<String>>,
    /// Which events go here; `None` for all.
    pub when: Option<When>,
    /// How fast it may go.
    pub limits: Limits,
    /// The longest message in bytes, header included.
    pub max_message: usize,
    /// The header's form.
    pub header: Header,
    /// APP-NAME.
    pub app_name: String,
    /// The facility.
    pub facility: Facility,
    /// HOSTNAME; `None` for this machine's name.
    pub hostname: Option<String>,
    /// How values are written.
    pub encoder: cef::Encoder,
    /// Receipts are asked for.
    pub receipts: bool,
    /// How long an event may sit in the receiver's memory after it was read.
    pub age: Duration,
    /// What several endpoints are for.
    pub strategy: Strategy,
    /// How it gets there.
    pub transport: Transport,
}

/// Exactly one of the transports.
#[derive(Debug, Clone)]
pub enum Transport {
    /// Syslog over TLS.
    Tls(Tls),
    /// Syslog over plain TCP.
    Tcp {
        /// Tried in this order.
        to: Vec<Address>,
        /// How messages are told apart.
        framing: Framing,
    },
    /// Syslog over UDP.
    Udp {
        /// Tried in this order.
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
            Self::Tls(_) | Self::Tcp { .. } => true,
            Self::Unix { kind, .. } => *kind != UnixKind::Datagram,
            Self::Udp { .. } | Self::Stdout | Self::File { .. } => false,
        }
    }
}

/// `[destinations.NAME.tls]`.
#[derive(Debug, Clone)]
pub struct Tls {
    /// Tried in this order.
    pub to: Vec<Address>,
    /// How messages are told apart.
    pub framing: Framing,
    /// Whom to trust, and who we are.
    pub settings: TlsSettings,
}

/// What a destination may refer to.
pub(super) struct Names<'a> {
    pub(super) sources: &'a BTreeMap<String, Source>,
    pub(super) mappings: &'a BTreeMap<String, Mapping>,
}

pub(super) fn read(section: &Section<'_, '_>, names: &Names<'_>) -> Option<Destination> {
    let profile =
        section.parsed("profile", |name| name.parse::<Profile>().map_err(|error| error.to_string()));
    let profile = profile.unwrap_or_default();
    let (transport, strategy, stream) = match read_transport(section, &profile) {
        Some((transport, strategy, stream)) => (Some(transport), strategy, stream),
        None => (None, Strategy::Failover, true),
    };
    let max_message = section.parsed("max_message", message_size).unwrap_or(profile.max_message);
    let sources = read_sources(section, names);
    let destination = Destination {
        mapping: defined(section, section.text("mapping"), names.mappings, "[mappings.…]"),
        when: read_when(section, sources.as_deref(), names),
        sources,
        limits: rate::read(section, max_message),
        max_message,
        header: read_header(section, &profile, stream),
        app_name: section.parsed("app_name", |name| printable(name, 48)).unwrap_or_else(|| "CEF".to_owned()),
        facility: section
            .parsed("facility", |name| {
                name.parse().map_err(|error: crate::syslog::BadFacility| error.to_string())
            })
            .unwrap_or(profile.facility),
        hostname: section.parsed("hostname", |name| printable(name, 255)),
        encoder: read_encoder(section, &profile),
        receipts: section.one_of("receipts", &[("auto", true), ("off", false)]).unwrap_or(true),
        age: section.parsed("age", duration).unwrap_or(profile.age),
        strategy,
        transport: transport.clone().unwrap_or(Transport::Stdout),
    };
    section.finish();
    transport?;
    Some(destination)
}

fn read_sources(section: &Section<'_, '_>, names: &Names<'_>) -> Option<Vec<String>> {
    let listed = section.texts("sources")?;
    if listed.is_empty() {
        let what = "`sources` names none: nothing would ever go here";
        section.problem(&section.place("sources")?, "missing", what, "name one, or leave it out for all");
    }
    let found = |word| defined(section, Some(word), names.sources, "[sources.…]");
    Some(listed.into_iter().filter_map(found).collect())
}

fn read_when(section: &Section<'_, '_>, sources: Option<&[String]>, names: &Names<'_>) -> Option<When> {
    let mut sources: Vec<&str> = match sources {
        Some(sources) => sources.iter().map(String::as_str).collect(),
        None => names.sources.keys().map(String::as_str).collect(),
    };
    if !sources.is_empty() {
        // Its events go everywhere.
        sources.push(SourceId::OWN);
    }
    section.read_by("when", |file, text, value| When::read(file, text, value, &sources))
}

/// The transport, what its endpoints are for, and whether it wants a syslog header by itself.
fn read_transport(section: &Section<'_, '_>, profile: &Profile) -> Option<(Transport, Strategy, bool)> {
    let given: Vec<(&str, Range<usize>)> = ["tls", "tcp", "udp", "unix", "relp", "stdout", "file"]
        .into_iter()
        .filter_map(|key| Some((key, section.place(key)?)))
        .collect();
    for key in ["relp"] {
        if let Some(place) = section.place(key) {
            section.skip(key);
            not_yet(section, &place, &format!("`{key}`"), "use `tls` or `tcp`");
        }
    }
    let (first, rest) = given.split_first().or_else(|| {
        let name = "the destination does not say how to get there";
        let help = "add one of its tables: tls, tcp, udp, unix, stdout or file";
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

fn read_header(section: &Section<'_, '_>, profile: &Profile, stream: bool) -> Header {
    let choices =
        [("rfc5424", HeaderKind::Rfc5424), ("rfc3164", HeaderKind::Rfc3164), ("none", HeaderKind::None)];
    // What goes to a file or a pipe is CEF for some other program; a header is there on request.
    let usual = if stream { profile.header } else { HeaderKind::None };
    let zone = section.parsed("timezone", |name| {
        TimeZone::get(name).map_err(|_| "write a zone such as `UTC` or `Europe/Berlin`".to_owned())
    });
    match section.one_of("header", &choices).unwrap_or(usual) {
        HeaderKind::Rfc5424 => Header::Rfc5424,
        HeaderKind::Rfc3164 => Header::Rfc3164(zone.unwrap_or(TimeZone::UTC)),
        HeaderKind::None => Header::None,
    }
}

fn read_encoder(section: &Section<'_, '_>, profile: &Profile) -> cef::Encoder {
    let mut encoder =
        cef::Encoder { version: cef::Since::V0, values: profile.values, ipv6_labels: profile.ipv6_labels };
    if let Some(given) = section.section("cef") {
        if given.number("version", 0..=1) == Some(1) {
            encoder.version = cef::Since::V1;
        }
        let choices = [("escaped", cef::Values::Escaped), ("plain", cef::Values::Plain)];
        encoder.values = given.one_of("values", &choices).unwrap_or(encoder.values);
        given.finish();
    }
    encoder
}

fn message_size(text: &str) -> Result<usize, String> {
    let bytes = usize::try_from(size(text)?).map_err(|error| error.to_string())?;
    // RFC 5424 §6.1: every receiver takes 480 bytes; beyond a mebibyte none is known to.
    if (LEAST_MESSAGE..=1 << 20).contains(&bytes) {
        Ok(bytes)
    } else {
        Err("write a size from 1KiB to 1MiB".to_owned())
    }
}

/// Room for a header of 300 bytes and the keys by which an event is found again.
const LEAST_MESSAGE: usize = 1024;

fn printable(text: &str, limit: usize) -> Result<String, String> {
    let fits = (1..=limit).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    if fits {
        Ok(text.to_owned())
    } else {
        Err(format!("write 1 to {limit} printable ASCII characters without a space"))
    }
}

/// The word, where `names` defines it.
fn defined<T>(
    section: &Section<'_, '_>,
    word: Option<Word<'_>>,
    names: &BTreeMap<String, T>,
    table: &str,
) -> Option<String> {
    let word = word?;
    if names.contains_key(word.text) {
        return Some(word.text.to_owned());
    }
    let known = crate::problem::closest(word.text, names.keys().map(String::as_str));
    let help =
        known.map_or_else(|| format!("define it by {table}"), |near| format!("did you mean `{near}`?"));
    section.problem(&word.span, "undefined", format!("`{}` is not defined in this file", word.text), help);
    None
}
