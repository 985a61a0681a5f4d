//! The whole path at work: one task a source, one task a destination, the store between them.
//!
//! ```text
//!  poll (a source) ──append──▶ store ──lease──▶ forward (a destination): map, encode, frame, send, settle
//!        ▲ stop                                    ▲ drained: all pollers have ended
//! ```
//!
//! [`App::build`] does what can fail before anything moves; [`App::start`] gives a [`Running`];
//! [`Running::finish`] waits for its end and says what was done.
//!
//! Backpressure lies in two places, and no queue between them: `append` waits while the store is
//! full, so that Slack itself keeps the events; a destination's task keeps a few batches in memory, and of
//! the others that are under way their places alone.
//!
//! **Invariant:** a reader's position moves only past what the receiver has, as far as that can be
//! known (`book`).
//!
//! Beside the destinations, `notify` reads the store too, and tells chosen events in Slack.
//!
//! Beside these tasks, `reload` looks at the configuration and the mapping folders, `outage` and
//! `expiry` at the destinations, `silence` listens whether a source still has entries, `trust` reads
//! what the organizations trust, `own` stores what the forwarder has to say of itself as entries like
//! Slack's, and `status` shows how it is to those who ask. What changes in the configuration
//! `following` makes ready and `tasks` carries out.
//!
//! **Invariant:** this is the one place where facts of the lower modules become log lines.

mod book;
mod condition;
mod convert;
mod dead;
mod difference;
mod expiry;
mod following;
mod forward;
mod late;
mod lateness;
mod news;
mod notify;
mod outage;
mod own;
mod poll;
mod prepared;
mod refused;
mod reload;
mod settling;
mod setup;
mod shared;
mod silence;
mod spread;
mod standing;
mod status;
mod tally;
mod tasks;
mod trust;
mod voice;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::config::Config;
use crate::slack::allowlist::Api;
use crate::slack::{Clock, Webhook};
use crate::store::{Full, ReaderName, SourceId, Store, StoreError, Usage};
use crate::telemetry::chain;
use following::Following;
use notify::Notice;
use own::OwnEvent;
use prepared::{Mappings, Prepared, ReadyNotice, ReadySource};
use shared::Shared;
use tasks::{Change, Tasks};

pub use convert::Converter;
pub use dead::dead_letters;
pub use forward::Forwarded;
pub use lateness::{Found, Lateness};
pub use notify::{NoticeStanding, NoticeState, NoticeStatus};
pub use poll::{Phase, Polled, Reading, Way};
pub use setup::{SetupError, converter, keyed, line_budget, plans, plans_of, poller, sink};
pub use shared::Sharing;
pub use silence::{Because, Quiet};
pub use standing::{LastFault, Link, Seen, Standing, State};
pub use status::{DestinationStatus, Outgoing, Route, SourceStatus, Status, StoreStatus};
pub use tally::Counts;

/// Everything that is needed, checked and opened; nothing moves yet.
#[derive(Debug)]
pub struct App {
    store: Store,
    /// Each with the allow list that mappings ask for, where they do.
    sources: Vec<(poll::Source, Option<Arc<Api>>)>,
    destinations: Vec<(forward::Outlet, Route)>,
    notices: Vec<Notice>,
    webhooks: BTreeMap<String, Webhook>,
    mappings: Mappings,
    /// What is in force, and the polling that it came to.
    config: Config,
    ready: (Vec<ReadySource>, Shared),
    /// The configuration's file, where it is to be followed.
    follows: Option<PathBuf>,
    voice: voice::Voice,
    recorder: voice::Recorder,
    trust: trust::Trust,
}

/// How long it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Until it is stopped.
    Forever,
    /// Until all that Slack has is delivered.
    Once,
}

/// A path at work.
#[derive(Debug)]
pub struct Running {
    tasks: Tasks,
    changes: mpsc::Receiver<Change>,
    reload: Arc<Notify>,
    /// Looks at the configuration and the mapping folders; it ends with the path, however that ends.
    reloading: JoinSet<()>,
    /// Shows how it is, to the very end.
    showing: JoinSet<()>,
    voice: voice::Voice,
    recording: voice::Recording,
}

/// The ends of a path, in the order in which they come.
#[derive(Debug, Clone, Default)]
struct Ends {
    /// Nothing more is asked of Slack.
    stop: CancellationToken,
    /// No poller is left: what is in the store is all there will be.
    drained: CancellationToken,
    /// No further batch is begun.
    enough: CancellationToken,
    /// The batch under way is broken off, which may repeat it at the next start.
    give_up: CancellationToken,
}

