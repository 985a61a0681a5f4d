//! Events of the forwarder's own: what it has to say to the SIEM of itself.
//!
//! ```text
//!  Voice (anyone) ──try_send──▶ Herald ──append──▶ store ──▶ every destination, like Slack's entries
//! ```
//!
//! An own event is an [`Entry`] of [`Log::Forwarder`] whose JSON is written here, stored under a
//! source of its own ([`SourceId::own`]) and mapped by `mappings/forwarder/`. All of them, with
//! their words, stand in this file.
//!
//! **Invariant:** whoever says something never waits for it: while the store has no room, events
//! queue up to a bound, and are left out beyond it. Each was logged where it happened.
//! **Invariant:** mapping and delivering an own event never raises another.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::news::News;
use crate::event::{Action, Entry, EntryId, Log, Text, UnixTime};
use crate::mapping::Plans;
use crate::problem::Problem;
use crate::slack::Clock;
use crate::store::{Batch, Bookmark, Full, Lost, Repair, SourceId, Store};
use crate::telemetry::chain;

/// Something that happened to the forwarder.
#[derive(Debug)]
pub(super) struct OwnEvent {
    at: UnixTime,
    action: &'static str,
    message: String,
    help: Option<String>,
    details: Map<String, Value>,
}

/// Its form as an entry.
#[derive(Serialize)]
struct Written<'a> {
    id: &'a str,
    date_create: i64,
    action: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<&'a str>,
    context: Context<'a>,
    details: &'a Map<String, Value>,
}

#[derive(Serialize)]
struct Context<'a> {
    host: &'a str,
}

/// What differs between two states of a mapping folder, by the names of its files.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) added: BTreeSet<String>,
    pub(super) changed: BTreeSet<String>,
    pub(super) removed: BTreeSet<String>,
}

impl OwnEvent {
    fn new(action: &'static str, message: impl Into<String>) -> Self {
        Self { at: Clock::system().now(), action, message: message.into(), help: None, details: Map::new() }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.details.insert(key.to_owned(), value.into());
        self
    }

