//! Slack's allow list for anomalies, as the Web API has it: status 200 whatever happens.
//!
//! **Invariant:** a write replaces the whole list: what it does not name under the right name is gone.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State as Shared;
use axum::http::{HeaderMap, Response};
use axum::routing::post;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Slack;
use super::answer::Answer;
use super::grants::Api;
use super::serve::State;

/// The list that a simulated Slack begins with, and which of the spellings it has.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Allowlist {
    /// Ranges of addresses, which nobody checks.
    pub ranges: Vec<String>,
    /// Numbers of autonomous systems.
    pub asns: Vec<u64>,
    /// Its name for the ranges.
    pub ranges_as: Ranges,
    /// Its name for the systems.
    pub asns_as: Asns,
    /// What it does with an argument that it does not know, beside not heeding it.
    pub unknown: Unknown,
    /// How long it takes to show the list.
    #[serde(skip)]
    pub slow: Duration,
}

/// A name for the ranges, in answers and arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub enum Ranges {
    /// `trusted_cidr`
    #[serde(rename = "trusted_cidr")]
    #[default]
    Cidr,
    /// `trusted_cidrs`
    #[serde(rename = "trusted_cidrs")]
    Cidrs,
}

/// A name for the systems, in answers and arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub enum Asns {
    /// `trusted_asns`
    #[serde(rename = "trusted_asns")]
    #[default]
    Asns,
    /// `trusted_asn`
    #[serde(rename = "trusted_asn")]
    Asn,
}

/// What becomes of a write with an argument that is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unknown {
    /// It is passed over: the part that it means becomes empty.
    #[default]
    Ignored,
    /// `"ok": false`, and no error.
    NotOk,
    /// `invalid_field_or_data`.
    Refused,
}

/// The list while it is served.
#[derive(Debug)]
pub(super) struct Held(Mutex<Inside>);

#[derive(Debug)]
struct Inside {
    list: Allowlist,
    /// What every request is refused with.
    refusal: Option<String>,
    reads: u64,
    writes: u64,
}

impl Held {
    pub(super) fn new(list: Allowlist) -> Self {
        Self(Mutex::new(Inside { list, refusal: None, reads: 0, writes: 0 }))
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slack {
    /// The allow list as it is: ranges, and numbers of systems.
    pub fn allowlist(&self) -> (Vec<String>, Vec<u64>) {
        let inside = self.state.allowlist.inside();
        (inside.list.ranges.clone(), inside.list.asns.clone())
    }

    /// How often the allow list was read, and how often written, refused requests aside.
    pub fn allowlist_requests(&self) -> (u64, u64) {
        let inside = self.state.allowlist.inside();
        (inside.reads, inside.writes)
    }

    /// Refuses every request for the allow list with that error from now on, or none.
    pub fn refuse_allowlist(&self, error: Option<&str>) {
        self.state.allowlist.inside().refusal = error.map(str::to_owned);
    }
}

pub(super) fn router() -> Router<Arc<State>> {
    Router::new()
        .route("/api/admin.audit.anomaly.allow.getItem", post(get_item))
        .route("/api/admin.audit.anomaly.allow.updateItem", post(update_item))
}

async fn get_item(Shared(state): Shared<Arc<State>>, headers: HeaderMap) -> Response<Body> {
    let slow = state.allowlist.inside().list.slow;
    tokio::time::sleep(slow).await;
    let mut inside = state.allowlist.inside();
    if let Some(refusal) = refusal(&inside, &headers, &state) {
        return refusal.whole();
    }
    inside.reads += 1;
    let Allowlist { ranges, asns, ranges_as, asns_as, .. } = &inside.list;
    answer(&json!({ "ok": true, ranges_as.name(): ranges, asns_as.name(): asns }))
}

async fn update_item(Shared(state): Shared<Arc<State>>, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let mut inside = state.allowlist.inside();
    if let Some(refusal) = refusal(&inside, &headers, &state) {
        return refusal.whole();
    }
    let Ok(Value::Object(arguments)) = serde_json::from_slice(&body) else {
        return refused("unable_to_process_post_request");
    };
    let (ranges, asns) = (inside.list.ranges_as.name(), inside.list.asns_as.name());
    if arguments.keys().any(|name| name != ranges && name != asns) {
        match inside.list.unknown {
            Unknown::Ignored => {}
            Unknown::NotOk => return answer(&json!({ "ok": false })),
            Unknown::Refused => return refused("invalid_field_or_data"),
        }
    }
    let list = |name| arguments.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let texts: Option<Vec<_>> = list(ranges).iter().map(|range| Some(range.as_str()?.to_owned())).collect();
    let numbers: Option<Vec<_>> = list(asns).iter().map(Value::as_u64).collect();
    let (Some(texts), Some(numbers)) = (texts, numbers) else { return refused("invalid_field_or_data") };
    inside.writes += 1;
    (inside.list.ranges, inside.list.asns) = (texts, numbers);
    answer(&json!({ "ok": true }))
}

fn refusal(inside: &Inside, headers: &HeaderMap, state: &State) -> Option<Answer> {
    let told = || inside.refusal.as_deref().map(|error| Answer::refused(200, Some(error)));
    state.keeps_out(headers, Api::Web).or_else(told)
}

fn refused(error: &str) -> Response<Body> {
    answer(&json!({ "ok": false, "error": error }))
}

fn answer(body: &Value) -> Response<Body> {
    Answer::json(200, body.to_string()).whole()
}

impl Ranges {
    const fn name(self) -> &'static str {
        match self {
            Self::Cidr => "trusted_cidr",
            Self::Cidrs => "trusted_cidrs",
        }
    }
}

impl Asns {
    const fn name(self) -> &'static str {
        match self {
            Self::Asns => "trusted_asns",
            Self::Asn => "trusted_asn",
        }
    }
}
