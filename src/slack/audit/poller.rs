//! One source, step by step: which request comes next, and what its answer means.

use std::time::Duration;

use tokio::time::Instant;

use super::actions::ActionList;
use super::bookmark::Bookmark;
use super::client::{Client, Query};
use super::settings::Settings;
use super::track::Track;
use super::walk::{Counts, Part};
use super::window::Window;
use crate::event::UnixTime;
use crate::slack::clock::{Clock, seconds};
use crate::slack::error::{Class, SlackError};
use crate::slack::http::Clocks;
use crate::slack::poller::CannotPoll;
use crate::slack::rhythm::Rhythm;
use crate::slack::start::{Start, TOLERATED_SKEW};
use crate::slack::step::{CaughtUp, Failed, Page, Pass, Probed, Progress, Step};

/// The second in which Slack's audit log begins: 2018-03-01T00:00:00Z.
const FIRST_SECOND: UnixTime = UnixTime::from_seconds(1_519_862_400);

/// Below this, "settled" would mean nothing: clocks are read in whole seconds.
const LEAST_SETTLE: Duration = Duration::from_secs(2);

/// How far behind its goal a cycle may be when it reaches it and still counts as caught up.
const CAUGHT_UP_WITHIN: Duration = Duration::from_secs(60);

/// The part of `verify_after` for which seconds are gathered before they are verified.
const VERIFY_AT_LEAST_EVERY: i64 = 4;

/// Polls one organization's audit log.
///
/// [`Poller::next`] yields what happened; what it yields is to be stored, with the bookmark, before it
/// is called again. After a failure to store, a new poller is made from the bookmark that is stored.
#[derive(Debug)]
pub struct Poller {
    client: Client,
    clock: Clock,
    settle: i64,
    verify_after: Option<i64>,
    poll_every: Duration,

    bookmark: Bookmark,
    /// The bookmark is new, and nobody was told.
    untold: bool,
    /// The first second by our own clock, until Slack has shown its clock.
    unchecked: Option<UnixTime>,
    /// Slack's clock less ours, in seconds, as its last answer showed it.
    slack_ahead: Option<i64>,

    front: Track,
    verify: Track,
    cycle: Option<Cycle>,
    rhythm: Rhythm,
    /// Where the verification that is under way ends.
    verify_goal: Option<UnixTime>,
    /// Verification is owed a request before the next cycle.
    verify_first: bool,
}

/// From one poll to being caught up.
#[derive(Debug, Clone, Copy)]
struct Cycle {
    goal: UnixTime,
}

impl Poller {
    /// A poller that goes on from `bookmark`, or begins at the settings' start where there is none.
    pub fn new(settings: &Settings, bookmark: Option<&[u8]>) -> Result<Self, CannotPoll> {
        let client = Client::new(settings)?;
        let now = settings.account.clock.now();
        let stored = bookmark.map(Bookmark::from_bytes).transpose()?;
        let (bookmark, unchecked) = match (stored, settings.start) {
            // Nothing was read yet: the operator may still choose another beginning.
            (Some(stored), Start::At(at)) if stored.next == stored.start => (Bookmark::at(floor(at)), None),
            (Some(stored), _) => (stored, None),
            (None, start) => {
                let first = start.begin(now, FIRST_SECOND)?;
                (Bookmark::at(floor(first)), start.is_by_our_clock().then_some(first))
            }
        };
        Ok(Self {
            client,
            clock: settings.account.clock.clone(),
            settle: seconds(settings.settle.max(LEAST_SETTLE)),
            verify_after: settings.verify_after.map(seconds),
            poll_every: settings.poll_every,
            untold: stored != Some(bookmark),
            unchecked,
            slack_ahead: None,
            front: Track::new(bookmark.next),
            verify: Track::new(bookmark.verified),
            bookmark,
            cycle: None,
            rhythm: Rhythm::new(settings.poll_every),
            verify_goal: None,
            verify_first: false,
        })
    }

    /// What happens next, waiting for it as long as it takes.
    ///
    /// The very first step of a new source is an empty page, so that its beginning is stored before
    /// anything else. Dropped at any point, a call has lost nothing: the same question is asked again.
    pub async fn next(&mut self) -> Step {
        if std::mem::take(&mut self.untold) {
            return self.beginning();
        }
        loop {
            match self.turn() {
                Turn::Wait(until) => tokio::time::sleep_until(until).await,
                Turn::CaughtUp(caught_up) => return Step::CaughtUp(caught_up),
                Turn::Ask(pass, goal) => {
                    if let Some(step) = self.ask(pass, goal).await {
                        return step;
                    }
                }
            }
        }
    }

    /// Asks for one entry of the last hour: does the token work?
    pub async fn probe(&self) -> Probed {
        let latest = self.clock.now().plus(-self.settle);
        let window = Window { oldest: latest.plus(-3_600), latest };
        self.client.ask(&Query { window, limit: 1, cursor: None }).await.probed()
    }

