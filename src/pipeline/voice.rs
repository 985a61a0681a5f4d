//! The way of own events into the store: whoever has something to say says it and goes on.
//!
//! ```text
//!  Voice (anyone) ──try_send──▶ Recorder ──append──▶ store ──▶ every destination, like Slack's entries
//! ```
//!
//! **Invariant:** whoever says something never waits for it: while the store has no room, events
//! queue up to a bound, and are left out beyond it. Each was logged where it happened.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::news::News;
use super::own::OwnEvent;
use crate::event::Entry;
use crate::store::{Batch, Bookmark, Lost, SourceId, Store};
use crate::telemetry::chain;

/// Says what happened; clones speak for the same forwarder.
#[derive(Debug, Clone)]
pub(super) struct Voice {
    to: mpsc::Sender<OwnEvent>,
    said: Arc<Mutex<News>>,
}

/// Events that wait for the store: a whole batch may be of actions that nobody names.
const WAITING: usize = 1024;

impl Voice {
    /// Has it stored for every destination, as soon as there is room.
    pub(super) fn say(&self, event: OwnEvent) {
        let action = event.action;
        match self.to.try_send(event) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => {
                warn!(
                    action,
                    "an event of the forwarder's own is left out: too many wait for room in the store"
                );
            }
            Err(mpsc::error::TrySendError::Closed(_)) => {
                debug!(action, "an event of the forwarder's own came too late to be stored");
            }
        }
    }

    /// Says that no mapping names the entry's action, once a day and action.
    pub(super) fn say_unmapped(&self, entry: &Entry) {
        if self.is_news("unmapped", entry.action().as_str()) {
            self.say(OwnEvent::action_unmapped(entry));
        }
    }

    /// Says that damage took entries, once for all destinations.
    pub(super) fn say_lost(&self, lost: &Lost) {
        if self.is_news("lost", &lost.to_string()) {
            self.say(OwnEvent::entries_lost(lost));
        }
    }

    fn is_news(&self, kind: &str, what: &str) -> bool {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).is_news(kind, what)
    }
}

/// Carries into the store what was said.
#[derive(Debug)]
pub(super) struct Recorder {
    said: mpsc::Receiver<OwnEvent>,
}

/// A voice, and who stores what it says.
pub(super) fn voice() -> (Voice, Recorder) {
    let (to, said) = mpsc::channel(WAITING);
    (Voice { to, said: Arc::default() }, Recorder { said })
}

/// A recorder at work.
#[derive(Debug)]
pub(super) struct Recording {
    task: JoinHandle<()>,
    enough: CancellationToken,
}

/// Entries stored at once.
const BATCH: usize = 64;
/// How long the last events may wait for room: longer than a store takes to look again.
const LAST_WORDS: Duration = Duration::from_secs(3);

impl Recorder {
    /// Begins to store what is said.
    pub(super) fn start(self, store: Store) -> Recording {
        let enough = CancellationToken::new();
        Recording { task: tokio::spawn(self.run(store, enough.clone())), enough }
    }

    async fn run(mut self, store: Store, enough: CancellationToken) {
        let host = hostname::get().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        loop {
            let mut said = Vec::new();
            tokio::select! {
                // Nothing that was said before the end is passed over.
                biased;
                _ = self.said.recv_many(&mut said, BATCH) => {}
                () = enough.cancelled() => {}
            }
            if said.is_empty() {
                return;
            }
            let entries = said.into_iter().map(|event| event.into_entry(&host)).collect();
            let batch = Batch::new(SourceId::own(), entries, Bookmark::default());
            if let Err(error) = store.append(batch).await {
                warn!("events of the forwarder's own cannot be stored: {}", chain(&error));
            }
        }
    }
}

impl Recording {
    /// Stores what was said so far, and ends.
    pub(super) async fn finish(mut self) {
        self.enough.cancel();
        if tokio::time::timeout(LAST_WORDS, &mut self.task).await.is_err() {
            self.task.abort();
            warn!("the last events of the forwarder's own are left out: the store has no room for them");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_speaks_never_waits() {
        let (voice, _unheard) = voice();
        for _ in 0..=WAITING {
            voice.say(OwnEvent::stopped(None));
        }
    }
}
