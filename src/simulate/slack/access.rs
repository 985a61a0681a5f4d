//! The access log of a simulated Slack: `team.accessLogs`, whose rows change where they stand.
//!
//! Rows are made up: combinations of a user, an address and a user agent, newest first by their first
//! use. While the list is read, rows are used again wherever they stand, and new ones come on top.

use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::answer::Answer;
use super::cursor::Cursor;
use super::dice::Dice;
use super::fault::{Fault, Trouble};
use super::generate::names;
use super::plan::RateLimit;
use super::request::Request;

/// What a simulated access log holds and how it behaves.
///
/// The default is a well-behaved one without rows.
#[derive(Debug, Clone, PartialEq)]
pub struct AccessLog {
    /// So many rows are there at the simulator's start …
    pub rows: u64,
    /// … that were first used over so long a time before it.
    pub over: Duration,
    /// After each page so many rows are used again, wherever they stand …
    pub used: u64,
    /// … and so many combinations are new …
    pub new: u64,
    /// … until so many pages were handed out; for ever by default.
    pub changing: Option<u64>,
    /// Names that try to forge lines, frames and fields.
    pub hostile: bool,
    /// No page holds more rows than this, whatever is asked for.
    pub largest: usize,
    /// Pages that are counted fail in this way …
    pub classic: Classic,
    /// … from this one on.
    pub classic_from: u64,
    /// How long a cursor is good for.
    pub cursor_life: Option<Duration>,
    /// The workspace that a request may name, and no other.
    pub team: Option<String>,
    /// Answers 429 to whoever asks too often.
    pub rate_limit: Option<RateLimit>,
    /// What goes wrong, and when; requests for this log are counted on their own.
    pub faults: Vec<Fault>,
}

/// How Slack fares with pages that are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Classic {
    /// It hands them out.
    #[default]
    Works,
    /// It answers 500.
    Status500,
    /// It says `fatal_error`.
    FatalError,
}

impl Default for AccessLog {
    fn default() -> Self {
        Self {
            rows: 0,
            over: Duration::from_secs(30 * 86_400),
            used: 0,
            new: 0,
            changing: None,
            hostile: false,
            largest: MOST_ROWS,
            classic: Classic::Works,
            classic_from: 1,
            cursor_life: None,
            team: None,
            rate_limit: None,
            faults: Vec::new(),
        }
    }
}

/// The most rows that Slack hands out in one page.
pub(super) const MOST_ROWS: usize = 1_000;
/// The last page that Slack counts.
const MOST_PAGES: usize = 100;
/// The rows of a page where a request does not say how many.
const USUAL_ROWS: usize = 100;

/// The list, as it is by now.
#[derive(Debug)]
pub(super) struct Logins {
    of: AccessLog,
    seed: u64,
    list: Mutex<List>,
}

#[derive(Debug, Default)]
struct List {
    /// By their first use, the newest last.
    rows: Vec<Login>,
    /// Pages handed out.
    pages: u64,
}

/// A request, understood.
struct Asked {
    before: i64,
    size: usize,
    by: By,
}

/// How a request says where it goes on.
#[derive(Clone, Copy)]
enum By {
    Page(usize),
    /// Below so many rows of the oldest; from the top where there is none.
    Cursor(Option<usize>),
}

/// A row; what it says beside this follows from its place.
#[derive(Debug, Clone, Copy)]
struct Login {
    first: i64,
    last: i64,
    count: u64,
}

impl Logins {
    pub(super) fn new(of: AccessLog, seed: u64, now: i64) -> Self {
        let over = i128::from(of.over.as_secs());
        let login = |nth: u64| {
            let left = i128::from(of.rows - nth);
            let ago = over * left / i128::from(of.rows.max(1));
            let first = now.saturating_sub(i64::try_from(ago).unwrap_or(i64::MAX));
            let mut dice = Dice::new(seed, nth);
            let since = dice.below(now.abs_diff(first) / 2 + 1);
            let count = 1 + dice.below(9);
            let last = first.saturating_add_unsigned(if count == 1 { 0 } else { since });
            Login { first, last, count }
        };
        let rows = (0..of.rows).map(login).collect();
        Self { of, seed, list: Mutex::new(List { rows, pages: 0 }) }
    }

    /// Every row that there is by now, as its text, in the list's order.
    pub(super) fn texts(&self) -> Vec<String> {
        let list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        let text = |(nth, login): (u64, &Login)| {
            let mut text = String::new();
            self.write(nth, *login, &mut text);
            text
        };
        let mut texts: Vec<_> = (0..).zip(&list.rows).map(text).collect();
        texts.reverse();
        texts
    }

    /// Uses the row in that place, from the top, so many times more.
    pub(super) fn touch(&self, place: usize, times: u64, now: i64) {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(login) = list.rows.iter_mut().rev().nth(place) {
            (login.last, login.count) = (now, login.count + times);
        }
    }

    /// A combination that was not there before.
    pub(super) fn add(&self, now: i64) {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        list.rows.push(Login { first: now, last: now, count: 1 });
    }

