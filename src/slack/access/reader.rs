//! The two readings of the list, and what their pages say beside what is remembered.
//!
//! **Invariant:** no request and no clock in here: questions out, answers and memories in.

use std::collections::HashMap;

use super::bookmark::{Bookmark, Walk};
use super::memo::Remembered;
use super::news;
use super::place::{Circle, Next, Place};
use super::row::Row;
use crate::event::UnixTime;
use crate::slack::reply::{Paging, Reply};
use crate::slack::step::{Memo, Page, RowKey};

/// A poll goes no further than so many pages of known, older rows, whatever changed in them.
const MOST_OLD_PAGES: u32 = 3;

/// Reads the list, from the top or from where the bookmark says.
#[derive(Debug)]
pub(super) struct Reader {
    bookmark: Bookmark,
    team_id: Option<String>,
    poll: Option<Poll>,
    pending: Option<Pending>,
    /// Slack could not serve the first of its pages.
    prefers_cursors: bool,
    circle: Option<Circle>,
}

/// One of the two readings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Poll,
    Walk,
}

/// A reading of the newest rows, under way.
#[derive(Debug)]
struct Poll {
    begun: UnixTime,
    /// What began before it is met again among rows that are known.
    mark: Option<UnixTime>,
    place: Place,
    old_pages: u32,
}

/// A page that is still to be compared.
#[derive(Debug)]
struct Pending {
    which: Which,
    rows: Vec<Row>,
    not_rows: usize,
    paging: Option<Paging>,
    cursor: Option<String>,
}

/// What a page was, beside what is remembered.
#[derive(Debug, Default)]
struct Compared {
    page: Page,
    /// All of its rows were known.
    is_known: bool,
    /// One of them had changed.
    has_changed: bool,
}

impl Reader {
    pub(super) fn new(bookmark: Bookmark, team_id: Option<String>) -> Self {
        Self { bookmark, team_id, poll: None, pending: None, prefers_cursors: false, circle: None }
    }

    pub(super) fn bookmark(&self) -> &Bookmark {
        &self.bookmark
    }

    pub(super) fn team_id(&self) -> Option<&str> {
        self.team_id.as_deref()
    }

    /// Moves the start, as long as nothing was read.
    pub(super) fn correct_start(&mut self, seconds: i64) {
        self.bookmark.start = self.bookmark.start.plus(seconds);
    }

    pub(super) fn begin_poll(&mut self, now: UnixTime) {
        let mark = self.bookmark.mark();
        self.poll = Some(Poll { begun: now, mark, place: self.top(), old_pages: 0 });
    }

    pub(super) fn begin_walk(&mut self, now: UnixTime) {
        // Each walk tries pages again.
        self.prefers_cursors = false;
        self.bookmark.walk = Some(Walk { begun: now, place: self.top() });
    }

    fn top(&self) -> Place {
        if self.prefers_cursors { Place::top_by_cursors() } else { Place::top() }
    }

    /// The reading under way whose turn it is: a poll is short and does not wait for a walk.
    pub(super) fn under_way(&self) -> Option<Which> {
        if self.poll.is_some() { Some(Which::Poll) } else { self.bookmark.walk.as_ref().map(|_| Which::Walk) }
    }

    /// What to ask for.
    pub(super) fn arguments(&mut self, which: Which) -> Vec<(&'static str, String)> {
        let place = self.place(which).map(|place| place.arguments());
        let team_id = self.team_id.clone().map(|team_id| ("team_id", team_id));
        place.into_iter().flatten().chain(team_id).collect()
    }

    /// Takes an answer; its rows wait to be compared.
    pub(super) fn take(&mut self, which: Which, reply: Reply) {
        let elements = reply.elements.len();
        let rows: Vec<_> = reply.elements.into_iter().filter_map(Row::read).collect();
        self.pending = Some(Pending {
            which,
            not_rows: elements - rows.len(),
            rows,
            paging: reply.paging,
            cursor: reply.cursor.map(|cursor| cursor.as_str().to_owned()),
        });
    }

