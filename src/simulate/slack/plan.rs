//! What a simulated Slack holds and how it behaves.

use std::time::Duration;

use super::access::AccessLog;
use super::allowlist::Allowlist;
use super::clock::Clock;
use super::fault::Fault;
use super::generate::Generated;
use super::grants::{Change, OAuth};
use super::integration::IntegrationLog;
use super::late::Late;

/// The token that a plan asks for unless it names another.
pub const TOKEN: &str = "xoxp-simulated-audit-token";

/// Everything that a simulated Slack does, given in code or read from a file
/// ([`Plan::from_toml`], [`Plan::load`]).
///
/// The default is a well-behaved Slack without events, on the machine's clock.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The one token that is let in.
    pub token: String,
    /// Decides order within a second, and which requests a fault by chance hits.
    pub seed: u64,
    /// The present.
    pub clock: Clock,
    /// How pages are cut and end.
    pub pages: Pages,
    /// The actions that a request may ask for; by default any.
    pub actions: Option<Vec<String>>,
    /// Answers 429 to whoever asks too often.
    pub rate_limit: Option<RateLimit>,
    /// Entries as JSON text, one object each, served byte for byte at their own `date_create`.
    ///
    /// One without `date_create` gets it as its first key, for Slack's entries always have one:
    /// an hour before the simulator's start for the first of them, a second later for each next.
    pub given: Vec<String>,
    /// Entries made up on the fly.
    pub generated: Option<Generated>,
    /// Which entries can be read only some time after they were created; the first rule that picks
    /// an entry counts.
    pub late: Vec<Late>,
    /// Slack's own allow list for anomalies.
    pub allowlist: Allowlist,
    /// What goes wrong, and when; the first fault that a request meets counts.
    pub faults: Vec<Fault>,
    /// The integration log.
    pub integration: IntegrationLog,
    /// The access log.
    pub access: AccessLog,
    /// The app that can be installed.
    pub oauth: OAuth,
    /// What happens to it and to its tokens, one after the other.
    pub changes: Vec<Change>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            token: TOKEN.to_owned(),
            seed: 1,
            clock: Clock::Real,
            pages: Pages::default(),
            actions: None,
            rate_limit: None,
            given: Vec::new(),
            generated: None,
            late: Vec::new(),
            allowlist: Allowlist::default(),
            faults: Vec::new(),
            integration: IntegrationLog::default(),
            access: AccessLog::default(),
            oauth: OAuth::default(),
            changes: Vec::new(),
        }
    }
}

impl Plan {
    /// Adds the entries of a text with one JSON object a line; blank lines are passed over.
    ///
    /// # Errors
    /// [`NotAnObject`] for the first line that is anything else; the plan is as before then.
    pub fn add_lines(&mut self, lines: &str) -> Result<usize, NotAnObject> {
        let mut added = objects(lines)?;
        let count = added.len();
        self.given.append(&mut added);
        Ok(count)
    }

    /// Adds rows of the integration log, the oldest first, in the same form.
    ///
    /// # Errors
    /// [`NotAnObject`] for the first line that is anything else; the plan is as before then.
    pub fn add_integration_lines(&mut self, lines: &str) -> Result<usize, NotAnObject> {
        let mut added = objects(lines)?;
        let count = added.len();
        self.integration.given.append(&mut added);
        Ok(count)
    }

    /// Whether a request may ask for that action.
    pub(super) fn knows(&self, action: &str) -> bool {
        !action.is_empty()
            && self.actions.as_ref().is_none_or(|known| known.iter().any(|known| known == action))
    }
}

/// The JSON objects of a text with one a line.
fn objects(lines: &str) -> Result<Vec<String>, NotAnObject> {
    let lines = (1..).zip(lines.lines().map(str::trim)).filter(|(_, text)| !text.is_empty());
    let object = |(line, text): (usize, &str)| {
        if super::history::is_object(text) { Ok(text.to_owned()) } else { Err(NotAnObject { line }) }
    };
    lines.map(object).collect()
}

/// A line of an events file that is not one JSON object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} is not one JSON object")]
pub struct NotAnObject {
    /// The line, counted from 1.
    pub line: usize,
}

/// How pages are cut and how the last one says that it is the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pages {
    /// The `limit` of a request that names none.
    pub default_limit: usize,
    /// No page aims at more entries than this, whatever `limit` asks for.
    pub largest: usize,
    /// How the last page ends.
    pub end: End,
    /// How long a cursor is good for.
    pub cursor_life: Option<Duration>,
    /// Whether answers are compressed for those who ask for it.
    pub gzip: bool,
}

impl Default for Pages {
    fn default() -> Self {
        Self { default_limit: 100, largest: MAX_LIMIT, end: End::Empty, cursor_life: None, gzip: true }
    }
}

/// The largest `limit` that Slack takes.
pub const MAX_LIMIT: usize = 9_999;

/// The ways in which a last page says that nothing follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum End {
    /// `"next_cursor":""`.
    #[default]
    Empty,
    /// `"next_cursor":null`.
    Null,
    /// `"response_metadata":{}`.
    Absent,
    /// No `response_metadata` at all.
    NoMetadata,
    /// Each in turn, from request to request.
    Mixed,
}

/// So many requests a minute, and so many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests a minute; at least 1.
    pub per_minute: u32,
    /// Requests that may come at once after a pause; at least 1.
    pub burst: u32,
}
