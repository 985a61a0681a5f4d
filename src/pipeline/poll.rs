//! Slack → store: one task a source.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::late::Late;
use super::lateness::Lateness;
use super::refused::{Prospect, Refusals, is_refusal};
use super::setup::{self, SetupError};
use super::silence::{Quiet, Silence, Standpoint};
use super::standing::LastFault;
use super::voice::Voice;
use super::{Mode, RunError};
use crate::event::{Entry, UnixTime};
use crate::slack::oauth::Trouble;
use crate::slack::{self, Class, Clock, Failed, Page, Pass, Poller, RowKey, SlackError, Step};
use crate::store::{Batch, Bookmark, Memo, MemoKey, SourceId, Store};
use crate::telemetry::chain;

/// A source, ready to be polled.
#[derive(Debug)]
pub(super) struct Source {
    name: SourceId,
    /// What its pollers are told.
    polling: slack::Settings,
    poller: Poller,
    poll_every: Duration,
    polled: Polled,
    reading: watch::Sender<Reading>,
    /// Since when the catch-up has been silent.
    said: Instant,
    /// It was caught up before, and that is no news any more.
    current: bool,
    /// What was said of the last failure.
    failing: Option<String>,
    failures: u32,
    /// Listens whether there are entries; none where that is off.
    silence: Option<Silence>,
    /// How late entries come, where seconds are read.
    late: Option<Late>,
    /// Some of the source's rows are not to be had, and that was said.
    said_out_of_reach: bool,
    refusals: Refusals,
    /// The token was had anew, and Slack has not answered since.
    renewed: bool,
}

/// What was read from a source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Polled {
    /// Entries stored.
    pub fresh: u64,
    /// Entries that were stored before, and not stored again.
    pub seen: u64,
    /// Of the fresh ones those whose seconds had been read before without them.
    pub late: u64,
    /// Elements of Slack's lists that are no entries.
    pub not_entries: u64,
}

/// How far a source has been read, and how that goes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// What it is at.
    pub phase: Phase,
    /// The counts since the start.
    pub polled: Polled,
    /// The way of the present catch-up.
    pub way: Option<Way>,
    /// The last second that has been read; of a list, the one in which the newest reading to its end
    /// began.
    pub read_up_to: Option<UnixTime>,
    /// When Slack last answered with entries, or with the news that there are none.
    pub answered_at: Option<UnixTime>,
    /// When the newest entry that was read happened.
    pub newest_entry: Option<UnixTime>,
    /// The silence that was told and is not over.
    pub quiet: Option<Quiet>,
    /// How late entries come.
    pub lateness: Option<Lateness>,
    /// What follows from that for the source's settings.
    pub advice: Option<String>,
    /// The last failure, also when it is over.
    pub fault: Option<LastFault>,
    /// Why the token that works now will end, if so.
    #[serde(default)]
    pub token: Option<LastFault>,
}

/// What a source is at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Slack has not answered yet.
    #[default]
    Starting,
    /// It reads what has happened meanwhile.
    CatchingUp,
    /// All that has settled is read.
    CaughtUp,
    /// Slack could not be read; it is tried again.
    Failing,
    /// Slack refuses it, which only a person can undo.
    Refused,
}

/// A catch-up under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Way {
    /// Its first second.
    pub start: UnixTime,
    /// The next one to read.
    pub next: UnixTime,
    /// The last one.
    pub goal: UnixTime,
}

/// A catch-up says where it is so often.
const SAY_EVERY: Duration = Duration::from_secs(60);
/// So many failures in a row end a run that is to end.
const PATIENCE: u32 = 5;

impl Source {
    /// A source that stands there in the store.
    pub(super) fn new(
        name: SourceId,
        polling: slack::Settings,
        poller: Poller,
        poll_every: Duration,
        at: Standpoint,
        late: Option<Late>,
        silence: Option<Silence>,
    ) -> Self {
        let Standpoint { newest, read_up_to } = at;
        let (lateness, advice) = late.as_ref().map(Late::shown).unwrap_or_default();
        let quiet = silence.as_ref().and_then(Silence::quiet);
        let known =
            Reading { read_up_to, newest_entry: newest, quiet, lateness, advice, ..Reading::default() };
        let (reading, _) = watch::channel(known);
        let polled = Polled::default();
        Self {
            name,
            polling,
            poller,
            poll_every,
            polled,
            reading,
            said: Instant::now(),
            current: false,
            failing: None,
            failures: 0,
            silence,
            late,
            said_out_of_reach: false,
            refusals: Refusals::default(),
            renewed: false,
        }
    }

