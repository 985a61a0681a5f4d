//! Incoming webhooks: messages taken as Slack takes them, kept for who looks at them, and refused in
//! all the ways in which Slack does.
//!
//! ```text
//! POST /services/T…/B…/secret ──▶ scripted? ──▶ known? ──▶ a second since the last? ──▶ Block Kit ──▶ ok
//! ```
//!
//! **Invariant:** the limits are those of Slack's pages: a message a second for each webhook, 50 blocks,
//! 3,000 characters a text, no empty one.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{self, Path};
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::routing::post;
use serde_json::Value;

use super::serve::State;

/// The workspace of the simulated webhooks.
const TEAM: &str = "T0SIMULATED";
/// The last part of their addresses.
const SECRET: &str = "SimulatedWebhookSecret";
/// The least time between two messages of one webhook.
const EVERY: Duration = Duration::from_secs(1);

/// How a webhook answers a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebhookAnswer {
    /// As Slack does where all is well.
    AsUsual,
    /// A status with a word, such as 404 and `no_service`.
    Refused {
        /// The HTTP status.
        status: u16,
        /// Slack's word for it.
        text: String,
        /// The `Retry-After` header, in whole seconds.
        retry_after: Option<u64>,
    },
    /// Never, until the simulator is stopped.
    Never,
}

impl WebhookAnswer {
    /// A status with a word.
    pub fn refused(status: u16, text: &str) -> Self {
        Self::Refused { status, text: text.to_owned(), retry_after: None }
    }
}

/// A message that came to a webhook.
#[derive(Debug, Clone)]
pub struct Posted {
    /// The webhook: `B…`.
    pub webhook: String,
    /// When it came.
    pub at: Instant,
    /// The message, or null where it was no JSON.
    pub message: Value,
    /// The status it was answered with; none where it was not answered.
    pub status: Option<u16>,
    /// The word it was answered with.
    pub answer: String,
}

impl Posted {
    /// Slack took it.
    pub fn is_taken(&self) -> bool {
        self.status == Some(200) && self.answer == "ok"
    }

    /// The lines of its blocks, as people read them: of each block its texts one after the other.
    pub fn lines(&self) -> Vec<String> {
        let blocks =
            self.message.get("blocks").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let shown = blocks.iter().map(|block| {
            let mut texts = Vec::new();
            shown(block, &mut texts);
            texts.concat()
        });
        shown.collect()
    }
}

/// What is shown of a block.
fn shown<'v>(value: &'v Value, texts: &mut Vec<&'v str>) {
    match value {
        Value::Object(members) => match members.get("text") {
            Some(Value::String(text)) => texts.push(text),
            Some(inner) => shown(inner, texts),
            None => members.values().for_each(|member| shown(member, texts)),
        },
        Value::Array(items) => items.iter().for_each(|item| shown(item, texts)),
        _ => {}
    }
}

/// The webhooks of a simulated Slack.
#[derive(Debug, Default)]
pub struct Webhooks(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// The answers to the next messages, before `then`.
    next: VecDeque<WebhookAnswer>,
    then: Option<WebhookAnswer>,
    posted: Vec<Posted>,
    /// When each webhook last took a message.
    taken: HashMap<String, Instant>,
}

impl Webhooks {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The path of a webhook.
    pub(super) fn path(webhook: &str) -> String {
        format!("/services/{TEAM}/{webhook}/{SECRET}")
    }

    /// Answers every message from now on like this.
    pub fn answer(&self, answer: WebhookAnswer) {
        let mut kept = self.kept();
        kept.next.clear();
        kept.then = Some(answer);
    }

    /// Answers the next messages like these, one after the other.
    pub fn answer_next(&self, answers: impl IntoIterator<Item = WebhookAnswer>) {
        self.kept().next.extend(answers);
    }

    /// All messages that came, oldest first.
    pub fn posted(&self) -> Vec<Posted> {
        self.kept().posted.clone()
    }

    /// Takes a message, or refuses it; `None`: it is never answered.
    fn take(&self, team: &str, webhook: &str, secret: &str, body: &[u8]) -> Option<Reply> {
        let mut kept = self.kept();
        let scripted = kept.next.pop_front().or_else(|| kept.then.clone());
        let message: Value = serde_json::from_slice(body).unwrap_or_default();
        let now = Instant::now();
        let reply = match scripted.unwrap_or(WebhookAnswer::AsUsual) {
            WebhookAnswer::Never => None,
            WebhookAnswer::Refused { status, text, retry_after } => Some(Reply { status, text, retry_after }),
            WebhookAnswer::AsUsual => {
                let too_soon = kept.taken.get(webhook).is_some_and(|last| now.duration_since(*last) < EVERY);
                let (status, text) = match (team, secret) {
                    (TEAM, SECRET) if too_soon => (429, "rate_limited"),
                    (TEAM, SECRET) => judged(&message),
                    (TEAM, _) => (404, "no_service"),
                    _ => (404, "no_team"),
                };
                Some(Reply { status, text: text.to_owned(), retry_after: too_soon.then_some(1) })
            }
        };
        if reply.as_ref().is_some_and(|reply| reply.status == 200 && reply.text == "ok") {
            kept.taken.insert(webhook.to_owned(), now);
        }
        kept.posted.push(Posted {
            webhook: webhook.to_owned(),
            at: now,
            message,
            status: reply.as_ref().map(|reply| reply.status),
            answer: reply.as_ref().map(|reply| reply.text.clone()).unwrap_or_default(),
        });
        reply
    }
}

struct Reply {
    status: u16,
    text: String,
    retry_after: Option<u64>,
}

/// What Slack says to a message.
fn judged(message: &Value) -> (u16, &'static str) {
    let Some(members) = message.as_object() else { return (400, "invalid_payload") };
    let is_filled =
        |key: &str| members.get(key).is_some_and(|value| !matches!(value, Value::Null) && value != "");
    let count = |key: &str| members.get(key).and_then(Value::as_array).map_or(0, Vec::len);
    if !is_filled("text") && count("blocks") == 0 && count("attachments") == 0 {
        return (400, "no_text");
    }
    if count("attachments") > 100 {
        return (400, "too_many_attachments");
    }
    let blocks = members.get("blocks").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if blocks.len() > 50 || !blocks.iter().all(is_block) {
        return (400, "invalid_blocks");
    }
    if blocks.iter().map(|block| block.to_string().chars().count()).sum::<usize>() > 13_200 {
        return (400, "msg_blocks_too_long");
    }
    (200, "ok")
}

fn is_block(block: &Value) -> bool {
    let mut texts = Vec::new();
    shown(block, &mut texts);
    let known = ["section", "context", "header", "divider", "rich_text"];
    block.get("type").and_then(Value::as_str).is_some_and(|kind| known.contains(&kind))
        && texts.iter().all(|text| !text.is_empty())
        && texts.iter().map(|text| text.chars().count()).sum::<usize>() <= 3_000
}

pub(super) fn router() -> Router<Arc<State>> {
    Router::new().route("/services/{team}/{webhook}/{secret}", post(take))
}

async fn take(
    state: extract::State<Arc<State>>,
    Path((team, webhook, secret)): Path<(String, String, String)>,
    body: axum::body::Bytes,
) -> Response<Body> {
    let Some(Reply { status, text, retry_after }) = state.webhooks.take(&team, &webhook, &secret, &body)
    else {
        state.stop.cancelled().await;
        return Response::new(Body::empty());
    };
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
    if let Some(seconds) = retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
