//! The tasks of a path at work, one a source and one a destination, and how they change meanwhile.
//!
//! A change has two steps: first all that goes comes to its end, then what is new begins. A source
//! ends where it is, for its bookmark moves only with what it covers. A destination begins no further
//! batch, and what is on its way is waited for. Then its reader is free for the one that follows,
//! which goes on at its position.
//!
//! **Invariant:** what did not change is not touched.
//! **Invariant:** nothing new begins before all that goes is gone: two tasks never write one file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::forward::{Forwarded, Outlet};
use super::notify::{Notice, NoticeEnds};
use super::poll::{Polled, Reading, Source};
use super::prepared::{ReadyDestination, ReadyNotice, ReadySource};
use super::setup::SetupError;
use super::status::{Outgoing, Route, Telling};
use super::trust::Trust;
use super::voice::Voice;
use super::{Ends, LAST_RECEIPTS, Mode, RunError, expiry, outage, spread};
use crate::notice::Pending;
use crate::slack::allowlist::Api;
use crate::store::{ReaderName, SourceId, Store};
use crate::telemetry::chain;

/// How far each source has been read, as it changes.
pub(super) type Readings = Vec<(SourceId, watch::Receiver<Reading>)>;

/// How each destination stands, as it changes.
pub(super) type Standings = Vec<Outgoing>;

/// How each notice stands, as it changes.
pub(super) type Tellings = Vec<Telling>;

/// All of them.
#[derive(Debug)]
pub(super) struct Tasks {
    pub(super) mode: Mode,
    pub(super) store: Store,
    voice: Voice,
    trust: Trust,
    /// Those of the whole path.
    pub(super) ends: Ends,
    pub(super) pollers: JoinSet<(SourceId, Result<Polled, RunError>)>,
    pub(super) forwarders: JoinSet<(ReaderName, Result<Outlet, RunError>)>,
    /// Destinations that are wanted no more, or not as they were, say farewell.
    pub(super) leaving: JoinSet<(ReaderName, Result<Forwarded, RunError>)>,
    /// Notices at work, which give back what they could not tell.
    pub(super) telling: JoinSet<(ReaderName, Pending)>,
    notices: BTreeMap<ReaderName, AtWork>,
    /// What notices that ended for a change leave to those after them.
    untold: BTreeMap<ReaderName, Pending>,
    /// All is stored that ever will be: notices tell it and end.
    stored: CancellationToken,
    /// The folder of the store.
    state: PathBuf,
    /// What is at work, each with ends of its own.
    sources: BTreeMap<SourceId, (Ends, watch::Receiver<Reading>)>,
    destinations: BTreeMap<ReaderName, Destination>,
    readings: watch::Sender<Readings>,
    standings: watch::Sender<Standings>,
    tellings: watch::Sender<Tellings>,
    last_receipts: watch::Sender<Duration>,
    change: Option<Change>,
}

/// A destination at work.
#[derive(Debug)]
struct Destination {
    ends: Ends,
    /// How long its last receipts may take.
    last_receipts: Duration,
    shown: Outgoing,
}

/// A notice at work.
#[derive(Debug)]
struct AtWork {
    leave: CancellationToken,
    shown: Telling,
}

/// What shall be other than it is.
#[derive(Debug)]
pub(super) struct Change {
    /// Sources that end.
    pub(super) ending: BTreeSet<SourceId>,
    /// Destinations that end; they go on at their positions where they begin again.
    pub(super) closing: BTreeSet<ReaderName>,
    pub(super) sources: Vec<ReadySource>,
    pub(super) destinations: Vec<ReadyDestination>,
    /// Notices that end; those that begin again tell what these could not.
    pub(super) leaving: BTreeSet<ReaderName>,
    pub(super) notices: Vec<ReadyNotice>,
    /// Those of `closing` that do not begin again: their positions are forgotten.
    pub(super) removed: BTreeSet<ReaderName>,
    /// Told when all of it is done; dropped when the path came to its end before that.
    pub(super) done: oneshot::Sender<Vec<Abandoned>>,
}

/// A destination that is no more, with entries that were not delivered to it.
#[derive(Debug)]
pub(super) struct Abandoned {
    pub(super) destination: ReaderName,
    /// At most; those of sources that it did not take are counted too.
    pub(super) entries: u64,
}

impl Tasks {
    pub(super) fn new(mode: Mode, store: Store, state: PathBuf, voice: Voice, trust: Trust) -> Self {
        Self {
            mode,
            store,
            state,
            voice,
            trust,
            ends: Ends::default(),
            pollers: JoinSet::new(),
            forwarders: JoinSet::new(),
            leaving: JoinSet::new(),
            telling: JoinSet::new(),
            notices: BTreeMap::new(),
            untold: BTreeMap::new(),
            stored: CancellationToken::new(),
            sources: BTreeMap::new(),
            destinations: BTreeMap::new(),
            readings: watch::Sender::default(),
            standings: watch::Sender::default(),
            tellings: watch::Sender::default(),
            last_receipts: watch::Sender::default(),
            change: None,
        }
    }

