//! What the files of one layer say of one log, each thing once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::field::{Field, Fields};
use super::file::{Attributes, Document, Rule};
use super::severity::Grade;
use super::table::{At, Problems, Set};
use crate::cef::{HeaderText, Key};

/// What one layer says of one log.
#[derive(Debug, Default)]
pub(super) struct Book {
    pub(super) vendor: Option<Set<HeaderText>>,
    pub(super) product: Option<Set<HeaderText>>,
    pub(super) fields: Fields,
    pub(super) unmapped: Page,
    pub(super) actions: BTreeMap<String, Page>,
    pub(super) rules: Vec<Rule>,
    /// The actions that are named, be it by a rule, each with a number.
    pub(super) named: HashMap<Box<str>, usize>,
    /// The names that receivers see beside the dictionary's, in small letters, with the keys that they
    /// are names of.
    names: BTreeMap<String, BTreeSet<String>>,
}

/// What one layer says of one action.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) name: Option<Set<HeaderText>>,
    pub(super) severity: Option<Set<Grade>>,
    pub(super) drop: Option<Set<bool>>,
    pub(super) fields: Fields,
    /// Where the action stands.
    pub(super) at: Option<At>,
}

impl Book {
    pub(super) fn add(&mut self, document: Document, problems: &mut Problems<'_>) {
        lay(&mut self.vendor, document.vendor, "the vendor", problems);
        lay(&mut self.product, document.product, "the product", problems);
        lay_fields(&mut self.fields, document.fields, "", problems);
        self.unmapped.add(document.unmapped, " of [unmapped]", problems);
        for (action, attributes) in document.actions {
            let of = format!(" of `{}`", action.what);
            let page = self.actions.entry(action.what).or_default();
            page.at = Some(action.at);
            page.add(attributes, &of, problems);
        }
        self.rules.extend(document.rules);
    }

    /// Takes stock of what was added, which is all.
    pub(super) fn close(&mut self) {
        let mut named: BTreeSet<&str> = self.actions.keys().map(String::as_str).collect();
        for rule in &self.rules {
            rule.when.each_action(&mut |action| {
                named.insert(action);
            });
        }
        self.named = named.into_iter().enumerate().map(|(number, action)| (action.into(), number)).collect();
        let mut names: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (key, set) in self.every_field() {
            for (name, _) in names_of(key, &set.what) {
                names.entry(name.to_ascii_lowercase()).or_default().insert(key.name().to_owned());
            }
        }
        self.names = names;
    }

    /// Everything that is said of a field.
    pub(super) fn every_field(&self) -> impl Iterator<Item = &(Key, Set<Arc<Field>>)> {
        let pages = self.actions.values().chain([&self.unmapped]).map(|page| &page.fields);
        let rules = self.rules.iter().map(|rule| &rule.what.fields);
        pages.chain(rules).chain([&self.fields]).flatten()
    }

    /// Whether a name of this book may be that of another key in one of `books`.
    pub(super) fn may_clash_with(&self, books: &[Arc<Self>]) -> bool {
        self.names.iter().any(|(name, keys)| {
            let other = |book: &Arc<Self>| book.names.get(name).is_some_and(|others| others != keys);
            keys.len() > 1 || books.iter().any(other)
        })
    }
}

impl Page {
    fn add(&mut self, attributes: Attributes, of: &str, problems: &mut Problems<'_>) {
        lay(&mut self.name, attributes.name, &format!("the name{of}"), problems);
        lay(&mut self.severity, attributes.severity, &format!("the severity{of}"), problems);
        lay(&mut self.drop, attributes.drop, &format!("`drop`{of}"), problems);
        lay_fields(&mut self.fields, attributes.fields, of, problems);
    }
}

fn lay<T>(place: &mut Option<Set<T>>, set: Option<Set<T>>, thing: &str, problems: &mut Problems<'_>) {
    match (&place, set) {
        (Some(first), Some(set)) => twice(thing, &first.at, set.at, problems),
        (None, set) => *place = set,
        (Some(_), None) => {}
    }
}

fn lay_fields(fields: &mut Fields, more: Fields, of: &str, problems: &mut Problems<'_>) {
    for (key, set) in more {
        match fields.iter().find(|(known, _)| *known == key) {
            Some((_, first)) => twice(&format!("`{key}`{of}"), &first.at, set.at, problems),
            None => fields.push((key, set)),
        }
    }
}

/// Notes that one layer says the same thing twice.
pub(super) fn twice(thing: &str, first: &At, again: At, problems: &mut Problems<'_>) {
    let what = format!("{thing} is set twice, the first time in {}", problems.origin(first));
    problems.note(again, "duplicate", what, "take one of them away");
}

/// The names that receivers see beside the dictionary's: of each whether it is a label, or else the
/// key's own name.
pub(super) fn names_of<'s>(key: &'s Key, field: &'s Field) -> impl Iterator<Item = (&'s str, bool)> {
    let label = field.label().map(|label| (label.as_str(), true));
    let own = key.definition().is_none().then(|| (key.name(), false));
    label.into_iter().chain(own)
}
