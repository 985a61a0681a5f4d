//! Silence: a source that Slack answers, and that has no entries any more.
//!
//! ```text
//!  a page ──▶ Record ◀──▶ file       record   the newest entry, the silence that was told
//!  caught up ──▶ │                   habit    what is usual for each hour of the week
//!                ▼                   memory   the file
//!        log, own event, status
//! ```
//!
//! Silence is what was read and found empty: it lasts from the newest entry to the last second read, and
//! is judged only when all that has settled is read. So a source that fails, is refused or catches up is
//! not called quiet; of that others tell. A silence is told once, when it has lasted for `quiet_after` or
//! is unusual for the hour of the week, and once when it is over.
//!
//! **Invariant:** a restart neither ends a silence nor tells of it again: what was told and what was learned
//! lie in a file, the newest entry in the store.
//! **Invariant:** reading is not held up by it: a file that cannot be read or written costs what was
//! learned, and that is logged.

mod habit;
mod memory;
mod record;

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use tokio::task::{JoinHandle, spawn_blocking};
use tracing::{info, warn};

use super::own::OwnEvent;
use super::voice::Voice;
use crate::config;
use crate::event::UnixTime;
use crate::slack::Clock;
use crate::store::SourceId;
use crate::telemetry::chain;
use memory::Memory;
pub(super) use record::Standpoint;
use record::{News, Record};

/// A silence that was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quiet {
    /// When the last entry before it happened; where there was none, when reading began.
    pub since: UnixTime,
    /// Why it was told.
    pub because: Because,
    /// When it was told.
    pub told_at: UnixTime,
}

/// Why a silence is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Because {
    /// It has lasted for the source's `quiet_after`.
    QuietAfter,
    /// It is unusual for the hour of the week.
    Unusual,
}

/// Listens to one source.
#[derive(Debug)]
pub(super) struct Silence {
    source: SourceId,
    settings: config::Quiet,
    record: Record,
    /// The hour in which it was last kept.
    kept_in: Option<i64>,
    memory: Memory,
    keeping: Option<JoinHandle<io::Result<()>>>,
    /// It was said that it cannot be kept.
    told_unkept: bool,
    voice: Voice,
}

impl Silence {
    /// Goes on from what is remembered in the folder `state`; `reads` is what the source is asked for.
    pub(super) async fn open(
        source: SourceId,
        settings: config::Quiet,
        reads: &str,
        at: Standpoint,
        state: &Path,
        voice: Voice,
    ) -> Self {
        let memory = Memory::of(state, source.as_str());
        let recalled = spawn_blocking({
            let memory = memory.clone();
            move || memory.recall()
        });
        // It fails to join only when the runtime is going down.
        let recalled = recalled.await.unwrap_or(Ok(None)).unwrap_or_else(|error| {
            warn!(%source, "what is usual for the source is learned anew: {}", chain(&error));
            None
        });
        let mut record =
            recalled.filter(|record| record.reads == reads).unwrap_or_else(|| Record::new(reads));
        record.resume(at, Clock::system().now());
        let kept_in = record.hour();
        Self { source, settings, record, kept_in, memory, keeping: None, told_unkept: false, voice }
    }

    /// The silence that was told and is not over.
    pub(super) fn quiet(&self) -> Option<Quiet> {
        self.record.quiet()
    }

    /// Reading begins at that second, unless it has begun before.
    pub(super) fn begin(&mut self, at: UnixTime) {
        self.record.begin(at);
    }

    /// Entries of these times were read, the oldest first; the last `fresh` of them for the first time.
    pub(super) fn read(&mut self, times: &[UnixTime], fresh: usize) {
        self.record.read(times, fresh, Clock::system().now());
    }

    /// All was read up to, and with, that second: tells what there is to tell.
    pub(super) async fn look(&mut self, read_up_to: UnixTime) {
        let news = self.record.look(read_up_to, self.settings, Clock::system().now());
        let source = &self.source;
        match news {
            Some(News::Quiet { quiet, seconds, expected }) => {
                let event = OwnEvent::source_quiet(source, &quiet, seconds, expected);
                warn!(%source, help = event.cure(), "{}", event.message());
                self.voice.say(event);
            }
            Some(News::Recovered { quiet, seconds }) => {
                let event = OwnEvent::source_recovered(source, &quiet, seconds);
                info!(%source, "{}", event.message());
                self.voice.say(event);
            }
            None if self.record.hour() == self.kept_in => return,
            None => {}
        }
        self.keep().await;
    }

    /// Has what is known now on the disk. Cut off, it may be there or not.
    pub(super) async fn keep(&mut self) {
        // Two of them would write one file.
        self.kept().await;
        let (memory, record) = (self.memory.clone(), self.record.clone());
        self.kept_in = record.hour();
        self.keeping = Some(spawn_blocking(move || memory.keep(&record)));
        self.kept().await;
    }

    async fn kept(&mut self) {
        let Some(keeping) = &mut self.keeping else { return };
        let kept = keeping.await;
        self.keeping = None;
        let Ok(Err(error)) = kept else { return };
        if !std::mem::replace(&mut self.told_unkept, true) {
            warn!(
                source = %self.source, file = %self.memory.path().display(),
                "what is usual for the source cannot be kept, a restart will learn it anew: {error}"
            );
        }
    }
}
