//! The HTTP client of requests to Slack: one for all sources that go the same way, with one pool of
//! connections.
//!
//! **Invariant:** redirects are not followed, and a proxy's password is never shown.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Request, RequestBuilder, Response, Url};
use secrecy::{ExposeSecret, SecretString};

use super::proxy::Proxy;
use super::settings::BadSettings;
use super::trace::{Exchange, Trace};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const READ_TIMEOUT: Duration = Duration::from_secs(30);
const WHOLE_TIMEOUT: Duration = Duration::from_secs(120);

/// So soon is a connection tried that a request waits on, and so long does its answer take: all
/// sources share it, and one that has died in silence must not hold them up.
const PING_AFTER: Duration = Duration::from_secs(15);
const PING_ANSWERED_WITHIN: Duration = Duration::from_secs(10);

/// A client; clones are the same one.
#[derive(Clone)]
pub struct HttpClient {
    client: Arc<reqwest::Client>,
    trace: Trace,
    /// Whose requests these are, for the trace.
    name: Arc<str>,
}

impl HttpClient {
    /// A client that goes through that proxy, with that password for the user in its address.
    ///
    /// `tls`: roots and provider of TLS; the HTTP client's own when `None`.
    ///
    /// # Errors
    /// [`BadSettings::Client`] where the TLS settings or the proxy's address are nothing to work with.
    pub fn new(
        proxy: &Proxy,
        password: Option<&SecretString>,
        tls: Option<rustls::ClientConfig>,
    ) -> Result<Self, BadSettings> {
        let mut client = reqwest::Client::builder()
            .user_agent(concat!("slackcef/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .timeout(WHOLE_TIMEOUT)
            .http2_keep_alive_interval(PING_AFTER)
            .http2_keep_alive_timeout(PING_ANSWERED_WITHIN)
            .gzip(true);
        if let Some(tls) = tls {
            client = client.tls_backend_preconfigured(tls);
        }
        client = match proxy {
            Proxy::Environment => client,
            Proxy::Off => client.no_proxy(),
            Proxy::At(address) => {
                let mut proxy = reqwest::Proxy::all(address.url().clone()).map_err(BadSettings::Client)?;
                if let Some(user) = address.user() {
                    proxy = proxy.basic_auth(user, password.map_or("", |password| password.expose_secret()));
                }
                client.proxy(proxy)
            }
        };
        let client = Arc::new(client.build().map_err(BadSettings::Client)?);
        Ok(Self { client, trace: Trace::default(), name: Arc::default() })
    }

    /// A client for a Slack on this very machine.
    ///
    /// # Errors
    /// [`BadSettings::Client`].
    pub fn to_this_machine() -> Result<Self, BadSettings> {
        Self::new(&Proxy::Off, None, None)
    }

    /// The same client, its requests traced under that name while the trace is on.
    #[must_use]
    pub fn traced(&self, trace: &Trace, name: &str) -> Self {
        Self { client: Arc::clone(&self.client), trace: trace.clone(), name: name.into() }
    }

    /// Whether it is the very same one.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.client, &other.client)
    }

    /// For requests whose body or answer is a secret: these are not traced.
    pub(super) fn untraced(&self) -> &reqwest::Client {
        &self.client
    }

    /// Begins a GET request.
    pub(super) fn get(&self, url: Url) -> RequestBuilder {
        self.client.get(url)
    }

    /// Begins a POST request.
    pub(super) fn post(&self, url: Url) -> RequestBuilder {
        self.client.post(url)
    }

    /// Sends a request, and says in the trace what becomes of it.
    pub(super) async fn send(&self, request: Request) -> (Result<Response, reqwest::Error>, Exchange) {
        let mut exchange = self.trace.begin(&self.name, &request);
        let response = self.client.execute(request).await;
        if let Ok(response) = &response {
            exchange.answered(response);
        }
        (response, exchange)
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpClient")
    }
}
