//! One walk over the seconds, with its patience: what an error means for it, and when it goes on.

use std::time::Duration;

use tokio::time::Instant;

use super::walk::Walker;
use crate::event::UnixTime;
use crate::net::Backoff;
use crate::slack::error::{Class, SlackError};

/// A reader's progress: its walk, and its patience.
#[derive(Debug)]
pub(super) struct Track {
    pub(super) walker: Walker,
    pub(super) backoff: Backoff,
    pub(super) blocked_until: Option<Instant>,
}

/// The wait after a refusal that only the operator can undo.
const SLOWLY: Duration = Duration::from_secs(300);

impl Track {
    pub(super) fn new(at: UnixTime) -> Self {
        Self {
            walker: Walker::new(at),
            backoff: Backoff::new(Duration::from_secs(1), Duration::from_secs(300)),
            blocked_until: None,
        }
    }

    /// A page came.
    pub(super) fn succeeded(&mut self) {
        self.backoff.reset();
        self.blocked_until = None;
    }

    /// Decides what an error means: another question, or a wait of so long before the same one.
    pub(super) fn fail(&mut self, error: &SlackError) -> Option<Duration> {
        let retry_in = match error.class() {
            Class::Reread => match self.walker.reject_cursor() {
                Ok(()) => return None,
                Err(_stuck) => self.backoff.after_failure(),
            },
            Class::Narrow => {
                let too_large = matches!(error, SlackError::TooLarge { .. });
                if self.walker.narrow() || (too_large && self.walker.ask_for_fewer()) {
                    return None;
                }
                SLOWLY
            }
            Class::Token | Class::Install | Class::Setting => SLOWLY,
            Class::Retry => error.retry_after().unwrap_or_else(|| self.backoff.after_failure()),
        };
        self.blocked_until = Some(Instant::now() + retry_in);
        Some(retry_in)
    }
}
