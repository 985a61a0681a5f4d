//! When to ask again after a failure: later each time, as Slack says, or slowly until a person acts.

use std::time::Duration;

use tokio::time::Instant;

use super::error::{Class, SlackError};
use crate::net::Backoff;

/// The wait after a refusal that only the operator can undo.
const SLOWLY: Duration = Duration::from_secs(300);

/// A reader's patience with Slack.
#[derive(Debug)]
pub(super) struct Patience {
    backoff: Backoff,
    blocked_until: Option<Instant>,
}

impl Patience {
    pub(super) fn new() -> Self {
        Self { backoff: Backoff::new(Duration::from_secs(1), Duration::from_secs(300)), blocked_until: None }
    }

    /// Slack answered as it should.
    pub(super) fn reset(&mut self) {
        self.backoff.reset();
        self.blocked_until = None;
    }

    /// Until when to ask nothing, where that is still to come.
    pub(super) fn blocked_until(&self, now: Instant) -> Option<Instant> {
        self.blocked_until.filter(|until| *until > now)
    }

    /// Asks nothing for the time that the error wants, and says how long that is.
    pub(super) fn wait_after(&mut self, error: &SlackError) -> Duration {
        let wait = match error.class() {
            Class::Narrow | Class::Token | Class::Install | Class::Setting => SLOWLY,
            Class::Retry | Class::Reread => {
                error.retry_after().unwrap_or_else(|| self.backoff.after_failure())
            }
        };
        self.blocked_until = Some(Instant::now() + wait);
        wait
    }
}
