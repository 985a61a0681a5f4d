//! Which rows are new: each page held against what is remembered of its rows.
//!
//! Of rows that are alike the count decides: a page with two of a row of which one was told brings
//! one event. Alike rows on two pages of one walk are two only while the list stands still; a list
//! that moves shows one row twice.
//!
//! **Invariant:** a question is answered, and the walk goes on, only by [`Walker::compare`]; until
//! then it is asked again.

use std::collections::{BTreeMap, HashMap};

use super::bookmark::Bookmark;
use super::told::Told;
use super::walk::{MOST_PAGES, Passed, ROWS, Walk};
use crate::event::{Entry, IntegrationRow, UnixTime};
use crate::slack::reply::{Paging, Reply};
use crate::slack::{Memo, RowKey};

/// Walks through the list of one source, again and again.
#[derive(Debug)]
pub(super) struct Walker {
    bookmark: Bookmark,
    /// How many of each row the present lane has shown to this process.
    met: HashMap<RowKey, Met>,
    /// How many rows the lane had by its last page.
    total: Option<u64>,
    /// How often the lane was seen to move.
    moves: u32,
    /// The same of each lane of the walk, with how many of them Slack hands out.
    lanes: BTreeMap<usize, (u64, u64)>,
    waiting: Option<Waiting>,
    /// Whether types of change may be asked for one by one.
    may_split: bool,
    /// Rows that the last whole walk could not be handed.
    out_of_reach: u64,
}

/// A page that waits for what is remembered of its rows.
#[derive(Debug)]
struct Waiting {
    /// Each key of the page once, with its rows.
    rows: Vec<(RowKey, Vec<IntegrationRow>)>,
    not_entries: usize,
    paging: Option<Paging>,
}

/// What a page brought.
#[derive(Debug)]
pub(super) struct Part {
    /// Oldest first.
    pub(super) entries: Vec<Entry>,
    pub(super) memos: Vec<Memo>,
    pub(super) not_entries: usize,
    /// The walk ended with this page.
    pub(super) last: bool,
}

/// How many of a row were met.
#[derive(Debug, Clone, Copy, Default)]
struct Met {
    /// The most between two moves of the list.
    most: u32,
    /// Those since the last of its moves that the row was met after.
    since: u32,
    moves: u32,
}

impl Met {
    /// How many there are, by a page with so many more.
    fn more(&mut self, here: u32, moves: u32) -> u32 {
        let since = if self.moves == moves { self.since } else { 0 };
        self.since = since.saturating_add(here);
        self.moves = moves;
        self.most = self.most.max(self.since);
        self.most
    }
}

impl Walker {
    pub(super) fn new(bookmark: Bookmark, may_split: bool) -> Self {
        Self {
            bookmark,
            may_split,
            met: HashMap::new(),
            total: None,
            moves: 0,
            lanes: BTreeMap::new(),
            waiting: None,
            out_of_reach: 0,
        }
    }

    pub(super) fn bookmark(&self) -> &Bookmark {
        &self.bookmark
    }

    /// Corrects the start by so many seconds.
    pub(super) fn move_start(&mut self, by: i64) {
        self.bookmark.start = self.bookmark.start.plus(by);
    }

    /// Rows that Slack does not hand out, by the last walk that this process went from its beginning.
    pub(super) fn out_of_reach(&self) -> u64 {
        self.out_of_reach
    }

    /// The walk that is under way.
    pub(super) fn walk(&self) -> Option<Walk> {
        self.bookmark.walk
    }

    /// Begins a walk, a full one where that is due `every` so many seconds.
    pub(super) fn begin(&mut self, now: UnixTime, every: i64) -> Walk {
        let since = |at: UnixTime| now.seconds().saturating_sub(at.seconds());
        // Where the clock was set back, nobody knows how long ago it was.
        let is_due = self.bookmark.full_at.map(since).is_none_or(|since| since < 0 || since >= every);
        self.bookmark.walks += 1;
        self.leave_lane();
        self.lanes.clear();
        *self.bookmark.walk.insert(Walk::new(now.seconds(), self.bookmark.quiet || is_due))
    }

