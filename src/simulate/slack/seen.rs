//! What a simulated Slack sees, request by request, for whoever looks on.
//!
//! **Invariant:** no token, secret or code is in it: somebody may have pointed a real one at it.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State as Shared};
use axum::http::Response;
use axum::http::request::Parts;
use axum::middleware::Next;
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::answer::{Answer, Outcome};
use super::request;
use super::serve::State;

/// A request, and the status that it was answered with.
#[derive(Debug, Clone, Serialize)]
pub struct Seen {
    /// When it came, by the machine's clock.
    #[serde(serialize_with = "written")]
    pub at: Timestamp,
    /// The method of HTTP.
    pub method: String,
    /// The path; of a webhook without its secret.
    pub path: String,
    /// The parameters of the address and, after them, the fields of a form.
    pub parameters: Map<String, Value>,
    /// The body, where it is JSON.
    pub body: Option<Value>,
    /// The status.
    pub status: u16,
    /// The rows of the answer, where it is a page of a log.
    pub rows: Option<usize>,
    /// Slack's word for what went wrong, where there is one.
    pub error: Option<String>,
}

/// The longest body that is read.
const LONGEST: usize = 1 << 20;
/// What tells nothing.
const HIDDEN: &str = "…";

impl Seen {
    fn read(parts: &Parts, body: &Bytes) -> Self {
        let json: Option<Value> = serde_json::from_slice(body).ok();
        let form = if json.is_none() { request::form(body) } else { Vec::new() };
        let shown = |(name, value): (String, String)| {
            let is_secret = ["client_secret", "code", "refresh_token", "token"].contains(&name.as_str());
            (name, if is_secret { HIDDEN.into() } else { value.into() })
        };
        let path = parts.uri.path();
        let path = match path.rsplit_once('/') {
            Some((webhook, _)) if path.starts_with("/services/") => format!("{webhook}/{HIDDEN}"),
            _ => path.to_owned(),
        };
        Self {
            at: Timestamp::now(),
            method: parts.method.to_string(),
            path,
            parameters: request::parameters(&parts.uri).into_iter().chain(form).map(shown).collect(),
            body: json,
            status: 0,
            rows: None,
            error: None,
        }
    }
}

fn written<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(at)
}

/// Tells of a request once it is answered, if anybody listens.
pub(super) async fn told(Shared(state): Shared<Arc<State>>, request: Request, next: Next) -> Response<Body> {
    let Some(listener) = state.listener() else { return next.run(request).await };
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, LONGEST).await else {
        return Answer::refused(413, None).whole();
    };
    let mut seen = Seen::read(&parts, &body);
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    seen.status = response.status().as_u16();
    if let Some(Outcome { rows, error }) = response.extensions().get::<Outcome>().cloned() {
        (seen.rows, seen.error) = (rows, error);
    }
    // An error means that nobody listens any more.
    drop(listener.send(seen).await);
    response
}
