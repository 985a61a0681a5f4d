//! One message to an incoming webhook, and what the answer means.
//!
//! A webhook answers in plain text with a status. Which status goes with which text has changed over
//! the years, so the text is asked first.
//!
//! **Invariant:** the address is a secret: it is in no error, no log line and no `Debug` output; its
//! host alone may be shown.
//! **Invariant:** the address leads over TLS, or to this very machine; redirects are not followed.

use std::fmt;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

use super::HttpClient;
use super::error::SlackError;
use super::http::{self, MOST_OF_A_REFUSAL};
use super::refusal::Code;
use super::settings::is_loopback;

/// The secret address of an incoming webhook.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookAddress(Url);

impl WebhookAddress {
    /// The address that a secret holds.
    ///
    /// # Errors
    /// [`BadWebhook`] when nothing may be sent there.
    pub fn new(secret: &SecretString) -> Result<Self, BadWebhook> {
        let url: Url = secret.expose_secret().parse().map_err(|_| BadWebhook::NotAUrl)?;
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&url) => {}
            "http" => return Err(BadWebhook::Plaintext),
            _ => return Err(BadWebhook::NotAUrl),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(BadWebhook::Credentials);
        }
        if matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err(BadWebhook::NoPath);
        }
        Ok(Self(url))
    }

    /// The machine it leads to, which is no secret: `hooks.slack.com`.
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// Whether it leads to this very machine.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.0)
    }
}

impl fmt::Debug for WebhookAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebhookAddress({}/…)", self.host())
    }
}

/// What is no address of a webhook. It does not say what was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadWebhook {
    /// It is not an address with https.
    #[error("not an address such as https://hooks.slack.com/services/T…/B…/…")]
    NotAUrl,
    /// It would send the secret in the clear over a network.
    #[error("http:// would send the secret in the clear: use https:// (http:// only to this machine)")]
    Plaintext,
    /// It holds a name or a password.
    #[error("the address must not hold a name or a password before its host")]
    Credentials,
    /// It is the address of a machine, not of a webhook there.
    #[error("the address ends with the host: the part behind it, which is the secret, is missing")]
    NoPath,
}

/// The way to one webhook.
#[derive(Debug, Clone)]
pub struct Webhook {
    client: HttpClient,
    address: WebhookAddress,
}

/// A channel's message is little: Slack answers at once or not at all.
const WITHIN: Duration = Duration::from_secs(30);

impl Webhook {
    /// The way to that address.
    pub fn new(address: WebhookAddress, client: HttpClient) -> Self {
        Self { client, address }
    }

    /// Whether it is the same address, and the same way there.
    pub fn is_like(&self, other: &Self) -> bool {
        self.address == other.address && self.client.is(&other.client)
    }

    /// Where it leads to.
    pub fn address(&self) -> &WebhookAddress {
        &self.address
    }

    /// Posts one message: JSON with `text` and, as a rule, `blocks`.
    ///
    /// # Errors
    /// [`WebhookError`]; Slack may have taken the message all the same where the answer was lost.
    pub async fn post(&self, message: String) -> Result<(), WebhookError> {
        let request = self
            .client
            .untraced()
            .post(self.address.0.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .timeout(WITHIN)
            .body(message);
        let transport = |error| WebhookError::Transport(SlackError::of_transport(error));
        let response = request.send().await.map_err(transport)?;
        let (status, retry_after) = (response.status().as_u16(), http::retry_after(response.headers()));
        // The status alone says enough where the text does not come.
        let said = http::body(response, MOST_OF_A_REFUSAL).await.unwrap_or_default();
        judged(status, &String::from_utf8_lossy(&said), retry_after)
    }
}

/// Why a message did not arrive.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// There was no answer.
    #[error(transparent)]
    Transport(SlackError),
    /// Too many messages came at once.
    #[error("Slack asks for fewer messages")]
    RateLimited {
        /// How long Slack asks us to wait, already within our bounds.
        retry_after: Option<Duration>,
    },
    /// Slack has trouble of its own.
    #[error("Slack answered with status {status}")]
    Server {
        /// The HTTP status.
        status: u16,
        /// How long Slack asks us to wait, already within our bounds.
        retry_after: Option<Duration>,
    },
    /// An answer of success that is not Slack's `ok`.
    #[error("what answered is not Slack: status {status} without `ok`")]
    NotOk {
        /// The HTTP status.
        status: u16,
    },
    /// Slack does not take the message, and would not take it later.
    #[error("{0}")]
    Rejected(Rejected),
}

/// A message that Slack does not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// What is wrong.
    pub rejection: Rejection,
    /// The HTTP status.
    pub status: u16,
    /// Slack's word for it.
    pub code: Option<Code>,
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.rejection.words())?;
        match &self.code {
            Some(code) => write!(f, " (`{code}`, status {})", self.status),
            None => write!(f, " (status {})", self.status),
        }
    }
}

/// What Slack has against a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rejection {
    /// The webhook is no more: revoked, or removed with its app.
    Gone,
    /// The webhook's workspace is no more, or not in use.
    Team,
    /// The channel is no more, or archived.
    Channel,
    /// A rule of the workspace forbids it.
    Prohibited,
    /// The message itself.
    Message,
}

