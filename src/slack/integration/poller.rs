//! One source, step by step: when the list is asked for, and what an answer means.

use std::time::Duration;

use tokio::time::Instant;

use super::bookmark::Bookmark;
use super::settings::Settings;
use super::walk::{ROWS, Walk};
use super::walker::{Part, Walker};
use crate::slack::Clock;
use crate::slack::Start;
use crate::slack::clock::seconds;
use crate::slack::http::{Answer, Clocks};
use crate::slack::patience::Patience;
use crate::slack::poller::CannotPoll;
use crate::slack::reply::Reply;
use crate::slack::rhythm::Rhythm;
use crate::slack::start::{FIRST_SECOND, TOLERATED_SKEW};
use crate::slack::step::{CaughtUp, Failed, Page, Pass, Probed, Step};
use crate::slack::web::Web;

/// Rows that are met are noted once a day: forgotten earlier, they would be told again.
const LEAST_MEMORY: Duration = Duration::from_secs(2 * 86_400);

/// Polls one integration log.
///
/// [`Poller::next`] yields what happened; what it yields is to be stored, with the bookmark, before it
/// is called again. After a failure to store, a new poller is made from the bookmark that is stored.
#[derive(Debug)]
pub struct Poller {
    web: Web,
    clock: Clock,
    filters: Vec<(&'static str, String)>,
    full_walk_every: i64,
    forget_after: i64,

    walker: Walker,
    /// The bookmark is new, and nobody was told.
    untold: bool,
    /// The start is by our own clock, and Slack has not shown its own.
    unchecked: bool,
    /// Slack's clock less ours, in seconds, as its last answer showed it.
    slack_ahead: Option<i64>,

    patience: Patience,
    rhythm: Rhythm,
    /// A walk has ended, and nobody was told: whether it was a full one.
    ended: Option<bool>,
}

impl Poller {
    /// A poller that goes on from `bookmark`, or begins at the settings' start where there is none.
    pub fn new(settings: &Settings, bookmark: Option<&[u8]>) -> Result<Self, CannotPoll> {
        let Settings { account, start, poll_every, full_walk_every, forget_after, .. } = settings;
        let now = account.clock.now();
        let filters = settings.filters();
        let chosen = chosen(&filters);
        let stored = bookmark.map(Bookmark::from_bytes).transpose()?;
        let (bookmark, unchecked) = match (&stored, start) {
            // Nothing was read yet: the operator may still choose another beginning.
            (Some(stored), Start::At(at)) if stored.walks == 0 => (Bookmark::at(*at, chosen), false),
            (Some(stored), _) => (stored.clone().choosing(chosen), false),
            (None, start) => (Bookmark::at(start.begin(now, FIRST_SECOND)?, chosen), start.is_by_our_clock()),
        };
        Ok(Self {
            web: Web::new(account),
            clock: account.clock.clone(),
            filters,
            full_walk_every: seconds(*full_walk_every),
            forget_after: seconds((*forget_after).max(LEAST_MEMORY)),
            untold: stored.as_ref() != Some(&bookmark),
            walker: Walker::new(bookmark, settings.only.change_type.is_none()),
            unchecked,
            slack_ahead: None,
            patience: Patience::new(),
            rhythm: Rhythm::new(*poll_every),
            ended: None,
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
        if let Some(full) = self.ended.take() {
            return Step::CaughtUp(self.caught_up(full));
        }
        if let Some(until) = self.patience.blocked_until(Instant::now()) {
            tokio::time::sleep_until(until).await;
        }
        let walk = match self.walker.walk() {
            Some(walk) => walk,
            None => self.begin().await,
        };
        let Answer { reply, clocks } = self.ask(walk).await;
        self.show_clocks(clocks);
        match reply {
            Ok(reply) => {
                self.patience.reset();
                let keys = self.walker.take(reply);
                if keys.is_empty() { Step::Page(self.compare(Vec::new())) } else { Step::Recall(keys) }
            }
            Err(error) => {
                let retry_in = self.patience.wait_after(&error);
                Step::Failed(Failed { error, retry_in, pass: Pass::Front })
            }
        }
    }

    /// Tells which rows of the page that was read last are new, by what is remembered of them.
    pub(in crate::slack) fn compare(&mut self, remembered: Vec<Option<Vec<u8>>>) -> Page {
        let Some(walk) = self.walker.walk() else { return self.nothing() };
        let Some(part) = self.walker.compare(remembered, self.clock.now()) else { return self.nothing() };
        let Part { entries, memos, not_entries, last } = part;
        if last {
            self.ended = Some(walk.full);
        }
        Page { entries, memos, not_entries, ..self.nothing() }
    }

    /// Asks for one row: does the token work?
    pub async fn probe(&self) -> Probed {
        self.page(1, 1, None).await.probed()
    }

    /// A page that moves nothing.
    fn nothing(&self) -> Page {
        Page { bookmark: self.walker.bookmark().to_bytes(), ..Page::default() }
    }

    /// Begins a walk when its time has come.
    async fn begin(&mut self) -> Walk {
        tokio::time::sleep_until(self.rhythm.next(Instant::now())).await;
        let now = Instant::now();
        self.rhythm.begin(now);
        // One that outlasts the period is followed by the next at once.
        self.rhythm.end(now);
        self.walker.begin(self.clock.now(), self.full_walk_every)
    }

    async fn ask(&self, walk: Walk) -> Answer<Reply> {
        self.page(ROWS, walk.page, walk.change_type()).await
    }

    async fn page(&self, count: u64, page: u64, change_type: Option<&str>) -> Answer<Reply> {
        let mut arguments = vec![("count", count.to_string()), ("page", page.to_string())];
        arguments.extend(self.filters.iter().cloned());
        arguments.extend(change_type.map(|change| ("change_type", change.to_owned())));
        self.web.page("team.integrationLogs", "logs", &arguments).await
    }

    /// Learns from Slack's clock: a start by ours would leave out, or bring, what it is off by.
    fn show_clocks(&mut self, clocks: Option<Clocks>) {
        let Some(ahead) = clocks.map(Clocks::slack_ahead) else { return };
        self.slack_ahead = Some(ahead);
        if std::mem::take(&mut self.unchecked) && ahead.unsigned_abs() > TOLERATED_SKEW {
            self.walker.move_start(ahead);
        }
    }

    fn caught_up(&mut self, full: bool) -> CaughtUp {
        let bookmark = self.walker.bookmark();
        let read_at = bookmark.read_at.unwrap_or(bookmark.start);
        let now = Instant::now();
        CaughtUp {
            up_to: read_at,
            next_poll_in: self.rhythm.next(now).saturating_duration_since(now),
            slack_ahead: self.slack_ahead,
            clock_behind: Duration::ZERO,
            // A full walk has met all that there are.
            forget_before: full.then(|| read_at.plus(-self.forget_after)),
            out_of_reach: self.walker.out_of_reach(),
        }
    }
}

/// The choice of rows as one text, by which a later choice is told apart.
fn chosen(filters: &[(&'static str, String)]) -> String {
    let words: Vec<_> = filters.iter().map(|(name, value)| format!("{name}={value}")).collect();
    words.join("&")
}
