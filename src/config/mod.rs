//! `slackcef.toml`: text in, a checked [`Config`] out, or every mistake at once.
//!
//! Reading asks nothing of the machine: no secret is fetched, no folder opened, no name resolved.
//! So `check --offline` on a laptop and `run` on the relay judge a file alike.
//!
//! **Invariant:** a `Config` is whole: every name in it is defined in it, every destination has
//! one transport, every rate is above nothing.

mod access;
mod destination;
mod integration;
mod login;
mod notify;
mod organization;
mod quiet;
mod rate;
mod reach;
mod reader;
mod secret;
mod source;
mod telemetry;
mod tls;
mod trace;
mod transport;
mod units;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::problem::Problem;
use crate::slack::TraceSettings;
use crate::store::SourceId;
use reader::{Reader, Section};

pub use destination::Destination;
pub use login::Login;
pub use notify::Notify;
pub use organization::Organization;
pub use quiet::Quiet;
pub use reach::Reach;
pub use secret::{CommandError, CommandLine, SecretError, SecretFrom};
pub use source::{AccessReading, AuditReading, IntegrationReading, Reading, Source, TokenFrom};
pub use telemetry::Telemetry;
pub use transport::{Tls, Transport};
pub use units::{duration, size};

/// A whole configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where entries are kept, and how many of them.
    pub state: State,
    /// The logins that tokens come from, by name.
    pub logins: BTreeMap<String, Arc<Login>>,
    /// What is read, by name.
    pub sources: BTreeMap<String, Source>,
    /// Where it goes, by name.
    pub destinations: BTreeMap<String, Destination>,
    /// What is told in Slack channels, by name.
    pub notices: BTreeMap<String, Notify>,
    /// Folders of mapping files that lie over the shipped ones, by name.
    pub mappings: BTreeMap<String, Mapping>,
    /// Where the forwarder shows how it is.
    pub telemetry: Telemetry,
    /// Where requests to Slack are traced; `None`: nowhere.
    pub trace: Option<TraceSettings>,
    /// What is to be known of these settings, in words: those that this version does not act on yet,
    /// and those that open something.
    pub remarks: Vec<String>,
    /// The text that says all this, by which a later one is told apart.
    pub text: Arc<str>,
}

/// `[mappings.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// The folder of its files.
    pub dir: PathBuf,
    /// Where the key is that its pseudonyms are made with.
    pub pseudonym_key: Option<SecretFrom>,
}

/// `[state]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The folder of the store.
    pub dir: PathBuf,
    /// How long delivered entries are kept for replay.
    pub retention: Duration,
    /// How large the store may grow before the pollers wait, in bytes.
    pub max_size: u64,
}

impl Config {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// The file cannot be read, or holds mistakes.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Self::parse(&path.display().to_string(), &text).map_err(ConfigError::Problems)
    }

    /// Reads a configuration from its text; `file` is its name in messages.
    ///
    /// # Errors
    /// Every mistake in it, in file order.
    pub fn parse(file: &str, text: &str) -> Result<Self, Vec<Problem>> {
        Reader::new(file, text).read(read).map(|config| Self { text: text.into(), ..config })
    }

    /// Its tables as they are written: what is equal there means the same.
    pub fn tables(&self) -> toml::Table {
        // It was read before.
        toml::from_str(&self.text).unwrap_or_default()
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file holds mistakes.
    #[error("the configuration holds mistakes")]
    Problems(Vec<Problem>),
}

fn read(top: &Section<'_, '_>) -> Config {
    read_version(top);
    let mut remarks = Vec::new();
    let state = top.section("state").map_or_else(State::default, |section| read_state(&section));
    let mappings = read_mappings(top);
    let telemetry = top
        .section("telemetry")
        .map_or_else(Telemetry::default, |given| telemetry::read(&given, &mut remarks));
    let reach = top.section("slack").map_or_else(Reach::default, |section| {
        let reach = reach::read(&section, &Reach::default());
        section.finish();
        reach
    });
    let logins: BTreeMap<_, _> = top
        .sections("oauth")
        .into_iter()
        .map(|(name, section)| {
            let login = login::read(&section, name.text, &state.dir, &reach);
            (name.text.to_owned(), checked_name(top, &name).and(login).map(Arc::new))
        })
        .collect();
    let given = top.sections("sources");
    let no_sources = given.is_empty();
    let mut wishes = BTreeMap::new();
    let mut sources: BTreeMap<_, _> = given
        .into_iter()
        .filter_map(|(name, section)| {
            if name.text == SourceId::OWN {
                let what = format!("`{}` is the source of the forwarder's own events", name.text);
                top.problem(&name.span, "bad-name", what, "choose another name, such as `acme-audit`");
            }
            wishes.insert(name.text.to_owned(), organization::read(&section));
            let given = source::Given { reach: &reach, logins: &logins, quiet: telemetry.quiet };
            Some((checked_name(top, &name)?, source::read(&section, &given)?))
        })
        .collect();
    organization::settle(top, &wishes, &mut sources);
    let given = top.sections("destinations");
    let no_destinations = given.is_empty();
    let mut files = BTreeMap::new();
    let destinations: BTreeMap<_, _> = given
        .into_iter()
        .filter_map(|(name, section)| {
            let names = destination::Names { sources: &sources, mappings: &mappings };
            let destination = destination::read(&section, &names);
            let (checked, destination) = (checked_name(top, &name)?, destination?);
            if let Transport::File { path } = &destination.transport
                && let Some(other) = files.insert(path.clone(), checked.clone())
            {
                let what = format!("`{other}` and `{checked}` would tear each other's lines in one file");
                top.problem(&name.span, "same-file", what, "give each a file of its own");
            }
            Some((checked, destination))
        })
        .collect();
    let notices = top
        .sections("notify")
        .into_iter()
        .filter_map(|(name, section)| {
            let names = destination::Names { sources: &sources, mappings: &mappings };
            let notify = notify::read(&section, &names, &reach);
            Some((checked_name(top, &name)?, notify?))
        })
        .collect();
    let trace = top.section("trace").and_then(|section| trace::read(&section, &mut remarks));
    for (table, none, example) in [
        ("sources", no_sources, "[sources.acme-audit]"),
        ("destinations", no_destinations, "[destinations.siem]"),
    ] {
        if none {
            let help =
                format!("add one, beginning with `{example}`; the README has a whole file in ten lines");
            top.problem(&top.place(table).unwrap_or(0..0), "missing", format!("there are no {table}"), help);
        }
    }
    let logins = logins.into_iter().filter_map(|(name, login)| Some((name, login?))).collect();
    Config {
        state,
        logins,
        sources,
        destinations,
        notices,
        mappings,
        telemetry,
        trace,
        remarks,
        text: Arc::default(),
    }
}

