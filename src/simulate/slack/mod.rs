//! A Slack of our own: the Audit Logs API with all its habits, and the integration log of the Web API,
//! over plain HTTP on loopback.
//!
//! It serves entries that it was given, byte for byte, and any number that it makes up; newest
//! first, in whole seconds, with cursors that forget; late, out of order, and, where its [`Plan`]
//! says so, with every fault that Slack or a network has been seen to have.
//!
//! ```text
//! request ──▶ rate limit ──▶ fault? ──▶ token ──▶ query ──▶ page ──▶ (gzip) ──▶ (broken off) ──▶ answer
//! ```
//!
//! **Invariant:** what a page holds follows from the plan, the clock and the count of requests.
//! **Invariant:** it listens on loopback only: it is no Slack for strangers.

mod access;
mod allowlist;
mod answer;
mod clock;
mod cursor;
mod dice;
mod facts;
mod fault;
mod file;
mod generate;
mod grants;
mod history;
mod integration;
mod late;
mod oauth;
mod page;
mod plan;
mod request;
mod serve;
mod web;
mod webhook;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use access::{AccessLog, Classic};
pub use allowlist::{Allowlist, Asns, Ranges, Unknown};
pub use clock::Clock;
pub use fault::{Fault, Trouble, When};
pub use file::{EventFiles, LoadError};
pub use generate::{Generated, Pace};
pub use grants::{Change, Happening, OAuth, OAuthTally, RefreshFault};
pub use integration::{IntegrationLog, Order, integration_row};
pub use late::{Late, Pick, Until};
pub use plan::{End, MAX_LIMIT, NotAnObject, Pages, Plan, RateLimit, TOKEN};
pub use request::{Request, Tally};
pub use webhook::{Posted, WebhookAnswer, Webhooks};

use serve::State;

/// A simulated Slack that runs until it is stopped or dropped.
#[derive(Debug)]
pub struct Slack {
    address: SocketAddr,
    state: Arc<State>,
    server: Option<JoinHandle<io::Result<()>>>,
}

impl Slack {
    /// Listens on a loopback address (port 0 for any) and serves what the plan says.
    ///
    /// # Errors
    /// The address is not loopback or cannot be listened on, or a given entry is not a JSON object
    /// ([`io::ErrorKind::InvalidInput`]).
    pub async fn start(listen: SocketAddr, plan: Plan) -> io::Result<Self> {
        if !listen.ip().is_loopback() {
            return Err(refuse("a simulated Slack listens on loopback only"));
        }
        let state = Arc::new(State::new(plan).map_err(|_| refuse("a given entry is not one JSON object"))?);
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let stopped = state.stop.clone().cancelled_owned();
        let router = serve::router(Arc::clone(&state));
        let server =
            tokio::spawn(async move { axum::serve(listener, router).with_graceful_shutdown(stopped).await });
        Ok(Self { address, state, server: Some(server) })
    }

    /// The address before `/audit/v1/…`: `http://127.0.0.1:40001`.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The token that is let in.
    pub fn token(&self) -> &str {
        &self.state.plan.token
    }

    /// The address of an incoming webhook, such as `B1`; each has a channel of its own.
    pub fn webhook_url(&self, webhook: &str) -> String {
        format!("http://{}{}", self.address, Webhooks::path(webhook))
    }

    /// The incoming webhooks: what came to them, and how they answer.
    pub fn webhooks(&self) -> &Webhooks {
        &self.state.webhooks
    }

    /// Takes in one more entry, which can be read at once if its time has come: one whose
    /// `date_create` lies in the past is late by that much. One without a time is created now.
    ///
    /// # Errors
    /// The text is not one JSON object.
    pub fn push(&self, raw_json: &str) -> Result<(), NotAnObject> {
        let taken = self.state.history.add(raw_json, self.state.clock.now());
        if taken { Ok(()) } else { Err(NotAnObject { line: 1 }) }
    }

