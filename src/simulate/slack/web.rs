//! A method of the Web API: status 200 whatever happens, and a word for what went wrong.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{HeaderMap, Response, Uri};
use governor::DefaultDirectRateLimiter;
use governor::clock::Clock as _;
use tokio::sync::watch;

use super::answer::{Answer, Pause};
use super::fault::{Fault, Trouble};
use super::grants::Api;
use super::plan::RateLimit;
use super::request::{self, Request, Tally};
use super::serve::{JOURNAL, State, limiter};

/// What a method has seen, and what goes wrong with it.
#[derive(Debug)]
pub(super) struct Method {
    faults: Vec<Fault>,
    limiter: Option<DefaultDirectRateLimiter>,
    requests: AtomicU64,
    /// The last requests, oldest first.
    pub(super) journal: Mutex<VecDeque<Request>>,
    pub(super) tally: watch::Sender<Tally>,
}

/// A page of a list.
#[derive(Debug)]
pub(super) struct Listed {
    /// The list's name.
    pub(super) list: &'static str,
    pub(super) count: usize,
    /// Their texts, with commas between.
    pub(super) rows: String,
    pub(super) paging: Option<String>,
    /// Where the next page begins, for one who asks by cursors; empty at the end.
    pub(super) cursor: Option<String>,
}

/// Slack's word for a request that it refuses.
#[derive(Debug)]
pub(super) struct Refused {
    status: u16,
    body: String,
}

impl Refused {
    pub(super) fn word(word: &str) -> Self {
        Self { status: 200, body: format!(r#"{{"ok":false,"error":"{word}"}}"#) }
    }

    pub(super) fn scope(needed: &str, provided: &str) -> Self {
        let body =
            format!(r#"{{"ok":false,"error":"missing_scope","needed":"{needed}","provided":"{provided}"}}"#);
        Self { status: 200, body }
    }

    /// A status without a word.
    pub(super) fn status(status: u16) -> Self {
        Self { status, body: String::new() }
    }
}

impl Method {
    pub(super) fn new(faults: Vec<Fault>, rate_limit: Option<RateLimit>) -> Self {
        Self {
            faults,
            limiter: rate_limit.map(limiter),
            requests: AtomicU64::new(0),
            journal: Mutex::default(),
            tally: watch::Sender::default(),
        }
    }

    /// Answers a request with the page that `read` makes of its parameters and its number.
    pub(super) async fn serve(
        &self,
        state: &Arc<State>,
        uri: &Uri,
        headers: &HeaderMap,
        read: impl FnOnce(&[(String, String)], u64, Option<&Trouble>) -> Result<Listed, Refused>,
    ) -> Response<Body> {
        let received = Instant::now();
        let number = self.requests.fetch_add(1, Ordering::SeqCst) + 1;
        let parameters = request::parameters(uri);
        let has_cursor = parameters.iter().any(|(name, value)| name == "cursor" && !value.is_empty());
        let trouble = self.trouble(number, has_cursor, state.plan.seed);
        let (answer, rows) = match (&trouble, state.keeps_out(headers, Api::Web)) {
            (Some(Trouble::Refused { status, error, retry_after }), _) => {
                (Answer::refused(*status, error.as_deref()).retry_after(*retry_after), None)
            }
            (Some(Trouble::Html { status }), _) => (Answer::html(*status), None),
            (Some(Trouble::OkFalse { error }), _) => (Answer::refused(200, Some(error)), None),
            (Some(Trouble::Garbage), _) => {
                (Answer::json(200, "upstream connect error or disconnect/reset".into()), None)
            }
            (_, Some(refusal)) => (refusal, None),
            (trouble, None) => match read(&parameters, number, trouble.as_ref()) {
                Ok(listed) => (Answer::json(200, listed.body()), Some(listed.count)),
                Err(Refused { status, body }) => (Answer::json(status, body), None),
            },
        };
        let gzip = request::takes_gzip(headers);
        self.note(
            Request {
                number,
                received,
                parameters,
                gzip,
                status: answer.status,
                entries: rows.unwrap_or(0),
                troubled: trouble.is_some(),
            },
            rows.is_some(),
        );
        let answer = if trouble == Some(Trouble::HalfJson) { answer.half() } else { answer };
        let answer = if gzip && state.plan.pages.gzip { answer.gzip() } else { answer };
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

    /// What goes wrong with the request, the rate limit foremost.
    fn trouble(&self, number: u64, has_cursor: bool, seed: u64) -> Option<Trouble> {
        let over = self.limiter.as_ref().and_then(|limiter| limiter.check().err());
        if let Some(not_until) = over {
            let wait = not_until.wait_time_from(governor::clock::DefaultClock::default().now());
            return Some(Trouble::Refused {
                status: 429,
                error: Some("ratelimited".to_owned()),
                retry_after: Some(wait.saturating_add(Duration::from_nanos(999_999_999)).as_secs().max(1)),
            });
        }
        Fault::met_by(&self.faults, number, has_cursor, seed).cloned()
    }

    fn note(&self, request: Request, paged: bool) {
        self.tally.send_modify(|tally| {
            tally.add(&request);
            tally.pages += u64::from(paged);
        });
        let mut journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        if journal.len() >= JOURNAL {
            journal.pop_front();
        }
        journal.push_back(request);
    }
}

impl Listed {
    fn body(&self) -> String {
        let Self { list, rows, paging, cursor, .. } = self;
        let paging = paging.as_ref().map(|paging| format!(r#","paging":{paging}"#)).unwrap_or_default();
        let metadata = |cursor: &String| format!(r#","response_metadata":{{"next_cursor":"{cursor}"}}"#);
        let cursor = cursor.as_ref().map(metadata).unwrap_or_default();
        format!(r#"{{"ok":true,"{list}":[{rows}]{paging}{cursor}}}"#)
    }
}
