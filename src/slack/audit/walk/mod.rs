//! Forward in time over an interface that only goes backward.
//!
//! Slack hands out a window newest first, and its receivers want time to run forward. A [`Walker`]
//! therefore asks for windows that fit one page, the oldest window first, and turns each page round:
//!
//! ```text
//!  at ─▶ ┌────────┬────────┬──────────────┬─────────┬────────┐ ◀─ goal
//!        │  fits  │  fits  │ holds more:  │  known  │        │
//!        │        │        │ narrow, ask  │ to fit  │        │
//!        └────────┴────────┴──────────────┴─────────┴────────┘
//! ```
//!
//! A window that turns out to hold more than a page is dropped and asked for again in parts. The page
//! that showed it is not wasted: all that is newer than its oldest second is known to fit one page,
//! so that part is remembered as a window of its own. One single second that holds more than a page
//! cannot be parted; its pages are handed over as they come.
//!
//! **Invariant:** no request, no clock and no bookmark in here: questions out, answers in.
//! **Invariant:** a window is done only when its last page was read; the number of entries on a page
//! never says that it was the last.
//! **Invariant:** at most a page and the page that made it too much are held.

mod reading;

use std::ops::Add;

use super::client::Query;
use super::window::Window;
use crate::event::{Entry, UnixTime};
use crate::slack::reply::Reply;
use reading::Reading;

/// The most entries asked for at once.
pub(super) const PAGE: usize = 1_000;

/// How many entries a window should hold: enough to be worth a request, with room for busier times.
const FILL: usize = 600;

/// The first window's seconds.
const FIRST_SPAN: i64 = 86_400;

/// How many times longer or shorter the next window may get.
const STEP: i64 = 8;

/// How many times shorter than a window that held too much the next one may be.
const CUT: i64 = 4;

/// How many times longer after an empty one: years of silence are crossed in a few requests.
const LEAP: i64 = 64;

/// The most bytes held of one window before it counts as too much, one second excepted.
const MOST_HELD: usize = 8 << 20;

/// The most pages of one window, mostly empty ones, before it counts as too much.
const MOST_PAGES: u32 = 50;

/// The most pages of one second before Slack is taken to go round in circles.
const MOST_PAGES_OF_A_SECOND: u32 = 5_000;

/// How often cursors of a window may be rejected.
const MOST_REJECTIONS: u32 = 3;

/// Walks from one second to a later one, a page at a time.
#[derive(Debug)]
pub(super) struct Walker {
    /// The next second to read.
    at: UnixTime,
    /// How many seconds the next window should have.
    span: i64,
    /// Windows further on that are known to fit a page; the nearest one last.
    known: Vec<Window>,
    /// The window being read.
    reading: Option<Reading>,
    /// How many entries to ask for: fewer where one second's page is too large to hold.
    limit: usize,
    counts: Counts,
}

/// What a walker has seen so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Answers with a page.
    pub pages: u64,
    /// Pages without an entry.
    pub empty_pages: u64,
    /// Pages with more entries than were asked for.
    pub over_full_pages: u64,
    /// Windows that turned out to hold more than a page.
    pub narrowed: u64,
    /// Cursors that Slack rejected, or that led back to themselves.
    pub rejected_cursors: u64,
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            pages: self.pages + other.pages,
            empty_pages: self.empty_pages + other.empty_pages,
            over_full_pages: self.over_full_pages + other.over_full_pages,
            narrowed: self.narrowed + other.narrowed,
            rejected_cursors: self.rejected_cursors + other.rejected_cursors,
        }
    }
}

/// What a page brought.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Oldest first.
    pub(super) entries: Vec<Entry>,
    /// Elements that are no entries.
    pub(super) not_entries: usize,
    pub(super) window: Window,
    /// Whether the window is done with this.
    pub(super) complete: bool,
    /// When the window was first asked for.
    pub(super) asked_at: UnixTime,
}

/// The walker can't get on by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stuck {
    pub(super) window: Window,
}

impl Walker {
    pub(super) fn new(at: UnixTime) -> Self {
        Self {
            at,
            span: FIRST_SPAN,
            known: Vec::new(),
            reading: None,
            limit: PAGE,
            counts: Counts::default(),
        }
    }

    /// Leaves everything and goes on from there; what was learnt about density stays.
    pub(super) fn begin(&mut self, at: UnixTime) {
        self.at = at;
        self.known.clear();
        self.reading = None;
    }

    /// The next second to read; those of a window being read are not read yet.
    pub(super) fn at(&self) -> UnixTime {
        self.at
    }

