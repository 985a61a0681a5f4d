//! One destination's way to its receivers: batches go out, receipts come back.
//!
//! ```text
//!  caller ──send(batch)──▶ Sink ──▶ Lane (an endpoint, or several tried in order) ──▶ lines
//!         ◀──turn: Event──                 a live one, and those that are being retired
//! ```
//!
//! Many batches are under way at once. A batch is given to the line that [`Sink::room`] names, and
//! [`Sink::turn`] tells what became of it: written, read by the receiver, or carried by a line that
//! failed, so that it has to be sent again. The sink keeps no batch: what has to be sent again is the
//! caller's to have.
//!
//! Connections are *generations*: a successor is opened, the traffic moves, the predecessor is ended
//! in order, and the receiver's FIN behind ours proves that its program has read all of it. With TLS
//! 1.3 there are receipts within a connection as well.
//!
//! **Invariant:** a receipt is told at most once, and only for what the receiver has read.
//! **Invariant:** what a failed line carried and did not have confirmed is never told as read later.

mod lane;

use std::fmt;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout_at};

use super::assurance::Assurance;
use super::endpoint::{Endpoint, Link, Wanted};
use super::failure::{Failure, SendError};
use super::frames::Frames;
use super::line::{LineId, Told};
use super::probe::Probe;
use crate::net::{Refreshed, TlsClient, TlsError};
use lane::{Lane, Opened};

/// One destination's receivers.
pub struct Sink {
    endpoints: Vec<Endpoint>,
    settings: Settings,
    lanes: Vec<Lane>,
    opening: JoinSet<(usize, Result<Opened, SendError>)>,
    tell: mpsc::UnboundedSender<(LineId, Told)>,
    told: mpsc::UnboundedReceiver<(LineId, Told)>,
    next_line: u64,
    next_order: u64,
    hurry: bool,
    /// When the files of certificates were last looked at.
    looked_at: Instant,
}

/// How a sink uses its endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// What several endpoints are for.
    pub strategy: Strategy,
    /// Receipts are asked for. Without, what left this program on a healthy connection counts.
    pub receipts: bool,
    /// How long an event may sit in a receiver's memory after it was read.
    pub age: Duration,
    /// How long each step may take.
    pub timeouts: Timeouts,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            strategy: Strategy::Failover,
            receipts: true,
            age: Duration::from_secs(5),
            timeouts: Timeouts::default(),
        }
    }
}

/// What several endpoints are for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Strategy {
    /// The first that answers gets everything; the first of all is gone back to.
    #[default]
    Failover,
    /// All get their share.
    Balance,
}

/// How long each step may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For the resolver, and for each address.
    pub connect: Duration,
    /// For the TLS handshake.
    pub handshake: Duration,
    /// Without a single byte taken; then the receiver counts as stalled, and is waited for.
    pub stall: Duration,
    /// Without any sign of life from the receiver's machine while bytes are on their way.
    pub dead: Duration,
    /// For a receiver to read to the end of a connection that is ended.
    pub close: Duration,
    /// How long a connection that is only tried has to live.
    pub grace: Duration,
    /// How long the receiver may take to answer the end of the last connection.
    pub farewell: Duration,
    /// The bounds of the waits between tries.
    pub retry: (Duration, Duration),
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            handshake: Duration::from_secs(10),
            stall: Duration::from_secs(10),
            dead: Duration::from_secs(40),
            close: Duration::from_secs(15 * 60),
            grace: Duration::from_secs(1),
            farewell: Duration::from_secs(2),
            retry: (Duration::from_millis(200), Duration::from_secs(30)),
        }
    }
}

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// A batch left this program; its buffer comes back.
    Written(Frames),
    /// The receiver has read this batch of the line, and all before it on that line.
    Read {
        /// The line.
        line: LineId,
        /// Its lane.
        lane: usize,
        /// The number of the batch.
        through: u64,
    },
    /// A line is over, in order: all that it carried was read.
    Ended {
        /// The line.
        line: LineId,
        /// Its lane.
        lane: usize,
    },
    /// A line failed: what it carried and was not told as read is to be sent again, and so is what the
    /// same lane's receiver has read and may still hold in memory.
    Failed {
        /// The line.
        line: LineId,
        /// Its lane.
        lane: usize,
        /// It failed within seconds of being opened, with nothing confirmed.
        at_once: bool,
        /// So many batches were not written; their buffers do not come back.
        unwritten: usize,
        /// Why.
        error: SendError,
    },
    /// No endpoint of a lane can be reached; it is tried again by itself.
    Unreachable(SendError),
    /// What [`Sink::links`] and [`Sink::is_stalled`] tell has changed.
    Changed,
    /// The files of certificates have changed, and what is in them now is in use.
    Refreshed,
    /// The files of certificates have changed, and cannot be used: what was in them stays in use.
    Kept(TlsError),
}

