//! Slack's HTTP side: every request within the budget and with the token that is in force, every
//! answer read with a bound.
//!
//! **Invariant:** the token goes into one header, marked sensitive, to the one address that was
//! checked when the settings were read; redirects are not followed.
//! **Invariant:** a body is never held beyond [`MOST`] bytes, however small it was on the wire.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{RequestBuilder, Response, Url};

use super::error::{Class, SlackError};
use super::refusal::Said;
use super::settings::Account;
use super::trace::Exchange;
use super::{Budget, Clock, HttpClient, Token, reply};
use crate::event::UnixTime;

/// The most bytes of one body, after decompression.
pub(super) const MOST: usize = 64 << 20;

/// The most bytes of a body that only explains a refusal.
pub(super) const MOST_OF_A_REFUSAL: usize = 64 << 10;

/// The shortest and the longest time that Slack can make us wait.
const RETRY_AFTER_BOUNDS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(600));

/// What came of one request.
#[derive(Debug)]
pub(super) struct Answer<T> {
    pub(super) reply: Result<T, SlackError>,
    /// What Slack's clock showed, and ours at that moment.
    pub(super) clocks: Option<Clocks>,
}

impl<T> Answer<T> {
    /// Reads further what came.
    pub(super) fn and_then<U>(self, read: impl FnOnce(T) -> Result<U, SlackError>) -> Answer<U> {
        Answer { reply: self.reply.and_then(read), clocks: self.clocks }
    }
}

/// Slack's clock and ours at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Clocks {
    pub(super) slack: UnixTime,
    pub(super) ours: UnixTime,
}

impl Clocks {
    /// Slack's clock less ours, in seconds.
    pub(super) fn slack_ahead(self) -> i64 {
        self.slack.seconds().saturating_sub(self.ours.seconds())
    }
}

/// An answer with a status of success.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) status: u16,
    pub(super) body: Bytes,
    pub(super) retry_after: Option<Duration>,
    /// The scopes of the token that was shown, where Slack tells them.
    pub(super) scopes: Option<String>,
}

/// The way to one Slack.
#[derive(Debug)]
pub(super) struct Http {
    client: HttpClient,
    token: Token,
    budget: Arc<Budget>,
    clock: Clock,
}

impl Http {
    pub(super) fn new(account: &Account) -> Self {
        Self {
            client: account.client.clone(),
            token: account.token.clone(),
            budget: Arc::clone(&account.budget),
            clock: account.clock.clone(),
        }
    }

    /// Asks for that address with these parameters, once the budget allows it.
    pub(super) async fn get(&self, url: &Url, parameters: &[(&'static str, String)]) -> Answer<Received> {
        self.send(self.client.get(url.clone()).query(parameters)).await
    }

    /// Posts JSON to that address, once the budget allows it.
    pub(super) async fn post(&self, url: &Url, body: Vec<u8>) -> Answer<Received> {
        let form = HeaderValue::from_static("application/json; charset=utf-8");
        self.send(self.client.post(url.clone()).header(CONTENT_TYPE, form).body(body)).await
    }

    async fn send(&self, request: RequestBuilder) -> Answer<Received> {
        let bearer = match self.token.bearer().await {
            Ok(bearer) => bearer,
            Err(error) => return Answer { reply: Err(error), clocks: None },
        };
        self.budget.request().await;
        let request = request
            .header(AUTHORIZATION, bearer)
            .header(ACCEPT, HeaderValue::from_static("application/json"));
        let request = match request.build() {
            Ok(request) => request,
            Err(error) => return Answer { reply: Err(SlackError::of_transport(error)), clocks: None },
        };
        let (response, mut exchange) = self.client.send(request).await;
        let (reply, clocks) = match response {
            Ok(response) => {
                let slack = date(response.headers());
                let clocks = slack.map(|slack| Clocks { slack, ours: self.clock.now() });
                (read(response, &mut exchange).await, clocks)
            }
            Err(error) => (Err(SlackError::of_transport(error)), None),
        };
        if let Err(error) = &reply {
            exchange.failed(error);
        }
        self.heed(&reply);
        Answer { reply, clocks }
    }

    /// Where Slack asks for silence, it is silence for all who share the budget; a token that Slack
    /// refuses is not to be taken for a good one.
    fn heed<T>(&self, reply: &Result<T, SlackError>) {
        match reply {
            Err(SlackError::RateLimited { retry_after: Some(wait) }) => self.budget.pause(*wait),
            Err(SlackError::Refused(refused)) if refused.refusal.class() == Class::Token => {
                self.token.refused(refused.refusal);
            }
            _ => {}
        }
    }

    /// Reads an answer further; a body may ask for silence as well.
    pub(super) fn read<T>(
        &self,
        answer: Answer<Received>,
        read: impl FnOnce(Received) -> Result<T, SlackError>,
    ) -> Answer<T> {
        let answer = answer.and_then(read);
        self.heed(&answer.reply);
        answer
    }
}

/// Reads an answer, whatever it is, with a bound.
pub(super) async fn read(response: Response, exchange: &mut Exchange) -> Result<Received, SlackError> {
    let status = response.status();
    let retry_after = retry_after(response.headers());
    if status.is_success() {
        let scopes = scopes(response.headers());
        let body = body(response, MOST).await?;
        exchange.body(&body);
        return Ok(Received { status: status.as_u16(), body, retry_after, scopes });
    }
    // The status alone says enough where the body does not come.
    let said = match body(response, MOST_OF_A_REFUSAL).await {
        Ok(body) => {
            exchange.body(&body);
            reply::said(&body)
        }
        Err(_) => Said::default(),
    };
    Err(SlackError::of_answer(status.as_u16(), said, retry_after))
}

/// The whole body in one buffer, by chunk, so that a small one that unpacks to gigabytes is noticed.
pub(super) async fn body(mut response: Response, most: usize) -> Result<Bytes, SlackError> {
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
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    let (least, most) = RETRY_AFTER_BOUNDS;
    Some(Duration::from_secs(seconds).clamp(least, most))
}

/// The scopes of the token, as the methods of the Web API tell them.
fn scopes(headers: &HeaderMap) -> Option<String> {
    headers.get("x-oauth-scopes")?.to_str().ok().map(str::to_owned)
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
}
