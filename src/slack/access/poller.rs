//! One source, step by step: which reading is due, and what an error means.

use std::time::Duration;

use tokio::time::Instant;

use super::bookmark::Bookmark;
use super::reader::{Reader, Which};
use super::settings::Settings;
use crate::event::UnixTime;
use crate::slack::clock::{Clock, seconds};
use crate::slack::error::{Class, SlackError};
use crate::slack::http::Clocks;
use crate::slack::patience::Patience;
use crate::slack::poller::CannotPoll;
use crate::slack::rhythm::Rhythm;
use crate::slack::start::{FIRST_SECOND, TOLERATED_SKEW};
use crate::slack::step::{CaughtUp, Failed, Page, Pass, Probed, Step};
use crate::slack::web::Web;

const METHOD: &str = "team.accessLogs";
const LIST: &str = "logins";

/// Polls the access log of one organization or workspace.
///
/// [`Poller::next`] yields what happened; what it yields is to be stored, with the bookmark, before it
/// is called again. After a failure to store, a new poller is made from the bookmark that is stored.
#[derive(Debug)]
pub struct Poller {
    web: Web,
    clock: Clock,
    rhythm: Rhythm,
    walk_every: i64,
    forget_after: i64,
    reader: Reader,
    patience: Patience,
    /// The bookmark is new, and nobody was told.
    untold: bool,
    /// The start was set by our own clock, and Slack has not shown its clock yet.
    unchecked: bool,
    /// Slack's clock less ours, in seconds, as its last answer showed it.
    slack_ahead: Option<i64>,
    /// A reading has ended, and nobody was told.
    caught_up: bool,
    /// Memos of before may be forgotten, for a walk has met what there is.
    forget_before: Option<UnixTime>,
}

impl Poller {
    /// A poller that goes on from `bookmark`, or begins at the settings' start where there is none.
    pub fn new(settings: &Settings, bookmark: Option<&[u8]>) -> Result<Self, CannotPoll> {
        let web = Web::new(&settings.account);
        let clock = settings.account.clock.clone();
        let stored = bookmark.map(Bookmark::from_bytes).transpose()?;
        let untold = stored.is_none();
        let bookmark = match stored {
            Some(stored) => stored,
            None => Bookmark::at(settings.start.begin(clock.now(), FIRST_SECOND)?),
        };
        Ok(Self {
            web,
            clock,
            rhythm: Rhythm::new(settings.poll_every),
            walk_every: seconds(settings.full_walk_every),
            forget_after: seconds(settings.forget_after),
            reader: Reader::new(bookmark, settings.team_id.clone()),
            patience: Patience::new(),
            untold,
            unchecked: untold && settings.start.is_by_our_clock(),
            slack_ahead: None,
            caught_up: false,
            forget_before: None,
        })
    }

    /// What happens next, waiting for it as long as it takes.
    ///
    /// The very first step of a new source is an empty page, so that its beginning is stored before
    /// anything else. Dropped at any point, a call has lost nothing: the same question is asked again.
    pub async fn next(&mut self) -> Step {
        if std::mem::take(&mut self.untold) {
            return Step::Page(self.nothing());
        }
        loop {
            // A page that nobody compared is still there.
            if let Some(keys) = self.reader.pending() {
                return Step::Recall(keys);
            }
            if let Some(circle) = self.reader.take_circle() {
                let error = SlackError::Endless { oldest: circle.at, latest: circle.at };
                return self.failed(error);
            }
            match self.turn() {
                Turn::Wait(until) => tokio::time::sleep_until(until).await,
                Turn::CaughtUp(caught_up) => return Step::CaughtUp(caught_up),
                Turn::Ask(which) => {
                    if let Some(step) = self.ask(which).await {
                        return step;
                    }
                }
            }
        }
    }

    /// Makes entries of the rows that [`Step::Recall`] told of.
    pub fn compare(&mut self, remembered: Vec<Option<Vec<u8>>>) -> Page {
        let before = self.reader.under_way();
        let page = self.reader.compare(remembered, self.clock.now());
        let is_over = before.is_some() && self.reader.under_way() != before;
        match before {
            Some(Which::Walk) if is_over => {
                self.caught_up = true;
                let begun = self.reader.bookmark().walked;
                self.forget_before = begun.map(|begun| begun.plus(-self.forget_after));
            }
            Some(Which::Poll) if is_over => {
                // A walk under way has its turn before the next poll is due.
                self.rhythm.end(Instant::now());
                // While the list is walked through, a poll alone has not read it.
                self.caught_up = self.reader.under_way().is_none();
            }
            _ => {}
        }
        page
    }

