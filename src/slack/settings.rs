//! Where Slack is, and how it is reached.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use reqwest::Url;

use super::audit::Only;
use super::{Budget, Clock, HttpClient, Token};

/// One organization's Slack, and how it is reached.
#[derive(Debug, Clone)]
pub struct Account {
    /// Where Slack is.
    pub base_url: BaseUrl,
    /// The token that requests bear.
    pub token: Token,
    /// What requests are made with, shared by all sources that go the same way.
    pub client: HttpClient,
    /// The organization's budget of requests of this kind, shared by its sources.
    pub budget: Arc<Budget>,
    /// The time of day.
    pub clock: Clock,
}

impl Account {
    /// Whether requests go by the same token, the same way and within the same budget.
    pub fn is_like(&self, other: &Self) -> bool {
        self.token == other.token && self.client.is(&other.client) && Arc::ptr_eq(&self.budget, &other.budget)
    }
}

/// The root of Slack's API: https, or http to this very machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl(Url);

impl BaseUrl {
    /// The address of that path.
    pub(super) fn join(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        let root = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{root}/{path}"));
        url
    }

    /// The address of that method of the Web API: `api.slack.com` serves the audit log, `slack.com`
    /// the Web API, and GovSlack's pair differs in the same way.
    pub(super) fn method(&self, name: &str) -> Url {
        self.site(&format!("api/{name}"))
    }

    /// The address of that path where Slack's pages for people are, and the Web API.
    pub(super) fn site(&self, path: &str) -> Url {
        let mut url = self.join(path);
        if let Some(host) = self.0.host_str().and_then(|host| host.strip_prefix("api.")) {
            // A host less its first label is a host.
            url.set_host(Some(host)).unwrap_or_default();
        }
        url
    }

    /// Whether it leads to this very machine.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.0)
    }
}

impl Default for BaseUrl {
    /// Slack's commercial cloud.
    fn default() -> Self {
        #[expect(clippy::expect_used, reason = "a constant, and a test reads it")]
        "https://api.slack.com".parse().expect("a constant address")
    }
}

impl FromStr for BaseUrl {
    type Err = BadBaseUrl;

    fn from_str(text: &str) -> Result<Self, BadBaseUrl> {
        let url: Url = text.parse().map_err(|_| BadBaseUrl::NotAUrl)?;
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&url) => {}
            "http" => return Err(BadBaseUrl::Plaintext),
            _ => return Err(BadBaseUrl::Scheme),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(BadBaseUrl::Credentials);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(BadBaseUrl::NotARoot);
        }
        Ok(Self(url))
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// An address that no token is sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadBaseUrl {
    /// It is not an address with a scheme and a host.
    #[error("not an address such as https://api.slack.com")]
    NotAUrl,
    /// It would send the token in the clear over a network.
    #[error("http:// would send the token in the clear: use https:// (http:// only to this machine)")]
    Plaintext,
    /// It is neither https nor http.
    #[error("the address must begin with https://")]
    Scheme,
    /// It holds a name or a password.
    #[error("the address must not hold a name or a password")]
    Credentials,
    /// It goes on after the path.
    #[error("the address must end with the host or a path, without `?` or `#`")]
    NotARoot,
}

/// Settings that no poller can work with.
#[derive(Debug, thiserror::Error)]
pub enum BadSettings {
    /// The token is empty, or holds what no token holds.
    #[error("the token is empty or holds a space, a line break or another character that no token has")]
    Token,
    /// Slack takes no more actions in one request.
    #[error("{found} actions in `only`: Slack takes up to {}", Only::MOST_ACTIONS)]
    TooManyActions {
        /// How many there are.
        found: usize,
    },
    /// Slack separates actions by commas.
    #[error("`{action}` in `only` is not the name of an action")]
    Action {
        /// What stands there.
        action: String,
    },
    /// The HTTP client can't work with the TLS settings or the proxy's address.
    #[error("the HTTP client could not be set up")]
    Client(#[source] reqwest::Error),
}

pub(super) fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let address: Result<IpAddr, _> = host.trim_start_matches('[').trim_end_matches(']').parse();
    address.map_or(host == "localhost", |address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_goes_to_https_or_to_this_machine() {
        assert_eq!(BaseUrl::default().to_string(), "https://api.slack.com/");
        for fine in [
            "https://api.slack-gov.com",
            "http://127.0.0.1:9000",
            "http://127.9.9.9",
            "http://[::1]:80/x",
            "http://localhost:1",
        ] {
            assert!(fine.parse::<BaseUrl>().is_ok(), "{fine}");
        }
        for (bad, why) in [
            ("api.slack.com", BadBaseUrl::NotAUrl),
            ("", BadBaseUrl::NotAUrl),
            ("http://api.slack.com", BadBaseUrl::Plaintext),
            ("http://127.0.0.1.example.com", BadBaseUrl::Plaintext),
            ("http://localhost.example.com", BadBaseUrl::Plaintext),
            ("http://10.0.0.1", BadBaseUrl::Plaintext),
            ("ftp://127.0.0.1", BadBaseUrl::Scheme),
            ("file:///etc", BadBaseUrl::Scheme),
            ("https://me:pass@api.slack.com", BadBaseUrl::Credentials),
            ("https://api.slack.com/?a=b", BadBaseUrl::NotARoot),
        ] {
            assert_eq!(bad.parse::<BaseUrl>(), Err(why), "{bad}");
        }
    }

    #[test]
    fn the_web_api_lives_beside_the_audit_log() {
        for (root, method) in [
            ("https://api.slack.com", "https://slack.com/api/auth.test"),
            ("https://api.slack-gov.com", "https://slack-gov.com/api/auth.test"),
            ("https://slack.com", "https://slack.com/api/auth.test"),
            ("http://127.0.0.1:9000", "http://127.0.0.1:9000/api/auth.test"),
        ] {
            assert_eq!(root.parse::<BaseUrl>().unwrap().method("auth.test").as_str(), method);
        }
    }

    #[test]
    fn a_path_in_the_root_is_kept() {
        for root in ["http://[::1]:80/x", "http://[::1]:80/x/"] {
            let url = root.parse::<BaseUrl>().unwrap().join("audit/v1/logs");
            assert_eq!(url.as_str(), "http://[::1]/x/audit/v1/logs");
        }
    }
}
