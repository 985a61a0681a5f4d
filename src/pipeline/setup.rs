//! From a configuration to parts that work: secrets fetched, certificates read, mappings compiled.
//!
//! `run` needs all of them, `check` looks at each by itself; both do it here.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::ExposeSecret;

use super::convert::Converter;
use super::shared::{Shared, Sharing};
use crate::config::{
    AccessReading, AuditReading, Config, Destination, IntegrationReading, Login, Notify, Reading,
    SecretError, SecretFrom, Source, Tls, TokenFrom, Transport,
};
use crate::mapping::{self, LoadError, MappingFile, Origin, Plans, PseudonymKey};
use crate::net::{Address, TlsError};
use crate::problem::Problem;
use crate::slack::oauth::{App, Rotation};
use crate::slack::{
    self, Account, BadSettings, BadWebhook, CannotPoll, Clock, Fetch, HttpClient, Poller, Token, Unfetched,
    Webhook, WebhookAddress, allowlist,
};
use crate::store::{self, OpenError, Repair, SourceId, Store, StoreError};
use crate::syslog::{self, Endpoint, Format, Framing, Sink};
use crate::telemetry::chain;

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
    /// The secret of a login's app cannot be had.
    #[error("the `client_secret` of [oauth.{login}] cannot be had")]
    ClientSecret {
        /// The login.
        login: String,
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
    /// The password for a proxy cannot be had.
    #[error("the proxy password of {whose} cannot be had")]
    ProxyPassword {
        /// The first source or notice that goes through the proxy: `source acme`.
        whose: String,
        /// Where it was looked for, and why it is not there.
        source: SecretError,
    },
    /// The HTTP client cannot be set up.
    #[error("{whose} cannot reach Slack")]
    Client {
        /// The first source or notice that goes that way: `source acme`.
        whose: String,
        /// Why not.
        source: BadSettings,
    },
    /// The address of a notice's webhook cannot be had.
    #[error("the webhook of notice {notice} cannot be had")]
    Webhook {
        /// The notice.
        notice: String,
        /// Where it was looked for, and why it is not there.
        source: SecretError,
    },
    /// What a notice's secret holds is no address of a webhook.
    #[error("the webhook of notice {notice} cannot be used")]
    WebhookAddress {
        /// The notice.
        notice: String,
        /// Why not; it does not say what was there.
        source: BadWebhook,
    },
    /// Requests to Slack cannot be traced.
    #[error("the trace cannot be written to {}", dir.display())]
    Trace {
        /// The folder.
        dir: PathBuf,
        /// Why not.
        source: std::io::Error,
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

impl SetupError {
    /// What to do about it, where that is known.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Token { source, .. }
            | Self::ProxyPassword { source, .. }
            | Self::ClientSecret { source, .. }
            | Self::Webhook { source, .. }
            | Self::PseudonymKey { source, .. } => Some(source.help()),
            Self::Source { .. } | Self::Client { .. } | Self::Mapping(_) => None,
            Self::WebhookAddress { .. } => Some(
                "copy the whole Webhook URL from the app's settings under Incoming Webhooks, alone, into the place of the secret"
                    .to_owned(),
            ),
            Self::Trace { .. } => {
                Some("check `dir` in [trace], and that the service's user may write there".to_owned())
            }
            Self::NoPseudonymKey { .. } => Some(
                "add `pseudonym_key = { credential = \"…\" }` (or file, or env) to its [mappings.…]; `openssl rand -hex 32` makes a key: keep it, under another one everybody bears another pseudonym".to_owned(),
            ),
            Self::ShortPseudonymKey { .. } => {
                Some("`openssl rand -hex 32` makes one that nobody guesses".to_owned())
            }
            Self::Tls { source, .. } => source.help(),
            Self::MappingFolder(_) => {
                Some("check the path, and that the service's user may read it".to_owned())
            }
            Self::Open(error) => Some(error.help().to_owned()),
            Self::Store(error) => Some(error.help().to_owned()),
        }
    }
}

/// The plans of the shipped mapping, with a customer's folder laid over it, for a look at what they
/// do: pseudonyms are made with a key for tests.
///
/// # Errors
/// The folder cannot be read, or its files hold mistakes.
pub fn plans(dir: Option<&Path>) -> Result<Plans, SetupError> {
    let customers = dir.map(mapping::load).transpose()?;
    compiled(&customers.unwrap_or_default()).map(|plans| plans.keyed(PseudonymKey::for_tests()))
}

