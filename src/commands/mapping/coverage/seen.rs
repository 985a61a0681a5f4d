//! The actions that were seen and that no file maps, with what is needed to map them.
//!
//! **Invariant:** memory is bounded, whatever the entries hold.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::stub;
use crate::event::{Entry, Log, UnixTime};
use crate::mapping::{FieldOf, Plans};

/// What was seen.
#[derive(Debug)]
pub(super) struct Seen {
    entries: u64,
    /// The paths that every event's fields are read from.
    taken: BTreeSet<String>,
    unmapped: BTreeMap<String, Sighting>,
    /// Entries of further actions, of which nothing is kept.
    beyond: u64,
}

/// What was seen of one action.
#[derive(Debug)]
pub(super) struct Sighting {
    pub(super) count: u64,
    pub(super) first: UnixTime,
    pub(super) last: UnixTime,
    pub(super) entities: BTreeSet<String>,
    /// The paths below `details` that hold a value, as names.
    pub(super) details: BTreeSet<Vec<String>>,
}

/// So many different actions are told apart: more than Slack has by far.
const ACTIONS: usize = 10_000;
/// So many types and details of each.
const SHAPES: usize = 50;

impl Seen {
    /// Nothing yet; what `plans` put into every event is nothing to propose.
    pub(super) fn new(plans: &Plans) -> Self {
        let path = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '"');
        let fields = plans.fields(Log::Audit);
        let every = fields.iter().filter(|field| field.of == FieldOf::Every);
        let paths = every.flat_map(|field| field.value.split(|c| !path(c)));
        let taken = paths.filter(|path| path.starts_with("details.")).map(str::to_owned).collect();
        Self { entries: 0, taken, unmapped: BTreeMap::new(), beyond: 0 }
    }

    /// Takes one more entry into account.
    pub(super) fn add(&mut self, entry: &Entry, plans: &Plans) {
        // What the forwarder says of itself is nothing that Slack did.
        if entry.log() == Log::Forwarder {
            return;
        }
        self.entries = self.entries.saturating_add(1);
        let action = entry.action().as_str();
        if !plans.plan(entry.log(), action).is_unmapped() {
            return;
        }
        if !self.unmapped.contains_key(action) && self.unmapped.len() >= ACTIONS {
            self.beyond = self.beyond.saturating_add(1);
            return;
        }
        let sighting = self.unmapped.entry(action.to_owned()).or_insert_with(|| Sighting {
            count: 0,
            first: entry.at(),
            last: entry.at(),
            entities: BTreeSet::new(),
            details: BTreeSet::new(),
        });
        sighting.add(entry, &self.taken);
    }

    /// How many actions no file maps.
    pub(super) fn unmapped(&self) -> usize {
        self.unmapped.len()
    }

    pub(super) fn to_json(&self) -> Value {
        let sighting = |(action, seen): (&String, &Sighting)| {
            json!({
                "action": action,
                "count": seen.count,
                "first": seen.first.to_string(),
                "last": seen.last.to_string(),
                "entities": seen.entities,
                "details": seen.details.iter().map(|names| stub::path(names)).collect::<Vec<_>>(),
                "stub": stub::of(action, seen),
            })
        };
        json!({
            "entries": self.entries,
            "unmapped": self.unmapped.iter().map(sighting).collect::<Vec<_>>(),
            "entries_of_further_actions": self.beyond,
        })
    }

    /// A mapping file of stubs: what is not TOML stands behind `#`.
    pub(super) fn to_text(&self) -> String {
        let entries = self.entries;
        if self.unmapped.is_empty() {
            return format!("# {entries} entries were looked at: a file maps each of their actions.");
        }
        let count = match self.unmapped.len() {
            1 => "One action".to_owned(),
            count => format!("{count} actions"),
        };
        let mut text = format!(
            "# {count} that no file maps, in {entries} entries. Choose a severity for each, say what its fields hold,\n\
             # and put this into a file of your own that begins with `version = 1` and `log = \"audit\"`.\n"
        );
        if self.beyond > 0 {
            // Writing to a string cannot fail.
            writeln!(text, "# {} entries were of further actions still.", self.beyond).unwrap_or_default();
        }
        let mut unmapped: Vec<_> = self.unmapped.iter().collect();
        unmapped.sort_by_key(|(_, seen)| std::cmp::Reverse(seen.count));
        for (action, seen) in unmapped {
            write!(text, "\n{}", stub::of(action, seen)).unwrap_or_default();
        }
        text
    }
}

impl Sighting {
    fn add(&mut self, entry: &Entry, taken: &BTreeSet<String>) {
        self.count = self.count.saturating_add(1);
        self.first = self.first.min(entry.at());
        self.last = self.last.max(entry.at());
        // An entry that cannot be read again has been counted all the same.
        let Ok(json) = serde_json::from_slice::<Value>(entry.raw()) else { return };
        if let Some(kind) = json.pointer("/entity/type").and_then(Value::as_str)
            && self.entities.len() < SHAPES
        {
            self.entities.insert(kind.to_owned());
        }
        if let Some(details) = json.get("details") {
            self.add_details(details, &mut Vec::new(), taken);
        }
    }

    /// Notes what lies in `details`, down to the second name, and is not taken.
    fn add_details(&mut self, value: &Value, names: &mut Vec<String>, taken: &BTreeSet<String>) {
        match value {
            Value::Null => {}
            _ if taken.contains(&stub::path(names)) => {}
            Value::Object(members) if names.len() < 2 => {
                for (name, member) in members {
                    names.push(name.clone());
                    self.add_details(member, names, taken);
                    names.pop();
                }
            }
            _ if names.is_empty() || self.details.len() >= SHAPES => {}
            _ => {
                self.details.insert(names.clone());
            }
        }
    }
}