    /// Slack's own list of actions, as it is now.
    ///
    /// # Errors
    /// Slack cannot be asked, or answers something else.
    pub async fn actions(&self) -> Result<ActionList, SlackError> {
        self.client.actions().await
    }

    /// What has been seen since the poller was made, both passes together.
    pub fn counts(&self) -> Counts {
        self.front.walker.counts() + self.verify.walker.counts()
    }

    /// Whether seconds wait by now to be read a second time.
    pub fn has_to_verify(&mut self) -> bool {
        matches!(self.verification(Instant::now()), Verification::Due(_))
    }

    /// A page that moves nothing.
    pub(in crate::slack) fn nothing(&self) -> Page {
        Page { bookmark: self.bookmark.to_bytes(), ..Page::default() }
    }

    fn beginning(&self) -> Step {
        let window = Window { oldest: self.bookmark.start, latest: self.bookmark.start.plus(-1) };
        let goal = self.horizon();
        let progress = Progress {
            pass: Pass::Front,
            window,
            complete: true,
            start: self.bookmark.start,
            next: self.bookmark.next,
            read_before: self.bookmark.next,
            asked_at: self.now(),
            goal,
            slack_ahead: self.slack_ahead,
        };
        Step::Page(Page { progress: Some(progress), ..self.nothing() })
    }

    /// Decides what to do, from the clocks and from how far things are.
    fn turn(&mut self) -> Turn {
        let now = Instant::now();
        if let Some(until) = self.front.patience.blocked_until(now) {
            return Turn::Wait(until);
        }
        if std::mem::take(&mut self.verify_first)
            && let Verification::Due(goal) = self.verification(now)
        {
            return Turn::Ask(Pass::Verify, goal);
        }
        let next_poll = self.rhythm.next(now);
        let due = next_poll <= now;
        if let Some(cycle) = self.cycle.or_else(|| due.then(|| self.begin_cycle(now))) {
            return self.follow(cycle, now);
        }
        match self.verification(now) {
            Verification::Due(goal) => Turn::Ask(Pass::Verify, goal),
            Verification::Later(until) => Turn::Wait(until.min(next_poll)),
            Verification::Never => Turn::Wait(next_poll),
        }
    }

    fn begin_cycle(&mut self, now: Instant) -> Cycle {
        self.rhythm.begin(now);
        self.go_back();
        Cycle { goal: self.horizon() }
    }

    /// Begins `settle` seconds before what was reached, at every new goal: so each second is read at
    /// least once when it is twice `settle` old.
    fn go_back(&mut self) {
        self.front.walker.begin(self.bookmark.next.plus(-self.settle).max(self.bookmark.start));
    }

    fn follow(&mut self, mut cycle: Cycle, now: Instant) -> Turn {
        if self.front.walker.at() > cycle.goal {
            let horizon = self.horizon();
            let behind = seconds(self.poll_every.max(CAUGHT_UP_WITHIN));
            if cycle.goal.plus(behind) > horizon {
                return self.end_cycle(cycle, now);
            }
            self.go_back();
            cycle.goal = horizon;
        }
        self.cycle = Some(cycle);
        Turn::Ask(Pass::Front, cycle.goal)
    }

    fn end_cycle(&mut self, cycle: Cycle, now: Instant) -> Turn {
        self.cycle = None;
        let next_poll = self.rhythm.end(now);
        self.verify_first = true;
        let up_to = self.bookmark.next.plus(-1);
        let read_some = self.bookmark.next > self.bookmark.start;
        let behind = if read_some { up_to.seconds().saturating_sub(cycle.goal.seconds()) } else { 0 };
        Turn::CaughtUp(CaughtUp {
            up_to,
            next_poll_in: next_poll - now,
            slack_ahead: self.slack_ahead,
            clock_behind: Duration::from_secs(u64::try_from(behind).unwrap_or(0)),
            forget_before: None,
            out_of_reach: 0,
        })
    }

    /// Whether there is something to verify now, or when there will be.
    fn verification(&mut self, now: Instant) -> Verification {
        let Some(after) = self.verify_after else { return Verification::Never };
        if let Some(until) = self.verify.patience.blocked_until(now) {
            return Verification::Later(until);
        }
        if let Some(goal) = self.verify_goal.filter(|goal| self.verify.walker.at() <= *goal) {
            return Verification::Due(goal);
        }
        let edge = self.now().plus(-after).min(self.bookmark.next.plus(-1));
        let waiting = edge.seconds() - self.bookmark.verified.seconds() + 1;
        // A window of verification is as long as fits a page, within a part of the age it is for.
        let least = seconds(self.poll_every).max(1);
        let wanted = self.verify.walker.span().min(after / VERIFY_AT_LEAST_EVERY).max(least);
        if waiting < wanted {
            let until = now + Duration::from_secs(u64::try_from(wanted - waiting).unwrap_or(1));
            return Verification::Later(until);
        }
        self.verify.walker.begin(self.bookmark.verified);
        self.verify_goal = Some(edge);
        Verification::Due(edge)
    }

