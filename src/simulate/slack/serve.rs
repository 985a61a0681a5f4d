//! The routes, and the way of a request for logs from the rate limit to its answer.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract;
use axum::http::{HeaderMap, HeaderValue, Response, Uri, header};
use axum::routing::get;
use governor::clock::Clock as _;
use governor::{DefaultDirectRateLimiter, Quota};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::access::Logins;
use super::allowlist;
use super::answer::{self, Answer, Pause};
use super::clock::Running;
use super::cursor::Cursor;
use super::fault::{Fault, Trouble};
use super::generate::{self, Series};
use super::grants::{Api, Grants, OAuthTally};
use super::history::History;
use super::integration::{Rows, is_row};
use super::late::Moment;
use super::oauth;
use super::page::{Page, Window};
use super::plan::{End, NotAnObject, Plan, RateLimit};
use super::request::{self, Query, Request, Tally};
use super::web::Method;
use super::webhook::{self, Webhooks};

/// All that the routes share.
#[derive(Debug)]
pub(super) struct State {
    pub(super) plan: Plan,
    pub(super) clock: Running,
    pub(super) history: History,
    /// The last requests, oldest first.
    pub(super) journal: Mutex<VecDeque<Request>>,
    pub(super) tally: watch::Sender<Tally>,
    pub(super) stop: CancellationToken,
    pub(super) allowlist: allowlist::Held,
    pub(super) webhooks: Webhooks,
    pub(super) integration: Rows,
    pub(super) integration_logs: Method,
    pub(super) access: Logins,
    pub(super) access_logs: Method,
    pub(super) grants: Mutex<Grants>,
    pub(super) logins: watch::Sender<OAuthTally>,
    /// When it began, by a clock that nobody sets.
    pub(super) begun: Instant,
    requests: AtomicU64,
    limiter: Option<DefaultDirectRateLimiter>,
}

/// As many requests are remembered.
pub(super) const JOURNAL: usize = 10_000;

pub(super) fn router(state: Arc<State>) -> Router {
    Router::new()
        .route("/audit/v1/logs", get(logs))
        .route("/audit/v1/actions", get(actions))
        .route("/audit/v1/schemas", get(schemas))
        .merge(allowlist::router())
        .merge(webhook::router())
        .route("/api/team.integrationLogs", get(integration_logs))
        .route("/api/team.accessLogs", get(access_logs))
        .merge(oauth::router())
        .method_not_allowed_fallback(async || Answer::refused(405, Some("method_not_allowed")).whole())
        .fallback(async || Answer::html(404).whole())
        .layer(axum::middleware::map_response_with_state(Arc::clone(&state), dated))
        .with_state(state)
}

/// Slack's own time, on every answer.
async fn dated(state: extract::State<Arc<State>>, mut response: Response<Body>) -> Response<Body> {
    let now = jiff::Timestamp::from_second(state.clock.now()).unwrap_or(jiff::Timestamp::MAX);
    let text = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&now);
    if let Some(date) = text.ok().and_then(|text| HeaderValue::try_from(text).ok()) {
        response.headers_mut().insert(header::DATE, date);
    }
    response
}

async fn logs(state: extract::State<Arc<State>>, uri: Uri, headers: HeaderMap) -> Response<Body> {
    let extract::State(state) = state;
    let number = state.requests.fetch_add(1, Ordering::SeqCst) + 1;
    let asked = Asked {
        number,
        received: Instant::now(),
        parameters: request::parameters(&uri),
        gzip: request::takes_gzip(&headers),
        kept_out: state.keeps_out(&headers, Api::Audit),
    };
    let trouble = state.trouble(&asked);
    // A page is work of milliseconds: off the threads that drive the connections.
    let answered = {
        let (state, trouble) = (Arc::clone(&state), trouble.clone());
        tokio::task::spawn_blocking(move || state.answer(&asked, trouble.as_ref())).await
    };
    let Ok(answer) = answered else { return Answer::html(500).whole() };
    let pause = |length| Pause { length, stop: state.stop.clone() };
    match trouble {
        Some(Trouble::CutOff) => answer.in_halves(None),
        Some(Trouble::Stalled(length)) => answer.in_halves(Some(pause(length))),
        Some(Trouble::Slow(length)) => {
            pause(length).waited().await;
            answer.whole()
        }
        _ => answer.whole(),
    }
}

