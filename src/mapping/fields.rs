//! Every field that the files write, for lists of them: what stands in a CEF key, and who says so.
//!
//! What counts is told, layer over layer: a field that the customer's file replaces or takes away
//! is not in the list. Rules are told of as they are written, for each may apply or not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::book::Book;
use super::field::{Field, Fields};
use super::stratum::Stratum;
use super::table::Set;
use super::{Origin, order};
use crate::cef::{Key, Label};

/// What the files say of one key.
#[derive(Debug, Clone)]
pub struct FieldInfo {
    /// The key.
    pub key: Key,
    /// The label that goes with it.
    pub label: Option<Label>,
    /// Its value as the file has it: `{actor.user.email ?? actor.user.name}`.
    pub value: Box<str>,
    /// Whether a filter hides something of what Slack sent: `domain`, `mask` or `pseudonym`.
    pub hides: bool,
    /// What it means, where the file says so.
    pub means: Option<Box<str>>,
    /// Whose entries have it.
    pub of: FieldOf,
    /// Where it is said.
    pub origin: Origin,
}

/// Whose entries have a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldOf {
    /// Those of every action.
    Every,
    /// Those of actions that no file names.
    Unmapped,
    /// Those of this action.
    Action(Arc<str>),
    /// Those that a rule applies to.
    Rule {
        /// Its place among the rules, counted from 0; the later wins.
        number: usize,
        /// Where it begins.
        origin: Origin,
    },
}

/// The fields of a log: for every entry first, then those of the unmapped, of each action by name,
/// and of each rule in order; within these as they are written in events.
pub(super) fn listed(books: &[Arc<Book>], read: &Stratum) -> Vec<FieldInfo> {
    let mut list = List { read, fields: Vec::new() };
    list.add(&FieldOf::Every, books.iter().map(|book| &book.fields));
    list.add(&FieldOf::Unmapped, books.iter().map(|book| &book.unmapped.fields));
    let actions: BTreeSet<&str> =
        books.iter().flat_map(|book| book.actions.keys()).map(|name| &**name).collect();
    for action in actions {
        let pages = books.iter().filter_map(|book| book.actions.get(action));
        list.add(&FieldOf::Action(action.into()), pages.map(|page| &page.fields));
    }
    for (number, rule) in books.iter().flat_map(|book| &book.rules).enumerate() {
        list.add(&FieldOf::Rule { number, origin: read.origin(&rule.at) }, [&rule.what.fields].into_iter());
    }
    list.fields
}

struct List<'b> {
    read: &'b Stratum,
    fields: Vec<FieldInfo>,
}

impl List<'_> {
    /// Adds what counts of several layers, of which the last lies on top.
    fn add<'b>(&mut self, of: &FieldOf, layers: impl Iterator<Item = &'b Fields>) {
        let mut said: BTreeMap<&str, &(Key, Set<Arc<Field>>)> = BTreeMap::new();
        for field in layers.flatten() {
            said.insert(field.0.name(), field);
        }
        let first = self.fields.len();
        self.fields.extend(said.into_values().filter_map(|(key, set)| {
            let Field::Value { label, template, means } = &*set.what else { return None };
            Some(FieldInfo {
                key: key.clone(),
                label: label.clone(),
                value: template.written().into(),
                hides: template.hides(),
                means: means.clone(),
                of: of.clone(),
                origin: self.read.origin(&set.at),
            })
        }));
        let added = self.fields.get_mut(first..).unwrap_or_default();
        added.sort_by(|a, b| (order::place(&a.key), a.key.name()).cmp(&(order::place(&b.key), b.key.name())));
    }
}
