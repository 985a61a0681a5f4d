//! One page of the log: newest first, whole seconds, between inclusive bounds.

use super::facts;
use super::history::{Found, History};
use super::late::Moment;

/// What a page is to hold.
#[derive(Debug)]
pub(super) struct Window<'a> {
    /// The newest second.
    pub(super) from: i64,
    /// The oldest second.
    pub(super) oldest: i64,
    /// The aim: a page takes in seconds, each of them whole, until it holds so many entries.
    pub(super) limit: usize,
    pub(super) filter: &'a Filter,
}

/// The names that a request asks for; all of them must fit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Filter {
    pub(super) actions: Vec<String>,
    pub(super) actor: Option<String>,
    pub(super) entity: Option<String>,
}

/// Entries, and where the next page begins.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// The entries' texts, with commas between.
    pub(super) entries: String,
    pub(super) count: usize,
    /// `None` where nothing is left down to `oldest`.
    pub(super) next: Option<i64>,
}

/// With a filter, a page gives up after looking at so many entries: it then has fewer than
/// `limit`, or none, and a cursor.
const LOOKED_AT: usize = 20_000;

impl Page {
    /// Reads a page; `order` shuffles each second.
    pub(super) fn read(history: &History, window: &Window<'_>, moment: Moment, order: u64) -> Self {
        let mut page = Self::default();
        let (mut from, mut looked_at) = (window.from, 0);
        loop {
            let Some(second) = history.second_at_or_before(from).filter(|at| *at >= window.oldest) else {
                return page;
            };
            if page.count >= window.limit || looked_at >= LOOKED_AT {
                page.next = Some(from);
                return page;
            }
            let found = history.at(second, moment, order);
            looked_at += if window.filter.lets_all_through() { 0 } else { found.len() };
            for found in &found {
                page.push(history, found, window.filter);
            }
            from = second.saturating_sub(1);
        }
    }

    fn push(&mut self, history: &History, found: &Found, filter: &Filter) {
        let before = self.entries.len();
        if self.count > 0 {
            self.entries.push(',');
        }
        let start = self.entries.len();
        history.write(found, &mut self.entries);
        if self.entries.get(start..).is_some_and(|entry| filter.lets_through(entry)) {
            self.count += 1;
        } else {
            self.entries.truncate(before);
        }
    }
}

impl Filter {
    fn lets_all_through(&self) -> bool {
        *self == Self::default()
    }

    fn lets_through(&self, entry: &str) -> bool {
        self.lets_all_through()
            || (self.actions.is_empty()
                || facts::text(entry, &["action"]).is_some_and(|action| self.actions.contains(&action)))
                && (self.actor.is_none() || self.actor == facts::text(entry, &["actor", "user", "id"]))
                && (self.entity.is_none() || self.entity == entity_id(entry))
    }
}

/// The id of the object that stands under the name of the entity's type.
fn entity_id(entry: &str) -> Option<String> {
    let kind = facts::text(entry, &["entity", "type"])?;
    facts::text(entry, &["entity", &kind, "id"])
}