impl Ends {
    /// The ends of one part: those of the whole, and its own.
    fn of_a_part(&self) -> Self {
        Self {
            stop: self.stop.child_token(),
            drained: self.drained.child_token(),
            enough: self.enough.child_token(),
            give_up: self.give_up.child_token(),
        }
    }
}

/// What a whole run came to.
#[derive(Debug, Default)]
pub struct Finished {
    /// Each source with what was read from it.
    pub sources: Vec<(SourceId, Polled)>,
    /// Each destination with what it was given.
    pub destinations: Vec<(ReaderName, Forwarded)>,
    /// It was asked to end, and may have left something to be read or delivered.
    pub stopped: bool,
}

/// Why a path came to its end early. Nothing that was stored is lost by it.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The store failed.
    #[error("the store cannot be used any further")]
    Store(#[source] StoreError),
    /// Slack refuses the source, and asking again would not help.
    #[error("Slack refuses the source {source_name}")]
    Refused {
        /// The source.
        source_name: SourceId,
        /// Slack's reason.
        source: crate::slack::SlackError,
    },
    /// Slack could not be read, several times in a row.
    #[error("the source {source_name} cannot be read for now")]
    Unreadable {
        /// The source.
        source_name: SourceId,
        /// What came of the last try.
        source: crate::slack::SlackError,
    },
    /// A destination took nothing, several times in a row.
    #[error("the destination {destination} takes nothing for now; what is not delivered stays in the store")]
    Undelivered {
        /// The destination.
        destination: ReaderName,
        /// What came of the last try.
        source: crate::syslog::SendError,
    },
    /// A mistake of the program.
    #[error("a part of the program broke off: {0}")]
    Bug(String),
}

/// How long a stopped path goes on delivering what it has.
const GRACE: Duration = Duration::from_secs(10);
/// How long the receipts of its last batches may take after that, beside the time that a receiver
/// may keep in memory what it has read.
const LAST_RECEIPTS: Duration = Duration::from_secs(10);

impl App {
    /// Fetches secrets, reads certificates and mappings, opens the store, finds every bookmark and
    /// position. Must be called inside a runtime.
    ///
    /// # Errors
    /// [`SetupError`]: the first thing that is not as it must be. Nothing was asked of Slack or of
    /// a receiver.
    pub async fn build(config: &Config) -> Result<Self, SetupError> {
        Self::build_by(config, &Clock::system()).await
    }

    /// The same, with another clock to poll by. What a reload begins goes by this machine's.
    ///
    /// # Errors
    /// As [`App::build`].
    pub async fn build_by(config: &Config, clock: &Clock) -> Result<Self, SetupError> {
        // What is refused without touching anything comes first.
        let mut prepared = Prepared::of(config, &Shared::default())?;
        for source in &mut prepared.sources {
            source.polling.account_mut().clock = clock.clone();
        }
        let (voice, recorder) = voice::voice();
        let trust = trust::Trust::default();
        let (store, repairs) = setup::open(config)?;
        for repair in &repairs {
            voice.say(OwnEvent::store_repaired(repair));
        }
        setup::tell_of_renamed(config, &store.sources().await.map_err(SetupError::Store)?);
        let mut sources = Vec::new();
        for ready in &prepared.sources {
            sources.push(ready.open(&store, &config.state.dir, &voice).await?);
        }
        let names = prepared.destinations.iter().map(|ready| ready.name.clone());
        let names: Vec<_> = names.chain(prepared.notices.iter().map(ReadyNotice::reader)).collect();
        store.retain_readers(&names).await.map_err(SetupError::Store)?;
        let mut destinations = Vec::new();
        let Prepared {
            sources: ready,
            destinations: ready_destinations,
            notices: ready_notices,
            mappings,
            shared,
        } = prepared;
        for ready in ready_destinations {
            destinations.push(ready.open(&store, &config.state.dir, &voice, &trust).await?);
        }
        shared.take_effect();
        let webhooks = following::webhooks(&ready_notices);
        let mut notices = Vec::new();
        for ready in ready_notices {
            notices.push(ready.open(&store).await?);
        }
        Ok(Self {
            store,
            sources,
            destinations,
            notices,
            webhooks,
            mappings,
            config: config.clone(),
            ready: (ready, shared),
            follows: None,
            voice,
            recorder,
            trust,
        })
    }

    /// Has the configuration read again whenever its file changes, and when [`Running::reloader`]
    /// asks; only for a path that goes on for ever. A pipe can be read but once, and is not followed.
    #[must_use]
    pub fn following(self, file: PathBuf) -> Self {
        Self { follows: file.is_file().then_some(file), ..self }
    }

