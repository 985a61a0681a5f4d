//! Everything that is said of one action, by all layers and rules.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::book::{Book, Page};
use super::condition::{AtPath, Condition, Pruned};
use super::field::Field;
use super::file::Attributes;
use super::table::Set;
use crate::cef::Key;

/// Everything that is said of one action, or of all that no file names.
pub(super) struct OfAction<'b> {
    /// What the layers say of it, the lowest first; of the unmapped where no file maps it.
    pub(super) pages: Vec<&'b Page>,
    /// Whether a file maps it.
    pub(super) mapped: bool,
    /// What is left to ask of an entry, by the number of the rule.
    pub(super) conditions: Vec<(usize, Arc<Condition<AtPath>>)>,
    pub(super) rules: Vec<Applicable<'b>>,
}

/// A rule as far as it concerns one action.
pub(super) struct Applicable<'b> {
    /// Its number, where it depends on the entry.
    pub(super) number: Option<usize>,
    pub(super) what: &'b Attributes,
}

/// What is said of one key, the strongest last, and by the rule of which number.
pub(super) type Said<'b> = Vec<(Option<usize>, &'b Set<Arc<Field>>)>;

impl<'b> OfAction<'b> {
    /// What `books`, of which the last lies on top, say of an action; of all that no file names
    /// where it is `None`.
    pub(super) fn new(books: &'b [Arc<Book>], action: Option<&str>) -> Self {
        let page = |book: &'b Arc<Book>| book.actions.get(action?);
        let mut pages: Vec<&Page> = books.iter().filter_map(page).collect();
        let mapped = !pages.is_empty();
        if !mapped {
            pages.extend(books.iter().map(|book| &book.unmapped));
        }
        let (mut conditions, mut rules) = (Vec::new(), Vec::new());
        for (number, rule) in books.iter().flat_map(|book| &book.rules).enumerate() {
            let what = &rule.what;
            match rule.when.pruned(action) {
                Pruned::Never => {}
                Pruned::Always => rules.push(Applicable { number: None, what }),
                Pruned::When(condition) => {
                    conditions.push((number, condition));
                    rules.push(Applicable { number: Some(number), what });
                }
            }
        }
        Self { pages, mapped, conditions, rules }
    }

    /// What is said of each key.
    pub(super) fn fields(&self, books: &'b [Arc<Book>]) -> Vec<(&'b Key, Said<'b>)> {
        let mut all: BTreeMap<&str, (&Key, Said<'_>)> = BTreeMap::new();
        let layers = books.iter().map(|book| &book.fields);
        let layers = layers.chain(self.pages.iter().map(|page| &page.fields)).map(|fields| (None, fields));
        let rules = self.rules.iter().map(|rule| (rule.number, &rule.what.fields));
        for (rule, fields) in layers.chain(rules) {
            for (key, set) in fields {
                all.entry(key.name()).or_insert_with(|| (key, Vec::new())).1.push((rule, set));
            }
        }
        all.into_values().collect()
    }
}