/// What came of an orderly end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Farewell {
    /// There was no connection.
    NothingOpen,
    /// The receiver read to the end of what we sent and closed its side too.
    Answered,
    /// The receiver did not answer in time, or reset the connection: what it has read is unknown.
    Unanswered,
}

impl Sink {
    /// A way to these endpoints. Nothing is connected yet.
    pub fn new(endpoints: Vec<Endpoint>, settings: Settings) -> Self {
        #[expect(clippy::disallowed_methods, reason = "bounded by the batches that the lines were given")]
        let (tell, told) = mpsc::unbounded_channel();
        let all = 0..endpoints.len();
        let lane = |endpoints| Lane::new(endpoints, settings.timeouts.retry);
        let lanes = match settings.strategy {
            Strategy::Failover => vec![lane(all.collect())],
            Strategy::Balance => all.map(|nth| lane(vec![nth])).collect(),
        };
        Self {
            endpoints,
            settings,
            lanes,
            opening: JoinSet::new(),
            tell,
            told,
            next_line: 0,
            next_order: 0,
            hurry: false,
            looked_at: Instant::now(),
        }
    }

    /// The line that should take the next batch; none: wait for [`Sink::turn`].
    pub fn room(&self) -> Option<LineId> {
        self.lanes.iter().filter_map(Lane::room).min().map(|(_, _, line)| line)
    }

    /// Gives a batch to the line that [`Sink::room`] named; its number, which is larger than that of
    /// any batch before.
    pub fn send(&mut self, line: LineId, frames: Frames) -> u64 {
        self.next_order = self.next_order.saturating_add(1);
        let number = self.next_order;
        if let Some(lane) = self.lanes.iter_mut().find(|lane| lane.has(line)) {
            lane.send(line, number, frames);
        }
        number
    }

    /// Says whether nothing more is coming for now, so that what was sent should be confirmed soon.
    pub fn hurry(&mut self, hurry: bool) {
        self.hurry = hurry;
    }

    /// What has happened and was not told yet, without waiting.
    pub fn news(&mut self) -> Option<Event> {
        while let Ok((line, told)) = self.told.try_recv() {
            if let Some(event) = self.heard(line, told) {
                return Some(event);
            }
        }
        None
    }

    /// Waits for what happens next. With something `wanted` it connects where there is no connection;
    /// dropped, it loses nothing.
    pub async fn turn(&mut self, wanted: bool) -> Event {
        loop {
            let now = Instant::now();
            if self.endpoints.is_empty() && wanted {
                return Event::Unreachable(SendError::all(Vec::new()));
            }
            if let Some(news) = self.look_at_files(now) {
                return news;
            }
            if let Some(line) = self.too_long_stalled(now)
                && let Some(event) =
                    self.heard(line, Told::Ended(Err(Failure::Stalled { patience: STALLED })))
            {
                return event;
            }
            self.tend(wanted, now);
            let due = self.lanes.iter().filter_map(|lane| lane.due(wanted, self.hurry, now)).min();
            let look = self.client().and_then(|_| self.looked_at.checked_add(LOOK));
            let due = due.into_iter().chain(look).min().or_else(|| now.checked_add(IDLE)).unwrap_or(now);
            tokio::select! {
                biased;
                Some((line, told)) = self.told.recv() => {
                    if let Some(event) = self.heard(line, told) {
                        return event;
                    }
                }
                Some(opened) = self.opening.join_next() => match opened {
                    Ok((lane, opened)) => {
                        if let Some(event) = self.opened(lane, opened) {
                            return event;
                        }
                    }
                    // Whichever broke off: each may be tried again.
                    Err(_) => self.lanes.iter_mut().for_each(Lane::not_opening),
                },
                () = sleep_until(due.into()) => {}
            }
        }
    }