/// What is to be done about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Send it again, later each time.
    Again,
    /// A person must see to it; try slowly until then.
    Person,
    /// This message will never be taken; another may be.
    Message,
}

/// Slack's words. The text counts more than the status that it comes with.
const CODES: [(&str, Rejection); 19] = [
    ("no_service", Rejection::Gone),
    ("no_service_id", Rejection::Gone),
    ("no_active_hooks", Rejection::Gone),
    ("invalid_token", Rejection::Gone),
    ("no_team", Rejection::Team),
    ("team_disabled", Rejection::Team),
    ("channel_not_found", Rejection::Channel),
    ("channel_is_archived", Rejection::Channel),
    ("user_not_found", Rejection::Channel),
    ("action_prohibited", Rejection::Prohibited),
    ("posting_to_general_channel_denied", Rejection::Prohibited),
    ("invalid_payload", Rejection::Message),
    ("invalid_blocks", Rejection::Message),
    ("invalid_blocks_format", Rejection::Message),
    ("invalid_attachments", Rejection::Message),
    ("msg_blocks_too_long", Rejection::Message),
    ("msg_too_long", Rejection::Message),
    ("no_text", Rejection::Message),
    ("too_many_attachments", Rejection::Message),
];

/// What an answer says: its text first, then its status.
fn judged(status: u16, text: &str, retry_after: Option<Duration>) -> Result<(), WebhookError> {
    let text = text.trim();
    let is_success = (200..300).contains(&status);
    if is_success && text == "ok" {
        return Ok(());
    }
    let rejected = |rejection| {
        let is_word = text.len() <= 80 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let code = Code::new(text).filter(|_| is_word);
        Err(WebhookError::Rejected(Rejected { rejection, status, code }))
    };
    if let Some((_, rejection)) = CODES.iter().find(|(code, _)| *code == text) {
        return rejected(*rejection);
    }
    match (text, status) {
        ("rate_limited" | "ratelimited", _) | (_, 429) => Err(WebhookError::RateLimited { retry_after }),
        ("rollup_error", _) | (_, 408 | 425 | 500..) => Err(WebhookError::Server { status, retry_after }),
        (_, 200..300) => Err(WebhookError::NotOk { status }),
        (_, 401 | 403 | 407) => rejected(Rejection::Prohibited),
        (_, 300..=399 | 404 | 405 | 410) => rejected(Rejection::Gone),
        _ => rejected(Rejection::Message),
    }
}

impl WebhookError {
    /// What is to be done about it.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Transport(_) | Self::RateLimited { .. } | Self::Server { .. } | Self::NotOk { .. } => {
                Verdict::Again
            }
            Self::Rejected(rejected) => match rejected.rejection {
                Rejection::Message => Verdict::Message,
                Rejection::Gone | Rejection::Team | Rejection::Channel | Rejection::Prohibited => {
                    Verdict::Person
                }
            },
        }
    }

    /// The reason in one word: `gone`, `channel`, `unreachable`.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Transport(_) | Self::Server { .. } | Self::NotOk { .. } => "unreachable",
            Self::RateLimited { .. } => "rate-limited",
            Self::Rejected(rejected) => match rejected.rejection {
                Rejection::Gone => "gone",
                Rejection::Team => "team",
                Rejection::Channel => "channel",
                Rejection::Prohibited => "prohibited",
                Rejection::Message => "message",
            },
        }
    }

    /// How long Slack asks us to wait, where it said.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after } | Self::Server { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// What the operator can do, in a sentence or two.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Transport(error) => error.help(),
            Self::RateLimited { .. } => {
                "it is sent again by itself; if it goes on, see who else posts into this channel, and choose \
                 fewer events by `when`"
            }
            Self::Server { .. } => "it is sent again by itself; see https://status.slack.com",
            Self::NotOk { .. } => {
                "it is sent again by itself; if it goes on, something between here and Slack answers in its \
                 place: check the webhook's host and the proxy"
            }
            Self::Rejected(rejected) => rejected.rejection.help(),
        }
    }
}