    /// Starts all tasks.
    pub fn start(self, mode: Mode) -> Running {
        let Self {
            store,
            sources,
            destinations,
            notices,
            webhooks,
            mappings,
            config,
            ready,
            follows,
            voice,
            recorder,
            trust,
        } = self;
        // A single pass is no news, and by cron it would be the same two events again and again.
        if mode == Mode::Forever {
            let sources = sources.iter().map(|(source, _)| source.name().as_str());
            let destinations = destinations.iter().map(|(outlet, _)| outlet.name().as_str());
            voice.say(OwnEvent::started(sources, destinations));
        }
        let (state, listen) = (config.state.dir.clone(), config.telemetry.listen);
        let recording = recorder.start(store.clone());
        let reload = Arc::new(Notify::new());
        let mut reloading = JoinSet::new();
        let (to, changes) = mpsc::channel(1);
        let following = follows
            .filter(|_| mode == Mode::Forever)
            .map(|file| Following::new(file, config, ready, webhooks, store.clone(), to));
        reloading.spawn(reload::watch(mappings, following, Arc::clone(&reload), voice.clone()));
        let mut tasks = Tasks::new(mode, store.clone(), state.clone(), voice.clone(), trust);
        tasks.poll(sources);
        for (outlet, route) in destinations {
            tasks.forward(outlet, route);
        }
        for notice in notices {
            tasks.notify(notice);
        }
        let board = status::Board {
            started_at: Clock::system().now(),
            store,
            dir: state,
            sources: tasks.readings(),
            destinations: tasks.standings(),
            notices: tasks.tellings(),
            stop: tasks.ends.stop.clone(),
        };
        let mut showing = JoinSet::new();
        if let Some(listen) = listen {
            showing.spawn(status::show(listen, Arc::new(board).pages()));
        }
        Running { tasks, changes, reload, reloading, showing, voice, recording }
    }
}

impl Running {
    /// Asks for the end: no more is read, and what is stored is delivered for a few seconds more.
    /// Asked twice, it ends at once; what is not delivered stays in the store.
    pub fn stopper(&self) -> impl Fn() + Send + 'static {
        let ends = self.tasks.ends.clone();
        move || {
            if ends.stop.is_cancelled() {
                ends.enough.cancel();
                ends.give_up.cancel();
            }
            ends.stop.cancel();
        }
    }

    /// Asks for a look at the configuration and the mapping folders at once.
    pub fn reloader(&self) -> impl Fn() + Send + 'static {
        let reload = Arc::clone(&self.reload);
        move || reload.notify_one()
    }

    /// How far each source has been read, as it changes; and so do the sources that there are.
    pub fn readings(&self) -> watch::Receiver<Vec<(SourceId, watch::Receiver<Reading>)>> {
        self.tasks.readings()
    }

    /// How each destination stands, as it changes; and so do the destinations that there are.
    pub fn standings(&self) -> watch::Receiver<Vec<Outgoing>> {
        self.tasks.standings()
    }

    /// Waits for the end of every task, then closes the store.
    ///
    /// # Errors
    /// The first failure. All that was stored and not delivered is there at the next start.
    pub async fn finish(self) -> Result<Finished, RunError> {
        let Self { mut tasks, mut changes, reloading, showing, voice, recording, .. } = self;
        let (mode, store, ends) = (tasks.mode, tasks.store.clone(), tasks.ends.clone());
        let watching = tokio::spawn(watch_store(store.clone(), voice.clone()));
        let grace = tokio::spawn(grace(ends.clone(), tasks.last_receipts()));
        let mut usage = store.watch_usage();
        let mut failure: Option<RunError> = None;
        let mut abandoned = false;
        let mut finished = Finished::default();
        let mut drained = Vec::new();
        loop {
            if ends.stop.is_cancelled() {
                tasks.leave_unchanged();
            }
            if let Err(error) = tasks.follow().await {
                fail(&mut failure, error, &ends);
            }
            if tasks.pollers.is_empty() && !tasks.is_changing() && !ends.drained.is_cancelled() {
                if mode == Mode::Forever {
                    let because = failure.as_ref().map(|error: &RunError| chain(error));
                    voice.say(OwnEvent::stopped(because.as_deref()));
                }
                ends.drained.cancel();
            }
            tokio::select! {
                Some(ended) = tasks.pollers.join_next() => match of_task(ended) {
                    Ok((name, polled)) => finished.sources.extend(tasks.polled(name, polled)),
                    Err(error) => fail(&mut failure, error, &ends),
                },
                Some(ended) = tasks.forwarders.join_next() => match of_task(ended) {
                    Ok((name, outlet)) => {
                        abandoned |= outlet.gave_up();
                        drained.extend(tasks.forwarded(name, outlet));
                    }
                    Err(error) => {
                        abandoned = true;
                        fail(&mut failure, error, &ends);
                    }
                },
                Some(ended) = tasks.leaving.join_next() => match ended {
                    Ok((name, forwarded)) => tasks.left(&name, forwarded),
                    Err(broken) => fail(&mut failure, RunError::Bug(broken.to_string()), &ends),
                },
                Some(ended) = tasks.telling.join_next(), if tasks.is_changing() => match ended {
                    Ok((name, pending)) => tasks.told(name, pending),
                    Err(broken) => fail(&mut failure, RunError::Bug(broken.to_string()), &ends),
                },
                Some(change) = changes.recv(), if !tasks.is_changing() && !ends.stop.is_cancelled() => {
                    tasks.change(change);
                }
                // What has ended for a change is not begun again, where all is to end.
                () = ends.stop.cancelled(), if tasks.is_changing() => {}
                // What nobody takes any more makes no room: a poller would wait for it for ever.
                () = full(&mut usage), if abandoned && !tasks.pollers.is_empty() && !ends.stop.is_cancelled() => {
                    ends.stop.cancel();
                }
                else => break,
            }
        }
        finished.stopped = ends.stop.is_cancelled();
        drop(reloading);
        watching.abort();
        // What the forwarder had to say of the last entries goes out before it ends.
        recording.finish().await;
        let mut ending = JoinSet::new();
        for (name, outlet) in drained {
            let ends = ends.clone();
            ending.spawn(async move { (name, outlet.finish(mode, &ends).await) });
        }
        tasks.tell_the_rest().await;
        while let Some(ended) = ending.join_next().await {
            match of_task(ended) {
                Ok(ended) => finished.destinations.push(ended),
                Err(error) => fail(&mut failure, error, &ends),
            }
        }
        grace.abort();
        drop(showing);
        let closed = store.close().await;
        match failure {
            Some(error) => Err(error),
            None => closed.map(|()| finished).map_err(RunError::Store),
        }
    }
}