    /// A line that nothing moves on while there are other endpoints. A single one is waited for.
    fn too_long_stalled(&self, now: Instant) -> Option<LineId> {
        if self.endpoints.len() < 2 {
            return None;
        }
        self.lanes.iter().find_map(|lane| lane.stalled_line(now, STALLED))
    }

    /// The TLS client of the endpoints, which share trust and identity.
    fn client(&self) -> Option<&TlsClient> {
        self.endpoints.iter().find_map(Endpoint::client)
    }

    /// The TLS client, by whose certificate its receivers know us; it changes with its files.
    pub fn identity(&self) -> Option<TlsClient> {
        self.client().cloned()
    }

    fn look_at_files(&mut self, now: Instant) -> Option<Event> {
        if now.duration_since(self.looked_at) < LOOK {
            return None;
        }
        self.looked_at = now;
        match self.client()?.refresh() {
            Refreshed::Same => None,
            Refreshed::New => {
                self.lanes.iter_mut().for_each(Lane::outdate);
                Some(Event::Refreshed)
            }
            Refreshed::Kept(error) => Some(Event::Kept(error)),
        }
    }

    /// Opens what is to be opened, and ends what is to be ended.
    fn tend(&mut self, wanted: bool, now: Instant) {
        for (nth, lane) in self.lanes.iter_mut().enumerate() {
            lane.retire_due(now);
            lane.confirm(self.hurry);
            if let Some(tries) = lane.begin_to_open(wanted, self.hurry, now) {
                let tries: Vec<_> = tries
                    .into_iter()
                    .filter_map(|nth| {
                        let mute = lane.is_mute(nth);
                        Some((nth, self.endpoints.get(nth)?.clone(), mute))
                    })
                    .collect();
                let Settings { timeouts, receipts, .. } = self.settings;
                self.opening.spawn(async move {
                    let mut failures = Vec::new();
                    for (place, endpoint, mute) in tries {
                        match endpoint.open(Wanted { timeouts, receipts, mute }).await {
                            Ok((kind, link)) => return (nth, Ok(Opened { endpoint: place, kind, link })),
                            Err(failure) => failures.push((endpoint.place(), failure)),
                        }
                    }
                    (nth, Err(SendError::all(failures)))
                });
            }
        }
    }

    fn opened(&mut self, lane: usize, opened: Result<Opened, SendError>) -> Option<Event> {
        let (now, age) = (Instant::now(), self.settings.age);
        let place = self.lanes.get_mut(lane)?;
        match opened {
            Ok(opened) => {
                let id = LineId(self.next_line);
                self.next_line = self.next_line.saturating_add(1);
                place.take_over(opened, id, self.tell.clone(), now, age);
                Some(Event::Changed)
            }
            Err(error) => place.not_opened(now).then_some(Event::Unreachable(error)),
        }
    }

    fn heard(&mut self, line: LineId, told: Told) -> Option<Event> {
        let now = Instant::now();
        let (nth, lane) = self.lanes.iter_mut().enumerate().find(|(_, lane)| lane.has(line))?;
        match told {
            Told::Written(frames) => {
                lane.written(line);
                Some(Event::Written(frames))
            }
            Told::Read(through) => {
                lane.read(line, through);
                Some(Event::Read { line, lane: nth, through })
            }
            Told::Stalled(stalled) => {
                lane.stalled(line, stalled);
                Some(Event::Changed)
            }
            Told::Mute => {
                lane.mute(line);
                Some(Event::Changed)
            }
            Told::Spent => {
                lane.spent(line);
                None
            }
            // Its FIN may be that of the process whose other connection broke.
            Told::Ended(Ok(())) if lane.is_doubted(line) => {
                self.heard(line, Told::Ended(Err(Failure::Doubtful)))
            }
            Told::Ended(Ok(())) => {
                lane.ended(line);
                Some(Event::Ended { line, lane: nth })
            }
            Told::Ended(Err(failure)) => {
                let (place, at_once, unwritten) = lane.failed(line, now);
                let at =
                    place.and_then(|nth| self.endpoints.get(nth)).map_or_else(String::new, Endpoint::place);
                Some(Event::Failed {
                    line,
                    lane: nth,
                    at_once,
                    unwritten,
                    error: SendError::one(at, failure),
                })
            }
        }
    }

