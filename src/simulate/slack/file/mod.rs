//! Plans as people write them: TOML, with a version, every mistake shown where it stands.

mod access;
mod fault;
mod integration;
mod oauth;
#[cfg(test)]
mod tests;
mod time;

use std::num::NonZeroU32;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use super::allowlist::Allowlist;
use super::clock::{Clock, Running};
use super::generate::{Generated, Pace};
use super::late::{Late, Pick, Until};
use super::plan::{End, MAX_LIMIT, NotAnObject, Pages, Plan, RateLimit};
use crate::event::UnixTime;
use crate::problem::Problem;
use access::AccessTable;
use fault::FaultForm;
use integration::IntegrationTable;
use oauth::{ChangeForm, OAuthTable};
use time::{Length, Time, Wait};

/// A plan that cannot be had from its file.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The plan, or a file of events that it names, cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A mistake in the plan.
    #[error("{}: {}", problem.file, problem.what)]
    Plan {
        /// Where and what.
        problem: Box<Problem>,
    },
    /// A file of events holds something else.
    #[error("{} is no file of events", path.display())]
    Events {
        /// The file.
        path: PathBuf,
        /// Which line.
        source: NotAnObject,
    },
}

impl Plan {
    /// Reads a plan file, and the files of events that it names, which lie relative to it.
    ///
    /// # Errors
    /// A file cannot be read, or holds a mistake.
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        let (mut plan, events) = Self::from_toml(&path.display().to_string(), &read(path)?)
            .map_err(|problem| LoadError::Plan { problem: Box::new(problem) })?;
        let beside = |file: &PathBuf| path.parent().unwrap_or(Path::new("")).join(file);
        for events in &events.audit {
            plan.load_events(&beside(events))?;
        }
        for path in events.integration.iter().map(beside) {
            plan.add_integration_lines(&read(&path)?)
                .map_err(|source| LoadError::Events { path: path.clone(), source })?;
        }
        Ok(plan)
    }

    /// Adds the entries of a file with one JSON object a line, and says how many.
    ///
    /// # Errors
    /// The file cannot be read, or a line is not a JSON object.
    pub fn load_events(&mut self, path: &Path) -> Result<usize, LoadError> {
        let lines = read(path)?;
        self.add_lines(&lines).map_err(|source| LoadError::Events { path: path.to_owned(), source })
    }

    /// Reads a plan from the text of a file, and gives with it the files of events that it names.
    ///
    /// # Errors
    /// The first mistake in the text.
    pub fn from_toml(file: &str, text: &str) -> Result<(Self, EventFiles), Problem> {
        let read = toml::from_str(text).map_err(|error| Mistake {
            span: error.span().unwrap_or_default(),
            what: error.message().lines().next().unwrap_or("not a plan").to_owned(),
        });
        read.and_then(Table::into_plan).map_err(|Mistake { span, what }| Problem {
            code: "simulation-plan",
            file: file.into(),
            text: text.into(),
            span,
            what,
            help: None,
        })
    }
}

fn read(path: &Path) -> Result<String, LoadError> {
    std::fs::read_to_string(path).map_err(|source| LoadError::Read { path: path.to_owned(), source })
}

/// The files of events that a plan names, by log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFiles {
    /// Those with entries of the audit log.
    pub audit: Vec<PathBuf>,
    /// Those with rows of the integration log, the oldest first.
    pub integration: Vec<PathBuf>,
}

/// What is wrong, and where.
struct Mistake {
    span: Range<usize>,
    what: String,
}

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(rename = "version")]
    _version: Version,
    token: Option<String>,
    seed: Option<u64>,
    actions: Option<Vec<String>>,
    #[serde(default)]
    events: Vec<PathBuf>,
    #[serde(default)]
    clock: ClockTable,
    #[serde(default)]
    pages: PagesTable,
    rate_limit: Option<RateLimitTable>,
    generated: Option<GeneratedTable>,
    #[serde(default)]
    late: Vec<Spanned<LateForm>>,
    #[serde(default)]
    allowlist: Allowlist,
    #[serde(default)]
    faults: Vec<Spanned<FaultForm>>,
    #[serde(default)]
    integration: IntegrationTable,
    #[serde(default)]
    access: AccessTable,
    #[serde(default)]
    oauth: OAuthTable,
    #[serde(default)]
    changes: Vec<Spanned<ChangeForm>>,
}

