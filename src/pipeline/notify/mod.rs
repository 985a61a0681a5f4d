//! Store → mapping → a Slack channel: one task a notice.
//!
//! ```text
//!  reader ──▶ map, `when` ──▶ Pending: grouped, bounded ──window──▶ one message at a time ──▶ webhook
//!     └─ settled within seconds, told or not            ◀── given back where Slack does not take it
//! ```
//!
//! **Invariant:** never in the way of delivery: the position in the store moves on within
//! [`HOLD`], whatever the webhook does; what waits is bounded, and beyond that counted alone.
//! **Invariant:** at most one message a second, and none while Slack asks for silence.
//! **Invariant:** a webhook that takes nothing is told once, in the log and as an own event, and then
//! tried slowly: it raises no second one before it has taken something.

mod standing;

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::own::OwnEvent;
use super::standing::LastFault;
use super::voice::Voice;
use crate::cef::Event;
use crate::mapping::{Plans, Scratch, When};
use crate::net::Backoff;
use crate::notice::{Happening, Parcel, Pending};
use crate::slack::{Clock, Verdict, Webhook, WebhookError};
use crate::store::{Lease, Reader, ReaderName, Store, StoreError};
use crate::telemetry::chain;

pub use standing::{NoticeStanding, NoticeState, NoticeStatus};

/// A notice, ready to be told.
pub(super) struct Notice {
    name: String,
    store: Store,
    reader: Reader,
    selection: Selection,
    webhook: Webhook,
    /// How long events are gathered.
    window: Duration,
    pending: Pending,
    /// What is on its way, and its answer.
    in_flight: Option<Parcel>,
    posting: JoinSet<Result<(), WebhookError>>,
    /// When what is pending was gathered long enough.
    gathered: Option<Instant>,
    /// No message goes out before.
    not_before: Instant,
    backoff: Backoff,
    /// Blocks were not taken: the same goes out as text.
    in_text: bool,
    /// The store held nothing more when it was last looked at.
    is_dry: bool,
    /// Read, and not settled yet, with when it was read.
    held: VecDeque<(Instant, Lease)>,
    settled: Instant,
    trouble: Option<Trouble>,
    shown: NoticeStanding,
    standing: watch::Sender<NoticeStanding>,
    /// Whom troubles are told to; nobody in a single pass, which would tell them by cron.
    voice: Option<Voice>,
}

/// Which events are told.
pub(super) struct Selection {
    plans: watch::Receiver<Arc<Plans>>,
    when: When,
    scratch: Scratch,
    event: Event,
}

/// A webhook that takes nothing.
#[derive(Debug)]
struct Trouble {
    since: Instant,
    failures: u32,
    said: String,
    said_at: Instant,
    /// An own event told it.
    is_told: bool,
    state: NoticeState,
}

/// The ends of one notice.
#[derive(Debug, Clone, Default)]
pub(super) struct NoticeEnds {
    /// Another one takes its place: what is pending is handed over.
    pub(super) leave: CancellationToken,
    /// All is stored that ever will be: it is told, and that is the end.
    pub(super) last: CancellationToken,
    /// The end, at once.
    pub(super) give_up: CancellationToken,
}

/// Entries read at once.
const BATCH: NonZeroUsize = NonZeroUsize::new(500).unwrap();
/// So long a restart finds again what was read and not told.
const HOLD: Duration = Duration::from_secs(5);
/// Leases that may be held for that.
const MOST_HELD: usize = 1_000;
/// The position is stored at most so often.
const SETTLE_EVERY: Duration = Duration::from_secs(1);
/// Slack's limit for a webhook: a message a second.
const EVERY: Duration = Duration::from_secs(1);
/// A webhook that a person must see to is tried again so often.
const SLOWLY: Duration = Duration::from_secs(3600);
/// A failure that goes on is said again so often.
const SAY_EVERY: Duration = Duration::from_secs(3600);
/// Trouble that may pass is told the SIEM when it has lasted so long.
const TELL_AFTER: Duration = Duration::from_secs(600);
/// The last message may take so long.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// With nothing to do there is nothing to look after.
const IDLE: Duration = Duration::from_secs(60);

