//! One range of seconds, read once and by itself: for a comparison with what was read before.

use tokio::time::Instant;

use super::client::Client;
use super::settings::Settings;
use super::track::Track;
use super::walk::Part;
use super::window::Window;
use crate::event::Entry;
use crate::slack::error::SlackError;
use crate::slack::settings::BadSettings;
use crate::slack::{Clock, Failed, Pass};

/// Reads a range of seconds of one organization's audit log, within its budget.
#[derive(Debug)]
pub struct Range {
    client: Client,
    clock: Clock,
    track: Track,
    window: Window,
}

/// What happened.
#[derive(Debug)]
#[must_use]
pub enum RangeStep {
    /// Entries; one may come twice.
    Page {
        /// Oldest first.
        entries: Vec<Entry>,
        /// The seconds that were asked for.
        window: Window,
    },
    /// A request failed; the next call waits and tries again.
    Failed(Failed),
    /// All of it was read.
    End,
}

impl Range {
    /// Reads these seconds; they are to lie in the past, by Slack's clock too.
    ///
    /// # Errors
    /// The settings do not go together.
    pub fn new(settings: &Settings, window: Window) -> Result<Self, BadSettings> {
        let clock = settings.account.clock.clone();
        Ok(Self { client: Client::new(settings)?, clock, track: Track::new(window.oldest), window })
    }

    /// What happens next, waiting for it as long as it takes.
    pub async fn next(&mut self) -> RangeStep {
        loop {
            if let Some(until) = self.track.patience.blocked_until(Instant::now()) {
                tokio::time::sleep_until(until).await;
            }
            let Some(query) = self.track.walker.ask(self.window.latest, self.clock.now()) else {
                return RangeStep::End;
            };
            let error = match self.client.ask(&query).await.reply {
                Ok(reply) => match self.track.walker.take(reply) {
                    Ok(None) => continue,
                    Ok(Some(Part { entries, window, .. })) => {
                        self.track.patience.reset();
                        return RangeStep::Page { entries, window };
                    }
                    Err(stuck) => {
                        SlackError::Endless { oldest: stuck.window.oldest, latest: stuck.window.latest }
                    }
                },
                Err(error) => error,
            };
            if let Some(retry_in) = self.track.fail(&error) {
                return RangeStep::Failed(Failed { error, retry_in, pass: Pass::Verify });
            }
        }
    }
}
