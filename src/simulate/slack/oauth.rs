//! Logins as Slack has them: the page that leads back with a code, `oauth.v2.access`, `auth.test`
//! and `auth.revoke`; and whether a token is let in.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State as Shared;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, Uri, header};
use serde_json::{Value, json};

use super::answer::Answer;
use super::cursor;
use super::fault::Trouble;
use super::grants::{Api, Given, RefreshFault, Refused};
use super::request::{form, parameters};
use super::serve::State;

/// What keeps a request from an interface, if something does.
pub(super) fn keeps_out(state: &State, headers: &HeaderMap, api: Api) -> Option<Answer> {
    let refused = match bearer(headers) {
        None => Refused::Token(if api == Api::Audit { "missing_authentication" } else { "not_authed" }),
        Some(token) => state.grants(|grants| grants.admit(token, api, state.clock.now())).err()?,
    };
    Some(refused.answer(api))
}

impl Refused {
    pub(super) fn answer(&self, api: Api) -> Answer {
        match (self, api) {
            (Self::Token("missing_authentication"), _) => {
                Answer::refused(401, Some("missing_authentication"))
            }
            // A wrong token gets no word at all.
            (Self::Token(_), Api::Audit) => Answer::refused(401, None),
            (Self::Token(word), Api::Web) => Answer::not_ok(word),
            (Self::Scope { needed, provided }, _) => {
                let said =
                    json!({"ok": false, "error": "missing_scope", "needed": needed, "provided": provided});
                let status = if api == Api::Audit { 403 } else { 200 };
                Answer::json(status, said.to_string()).told_as(Some("missing_scope"))
            }
            (Self::Plan, Api::Audit) => Answer::refused(403, Some("feature_not_enabled")),
            (Self::Plan, Api::Web) => Answer::not_ok("paid_only"),
            (Self::Workspace, _) => Answer::refused(403, Some("team_not_authorized")),
            (Self::NotOwner, Api::Audit) => Answer::refused(403, Some("user_not_authorized")),
            (Self::NotOwner, Api::Web) => Answer::not_ok("no_permission"),
        }
    }
}

/// The token of the form `Bearer …`, where the case of the word counts.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

/// The page on which a person allows the app: nobody has to click here.
pub(super) async fn authorize(Shared(state): Shared<Arc<State>>, uri: Uri) -> Response<Body> {
    let asked = parameters(&uri);
    let of = |name: &str| asked.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str());
    let now = state.clock.now();
    let code =
        state.grants(|grants| grants.allow(of("client_id"), of("redirect_uri"), of("user_scope"), now));
    let Some(code) = code else { return Answer::html(404).whole() };
    state.logins.send_modify(|logins| logins.codes += 1);
    let back = format!("{}?code={code}&state={}", of("redirect_uri"), of("state"));
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::FOUND;
    match HeaderValue::try_from(back) {
        Ok(back) => drop(response.headers_mut().insert(header::LOCATION, back)),
        Err(_) => *response.status_mut() = StatusCode::BAD_REQUEST,
    }
    response
}

/// A code or a refresh token for a token.
pub(super) async fn access(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let form = form(&body);
    let of = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let (id, secret) = credentials(&headers)
        .or_else(|| Some((of("client_id")?.to_owned(), of("client_secret")?.to_owned())))
        .unwrap_or_default();
    let mut fault = None;
    if of("grant_type") == Some("refresh_token") {
        let mut number = 0;
        state.logins.send_modify(|logins| {
            logins.refreshes += 1;
            number = logins.refreshes;
        });
        fault = state.grants(|grants| grants.fault(number));
    }
    match fault {
        Some(RefreshFault::Ignored) => return silence(&state).await,
        Some(RefreshFault::Unavailable) => return Answer::html(503).whole(),
        _ => {}
    }
    let now = state.clock.now();
    let given = state.grants(|grants| {
        grants.know(&id, &secret)?;
        match (of("grant_type"), of("refresh_token"), of("code")) {
            (Some("refresh_token"), Some(token), _) => {
                grants.refresh(token, now).map(|given| refreshed(&given))
            }
            (Some("authorization_code") | None, _, Some(code)) => {
                let is_org = grants.is_org_install();
                let given = grants.install(code, of("redirect_uri").unwrap_or_default(), now)?;
                Ok(installed(&given, is_org))
            }
            (Some(_), ..) => Err("invalid_grant_type"),
            (None, ..) => Err("invalid_code"),
        }
    });
    let is_refresh = of("grant_type").is_some();
    state.logins.send_modify(|logins| match (&given, is_refresh) {
        (Ok(_), true) => logins.refreshed += 1,
        (Ok(_), false) => logins.installs += 1,
        (Err(_), _) => logins.refused += 1,
    });
    let answer = match given {
        Ok(given) => Answer::said(&given),
        Err(word) => Answer::not_ok(word),
    };
    match fault {
        Some(RefreshFault::Unanswered) => silence(&state).await,
        Some(RefreshFault::CutOff) => answer.sent(Some(&Trouble::CutOff), &state.stop).await,
        _ => answer.whole(),
    }
}