impl Table {
    fn into_plan(self) -> Result<(Plan, EventFiles), Mistake> {
        let default = Plan::default();
        let clock = self.clock.0;
        let seed = self.seed.unwrap_or(default.seed);
        let integration = self.integration.events.clone();
        let plan = Plan {
            token: self.token.unwrap_or(default.token),
            seed,
            clock,
            pages: self.pages.into(),
            actions: self.actions,
            rate_limit: self.rate_limit.map(RateLimit::from),
            given: Vec::new(),
            generated: self.generated.map(|generated| generated.into_generated(seed, clock)),
            late: understood(self.late)?,
            allowlist: self.allowlist,
            faults: understood(self.faults)?,
            integration: self.integration.into_log()?,
            access: self.access.into_log()?,
            oauth: self.oauth.into(),
            changes: understood(self.changes)?,
        };
        Ok((plan, EventFiles { audit: self.events, integration }))
    }
}

/// Each form as what it means; by hand, for serde would not say in which of them the mistake is.
fn understood<F, T: TryFrom<F, Error = String>>(forms: Vec<Spanned<F>>) -> Result<Vec<T>, Mistake> {
    forms
        .into_iter()
        .map(|form| {
            let span = form.span();
            T::try_from(form.into_inner()).map_err(|what| Mistake { span, what })
        })
        .collect()
}

#[derive(Deserialize)]
#[serde(try_from = "u32")]
struct Version;

impl TryFrom<u32> for Version {
    type Error = String;

