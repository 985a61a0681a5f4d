//! The way through the list: which page comes after which, and where it ends.
//!
//! From page 1 a walk goes on while pages hold news; at the first that holds none it turns to the
//! last page and comes back the same way. A full walk goes through to the end. News that stand at
//! either end of the list are found so whatever its order is: rows that come in meanwhile push others
//! only further along the way that the walk has before it.

use serde::{Deserialize, Serialize};

/// Rows asked for in one request: the most that Slack hands out.
pub(super) const ROWS: u64 = 1000;
/// Slack hands out no page after this one.
pub(super) const MOST_PAGES: u64 = 100;

/// The types of change by which a list is asked for that has more pages than that.
const CHANGE_TYPES: [&str; 5] = ["added", "removed", "enabled", "disabled", "updated"];

/// A walk, as far as it has come: what it asks for next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Walk {
    /// When it began, by our clock.
    pub(super) begun: i64,
    /// Whether it goes through to the end.
    pub(super) full: bool,
    /// Which list: 0 the whole, then one for each type of change.
    pub(super) lane: usize,
    /// The page to ask for, from 1.
    pub(super) page: u64,
    /// The page that the way back ends with; `None` on the way ahead.
    pub(super) back_to: Option<u64>,
}

/// What a page was, as far as the way goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Passed {
    /// It holds no row at all.
    pub(super) empty: bool,
    /// It holds rows, and none but those known before the walk.
    pub(super) known: bool,
    /// How many pages there are, where Slack said so.
    pub(super) pages: Option<u64>,
    /// Slack does not hand out all rows of the list, and types of change may be asked for one by one.
    pub(super) split: bool,
}

impl Walk {
    pub(super) fn new(begun: i64, full: bool) -> Self {
        Self { begun, full, lane: 0, page: 1, back_to: None }
    }

    /// The type of change to ask for, if any.
    pub(super) fn change_type(&self) -> Option<&'static str> {
        self.lane.checked_sub(1).and_then(|lane| CHANGE_TYPES.get(lane)).copied()
    }

    /// The walk after that page; `None` at its end.
    pub(super) fn after(self, passed: Passed) -> Option<Self> {
        let Passed { empty, known, pages, split } = passed;
        let turns = known && !self.full;
        match self.back_to {
            Some(end) if self.page > end && !turns => Some(Self { page: self.page - 1, ..self }),
            Some(_) => self.next_lane(split),
            None => {
                let last = match pages {
                    Some(pages) => pages.min(MOST_PAGES),
                    // It goes on until a page is empty.
                    None if empty => self.page,
                    None => MOST_PAGES,
                };
                let ahead = self.page + 1;
                match pages {
                    _ if self.page >= last => self.next_lane(split),
                    _ if !turns => Some(Self { page: ahead, ..self }),
                    Some(_) => Some(Self { page: last, back_to: Some(ahead), ..self }),
                    None => self.next_lane(split),
                }
            }
        }
    }

    fn next_lane(self, split: bool) -> Option<Self> {
        let more = if self.lane == 0 { split } else { self.lane < CHANGE_TYPES.len() };
        more.then_some(Self { lane: self.lane + 1, page: 1, back_to: None, ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pages that a walk asks for, where those for which `known` says so hold no news.
    fn way(full: bool, pages: Option<u64>, known: impl Fn(u64) -> bool) -> Vec<u64> {
        let mut walk = Some(Walk::new(0, full));
        let mut asked = Vec::new();
        while let Some(at) = walk {
            asked.push(at.page);
            let empty = pages.is_none() && at.page > 3;
            walk = at.after(Passed { empty, known: known(at.page), pages, split: false });
        }
        asked
    }

    #[test]
    fn a_news_walk_looks_at_both_ends_and_no_further_than_there_are_news() {
        assert_eq!(way(false, Some(1), |_| true), [1]);
        assert_eq!(way(false, Some(0), |_| true), [1]);
        assert_eq!(way(false, Some(9), |_| true), [1, 9]);
        assert_eq!(way(false, Some(9), |page| page > 2), [1, 2, 3, 9]);
        assert_eq!(way(false, Some(9), |page| page < 8), [1, 9, 8, 7]);
        assert_eq!(way(false, Some(4), |_| false), [1, 2, 3, 4]);
        assert_eq!(way(false, Some(4), |page| page != 4), [1, 4, 3]);
        assert_eq!(way(false, Some(2), |page| page != 2), [1, 2]);
    }

    #[test]
    fn a_full_walk_goes_through_to_the_end() {
        assert_eq!(way(true, Some(4), |_| true), [1, 2, 3, 4]);
        assert_eq!(way(true, Some(250), |_| true).len(), 100);
    }

    #[test]
    fn where_pages_are_not_counted_an_empty_one_is_the_end() {
        assert_eq!(way(true, None, |_| true), [1, 2, 3, 4]);
        assert_eq!(way(false, None, |page| page > 1), [1, 2]);
    }

    #[test]
    fn a_list_with_more_pages_is_asked_for_by_type_of_change() {
        let mut walk = Some(Walk::new(0, false));
        let mut asked = Vec::new();
        while let Some(at) = walk {
            asked.push((at.change_type(), at.page));
            let pages = if at.lane == 0 { 180 } else { 2 };
            walk = at.after(Passed { empty: false, known: true, pages: Some(pages), split: at.lane == 0 });
        }
        assert_eq!(asked.iter().take(2).collect::<Vec<_>>(), [&(None, 1), &(None, 100)]);
        let types: Vec<_> = asked.iter().skip(2).collect();
        assert_eq!(types.len(), 10);
        assert_eq!(
            (types[0], types[1], types[9]),
            (&(Some("added"), 1), &(Some("added"), 2), &(Some("updated"), 2))
        );
    }

    #[test]
    fn the_stored_form_is_read_and_written() {
        let stored = r#"{"begun":1787680154,"full":true,"lane":0,"page":7,"back_to":null}"#;
        let walk: Walk = serde_json::from_str(stored).unwrap();
        assert_eq!(walk, Walk { page: 7, ..Walk::new(1_787_680_154, true) });
        assert_eq!(serde_json::to_string(&walk).unwrap(), stored);
    }
}
