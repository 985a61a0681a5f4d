//! The routes, and what they share.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::State as Shared;
use axum::http::{HeaderMap, HeaderValue, Response, Uri, header};
use axum::routing::{any, get, post};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::access::Logins;
use super::answer::Answer;
use super::clock::Running;
use super::fault::{Trouble, Troubles};
use super::generate::Series;
use super::grants::{Api, Grants, OAuthTally};
use super::history::History;
use super::integration::{Rows, is_row};
use super::log::{self, Log};
use super::plan::{NotAnObject, Plan};
use super::seen::Seen;
use super::webhook::Webhooks;
use super::{allowlist, audit, oauth, seen, webhook};

pub(super) fn router(state: Arc<State>) -> Router {
    let log = |log: fn(&State) -> &Log| {
        get(move |Shared(state), uri: Uri, headers: HeaderMap| log::serve(state, log, uri, headers))
    };
    Router::new()
        .route("/audit/v1/logs", log(|state: &State| &state.audit_logs))
        .route("/audit/v1/actions", get(audit::actions))
        .route("/audit/v1/schemas", get(audit::schemas))
        .route("/api/team.accessLogs", log(|state: &State| &state.access_logs))
        .route("/api/team.integrationLogs", log(|state: &State| &state.integration_logs))
        .route("/api/admin.audit.anomaly.allow.getItem", post(allowlist::get_item))
        .route("/api/admin.audit.anomaly.allow.updateItem", post(allowlist::update_item))
        .route("/oauth/v2/authorize", get(oauth::authorize))
        .route("/api/oauth.v2.access", post(oauth::access))
        .route("/api/auth.test", any(oauth::test))
        .route("/api/auth.revoke", any(oauth::revoke))
        .route("/services/{team}/{webhook}/{secret}", post(webhook::take))
        .method_not_allowed_fallback(async || Answer::refused(405, Some("method_not_allowed")).whole())
        .fallback(async || Answer::html(404).whole())
        .layer(axum::middleware::map_response_with_state(Arc::clone(&state), dated))
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&state), seen::told))
        .with_state(state)
}

/// Slack's own time, on every answer.
async fn dated(Shared(state): Shared<Arc<State>>, mut response: Response<Body>) -> Response<Body> {
    let now = jiff::Timestamp::from_second(state.clock.now()).unwrap_or(jiff::Timestamp::MAX);
    let text = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&now);
    if let Some(date) = text.ok().and_then(|text| HeaderValue::try_from(text).ok()) {
        response.headers_mut().insert(header::DATE, date);
    }
    response
}

/// All that the routes share.
#[derive(Debug)]
pub(super) struct State {
    pub(super) plan: Plan,
    pub(super) clock: Running,
    pub(super) stop: CancellationToken,
    pub(super) history: History,
    pub(super) audit_logs: Log,
    pub(super) access: Logins,
    pub(super) access_logs: Log,
    pub(super) integration: Rows,
    pub(super) integration_logs: Log,
    pub(super) allowlist: allowlist::Held,
    pub(super) webhooks: Webhooks,
    pub(super) logins: watch::Sender<OAuthTally>,
    grants: Mutex<Grants>,
    listener: Mutex<Option<mpsc::Sender<Seen>>>,
    /// When it began, by a clock that nobody sets.
    begun: Instant,
}

impl State {
    pub(super) fn new(mut plan: Plan) -> Result<Self, NotAnObject> {
        let clock = Running::new(plan.clock);
        let (start, seed) = (clock.now(), plan.seed);
        let series = plan.generated.as_ref().map(|generated| Series::new(generated, start));
        let history = History::new(series, &plan.late, seed, start);
        let undated = start.saturating_sub(3_600)..;
        for ((line, raw), otherwise) in (1..).zip(std::mem::take(&mut plan.given)).zip(undated) {
            if !history.add(&raw, otherwise) {
                return Err(NotAnObject { line });
            }
        }
        let integration = std::mem::take(&mut plan.integration);
        if let Some(line) = (1..).zip(&integration.given).find(|(_, row)| !is_row(row)).map(|(line, _)| line)
        {
            return Err(NotAnObject { line });
        }
        let access = std::mem::take(&mut plan.access);
        let troubles = |faults: &[_], limit| Troubles::new(faults, limit, seed);
        let (audit_troubles, access_troubles, integration_troubles) = (
            troubles(&plan.faults, plan.rate_limit),
            troubles(&access.faults, access.rate_limit),
            troubles(&integration.faults, integration.rate_limit),
        );
        Ok(Self {
            clock,
            stop: CancellationToken::new(),
            history,
            audit_logs: Log::new(Api::Audit, audit_troubles, audit::page),
            access: Logins::new(access, seed, start),
            access_logs: Log::new(Api::Web, access_troubles, |state, request, trouble| {
                state.access.page(request, state.clock.now(), trouble)
            }),
            integration: Rows::new(integration, seed, start),
            integration_logs: Log::new(Api::Web, integration_troubles, |state, request, trouble| {
                state.integration.page(request, state.clock.now(), trouble)
            }),
            allowlist: allowlist::Held::new(std::mem::take(&mut plan.allowlist), seed),
            webhooks: Webhooks::new(&plan.webhook_faults, seed),
            logins: watch::Sender::default(),
            grants: Mutex::new(Grants::new(
                plan.oauth.clone(),
                &plan.token,
                std::mem::take(&mut plan.changes),
            )),
            listener: Mutex::default(),
            begun: Instant::now(),
            plan,
        })
    }

    /// Looks at who may come in, once all that is due has happened to them.
    pub(super) fn grants<T>(&self, look: impl FnOnce(&mut Grants) -> T) -> T {
        let mut grants = self.grants.lock().unwrap_or_else(PoisonError::into_inner);
        grants.pass(self.audit_logs.count(), self.begun.elapsed());
        look(&mut grants)
    }

    /// Whoever wants to be told of requests.
    pub(super) fn listener(&self) -> Option<mpsc::Sender<Seen>> {
        self.listener.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn tell(&self, listener: mpsc::Sender<Seen>) {
        *self.listener.lock().unwrap_or_else(PoisonError::into_inner) = Some(listener);
    }

    /// What the trouble says in place of any answer; or what keeps the token out; or else the answer.
    pub(super) fn answer(
        &self,
        trouble: Option<&Trouble>,
        headers: &HeaderMap,
        api: Api,
        otherwise: impl FnOnce() -> Answer,
    ) -> Answer {
        let troubled = trouble.and_then(Trouble::answer);
        let answer = troubled.or_else(|| oauth::keeps_out(self, headers, api)).unwrap_or_else(otherwise);
        if trouble == Some(&Trouble::HalfJson) { answer.half() } else { answer }
    }
}