    /// Asks for one row: does the token work?
    pub async fn probe(&self) -> Probed {
        let arguments = [("count", "1".to_owned()), ("page", "1".to_owned())];
        let team_id = self.reader.team_id().map(|team_id| ("team_id", team_id.to_owned()));
        let arguments: Vec<_> = arguments.into_iter().chain(team_id).collect();
        self.web.page(METHOD, LIST, &arguments).await.probed()
    }

    /// A page that moves nothing.
    fn nothing(&self) -> Page {
        Page { bookmark: self.reader.bookmark().to_bytes(), ..Page::default() }
    }

    /// Decides what to do, from the clocks and from how far things are.
    fn turn(&mut self) -> Turn {
        let now = Instant::now();
        if let Some(until) = self.patience.blocked_until(now) {
            return Turn::Wait(until);
        }
        if self.reader.under_way() == Some(Which::Poll) {
            return Turn::Ask(Which::Poll);
        }
        if std::mem::take(&mut self.caught_up) {
            return self.say_caught_up(now);
        }
        let is_walking = self.reader.under_way().is_some();
        let walk_in = self.walk_in();
        if !is_walking && walk_in.is_zero() {
            // It begins where a poll would, and is one.
            self.rhythm.begin(now);
            self.rhythm.end(now);
            self.reader.begin_walk(self.now());
        } else if self.rhythm.next(now) <= now {
            self.rhythm.begin(now);
            self.reader.begin_poll(self.now());
        }
        match self.reader.under_way() {
            Some(which) => Turn::Ask(which),
            None => Turn::Wait(self.rhythm.next(now).min(now + walk_in)),
        }
    }

    fn say_caught_up(&mut self, now: Instant) -> Turn {
        let up_to = self.reader.bookmark().read_up_to().unwrap_or(self.reader.bookmark().start);
        let walk_in = self.walk_in();
        Turn::CaughtUp(CaughtUp {
            up_to,
            next_poll_in: self.rhythm.next(now).saturating_duration_since(now).min(walk_in),
            slack_ahead: self.slack_ahead,
            clock_behind: Duration::ZERO,
            forget_before: self.forget_before.take(),
            // A list that is too long is read on by `before`.
            out_of_reach: 0,
        })
    }

    /// How long until the next walk is due.
    fn walk_in(&self) -> Duration {
        let Some(walked) = self.reader.bookmark().walked else { return Duration::ZERO };
        let since = self.now().seconds().saturating_sub(walked.seconds());
        // A clock that was set back must not put it off.
        let left = if since < 0 { 0 } else { self.walk_every.saturating_sub(since) };
        Duration::from_secs(u64::try_from(left).unwrap_or(0))
    }

    /// Makes one request. State changes only after the answer is there, so a drop changes nothing.
    async fn ask(&mut self, which: Which) -> Option<Step> {
        let arguments = self.reader.arguments(which);
        let answer = self.web.page(METHOD, LIST, &arguments).await;
        if let Some(clocks) = answer.clocks {
            self.show_clocks(clocks);
        }
        match answer.reply {
            Ok(reply) => {
                self.patience.reset();
                self.reader.take(which, reply);
                None
            }
            Err(error) if wants_cursors(&error) && self.reader.fail_over(which) => None,
            Err(error) if error.class() == Class::Reread && self.reader.reject_cursor(which) => None,
            Err(error) => Some(self.failed(error)),
        }
    }

    fn failed(&mut self, error: SlackError) -> Step {
        let retry_in = self.patience.wait_after(&error);
        Step::Failed(Failed { error, retry_in, pass: Pass::Front })
    }

    fn show_clocks(&mut self, clocks: Clocks) {
        let ahead = clocks.slack_ahead();
        self.slack_ahead = Some(ahead);
        if std::mem::take(&mut self.unchecked) && ahead.unsigned_abs() > TOLERATED_SKEW {
            self.reader.correct_start(ahead);
        }
    }

    /// The earlier of our clock and Slack's: what comes later is met by the next reading.
    fn now(&self) -> UnixTime {
        self.clock.now().plus(self.slack_ahead.unwrap_or(0).min(0))
    }
}

enum Turn {
    Wait(Instant),
    CaughtUp(CaughtUp),
    Ask(Which),
}

/// Where Slack fails over its own pages, and advises cursors.
fn wants_cursors(error: &SlackError) -> bool {
    match error {
        SlackError::Server { status, .. } => *status == 500,
        SlackError::Refused(refused) => {
            let code = refused.said.code.as_ref().map(crate::slack::Code::as_str);
            matches!(code, Some("fatal_error" | "over_pagination_limit"))
        }
        _ => false,
    }
}
