//! What became of the entries of one destination, counted, and said once.

use tracing::{debug, warn};

use super::news::News;
use super::voice::Voice;
use crate::cef::Cuts;
use crate::event::{Entry, Log};
use crate::mapping::Applied;

/// Counts since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Counts {
    /// Events that count as delivered.
    pub delivered: u64,
    /// Bytes of their frames.
    pub bytes: u64,
    /// Entries that a rule of the mapping dropped.
    pub dropped: u64,
    /// Events that the destination's `when` does not want.
    pub unwanted: u64,
    /// Events whose action no mapping names.
    pub unmapped: u64,
    /// Values left out because they are none of their key's type.
    pub misfits: u64,
    /// Events of which something was cut to fit.
    pub cut: u64,
    /// Events that were sent again after a connection had failed.
    pub repeated: u64,
    /// Events that the receiver never takes, kept in the file of dead letters.
    pub dead_letters: u64,
    /// Connections that failed, and tries to make one.
    pub failures: u64,
}

/// Counts, and what has been said of them.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) counts: Counts,
    told: News,
    voice: Voice,
}

impl Tally {
    pub(super) fn new(voice: Voice) -> Self {
        Self { counts: Counts::default(), told: News::default(), voice }
    }

    /// Notes how mapping went.
    pub(super) fn mapped(&mut self, entry: &Entry, applied: &Applied<'_>) {
        if let Some(origin) = applied.dropped {
            self.counts.dropped += 1;
            debug!(id = entry.id().as_str(), rule = %origin, "a rule dropped the entry");
            return;
        }
        if applied.unmapped {
            self.counts.unmapped += 1;
            if self.told.is_news("unmapped", entry.action().as_str()) {
                warn!(
                    action = ?entry.action().as_str(),
                    "no mapping names this action; it is delivered by the catch-all. Name it in a mapping file: [actions.\"…\"]"
                );
                // An event of the forwarder's own never raises another.
                if entry.log() != Log::Forwarder {
                    self.voice.say_unmapped(entry);
                }
            }
        }
        for unfit in &applied.misfits {
            self.counts.misfits += 1;
            if self.told.is_news(unfit.key, entry.action().as_str()) {
                warn!(
                    key = unfit.key, set_by = %unfit.origin, action = ?entry.action().as_str(), id = ?entry.id().as_str(),
                    "a value was left out: not {}", unfit.wanted
                );
            }
        }
    }

    /// Notes what was cut.
    pub(super) fn written(&mut self, entry: &Entry, cuts: &Cuts) {
        if cuts.is_empty() {
            return;
        }
        self.counts.cut += 1;
        if self.told.is_news("cut", entry.action().as_str()) {
            let keys: Vec<_> =
                cuts.iter().map(|cut| format!("{} {} of {}", cut.key, cut.kept, cut.had)).collect();
            warn!(
                action = ?entry.action().as_str(), id = ?entry.id().as_str(), kept = keys.join(", "),
                "an event was cut to fit; raise `max_message` if the receiver takes more"
            );
        }
    }
}