    /// The page that a request asks for; after it the list changes.
    pub(super) fn page(
        &self,
        request: &Request,
        now: i64,
        trouble: Option<&Trouble>,
    ) -> Result<Answer, Answer> {
        let asked = self.asked(request, now, trouble)?;
        let size = asked.size.min(self.of.largest);
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        let within = list.rows.partition_point(|login| login.first <= asked.before);
        // Places count from the oldest row, so that a cursor stays where it is.
        let end = match asked.by {
            By::Page(page) => within.saturating_sub((page - 1) * size),
            By::Cursor(left_off) => left_off.unwrap_or(within).min(list.rows.len()),
        };
        let taken = match trouble {
            Some(Trouble::EmptyPage) => 0,
            Some(Trouble::ShortPage) => end.min(1),
            _ => end.min(size),
        };
        let begin = end - taken;
        let mut rows = String::with_capacity(taken * 320);
        for (ago, login) in (1..).zip(list.rows.get(begin..end).unwrap_or_default().iter().rev()) {
            if ago > 1 {
                rows.push(',');
            }
            self.write((end - ago) as u64, *login, &mut rows);
        }
        let (paging, cursor) = match asked.by {
            By::Page(_) if trouble == Some(&Trouble::NoMetadata) => (None, None),
            By::Page(page) => {
                let pages = within.div_ceil(size).max(1);
                let paging = format!(r#"{{"count":{size},"total":{within},"page":{page},"pages":{pages}}}"#);
                (Some(paging), None)
            }
            By::Cursor(_) if begin == 0 => (None, Some(String::new())),
            By::Cursor(_) => {
                let from = i64::try_from(begin).unwrap_or(0);
                (None, Some(Cursor { from, issued: now }.encode()))
            }
        };
        self.change(&mut list, now);
        Ok(Answer::list("logins", taken, &rows, paging, cursor))
    }

    /// Understands a request, or says what Slack says of it.
    fn asked(&self, request: &Request, now: i64, trouble: Option<&Trouble>) -> Result<Asked, Answer> {
        let text = |name: &str| request.filled(name);
        let wrong = || Answer::not_ok("invalid_arguments");
        let number =
            |name, usual| text(name).map_or(Ok(usual), |text| text.parse::<usize>().map_err(|_| wrong()));
        let before = text("before").map_or(Ok(i64::MAX), str::parse).map_err(|_| wrong())?;
        if text("team_id").is_some_and(|asked| self.of.team.as_deref().is_some_and(|team| team != asked)) {
            return Err(Answer::not_ok("invalid_team_id"));
        }
        if text("limit").is_some() || text("cursor").is_some() {
            let size = number("limit", USUAL_ROWS)?;
            if !(1..MOST_ROWS).contains(&size) {
                return Err(Answer::not_ok("invalid_limit"));
            }
            let is_good = |cursor: &Cursor| {
                trouble != Some(&Trouble::CursorExpired) && !cursor.has_expired(now, self.of.cursor_life)
            };
            let place = |text| {
                let cursor = Cursor::decode(text).filter(is_good)?;
                usize::try_from(cursor.from).ok()
            };
            let left_off =
                text("cursor").map(|text| place(text).ok_or_else(|| Answer::not_ok("invalid_cursor")));
            return Ok(Asked { before, size, by: By::Cursor(left_off.transpose()?) });
        }
        let (size, page) = (number("count", USUAL_ROWS)?, number("page", 1)?);
        if !(1..=MOST_ROWS).contains(&size) || !(1..=MOST_PAGES).contains(&page) {
            return Err(Answer::not_ok("over_pagination_limit"));
        }
        match self.of.classic {
            Classic::Status500 if page as u64 >= self.of.classic_from => Err(Answer::refused(500, None)),
            Classic::FatalError if page as u64 >= self.of.classic_from => Err(Answer::not_ok("fatal_error")),
            _ => Ok(Asked { before, size, by: By::Page(page) }),
        }
    }

    /// What happens between two pages.
    fn change(&self, list: &mut List, now: i64) {
        list.pages += 1;
        if self.of.changing.is_some_and(|pages| list.pages > pages) {
            return;
        }
        let mut dice = Dice::new(self.seed ^ 0xacce_5510, list.pages);
        for _ in 0..self.of.used {
            let place = usize::try_from(dice.below(list.rows.len() as u64)).unwrap_or(0);
            if let Some(login) = list.rows.get_mut(place) {
                (login.last, login.count) = (login.last.max(now), login.count + 1 + dice.below(3));
            }
        }
        for _ in 0..self.of.new {
            list.rows.push(Login { first: now, last: now, count: 1 });
        }
    }

    /// Writes a row: the nth that there ever was.
    fn write(&self, nth: u64, login: Login, into: &mut String) {
        let mut dice = Dice::new(self.seed, nth ^ 0x0a0a_0000_0000);
        let Login { first, last, count } = login;
        // The address is another one in each row, so that no two are of one combination.
        let (user, address) = (dice.below(5_000), nth & 0xff_ffff);
        let names: &[&str] =
            if self.of.hostile && dice.once_in(2) { &names::HOSTILE } else { &names::PEOPLE };
        let (name, agent) = (dice.pick(names), dice.pick(&names::USER_AGENTS));
        let [_, b, c, d] = u32::try_from(address).unwrap_or(0).to_be_bytes();
        let mut put = |text: std::fmt::Arguments<'_>| into.write_fmt(text).unwrap_or_default();
        put(format_args!(
            r#"{{"user_id":"U0{user:08X}","username":"{name}","date_first":{first},"date_last":{last},"count":{count},"#
        ));
        if dice.once_in(10) {
            put(format_args!(r#""ip":"2001:db8::{b:x}:{:x}","#, u32::from(c) << 8 | u32::from(d)));
        } else {
            put(format_args!(r#""ip":"10.{b}.{c}.{d}","#));
        }
        put(format_args!(r#""user_agent":"SlackWeb\/0 {agent}","#));
        match dice.below(4) {
            0 => put(format_args!(r#""isp":null,"country":null,"region":null}}"#)),
            1 => put(format_args!(r#""isp":"","country":"US","region":""}}"#)),
            _ => put(format_args!(r#""isp":"Example Net & S\u00f8n","country":"DE","region":"BE"}}"#)),
        }
    }
}