fn of_task<N, T>(
    ended: Result<(N, Result<T, RunError>), tokio::task::JoinError>,
) -> Result<(N, T), RunError> {
    let (name, result) = ended.map_err(|broken| RunError::Bug(broken.to_string()))?;
    result.map(|done| (name, done))
}

/// Keeps the first failure; where one task cannot go on for good, the others end in order.
fn fail(failure: &mut Option<RunError>, error: RunError, ends: &Ends) {
    let for_good = match &error {
        RunError::Store(_) | RunError::Bug(_) => true,
        RunError::Undelivered { source, .. } => !source.again(),
        RunError::Refused { .. } | RunError::Unreadable { .. } => false,
    };
    if for_good {
        ends.stop.cancel();
    }
    failure.get_or_insert(error);
}

/// Waits until the store has no room.
async fn full(usage: &mut watch::Receiver<Usage>) {
    // It ends with the store, and then there is no room either.
    drop(usage.wait_for(|usage| usage.full.is_some()).await);
}

/// Gives the destinations their last seconds.
async fn grace(ends: Ends, last_receipts: watch::Receiver<Duration>) {
    ends.stop.cancelled().await;
    tokio::time::sleep(GRACE).await;
    ends.enough.cancel();
    let last_receipts = *last_receipts.borrow();
    tokio::time::sleep(last_receipts).await;
    ends.give_up.cancel();
}

/// Says once when the store is full, and once when it is not any more.
async fn watch_store(store: Store, voice: voice::Voice) {
    let mut usage = store.watch_usage();
    let mut told = None;
    loop {
        let (full, bytes, limit) = {
            let usage = usage.borrow_and_update();
            (usage.full, usage.bytes, usage.limit)
        };
        if full != told {
            if let Some(full) = full {
                voice.say(OwnEvent::store_full(full, bytes, limit));
            }
            match full {
                Some(Full::Limit) => warn!(
                    bytes,
                    limit,
                    "the store is full: nothing more is asked of Slack until a destination has taken some"
                ),
                Some(Full::Disk) => {
                    error!(
                        bytes,
                        "the disk is nearly full: nothing more is asked of Slack until it has room"
                    );
                }
                None => info!(bytes, limit, "the store has room again"),
            }
            told = full;
        }
        if usage.changed().await.is_err() {
            return;
        }
    }
}