    /// What happened, in a sentence.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// The service has begun to poll and to deliver.
    pub(super) fn started<'a>(
        sources: impl IntoIterator<Item = &'a str>,
        destinations: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let names = |names: &mut dyn Iterator<Item = &'a str>| names.map(Value::from).collect::<Vec<_>>();
        let version = env!("CARGO_PKG_VERSION");
        Self::new("forwarder-started", format!("slackcef {version} has started"))
            .with("version", version)
            .with("sources", names(&mut sources.into_iter()))
            .with("destinations", names(&mut destinations.into_iter()))
    }

    /// The service reads nothing more: it was asked to end, or cannot go on for what `because` says.
    pub(super) fn stopped(because: Option<&str>) -> Self {
        let stopped = match because {
            None => {
                Self::new("forwarder-stopped", "slackcef was asked to end; what is not delivered is kept")
                    .with("reason", "asked")
            }
            Some(because) => Self::new("forwarder-stopped", format!("slackcef cannot go on: {because}"))
                .with("reason", "failure"),
        };
        stopped.help("nothing is read from Slack until it is started again; it goes on where it stopped")
    }

    /// A mapping folder is in force as it now is.
    pub(super) fn mapping_reloaded(
        mapping: &str,
        folder: &Path,
        difference: &Difference,
        files: usize,
        plans: &Plans,
    ) -> Self {
        let Difference { added, changed, removed } = difference;
        let what = [("changed", changed), ("added", added), ("removed", removed)];
        let told: Vec<_> = what
            .iter()
            .filter(|(_, names)| !names.is_empty())
            .map(|(how, names)| format!("{how} {}", listed(names)))
            .collect();
        let message = if told.is_empty() {
            format!("the mapping {mapping} is what it was before its mistakes")
        } else {
            format!("the mapping {mapping} was read again: {}", told.join(", "))
        };
        let mut event = Self::new("mapping-reloaded", message)
            .with("mapping", mapping)
            .with("folder", folder.display().to_string())
            .with("files", files)
            .with("actions", plans.actions(Log::Audit).len());
        for (how, names) in what.into_iter().filter(|(_, names)| !names.is_empty()) {
            event = event.with(how, names.iter().take(MOST_NAMES).map(String::as_str).collect::<Vec<_>>());
        }
        event
    }

    /// The files of a mapping folder hold mistakes, the first of which is `first`.
    pub(super) fn mapping_refused(mapping: &str, folder: &Path, first: &Problem, count: usize) -> Self {
        let more = match count.saturating_sub(1) {
            0 => String::new(),
            1 => " (and 1 mistake more)".to_owned(),
            more => format!(" (and {more} mistakes more)"),
        };
        let (file, line) = (&*first.file, first.line());
        let message = format!("{file}:{line}: {}{more}; the mapping before it stays in force", first.what);
        let event = Self::new("mapping-refused", message)
            .with("mapping", mapping)
            .with("folder", folder.display().to_string())
            .with("file", file)
            .with("line", line)
            .with("reason", first.code)
            .with("count", count);
        match &first.help {
            Some(help) => event.help(help),
            None => event,
        }
    }

    /// A mapping cannot be had at all.
    pub(super) fn mapping_unreadable(mapping: &str, folder: &Path, because: &str) -> Self {
        Self::new("mapping-refused", format!("{because}; the mapping before it stays in force"))
            .help("check the path, and that the service's user may read it")
            .with("mapping", mapping)
            .with("folder", folder.display().to_string())
            .with("reason", "unreadable")
    }

    /// No mapping names the action of an entry.
    fn action_unmapped(entry: &Entry) -> Self {
        let action: String = entry.action().as_str().chars().take(LONGEST_ACTION).collect();
        let message = "no mapping file names this action of Slack's; it is delivered by the catch-all";
        let help = format!(
            "put [actions.{action:?}] with a name and a severity into a mapping file; `slackcef mapping coverage` has it to paste"
        );
        Self::new("action-unmapped", message)
            .help(help)
            .with("action", action)
            .with("entry", entry.id().as_str())
    }

    /// Something of the store had to be put right when it was opened.
    pub(super) fn store_repaired(repair: &Repair) -> Self {
        let reason = match repair {
            Repair::Closed { .. } => "folder-open",
            Repair::Positions { .. } => "positions",
        };
        Self::new("store-repaired", repair.to_string()).with("reason", reason)
    }

    /// Damage took entries.
    fn entries_lost(lost: &Lost) -> Self {
        Self::new("store-repaired", format!("the store was damaged: {lost}"))
            .help(lost.help())
            .with("reason", "entries-lost")
            .with("count", lost.entries)
    }

    /// The store takes nothing more.
    pub(super) fn store_full(full: Full, bytes: u64, limit: u64) -> Self {
        let (reason, message, help) = match full {
            Full::Limit => (
                "limit",
                "the store was full: nothing more was asked of Slack until a destination had taken some",
                "see why a destination is behind, or raise `max_size` of [state]",
            ),
            Full::Disk => (
                "disk",
                "the disk was nearly full: nothing more was asked of Slack until it had room",
                "make room on the disk of the store",
            ),
        };
        Self::new("store-full", message)
            .help(help)
            .with("reason", reason)
            .with("bytes", bytes)
            .with("limit", limit)
    }

    /// The entry that it is from now on.
    fn into_entry(self, host: &str) -> Entry {
        let id = format!("slackcef-{:032x}", fastrand::u128(..));
        let written = Written {
            id: &id,
            date_create: self.at.seconds(),
            action: self.action,
            message: &self.message,
            help: self.help.as_deref(),
            context: Context { host },
            details: &self.details,
        };
        // Maps with text keys are always JSON.
        let raw = serde_json::to_vec(&written).unwrap_or_default();
        let (id, action) = (EntryId::given(id.into()), Action::new(Text::from(self.action)));
        Entry::from_parts(Log::Forwarder, id, action, self.at, raw.into())
    }
}

/// More names than this say no more.
const MOST_NAMES: usize = 10;
/// The longest known one has 76 characters.
const LONGEST_ACTION: usize = 200;

fn listed(names: &BTreeSet<String>) -> String {
    let mut listed = names.iter().take(MOST_NAMES).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > MOST_NAMES {
        listed.push_str(" and more");
    }
    listed
}

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
pub(super) struct Herald {
    said: mpsc::Receiver<OwnEvent>,
}

/// A voice, and who carries on what it says.
pub(super) fn voice() -> (Voice, Herald) {
    let (to, said) = mpsc::channel(WAITING);
    (Voice { to, said: Arc::default() }, Herald { said })
}

/// A herald at work.
#[derive(Debug)]
pub(super) struct Errand {
    task: JoinHandle<()>,
    enough: CancellationToken,
}

/// Entries stored at once.
const BATCH: usize = 64;
/// How long the last events may wait for room: longer than a store takes to look again.
const LAST_WORDS: Duration = Duration::from_secs(3);

impl Herald {
    /// Begins to store what is said.
    pub(super) fn start(self, store: Store) -> Errand {
        let enough = CancellationToken::new();
        Errand { task: tokio::spawn(self.run(store, enough.clone())), enough }
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
            let batch = Batch { source: SourceId::own(), entries, bookmark: Bookmark::default() };
            if let Err(error) = store.append(batch).await {
                warn!("events of the forwarder's own cannot be stored: {}", chain(&error));
            }
        }
    }
}

impl Errand {
    /// Stores what was said so far, and ends.
    pub(super) async fn finish(mut self) {
        self.enough.cancel();
        if tokio::time::timeout(LAST_WORDS, &mut self.task).await.is_err() {
            self.task.abort();
            warn!("the last events of the forwarder's own are left out: the store has no room for them");
        }
    }
}
