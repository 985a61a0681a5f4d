//! Receivers over TCP and TLS.
//!
//! What ends a connection before its batch was settled, be it FIN, reset, alert or silence, means
//! that the batch is sent again whole, on a new connection. What ends an idle connection costs
//! nothing: the next batch opens another.

use super::Timeouts;
use super::error::{Failure, SendError};
use super::probe::{Probe, ProbedTls};
use super::wire::{End, Wire};
use crate::net::{self, Address, Certificate, TlsClient};

/// One receiver.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Where it listens.
    pub address: Address,
    /// With whom to speak TLS; none: plaintext.
    pub tls: Option<TlsClient>,
}

/// The receivers of one destination, and the connection to one of them.
#[derive(Debug)]
pub struct Stream {
    endpoints: Vec<Endpoint>,
    timeouts: Timeouts,
    /// Where the next round of trying begins.
    first: usize,
    live: Option<Live>,
}

#[derive(Debug)]
struct Live {
    wire: Wire,
    nth: usize,
    endpoint: Endpoint,
    /// A batch was settled on it.
    proven: bool,
}

/// What came of an orderly end.
#[derive(Debug)]
pub enum Farewell {
    /// There was no connection.
    NothingOpen,
    /// The receiver read to the end of what we sent and closed its side too.
    Answered,
    /// The receiver did not answer in time, or reset the connection: what it has read is unknown.
    Unanswered,
}

impl Stream {
    pub(super) fn new(endpoints: Vec<Endpoint>, timeouts: Timeouts) -> Self {
        Self { endpoints, timeouts, first: 0, live: None }
    }

    /// Sends `bytes`, all frames of a batch, whole on one connection.
    ///
    /// While it is written to, the connection is not in its place: whoever drops this future drops
    /// the connection with it, and no frame is ever continued.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<(), SendError> {
        let mut live = match self.healthy().await {
            Some(live) => live,
            None => self.connect().await?,
        };
        match live.deliver(bytes, &self.timeouts).await {
            Ok(()) => {
                self.first = 0;
                live.proven = true;
                self.live = Some(live);
                Ok(())
            }
            Err(end) => {
                // An endpoint that takes connections and no batch must not keep the others waiting.
                self.first = if live.proven { 0 } else { live.nth.saturating_add(1) };
                Err(SendError::one(live.endpoint.address.to_string(), live.failure(end)))
            }
        }
    }

    /// The open connection, unless the receiver has ended it meanwhile.
    async fn healthy(&mut self) -> Option<Live> {
        let mut live = self.live.take()?;
        match live.wire.ended_by_now().await {
            None => Some(live),
            Some(_) => None,
        }
    }

    async fn connect(&mut self) -> Result<Live, SendError> {
        let mut failures = Vec::new();
        let numbered: Vec<(usize, &Endpoint)> = self.endpoints.iter().enumerate().collect();
        let (before, from) = numbered.split_at(self.first.checked_rem(numbered.len()).unwrap_or(0));
        for &(nth, endpoint) in from.iter().chain(before) {
            match endpoint.connect(&self.timeouts).await {
                Ok((wire, _)) => return Ok(Live { wire, nth, endpoint: endpoint.clone(), proven: false }),
                Err(failure) => failures.push((endpoint.address.to_string(), failure)),
            }
        }
        self.first = 0;
        Err(SendError::all(failures))
    }

    pub(super) async fn closed(&mut self) -> Failure {
        let Some(live) = &mut self.live else { return std::future::pending().await };
        let end = live.wire.ended().await;
        let failure = live.failure(end);
        self.live = None;
        failure
    }

    pub(super) async fn close(&mut self) -> Farewell {
        let Some(mut live) = self.live.take() else { return Farewell::NothingOpen };
        match tokio::time::timeout(self.timeouts.farewell, live.wire.finish()).await {
            Ok(End::Closed) => Farewell::Answered,
            Ok(End::Fault(_) | End::Stalled(_)) | Err(_) => Farewell::Unanswered,
        }
    }

    pub(super) async fn probe(&self) -> Vec<(String, Result<Probe, Failure>)> {
        let mut found = Vec::new();
        for endpoint in &self.endpoints {
            found.push((endpoint.address.to_string(), endpoint.probe(&self.timeouts).await));
        }
        found
    }
}

impl Live {
    async fn deliver(&mut self, bytes: &[u8], timeouts: &Timeouts) -> Result<(), End> {
        self.wire.write(bytes, timeouts.stall).await?;
        let end = if self.proven {
            self.wire.ended_by_now().await
        } else {
            self.wire.ended_within(timeouts.grace).await
        };
        end.map_or(Ok(()), Err)
    }

    fn failure(&self, end: End) -> Failure {
        self.endpoint.failure(&self.wire, end, !self.proven)
    }
}

impl Endpoint {
    /// A connection with its handshake done, and what the handshake settled.
    async fn connect(&self, timeouts: &Timeouts) -> Result<(Wire, Option<ProbedTls>), Failure> {
        let open = || async { net::connect(&self.address, timeouts.connect).await.map_err(Failure::from) };
        let Some(client) = &self.tls else { return Ok((Wire::new(open().await?), None)) };
        let tls = client.dial(open, timeouts.handshake).await?;
        let session = tls.get_ref().1;
        let about = ProbedTls {
            version: session.protocol_version().map_or_else(String::new, |version| words(version.as_str())),
            cipher: session
                .negotiated_cipher_suite()
                .map_or_else(String::new, |suite| words(suite.suite().as_str())),
            verification: client.verification(),
            chain: session
                .peer_certificates()
                .unwrap_or_default()
                .iter()
                .map(Certificate::describe)
                .collect(),
            client_certificate: client.has_certificate(),
        };
        Ok((Wire::new(tls), Some(about)))
    }

    async fn probe(&self, timeouts: &Timeouts) -> Result<Probe, Failure> {
        let (mut wire, tls) = self.connect(timeouts).await?;
        if let Some(end) = wire.ended_within(timeouts.grace).await {
            return Err(self.failure(&wire, end, true));
        }
        // The answer is not what is asked about here.
        let _farewell = tokio::time::timeout(timeouts.grace, wire.finish()).await;
        Ok(Probe::Connected { tls })
    }

    fn failure(&self, wire: &Wire, end: End, fresh: bool) -> Failure {
        match (end, &self.tls) {
            (End::Stalled(patience), _) => Failure::Stalled { patience },
            (_, None) if wire.heard_tls() => Failure::WantsTls,
            (End::Closed, _) => Failure::Closed { fresh },
            (End::Fault(source), None) => Failure::Broken { fresh, source },
            (End::Fault(fault), Some(client)) => match client.explain(fault) {
                Ok(tls) => Failure::Tls(tls),
                Err(source) => Failure::Broken { fresh, source },
            },
        }
    }
}

/// `TLS13_AES_256_GCM_SHA384` and `TLSv1_3` as people write them.
fn words(name: Option<&'static str>) -> String {
    name.unwrap_or("unknown").replace("TLSv1_", "TLS 1.").replace("TLS13_", "TLS_")
}
