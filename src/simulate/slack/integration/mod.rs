//! The integration log of a simulated Slack: `team.integrationLogs`, in whatever order the plan says.
//!
//! Rows have no ids and stand in a list that grows, at its top, at its end or anywhere, while it is
//! read. Made-up rows say a `service_id` now as a number and now as a text.

mod made;

use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use super::answer::Answer;
use super::dice::Dice;
use super::facts;
use super::fault::{Fault, Trouble};
use super::grants::{Api, Refused};
use super::plan::RateLimit;
use super::request::Request;
use crate::event::UnixTime;
use made::Made;

/// What a simulated integration log holds and how it behaves.
///
/// The default is a well-behaved one without rows, newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct IntegrationLog {
    /// Where a new row comes to stand.
    pub order: Order,
    /// Rows as JSON text, one object each, the oldest first; served byte for byte.
    pub given: Vec<String>,
    /// So many rows are made up …
    pub count: u64,
    /// … over so long a time, which ends at the simulator's start …
    pub over: Duration,
    /// … and so many a second from then on.
    pub per_second: f64,
    /// Of so many made-up rows each last one is the same as the one before it; 0 for never.
    pub twin_every: u64,
    /// Names that try to forge lines, frames and fields.
    pub hostile: bool,
    /// No page holds more rows than this, whatever `count` asks for.
    pub largest: usize,
    /// What the token may do: without `admin` it is refused with `missing_scope`.
    pub scopes: String,
    /// The workspace that a request has to name, as with the token of an organization.
    pub team: Option<String>,
    /// Answers 429 to whoever asks too often.
    pub rate_limit: Option<RateLimit>,
    /// What goes wrong, and when; requests for this log are counted on their own.
    pub faults: Vec<Fault>,
}

impl Default for IntegrationLog {
    fn default() -> Self {
        Self {
            order: Order::NewestFirst,
            given: Vec::new(),
            count: 0,
            over: Duration::from_secs(7 * 86_400),
            per_second: 0.0,
            twin_every: 50,
            hostile: false,
            largest: MOST_ROWS,
            scopes: "identify,admin".to_owned(),
            team: None,
            rate_limit: None,
            faults: Vec::new(),
        }
    }
}

/// The order of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// A new row is the first.
    #[default]
    NewestFirst,
    /// A new row is the last.
    OldestFirst,
    /// A new row stands anywhere.
    Shuffled,
}

/// The most rows that Slack hands out in one page.
pub(super) const MOST_ROWS: usize = 1_000;
/// The last page that Slack hands out.
const MOST_PAGES: usize = 100;
/// The rows of a page where a request does not say how many.
const USUAL_ROWS: usize = 100;

/// The list, as it is by now.
#[derive(Debug)]
pub(super) struct Rows {
    of: IntegrationLog,
    made: Made,
    /// From one live row to the next.
    gap: Option<Duration>,
    start: i64,
    seed: u64,
    list: RwLock<List>,
}

#[derive(Debug, Default)]
struct List {
    /// In the order in which they are shown.
    rows: Vec<Row>,
    /// Made-up rows among them.
    made: u64,
}

#[derive(Debug)]
struct Row {
    text: String,
    /// Ids in it may change their type.
    made: bool,
}

impl Rows {
    pub(super) fn new(of: IntegrationLog, seed: u64, now: i64) -> Self {
        let made = Made { seed, twin_every: of.twin_every, hostile: of.hostile };
        let gap = Duration::try_from_secs_f64(1.0 / of.per_second).ok().filter(|gap| !gap.is_zero());
        let rows = Self { made, gap, start: now, seed, list: RwLock::default(), of };
        for raw in &rows.of.given {
            rows.add(raw.clone());
        }
        rows
    }

    /// Takes in one more row.
    pub(super) fn add(&self, text: String) {
        let mut list = self.list.write().unwrap_or_else(PoisonError::into_inner);
        self.insert(&mut list, Row { text, made: false });
    }

    /// Every row that there is by now, as its text, in the list's order.
    pub(super) fn texts(&self, now: i64) -> Vec<String> {
        self.grow(now);
        let list = self.list.read().unwrap_or_else(PoisonError::into_inner);
        list.rows.iter().map(|row| row.text.clone()).collect()
    }

    fn insert(&self, list: &mut List, row: Row) {
        let place = match self.of.order {
            Order::NewestFirst => 0,
            Order::OldestFirst => list.rows.len(),
            Order::Shuffled => {
                let dice = Dice::new(self.seed, list.rows.len() as u64).below(list.rows.len() as u64 + 1);
                usize::try_from(dice).unwrap_or(0)
            }
        };
        list.rows.insert(place, row);
    }

