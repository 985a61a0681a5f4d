//! Every field that the files write, for lists of them: what stands in a CEF key, and who says so.
//!
//! What counts is told, layer over layer: a field that the customer's file replaces or takes away
//! is not in the list. Rules are told of as they are written, for each may apply or not.

use std::sync::Arc;

use super::compile::{Book, LayeredFields};
use super::field::{Field, Fields};
use super::table::{Reading, Set};
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
pub(super) fn listed(book: &Book, reading: &Reading<'_>) -> Vec<FieldInfo> {
    let mut list = List { reading, fields: Vec::new() };
    list.layered(&FieldOf::Every, &book.fields);
    list.layered(&FieldOf::Unmapped, &book.unmapped.fields);
    for (action, page) in &book.actions {
        list.layered(&FieldOf::Action(action.as_str().into()), &page.fields);
    }
    for (number, rule) in book.rules.iter().enumerate() {
        list.plain(&FieldOf::Rule { number, origin: reading.origin(&rule.at) }, &rule.what.fields);
    }
    list.fields
}

struct List<'r, 'f> {
    reading: &'r Reading<'f>,
    fields: Vec<FieldInfo>,
}

impl List<'_, '_> {
    fn layered(&mut self, of: &FieldOf, fields: &LayeredFields) {
        self.add(of, fields.values().filter_map(|(key, said)| Some((key, said.last()?))));
    }

    fn plain(&mut self, of: &FieldOf, fields: &Fields) {
        self.add(of, fields.iter().map(|(key, set)| (key, set)));
    }

    fn add<'s>(&mut self, of: &FieldOf, said: impl Iterator<Item = (&'s Key, &'s Set<Arc<Field>>)>) {
        let first = self.fields.len();
        self.fields.extend(said.filter_map(|(key, set)| {
            let Field::Value { label, template, means } = &*set.what else { return None };
            Some(FieldInfo {
                key: key.clone(),
                label: label.clone(),
                value: template.written().into(),
                hides: template.hides(),
                means: means.clone(),
                of: of.clone(),
                origin: self.reading.origin(&set.at),
            })
        }));
        let added = self.fields.get_mut(first..).unwrap_or_default();
        added.sort_by(|a, b| (order::place(&a.key), a.key.name()).cmp(&(order::place(&b.key), b.key.name())));
    }
}
