//! Methods of the Web API: status 200 whatever happens, and `"ok": false` where it went wrong.

use bytes::Bytes;
use serde_json::Value;

use super::error::SlackError;
use super::http::{Answer, Http, Received};
use super::reply::{self, Reply};
use super::settings::{Account, BaseUrl};

/// The Web API of one organization.
#[derive(Debug)]
pub(super) struct Web {
    http: Http,
    base_url: BaseUrl,
}

impl Web {
    pub(super) fn new(account: &Account) -> Self {
        Self { http: Http::new(account), base_url: account.base_url.clone() }
    }

    /// One page of what a method lists under that name.
    pub(super) async fn page(
        &self,
        method: &str,
        list: &str,
        arguments: &[(&'static str, String)],
    ) -> Answer<Reply> {
        let answer = self.http.get(&self.base_url.method(method), arguments).await;
        self.http.read(answer, |received| Reply::read(list, received))
    }

    /// What a method answers, as JSON, that changes something or takes lists: its arguments are posted
    /// as JSON, in which a list is one and a number is one.
    ///
    /// # Errors
    /// Slack cannot be asked, or refuses.
    pub(super) async fn post(&self, method: &str, arguments: &Value) -> Result<Bytes, SlackError> {
        let answer = self.http.post(&self.base_url.method(method), arguments.to_string().into_bytes()).await;
        self.http.read(answer, reply::accepted).reply
    }

    /// What `auth.test` answers, and the scopes of the token.
    pub(super) async fn auth_test(&self) -> Result<(Bytes, Option<String>), SlackError> {
        let answer = self.http.get(&self.base_url.method("auth.test"), &[]).await;
        let read = |mut received: Received| {
            let scopes = received.scopes.take();
            reply::accepted(received).map(|body| (body, scopes))
        };
        self.http.read(answer, read).reply
    }
}