    /// Makes one request. State changes only after the answer is there, so a drop changes nothing.
    async fn ask(&mut self, pass: Pass, goal: UnixTime) -> Option<Step> {
        let now = self.now();
        let query = self.track(pass).walker.ask(goal, now)?;
        let answer = self.client.ask(&query).await;
        let moved = answer.clocks.is_some_and(|clocks| self.show_clocks(clocks));
        // A clock that had jumped ahead must not make seconds older than they are.
        let now = self.now();
        self.track(pass).walker.asked_by(now);
        match answer.reply {
            Ok(_) if moved => None,
            Ok(reply) => match self.track(pass).walker.take(reply) {
                Ok(None) => None,
                Ok(Some(part)) => Some(self.page(pass, goal, part)),
                Err(stuck) => {
                    let Window { oldest, latest } = stuck.window;
                    self.fail(pass, SlackError::Endless { oldest, latest })
                }
            },
            Err(error) if moved && error.class() == Class::Narrow => None,
            Err(error) => self.fail(pass, error),
        }
    }

    /// Learns from Slack's clock; returns whether the window asked for was dropped because of it.
    fn show_clocks(&mut self, clocks: Clocks) -> bool {
        let ahead = clocks.slack_ahead();
        self.slack_ahead = Some(ahead);
        if let Some(ours) = self.unchecked.take()
            && ahead.unsigned_abs() > TOLERATED_SKEW
        {
            self.bookmark = Bookmark::at(floor(ours.plus(ahead)));
            self.front.walker.begin(self.bookmark.start);
            self.clip_goal();
            return true;
        }
        // One second's grace, for both clocks are cut to seconds.
        let settled = clocks.slack.plus(1 - self.settle);
        let cut = self.front.walker.cut(settled);
        if cut {
            self.clip_goal();
        }
        cut
    }

    fn clip_goal(&mut self) {
        let horizon = self.horizon();
        if let Some(cycle) = &mut self.cycle {
            cycle.goal = cycle.goal.min(horizon);
        }
    }

    fn page(&mut self, pass: Pass, goal: UnixTime, part: Part) -> Step {
        self.track(pass).patience.reset();
        let Part { entries, not_entries, window, complete, asked_at } = part;
        let read_before = self.bookmark.next;
        if complete {
            self.pass_by(pass, window, asked_at);
        }
        let Bookmark { start, next, .. } = self.bookmark;
        let slack_ahead = self.slack_ahead;
        let progress =
            Progress { pass, window, complete, start, next, read_before, asked_at, goal, slack_ahead };
        Step::Page(Page { entries, not_entries, progress: Some(progress), ..self.nothing() })
    }

    /// Moves the marks over a window that is done.
    fn pass_by(&mut self, pass: Pass, window: Window, asked_at: UnixTime) {
        let Bookmark { next, verified, .. } = &mut self.bookmark;
        if pass == Pass::Front {
            *next = (*next).max(window.latest.plus(1));
        }
        let good_until = match (pass, self.verify_after) {
            (_, None) => next.plus(-1),
            // A backfill's seconds are old when they are read first: once is enough.
            (Pass::Front | Pass::Verify, Some(after)) => window.latest.min(asked_at.plus(-after)),
        };
        if self.verify_after.is_none() || window.contains(*verified) {
            *verified = (*verified).max(good_until.plus(1));
        }
    }

    /// Decides what an error means: nothing more than another question, or a failure to tell of.
    fn fail(&mut self, pass: Pass, error: SlackError) -> Option<Step> {
        let retry_in = self.track(pass).fail(&error)?;
        Some(Step::Failed(Failed { error, retry_in, pass }))
    }

    fn track(&mut self, pass: Pass) -> &mut Track {
        match pass {
            Pass::Front => &mut self.front,
            Pass::Verify => &mut self.verify,
        }
    }

    /// The earlier of our clock and Slack's: a second is over when it is over by both.
    fn now(&self) -> UnixTime {
        self.clock.now().plus(self.slack_ahead.unwrap_or(0).min(0))
    }

    /// The last second that has settled.
    fn horizon(&self) -> UnixTime {
        self.now().plus(-self.settle)
    }
}

enum Turn {
    Wait(Instant),
    CaughtUp(CaughtUp),
    Ask(Pass, UnixTime),
}

enum Verification {
    Due(UnixTime),
    Later(Instant),
    Never,
}

fn floor(start: UnixTime) -> UnixTime {
    start.max(FIRST_SECOND)
}