    fn try_from(number: u32) -> Result<Self, String> {
        match number {
            1 => Ok(Self),
            _ => Err(format!("version {number} of plans is unknown here: this program reads version 1")),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(try_from = "ClockForm")]
struct ClockTable(Clock);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockForm {
    fixed: Option<Time>,
    shift: Option<Length>,
}

impl TryFrom<ClockForm> for ClockTable {
    type Error = &'static str;

    fn try_from(form: ClockForm) -> Result<Self, &'static str> {
        match form {
            ClockForm { fixed: None, shift: None } => Ok(Self(Clock::Real)),
            ClockForm { fixed: None, shift: Some(by) } => Ok(Self(Clock::Shifted(by.0.as_secs()))),
            ClockForm { fixed: Some(Time::At(at)), shift: None } => Ok(Self(Clock::Fixed(at))),
            ClockForm { fixed: Some(Time::FromNow(_)), shift: None } => {
                Err("a fixed clock stands at a time, not before or after the present")
            }
            ClockForm { .. } => Err("a clock is either `fixed` or `shift`ed, not both"),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct PagesTable {
    default_limit: Option<Limit>,
    largest: Option<Limit>,
    end: Option<EndName>,
    cursor_life: Option<Wait>,
    gzip: Option<bool>,
}

impl From<PagesTable> for Pages {
    fn from(table: PagesTable) -> Self {
        let default = Self::default();
        Self {
            default_limit: table.default_limit.map_or(default.default_limit, |limit| limit.0),
            largest: table.largest.map_or(default.largest, |limit| limit.0),
            end: table.end.map_or(default.end, End::from),
            cursor_life: table.cursor_life.map(|life| life.0),
            gzip: table.gzip.unwrap_or(default.gzip),
        }
    }
}

#[derive(Deserialize)]
#[serde(try_from = "usize")]
struct Limit(usize);

impl TryFrom<usize> for Limit {
    type Error = String;

    fn try_from(limit: usize) -> Result<Self, String> {
        match limit {
            1..=MAX_LIMIT => Ok(Self(limit)),
            _ => Err(format!("a page holds between 1 and {MAX_LIMIT} entries")),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum EndName {
    Empty,
    Null,
    Absent,
    NoMetadata,
    Mixed,
}

impl From<EndName> for End {
    fn from(name: EndName) -> Self {
        match name {
            EndName::Empty => Self::Empty,
            EndName::Null => Self::Null,
            EndName::Absent => Self::Absent,
            EndName::NoMetadata => Self::NoMetadata,
            EndName::Mixed => Self::Mixed,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RateLimitTable {
    per_minute: NonZeroU32,
    burst: Option<NonZeroU32>,
}

impl From<RateLimitTable> for RateLimit {
    fn from(table: RateLimitTable) -> Self {
        let per_minute = table.per_minute.get();
        Self { per_minute, burst: table.burst.map_or(per_minute.div_ceil(5), NonZeroU32::get) }
    }
}

#[derive(Deserialize)]
#[serde(try_from = "GeneratedForm")]
struct GeneratedTable {
    generated: Generated,
    seed: Option<u64>,
    start: Option<Time>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GeneratedForm {
    seed: Option<u64>,
    count: Option<u64>,
    per_second: Option<f64>,
    over: Option<Wait>,
    start: Option<Time>,
    burst_every: Option<u64>,
    burst: Option<u64>,
    #[serde(default)]
    hostile: bool,
}

impl TryFrom<GeneratedForm> for GeneratedTable {
    type Error = &'static str;

    fn try_from(form: GeneratedForm) -> Result<Self, &'static str> {
        let default = Generated::default();
        let (pace, count) = match (form.per_second, form.over) {
            (Some(_), Some(_)) => return Err("entries come either `per_second` or `over` a time, not both"),
            (Some(rate), None) if rate > 0.0 => (Pace::PerSecond(rate), form.count),
            (Some(_), None) => return Err("`per_second` is a number above 0"),
            (None, over) => {
                (over.map_or(default.pace, |over| Pace::Over(over.0)), form.count.or(default.count))
            }
        };
        let generated = Generated {
            count,
            pace,
            burst_every: form.burst_every.unwrap_or(default.burst_every),
            burst: form.burst.unwrap_or(default.burst),
            hostile: form.hostile,
            ..default
        };
        Ok(Self { generated, seed: form.seed, start: form.start })
    }
}

impl GeneratedTable {
    fn into_generated(self, seed: u64, clock: Clock) -> Generated {
        let start = self.start.map(|start| match start {
            Time::At(at) => at,
            Time::FromNow(wait) => UnixTime::from_seconds(Running::new(clock).now()).plus(wait.as_secs()),
        });
        Generated { seed: self.seed.unwrap_or(seed), start, ..self.generated }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LateForm {
    one_in: Option<u64>,
    ids: Option<Vec<String>>,
    behind: Option<Wait>,
    after_start: Option<Wait>,
    after_requests: Option<u64>,
}

impl TryFrom<LateForm> for Late {
    type Error = String;

    fn try_from(form: LateForm) -> Result<Self, String> {
        let pick = match (form.one_in, form.ids) {
            (Some(times), None) => Pick::OneIn(times),
            (None, Some(ids)) => Pick::Ids(ids),
            _ => return Err("late entries are picked by `one_in` or by `ids`: exactly one of them".into()),
        };
        let until = match (form.behind, form.after_start, form.after_requests) {
            (Some(wait), None, None) => Until::Behind(wait.0),
            (None, Some(wait), None) => Until::AfterStart(wait.0),
            (None, None, Some(requests)) => Until::AfterRequests(requests),
            _ => {
                return Err("late is `behind`, `after_start` or `after_requests`: exactly one of them".into());
            }
        };
        Ok(Self { pick, until })
    }
}
