//! The requests to the Audit Logs API.

use reqwest::Url;

use super::actions::ActionList;
use super::settings::{Only, Settings};
use super::window::Window;
use crate::slack::error::SlackError;
use crate::slack::http::{Answer, Http};
use crate::slack::reply::Reply;
use crate::slack::settings::BadSettings;

/// One page's worth of a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Query {
    pub(super) window: Window,
    pub(super) limit: usize,
    pub(super) cursor: Option<crate::event::Text>,
}

#[derive(Debug)]
pub(super) struct Client {
    http: Http,
    logs: Url,
    actions: Url,
    filters: Vec<(&'static str, String)>,
}

impl Client {
    pub(super) fn new(settings: &Settings) -> Result<Self, BadSettings> {
        let Settings { account, only, .. } = settings;
        Ok(Self {
            http: Http::new(account),
            logs: account.base_url.join("audit/v1/logs"),
            actions: account.base_url.join("audit/v1/actions"),
            filters: filters(only)?,
        })
    }

    /// Asks for one page, once the budget allows it.
    pub(super) async fn ask(&self, query: &Query) -> Answer<Reply> {
        let mut parameters = parameters(query);
        parameters.extend(self.filters.iter().cloned());
        let answer = self.http.get(&self.logs, &parameters).await;
        self.http.read(answer, |received| Reply::read("entries", received))
    }

    /// Asks for the list of actions, once the budget allows it.
    pub(super) async fn actions(&self) -> Result<ActionList, SlackError> {
        ActionList::read(&self.http.get(&self.actions, &[]).await.reply?.body)
    }
}

/// The parameters of a request; all of them on every page, for a cursor forgets the bounds.
fn parameters(query: &Query) -> Vec<(&'static str, String)> {
    let mut parameters = vec![
        ("oldest", query.window.oldest.seconds().to_string()),
        ("latest", query.window.latest.seconds().to_string()),
        ("limit", query.limit.to_string()),
    ];
    if let Some(cursor) = &query.cursor {
        parameters.push(("cursor", cursor.as_str().to_owned()));
    }
    parameters
}

fn filters(only: &Only) -> Result<Vec<(&'static str, String)>, BadSettings> {
    if only.actions.len() > Only::MOST_ACTIONS {
        return Err(BadSettings::TooManyActions { found: only.actions.len() });
    }
    if let Some(action) = only.actions.iter().find(|action| action.is_empty() || action.contains(',')) {
        return Err(BadSettings::Action { action: action.clone() });
    }
    let mut filters = Vec::new();
    if !only.actions.is_empty() {
        filters.push(("action", only.actions.join(",")));
    }
    filters.extend(only.actor.clone().map(|actor| ("actor", actor)));
    filters.extend(only.entity.clone().map(|entity| ("entity", entity)));
    Ok(filters)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::event::{Text, UnixTime};
    use crate::slack::{Account, BaseUrl, Budget, Clock, HttpClient, Proxy, Start, Token};

    #[test]
    fn every_page_carries_every_parameter() {
        let window = Window {
            oldest: UnixTime::from_seconds(1_566_000_000),
            latest: UnixTime::from_seconds(1_566_000_059),
        };
        let query = Query { window, limit: 1000, cursor: Some(Text::from("MTU2Ng==")) };
        assert_eq!(
            parameters(&query),
            [
                ("oldest", "1566000000".to_owned()),
                ("latest", "1566000059".to_owned()),
                ("limit", "1000".to_owned()),
                ("cursor", "MTU2Ng==".to_owned())
            ]
        );
    }

    #[test]
    fn filters_that_slack_would_misread_are_refused() {
        let only = |actions: &[&str]| Only {
            actions: actions.iter().map(|action| (*action).to_owned()).collect(),
            actor: Some("W1".to_owned()),
            entity: None,
        };
        assert_eq!(
            filters(&only(&["user_login", "user_logout"])).unwrap(),
            [("action", "user_login,user_logout".to_owned()), ("actor", "W1".to_owned())]
        );
        assert!(matches!(filters(&only(&["a,b"])), Err(BadSettings::Action { .. })));
        assert!(matches!(filters(&only(&[""])), Err(BadSettings::Action { .. })));
        assert!(matches!(filters(&only(&["a"; 31])), Err(BadSettings::TooManyActions { found: 31 })));
    }

    #[test]
    fn a_tls_configuration_of_our_own_is_taken() {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let account = Account {
            base_url: BaseUrl::default(),
            token: Token::fixed(&"xoxp-1".into()).unwrap(),
            client: HttpClient::new(&Proxy::Environment, None, Some(tls)).unwrap(),
            budget: Arc::new(Budget::per_minute(NonZeroU32::MIN)),
            clock: Clock::system(),
        };
        let minute = Duration::from_secs(60);
        let settings = Settings {
            account,
            start: Start::Now,
            settle: minute,
            verify_after: None,
            poll_every: minute,
            only: Only::default(),
        };
        let client = Client::new(&settings).unwrap();
        assert_eq!(client.logs.as_str(), "https://api.slack.com/audit/v1/logs");
        assert!(!format!("{client:?} {settings:?}").contains("xoxp-1"));
    }
}