/// The plans of the shipped mapping, with a customer's files laid over it.
fn compiled(customers: &[MappingFile]) -> Result<Plans, SetupError> {
    let mut files = mapping::builtin();
    files.extend_from_slice(customers);
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
    let customers = mapping.map(|mapping| mapping::load(&mapping.dir)).transpose()?;
    keyable(&customers.unwrap_or_default(), pseudonym_key(config, name), name)
}

/// The plans of a customer's files, for which a key is configured where they want one.
pub(super) fn keyable(
    customers: &[MappingFile],
    key: Option<&SecretFrom>,
    name: Option<&str>,
) -> Result<Plans, SetupError> {
    let plans = compiled(customers)?;
    match plans.wants_pseudonym_key() {
        Some(origin) if key.is_none() => {
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
    with_key(plans, pseudonym_key(config, name), name)
}

pub(super) fn pseudonym_key<'c>(config: &'c Config, name: Option<&str>) -> Option<&'c SecretFrom> {
    config.mappings.get(name?)?.pseudonym_key.as_ref()
}

pub(super) fn with_key(
    plans: Plans,
    from: Option<&SecretFrom>,
    name: Option<&str>,
) -> Result<Plans, SetupError> {
    let Some(from) = from.filter(|_| plans.wants_pseudonym_key().is_some()) else { return Ok(plans) };
    let secret = from.fetch().map_err(|source| SetupError::PseudonymKey { mapping: called(name), source })?;
    let key = PseudonymKey::new(secret.expose_secret().as_bytes());
    Ok(plans.keyed(key.ok_or_else(|| SetupError::ShortPseudonymKey { mapping: called(name) })?))
}

fn called(name: Option<&str>) -> String {
    name.map_or_else(|| "the shipped mapping".to_owned(), |name| format!("mapping {name}"))
}

/// The poller of a source, at its bookmark, with a budget of its own.
///
/// # Errors
/// Its token cannot be had, or its settings do not go together.
pub fn poller(name: &str, source: &Source, bookmark: Option<&[u8]>) -> Result<Poller, SetupError> {
    poller_of(name, &polling(name, source)?, bookmark)
}

pub(super) fn poller_of(
    name: &str,
    settings: &slack::Settings,
    bookmark: Option<&[u8]>,
) -> Result<Poller, SetupError> {
    Poller::new(settings, bookmark)
        .map_err(|source| SetupError::Source { source_name: name.to_owned(), source })
}

/// The way to the allow list of a source's organization: by its `admin_token`, or else by the
/// source's own.
///
/// # Errors
/// The token cannot be had, or the settings do not go together.
pub fn allowlist(name: &str, source: &Source) -> Result<allowlist::Api, SetupError> {
    let alone = Shared::default();
    let mut sharing = Sharing::after(&alone);
    let account = account_sharing(name, source, &mut sharing)?;
    allowlist_sharing(name, source, &account, &mut sharing)
}

pub(super) fn allowlist_sharing(
    name: &str,
    source: &Source,
    account: &Account,
    sharing: &mut Sharing<'_>,
) -> Result<allowlist::Api, SetupError> {
    let mut account = account.clone();
    if let Some(admin_token) = &source.admin_token {
        account.token = token(name, admin_token, sharing)?;
    }
    Ok(allowlist::Api::new(&account))
}

/// What the poller of a source is told, its token fetched.
///
/// # Errors
/// Its token cannot be had, or how Slack is reached.
pub fn polling(name: &str, source: &Source) -> Result<slack::Settings, SetupError> {
    let alone = Shared::default();
    polling_sharing(name, source, &mut Sharing::after(&alone))
}

