//! From a configuration to parts that work: secrets fetched, certificates read, mappings compiled.
//!
//! `run` needs all of them, `check` looks at each by itself; both do it here.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use secrecy::ExposeSecret;

use super::App;
use super::convert::Converter;
use super::forward::Outlet;
use super::poll::Source as PollSource;
use crate::config::{Config, Destination, SecretError, SecretFrom, Source, Tls, Transport};
use crate::mapping::{self, LoadError, Origin, Plans, PseudonymKey};
use crate::net::{ClientTls, Rate, Roots, TlsClient, TlsError};
use crate::problem::Problem;
use crate::slack::{self, Budget, CannotPoll, Clock, Poller};
use crate::store::{self, OpenError, ReaderName, Repair, SourceId, Store, StoreError};
use crate::syslog::{Endpoint, Format, Framing, Sink, Timeouts};

/// What is not as it must be.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A source's token cannot be had.
    #[error("the token of source {source_name} cannot be had")]
    Token {
        /// The source.
        source_name: String,
        /// Where it was looked for, and why it is not there.
        source: SecretError,
    },
    /// A source cannot be polled with these settings.
    #[error("source {source_name} cannot be polled")]
    Source {
        /// The source.
        source_name: String,
        /// Why not.
        source: CannotPoll,
    },
    /// Roots, certificate or key cannot be used.
    #[error("TLS for {whose} cannot be set up")]
    Tls {
        /// Slack, or a destination.
        whose: String,
        /// Which file, and what is wrong with it.
        source: TlsError,
    },
    /// A mapping folder cannot be read.
    #[error(transparent)]
    MappingFolder(#[from] LoadError),
    /// A mapping holds mistakes.
    #[error("the mapping holds mistakes")]
    Mapping(Vec<Problem>),
    /// A mapping makes pseudonyms and has no key for them.
    #[error("{mapping} makes pseudonyms, at {origin}, and has no key for them")]
    NoPseudonymKey {
        /// `mapping acme`, or the shipped one.
        mapping: String,
        /// The first place that makes one.
        origin: Origin,
    },
    /// The key for a mapping's pseudonyms cannot be had.
    #[error("the pseudonym key of {mapping} cannot be had")]
    PseudonymKey {
        /// The mapping.
        mapping: String,
        /// Where it was looked for, and why it is not there.
        source: SecretError,
    },
    /// The key for a mapping's pseudonyms could be guessed.
    #[error("the pseudonym key of {mapping} has fewer than {} bytes", PseudonymKey::SHORTEST)]
    ShortPseudonymKey {
        /// The mapping.
        mapping: String,
    },
    /// The store cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store was opened and failed.
    #[error("the store cannot be used")]
    Store(#[source] StoreError),
}

/// The plans of the shipped mapping, with a customer's folder laid over it, for a look at what they
/// do: pseudonyms are made with a key for tests.
///
/// # Errors
/// The folder cannot be read, or its files hold mistakes.
pub fn plans(dir: Option<&Path>) -> Result<Plans, SetupError> {
    compiled(dir).map(|plans| plans.keyed(PseudonymKey::for_tests()))
}

fn compiled(dir: Option<&Path>) -> Result<Plans, SetupError> {
    let mut files = mapping::builtin();
    if let Some(dir) = dir {
        files.extend(mapping::load(dir)?);
    }
    mapping::compile(&files).map_err(SetupError::Mapping)
}

/// The plans of the mapping of that name, or of the shipped one alone, before any secret is
/// fetched: see [`keyed`].
///
/// # Errors
/// The folder cannot be read, its files hold mistakes, or they make pseudonyms and the
/// configuration has no key for that.
pub fn plans_of(config: &Config, name: Option<&str>) -> Result<Plans, SetupError> {
    let mapping = name.and_then(|name| config.mappings.get(name));
    let plans = compiled(mapping.map(|mapping| mapping.dir.as_path()))?;
    match plans.wants_pseudonym_key() {
        Some(origin) if mapping.is_none_or(|mapping| mapping.pseudonym_key.is_none()) => {
            let origin = origin.clone();
            Err(SetupError::NoPseudonymKey { mapping: called(name), origin })
        }
        _ => Ok(plans),
    }
}

/// The plans with the key that their mapping makes pseudonyms with, fetched where they make any.
///
/// # Errors
/// The key cannot be had, or is too short.
pub fn keyed(plans: Plans, config: &Config, name: Option<&str>) -> Result<Plans, SetupError> {
    let from = name.and_then(|name| config.mappings.get(name)?.pseudonym_key.as_ref());
    let Some(from) = from.filter(|_| plans.wants_pseudonym_key().is_some()) else { return Ok(plans) };
    let secret = from.fetch().map_err(|source| SetupError::PseudonymKey { mapping: called(name), source })?;
    let key = PseudonymKey::new(secret.expose_secret().as_bytes());
    Ok(plans.keyed(key.ok_or_else(|| SetupError::ShortPseudonymKey { mapping: called(name) })?))
}

fn called(name: Option<&str>) -> String {
    name.map_or_else(|| "the shipped mapping".to_owned(), |name| format!("mapping {name}"))
}

/// The poller of a source, at its bookmark.
///
/// # Errors
/// Its token cannot be had, or its settings do not go together.
pub fn poller(name: &str, source: &Source, bookmark: Option<&[u8]>) -> Result<Poller, SetupError> {
    let token = token(name, &source.token)?;
    // Without any root only a Slack on this very machine can be asked.
    let tls = if source.base_url.is_loopback() { None } else { Some(slack_tls()?) };
    let settings = slack::Settings {
        base_url: source.base_url.clone(),
        token,
        tls,
        budget: Arc::new(Budget::per_minute(source.requests_per_minute)),
        clock: Clock::system(),
        start: source.start,
        settle: source.settle,
        verify_after: source.verify_after,
        poll_every: source.poll_every,
        only: source.only.clone(),
    };
    Poller::new(&settings, bookmark)
        .map_err(|source| SetupError::Source { source_name: name.to_owned(), source })
}

fn slack_tls() -> Result<rustls::ClientConfig, SetupError> {
    let tls = ClientTls::new(&Roots::System, None)
        .map_err(|source| SetupError::Tls { whose: "Slack".to_owned(), source })?;
    Ok(tls.for_http())
}

fn token(name: &str, from: &SecretFrom) -> Result<secrecy::SecretString, SetupError> {
    from.fetch().map_err(|source| SetupError::Token { source_name: name.to_owned(), source })
}

/// The sink of a destination, not connected yet, and the framing that it wants.
///
/// # Errors
/// A certificate, key or authority cannot be used.
pub fn sink(name: &str, destination: &Destination) -> Result<(Sink, Framing), SetupError> {
    match &destination.transport {
        Transport::Tls(tls) => {
            let endpoints = endpoints(tls)
                .map_err(|source| SetupError::Tls { whose: format!("destination {name}"), source })?;
            Ok((Sink::stream(endpoints, Timeouts::default()), tls.framing))
        }
        Transport::Tcp { to, framing } => {
            let endpoints =
                to.iter().map(|address| Endpoint { address: address.clone(), tls: None }).collect();
            Ok((Sink::stream(endpoints, Timeouts::default()), *framing))
        }
        Transport::Stdout => Ok((Sink::stdout(), Framing::Newline)),
        Transport::File { path } => Ok((Sink::file(path.clone()), Framing::Newline)),
    }
}

fn endpoints(tls: &Tls) -> Result<Vec<Endpoint>, TlsError> {
    let client = ClientTls::new(&tls.roots, tls.client.as_ref())?;
    let endpoint = |address: &crate::net::Address| {
        let name = tls.server_name.as_deref().unwrap_or_else(|| address.host());
        Ok(Endpoint { address: address.clone(), tls: Some(TlsClient::new(client.clone(), name)?) })
    };
    tls.to.iter().map(endpoint).collect()
}

/// The converter of a destination.
pub(super) fn converter(destination: &Destination, plans: Arc<Plans>) -> Converter {
    let format = Format::new(
        destination.header.clone(),
        destination.facility,
        destination.hostname.as_deref(),
        &destination.app_name,
    );
    Converter::new(plans, destination.encoder, format, destination.max_message).only(destination.when.clone())
}

pub(super) async fn app(config: &Config) -> Result<App, SetupError> {
    // What is refused without touching anything comes first.
    let mut compiled: BTreeMap<Option<&str>, Arc<Plans>> = BTreeMap::new();
    let mut parts = Vec::new();
    for (name, destination) in &config.destinations {
        let mapping = destination.mapping.as_deref();
        let plans = if let Some(plans) = compiled.get(&mapping) {
            Arc::clone(plans)
        } else {
            let plans = keyed(plans_of(config, mapping)?, config, mapping)?;
            Arc::clone(compiled.entry(mapping).or_insert(Arc::new(plans)))
        };
        let (sink, framing) = sink(name, destination)?;
        parts.push((name, destination, converter(destination, plans), sink, framing));
    }
    for (name, source) in &config.sources {
        token(name, &source.token)?;
    }
    let store = open(config)?;
    tell_of_renamed(config, &store.sources().await.map_err(SetupError::Store)?);
    let mut sources = Vec::new();
    for (name, source) in &config.sources {
        let id = SourceId::new(name.as_str());
        let bookmark = store.bookmark(&id).await.map_err(SetupError::Store)?;
        let bookmark = bookmark.as_ref().map(store::Bookmark::as_bytes);
        sources.push(PollSource::new(id, poller(name, source, bookmark)?));
    }
    let names: Vec<_> = config.destinations.keys().map(|name| ReaderName::new(name.as_str())).collect();
    store.retain_readers(&names).await.map_err(SetupError::Store)?;
    let mut destinations = Vec::new();
    for ((_, destination, converter, sink, framing), name) in parts.into_iter().zip(names) {
        let only = destination
            .sources
            .as_ref()
            .map(|sources| sources.iter().map(|source| SourceId::new(source.as_str())).collect::<Vec<_>>());
        let reader = store.reader(name, only).await.map_err(SetupError::Store)?;
        destinations.push(Outlet::new(reader, converter, framing, sink, Rate::new(&destination.limits)));
    }
    Ok(App { store, sources, destinations })
}

/// A source is known by its name: under another one it begins anew, and what lies between is read
/// by nobody.
fn tell_of_renamed(config: &Config, stored: &[SourceId]) {
    let is_stored = |name: &String| stored.iter().any(|id| id.as_str() == name);
    let Some(new) = config.sources.keys().find(|name| !is_stored(name)) else { return };
    for gone in stored.iter().filter(|id| !config.sources.contains_key(id.as_str())) {
        tracing::warn!(
            %gone, %new,
            "a source that was read before is not configured any more, and another is new: if it was \
             renamed, give it its old name back, or a `start` before the newest event of the old one"
        );
    }
}

fn open(config: &Config) -> Result<Store, SetupError> {
    let state = &config.state;
    let settings =
        store::Settings { dir: state.dir.clone(), retention: state.retention, max_size: state.max_size };
    let (store, repairs) = Store::open(&settings)?;
    for repair in repairs {
        if matches!(repair, Repair::Closed { .. }) {
            tracing::warn!("{repair}");
        } else {
            tracing::error!("{repair}");
        }
    }
    Ok(store)
}
