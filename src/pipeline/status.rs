//! All that `/status` shows, in one value: made here from what sources, destinations and the store
//! tell, read again by `slackcef status`.
//!
//! **Invariant:** no secret is in it: names, addresses, counts, times, and faults in words.
//! **Invariant:** whoever asks waits for nobody who delivers; a store that does not answer leaves its
//! part out.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::notify::{NoticeStanding, NoticeState, NoticeStatus};
use super::poll::{Phase, Reading};
use super::standing::{LastFault, Standing, State};
use super::tasks::{Readings, Standings, Tellings};
use crate::config::Transport;
use crate::event::UnixTime;
use crate::slack::Clock;
use crate::store::{Backlog, Full, ReaderName, Store, Usage};
use crate::telemetry::{Pages, Window, plain};

/// The forwarder at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// It was asked, and answered.
    pub running: bool,
    /// The version of the program.
    pub version: String,
    /// When it started.
    pub started_at: UnixTime,
    /// The moment that this is about.
    pub at: UnixTime,
    /// Why `/readyz` says that it is not ready; nothing when it is.
    pub not_ready: Vec<String>,
    /// Each source.
    pub sources: Vec<SourceStatus>,
    /// Each destination.
    pub destinations: Vec<DestinationStatus>,
    /// Each notice.
    #[serde(default)]
    pub notices: Vec<NoticeStatus>,
    /// The store.
    pub store: StoreStatus,
}

/// One source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceStatus {
    /// Its name.
    pub name: String,
    /// How far it has been read.
    #[serde(flatten)]
    pub reading: Reading,
    /// Seconds between the last second read and now.
    pub lag_seconds: Option<i64>,
}

/// One destination.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DestinationStatus {
    /// Its name.
    pub name: String,
    /// How it is reached.
    #[serde(flatten)]
    pub route: Route,
    /// How long what its receiver has read may sit in memory there, before it counts as delivered.
    pub age_seconds: f64,
    /// How it stands.
    #[serde(flatten)]
    pub standing: Standing,
    /// What waits for it; none when the store did not say in time.
    pub backlog: Option<Backlog>,
}

/// How a destination is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The transport, as the configuration calls it.
    pub transport: String,
    /// Its endpoints, or its file.
    pub to: Vec<String>,
}

/// The store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreStatus {
    /// Its folder.
    pub dir: PathBuf,
    /// Bytes in use.
    pub bytes: u64,
    /// Bytes that may be in use.
    pub limit: u64,
    /// Entries kept, delivered ones included.
    pub entries: u64,
    /// When the oldest of them was stored.
    pub oldest: Option<UnixTime>,
    /// Why nothing more is asked of Slack, if so.
    pub full: Option<Full>,
}

impl Route {
    /// The way that a configuration describes.
    pub fn of(transport: &Transport) -> Self {
        let addresses = |to: &[crate::net::Address]| to.iter().map(ToString::to_string).collect();
        let (transport, to) = match transport {
            Transport::Tls(tls) => ("tls", addresses(&tls.to)),
            Transport::Tcp { to, .. } => ("tcp", addresses(to)),
            Transport::Relp { to, .. } => ("relp", addresses(to)),
            Transport::Udp { to } => ("udp", addresses(to)),
            Transport::Unix { path, .. } => ("unix", vec![path.display().to_string()]),
            Transport::Stdout => ("stdout", Vec::new()),
            Transport::File { path } => ("file", vec![path.display().to_string()]),
        };
        Self { transport: transport.to_owned(), to }
    }
}

impl StoreStatus {
    fn new(dir: PathBuf, usage: &Usage) -> Self {
        let &Usage { bytes, limit, entries, oldest, full, .. } = usage;
        Self { dir, bytes, limit, entries, oldest, full }
    }
}

/// Where everything can be looked up.
#[derive(Debug)]
pub(super) struct Board {
    pub(super) started_at: UnixTime,
    pub(super) store: Store,
    pub(super) dir: PathBuf,
    pub(super) sources: watch::Receiver<Readings>,
    pub(super) destinations: watch::Receiver<Standings>,
    pub(super) notices: watch::Receiver<Tellings>,
    /// The end was asked for.
    pub(super) stop: CancellationToken,
}

/// A destination at work.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Its name.
    pub name: ReaderName,
    /// How it is reached.
    pub route: Route,
    /// How long what its receiver has read may sit in memory there.
    pub age: Duration,
    /// How it stands, as that changes.
    pub standing: watch::Receiver<Standing>,
}

/// A notice at work.
#[derive(Debug, Clone)]
pub(super) struct Telling {
    /// Its name.
    pub(super) name: String,
    /// The machine of its webhook.
    pub(super) host: String,
    /// How it stands, as that changes.
    pub(super) standing: watch::Receiver<NoticeStanding>,
}