pub(super) fn polling_sharing(
    name: &str,
    source: &Source,
    sharing: &mut Sharing<'_>,
) -> Result<slack::Settings, SetupError> {
    let account = account_sharing(name, source, sharing)?;
    let (start, poll_every) = (source.start, source.poll_every);
    Ok(match &source.reading {
        Reading::Audit(AuditReading { settle, verify_after, only }) => {
            slack::Settings::Audit(slack::audit::Settings {
                account,
                start,
                settle: *settle,
                verify_after: *verify_after,
                poll_every,
                only: only.clone(),
            })
        }
        Reading::Access(AccessReading { full_walk_every, forget_after, team_id }) => {
            slack::Settings::Access(slack::access::Settings {
                account,
                start,
                poll_every,
                full_walk_every: *full_walk_every,
                forget_after: *forget_after,
                team_id: team_id.clone(),
            })
        }
        Reading::Integration(IntegrationReading { full_walk_every, forget_after, only, team_id }) => {
            slack::Settings::Integration(slack::integration::Settings {
                account,
                start,
                poll_every,
                full_walk_every: *full_walk_every,
                forget_after: *forget_after,
                only: only.clone(),
                team_id: team_id.clone(),
            })
        }
    })
}

/// Whose log a source is, its token fetched, with a budget of its own.
///
/// # Errors
/// The token cannot be had, or is none; or its settings do not go together.
pub fn account(name: &str, source: &Source) -> Result<Account, SetupError> {
    let alone = Shared::default();
    account_sharing(name, source, &mut Sharing::after(&alone))
}

fn account_sharing(name: &str, source: &Source, sharing: &mut Sharing<'_>) -> Result<Account, SetupError> {
    Ok(Account {
        base_url: source.base_url.clone(),
        token: token(name, &source.token, sharing)?,
        client: sharing.source_client(name, source)?,
        budget: sharing.budget(source),
        clock: Clock::system(),
    })
}

fn token(source_name: &str, from: &TokenFrom, sharing: &mut Sharing<'_>) -> Result<Token, SetupError> {
    let name = || source_name.to_owned();
    match from {
        TokenFrom::Secret(from) => {
            let token = from.fetch().map_err(|source| SetupError::Token { source_name: name(), source })?;
            Token::fetched(&token, fetch(from))
                .map_err(|error| SetupError::Source { source_name: name(), source: error.into() })
        }
        TokenFrom::Login(login) => {
            let client = sharing.login_client(login)?;
            Ok(Token::rotating(Rotation::new(app_by(login, client)?, login.keep())))
        }
    }
}

/// The rotation of a login. Whether anybody has logged in shows with the first request.
///
/// # Errors
/// The app's secret cannot be had, or its settings do not go together.
pub fn rotation(login: &Login) -> Result<Rotation, SetupError> {
    Ok(Rotation::new(app(login)?, login.keep()))
}

/// The app of a login.
///
/// # Errors
/// The app's secret cannot be had, or its settings do not go together.
pub fn app(login: &Login) -> Result<App, SetupError> {
    let alone = Shared::default();
    app_by(login, Sharing::after(&alone).login_client(login)?)
}

fn app_by(login: &Login, client: HttpClient) -> Result<App, SetupError> {
    // It is wanted in hours: better now than then.
    login
        .client_secret
        .fetch()
        .map_err(|source| SetupError::ClientSecret { login: login.name.clone(), source })?;
    Ok(App {
        name: login.name.clone(),
        client_id: login.client_id.clone(),
        client_secret: fetch(&login.client_secret),
        base_url: login.base_url.clone(),
        client,
        clock: Clock::system(),
    })
}

fn fetch(from: &SecretFrom) -> Fetch {
    let is_cheap = from.is_cheap();
    let from = from.clone();
    Fetch::new(is_cheap, move || {
        from.fetch().map_err(|error| Unfetched { what: chain(&error), help: error.help() })
    })
}

/// The way to the webhook of a notice, its secret fetched.
///
/// # Errors
/// Its address cannot be had, or cannot be used.
pub fn webhook(name: &str, notify: &Notify) -> Result<Webhook, SetupError> {
    shared_webhook(name, notify, &mut Sharing::after(&Shared::default()))
}

pub(super) fn shared_webhook(
    name: &str,
    notify: &Notify,
    sharing: &mut Sharing<'_>,
) -> Result<Webhook, SetupError> {
    let secret =
        notify.webhook.fetch().map_err(|source| SetupError::Webhook { notice: name.to_owned(), source })?;
    let address = WebhookAddress::new(&secret)
        .map_err(|source| SetupError::WebhookAddress { notice: name.to_owned(), source })?;
    let client = sharing.client(&format!("notice {name}"), &notify.reach, address.is_loopback())?;
    Ok(Webhook::new(address, client))
}