    /// How many seconds the next window would have, were there no end to them.
    pub(super) fn span(&self) -> i64 {
        self.span
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    /// What to ask next on the way to `goal`, which is included; `None` when it is reached.
    pub(super) fn ask(&mut self, goal: UnixTime, now: UnixTime) -> Option<Query> {
        if self.reading.is_none() && self.at > goal {
            return None;
        }
        let window = match &self.reading {
            Some(reading) => reading.window,
            None => self.plan(goal),
        };
        let reading = self.reading.get_or_insert_with(|| Reading::new(window));
        if reading.pages == 0 {
            reading.asked_at = now;
        }
        Some(Query { window, limit: self.limit, cursor: reading.cursor.clone() })
    }

    fn plan(&mut self, goal: UnixTime) -> Window {
        if let Some(known) = self.known.pop_if(|known| known.oldest <= self.at) {
            return Window { oldest: self.at, latest: known.latest.min(goal).max(self.at) };
        }
        let end = self.known.last().map_or(goal, |known| known.oldest.plus(-1).min(goal));
        Window { oldest: self.at, latest: self.at.plus(self.span - 1).min(end) }
    }

    /// Corrects when the window being read was first asked for, which was not later than `now`.
    pub(super) fn asked_by(&mut self, now: UnixTime) {
        if let Some(reading) = &mut self.reading {
            reading.asked_at = reading.asked_at.min(now);
        }
    }

    /// Drops a window whose first page has not been taken yet, if it reaches beyond `goal`.
    ///
    /// Returns whether it did: its answer must then not be taken.
    pub(super) fn cut(&mut self, goal: UnixTime) -> bool {
        let beyond =
            self.reading.as_ref().is_some_and(|reading| reading.pages == 0 && reading.window.latest > goal);
        if beyond {
            self.begin(self.at);
        }
        beyond
    }

    /// Takes the answer to what was last asked; `None` when there is more to ask first.
    pub(super) fn take(&mut self, reply: Reply) -> Result<Option<Part>, Stuck> {
        let Some(mut reading) = self.reading.take() else { return Ok(None) };
        self.counts.pages += 1;
        self.counts.empty_pages += u64::from(reply.elements.is_empty());
        self.counts.over_full_pages += u64::from(reply.elements.len() > self.limit);
        if reply.cursor.is_some() && reply.cursor == reading.cursor {
            self.reading = Some(reading);
            return self.reject_cursor().map(|()| None);
        }
        reading.add(&reply.elements);
        let Some(cursor) = reply.cursor else { return Ok(Some(self.finish(reading))) };
        reading.cursor = Some(cursor);
        let second = reading.window.seconds() == 1;
        let full = reading.held.len() >= self.limit || reading.held_bytes >= MOST_HELD;
        if second && reading.pages >= MOST_PAGES_OF_A_SECOND {
            return Err(Stuck { window: reading.window });
        }
        if second {
            let part = (full || (reading.parted && !reading.held.is_empty())).then(|| reading.part(false));
            self.reading = Some(reading);
            return Ok(part);
        }
        if full || reading.pages >= MOST_PAGES {
            self.divide(&reading);
        } else {
            self.reading = Some(reading);
        }
        Ok(None)
    }

    /// The cursor is not accepted: reads the window again from its first page.
    pub(super) fn reject_cursor(&mut self) -> Result<(), Stuck> {
        self.counts.rejected_cursors += 1;
        let Some(reading) = self.reading.take() else { return Ok(()) };
        let rejections = reading.rejections + 1;
        if rejections < MOST_REJECTIONS {
            let mut again = Reading::new(reading.window);
            again.rejections = rejections;
            self.reading = Some(again);
            return Ok(());
        }
        // A window of one page needs no cursor.
        if self.shorten(reading.window) { Ok(()) } else { Err(Stuck { window: reading.window }) }
    }

    /// The window is refused, or its page is too large to hold: asks for less, if there is less.
    pub(super) fn narrow(&mut self) -> bool {
        let Some(reading) = self.reading.take() else { return true };
        self.shorten(reading.window)
    }

    /// Asks for a smaller page; for a window that can't be shorter.
    pub(super) fn ask_for_fewer(&mut self) -> bool {
        let fewer = self.limit / 4;
        if fewer > 0 {
            self.limit = fewer;
            self.reading = None;
        }
        fewer > 0
    }

    fn shorten(&mut self, window: Window) -> bool {
        let seconds = window.seconds();
        if seconds > 1 {
            self.counts.narrowed += 1;
            self.span = (seconds / CUT).max(1);
        }
        seconds > 1
    }

    /// A window of several seconds holds more than a page: remembers which end of it fits, and goes
    /// for the rest.
    fn divide(&mut self, reading: &Reading) {
        self.counts.narrowed += 1;
        let window = reading.window;
        let seconds = window.seconds();
        let oldest_seen = reading.held.iter().map(Entry::at).filter(|at| window.contains(*at)).min();
        let mut span = seconds / CUT;
        if let Some(oldest) = oldest_seen {
            // Its oldest second may be cut; where there is but one, that second is set apart.
            let whole = oldest.plus(1).min(window.latest);
            self.known.push(Window { oldest: whole, latest: window.latest });
            let covered = Window { oldest, ..window }.seconds();
            span = span.max(scaled(covered, reading.held.len()));
        }
        self.span = span.clamp(1, seconds - 1);
    }

    fn finish(&mut self, mut reading: Reading) -> Part {
        let part = reading.part(true);
        let seconds = part.window.seconds();
        let wish = match reading.seen {
            0 => seconds.saturating_mul(LEAP),
            seen => scaled(seconds, seen).clamp(seconds / STEP, seconds.saturating_mul(STEP)).max(1),
        };
        // A short window with little in it says nothing against a long one.
        if wish > self.span || reading.seen > FILL / 8 {
            self.span = wish;
        }
        self.limit = PAGE;
        self.at = part.window.latest.plus(1);
        part
    }
}

/// The seconds that would hold the wanted number of entries, when `seconds` hold `entries`.
fn scaled(seconds: i64, entries: usize) -> i64 {
    let (fill, entries) = (i64::try_from(FILL).unwrap_or(1), i64::try_from(entries).unwrap_or(i64::MAX));
    seconds.saturating_mul(fill) / entries.max(1)
}

#[cfg(test)]
mod tests;