    /// Sends one batch and waits until it counts; for a few messages with nothing else under way.
    ///
    /// # Errors
    /// [`SendError`]: nothing is known of the batch.
    pub async fn deliver(&mut self, frames: Frames) -> Result<Assurance, SendError> {
        let line = loop {
            if let Some(line) = self.room() {
                break line;
            }
            if let Event::Unreachable(error) | Event::Failed { error, .. } = self.turn(true).await {
                return Err(error);
            }
        };
        let number = self.send(line, frames);
        let worth = self.links().iter().map(|link| link.assurance).min().unwrap_or(Assurance::HandedOver);
        self.hurry(true);
        let told = loop {
            match self.turn(false).await {
                Event::Read { line: read, through, .. } if read == line && through >= number => {
                    break Ok(worth);
                }
                Event::Ended { line: ended, .. } if ended == line => break Ok(worth),
                Event::Failed { line: failed, error, .. } if failed == line => break Err(error),
                _ => {}
            }
        };
        self.hurry(false);
        told
    }

    /// The open connections, those that take batches first.
    pub fn links(&self) -> Vec<&Link> {
        let (mut live, retiring): (Vec<_>, Vec<_>) =
            self.lanes.iter().flat_map(Lane::links).partition(|(is_live, _)| *is_live);
        live.extend(retiring);
        live.into_iter().map(|(_, link)| link).collect()
    }

    /// A receiver is alive and takes nothing.
    pub fn is_stalled(&self) -> bool {
        self.lanes.iter().any(Lane::is_stalled)
    }

    /// Ends all connections in order. A later [`Sink::turn`] would connect anew.
    pub async fn close(&mut self) -> Farewell {
        self.opening = JoinSet::new();
        let mut farewell = Farewell::NothingOpen;
        for lane in &mut self.lanes {
            lane.retire_all();
            if !lane.is_empty() {
                farewell = Farewell::Answered;
            }
        }
        let until = tokio::time::Instant::now() + self.settings.timeouts.farewell;
        while self.lanes.iter().any(|lane| !lane.is_empty()) {
            let Ok(Some((line, told))) = timeout_at(until, self.told.recv()).await else {
                self.lanes.iter_mut().for_each(Lane::drop_all);
                return Farewell::Unanswered;
            };
            if let Some(Event::Failed { .. }) = self.heard(line, told) {
                farewell = Farewell::Unanswered;
            }
        }
        farewell
    }

    /// Tries each endpoint without sending anything: name, connection, handshake, and whether the
    /// connection outlives [`Timeouts::grace`]. For a file: whether it can be written to.
    pub async fn probe(&self) -> Vec<(String, Result<Probe, Failure>)> {
        let mut found = Vec::new();
        for endpoint in &self.endpoints {
            found.push((endpoint.place(), endpoint.probe(&self.settings.timeouts).await));
        }
        found
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink").field("endpoints", &self.endpoints).finish_non_exhaustive()
    }
}

/// Convenience for what has one endpoint and no settings.
impl From<Endpoint> for Sink {
    fn from(endpoint: Endpoint) -> Self {
        Self::new(vec![endpoint], Settings::default())
    }
}

/// How long a receiver that lives and does not read keeps what others could take.
const STALLED: Duration = Duration::from_secs(60);
/// How often the files of certificates are looked at.
const LOOK: Duration = Duration::from_secs(5);
/// With nothing under way there is nothing to look after.
const IDLE: Duration = Duration::from_secs(60);
