//! One entry at a time: mapped, encoded, with its header, for one destination.

use std::sync::Arc;

use crate::cef::{Cuts, Encoder, Event};
use crate::event::Entry;
use crate::mapping::{Applied, Plans, Scratch, Trusted, When};
use crate::syslog::Format;

/// Turns entries into messages. Its buffers are used again, so that it allocates nothing once it
/// runs.
#[derive(Debug)]
pub struct Converter {
    plans: Arc<Plans>,
    encoder: Encoder,
    format: Format,
    budget: usize,
    /// Which events are wanted; `None` for all.
    when: Option<When>,
    scratch: Scratch,
    event: Event,
}

impl Converter {
    /// A converter whose messages, header included, have at most `max_message` bytes.
    pub fn new(plans: Arc<Plans>, encoder: Encoder, format: Format, max_message: usize) -> Self {
        let budget = format.budget(max_message);
        Self { plans, encoder, format, budget, when: None, scratch: Scratch::new(), event: Event::new() }
    }

    /// The same converter, for a destination that wants these events alone; `None` for all.
    #[must_use]
    pub fn only(self, when: Option<When>) -> Self {
        Self { when, ..self }
    }

    /// Follows other plans from the next entry on.
    pub fn adopt(&mut self, plans: Arc<Plans>) {
        self.plans = plans;
    }

    /// The organization of the entries that follow trusts this.
    pub fn trust(&mut self, trusted: &Arc<Trusted>) {
        self.scratch.trust(trusted);
    }

    /// Maps the entry, and keeps the event for [`Self::write`]; says how it went.
    pub fn map(&mut self, entry: &Entry) -> Applied<'_> {
        let plan = self.plans.plan(entry.log(), entry.action().as_str());
        plan.apply(entry, &mut self.scratch, &mut self.event)
    }

    /// Whether the event of the entry that was mapped last, which came from that source, is wanted.
    pub fn is_wanted(&self, entry: &Entry, source: &str) -> bool {
        self.when.as_ref().is_none_or(|when| when.holds(&self.event, entry, source))
    }

    /// Appends the message of the entry that was mapped last; says what was cut.
    pub fn write(&self, entry: &Entry, out: &mut Vec<u8>) -> Cuts {
        self.format.write(entry.at().seconds(), self.event.severity(), out);
        self.encoder.encode(&self.event, self.budget, out)
    }
}
