//! Slack's allow list for anomalies, as the Web API has it: status 200 whatever happens.
//!
//! **Invariant:** a write replaces the whole list: what it does not name under the right name is gone.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::{Body, Bytes};
use axum::extract::State as Shared;
use axum::http::{HeaderMap, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Slack;
use super::answer::Answer;
use super::fault::{Fault, Trouble, Troubles};
use super::grants::Api;
use super::plan::RateLimit;
use super::serve::State;

/// The list that a simulated Slack begins with, and which of the spellings it has.
#[derive(Debug, Clone, PartialEq, Default)]
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
    /// Answers 429 to whoever asks too often.
    pub rate_limit: Option<RateLimit>,
    /// What goes wrong, and when; reads and writes are counted together, beside all else.
    pub faults: Vec<Fault>,
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
pub(super) struct Held {
    troubles: Troubles,
    inside: Mutex<Inside>,
}

#[derive(Debug)]
struct Inside {
    list: Allowlist,
    reads: u64,
    writes: u64,
}

impl Held {
    pub(super) fn new(list: Allowlist, seed: u64) -> Self {
        let troubles = Troubles::new(&list.faults, list.rate_limit, seed);
        Self { troubles, inside: Mutex::new(Inside { list, reads: 0, writes: 0 }) }
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
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
        let refusal = error.map(|error| Trouble::OkFalse { error: error.to_owned() });
        self.state.allowlist.troubles.tell(refusal);
    }
}

pub(super) async fn get_item(Shared(state): Shared<Arc<State>>, headers: HeaderMap) -> Response<Body> {
    serve(&state, &headers, Inside::shown).await
}

pub(super) async fn update_item(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    serve(&state, &headers, |inside| inside.updated(&body)).await
}

async fn serve(
    state: &State,
    headers: &HeaderMap,
    answer: impl FnOnce(&mut Inside) -> Answer,
) -> Response<Body> {
    let (_, trouble) = state.allowlist.troubles.meet(false);
    let answer = state.answer(trouble.as_ref(), headers, Api::Web, || answer(&mut state.allowlist.inside()));
    answer.sent(trouble.as_ref(), &state.stop).await
}

impl Inside {
    fn shown(&mut self) -> Answer {
        self.reads += 1;
        let Allowlist { ranges, asns, ranges_as, asns_as, .. } = &self.list;
        Answer::said(&json!({ "ok": true, ranges_as.name(): ranges, asns_as.name(): asns }))
    }

    fn updated(&mut self, body: &[u8]) -> Answer {
        let Ok(Value::Object(arguments)) = serde_json::from_slice(body) else {
            return Answer::not_ok("unable_to_process_post_request");
        };
        let (ranges, asns) = (self.list.ranges_as.name(), self.list.asns_as.name());
        if arguments.keys().any(|name| name != ranges && name != asns) {
            match self.list.unknown {
                Unknown::Ignored => {}
                Unknown::NotOk => return Answer::said(&json!({ "ok": false })),
                Unknown::Refused => return Answer::not_ok("invalid_field_or_data"),
            }
        }
        let list = |name| arguments.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
        let texts: Option<Vec<_>> =
            list(ranges).iter().map(|range| Some(range.as_str()?.to_owned())).collect();
        let numbers: Option<Vec<_>> = list(asns).iter().map(Value::as_u64).collect();
        let (Some(texts), Some(numbers)) = (texts, numbers) else {
            return Answer::not_ok("invalid_field_or_data");
        };
        self.writes += 1;
        (self.list.ranges, self.list.asns) = (texts, numbers);
        Answer::said(&json!({ "ok": true }))
    }
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