    /// Makes up the rows that are due.
    fn grow(&self, now: i64) {
        let live = u128::try_from(now.saturating_sub(self.start)).unwrap_or(0) * 1_000_000_000;
        let live = self.gap.and_then(|gap| live.checked_div(gap.as_nanos())).unwrap_or(0);
        let due = self.of.count.saturating_add(u64::try_from(live).unwrap_or(u64::MAX));
        let mut list = self.list.write().unwrap_or_else(PoisonError::into_inner);
        while list.made < due {
            let index = self.made.model(list.made);
            list.made += 1;
            self.insert(&mut list, Row { text: self.made.row(index, self.at(index)), made: true });
        }
    }

    /// When a made-up row happened.
    fn at(&self, index: u64) -> i64 {
        let whole = |seconds: u128| i64::try_from(seconds).unwrap_or(i64::MAX);
        let Some(left) = self.of.count.checked_sub(index + 1) else {
            let nth = u128::from(index - self.of.count) + 1;
            let since = self.gap.unwrap_or_default().as_nanos().saturating_mul(nth);
            return self.start.saturating_add(whole(since.div_ceil(1_000_000_000)));
        };
        let ago = u128::from(self.of.over.as_secs()) * u128::from(left) / u128::from(self.of.count);
        self.start.saturating_sub(whole(ago))
    }

    /// The page that a request asks for.
    pub(super) fn page(
        &self,
        request: &Request,
        now: i64,
        trouble: Option<&Trouble>,
    ) -> Result<Answer, Answer> {
        let text = |name: &str| request.filled(name);
        if !self.of.scopes.split(',').any(|scope| scope == "admin") {
            return Err(Refused::scope("admin", &self.of.scopes).answer(Api::Web));
        }
        match (&self.of.team, text("team_id")) {
            (Some(_), None) => return Err(Answer::not_ok("missing_argument")),
            (Some(team), Some(asked)) if team != asked => return Err(Answer::not_ok("invalid_auth")),
            _ => {}
        }
        let count = |name, otherwise| text(name).map_or(Some(otherwise), |text: &str| text.parse().ok());
        let (Some(size), Some(page)) = (count("count", USUAL_ROWS), count("page", 1)) else {
            return Err(Answer::not_ok("invalid_arguments"));
        };
        if page > MOST_PAGES {
            return Err(Answer::not_ok("over_pagination_limit"));
        }
        let size = size.clamp(1, self.of.largest.min(MOST_ROWS));
        let wanted = ["app_id", "service_id", "change_type"].map(|name| (name, text(name)));
        let user = ("user_id", text("user"));
        let filters: Vec<_> =
            wanted.into_iter().chain([user]).filter_map(|(name, value)| Some((name, value?))).collect();
        let fits = |row: &&Row| {
            filters.iter().all(|(name, value)| facts::text(&row.text, &[name]).as_deref() == Some(value))
        };
        self.grow(now);
        let list = self.list.read().unwrap_or_else(PoisonError::into_inner);
        let total = if filters.is_empty() { list.rows.len() } else { list.rows.iter().filter(fits).count() };
        let (skip, take) = match trouble {
            Some(Trouble::EmptyPage) => (0, 0),
            Some(Trouble::ShortPage) => (page.saturating_sub(1) * size, 1),
            _ => (page.saturating_sub(1) * size, size),
        };
        let rows: Vec<String> = list
            .rows
            .iter()
            .filter(fits)
            .skip(skip)
            .take(take)
            .zip(request.number..)
            .map(|(row, nth)| if row.made { made::typed(&row.text, nth % 2 == 0) } else { row.text.clone() })
            .collect();
        let paging = (trouble != Some(&Trouble::NoMetadata)).then(|| {
            let pages = total.div_ceil(size).max(1);
            format!(r#"{{"count":{size},"total":{total},"page":{page},"pages":{pages}}}"#)
        });
        Ok(Answer::list("logs", rows.len(), &rows.join(","), paging, None))
    }
}

/// Whether the text is one JSON object.
pub(super) fn is_row(text: &str) -> bool {
    facts::member(text, "date").is_ok()
}

/// A row as Slack writes one, of somebody who did something to an app: for tests and demonstrations.
pub fn integration_row(nth: u64, at: UnixTime) -> String {
    Made { seed: 1, twin_every: 0, hostile: false }.row(nth, at.seconds())
}