/// The sink of a destination, not connected yet, and the framing that it wants.
///
/// # Errors
/// A certificate, key or authority cannot be used.
pub fn sink(name: &str, destination: &Destination) -> Result<(Sink, Framing), SetupError> {
    let settings = syslog::Settings {
        strategy: destination.strategy,
        receipts: destination.receipts,
        age: destination.age,
        ..syslog::Settings::default()
    };
    let (endpoints, framing) = match &destination.transport {
        Transport::Tls(tls) => {
            let endpoints = endpoints(tls)
                .map_err(|source| SetupError::Tls { whose: format!("destination {name}"), source })?;
            (endpoints, tls.framing)
        }
        Transport::Tcp { to, framing } => (to.iter().cloned().map(Endpoint::tcp).collect(), *framing),
        Transport::Relp { to, tls } => {
            let clients = match tls {
                Some(tls) => tls
                    .clients(to)
                    .map_err(|source| SetupError::Tls { whose: format!("destination {name}"), source })?
                    .into_iter()
                    .map(Some)
                    .collect(),
                None => vec![None; to.len()],
            };
            let endpoints = to.iter().cloned().zip(clients);
            (endpoints.map(|(address, tls)| Endpoint::relp(address, tls)).collect(), Framing::Bare)
        }
        Transport::Udp { to } => {
            let endpoint = |address: &Address| Endpoint::Udp { address: address.clone() };
            (to.iter().map(endpoint).collect(), Framing::Newline)
        }
        Transport::Unix { path, kind, framing } => {
            (vec![Endpoint::Unix { path: path.clone(), kind: *kind }], *framing)
        }
        Transport::Stdout => (vec![Endpoint::Stdout], Framing::Newline),
        Transport::File { path } => (vec![Endpoint::File { path: path.clone() }], Framing::Newline),
    };
    Ok((Sink::new(endpoints, settings), framing))
}

fn endpoints(tls: &Tls) -> Result<Vec<Endpoint>, TlsError> {
    let clients = tls.settings.clients(&tls.to)?;
    let endpoint = |(address, client): (&Address, _)| Endpoint::tls(address.clone(), client);
    Ok(tls.to.iter().zip(clients).map(endpoint).collect())
}

/// The converter of a destination.
pub fn converter(destination: &Destination, plans: Arc<Plans>) -> Converter {
    Converter::new(plans, destination.encoder, format(destination), destination.max_message)
        .only(destination.when.clone())
}

/// The longest CEF line of a destination, in bytes: what its header leaves of a message.
pub fn line_budget(destination: &Destination) -> usize {
    format(destination).budget(destination.max_message)
}

fn format(destination: &Destination) -> Format {
    Format::new(
        destination.header.clone(),
        destination.facility,
        destination.hostname.as_deref(),
        &destination.app_name,
    )
}

/// A source is known by its name: under another one it begins anew, and what lies between is read
/// by nobody.
pub(super) fn tell_of_renamed(config: &Config, stored: &[SourceId]) {
    let is_stored = |name: &String| stored.iter().any(|id| id.as_str() == name);
    let Some(new) = config.sources.keys().find(|name| !is_stored(name)) else { return };
    let of_slack = stored.iter().filter(|id| **id != SourceId::own());
    for gone in of_slack.filter(|id| !config.sources.contains_key(id.as_str())) {
        tracing::warn!(
            %gone, %new,
            "a source that was read before is not configured any more, and another is new: if it was \
             renamed, give it its old name back, or a `start` before the newest event of the old one"
        );
    }
}

pub(super) fn open(config: &Config) -> Result<(Store, Vec<Repair>), SetupError> {
    let state = &config.state;
    let settings =
        store::Settings { dir: state.dir.clone(), retention: state.retention, max_size: state.max_size };
    let (store, repairs) = Store::open(&settings)?;
    for repair in &repairs {
        if matches!(repair, Repair::Closed { .. }) {
            tracing::warn!("{repair}");
        } else {
            tracing::error!("{repair}");
        }
    }
    Ok((store, repairs))
}
