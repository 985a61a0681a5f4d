//! The requests to the Audit Logs API: every one within the budget, every answer read with a bound.
//!
//! **Invariant:** the token goes into one header, marked sensitive, to the one address that was
//! checked when the settings were read; redirects are not followed.
//! **Invariant:** a body is never held beyond [`MOST`] bytes, however small it was on the wire.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{ACCEPT, AUTHORIZATION, DATE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{RequestBuilder, Response, Url};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};

use super::actions::ActionList;
use super::audit::{self, Reply};
use super::error::SlackError;
use super::refusal::Said;
use super::settings::{BadSettings, Only, Settings};
use super::window::Window;
use super::{Budget, Clock};
use crate::event::UnixTime;

/// The most bytes of one body, after decompression.
pub(super) const MOST: usize = 64 << 20;

/// The most bytes of a body that only explains a refusal.
const MOST_OF_A_REFUSAL: usize = 64 << 10;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const READ_TIMEOUT: Duration = Duration::from_secs(30);
const WHOLE_TIMEOUT: Duration = Duration::from_secs(120);

/// The shortest and the longest time that Slack can make us wait.
const RETRY_AFTER_BOUNDS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(600));

/// One page's worth of a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Query {
    pub(super) window: Window,
    pub(super) limit: usize,
    pub(super) cursor: Option<crate::event::Text>,
}

/// What came of one request.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) reply: Result<Reply, SlackError>,
    /// What Slack's clock showed, and ours at that moment.
    pub(super) clocks: Option<Clocks>,
}

/// Slack's clock and ours at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Clocks {
    pub(super) slack: UnixTime,
    pub(super) ours: UnixTime,
}

#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    logs: Url,
    actions: Url,
    authorization: HeaderValue,
    filters: Vec<(&'static str, String)>,
    budget: Arc<Budget>,
    clock: Clock,
}