impl Selection {
    pub(super) fn new(plans: watch::Receiver<Arc<Plans>>, when: When) -> Self {
        Self { plans, when, scratch: Scratch::new(), event: Event::new() }
    }

    /// What of the lease is to be told.
    fn choose(&mut self, lease: &Lease, mut wanted: impl FnMut(Happening)) {
        let plans = Arc::clone(&self.plans.borrow_and_update());
        for (source, entries) in lease.by_source() {
            for entry in entries {
                let plan = plans.plan(entry.log(), entry.action().as_str());
                let is_dropped = plan.apply(entry, &mut self.scratch, &mut self.event).dropped.is_some();
                if !is_dropped && self.when.holds(&self.event, entry, source.as_str()) {
                    wanted(Happening::of(&self.event, entry, source.as_str()));
                }
            }
        }
    }
}

impl Notice {
    /// A notice that gathers events for `window`, and counts alone those older than `fresh`.
    pub(super) fn new(
        name: String,
        store: Store,
        reader: Reader,
        selection: Selection,
        webhook: Webhook,
        window: Duration,
        fresh: Duration,
    ) -> Self {
        let now = Instant::now();
        Self {
            pending: Pending::new(format!("slackcef, notice {name}"), fresh),
            name,
            store,
            reader,
            selection,
            webhook,
            window,
            in_flight: None,
            posting: JoinSet::new(),
            gathered: None,
            not_before: now,
            backoff: Backoff::new(Duration::from_secs(1), Duration::from_secs(300)),
            in_text: false,
            is_dry: false,
            held: VecDeque::new(),
            settled: now,
            trouble: None,
            shown: NoticeStanding { since: Some(Clock::system().now()), ..NoticeStanding::default() },
            standing: watch::Sender::default(),
            voice: None,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The name of its reader.
    pub(super) fn reader(&self) -> &ReaderName {
        self.reader.name()
    }

    /// The webhook's machine; the rest of its address is a secret.
    pub(super) fn host(&self) -> &str {
        self.webhook.address().host()
    }

    /// How it stands, as that changes.
    pub(super) fn standing(&self) -> watch::Receiver<NoticeStanding> {
        self.standing.subscribe()
    }

    /// Tells until its end, and first what one before it could not; gives what is still to be told.
    /// Troubles are told to `voice`.
    pub(super) async fn run(
        mut self,
        untold: Option<Pending>,
        voice: Option<Voice>,
        ends: NoticeEnds,
    ) -> Pending {
        self.pending = untold.unwrap_or(self.pending);
        self.voice = voice;
        if let Err(error) = self.tell(&ends).await {
            // Where it concerns more than this notice, all comes to its end by the others.
            error!(
                notice = self.name,
                help = error.help(),
                "the notice ends, everything else goes on: {}",
                chain(&error)
            );
        }
        let NoticeStanding { messages, events, .. } = self.shown;
        let pending = self.pending.events();
        info!(notice = self.name, messages, events, pending, "notice ended");
        self.pending
    }

    async fn tell(&mut self, ends: &NoticeEnds) -> Result<(), StoreError> {
        let (mut is_leaving, mut is_last, mut deadline) = (false, false, None);
        loop {
            if !self.is_dry && !is_leaving {
                self.read().await?;
            }
            let now = Instant::now();
            if is_last {
                self.gathered = Some(now);
            }
            if !is_leaving {
                self.post(now);
            }
            self.settle(now, false).await?;
            self.show();
            let is_silent =
                is_leaving || self.pending.is_empty() || deadline.is_some_and(|at| self.not_before > at);
            let is_done = self.posting.is_empty() && is_silent && (is_leaving || self.is_dry);
            if let Some(deadline) = deadline
                && (is_done || now >= deadline)
            {
                return self.end(is_leaving).await;
            }
            let wake = self.wake(now).min(deadline.unwrap_or(now + IDLE));
            tokio::select! {
                biased;
                () = ends.give_up.cancelled() => return Ok(()),
                Some(ended) = self.posting.join_next() => match ended {
                    Ok(answer) => self.answered(answer),
                    Err(broken) => {
                        error!(notice = self.name, "a message broke off: {broken}");
                        self.take_back();
                        self.not_before = Instant::now() + self.backoff.after_failure();
                    }
                },
                () = ends.leave.cancelled(), if !is_leaving => {
                    is_leaving = true;
                    deadline = Some(Instant::now() + LAST_WORDS);
                }
                () = ends.last.cancelled(), if !is_last && !is_leaving => {
                    (is_last, self.is_dry) = (true, false);
                    deadline = Some(Instant::now() + LAST_WORDS);
                }
                grown = self.reader.grown(), if self.is_dry && !is_last && !is_leaving => {
                    grown?;
                    self.is_dry = false;
                }
                () = sleep_until(wake.into()) => {}
                () = std::future::ready(()), if !self.is_dry && !is_leaving => {}
            }
        }
    }

    /// Notes what it was told, so that it is not told again; what was not, where another one tells it.
    async fn end(&mut self, is_handed_over: bool) -> Result<(), StoreError> {
        self.posting.abort_all();
        self.take_back();
        self.settle(Instant::now(), is_handed_over || self.pending.is_empty()).await?;
        self.show();
        Ok(())
    }

    /// Reads the next entries and keeps what is to be told of them.
    async fn read(&mut self) -> Result<(), StoreError> {
        let mut lease = match self.reader.try_next(BATCH).await {
            Ok(Some(lease)) => lease,
            Ok(None) => {
                self.is_dry = true;
                return Ok(());
            }
            // The destinations tell it.
            Err(StoreError::Lost(_)) => return Ok(()),
            Err(error) => return Err(error),
        };
        let now = Clock::system().now();
        self.selection.choose(&lease, |happening| self.pending.add(happening, now));
        lease.release();
        self.held.push_back((Instant::now(), lease));
        Ok(())
    }

    /// Gives back to the store what was told, and what was held long enough.
    async fn settle(&mut self, now: Instant, all: bool) -> Result<(), StoreError> {
        let is_told = self.pending.is_empty() && self.in_flight.is_none();
        let due = now.duration_since(self.settled) >= SETTLE_EVERY;
        if self.held.is_empty() || !(due || all) {
            return Ok(());
        }
        let count = if all || is_told || self.store.usage().full.is_some() {
            self.held.len()
        } else {
            let old = self.held.iter().take_while(|(read, _)| now.duration_since(*read) >= HOLD).count();
            old.max(self.held.len().saturating_sub(MOST_HELD))
        };
        if count == 0 {
            return Ok(());
        }
        self.settled = now;
        let leases = self.held.drain(..count).map(|(_, lease)| lease);
        match self.reader.settle_all(leases).await {
            Err(error @ StoreError::DiskFull { .. }) => {
                debug!(notice = self.name, "what is told cannot be noted: {}", chain(&error));
                Ok(())
            }
            settled => settled,
        }
    }

    /// Begins to post the next message, if it is time for one.
    fn post(&mut self, now: Instant) {
        if self.pending.is_empty() {
            self.gathered = None;
            return;
        }
        let gathered = *self.gathered.get_or_insert(now + self.window);
        if gathered > now || self.not_before > now || !self.posting.is_empty() {
            return;
        }
        let parcel = self.pending.take();
        let message = if self.in_text { parcel.plain_message() } else { parcel.message() };
        let webhook = self.webhook.clone();
        self.posting.spawn(async move { webhook.post(message).await });
        self.in_flight = Some(parcel);
    }

    /// What was on its way is pending again.
    fn take_back(&mut self) {
        if let Some(parcel) = self.in_flight.take() {
            self.pending.give_back(parcel);
        }
    }

    /// The one place that decides what follows an answer.
    fn answered(&mut self, answer: Result<(), WebhookError>) {
        let now = Instant::now();
        let error = match answer {
            Ok(()) => return self.delivered(now),
            Err(error) => error,
        };
        let (wait, state) = match error.verdict() {
            Verdict::Again => {
                self.take_back();
                let wait = error.retry_after().unwrap_or_else(|| self.backoff.after_failure());
                let is_limit = matches!(error, WebhookError::RateLimited { .. });
                (wait, if is_limit { NoticeState::Held } else { NoticeState::Failing })
            }
            Verdict::Person => {
                self.take_back();
                (SLOWLY, NoticeState::Refused)
            }
            Verdict::Message if !self.in_text => {
                self.take_back();
                self.in_text = true;
                debug!(notice = self.name, "the message goes out again as text: {}", chain(&error));
                (EVERY, NoticeState::Failing)
            }
            Verdict::Message => {
                if let Some(parcel) = self.in_flight.take() {
                    self.pending.give_up(parcel);
                }
                self.in_text = false;
                (self.backoff.after_failure(), NoticeState::Failing)
            }
        };
        self.not_before = now + wait.max(EVERY);
        self.failed(&error, state, now);
    }

    fn delivered(&mut self, now: Instant) {
        self.not_before = now + EVERY;
        self.backoff.reset();
        self.in_text = false;
        let told = self.in_flight.take().map_or(0, |parcel| parcel.events());
        self.shown.messages += 1;
        self.shown.events = self.shown.events.saturating_add(told);
        self.shown.told_at = Some(Clock::system().now());
        let Some(trouble) = self.trouble.take() else { return };
        let lasted = trouble.since.elapsed();
        info!(
            notice = self.name,
            lasted_s = lasted.as_secs(),
            failures = trouble.failures,
            "the webhook takes notices again"
        );
        if trouble.is_told
            && let Some(voice) = &self.voice
        {
            voice.say(OwnEvent::notice_recovered(&self.name, lasted));
        }
    }

    fn failed(&mut self, error: &WebhookError, state: NoticeState, now: Instant) {
        let text = chain(error);
        let news = self.trouble.is_none();
        let trouble = self.trouble.get_or_insert_with(|| Trouble {
            since: now,
            failures: 0,
            said: String::new(),
            said_at: now,
            is_told: false,
            state,
        });
        trouble.failures = trouble.failures.saturating_add(1);
        trouble.state = state;
        self.shown.fault = Some(LastFault {
            at: Clock::system().now(),
            failures: trouble.failures,
            what: text.clone(),
            help: Some(error.help().to_owned()),
        });
        // Neither Slack's limit nor blocks that go out again as text are trouble unless it goes on.
        let is_quiet = news && (state == NoticeState::Held || self.in_text);
        if (trouble.said != text || trouble.said_at.elapsed() >= SAY_EVERY) && !is_quiet {
            warn!(
                notice = self.name,
                failures = trouble.failures,
                help = error.help(),
                "the webhook takes no notice, what is to be told waits: {text}"
            );
            (trouble.said, trouble.said_at) = (text.clone(), now);
        }
        let is_lasting = state == NoticeState::Refused
            || (error.verdict() == Verdict::Message && !self.in_text)
            || trouble.since.elapsed() >= TELL_AFTER;
        if is_lasting && !trouble.is_told {
            trouble.is_told = true;
            if let Some(voice) = &self.voice {
                voice.say(OwnEvent::notice_refused(&self.name, error.reason(), &text, error.help()));
            }
        }
    }

    /// When there is something to do at the latest.
    fn wake(&self, now: Instant) -> Instant {
        let mut wake = now + IDLE;
        if let Some(gathered) = self.gathered.filter(|_| self.posting.is_empty()) {
            wake = wake.min(gathered.max(self.not_before));
        }
        if let Some((read, _)) = self.held.front() {
            let is_told = self.pending.is_empty() && self.in_flight.is_none();
            let old = if is_told { *read } else { *read + HOLD };
            wake = wake.min(old.max(self.settled + SETTLE_EVERY));
        }
        wake
    }

    /// Shows how it stands, where that has changed.
    fn show(&mut self) {
        let on_its_way = self.in_flight.as_ref().map_or(0, Parcel::events);
        self.shown.pending = self.pending.events().saturating_add(on_its_way);
        let state = match &self.trouble {
            Some(trouble) => trouble.state,
            None if self.shown.pending > 0 => NoticeState::Gathering,
            None => NoticeState::Idle,
        };
        if state != self.shown.state {
            (self.shown.state, self.shown.since) = (state, Some(Clock::system().now()));
        }
        self.standing.send_if_modified(|known| {
            let changed = *known != self.shown;
            known.clone_from(&self.shown);
            changed
        });
    }
}

impl std::fmt::Debug for Notice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Notice").field("name", &self.name).finish_non_exhaustive()
    }
}
