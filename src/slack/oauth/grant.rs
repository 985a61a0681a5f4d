//! What Slack answers to a code or a refresh token.
//!
//! The user token stands under `authed_user` after an install and at the top after a refresh; at the
//! top of an install's answer may be a bot's token, which reads no log.

use std::time::Duration;

use bytes::Bytes;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::slack::error::SlackError;

/// A user token, and what goes with it.
#[derive(Debug)]
pub struct Grant {
    /// What requests bear.
    pub access_token: SecretString,
    /// What the next pair is had for, once; only where the app rotates its tokens.
    pub refresh_token: Option<SecretString>,
    /// How long the access token lives; for ever where it does not say.
    pub expires_in: Option<Duration>,
    /// Whose it is.
    pub holder: Holder,
}

/// Whose a token is, and where it counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Holder {
    /// The id of who installed the app.
    pub user: Option<String>,
    /// The scopes, separated by commas.
    pub scopes: Option<String>,
    /// The workspace; none where the app is installed on an organization.
    pub team: Option<String>,
    /// The organization.
    pub enterprise: Option<String>,
    /// The app is installed on the organization, not on a workspace.
    pub org_install: bool,
}

impl Grant {
    /// Reads an answer that is no refusal.
    pub(super) fn read(body: &Bytes) -> Result<Self, SlackError> {
        let answer: Value = serde_json::from_slice(body)
            .map_err(|error| SlackError::NotAPage { line: error.line(), column: error.column() })?;
        let user = answer.get("authed_user").unwrap_or(&Value::Null);
        let from = if text(user, "access_token").is_some() { user } else { &answer };
        let token = text(from, "access_token").ok_or(SlackError::NoGrant(""))?;
        if text(from, "token_type").is_some_and(|kind| kind != "user") || token.starts_with("xoxb-") {
            return Err(SlackError::NoGrant(": there is a bot's token alone"));
        }
        let place = |key: &str| {
            let place = answer.get(key)?;
            text(place, "name").or_else(|| text(place, "id")).map(str::to_owned)
        };
        let holder = Holder {
            user: text(user, "id").or_else(|| text(&answer, "user_id")).map(str::to_owned),
            // An empty one says that there are none.
            scopes: from.get("scope").and_then(Value::as_str).map(str::to_owned),
            team: place("team"),
            enterprise: place("enterprise"),
            org_install: answer.get("is_enterprise_install").and_then(Value::as_bool).unwrap_or(false),
        };
        Ok(Self {
            access_token: token.into(),
            refresh_token: text(from, "refresh_token").map(SecretString::from),
            expires_in: from.get("expires_in").and_then(seconds),
            holder,
        })
    }
}

impl Holder {
    /// A refresh says less than the install did.
    pub(super) fn or(self, before: Self) -> Self {
        Self {
            user: self.user.or(before.user),
            scopes: self.scopes.or(before.scopes),
            team: self.team.or(before.team),
            enterprise: self.enterprise.or(before.enterprise),
            org_install: self.org_install || before.org_install,
        }
    }
}

/// A text that is not empty.
fn text<'v>(of: &'v Value, key: &str) -> Option<&'v str> {
    of.get(key)?.as_str().filter(|text| !text.is_empty())
}

/// A number, or a text that holds one; zero is no life at all.
fn seconds(value: &Value) -> Option<Duration> {
    let seconds = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn read(json: &'static str) -> Result<Grant, SlackError> {
        Grant::read(&Bytes::from_static(json.as_bytes()))
    }

    #[test]
    fn the_install_of_an_organization_is_read() {
        let grant = read(
            r#"{"ok":true,"app_id":"A1","authed_user":{"id":"U1","scope":"auditlogs:read","token_type":"user",
            "access_token":"xoxe.xoxp-1","refresh_token":"xoxe-1","expires_in":43200},"team":null,
            "enterprise":{"id":"E1","name":"Acme"},"is_enterprise_install":true,"access_token":"xoxb-bot","token_type":"bot"}"#,
        )
        .unwrap();
        assert_eq!(grant.access_token.expose_secret(), "xoxe.xoxp-1");
        assert_eq!(grant.refresh_token.unwrap().expose_secret(), "xoxe-1");
        assert_eq!(grant.expires_in, Some(Duration::from_secs(43_200)));
        let expected = Holder {
            user: Some("U1".into()),
            scopes: Some("auditlogs:read".into()),
            team: None,
            enterprise: Some("Acme".into()),
            org_install: true,
        };
        assert_eq!(grant.holder, expected);
    }

    #[test]
    fn a_refresh_has_the_user_token_at_the_top() {
        let grant = read(
            r#"{"ok":true,"access_token":"xoxe.xoxp-2","expires_in":"43200","refresh_token":"xoxe-2","token_type":"user",
            "user_id":"U1","enterprise":{"id":"E1"},"is_enterprise_install":true}"#,
        )
        .unwrap();
        assert_eq!(grant.access_token.expose_secret(), "xoxe.xoxp-2");
        assert_eq!(grant.expires_in, Some(Duration::from_secs(43_200)));
        let before = Holder { scopes: Some("auditlogs:read".into()), ..Holder::default() };
        let holder = grant.holder.or(before);
        assert_eq!(
            (holder.scopes.as_deref(), holder.enterprise.as_deref()),
            (Some("auditlogs:read"), Some("E1"))
        );
    }

    #[test]
    fn without_rotation_it_lives_for_ever() {
        let grant =
            read(r#"{"ok":true,"authed_user":{"id":"U1","access_token":"xoxp-1","token_type":"user"}}"#)
                .unwrap();
        assert!(grant.refresh_token.is_none() && grant.expires_in.is_none());
    }

    #[test]
    fn a_bot_token_is_none_that_reads_logs() {
        for json in [
            r#"{"ok":true,"access_token":"xoxb-1","token_type":"bot","authed_user":{"id":"U1"}}"#,
            r#"{"ok":true,"access_token":"xoxb-1","authed_user":null}"#,
            r#"{"ok":true}"#,
            r#"{"ok":true,"authed_user":{"access_token":""}}"#,
            "[]",
        ] {
            assert!(matches!(read(json), Err(SlackError::NoGrant(_))), "{json}");
        }
        assert!(matches!(read("{"), Err(SlackError::NotAPage { .. })));
    }
}
