//! A request as a simulated Slack reads it, and what it remembers of it.

use std::time::Instant;

use axum::http::{HeaderMap, Uri, header};

use super::cursor::Cursor;
use super::page::Filter;
use super::plan::{MAX_LIMIT, Plan};

/// A request for logs that was seen, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Its place among the requests for its log, from 1.
    pub number: u64,
    /// When it came.
    pub received: Instant,
    /// The parameters as they came, escapes undone.
    pub parameters: Vec<(String, String)>,
    /// Whether gzip was asked for.
    pub gzip: bool,
    /// The status it was answered with.
    pub status: u16,
    /// How many entries it was answered with.
    pub entries: usize,
    /// Whether a fault of the plan, or its rate limit, struck.
    pub troubled: bool,
}

impl Request {
    /// A request that just came: it has no number, and nothing became of it yet.
    pub(super) fn read(uri: &Uri, headers: &HeaderMap) -> Self {
        Self {
            number: 0,
            received: Instant::now(),
            parameters: parameters(uri),
            gzip: takes_gzip(headers),
            status: 0,
            entries: 0,
            troubled: false,
        }
    }

    /// The parameter's value.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The parameter's value, where it has one.
    pub(super) fn filled(&self, name: &str) -> Option<&str> {
        self.parameter(name).filter(|value| !value.is_empty())
    }
}

/// What was counted since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Requests for logs.
    pub requests: u64,
    /// Those answered with a page.
    pub pages: u64,
    /// Entries in those pages; the same entry counts each time.
    pub entries: u64,
    /// Those that a fault of the plan, or its rate limit, struck.
    pub troubled: u64,
    /// Those without `oldest`.
    pub without_oldest: u64,
    /// Those without `latest`.
    pub without_latest: u64,
    /// Those without `limit`.
    pub without_limit: u64,
}

impl Tally {
    pub(super) fn add(&mut self, request: &Request) {
        let lacks = |name| u64::from(request.parameter(name).is_none());
        self.requests += 1;
        self.troubled += u64::from(request.troubled);
        self.without_oldest += lacks("oldest");
        self.without_latest += lacks("latest");
        self.without_limit += lacks("limit");
        self.entries += request.entries as u64;
    }
}

/// What a request asks for, understood.
#[derive(Debug)]
pub(super) struct Query {
    pub(super) oldest: Option<i64>,
    pub(super) latest: Option<i64>,
    pub(super) limit: usize,
    pub(super) cursor: Option<Cursor>,
    pub(super) filter: Filter,
}

/// Most actions that one request may name.
const MAX_ACTIONS: usize = 30;

impl Query {
    /// Understands a request, or says Slack's word for what is wrong with it.
    pub(super) fn read(request: &Request, plan: &Plan, now: i64) -> Result<Self, &'static str> {
        let pages = &plan.pages;
        let number = |name| request.parameter(name).map(whole_number).transpose();
        let (oldest, latest) = (number("oldest")?, number("latest")?);
        if latest.is_some_and(|latest| latest > now) || oldest.zip(latest).is_some_and(|(old, new)| old > new)
        {
            return Err("invalid_range");
        }
        let limit = match number("limit")?.map(usize::try_from) {
            None => pages.default_limit,
            Some(Ok(limit @ 1..=MAX_LIMIT)) => limit,
            Some(_) => return Err("invalid_range"),
        };
        let cursor = match request.filled("cursor").map(Cursor::decode) {
            None => None,
            Some(Some(cursor)) if !cursor.has_expired(now, pages.cursor_life) => Some(cursor),
            Some(_) => return Err("invalid_cursor"),
        };
        let actions = request.filled("action").into_iter().flat_map(|names| names.split(','));
        let actions: Vec<_> = actions.map(str::to_owned).collect();
        if actions.len() > MAX_ACTIONS || !actions.iter().all(|action| plan.knows(action)) {
            return Err("invalid_action");
        }
        let filter = Filter {
            actions,
            actor: request.filled("actor").map(str::to_owned),
            entity: request.filled("entity").map(str::to_owned),
        };
        Ok(Self { oldest, latest, limit: limit.min(pages.largest), cursor, filter })
    }
}

/// Plain digits, such as a Unix time: no sign, no point, no exponent.
fn whole_number(text: &str) -> Result<i64, &'static str> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or("invalid_range")
}

/// The parameters; an `=` that came unescaped inside a cursor is lost, as it is on the way to Slack.
pub(super) fn parameters(uri: &Uri) -> Vec<(String, String)> {
    let query = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri);
    let mut parameters = query.map(|query| query.0).unwrap_or_default();
    let raw = uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.strip_prefix("cursor="));
    if raw.into_iter().any(|cursor| cursor.contains('=')) {
        for (_, value) in parameters.iter_mut().filter(|(name, _)| name == "cursor") {
            value.truncate(value.trim_end_matches('=').len());
        }
    }
    parameters
}

/// The fields of a form: its body has the form of a query.
pub(super) fn form(body: &[u8]) -> Vec<(String, String)> {
    let text = std::str::from_utf8(body).unwrap_or_default();
    format!("/?{text}").parse().map(|uri| parameters(&uri)).unwrap_or_default()
}

/// Whether the client takes gzip.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let accepted =
        headers.get_all(header::ACCEPT_ENCODING).into_iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        parts.next() == Some("gzip") && parts.all(|weight| weight != "q=0")
    })
}
