//! Where in the list a reading is, and how it goes on from there.
//!
//! The list has no lower end to ask for, and no question reaches all of it. Pages are counted up to
//! 100; further down leads `before`, an upper bound of the first use, inclusive. Where Slack fails
//! over its pages it wants to be asked by cursors instead.
//!
//! ```text
//!  newest ─▶ page 1, 2, … 100 ─▶ before=last seen: page 1, 2, … 100 ─▶ … ─▶ the end
//!                  ╎ 500, fatal_error, over_pagination_limit
//!                  ╰─▶ before=last seen: cursor, cursor, … ─▶ the end
//! ```
//!
//! Rows that come on top while the list is read push others down: those come twice.
//!
//! **Invariant:** no request, no clock and no bookmark in here: questions out, answers in.
//! **Invariant:** each page leads further down, or the place says that Slack goes round in circles.

use serde::{Deserialize, Serialize};

use super::row::Row;
use crate::event::UnixTime;
use crate::slack::reply::Paging;
use crate::slack::start::FIRST_SECOND;

/// Rows asked for at once where pages are counted; the most that Slack gives.
pub(super) const PAGE: usize = 1_000;
/// The pages that Slack counts.
const MOST_PAGES: u64 = 100;
/// Rows asked for at once with cursors: less than a thousand is asked for.
const LIMIT: usize = 999;
/// Pages that may follow each other by cursors without leading to older rows: a million rows of
/// one second are none that people make.
const MOST_OF_A_SECOND: u32 = 1_000;
/// How often cursors may be rejected between two pages.
const MOST_REJECTIONS: u32 = 3;
/// By cursors so many refusals in a row are borne before pages are tried again.
const PATIENCE: u32 = 4;

/// Where in the list a reading is. It outlives the process, in the bookmark.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Place {
    /// No row below it began later; none at the top.
    before: Option<i64>,
    /// The page by number, from 1; none where cursors lead.
    page: Option<u64>,
    cursor: Option<String>,
    /// The first use in the last row that was read.
    bottom: Option<i64>,
    /// The lowest bottom of all, and the pages since there was a lower one.
    lowest: Option<i64>,
    level: u32,
    #[serde(skip)]
    troubles: u32,
    #[serde(skip)]
    rejections: u32,
}

/// Whether there is more to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    More,
    End,
}

/// Slack's pages lead nowhere; what is older than this second is gone on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Circle {
    pub(super) at: UnixTime,
}

impl Place {
    /// The top of the list.
    pub(super) fn top() -> Self {
        Self { page: Some(1), ..Self::default() }
    }

    /// The top of the list, to be read by cursors.
    pub(super) fn top_by_cursors() -> Self {
        Self::default()
    }

    /// Whether nothing was read yet.
    pub(super) fn is_top(&self) -> bool {
        self.before.is_none() && self.cursor.is_none() && self.page.is_none_or(|page| page == 1)
    }

    /// What to ask for.
    pub(super) fn arguments(&self) -> Vec<(&'static str, String)> {
        let mut arguments = match self.page {
            Some(page) => vec![("count", PAGE.to_string()), ("page", page.to_string())],
            None => vec![("limit", LIMIT.to_string())],
        };
        arguments.extend(self.before.map(|before| ("before", before.to_string())));
        arguments.extend(self.cursor.clone().map(|cursor| ("cursor", cursor)));
        arguments
    }

    /// Goes on from a page.
    pub(super) fn advance(
        &mut self,
        rows: &[Row],
        paging: Option<Paging>,
        cursor: Option<String>,
    ) -> Result<Next, Circle> {
        (self.troubles, self.rejections) = (0, 0);
        // An earlier first use is a mistake, and no place in the list.
        let began = |row: &Row| row.first.filter(|first| *first >= FIRST_SECOND).map(UnixTime::seconds);
        // The last row, not the oldest: one that is out of order must not hide those above it.
        self.bottom = rows.iter().rev().find_map(began).or(self.bottom);
        let lower = self.bottom.filter(|bottom| self.lowest.is_none_or(|lowest| *bottom < lowest));
        self.level = if lower.is_some() { 0 } else { self.level.saturating_add(1) };
        self.lowest = lower.or(self.lowest);
        match self.page {
            Some(page) => Ok(self.turn_page(page, rows.is_empty(), paging)),
            None => self.follow(cursor),
        }
    }

    fn turn_page(&mut self, page: u64, is_empty: bool, paging: Option<Paging>) -> Next {
        // Without a word on pages, one that holds nothing is the last.
        let is_last = paging.map_or(is_empty, |paging| page >= paging.pages);
        if page < MOST_PAGES {
            if is_last {
                return Next::End;
            }
            self.page = Some(page + 1);
        } else {
            let leads_down =
                self.bottom.is_some_and(|bottom| self.before.is_none_or(|before| bottom < before));
            // A second may hold more than all pages; cursors know no such bound.
            self.page = leads_down.then_some(1);
            self.before = self.bound();
        }
        Next::More
    }

    fn follow(&mut self, cursor: Option<String>) -> Result<Next, Circle> {
        let Some(cursor) = cursor else { return Ok(Next::End) };
        if self.cursor.as_ref() == Some(&cursor) || self.level > MOST_OF_A_SECOND {
            return Err(self.leave_the_circle());
        }
        self.cursor = Some(cursor);
        Ok(Next::More)
    }

    /// Begins again below the second that does not end.
    fn leave_the_circle(&mut self) -> Circle {
        let at = self.lowest.or(self.before);
        let below = at.map(|at| at - 1);
        *self = Self { before: below, lowest: below, page: Some(1), ..Self::default() };
        Circle { at: UnixTime::from_seconds(at.unwrap_or(0)) }
    }

    /// Slack can't serve the page. Whether to ask at once, in another way.
    pub(super) fn fail_over(&mut self) -> bool {
        self.troubles = self.troubles.saturating_add(1);
        if self.page.is_some() {
            self.go_back(None);
        } else if self.troubles.is_multiple_of(PATIENCE) {
            self.go_back(Some(1));
        }
        self.troubles == 1 && self.page.is_none()
    }

    /// A cursor is not taken: begins again where it would have gone on. Whether to ask at once.
    pub(super) fn reject_cursor(&mut self) -> bool {
        self.rejections = self.rejections.saturating_add(1);
        self.go_back(self.page);
        self.rejections <= MOST_REJECTIONS
    }

    fn go_back(&mut self, page: Option<u64>) {
        self.before = self.bound();
        (self.page, self.cursor) = (page, None);
    }

    /// No row that is still to be read began later.
    fn bound(&self) -> Option<i64> {
        self.bottom.or(self.before)
    }
}