async fn integration_logs(state: extract::State<Arc<State>>, uri: Uri, headers: HeaderMap) -> Response<Body> {
    let rows = &state.integration;
    let page = |parameters: &[_], number, trouble: Option<&Trouble>| {
        rows.page(parameters, number, state.clock.now(), trouble)
    };
    state.integration_logs.serve(&state, &uri, &headers, page).await
}

async fn access_logs(state: extract::State<Arc<State>>, uri: Uri, headers: HeaderMap) -> Response<Body> {
    let page = |parameters: &[_], _, trouble: Option<&Trouble>| {
        state.access.page(parameters, state.clock.now(), trouble)
    };
    state.access_logs.serve(&state, &uri, &headers, page).await
}

async fn actions() -> Response<Body> {
    let mut groups = std::collections::BTreeMap::<_, Vec<_>>::new();
    for (group, name) in generate::actions() {
        let names = groups.entry(group).or_default();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Answer::json(200, serde_json::json!({ "actions": groups }).to_string()).whole()
}

async fn schemas() -> Response<Body> {
    let schemas = r#"{"schemas":[{"type":"workspace","workspace":{"id":"string","name":"string","domain":"string"}},{"type":"user","user":{"id":"string","name":"string","email":"string","team":"string"}},{"type":"file","file":{"id":"string","name":"string","filetype":"string","title":"string"}},{"type":"channel","channel":{"id":"string","name":"string","privacy":"string","is_shared":"bool","is_org_shared":"bool"}}]}"#;
    Answer::json(200, schemas.to_owned()).whole()
}

/// A request for logs, as far as it is read before anything is decided.
struct Asked {
    number: u64,
    received: Instant,
    parameters: Vec<(String, String)>,
    gzip: bool,
    /// The token is not let in.
    kept_out: Option<Answer>,
}

impl State {
    pub(super) fn new(mut plan: Plan) -> Result<Self, NotAnObject> {
        let clock = Running::new(plan.clock);
        let start = clock.now();
        let series = plan.generated.as_ref().map(|generated| Series::new(generated, start));
        let history = History::new(series, &plan.late, plan.seed, start);
        let undated = start.saturating_sub(3_600)..;
        for ((line, raw), otherwise) in (1..).zip(std::mem::take(&mut plan.given)).zip(undated) {
            if !history.add(&raw, otherwise) {
                return Err(NotAnObject { line });
            }
        }
        let limiter = plan.rate_limit.map(limiter);
        let allowlist = allowlist::Held::new(std::mem::take(&mut plan.allowlist));
        let integration = std::mem::take(&mut plan.integration);
        if let Some(line) = (1..).zip(&integration.given).find(|(_, row)| !is_row(row)).map(|(line, _)| line)
        {
            return Err(NotAnObject { line });
        }
        let integration_logs = Method::new(integration.faults.clone(), integration.rate_limit);
        let integration = Rows::new(integration, plan.seed, start);
        let access = std::mem::take(&mut plan.access);
        let access_logs = Method::new(access.faults.clone(), access.rate_limit);
        let access = Logins::new(access, plan.seed, start);
        let changes = std::mem::take(&mut plan.changes);
        let grants = Mutex::new(Grants::new(plan.oauth.clone(), &plan.token, changes));
        Ok(Self {
            plan,
            clock,
            history,
            journal: Mutex::default(),
            tally: watch::Sender::default(),
            stop: CancellationToken::new(),
            allowlist,
            webhooks: Webhooks::default(),
            integration,
            integration_logs,
            access,
            access_logs,
            grants,
            logins: watch::Sender::default(),
            begun: Instant::now(),
            requests: AtomicU64::new(0),
            limiter,
        })
    }

    /// The requests for logs so far.
    pub(super) fn requests_so_far(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }

    pub(super) fn entries(&self) -> Vec<String> {
        let now = self.clock.now();
        let moment = Moment { now, requests: self.requests.load(Ordering::SeqCst) };
        let mut entries = Vec::new();
        let mut from = now;
        while let Some(second) = self.history.second_at_or_before(from) {
            for found in self.history.at(second, moment, 0) {
                let mut text = String::new();
                self.history.write(&found, &mut text);
                entries.push(text);
            }
            from = second.saturating_sub(1);
        }
        entries
    }

    /// What goes wrong with the request, the rate limit foremost.
    fn trouble(&self, asked: &Asked) -> Option<Trouble> {
        let over = self.limiter.as_ref().and_then(|limiter| limiter.check().err());
        if let Some(not_until) = over {
            let wait = not_until.wait_time_from(governor::clock::DefaultClock::default().now());
            return Some(Trouble::Refused {
                status: 429,
                error: Some("ratelimited".to_owned()),
                retry_after: Some(wait.saturating_add(Duration::from_nanos(999_999_999)).as_secs().max(1)),
            });
        }
        let has_cursor = asked.parameters.iter().any(|(name, value)| name == "cursor" && !value.is_empty());
        Fault::met_by(&self.plan.faults, asked.number, has_cursor, self.plan.seed).cloned()
    }

    /// The whole answer, and its note in the journal.
    fn answer(&self, asked: &Asked, trouble: Option<&Trouble>) -> Answer {
        let (answer, entries) = match trouble {
            Some(Trouble::Refused { status, error, retry_after }) => {
                (Answer::refused(*status, error.as_deref()).retry_after(*retry_after), None)
            }
            Some(Trouble::Html { status }) => (Answer::html(*status), None),
            Some(Trouble::OkFalse { error }) => (Answer::refused(200, Some(error)), None),
            Some(Trouble::Garbage) => {
                (Answer::json(200, "upstream connect error or disconnect/reset".into()), None)
            }
            _ => self.page(asked, trouble),
        };
        self.note(asked, answer.status, entries, trouble.is_some());
        if asked.gzip && self.plan.pages.gzip { answer.gzip() } else { answer }
    }

    /// The page asked for, with its count of entries, or the refusal that the request earns.
    fn page(&self, asked: &Asked, trouble: Option<&Trouble>) -> (Answer, Option<usize>) {
        if let Some(refusal) = &asked.kept_out {
            return (refusal.clone(), None);
        }
        let now = self.clock.now();
        let query = match Query::read(&asked.parameters, &self.plan, now) {
            _ if trouble == Some(&Trouble::CursorExpired) => Err("invalid_cursor"),
            read => read,
        };
        let query = match query {
            Ok(query) => query,
            Err(word) => return (Answer::refused(400, Some(word)), None),
        };
        let from = query.cursor.map_or(i64::MAX, |cursor| cursor.from);
        let window = Window {
            from: from.min(query.latest.unwrap_or(now)),
            oldest: query.oldest.unwrap_or(i64::MIN),
            limit: if trouble == Some(&Trouble::ShortPage) { 1 } else { query.limit },
            filter: &query.filter,
        };
        let moment = Moment { now, requests: asked.number - 1 };
        let page = match trouble {
            Some(Trouble::EmptyPage) => Page { next: Some(window.from), ..Page::default() },
            _ => Page::read(&self.history, &window, moment, asked.number),
        };
        let end = match (trouble, self.plan.pages.end) {
            (Some(Trouble::NoMetadata), _) => End::NoMetadata,
            (_, End::Mixed) => [End::Empty, End::Null, End::Absent, End::NoMetadata]
                .into_iter()
                .cycle()
                .nth(usize::try_from(asked.number % 4).unwrap_or(0))
                .unwrap_or_default(),
            (_, end) => end,
        };
        let cursor = page.next.map(|from| Cursor { from, issued: now }.encode());
        let answer = Answer::json(200, answer::page(&page, cursor.as_deref(), end));
        let answer = if trouble == Some(&Trouble::HalfJson) { answer.half() } else { answer };
        (answer, Some(page.count))
    }

    fn note(&self, asked: &Asked, status: u16, entries: Option<usize>, troubled: bool) {
        let request = Request {
            number: asked.number,
            received: asked.received,
            parameters: asked.parameters.clone(),
            gzip: asked.gzip,
            status,
            entries: entries.unwrap_or(0),
            troubled,
        };
        self.tally.send_modify(|tally| {
            tally.add(&request);
            tally.pages += u64::from(entries.is_some());
        });
        let mut journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        if journal.len() >= JOURNAL {
            journal.pop_front();
        }
        journal.push_back(request);
    }
}

pub(super) fn limiter(of: RateLimit) -> DefaultDirectRateLimiter {
    let at_least_one = |number: u32| std::num::NonZeroU32::MIN.saturating_add(number.saturating_sub(1));
    let quota = Quota::per_minute(at_least_one(of.per_minute)).allow_burst(at_least_one(of.burst));
    DefaultDirectRateLimiter::direct(quota)
}