impl Rejection {
    fn words(self) -> &'static str {
        match self {
            Self::Gone => "the webhook is gone",
            Self::Team => "the webhook's workspace is gone or not in use",
            Self::Channel => "the webhook's channel is gone or archived",
            Self::Prohibited => "a rule of the workspace keeps the webhook from posting",
            Self::Message => "Slack does not take the message",
        }
    }

    fn help(self) -> &'static str {
        match self {
            Self::Gone => {
                "it was revoked, as Slack does with addresses that leaked, or removed with its app: add a new \
                 webhook in the app's settings under Incoming Webhooks, and put its address in place"
            }
            Self::Team => {
                "check whether the workspace was removed or moved; then add a webhook where the channel is \
                 now, and put its address in place"
            }
            Self::Channel => {
                "open the channel again, or add a webhook for another one and put its address in place"
            }
            Self::Prohibited => {
                "ask the workspace's administrators who may post in this channel and which apps may post at \
                 all; or add a webhook for another channel. A proxy that refuses looks the same"
            }
            Self::Message => "nothing is missing at the destinations; report this with the word given",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Result<WebhookAddress, BadWebhook> {
        WebhookAddress::new(&SecretString::from(text))
    }

    #[test]
    fn the_address_is_https_or_this_machine_and_never_shown() {
        let fine = address("https://hooks.slack.com/services/T0/B0/secret").unwrap();
        assert_eq!(fine.host(), "hooks.slack.com");
        for fine in
            ["https://hooks.slack-gov.com/services/T0/B0/secret", "http://127.0.0.1:1/services/secret"]
        {
            let fine = address(fine).unwrap();
            let webhook = Webhook::new(fine.clone(), HttpClient::to_this_machine().unwrap());
            let shown = format!("{fine:?} {webhook:?}");
            assert!(!shown.contains("secret") && !shown.contains("services"), "{shown}");
        }
        for (bad, why) in [
            ("", BadWebhook::NotAUrl),
            ("hooks.slack.com/services/T0/B0/secret", BadWebhook::NotAUrl),
            ("ftp://hooks.slack.com/services/T0/B0/secret", BadWebhook::NotAUrl),
            ("http://hooks.slack.com/services/T0/B0/secret", BadWebhook::Plaintext),
            ("https://me:pass@hooks.slack.com/services/secret", BadWebhook::Credentials),
            ("https://hooks.slack.com/", BadWebhook::NoPath),
            ("https://hooks.slack.com/services/secret#x", BadWebhook::NoPath),
        ] {
            assert_eq!(address(bad), Err(why), "{bad}");
            assert!(!format!("{why} {why:?}").contains("secret/"));
        }
    }

    #[tokio::test]
    async fn an_error_of_the_connection_does_not_name_the_address() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        drop(listener);
        let address = address(&format!("http://{at}/services/T0/secret")).unwrap();
        let webhook = Webhook::new(address, HttpClient::to_this_machine().unwrap());
        let error = webhook.post("{}".to_owned()).await.unwrap_err();
        assert_eq!(error.verdict(), Verdict::Again);
        let mut shown = format!("{error:?}");
        let mut cause: Option<&dyn std::error::Error> = Some(&error);
        while let Some(error) = cause {
            shown += &error.to_string();
            cause = error.source();
        }
        assert!(!shown.contains("secret"), "{shown}");
    }

    #[test]
    fn the_text_counts_more_than_the_status() {
        for (status, text, verdict, reason) in [
            (404, "no_service", Verdict::Person, "gone"),
            (200, "no_service", Verdict::Person, "gone"),
            (500, "no_service_id", Verdict::Person, "gone"),
            (410, "no_active_hooks\n", Verdict::Person, "gone"),
            (403, "invalid_token", Verdict::Person, "gone"),
            (404, "no_team", Verdict::Person, "team"),
            (403, "team_disabled", Verdict::Person, "team"),
            (410, "channel_is_archived", Verdict::Person, "channel"),
            (404, "channel_not_found", Verdict::Person, "channel"),
            (400, "user_not_found", Verdict::Person, "channel"),
            (403, "action_prohibited", Verdict::Person, "prohibited"),
            (403, "posting_to_general_channel_denied", Verdict::Person, "prohibited"),
            (400, "invalid_payload", Verdict::Message, "message"),
            (500, "invalid_blocks", Verdict::Message, "message"),
            (400, "no_text", Verdict::Message, "message"),
            (400, "too_many_attachments", Verdict::Message, "message"),
            (500, "rollup_error", Verdict::Again, "unreachable"),
            (429, "", Verdict::Again, "rate-limited"),
            (200, "rate_limited", Verdict::Again, "rate-limited"),
            (503, "<html>", Verdict::Again, "unreachable"),
            (200, "<html>log in to the network</html>", Verdict::Again, "unreachable"),
            (200, "", Verdict::Again, "unreachable"),
            (204, "", Verdict::Again, "unreachable"),
            // Words that are not known.
            (404, "never_seen", Verdict::Person, "gone"),
            (302, "", Verdict::Person, "gone"),
            (403, "never_seen", Verdict::Person, "prohibited"),
            (400, "never_seen", Verdict::Message, "message"),
            (413, "", Verdict::Message, "message"),
        ] {
            let error = judged(status, text, None).unwrap_err();
            assert_eq!((error.verdict(), error.reason()), (verdict, reason), "{status} {text}");
            assert!(!error.help().is_empty());
        }
        assert!(judged(200, "ok", None).is_ok());
        assert!(judged(400, "ok", None).is_err());
        let wait = Some(Duration::from_secs(7));
        assert_eq!(judged(429, "", wait).unwrap_err().retry_after(), wait);
    }

    #[test]
    fn a_page_of_a_proxy_is_not_repeated() {
        let error = judged(404, "<html>\u{1b}[31m</html>", None).unwrap_err();
        assert_eq!(error.to_string(), "the webhook is gone (status 404)");
        let error = judged(404, "no_service", None).unwrap_err();
        assert_eq!(error.to_string(), "the webhook is gone (`no_service`, status 404)");
    }
}
