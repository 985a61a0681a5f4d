//! `[sources.NAME]`: one log of one organization.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::access;
pub use super::access::AccessReading;
use super::integration;
pub use super::integration::IntegrationReading;
use super::login::Login;
use super::quiet::{self, Quiet};
use super::reach::{self, Reach};
use super::reader::Section;
use super::secret::{self, SecretFrom};
use super::units::at_least;
use super::{Organization, duration};
use crate::event::{Log, UnixTime};
use crate::slack::audit::Only;
use crate::slack::{BaseUrl, Start};

/// One source.
#[derive(Debug, Clone)]
pub struct Source {
    /// Where its token comes from.
    pub token: TokenFrom,
    /// How often Slack is asked for news.
    pub poll_every: Duration,
    /// How far the first run reaches back.
    pub start: Start,
    /// What only that log has to be told.
    pub reading: Reading,
    /// The organization whose budget of requests it shares.
    pub organization: Organization,
    /// How many requests a minute the organization's sources of this log make together.
    pub requests_per_minute: NonZeroU32,
    /// Where the API lives.
    pub base_url: BaseUrl,
    /// How it is reached.
    pub reach: Reach,
    /// When it counts as gone quiet.
    pub quiet: Quiet,
    /// Whether Slack's allow list of the organization is read for the mappings.
    pub trusted: bool,
    /// Where the token is that the allow list wants, if it is another one.
    pub admin_token: Option<TokenFrom>,
}

/// Where a source's token comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenFrom {
    /// From a place that holds it.
    Secret(SecretFrom),
    /// From a login.
    Login(Arc<Login>),
}

/// What a source of one log has to be told, and one of another has not.
#[derive(Debug, Clone)]
pub enum Reading {
    /// The audit log.
    Audit(AuditReading),
    /// The access log.
    Access(AccessReading),
    /// The integration log.
    Integration(IntegrationReading),
}

/// How the audit log is read.
#[derive(Debug, Clone)]
pub struct AuditReading {
    /// How long the newest seconds are left alone.
    pub settle: Duration,
    /// How old a window is when it is read once more; `None` where it is not.
    pub verify_after: Option<Duration>,
    /// What Slack itself is asked to leave out.
    pub only: Only,
}

impl Source {
    /// Which of Slack's logs.
    pub fn log(&self) -> Log {
        match self.reading {
            Reading::Audit(_) => Log::Audit,
            Reading::Access(_) => Log::Access,
            Reading::Integration(_) => Log::Integration,
        }
    }

    /// How long the newest seconds are left alone: nothing in the lists, which have no seconds.
    pub fn settle(&self) -> Duration {
        match &self.reading {
            Reading::Audit(reading) => reading.settle,
            Reading::Access(_) | Reading::Integration(_) => Duration::ZERO,
        }
    }

    /// What it is asked for, in a form by which another question is told apart.
    pub fn reads(&self) -> String {
        match &self.reading {
            Reading::Audit(AuditReading { only, .. }) => {
                json!([self.log().name(), only.actions, only.actor, only.entity])
            }
            Reading::Access(AccessReading { team_id, .. }) => json!([self.log().name(), team_id]),
            Reading::Integration(IntegrationReading { only, team_id, .. }) => {
                json!([self.log().name(), team_id, only.app_id, only.service_id, only.user, only.change_type])
            }
        }
        .to_string()
    }
}

/// What else the file says that a source goes by.
pub(super) struct Given<'a> {
    /// How Slack is reached, unless the source says so itself.
    pub(super) reach: &'a Reach,
    pub(super) logins: &'a BTreeMap<String, Option<Arc<Login>>>,
    /// When a source that does not say it itself counts as gone quiet.
    pub(super) quiet: Quiet,
}

pub(super) fn read(section: &Section<'_, '_>, given: &Given<'_>) -> Option<Source> {
    let log = read_log(section);
    let token = read_own_token(section, given.logins);
    let source = Source {
        reading: match log {
            Some(Log::Access) => Reading::Access(access::read(section)),
            Some(Log::Integration) => Reading::Integration(integration::read(section)),
            _ => Reading::Audit(read_audit(section)),
        },
        token: token.clone().unwrap_or_else(|| TokenFrom::Secret(SecretFrom::Env(String::new()))),
        poll_every: section.parsed("poll_every", at_least(Duration::from_secs(1))).unwrap_or(MINUTE),
        start: section.parsed("start", start).unwrap_or(Start::Now),
        // Settled when all sources are known.
        organization: Organization::OfToken(String::new()),
        requests_per_minute: NonZeroU32::MIN,
        base_url: section.parsed("base_url", base_url).unwrap_or_else(|| match &token {
            Some(TokenFrom::Login(login)) => login.base_url.clone(),
            _ => BaseUrl::default(),
        }),
        reach: reach::read(section, given.reach),
        quiet: quiet::read(section, given.quiet),
        trusted: section.flag("trusted").unwrap_or(false),
        admin_token: read_token(section, "admin_token", given.logins),
    };
    check_base_url(section, &source);
    section.finish();
    log?;
    token?;
    Some(source)
}

const MINUTE: Duration = Duration::from_secs(60);

const LOGS: &str = "write `log = \"audit\"`, `log = \"access\"` or `log = \"integration\"`";

