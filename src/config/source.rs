//! `[sources.NAME]`: one log of one organization.

use std::num::NonZeroU32;
use std::time::Duration;

use super::access;
pub use super::access::AccessReading;
use super::integration;
pub use super::integration::IntegrationReading;
use super::reach::{self, Reach};
use super::reader::Section;
use super::secret::{self, SecretFrom};
use super::{Organization, duration, not_yet};
use crate::event::{Log, UnixTime};
use crate::slack::audit::Only;
use crate::slack::{BaseUrl, Start};

/// One source.
#[derive(Debug, Clone)]
pub struct Source {
    /// Where its token is.
    pub token: SecretFrom,
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
}

/// Reads a source; how Slack is reached unless it says so is in `reach`.
pub(super) fn read(section: &Section<'_, '_>, reach: &Reach) -> Option<Source> {
    let log = read_log(section);
    let token = read_token(section);
    let source = Source {
        reading: match log {
            Some(Log::Access) => Reading::Access(access::read(section)),
            Some(Log::Integration) => Reading::Integration(integration::read(section)),
            _ => Reading::Audit(read_audit(section)),
        },
        token: token.clone().unwrap_or(SecretFrom::Env(String::new())),
        poll_every: section.parsed("poll_every", at_least(Duration::from_secs(1))).unwrap_or(MINUTE),
        start: section.parsed("start", start).unwrap_or(Start::Now),
        // Settled when all sources are known.
        organization: Organization::OfToken(String::new()),
        requests_per_minute: NonZeroU32::MIN,
        base_url: section.parsed("base_url", base_url).unwrap_or_default(),
        reach: reach::read(section, reach),
    };
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

fn read_token(section: &Section<'_, '_>) -> Option<SecretFrom> {
    const HELP: &str =
        "write `token = { env = \"SLACK_AUDIT_TOKEN\" }`, `{ file = \"…\" }` or `{ credential = \"…\" }`";
    let Some(place) = section.place("token") else {
        section.problem(&section.span(), "missing", "the source has no `token`", HELP);
        return None;
    };
    let token = section.section("token")?;
    if let Some(place) = token.place("oauth") {
        not_yet(section, &place, "OAuth tokens", "give the token by `env`, `file` or `credential`");
        token.skip("oauth");
        return None;
    }
    secret::read(section, "token", &place, &token, HELP)
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

pub(super) fn at_least(least: Duration) -> impl Fn(&str) -> Result<Duration, String> {
    move |text| {
        let given = duration(text)?;
        if given < least { Err(format!("write at least {} s", least.as_secs())) } else { Ok(given) }
    }
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

fn base_url(text: &str) -> Result<BaseUrl, String> {
    text.parse().map_err(|error: crate::slack::BadBaseUrl| error.to_string())
}
