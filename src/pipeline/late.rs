//! The lateness of one source: counted page by page, kept over restarts, told to the SIEM.
//!
//! **Invariant:** what is kept lags behind by a page at most, and is kept with a page or not at all.

use std::time::{Duration, Instant};

use tracing::info;

use super::lateness::{Lateness, Rereading};
use super::own::{LateEntries, OwnEvent};
use super::voice::Voice;
use crate::event::UnixTime;
use crate::slack::Progress;
use crate::store::{Appended, Memo, MemoKey, SourceId, Store, StoreError};

/// Counts how late the entries of a source come.
#[derive(Debug)]
pub(super) struct Late {
    source: SourceId,
    lateness: Option<Lateness>,
    rereading: Rereading,
    voice: Voice,
    /// The late entries that nobody was told of, and the longest time that one of them took.
    untold: u64,
    longest_untold: u64,
    told: Option<Instant>,
    /// Entries counted since it was kept; late ones are to be kept at once.
    unkept: u64,
}

/// Where it is kept.
const KEY: MemoKey = MemoKey(*b"lateness, so far");
/// It is told at most so often.
const TELL_EVERY: Duration = Duration::from_secs(3_600);
/// So many entries in time need not be kept at once.
const KEEP_EVERY: u64 = 10_000;

impl Late {
    /// What was counted of a source so far.
    pub(super) async fn recall(
        store: &Store,
        source: &SourceId,
        rereading: Rereading,
        voice: Voice,
    ) -> Result<Self, StoreError> {
        let kept = store.recall(source, vec![KEY]).await?.into_iter().next().flatten();
        // Of a version that is not known, it begins anew.
        let lateness = kept.and_then(|memo| serde_json::from_slice(&memo.value).ok());
        let source = source.clone();
        Ok(Self { source, lateness, rereading, voice, untold: 0, longest_untold: 0, told: None, unkept: 0 })
    }

    /// What was counted, and what follows from it.
    pub(super) fn shown(&self) -> (Option<Lateness>, Option<String>) {
        let advice = self.lateness.as_ref().and_then(|lateness| lateness.advice(self.rereading));
        (self.lateness.clone(), advice.map(|advice| advice.to_string()))
    }

    /// What is to be stored with the next page.
    pub(super) fn memo(&self) -> Option<Memo> {
        let lateness = self.lateness.as_ref().filter(|_| self.unkept >= KEEP_EVERY)?;
        let value = serde_json::to_vec(lateness).ok()?;
        Some(Memo { key: KEY, value, at: lateness.since })
    }

    /// Counts a page that is stored; `kept` when [`Self::memo`] was stored with it.
    pub(super) fn note(&mut self, progress: &Progress, appended: &Appended, kept: bool) {
        let Progress { pass, window, asked_at, .. } = *progress;
        let Appended { fresh, late, .. } = appended;
        if kept {
            self.unkept = 0;
        }
        let lateness = self.lateness.get_or_insert_with(|| Lateness::since(asked_at));
        lateness.add(pass, asked_at, window.latest, *fresh, late);
        self.unkept = self.unkept.saturating_add(if late.is_empty() { *fresh as u64 } else { KEEP_EVERY });
        self.untold = self.untold.saturating_add(late.len() as u64);
        let took =
            |at: &UnixTime| u64::try_from(asked_at.seconds().saturating_sub(at.seconds())).unwrap_or(0);
        self.longest_untold = late.iter().map(took).fold(self.longest_untold, u64::max);
        if self.untold > 0 && self.told.is_none_or(|at| at.elapsed() >= TELL_EVERY) {
            self.tell();
        }
    }

    fn tell(&mut self) {
        self.told = Some(Instant::now());
        let (_, advice) = self.shown();
        let late = LateEntries {
            count: std::mem::take(&mut self.untold),
            longest: Duration::from_secs(std::mem::take(&mut self.longest_untold)),
            advice,
        };
        info!(
            source = %self.source, late = late.count, longest_s = late.longest.as_secs(), advice = late.advice,
            "entries had come late; they are delivered now"
        );
        self.voice.say(OwnEvent::source_late(&self.source, &late));
    }
}
