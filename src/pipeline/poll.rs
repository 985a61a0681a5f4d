//! Slack → store: one task a source.

use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{Mode, RunError};
use crate::slack::{self, Class, Failed, Page, Pass, Poller, SlackError, Step};
use crate::store::{Batch, Bookmark, SourceId, Store};
use crate::telemetry::chain;

/// A source, ready to be polled.
#[derive(Debug)]
pub(super) struct Source {
    name: SourceId,
    poller: Poller,
    polled: Polled,
    reading: watch::Sender<Reading>,
    /// Since when the catch-up has been silent.
    said: Instant,
    /// It was caught up before, and that is no news any more.
    current: bool,
    /// What was said of the last failure.
    failing: Option<String>,
    failures: u32,
}

/// What was read from a source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Polled {
    /// Entries stored.
    pub fresh: u64,
    /// Entries that were stored before, and not stored again.
    pub seen: u64,
    /// Of the fresh ones those that only a second reading found.
    pub late: u64,
    /// Elements of Slack's lists that are no entries.
    pub not_entries: u64,
}

/// How far a source has been read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reading {
    /// The counts.
    pub polled: Polled,
    /// The way of the present catch-up: its first second, the next one to read, the last one.
    pub way: Option<(i64, i64, i64)>,
}

/// A catch-up says where it is so often.
const SAY_EVERY: Duration = Duration::from_secs(60);
/// So many failures in a row end a run that is to end.
const PATIENCE: u32 = 5;

impl Source {
    pub(super) fn new(name: SourceId, poller: Poller) -> Self {
        let (reading, _) = watch::channel(Reading::default());
        let polled = Polled::default();
        Self {
            name,
            poller,
            polled,
            reading,
            said: Instant::now(),
            current: false,
            failing: None,
            failures: 0,
        }
    }

    pub(super) fn name(&self) -> &SourceId {
        &self.name
    }

    pub(super) fn reading(&self) -> watch::Receiver<Reading> {
        self.reading.subscribe()
    }

    /// Polls until stopped; in [`Mode::Once`], until it has caught up and verified what is due.
    pub(super) async fn run(
        mut self,
        store: Store,
        mode: Mode,
        stop: CancellationToken,
    ) -> Result<Polled, RunError> {
        let polling = async {
            // With `start = "now"` there is nothing to ask for at first, and a token that is refused
            // must not take minutes to show.
            if let Err(error) = self.poller.probe().await.outcome
                && is_refusal(&error)
            {
                self.failed(error, Duration::ZERO, mode)?;
            }
            let mut caught_up = false;
            loop {
                match self.poller.next().await {
                    Step::Page(page) => self.store(&store, page).await?,
                    Step::CaughtUp(how) => {
                        self.caught_up(&how);
                        caught_up = true;
                    }
                    Step::Failed(Failed { error, retry_in, pass: _ }) => {
                        self.failed(error, retry_in, mode)?;
                        continue;
                    }
                }
                // Started by cron, nobody else reads a second time what may have come late.
                if mode == Mode::Once && caught_up && !self.poller.has_to_verify() {
                    return Ok(());
                }
            }
        };
        // Cut off anywhere, nothing is lost: the bookmark moves only with what it covers.
        match stop.run_until_cancelled(polling).await {
            Some(Err(error)) => Err(error),
            Some(Ok(())) | None => Ok(self.polled),
        }
    }

    async fn store(&mut self, store: &Store, page: Page) -> Result<(), RunError> {
        let Page { entries, bookmark, not_entries, progress } = page;
        let batch = Batch { source: self.name.clone(), entries, bookmark: Bookmark::new(bookmark) };
        let appended = store.append(batch).await.map_err(RunError::Store)?;
        let (fresh, seen) = (appended.fresh as u64, appended.seen as u64);
        self.polled.fresh += fresh;
        self.polled.seen += seen;
        self.polled.not_entries += not_entries as u64;
        if not_entries > 0 {
            warn!(source = %self.name, count = not_entries, "Slack's list held elements that are no entries; they were passed over");
        }
        if progress.pass == Pass::Verify && fresh > 0 {
            self.polled.late += fresh;
            info!(source = %self.name, late = fresh, window = %progress.window, "entries had come late; they are delivered now");
        }
        // The page that only notes where a source begins was not asked for.
        if progress.window.seconds() > 0 {
            self.recovered();
        }
        let way = (progress.pass == Pass::Front)
            .then(|| (progress.start.seconds(), progress.next.seconds(), progress.goal.seconds()));
        self.reading.send_replace(Reading { polled: self.polled, way });
        if self.said.elapsed() >= SAY_EVERY && progress.pass == Pass::Front {
            self.said = Instant::now();
            self.current = false;
            info!(
                source = %self.name, up_to = %progress.next, until = %progress.goal, entries = self.polled.fresh,
                "catching up"
            );
        }
        Ok(())
    }

    fn caught_up(&mut self, caught_up: &slack::CaughtUp) {
        if !std::mem::replace(&mut self.current, true) {
            info!(source = %self.name, up_to = %caught_up.up_to, entries = self.polled.fresh, "caught up");
        }
        self.reading.send_replace(Reading { polled: self.polled, way: None });
        self.said = Instant::now();
        if caught_up.clock_behind > Duration::ZERO {
            warn!(
                source = %self.name, seconds = caught_up.clock_behind.as_secs(),
                "this machine's clock stands before what has been read already; nothing is read until it has passed that"
            );
        }
    }

    fn failed(&mut self, error: SlackError, retry_in: Duration, mode: Mode) -> Result<(), RunError> {
        self.failures += 1;
        let text = chain(&error);
        let refused = is_refusal(&error);
        let retry_in_s = retry_in.as_secs_f32();
        if self.failing.as_ref() != Some(&text) {
            if refused {
                error!(source = %self.name, retry_in_s, help = error.help(), "Slack refuses the source: {text}");
            } else {
                warn!(source = %self.name, retry_in_s, help = error.help(), "Slack could not be read: {text}");
            }
            self.failing = Some(text);
        }
        let source_name = self.name.clone();
        match mode {
            Mode::Once if refused => Err(RunError::Refused { source_name, source: error }),
            Mode::Once if self.failures >= PATIENCE => {
                Err(RunError::Unreadable { source_name, source: error })
            }
            Mode::Once | Mode::Forever => Ok(()),
        }
    }

    fn recovered(&mut self) {
        if self.failing.take().is_some() {
            info!(source = %self.name, failures = self.failures, "Slack can be read again");
        }
        self.failures = 0;
    }
}

/// Only a person can undo it.
fn is_refusal(error: &SlackError) -> bool {
    matches!(error.class(), Class::Token | Class::Install | Class::Setting)
}
