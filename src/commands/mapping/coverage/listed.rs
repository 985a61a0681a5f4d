//! A mapping compared with a list of Slack's actions.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::commands::table::table;
use crate::event::Log;
use crate::mapping::Plans;
use crate::slack::ActionList;

/// What came of the comparison.
#[derive(Debug)]
pub(super) struct Comparison {
    from: String,
    actions: usize,
    /// A name in two groups counts in both.
    groups: BTreeMap<String, Group>,
    unmapped: BTreeSet<String>,
    /// On that list, but not on the one that slackcef was built with.
    new: Option<Vec<String>>,
    /// Mapped by name, and on neither list: perhaps a slip of the pen.
    unlisted: Vec<String>,
}

#[derive(Debug, Default)]
struct Group {
    mapped: usize,
    unmapped: Vec<String>,
}

impl Comparison {
    /// Compares what `plans` map with `list`, and the list with the one `known` before.
    pub(super) fn new(
        from: impl Into<String>,
        list: &ActionList,
        known: Option<&ActionList>,
        plans: &Plans,
    ) -> Self {
        let mut groups: BTreeMap<String, Group> = BTreeMap::new();
        let mut unmapped = BTreeSet::new();
        for (action, of) in list.iter() {
            let is_unmapped = plans.plan(Log::Audit, action).is_unmapped();
            for group in of {
                let group = groups.entry(group.clone()).or_default();
                if is_unmapped {
                    group.unmapped.push(action.to_owned());
                } else {
                    group.mapped = group.mapped.saturating_add(1);
                }
            }
            if is_unmapped {
                unmapped.insert(action.to_owned());
            }
        }
        let new = known.map(|known| {
            let new = list.iter().map(|(action, _)| action).filter(|action| !known.contains(action));
            new.map(str::to_owned).collect()
        });
        let is_listed =
            |action: &str| list.contains(action) || known.is_some_and(|known| known.contains(action));
        let mapped = plans.actions(Log::Audit);
        let unlisted = mapped.iter().map(|mapped| mapped.action).filter(|action| !is_listed(action));
        Self {
            from: from.into(),
            actions: list.len(),
            groups,
            unmapped,
            new,
            unlisted: unlisted.map(str::to_owned).collect(),
        }
    }

    /// How many actions of the list no file maps.
    pub(super) fn unmapped(&self) -> usize {
        self.unmapped.len()
    }

    pub(super) fn to_json(&self) -> Value {
        let group = |(name, group): (&String, &Group)| json!({ "group": name, "mapped": group.mapped, "unmapped": group.unmapped });
        json!({
            "list": self.from,
            "actions": self.actions,
            "mapped": self.actions.saturating_sub(self.unmapped.len()),
            "unmapped": self.unmapped,
            "groups": self.groups.iter().map(group).collect::<Vec<_>>(),
            "new": self.new,
            "unlisted": self.unlisted,
        })
    }

    pub(super) fn to_text(&self) -> String {
        let mut rows = vec![["GROUP", "MAPPED", "UNMAPPED"].map(str::to_owned)];
        for (name, group) in &self.groups {
            rows.push([
                name.escape_debug().to_string(),
                group.mapped.to_string(),
                group.unmapped.len().to_string(),
            ]);
        }
        let mut text = table(&rows).join("\n");
        // Writing to a string cannot fail.
        let mapped = self.actions.saturating_sub(self.unmapped.len());
        write!(text, "\n\n{mapped} of {} actions are mapped, by {}\n", self.actions, self.from)
            .unwrap_or_default();
        let mut unmapped = String::new();
        for (name, group) in self.groups.iter().filter(|(_, group)| !group.unmapped.is_empty()) {
            let names: Vec<_> = group.unmapped.iter().map(|name| name.escape_debug().to_string()).collect();
            write!(unmapped, "\n  {}: {}", name.escape_debug(), names.join(", ")).unwrap_or_default();
        }
        let told = [
            ("Not mapped, so that the catch-all takes them", unmapped),
            ("On Slack's list, and not known when slackcef was built", listed(self.new.as_deref())),
            ("Mapped, but on no list: is the name right?", listed(Some(&self.unlisted))),
        ];
        for (what, which) in told.iter().filter(|(_, which)| !which.is_empty()) {
            write!(text, "\n{what}:{which}\n").unwrap_or_default();
        }
        text
    }
}

fn listed(actions: Option<&[String]>) -> String {
    let mut lines = String::new();
    for action in actions.unwrap_or_default() {
        lines.push_str("\n  ");
        lines.extend(action.escape_debug());
    }
    lines
}