impl Telling {
    /// How it stands; one whose task is over has ended, whatever it showed last.
    fn status(&self) -> NoticeStatus {
        let Self { name, host, standing } = self;
        let ended = standing.has_changed().is_err();
        let mut standing = standing.borrow().clone();
        if ended {
            standing.state = NoticeState::Ended;
        }
        NoticeStatus { name: name.clone(), host: host.clone(), standing }
    }
}

/// How a destination stands; one whose task is over has ended, whatever it showed last.
fn stands(standing: &watch::Receiver<Standing>) -> Standing {
    let ended = standing.has_changed().is_err();
    let shown = standing.borrow().clone();
    if ended { Standing { state: State::Ended, connections: Vec::new(), ..shown } } else { shown }
}

/// So long the store may take to answer.
const STORE_ANSWERS_WITHIN: Duration = Duration::from_secs(2);

impl Board {
    /// The forwarder as it is now.
    pub(super) async fn status(&self) -> Status {
        let at = Clock::system().now();
        let (sources, outgoing) = (self.sources.borrow().clone(), self.destinations.borrow().clone());
        let sources = sources.iter().map(|(name, reading)| {
            let reading = reading.borrow().clone();
            let lag_seconds =
                reading.read_up_to.map(|up_to| at.seconds().saturating_sub(up_to.seconds()).max(0));
            SourceStatus { name: name.to_string(), reading, lag_seconds }
        });
        let mut destinations: Vec<_> = outgoing
            .iter()
            .map(|Outgoing { name, route, age, standing }| DestinationStatus {
                name: name.to_string(),
                route: route.clone(),
                age_seconds: age.as_secs_f64(),
                standing: stands(standing),
                backlog: None,
            })
            .collect();
        let asked = async {
            for (of, shown) in outgoing.iter().zip(&mut destinations) {
                shown.backlog = self.store.backlog(&of.name).await.ok().flatten();
            }
        };
        // Late or not, what it has said by then is shown.
        drop(tokio::time::timeout(STORE_ANSWERS_WITHIN, asked).await);
        Status {
            running: true,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: self.started_at,
            at,
            not_ready: self.not_ready(),
            sources: sources.collect(),
            destinations,
            notices: self.notices.borrow().iter().map(Telling::status).collect(),
            store: StoreStatus::new(self.dir.clone(), &self.store.usage()),
        }
    }

    /// What keeps it from being ready: only what waiting alone does not mend.
    pub(super) fn not_ready(&self) -> Vec<String> {
        if self.stop.is_cancelled() {
            return vec!["it is about to end".to_owned()];
        }
        let mut reasons = Vec::new();
        for (name, reading) in self.sources.borrow().iter() {
            let ended = reading.has_changed().is_err();
            let reading = reading.borrow();
            if reading.phase == Phase::Refused {
                reasons.push(format!("source {name}: Slack refuses it{}", because(reading.fault.as_ref())));
            } else if ended {
                reasons.push(format!("source {name}: it has ended{}", because(reading.fault.as_ref())));
            }
        }
        for Outgoing { name, standing, .. } in self.destinations.borrow().iter() {
            let standing = stands(standing);
            if standing.state == State::Ended {
                reasons.push(format!("destination {name}: it has ended{}", because(standing.fault.as_ref())));
            }
        }
        reasons.iter().map(|reason| plain(reason)).collect()
    }

    pub(super) fn pages(self: Arc<Self>) -> Pages {
        let board = Arc::clone(&self);
        let status = move || {
            let board = Arc::clone(&self);
            // Maps with text keys are always JSON.
            async move { serde_json::to_string(&board.status().await).unwrap_or_default() }
        };
        Pages::new(status, move || board.not_ready())
    }
}

fn because(fault: Option<&LastFault>) -> String {
    fault.map_or_else(String::new, |fault| format!(": {}", fault.what))
}

/// An address that was taken may be free later: the service before this one is ending.
const LISTEN_AGAIN: Duration = Duration::from_secs(30);

/// Shows the pages at that address, as soon as it can be had. Those who deliver do not wait for it.
pub(super) async fn show(listen: SocketAddr, pages: Pages) {
    let mut told = false;
    let window = loop {
        match Window::open(listen).await {
            Ok(window) => break window,
            Err(error) if !told => {
                told = true;
                warn!(
                    %listen, help = "give [telemetry] another `listen`, or \"off\"",
                    "nobody can ask how it is, and everything else goes on: cannot listen: {error}"
                );
            }
            Err(_) => {}
        }
        tokio::time::sleep(LISTEN_AGAIN).await;
    };
    info!("status is shown at http://{listen}/status");
    window.show(pages).await;
}