    /// Takes the answer for the walk's page, and says which rows are to be looked up.
    pub(super) fn take(&mut self, reply: Reply) -> Vec<RowKey> {
        let mut rows: Vec<(RowKey, Vec<IntegrationRow>)> = Vec::new();
        let mut places: HashMap<RowKey, usize> = HashMap::new();
        let mut not_entries = 0;
        for element in reply.elements {
            let Ok(row) = IntegrationRow::from_raw(element) else {
                not_entries += 1;
                continue;
            };
            let key = RowKey(row.digest());
            let place = *places.entry(key).or_insert(rows.len());
            match rows.get_mut(place) {
                Some((_, alike)) => alike.push(row),
                None => rows.push((key, vec![row])),
            }
        }
        let keys = rows.iter().map(|(key, _)| *key).collect();
        self.waiting = Some(Waiting { rows, not_entries, paging: reply.paging });
        keys
    }

    /// Tells what is new of the page that waits, and goes on; `remembered` has what is stored of each
    /// of its keys. `None` where no page waits.
    pub(super) fn compare(&mut self, remembered: Vec<Option<Vec<u8>>>, now: UnixTime) -> Option<Part> {
        let Waiting { rows, not_entries, paging } = self.waiting.take()?;
        let walk = self.bookmark.walk?;
        let total = paging.and_then(|paging| paging.total);
        if total.is_none() || total != self.total {
            self.moves = self.moves.wrapping_add(1);
        }
        let empty = rows.is_empty() && not_entries == 0;
        let (mut entries, mut memos, mut known) = (Vec::new(), Vec::new(), !empty);
        for ((key, alike), told) in
            rows.into_iter().zip(remembered.into_iter().chain(std::iter::repeat(None)))
        {
            let told = told.as_deref().and_then(Told::from_bytes);
            known &= told.is_some_and(|told| told.walk < self.bookmark.walks);
            let before = told.map_or(0, |told| told.count);
            let here = u32::try_from(alike.len()).unwrap_or(u32::MAX);
            let count = self.met.entry(key).or_default().more(here, self.moves);
            let note = if count > before {
                known = false;
                let new = usize::try_from(count - before).unwrap_or(usize::MAX);
                let new = alike.into_iter().rev().take(new).filter(|row| self.tells(row));
                entries.extend((before..count).zip(new).map(|(nth, row)| row.into_entry(now, nth)));
                Some(Told { count, walk: self.bookmark.walks, at: now })
            } else {
                told.and_then(|told| told.met(now))
            };
            memos.extend(note.map(|told| Memo { key, value: told.to_bytes(), at: told.at }));
        }
        entries.sort_by_key(Entry::at);
        self.total = total;
        let last = self.go_on(walk, empty, known, paging);
        Some(Part { entries, memos, not_entries, last })
    }

    /// Whether a row that is not known is new. One that bears no time may be.
    fn tells(&self, row: &IntegrationRow) -> bool {
        !self.bookmark.quiet || row.at().is_none_or(|at| at >= self.bookmark.start)
    }

    /// Moves the walk past its page; true at its end.
    fn go_on(&mut self, walk: Walk, empty: bool, known: bool, paging: Option<Paging>) -> bool {
        let pages = paging.map(|paging| paging.pages);
        if let Some(paging) = paging {
            self.lanes.insert(walk.lane, handed_out(paging));
        }
        let split = self.may_split && self.lanes.get(&0).is_some_and(|(all, reach)| reach < all);
        let next = walk.after(Passed { empty, known, pages, split });
        if next.is_none_or(|next| next.lane != walk.lane) {
            self.leave_lane();
        }
        self.bookmark.walk = next;
        if next.is_none() {
            self.end(walk);
        }
        next.is_none()
    }

    fn leave_lane(&mut self) {
        self.met = HashMap::new();
        self.total = None;
    }

    fn end(&mut self, walk: Walk) {
        let begun = UnixTime::from_seconds(walk.begun);
        self.bookmark.read_at = Some(begun);
        if walk.full {
            self.bookmark.full_at = Some(begun);
            self.bookmark.quiet = false;
        }
        // A walk that another process began was only seen in part.
        if let Some((all, reach)) = self.lanes.get(&0) {
            let by_type: u64 = self.lanes.range(1..).map(|(_, (_, reach))| reach).sum();
            self.out_of_reach = all.saturating_sub(by_type.max(*reach));
        }
    }
}

/// How many rows a list has, and how many of them Slack hands out.
fn handed_out(paging: Paging) -> (u64, u64) {
    let Paging { pages, total, .. } = paging;
    let total = total.unwrap_or(pages.saturating_mul(ROWS));
    let reach = match pages {
        0..=MOST_PAGES => total.min(pages.saturating_mul(ROWS)),
        pages => total.div_ceil(pages).saturating_mul(MOST_PAGES),
    };
    (total, reach)
}

#[cfg(test)]
mod tests;
