//! The app that an organization installs: its manifest, where a person is sent to install it, and
//! what it asks Slack for tokens with.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::rand;
use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::grant::Grant;
use crate::slack::error::SlackError;
use crate::slack::settings::BaseUrl;
use crate::slack::token::Fetch;
use crate::slack::trace::Exchange;
use crate::slack::{Clock, HttpClient, http, reply};

/// An app as a table `[oauth.NAME]` names it.
#[derive(Clone)]
pub struct App {
    /// The name of its login.
    pub name: String,
    /// Slack's id of it.
    pub client_id: String,
    /// Where its secret is: fetched each time, held only meanwhile.
    pub client_secret: Fetch,
    /// Where Slack is.
    pub base_url: BaseUrl,
    /// What Slack is asked with.
    pub client: HttpClient,
    /// The time of day.
    pub clock: Clock,
}

/// The answer to a refresh takes a second; one that never comes must not hold up the log.
const WITHIN: Duration = Duration::from_secs(30);

impl App {
    /// Where a person installs it: Slack leads back to `redirect` with a code, and with `state`.
    pub fn authorize_url(&self, user_scopes: &[&str], state: &str, redirect: &str) -> String {
        let mut url = self.base_url.site("oauth/v2/authorize");
        url.query_pairs_mut()
            .append_pair("client_id", &self.client_id)
            .append_pair("user_scope", &user_scopes.join(","))
            .append_pair("state", state)
            .append_pair("redirect_uri", redirect);
        url.into()
    }

    /// A token for the code that Slack gave at the redirect address.
    ///
    /// # Errors
    /// Slack cannot be asked, refuses, or gives no user token.
    pub async fn exchange(&self, code: &SecretString, redirect: &str) -> Result<Grant, SlackError> {
        self.ask(&[("code", code.expose_secret()), ("redirect_uri", redirect)]).await
    }

    /// The next pair for a refresh token, which is spent by it.
    pub(super) async fn refresh(&self, refresh_token: &SecretString) -> Result<Grant, SlackError> {
        let refresh_token = refresh_token.expose_secret();
        self.ask(&[("grant_type", "refresh_token"), ("refresh_token", refresh_token)]).await
    }

    async fn ask(&self, form: &[(&str, &str)]) -> Result<Grant, SlackError> {
        let secret = self.client_secret.fetch().await?;
        let request = self
            .client
            .untraced()
            .post(self.base_url.method("oauth.v2.access"))
            .timeout(WITHIN)
            .basic_auth(&self.client_id, Some(secret.expose_secret()))
            .header(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"))
            .body(encoded(form).to_string());
        let response = request.send().await.map_err(SlackError::of_transport)?;
        Grant::read(&reply::accepted(http::read(response, &mut Exchange::none()).await?)?)
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("name", &self.name)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

/// The form as it goes into a body: the query of an address has the same form.
fn encoded(form: &[(&str, &str)]) -> Zeroizing<String> {
    let url = Url::parse_with_params("http://form/", form).ok();
    Zeroizing::new(url.as_ref().and_then(Url::query).unwrap_or_default().to_owned())
}

/// What <https://api.slack.com/apps> makes an app of: user scopes alone, installed on the whole
/// organization, its tokens rotated.
pub fn manifest(name: &str, user_scopes: &[&str], redirect: &str) -> String {
    let manifest = json!({
        "display_information": {
            "name": name,
            "description": "Forwards this organization's logs to its SIEM",
        },
        "oauth_config": {
            "redirect_urls": [redirect],
            "scopes": { "user": user_scopes },
        },
        "settings": {
            "org_deploy_enabled": true,
            "socket_mode_enabled": false,
            "is_hosted": false,
            "token_rotation_enabled": true,
        },
    });
    format!("{manifest:#}")
}

/// A word that nobody guesses, for `state`.
///
/// # Errors
/// The system has no randomness to give.
pub fn secret_word() -> Result<String, std::io::Error> {
    let mut bytes = [0_u8; 16];
    rand::fill(&mut bytes).map_err(|_| std::io::Error::other("the system gives no random bytes"))?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_sent_to_slack_with_everything_in_the_address() {
        let app = App {
            name: "acme".to_owned(),
            client_id: "1.2".to_owned(),
            client_secret: Fetch::new(true, || Ok("secret".into())),
            base_url: "https://api.slack-gov.com".parse().unwrap(),
            client: HttpClient::to_this_machine().unwrap(),
            clock: Clock::system(),
        };
        assert_eq!(
            app.authorize_url(&["auditlogs:read", "admin"], "abc", "https://localhost:9465/"),
            "https://slack-gov.com/oauth/v2/authorize?client_id=1.2&user_scope=auditlogs%3Aread%2Cadmin&state=abc&redirect_uri=https%3A%2F%2Flocalhost%3A9465%2F"
        );
        assert!(!format!("{app:?}").contains("secret\""));
    }

    #[test]
    fn a_form_is_escaped() {
        assert_eq!(*encoded(&[("code", "a b&c=%"), ("x", "é")]), "code=a+b%26c%3D%25&x=%C3%A9");
    }

    #[test]
    fn no_two_states_are_the_same() {
        let (one, two) = (secret_word().unwrap(), secret_word().unwrap());
        assert!(one.len() == 32 && one != two, "{one} {two}");
    }
}
