//! `[destinations.NAME]`: one receiver, how it wants its messages, and how many of them.
//!
//! What a destination leaves unsaid comes from its profile.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::reader::{Section, Word};
use super::transport::{self, Transport};
use super::{Mapping, Source, duration, rate, size};
use crate::cef;
use crate::mapping::When;
use crate::net::Limits;
use crate::store::SourceId;
use crate::syslog::{Facility, Header, HeaderKind, Profile, Strategy};

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

/// What a destination may refer to.
pub(super) struct Names<'a> {
    pub(super) sources: &'a BTreeMap<String, Source>,
    pub(super) mappings: &'a BTreeMap<String, Mapping>,
}

pub(super) fn read(section: &Section<'_, '_>, names: &Names<'_>) -> Option<Destination> {
    let profile =
        section.parsed("profile", |name| name.parse::<Profile>().map_err(|error| error.to_string()));
    let profile = profile.unwrap_or_default();
    let (transport, strategy, stream) = match transport::read(section, &profile) {
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

pub(super) fn read_sources(section: &Section<'_, '_>, names: &Names<'_>) -> Option<Vec<String>> {
    let listed = section.texts("sources")?;
    if listed.is_empty() {
        let what = "`sources` names none: nothing would ever go here";
        section.problem(&section.place("sources")?, "missing", what, "name one, or leave it out for all");
    }
    let found = |word| defined(section, Some(word), names.sources, "[sources.…]");
    Some(listed.into_iter().filter_map(found).collect())
}

pub(super) fn read_when(
    section: &Section<'_, '_>,
    sources: Option<&[String]>,
    names: &Names<'_>,
) -> Option<When> {
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
pub(super) fn defined<T>(
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
