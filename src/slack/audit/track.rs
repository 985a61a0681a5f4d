//! One walk over the seconds, with its patience: what an error means for it, and when it goes on.

use std::time::Duration;

use super::walk::Walker;
use crate::event::UnixTime;
use crate::slack::error::{Class, SlackError};
use crate::slack::patience::Patience;

/// A reader's progress: its walk, and its patience.
#[derive(Debug)]
pub(super) struct Track {
    pub(super) walker: Walker,
    pub(super) patience: Patience,
}

impl Track {
    pub(super) fn new(at: UnixTime) -> Self {
        Self { walker: Walker::new(at), patience: Patience::new() }
    }

    /// Decides what an error means: another question, or a wait of so long before the same one.
    pub(super) fn fail(&mut self, error: &SlackError) -> Option<Duration> {
        match error.class() {
            Class::Reread if self.walker.reject_cursor().is_ok() => return None,
            Class::Narrow => {
                let too_large = matches!(error, SlackError::TooLarge { .. });
                if self.walker.narrow() || (too_large && self.walker.ask_for_fewer()) {
                    return None;
                }
            }
            _ => {}
        }
        Some(self.patience.wait_after(error))
    }
}