    /// How far each source has been read, of those that there are.
    pub(super) fn readings(&self) -> watch::Receiver<Readings> {
        self.readings.subscribe()
    }

    /// How each destination stands, of those that there are.
    pub(super) fn standings(&self) -> watch::Receiver<Standings> {
        self.standings.subscribe()
    }

    /// How each notice stands, of those that there are.
    pub(super) fn tellings(&self) -> watch::Receiver<Tellings> {
        self.tellings.subscribe()
    }

    /// How long the last receipts may take, of all destinations that there are.
    pub(super) fn last_receipts(&self) -> watch::Receiver<Duration> {
        self.last_receipts.subscribe()
    }

    /// Begins with sources, one after the other, and with the allow lists that mappings ask for.
    pub(super) fn poll(&mut self, sources: Vec<(Source, Option<Arc<Api>>)>) {
        let delays = match self.mode {
            Mode::Forever => spread::starts(sources.iter().map(|(source, _)| source.poll_every())),
            Mode::Once => vec![Duration::ZERO; sources.len()],
        };
        for ((source, allowlist), delay) in sources.into_iter().zip(delays) {
            let (name, ends) = (source.name().clone(), self.ends.of_a_part());
            self.sources.insert(name.clone(), (ends.clone(), source.reading()));
            let keeping = self.trust.keep(&name, allowlist);
            let (tried, stop) = (self.trust.tried(Some(name.clone())), ends.stop.clone());
            let task = source.run(self.store.clone(), self.mode, delay, ends.stop, self.voice.clone());
            self.pollers.spawn(async move {
                stop.run_until_cancelled(tried).await;
                let polled = task.await;
                drop(keeping);
                (name, polled)
            });
        }
        self.show();
    }

    pub(super) fn forward(&mut self, outlet: Outlet, route: Route) {
        let (name, ends, mode) = (outlet.name().clone(), self.ends.of_a_part(), self.mode);
        let shown = Outgoing { name: name.clone(), route, age: outlet.age(), standing: outlet.standing() };
        // By cron it would be the same events again and again. They end with what they look at.
        if mode == Mode::Forever {
            tokio::spawn(outage::watch(shown.clone(), self.voice.clone()));
            tokio::spawn(expiry::watch(shown.clone(), outlet.identity(), self.voice.clone()));
        }
        let destination = Destination {
            ends: ends.clone(),
            last_receipts: outlet.age().saturating_add(LAST_RECEIPTS),
            shown,
        };
        self.destinations.insert(name.clone(), destination);
        let tried = self.trust.tried(None);
        self.forwarders.spawn(async move {
            ends.enough.run_until_cancelled(tried).await;
            (name, outlet.run(mode, &ends).await)
        });
        self.show();
    }

    pub(super) fn notify(&mut self, notice: Notice) {
        let reader = notice.reader().clone();
        let ends = NoticeEnds {
            leave: CancellationToken::new(),
            last: self.stored.clone(),
            give_up: self.ends.give_up.clone(),
        };
        let shown = Telling {
            name: notice.name().to_owned(),
            host: notice.host().to_owned(),
            standing: notice.standing(),
        };
        self.notices.insert(reader.clone(), AtWork { leave: ends.leave.clone(), shown });
        // By cron it would tell the same troubles again and again.
        let voice = (self.mode == Mode::Forever).then(|| self.voice.clone());
        let untold = self.untold.remove(&reader);
        self.telling.spawn(async move { (reader, notice.run(untold, voice, ends).await) });
        self.show();
    }

    /// A notice has ended, with that untold.
    pub(super) fn told(&mut self, reader: ReaderName, pending: Pending) {
        self.notices.remove(&reader);
        if let Some(change) = &mut self.change {
            change.leaving.remove(&reader);
            self.untold.insert(reader, pending);
        }
        self.show();
    }

    /// All is stored that ever will be: waits until the notices have told it, or as much as they can in
    /// some seconds.
    pub(super) async fn tell_the_rest(&mut self) {
        self.stored.cancel();
        while let Some(ended) = self.telling.join_next().await {
            if let Err(broken) = ended {
                error!("a notice broke off: {broken}");
            }
        }
    }

    /// Shows what there is.
    fn show(&self) {
        self.tellings.send_replace(self.notices.values().map(|notice| notice.shown.clone()).collect());
        let readings = self.sources.iter().map(|(name, (_, reading))| (name.clone(), reading.clone()));
        self.readings.send_replace(readings.collect());
        let destinations = self.destinations.iter();
        self.standings.send_replace(destinations.clone().map(|(_, at_work)| at_work.shown.clone()).collect());
        let longest = destinations.map(|(_, at_work)| at_work.last_receipts).max();
        self.last_receipts.send_replace(longest.unwrap_or_default());
    }

