//! Whose a token is, as `auth.test` tells it, and what that says of a refusal.
//!
//! The audit log refuses a token that it does not like with a bare 401, be it mistyped, revoked or
//! expired. `auth.test` has a word for each, and for a token that lives it tells the scopes.

use std::time::Duration;

use serde_json::Value;

use super::error::SlackError;
use super::refusal::{Code, Refusal, Refused, Said};
use super::settings::Account;
use super::web::Web;
use crate::event::Log;

/// Whose a token is, and where it counts; as far as Slack says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// The name of who installed the app.
    pub user: Option<String>,
    /// The id of who installed the app.
    pub user_id: Option<String>,
    /// The name of the workspace, or of the organization.
    pub team: Option<String>,
    /// Its id.
    pub team_id: Option<String>,
    /// The organization's id.
    pub enterprise_id: Option<String>,
    /// The app is installed on the organization, not on a workspace.
    pub org_install: Option<bool>,
    /// The app's id.
    pub app_id: Option<String>,
    /// The token's scopes.
    pub scopes: Option<Vec<String>>,
    /// How long the token lives; for ever where it does not say.
    pub expires_in: Option<Duration>,
}

/// Asks Slack whose token this is.
///
/// # Errors
/// Slack cannot be asked, or refuses the token: with a word for what is wrong with it.
pub async fn whoami(account: &Account) -> Result<Identity, SlackError> {
    // Slack counts it apart from the logs, and grants hundreds a minute.
    let (body, scopes) = Web::uncounted(account).auth_test().await?;
    let answer: Value = serde_json::from_slice(&body)
        .map_err(|error| SlackError::NotAPage { line: error.line(), column: error.column() })?;
    Ok(Identity::read(&answer, scopes.as_deref()))
}

impl Identity {
    fn read(answer: &Value, scopes: Option<&str>) -> Self {
        let text = |key: &str| answer.get(key)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let team_id = text("team_id");
        let said = answer.get("is_enterprise_install").and_then(Value::as_bool);
        let by_id = team_id.as_ref().map(|id| id.starts_with('E'));
        let expires_in = answer.get("expires_in").and_then(Value::as_u64);
        Self {
            user: text("user"),
            user_id: text("user_id"),
            team: text("team"),
            enterprise_id: text("enterprise_id").or_else(|| team_id.clone().filter(|id| id.starts_with('E'))),
            team_id,
            org_install: said.or(by_id),
            app_id: text("app_id"),
            scopes: scopes.map(|scopes| {
                scopes
                    .split(',')
                    .map(|scope| scope.trim().to_owned())
                    .filter(|scope| !scope.is_empty())
                    .collect()
            }),
            expires_in: expires_in.filter(|seconds| *seconds > 0).map(Duration::from_secs),
        }
    }

    /// What keeps a token that lives from reading that log.
    pub fn lacks(&self, log: Log) -> Option<SlackError> {
        let wanted = scope_of(log);
        let refused = |refusal, said| Some(SlackError::Refused(Refused { refusal, status: 200, said }));
        if let Some(scopes) = &self.scopes
            && !scopes.iter().any(|scope| scope == wanted)
        {
            let said = Said { code: None, needed: Code::new(wanted), provided: Code::new(&scopes.join(",")) };
            return refused(Refusal::Scope, said);
        }
        if log == Log::Audit && self.org_install == Some(false) {
            return refused(Refusal::WorkspaceInstall, Said::default());
        }
        None
    }
}

/// The scope that a log asks for.
pub const fn scope_of(log: Log) -> &'static str {
    if matches!(log, Log::Audit) { "auditlogs:read" } else { "admin" }
}

/// The same error, or a more telling one where Slack refused a token without a word.
pub async fn diagnosed(error: SlackError, log: Log, account: &Account) -> SlackError {
    let is_mute = matches!(
        &error,
        SlackError::Refused(Refused { refusal: Refusal::Token, said: Said { code: None, .. }, .. })
    );
    if !is_mute {
        return error;
    }
    match whoami(account).await {
        // The same once more, or trouble of another kind, says no more.
        Err(SlackError::Refused(told)) if !matches!(told.refusal, Refusal::Token | Refusal::Passing) => {
            SlackError::Refused(told)
        }
        Err(_) => error,
        Ok(identity) => identity.lacks(log).unwrap_or(error),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_organization_is_told_by_its_word_or_by_its_id() {
        let org = json!({"ok": true, "team_id": "E1", "team": "Acme", "user_id": "W1", "user": "bea", "expires_in": 100});
        let identity = Identity::read(&org, Some("identify, auditlogs:read"));
        assert_eq!((identity.org_install, identity.enterprise_id.as_deref()), (Some(true), Some("E1")));
        assert_eq!(identity.expires_in, Some(Duration::from_secs(100)));
        assert!(identity.lacks(Log::Audit).is_none());
        let said = identity.lacks(Log::Access).unwrap();
        assert!(matches!(&said, SlackError::Refused(refused) if refused.refusal == Refusal::Scope), "{said}");
        assert!(
            said.to_string().contains("`admin`") && said.to_string().contains("auditlogs:read"),
            "{said}"
        );

        let workspace = json!({"team_id": "T1", "enterprise_id": "E1", "is_enterprise_install": false});
        let identity = Identity::read(&workspace, Some("auditlogs:read,admin"));
        assert_eq!(identity.lacks(Log::Audit).unwrap().reason(), "install");
        assert!(identity.lacks(Log::Access).is_none());

        let mute = Identity::read(&json!({"team_id": null}), None);
        assert_eq!(mute, Identity::default());
        assert!(mute.lacks(Log::Audit).is_none());
    }
}
