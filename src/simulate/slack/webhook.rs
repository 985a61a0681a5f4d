//! Incoming webhooks: messages taken as Slack takes them, kept for who looks at them, and refused in
//! all the ways in which Slack does.
//!
//! ```text
//! POST /services/T…/B…/secret ──▶ fault? ──▶ known? ──▶ a second since the last? ──▶ Block Kit ──▶ ok
//! ```
//!
//! **Invariant:** the limits are those of Slack's pages: a message a second for each webhook, 50 blocks,
//! 3,000 characters a text, no empty one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::{Path, State as Shared};
use axum::http::Response;
use serde_json::Value;

use super::answer::Answer;
use super::fault::{Fault, Trouble, Troubles};
use super::serve::State;

/// The workspace of the simulated webhooks.
const TEAM: &str = "T0SIMULATED";
/// The last part of their addresses.
const SECRET: &str = "SimulatedWebhookSecret";
/// The least time between two messages of one webhook.
const EVERY: Duration = Duration::from_secs(1);

/// A message that came to a webhook.
#[derive(Debug, Clone)]
pub struct Posted {
    /// The webhook: `B…`.
    pub webhook: String,
    /// When it came.
    pub at: Instant,
    /// The message, or null where it was no JSON.
    pub message: Value,
    /// The status it was answered with.
    pub status: u16,
    /// The word it was answered with.
    pub answer: String,
}

impl Posted {
    /// Slack took it.
    pub fn is_taken(&self) -> bool {
        self.status == 200 && self.answer == "ok"
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
#[derive(Debug)]
pub struct Webhooks {
    troubles: Troubles,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    posted: Vec<Posted>,
    /// When each webhook last took a message.
    taken: HashMap<String, Instant>,
}

impl Webhooks {
    pub(super) fn new(faults: &[Fault], seed: u64) -> Self {
        Self { troubles: Troubles::new(faults, None, seed), kept: Mutex::default() }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The path of a webhook.
    pub(super) fn path(webhook: &str) -> String {
        format!("/services/{TEAM}/{webhook}/{SECRET}")
    }

    /// Every message from now on meets this, or what was planned.
    pub fn answer(&self, trouble: Option<Trouble>) {
        self.troubles.tell(trouble);
    }

    /// The next messages meet these, one after the other.
    pub fn answer_next(&self, troubles: impl IntoIterator<Item = Trouble>) {
        self.troubles.tell_next(troubles);
    }

    /// All messages that came, oldest first.
    pub fn posted(&self) -> Vec<Posted> {
        self.kept().posted.clone()
    }

    /// Takes a message, or refuses it.
    fn take(
        &self,
        team: &str,
        webhook: &str,
        secret: &str,
        body: &[u8],
        trouble: Option<&Trouble>,
    ) -> Answer {
        let mut kept = self.kept();
        let message: Value = serde_json::from_slice(body).unwrap_or_default();
        let at = Instant::now();
        let too_soon = kept.taken.get(webhook).is_some_and(|last| at.duration_since(*last) < EVERY);
        let troubled = match trouble {
            // Its words stand alone, in no JSON.
            Some(Trouble::Refused { status, error, retry_after }) => {
                Some(Answer::word(*status, error.as_deref().unwrap_or("")).retry_after(*retry_after))
            }
            other => other.and_then(Trouble::answer),
        };
        let answer = troubled.unwrap_or_else(|| match (team, secret) {
            (TEAM, SECRET) if too_soon => Answer::word(429, "rate_limited").retry_after(Some(1)),
            (TEAM, SECRET) => {
                let (status, word) = judged(&message);
                Answer::word(status, word)
            }
            (TEAM, _) => Answer::word(404, "no_service"),
            _ => Answer::word(404, "no_team"),
        });
        let posted =
            Posted { webhook: webhook.to_owned(), at, message, status: answer.status, answer: answer.text() };
        if posted.is_taken() {
            kept.taken.insert(webhook.to_owned(), at);
        }
        kept.posted.push(posted);
        answer
    }
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

pub(super) async fn take(
    Shared(state): Shared<Arc<State>>,
    Path((team, webhook, secret)): Path<(String, String, String)>,
    body: Bytes,
) -> Response<Body> {
    let (_, trouble) = state.webhooks.troubles.meet(false);
    let answer = state.webhooks.take(&team, &webhook, &secret, &body, trouble.as_ref());
    answer.sent(trouble.as_ref(), &state.stop).await
}
