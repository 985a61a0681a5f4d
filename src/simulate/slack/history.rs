//! All that a simulated Slack holds, by the second.
//!
//! Given and generated entries lie side by side: of either it matters only when it was created,
//! when it can be read, and its text.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use super::dice::Dice;
use super::facts;
use super::generate::Series;
use super::late::{Due, Late, Moment, Pick, Until};

/// Every entry, those that cannot be read yet included.
#[derive(Debug)]
pub(super) struct History {
    given: RwLock<Givens>,
    series: Option<Series>,
    late: Vec<Rule>,
    seed: u64,
    start: i64,
}

#[derive(Debug, Default)]
struct Givens {
    count: u64,
    by_second: BTreeMap<i64, Vec<Arc<Given>>>,
}

/// An entry that was handed in as text.
#[derive(Debug)]
struct Given {
    nth: u64,
    raw: String,
    due: Due,
}

/// An entry found in a second.
#[derive(Debug, Clone)]
pub(super) struct Found(Source);

#[derive(Debug, Clone)]
enum Source {
    Given(Arc<Given>),
    Generated(u64),
}

impl History {
    pub(super) fn new(series: Option<Series>, late: &[Late], seed: u64, start: i64) -> Self {
        let late = late.iter().map(|late| Rule::new(late, series.as_ref())).collect();
        Self { given: RwLock::default(), series, late, seed, start }
    }

    /// Takes in an entry; one without `date_create` gets `otherwise`. False for a text that is not
    /// one JSON object.
    pub(super) fn add(&self, raw: &str, otherwise: i64) -> bool {
        let Some((raw, at)) = dated(raw.trim(), otherwise) else { return false };
        let id = facts::text(&raw, &["id"]).unwrap_or_default();
        let mut given = self.given.write().unwrap_or_else(PoisonError::into_inner);
        let nth = given.count;
        let due = self.due(at, |rule| rule.picks_given(&id, nth, self.seed));
        given.by_second.entry(at).or_default().push(Arc::new(Given { nth, raw, due }));
        given.count += 1;
        true
    }

    /// The newest second at or before `second` that holds entries, readable or not.
    pub(super) fn second_at_or_before(&self, second: i64) -> Option<i64> {
        let given = self.given.read().unwrap_or_else(PoisonError::into_inner);
        let given = given.by_second.range(..=second).next_back().map(|(at, _)| *at);
        given.max(self.series.as_ref().and_then(|series| series.second_at_or_before(second)))
    }

    /// The entries of that second that can be read at `moment`, shuffled anew for each `order`.
    pub(super) fn at(&self, second: i64, moment: Moment, order: u64) -> Vec<Found> {
        let mut found: Vec<Found> = {
            let given = self.given.read().unwrap_or_else(PoisonError::into_inner);
            let of_second = given.by_second.get(&second).into_iter().flatten();
            let due = of_second.filter(|given| given.due.has_come(moment));
            due.map(|given| Found(Source::Given(Arc::clone(given)))).collect()
        };
        if let Some(series) = &self.series {
            let due = series.of_second(second).filter(|&index| {
                self.due(second, |rule| rule.picks_generated(index, self.seed)).has_come(moment)
            });
            found.extend(due.map(|index| Found(Source::Generated(index))));
        }
        found.sort_by_cached_key(|found| Dice::new(self.seed.wrapping_add(order), found.key()).next());
        found
    }

    /// Appends the entry's JSON text.
    pub(super) fn write(&self, found: &Found, out: &mut String) {
        match (&found.0, &self.series) {
            (Source::Given(given), _) => out.push_str(&given.raw),
            (Source::Generated(index), Some(series)) => series.write(*index, out),
            (Source::Generated(_), None) => {}
        }
    }

    fn due(&self, at: i64, picks: impl Fn(&Rule) -> bool) -> Due {
        Due::of(at, self.late.iter().find(|rule| picks(rule)).map(|rule| rule.until), self.start)
    }
}

impl Found {
    /// A number of its own.
    fn key(&self) -> u64 {
        match &self.0 {
            Source::Given(given) => given.nth | GIVEN,
            Source::Generated(index) => *index,
        }
    }
}

/// Keeps the numbers of given entries apart from those of generated ones.
const GIVEN: u64 = 1 << 63;

/// A [`Late`] that knows which of its ids are those of generated entries.
#[derive(Debug)]
struct Rule {
    one_in: u64,
    ids: BTreeSet<String>,
    generated: BTreeSet<u64>,
    until: Until,
}

impl Rule {
    fn new(late: &Late, series: Option<&Series>) -> Self {
        let (one_in, ids) = match &late.pick {
            Pick::OneIn(times) => (*times, BTreeSet::new()),
            Pick::Ids(ids) => (0, ids.iter().cloned().collect()),
        };
        let generated = ids.iter().filter_map(|id: &String| series?.index_of(id)).collect();
        Self { one_in, ids, generated, until: late.until }
    }

    fn picks_given(&self, id: &str, nth: u64, seed: u64) -> bool {
        Dice::new(seed, nth | GIVEN).once_in(self.one_in) || self.ids.contains(id)
    }

    fn picks_generated(&self, index: u64, seed: u64) -> bool {
        Dice::new(seed, index).once_in(self.one_in) || self.generated.contains(&index)
    }
}

/// Whether the text is one JSON object.
pub(super) fn is_object(text: &str) -> bool {
    dated(text.trim(), 0).is_some()
}

/// The entry with a `date_create` in it, and when that is; `None` for what is no JSON object.
fn dated(raw: &str, otherwise: i64) -> Option<(String, i64)> {
    if facts::member(raw, "date_create").ok()?.is_some() {
        return Some((raw.to_owned(), facts::seconds(raw, &["date_create"]).unwrap_or(otherwise)));
    }
    let rest = raw.strip_prefix('{')?;
    let comma = if rest.trim_start().starts_with('}') { "" } else { "," };
    Some((format!(r#"{{"date_create":{otherwise}{comma}{rest}"#), otherwise))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_without_time_gets_one_and_keeps_all_else() {
        assert_eq!(dated("{}", 7), Some((r#"{"date_create":7}"#.to_owned(), 7)));
        let raw = r#"{ "b": "\/\ud800" ,"a":1}"#;
        assert_eq!(dated(raw, 7), Some((r#"{"date_create":7, "b": "\/\ud800" ,"a":1}"#.to_owned(), 7)));
        for raw in [r#"{"a":{"date_create":1},"date_create":5}"#, r#"{"date_create":4,"date_create":"5"}"#] {
            assert_eq!(dated(raw, 7), Some((raw.to_owned(), 5)));
        }
        for raw in ["", "[]", "{", "7", "{} {}", r#"{"a":}"#] {
            assert_eq!(dated(raw, 7), None, "{raw}");
        }
    }
}