/// Nothing, until the simulator ends.
async fn silence(state: &State) -> Response<Body> {
    Answer::html(503).sent(Some(&Trouble::Slow(Duration::MAX)), &state.stop).await
}

/// An install's answer has the user token under `authed_user`, and no bot token beside it.
fn installed(given: &Given, is_org: bool) -> Value {
    let Given { access_token, refresh_token, expires_in, scopes } = given;
    let mut user = json!({ "id": USER, "scope": scopes, "access_token": access_token, "token_type": "user" });
    add_rotation(&mut user, refresh_token.as_deref(), *expires_in);
    let team = if is_org { Value::Null } else { json!({ "id": "T0SIMULATED", "name": "Acme Engineering" }) };
    json!({
        "ok": true, "app_id": "A0SIMULATED", "authed_user": user, "team": team,
        "enterprise": { "id": "E0SIMULATED", "name": "Acme" }, "is_enterprise_install": is_org,
    })
}

/// A refresh's answer has it at the top.
fn refreshed(given: &Given) -> Value {
    let Given { access_token, refresh_token, expires_in, scopes } = given;
    let mut answer = json!({ "ok": true, "access_token": access_token, "token_type": "user", "scope": scopes, "user_id": USER });
    add_rotation(&mut answer, refresh_token.as_deref(), *expires_in);
    answer
}

fn add_rotation(to: &mut Value, refresh_token: Option<&str>, expires_in: Option<u64>) {
    if let (Some(object), Some(refresh_token), Some(expires_in)) =
        (to.as_object_mut(), refresh_token, expires_in)
    {
        object.insert("refresh_token".to_owned(), refresh_token.into());
        object.insert("expires_in".to_owned(), expires_in.into());
    }
}

const USER: &str = "W0SIMULATED";

pub(super) async fn test(Shared(state): Shared<Arc<State>>, headers: HeaderMap) -> Response<Body> {
    state.logins.send_modify(|logins| logins.tests += 1);
    let Some(token) = bearer(&headers) else { return Answer::not_ok("not_authed").whole() };
    let tested = state.grants(|grants| (grants.test(token, state.clock.now()), grants.is_org_install()));
    let (scopes, left, is_org) = match tested {
        (Ok((scopes, left)), is_org) => (scopes, left, is_org),
        (Err(refused), _) => return refused.answer(Api::Web).whole(),
    };
    let (team, team_id) = if is_org { ("Acme", "E0SIMULATED") } else { ("Acme Engineering", "T0SIMULATED") };
    let mut answer = json!({
        "ok": true, "url": "https://acme.enterprise.slack.com/", "team": team, "team_id": team_id, "user": "bea.nunez",
        "user_id": USER, "enterprise_id": "E0SIMULATED", "is_enterprise_install": is_org, "app_id": "A0SIMULATED",
    });
    if let (Some(object), Some(left)) = (answer.as_object_mut(), left) {
        object.insert("expires_in".to_owned(), left.into());
    }
    let mut response = Answer::said(&answer).whole();
    if let Ok(scopes) = HeaderValue::try_from(scopes) {
        response.headers_mut().insert("x-oauth-scopes", scopes);
    }
    response
}

pub(super) async fn revoke(
    Shared(state): Shared<Arc<State>>,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    let Some(token) = bearer(&headers) else { return Answer::not_ok("not_authed").whole() };
    let is_dry = parameters(&uri).iter().any(|(key, value)| key == "test" && value == "1");
    let revoked = state.grants(|grants| !is_dry && grants.revoke(token));
    Answer::said(&json!({ "ok": true, "revoked": revoked })).whole()
}

/// HTTP Basic.
fn credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let given = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let plain = String::from_utf8(cursor::decode(given)?).ok()?;
    plain.split_once(':').map(|(id, secret)| (id.to_owned(), secret.to_owned()))
}