    /// Whether a change is under way.
    pub(super) fn is_changing(&self) -> bool {
        self.change.is_some()
    }

    /// Begins a change: has all that goes come to its end.
    pub(super) fn change(&mut self, mut change: Change) {
        change.ending.retain(|name| self.sources.contains_key(name));
        for name in &change.ending {
            if let Some((ends, _)) = self.sources.remove(name) {
                ends.stop.cancel();
            }
        }
        change.closing.retain(|name| self.destinations.contains_key(name));
        for at_work in change.closing.iter().filter_map(|name| self.destinations.get(name)) {
            let (ends, last_receipts) = (at_work.ends.clone(), at_work.last_receipts);
            ends.enough.cancel();
            tokio::spawn(async move {
                tokio::time::sleep(last_receipts).await;
                ends.give_up.cancel();
            });
        }
        change.leaving.retain(|name| self.notices.contains_key(name));
        for at_work in change.leaving.iter().filter_map(|name| self.notices.get(name)) {
            at_work.leave.cancel();
        }
        self.show();
        self.change = Some(change);
    }

    /// Lets go of a change that is under way: what has ended is begun again by the next start.
    pub(super) fn leave_unchanged(&mut self) {
        self.change = None;
    }

    /// A source has ended; gives it back unless a change ended it.
    pub(super) fn polled(&mut self, name: SourceId, polled: Polled) -> Option<(SourceId, Polled)> {
        if !self.change.as_mut().is_some_and(|change| change.ending.remove(&name)) {
            return Some((name, polled));
        }
        info!(source = %name, stored = polled.fresh, "the source ends: the configuration has changed");
        None
    }

    /// A destination has ended; gives it back unless a change ended it.
    pub(super) fn forwarded(&mut self, name: ReaderName, outlet: Outlet) -> Option<(ReaderName, Outlet)> {
        if !self.change.as_ref().is_some_and(|change| change.closing.contains(&name)) {
            return Some((name, outlet));
        }
        let at_work = self.destinations.remove(&name);
        let (mode, ends) = (self.mode, at_work.map(|at_work| at_work.ends).unwrap_or_default());
        self.leaving.spawn(async move { (name, outlet.finish(mode, &ends).await) });
        None
    }

    /// A destination that a change ended has said farewell.
    pub(super) fn left(&mut self, name: &ReaderName, forwarded: Result<Forwarded, RunError>) {
        match forwarded {
            Ok(Forwarded { counts, .. }) => info!(
                destination = %name, delivered = counts.delivered,
                "the destination ends: the configuration has changed"
            ),
            // What could not be noted is delivered once more, and nothing is lost.
            Err(error) => warn!(destination = %name, "the destination ends: {}", chain(&error)),
        }
        if let Some(change) = &mut self.change {
            change.closing.remove(name);
        }
    }

    /// Once all that goes is gone, begins what is new.
    pub(super) async fn follow(&mut self) -> Result<(), RunError> {
        let is_gone = |change: &mut Change| {
            change.ending.is_empty() && change.closing.is_empty() && change.leaving.is_empty()
        };
        let Some(change) = self.change.take_if(is_gone) else { return Ok(()) };
        let mut abandoned = Vec::new();
        for destination in change.removed {
            let backlog = self.store.backlog(&destination).await.map_err(RunError::Store)?;
            if let Some(entries) = backlog.map(|backlog| backlog.entries).filter(|entries| *entries > 0) {
                abandoned.push(Abandoned { destination, entries });
            }
        }
        let stay = self.destinations.keys().cloned();
        let stay = stay.chain(self.notices.keys().cloned());
        let names = stay.chain(change.destinations.iter().map(|ready| ready.name.clone()));
        let names: Vec<_> = names.chain(change.notices.iter().map(ReadyNotice::reader)).collect();
        self.store.retain_readers(&names).await.map_err(RunError::Store)?;
        for ready in change.destinations {
            let (outlet, route) =
                ready.open(&self.store, &self.state, &self.voice, &self.trust).await.map_err(unopened)?;
            self.forward(outlet, route);
        }
        for ready in change.notices {
            let notice = ready.open(&self.store).await.map_err(unopened)?;
            self.notify(notice);
        }
        self.untold.clear();
        let mut sources = Vec::new();
        for ready in change.sources {
            sources.push(ready.open(&self.store, &self.state, &self.voice).await.map_err(unopened)?);
        }
        self.poll(sources);
        // Whoever asked may have gone.
        drop(change.done.send(abandoned));
        Ok(())
    }
}

/// All but the store was tried before.
fn unopened(error: SetupError) -> RunError {
    match error {
        SetupError::Store(error) => RunError::Store(error),
        other => RunError::Bug(chain(&other)),
    }
}