fn read_version(top: &Section<'_, '_>) {
    const HELP: &str = "this slackcef reads version 1: begin the file with `version = 1`";
    match top.place("version") {
        None => top.problem(&(0..0), "missing", "the file does not say its version", HELP),
        Some(place) => {
            if top.number("version", 0..=u64::MAX).is_some_and(|version| version != 1) {
                top.problem(
                    &place,
                    "version",
                    "the file is of a version that this slackcef cannot read",
                    HELP,
                );
            }
        }
    }
}

impl Default for State {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("/var/lib/slackcef"),
            retention: Duration::from_secs(7 * 86_400),
            max_size: 10 << 30,
        }
    }
}

fn read_state(section: &Section<'_, '_>) -> State {
    let usual = State::default();
    let state = State {
        dir: section.text("dir").map_or(usual.dir, |word| PathBuf::from(word.text)),
        retention: section.parsed("retention", duration).unwrap_or(usual.retention),
        max_size: section.parsed("max_size", size).unwrap_or(usual.max_size),
    };
    if let Some(place) = section.place("max_size")
        && state.max_size < LEAST_STORE
    {
        section.problem(
            &place,
            "out-of-range",
            "the store would be too small to work in",
            "write at least `64MiB`",
        );
    }
    if let Some(place) = section.place("nats") {
        section.text("nats");
        not_yet(section, &place, "a store shared over NATS", "keep `dir`, on one machine");
    }
    section.finish();
    state
}

/// Below this a full page of entries, its ids and the write-ahead log leave no room to work.
const LEAST_STORE: u64 = 64 << 20;

fn read_mappings(top: &Section<'_, '_>) -> BTreeMap<String, Mapping> {
    let read = |(name, section): (reader::Word<'_>, Section<'_, '_>)| {
        let dir = section.text("dir");
        if dir.is_none() && section.place("dir").is_none() {
            section.problem(
                &section.span(),
                "missing",
                "the mapping has no `dir`",
                "name the folder of its files",
            );
        }
        let pseudonym_key = read_pseudonym_key(&section);
        section.finish();
        let mapping = Mapping { dir: PathBuf::from(dir?.text), pseudonym_key };
        Some((checked_name(top, &name)?, mapping))
    };
    top.sections("mappings").into_iter().filter_map(read).collect()
}

fn read_pseudonym_key(section: &Section<'_, '_>) -> Option<SecretFrom> {
    const HELP: &str = "write `pseudonym_key = { credential = \"…\" }`, `{ file = \"…\" }`, `{ command = [\"…\"] }` or `{ env = \"SLACKCEF_PSEUDONYM_KEY\" }`";
    let place = section.place("pseudonym_key")?;
    let given = section.section("pseudonym_key")?;
    secret::read(section, "pseudonym_key", &place, &given, HELP)
}

/// Names go into file names, log fields and CEF: letters, digits, `-`, `_`, `.`.
fn checked_name(top: &Section<'_, '_>, name: &reader::Word<'_>) -> Option<String> {
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if (1..=64).contains(&name.text.len()) && name.text.chars().all(safe) {
        return Some(name.text.to_owned());
    }
    let help = "use 1 to 64 letters, digits, `-`, `_` or `.`";
    top.problem(&name.span, "bad-name", format!("`{}` cannot be a name", name.text), help);
    None
}

/// A setting of the contract that this version does not do: refused by name, never half done.
fn not_yet(section: &Section<'_, '_>, place: &std::ops::Range<usize>, what: &str, instead: &str) {
    section.problem(place, "not-yet", format!("this version has no {what} yet"), instead);
}

#[cfg(test)]
mod tests;