    /// The keys of the rows that wait to be compared.
    pub(super) fn pending(&self) -> Option<Vec<RowKey>> {
        let pending = self.pending.as_ref()?;
        Some(pending.rows.iter().map(|row| row.key).collect())
    }

    /// Compares the rows that wait with what is remembered of each, and moves on.
    pub(super) fn compare(&mut self, remembered: Vec<Option<Vec<u8>>>, now: UnixTime) -> Page {
        let Some(pending) = self.pending.take() else {
            return Page { bookmark: self.bookmark.to_bytes(), ..Page::default() };
        };
        let Compared { page, is_known, has_changed } = self.news(&pending, remembered, now);
        let Pending { which, rows, not_rows, paging, cursor } = pending;
        let moved = self.place(which).map(|place| place.advance(&rows, paging, cursor));
        let next = moved.unwrap_or(Ok(Next::End)).unwrap_or_else(|circle| {
            self.circle = Some(circle);
            Next::More
        });
        match which {
            Which::Poll => {
                let old =
                    |mark| is_known && rows.iter().all(|row| row.first.is_some_and(|first| first < mark));
                if let Some(mut poll) = self.poll.take() {
                    let is_old = poll.mark.is_some_and(old) && !rows.is_empty();
                    poll.old_pages += u32::from(is_old);
                    let enough = is_old && (!has_changed || poll.old_pages >= MOST_OLD_PAGES);
                    if enough || next == Next::End {
                        self.bookmark.polled = Some(poll.begun);
                    } else {
                        self.poll = Some(poll);
                    }
                }
            }
            Which::Walk if next == Next::End => {
                self.bookmark.walked = self.bookmark.walk.take().map(|walk| walk.begun);
            }
            Which::Walk => {}
        }
        Page { bookmark: self.bookmark.to_bytes(), not_entries: not_rows, ..page }
    }

    /// What is new on a page, and what is to be remembered of it.
    fn news(&self, pending: &Pending, remembered: Vec<Option<Vec<u8>>>, now: UnixTime) -> Compared {
        let mut compared = Compared { is_known: true, ..Compared::default() };
        let mut here: HashMap<RowKey, Remembered> = HashMap::new();
        let nothing = std::iter::repeat(None);
        let start = self.bookmark.start;
        for (row, stored) in pending.rows.iter().zip(remembered.into_iter().chain(nothing)) {
            // A row that comes twice on a page is compared with what it was the first time.
            let stored = stored.as_deref().and_then(Remembered::from_bytes);
            let known = here.remove(&row.key).or(stored);
            compared.is_known &= known.is_some();
            let is_told = known.is_some() || row.at().is_none_or(|at| at >= start);
            let mut known = known.unwrap_or_default();
            let change = known.learn(row);
            compared.has_changed |= change.is_some();
            if let Some(change) = change.filter(|_| is_told) {
                let team_id = self.team_id.as_deref();
                compared.page.entries.push(news::entry(row, change, start, team_id, now));
            }
            if known.met(now) || change.is_some() {
                compared.page.memos.push(Memo { key: row.key, value: known.to_bytes(), at: now });
            }
            here.insert(row.key, known);
        }
        compared.page.entries.sort_by_key(crate::event::Entry::at);
        compared
    }

    /// Slack can't serve the page. Whether to ask at once, in another way.
    pub(super) fn fail_over(&mut self, which: Which) -> bool {
        let is_top = self.place(which).is_some_and(|place| place.is_top());
        self.prefers_cursors |= is_top;
        self.place(which).is_some_and(Place::fail_over)
    }

    /// A cursor was not taken. Whether to ask at once, without it.
    pub(super) fn reject_cursor(&mut self, which: Which) -> bool {
        self.place(which).is_some_and(Place::reject_cursor)
    }

    /// The circle that the last page led into, if it did.
    pub(super) fn take_circle(&mut self) -> Option<Circle> {
        self.circle.take()
    }

    fn place(&mut self, which: Which) -> Option<&mut Place> {
        match which {
            Which::Poll => self.poll.as_mut().map(|poll| &mut poll.place),
            Which::Walk => self.bookmark.walk.as_mut().map(|walk| &mut walk.place),
        }
    }
}

#[cfg(test)]
mod tests;