impl Client {
    pub(super) fn new(settings: &Settings) -> Result<Self, BadSettings> {
        let mut http = reqwest::Client::builder()
            .user_agent(concat!("slackcef/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .timeout(WHOLE_TIMEOUT)
            .gzip(true);
        if let Some(tls) = &settings.tls {
            http = http.tls_backend_preconfigured(tls.clone());
        }
        if settings.base_url.is_loopback() {
            http = http.no_proxy();
        }
        Ok(Self {
            http: http.build().map_err(BadSettings::Client)?,
            logs: settings.base_url.join("audit/v1/logs"),
            actions: settings.base_url.join("audit/v1/actions"),
            authorization: bearer(&settings.token)?,
            filters: filters(&settings.only)?,
            budget: Arc::clone(&settings.budget),
            clock: settings.clock.clone(),
        })
    }

    /// Asks for one page, once the budget allows it.
    pub(super) async fn ask(&self, query: &Query) -> Answer {
        self.budget.request().await;
        let request = self.get(&self.logs).query(&parameters(query)).query(&self.filters);
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => return Answer { reply: Err(SlackError::of_transport(error)), clocks: None },
        };
        let clocks = date(response.headers()).map(|slack| Clocks { slack, ours: self.clock.now() });
        let reply = read(response).await.and_then(Received::page);
        if let Err(SlackError::RateLimited { retry_after: Some(wait) }) = &reply {
            self.budget.pause(*wait);
        }
        Answer { reply, clocks }
    }

    /// Asks for the list of actions, once the budget allows it.
    pub(super) async fn actions(&self) -> Result<ActionList, SlackError> {
        self.budget.request().await;
        let response = self.get(&self.actions).send().await.map_err(SlackError::of_transport)?;
        ActionList::read(&read(response).await?.body)
    }

    fn get(&self, url: &Url) -> RequestBuilder {
        self.http
            .get(url.clone())
            .header(AUTHORIZATION, self.authorization.clone())
            .header(ACCEPT, HeaderValue::from_static("application/json"))
    }
}

/// An answer with a status of success.
struct Received {
    status: u16,
    body: Bytes,
    retry_after: Option<Duration>,
}

impl Received {
    fn page(self) -> Result<Reply, SlackError> {
        Reply::read(self.status, self.body, self.retry_after)
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

fn bearer(token: &SecretString) -> Result<HeaderValue, BadSettings> {
    let token = token.expose_secret();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(BadSettings::Token);
    }
    let line = Zeroizing::new(format!("Bearer {token}"));
    let mut value = HeaderValue::from_str(&line).map_err(|_| BadSettings::Token)?;
    value.set_sensitive(true);
    Ok(value)
}

async fn read(response: Response) -> Result<Received, SlackError> {
    let status = response.status();
    let retry_after = retry_after(response.headers());
    if status.is_success() {
        let body = body(response, MOST).await?;
        return Ok(Received { status: status.as_u16(), body, retry_after });
    }
    // The status alone says enough where the body does not come.
    let said = match body(response, MOST_OF_A_REFUSAL).await {
        Ok(body) => audit::said(&body),
        Err(_) => Said::default(),
    };
    Err(SlackError::of_answer(status.as_u16(), said, retry_after))
}

/// The whole body in one buffer, by chunk, so that a small one that unpacks to gigabytes is noticed.
async fn body(mut response: Response, most: usize) -> Result<Bytes, SlackError> {
    let announced = response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
    let mut body = BytesMut::with_capacity(announced.min(1 << 20));
    while let Some(chunk) = response.chunk().await.map_err(SlackError::of_transport)? {
        if body.len() + chunk.len() > most {
            return Err(SlackError::TooLarge { limit: most });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// `Retry-After` in seconds, within bounds: a nonsense value must neither hurry nor silence us.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    let (least, most) = RETRY_AFTER_BOUNDS;
    Some(Duration::from_secs(seconds).clamp(least, most))
}

/// Slack's clock, as the `Date` of the answer shows it.
fn date(headers: &HeaderMap) -> Option<UnixTime> {
    let date = headers.get(DATE)?.to_str().ok()?;
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(date).ok()?;
    Some(UnixTime::from_seconds(date.as_second()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Text;

    fn headers(name: reqwest::header::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn retry_after_is_kept_within_bounds() {
        let read = |value| retry_after(&headers(RETRY_AFTER, value));
        assert_eq!(read("30"), Some(Duration::from_secs(30)));
        assert_eq!(read("0"), Some(Duration::from_secs(1)));
        assert_eq!(read("86400"), Some(Duration::from_secs(600)));
        for nonsense in ["", "-1", "soon", "1.5", "99999999999999999999999"] {
            assert_eq!(read(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn the_date_is_read() {
        let read = |value| date(&headers(DATE, value));
        assert_eq!(read("Sun, 06 Nov 1994 08:49:37 GMT"), Some(UnixTime::from_seconds(784_111_777)));
        assert_eq!(read("yesterday"), None);
    }

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
        let settings = Settings {
            base_url: crate::slack::BaseUrl::default(),
            token: SecretString::from("xoxp-1"),
            tls: Some(tls),
            budget: Arc::new(Budget::per_minute(std::num::NonZeroU32::MIN)),
            clock: Clock::system(),
            start: crate::slack::Start::Now,
            settle: Duration::from_secs(60),
            verify_after: None,
            poll_every: Duration::from_secs(60),
            only: Only::default(),
        };
        let client = Client::new(&settings).unwrap();
        assert_eq!(client.logs.as_str(), "https://api.slack.com/audit/v1/logs");
        assert!(!format!("{client:?} {settings:?}").contains("xoxp-1"));
    }

    #[test]
    fn a_token_is_one_word_and_never_shown() {
        for bad in ["", "xoxp-1 ", "xoxp-1\n", "xoxp\u{e9}", "\u{0}"] {
            assert!(matches!(bearer(&SecretString::from(bad)), Err(BadSettings::Token)), "{bad:?}");
        }
        let value = bearer(&SecretString::from("xoxp-secret")).unwrap();
        assert!(!format!("{value:?}").contains("secret"));
    }
}