fn read_log(section: &Section<'_, '_>) -> Option<Log> {
    let Some(word) = section.text("log") else {
        if section.place("log").is_none() {
            section.problem(&section.span(), "missing", "the source does not say which `log`", LOGS);
        }
        return None;
    };
    // The forwarder's own log is none of Slack's.
    Log::from_name(word.text).filter(|log| *log != Log::Forwarder).or_else(|| {
        let what = format!("Slack has no log `{}`", word.text);
        section.problem(&word.span, "bad-value", what, LOGS);
        None
    })
}

fn read_own_token(
    section: &Section<'_, '_>,
    logins: &BTreeMap<String, Option<Arc<Login>>>,
) -> Option<TokenFrom> {
    if section.place("token").is_none() {
        section.problem(&section.span(), "missing", "the source has no `token`", token_help("token"));
    }
    read_token(section, "token", logins)
}

/// What the source says of a token; of a mistake in it was told where this is `None`.
fn read_token(
    section: &Section<'_, '_>,
    key: &'static str,
    logins: &BTreeMap<String, Option<Arc<Login>>>,
) -> Option<TokenFrom> {
    let place = section.place(key)?;
    let token = section.section(key)?;
    let Some(name) = token.text("oauth") else {
        return secret::read(section, key, &place, &token, &token_help(key)).map(TokenFrom::Secret);
    };
    if secret::KEYS.into_iter().any(|key| token.skip(key)) {
        let what = format!("`{key}` names more than one place");
        section.problem(&place, "bad-value", what, token_help(key));
    }
    token.finish();
    let login = logins.get(name.text);
    // One with a mistake has been told of.
    if login.is_none() {
        let what = format!("`{}` is not defined in this file", name.text);
        let help = format!("add [oauth.{}] with `client_id` and `client_secret`", name.text);
        section.problem(&name.span, "undefined", what, help);
    }
    login.cloned().flatten().map(TokenFrom::Login)
}

fn token_help(key: &str) -> String {
    let variable = if key == "token" { "SLACK_AUDIT_TOKEN" } else { "SLACK_ADMIN_TOKEN" };
    format!(
        "write `{key} = {{ env = \"{variable}\" }}`, `{{ file = \"…\" }}`, `{{ credential = \"…\" }}`, `{{ command = [\"…\"] }}` or `{{ oauth = \"…\" }}`"
    )
}

/// A token of one cloud is none in the other.
fn check_base_url(section: &Section<'_, '_>, source: &Source) {
    if let TokenFrom::Login(login) = &source.token
        && login.base_url != source.base_url
        && let Some(place) = section.place("base_url")
    {
        let what = format!("the login `{}` is at {}, and the source is not", login.name, login.base_url);
        section.problem(&place, "bad-value", what, "leave it out: a source is where its login is");
    }
}

fn read_audit(section: &Section<'_, '_>) -> AuditReading {
    for key in access::KEYS {
        refuse(section, key, "an audit log", "leave it out: it is for access and integration logs");
    }
    AuditReading {
        settle: section.parsed("settle", duration).unwrap_or(MINUTE),
        verify_after: section.parsed("verify_after", or_off).unwrap_or(Some(60 * MINUTE)),
        only: section.section("only").map(|only| read_only(&only)).unwrap_or_default(),
    }
}

/// A key that another log knows.
pub(super) fn refuse(section: &Section<'_, '_>, key: &'static str, log: &str, instead: &str) {
    if let Some(place) = section.place(key) {
        section.problem(&place, "other-log", format!("{log} has no `{key}`"), instead);
    }
}

fn read_only(section: &Section<'_, '_>) -> Only {
    let only = Only {
        actions: section
            .texts("actions")
            .unwrap_or_default()
            .into_iter()
            .map(|word| word.text.to_owned())
            .collect(),
        actor: section.text("actor").map(|word| word.text.to_owned()),
        entity: section.text("entity").map(|word| word.text.to_owned()),
    };
    if only.actions.len() > Only::MOST_ACTIONS
        && let Some(place) = section.place("actions")
    {
        let what = format!("Slack takes at most 30 actions, here are {}", only.actions.len());
        section.problem(
            &place,
            "out-of-range",
            what,
            "leave `only` out, and drop the rest by a rule of the mapping",
        );
    }
    section.finish();
    only
}

/// The store knows an entry again by its id, and keeps ids for three days at least: verified later
/// than that, all would be taken for new. Half a day is left for gathering and for Slack's outages.
fn or_off(text: &str) -> Result<Option<Duration>, String> {
    if text == "off" {
        return Ok(None);
    }
    match duration(text)? {
        late if late > LATEST_VERIFICATION => Err("write at most `48h`, or \"off\"".to_owned()),
        after => Ok(Some(after)),
    }
}

const LATEST_VERIFICATION: Duration = Duration::from_secs(48 * 3600);

fn start(text: &str) -> Result<Start, String> {
    if text == "now" {
        return Ok(Start::Now);
    }
    if let Ok(ago) = duration(text) {
        return Ok(Start::Ago(ago));
    }
    let at: jiff::Timestamp = text.parse().map_err(|_| {
        "write \"now\", how far back (\"30d\"), or a time (\"2026-01-31T00:00:00Z\")".to_owned()
    })?;
    Ok(Start::At(UnixTime::from_seconds(at.as_second())))
}

pub(super) fn base_url(text: &str) -> Result<BaseUrl, String> {
    text.parse().map_err(|error: crate::slack::BadBaseUrl| error.to_string())
}