    pub(super) fn name(&self) -> &SourceId {
        &self.name
    }

    pub(super) fn reading(&self) -> watch::Receiver<Reading> {
        self.reading.subscribe()
    }

    pub(super) fn poll_every(&self) -> Duration {
        self.poll_every
    }

    /// Polls until stopped, beginning after `delay`; in [`Mode::Once`], until it has caught up and
    /// verified what is due.
    pub(super) async fn run(
        mut self,
        store: Store,
        mode: Mode,
        delay: Duration,
        stop: CancellationToken,
        voice: Voice,
    ) -> Result<Polled, RunError> {
        // By cron it would be the same event again and again.
        if mode == Mode::Once {
            self.silence = None;
        }
        let polling = async {
            tokio::time::sleep(delay).await;
            // With `start = "now"` there is nothing to ask for at first, and a token that is refused
            // must not take minutes to show.
            loop {
                match self.poller.probe().await.outcome {
                    Ok(()) => {
                        self.recovered(&voice);
                        self.answered();
                    }
                    Err(error) if is_refusal(&error) => {
                        self.refused(error, &store, mode, &voice).await?;
                        continue;
                    }
                    Err(_) => {}
                }
                break;
            }
            let mut caught_up = false;
            loop {
                let step = self.poller.next().await;
                self.look_at_token(&voice);
                match step {
                    Step::Page(page) => self.store(&store, page, &voice).await?,
                    Step::Recall(keys) => {
                        self.recovered(&voice);
                        self.answered();
                        let page = self.compare(&store, &keys).await?;
                        self.store(&store, page, &voice).await?;
                    }
                    Step::CaughtUp(how) => {
                        self.caught_up(&how);
                        self.forget(&store, how.forget_before).await?;
                        self.listen(how.up_to).await;
                        caught_up = true;
                    }
                    Step::Failed(Failed { error, .. }) if is_refusal(&error) => {
                        self.refused(error, &store, mode, &voice).await?;
                        continue;
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
        let ended = stop.run_until_cancelled(polling).await;
        if let Some(silence) = &mut self.silence {
            silence.keep().await;
        }
        match ended {
            Some(Err(error)) => Err(error),
            Some(Ok(())) | None => Ok(self.polled),
        }
    }

    /// Has rows compared with what is remembered of them.
    async fn compare(&mut self, store: &Store, keys: &[RowKey]) -> Result<Page, RunError> {
        let keys = keys.iter().map(|key| MemoKey(key.0)).collect();
        let memos = store.recall(&self.name, keys).await.map_err(RunError::Store)?;
        Ok(self.poller.compare(memos.into_iter().map(|memo| memo.map(|memo| memo.value)).collect()))
    }

    /// Forgets rows that were not met since then.
    async fn forget(&self, store: &Store, before: Option<UnixTime>) -> Result<(), RunError> {
        let Some(before) = before else { return Ok(()) };
        let rows = store.forget_memos(&self.name, before).await.map_err(RunError::Store)?;
        if rows > 0 {
            info!(source = %self.name, rows, last_met_before = %before, "forgot rows that have left Slack's list");
        }
        Ok(())
    }

    async fn store(&mut self, store: &Store, page: Page, voice: &Voice) -> Result<(), RunError> {
        let Page { entries, memos, bookmark, not_entries, progress } = page;
        let times: Vec<_> = entries.iter().map(Entry::at).collect();
        // A bookmark alone waits for no room, and shall not because of a memo.
        let lateness = self.late.as_ref().and_then(Late::memo).filter(|_| !entries.is_empty());
        let is_kept = lateness.is_some();
        let memos = memos.into_iter().map(stored).chain(lateness).collect();
        let late_before = progress.map(|progress| progress.read_before);
        let plain = Batch::new(self.name.clone(), entries, Bookmark::new(bookmark));
        let batch = Batch { memos, late_before, ..plain };
        let appended = store.append(batch).await.map_err(RunError::Store)?;
        let (fresh, seen) = (appended.fresh as u64, appended.seen as u64);
        self.polled.fresh += fresh;
        self.polled.seen += seen;
        self.polled.not_entries += not_entries as u64;
        if not_entries > 0 {
            warn!(source = %self.name, count = not_entries, "Slack's list held elements that are no entries; they were passed over");
        }
        if let (Some(progress), Some(late)) = (&progress, &mut self.late) {
            self.polled.late += appended.late.len() as u64;
            late.note(progress, &appended, is_kept);
        }
        if let Some(silence) = &mut self.silence {
            if let Some(progress) = &progress {
                silence.begin(progress.start);
            }
            let is_front = progress.is_none_or(|progress| progress.pass == Pass::Front);
            silence.read(&times, if is_front { appended.fresh } else { 0 });
        }
        // The page that only notes where a source begins was not asked for.
        if progress.is_some_and(|progress| progress.window.seconds() > 0) {
            self.recovered(voice);
            self.answered();
        }
        self.reading.send_modify(|reading| {
            reading.polled = self.polled;
            if let Some(late) = &self.late {
                (reading.lateness, reading.advice) = late.shown();
            }
            reading.newest_entry = reading.newest_entry.max(times.iter().max().copied());
            if let Some(slack::Progress { pass: Pass::Front, start, next, goal, .. }) = progress {
                reading.way = Some(Way { start, next, goal });
                reading.read_up_to = reading.read_up_to.max(Some(next.plus(-1)));
            }
        });
        if self.said.elapsed() >= SAY_EVERY && progress.is_none_or(|progress| progress.pass == Pass::Front) {
            self.said = Instant::now();
            self.current = false;
            if let Some(slack::Progress { next, goal, .. }) = progress {
                info!(source = %self.name, up_to = %next, until = %goal, entries = self.polled.fresh, "catching up");
            } else {
                info!(source = %self.name, entries = self.polled.fresh, "reading the list");
            }
        }
        Ok(())
    }

    fn caught_up(&mut self, caught_up: &slack::CaughtUp) {
        if !std::mem::replace(&mut self.current, true) {
            info!(source = %self.name, up_to = %caught_up.up_to, entries = self.polled.fresh, "caught up");
        }
        self.reading.send_modify(|reading| {
            // Where nothing has settled yet Slack was not asked, and a failure stands.
            if self.failing.is_none() {
                reading.phase = Phase::CaughtUp;
            }
            reading.way = None;
            reading.read_up_to = reading.read_up_to.max(Some(caught_up.up_to));
        });
        self.said = Instant::now();
        let is_beyond = caught_up.out_of_reach > 0;
        if is_beyond && !self.said_out_of_reach {
            warn!(
                source = %self.name, rows = caught_up.out_of_reach,
                help = "read it in parts: a source for each workspace, user, app or type of change",
                "Slack's list is longer than Slack hands out; what stands beyond that is not read"
            );
        }
        self.said_out_of_reach = is_beyond;
        if caught_up.clock_behind > Duration::ZERO {
            warn!(
                source = %self.name, seconds = caught_up.clock_behind.as_secs(),
                "this machine's clock stands before what has been read already; nothing is read until it has passed that"
            );
        }
    }

    /// Asks whether the source is quiet, now that all is read up to that second.
    async fn listen(&mut self, up_to: UnixTime) {
        if self.failing.is_none()
            && let Some(silence) = &mut self.silence
        {
            silence.look(up_to).await;
            let quiet = silence.quiet();
            self.reading.send_if_modified(|reading| std::mem::replace(&mut reading.quiet, quiet) != quiet);
        }
    }

    /// Waits until it is worth asking again what Slack has refused, and begins anew at the bookmark.
    async fn refused(
        &mut self,
        error: SlackError,
        store: &Store,
        mode: Mode,
        voice: &Voice,
    ) -> Result<(), RunError> {
        let account = self.polling.account().clone();
        let token = account.token.clone();
        // It may have been replaced where it is kept: then there is nothing to tell.
        let may_be_another = error.class() == Class::Token && !std::mem::replace(&mut self.renewed, true);
        let renewed = if may_be_another { token.renew().await } else { Ok(false) };
        if let Ok(true) = renewed {
            debug!(source = %self.name, "Slack refused the token, and there is another one by now: {}", chain(&error));
        } else {
            let error = match renewed {
                // Why there is no other one says more than that this one is dead.
                Err(why) if is_refusal(&why) => why,
                _ => slack::diagnosed(error, self.polling.log(), &account).await,
            };
            let wait = self.refusals.wait();
            if mode == Mode::Forever {
                self.refusals.refused(&self.name, &error, &token, voice);
            }
            self.failed(error, wait, mode)?;
            tokio::select! {
                () = token.replaced() => {
                    info!(source = %self.name, "there is another token: Slack is asked at once");
                }
                () = tokio::time::sleep(wait) => {}
            }
        }
        let bookmark = store.bookmark(&self.name).await.map_err(RunError::Store)?;
        let bookmark = bookmark.as_ref().map(Bookmark::as_bytes);
        self.poller = setup::poller_of(self.name.as_str(), &self.polling, bookmark)
            .map_err(|error| unpolled(&error))?;
        Ok(())
    }

    /// Tells of a token that works and will end.
    fn look_at_token(&mut self, voice: &Voice) {
        let token = &self.polling.account().token;
        match self.refusals.look_at(token, &self.name, voice) {
            Prospect::Fine | Prospect::Ending { is_told: true, .. } => {}
            Prospect::Mended => {
                info!(source = %self.name, "the token is refreshed in time again");
                self.reading.send_modify(|reading| reading.token = None);
            }
            Prospect::Ending { trouble, .. } => {
                let Trouble { what, help, ends_at, .. } = trouble;
                warn!(source = %self.name, %ends_at, help, "the token works and will end, and is followed by none: {what}");
                let fault = LastFault {
                    at: Clock::system().now(),
                    failures: 1,
                    what: format!("it ends at {ends_at}: {what}"),
                    help: Some(help),
                };
                self.reading.send_modify(|reading| reading.token = Some(fault));
            }
        }
    }

    fn failed(&mut self, error: SlackError, retry_in: Duration, mode: Mode) -> Result<(), RunError> {
        self.failures += 1;
        let text = chain(&error);
        let refused = is_refusal(&error);
        let retry_in_s = retry_in.as_secs_f32();
        let help = error.cure(&self.polling.account().token);
        self.reading.send_modify(|reading| {
            reading.phase = if refused { Phase::Refused } else { Phase::Failing };
            reading.fault = Some(LastFault {
                at: Clock::system().now(),
                failures: self.failures,
                what: text.clone(),
                help: Some(help.clone()),
            });
        });
        if self.failing.as_ref() != Some(&text) {
            if refused {
                error!(source = %self.name, retry_in_s, help, "Slack refuses the source: {text}");
            } else {
                warn!(source = %self.name, retry_in_s, help, "Slack could not be read: {text}");
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

    /// Notes that Slack gave an answer that is none of an error.
    fn answered(&self) {
        self.reading.send_modify(|reading| {
            reading.answered_at = Some(Clock::system().now());
            if reading.phase != Phase::CaughtUp {
                reading.phase = Phase::CatchingUp;
            }
        });
    }

    fn recovered(&mut self, voice: &Voice) {
        self.renewed = false;
        self.refusals.let_in(&self.name, voice);
        if self.failing.take().is_some() {
            info!(source = %self.name, failures = self.failures, "Slack can be read again");
        }
        self.failures = 0;
    }
}

/// What a poller wants remembered, as the store keeps it.
fn stored(memo: slack::Memo) -> Memo {
    let slack::Memo { key, value, at } = memo;
    Memo { key: MemoKey(key.0), value, at }
}

/// It was tried before with the same settings.
fn unpolled(error: &SetupError) -> RunError {
    RunError::Bug(chain(error))
}