    /// Takes in one more row of the integration log.
    ///
    /// # Errors
    /// The text is not one JSON object.
    pub fn push_integration(&self, row: &str) -> Result<(), NotAnObject> {
        if !integration::is_row(row) {
            return Err(NotAnObject { line: 1 });
        }
        self.state.integration.add(row.trim().to_owned());
        Ok(())
    }

    /// Every row of the integration log, as its text, in the list's order.
    pub fn integration_rows(&self) -> Vec<String> {
        self.state.integration.texts(self.state.clock.now())
    }

    /// The requests for the integration log so far, oldest first: the last 10,000 of them.
    pub fn integration_requests(&self) -> Vec<Request> {
        let journal = &self.state.integration_logs.journal;
        journal.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Waits until what was counted of the integration log is as wished.
    pub async fn until_integration(&self, mut wished: impl FnMut(&Tally) -> bool) -> Tally {
        let mut tally = self.state.integration_logs.tally.subscribe();
        match tally.wait_for(|tally| wished(tally)).await {
            Ok(tally) => *tally,
            Err(_) => *self.state.integration_logs.tally.borrow(),
        }
    }

    /// Every row of the access log by now, as its text, newest first.
    pub fn access_rows(&self) -> Vec<String> {
        self.state.access.texts()
    }

    /// Uses the combination in that place of the access log, from the top, so many times more.
    pub fn use_access(&self, place: usize, times: u64) {
        self.state.access.touch(place, times, self.now());
    }

    /// Puts a new combination on top of the access log.
    pub fn push_access(&self) {
        self.state.access.add(self.now());
    }

    /// The requests for the access log so far, oldest first: the last 10,000 of them.
    pub fn access_requests(&self) -> Vec<Request> {
        let journal = &self.state.access_logs.journal;
        journal.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Waits until what was counted of the access log is as wished.
    pub async fn until_access(&self, mut wished: impl FnMut(&Tally) -> bool) -> Tally {
        let mut tally = self.state.access_logs.tally.subscribe();
        match tally.wait_for(|tally| wished(tally)).await {
            Ok(tally) => *tally,
            Err(_) => *self.state.access_logs.tally.borrow(),
        }
    }

    /// The present, in Unix seconds.
    pub fn now(&self) -> i64 {
        self.state.clock.now()
    }

    /// Moves the clock on by so many seconds, or back.
    pub fn advance(&self, seconds: i64) {
        self.state.clock.advance(seconds);
    }

    /// The requests for logs so far, oldest first: the last 10,000 of them.
    pub fn requests(&self) -> Vec<Request> {
        self.state.journal.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// What was counted so far.
    pub fn tally(&self) -> Tally {
        *self.state.tally.borrow()
    }

    /// Waits until what was counted is as wished.
    pub async fn until(&self, mut wished: impl FnMut(&Tally) -> bool) -> Tally {
        let mut tally = self.state.tally.subscribe();
        match tally.wait_for(|tally| wished(tally)).await {
            Ok(tally) => *tally,
            Err(_) => self.tally(),
        }
    }

    /// Has something happen to the app, or to its tokens.
    pub fn happen(&self, happening: &Happening) {
        self.state.grants(|grants| grants.happen(happening));
    }

    /// What was counted of logins so far.
    pub fn logins(&self) -> OAuthTally {
        *self.state.logins.borrow()
    }

    /// Every entry that can be read now, as its text, newest first.
    pub fn entries(&self) -> Vec<String> {
        self.state.entries()
    }

    /// Stops listening and closes every connection; answers under way have a second to end.
    ///
    /// # Errors
    /// The listener had failed before.
    pub async fn stop(mut self) -> io::Result<()> {
        self.state.stop.cancel();
        let Some(mut server) = self.server.take() else { return Ok(()) };
        let ended = tokio::time::timeout(Duration::from_secs(1), &mut server).await;
        server.abort();
        ended.map_or(Ok(()), |ended| ended.map_err(io::Error::other)?)
    }
}

impl Drop for Slack {
    fn drop(&mut self) {
        self.state.stop.cancel();
    }
}

fn refuse(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}
