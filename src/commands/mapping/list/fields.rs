//! Every key that a mapping writes: whose entries have it, where its value comes from, what it means.

use std::collections::BTreeSet;

use serde_json::json;

use crate::cef::Key;
use crate::commands::table::table;
use crate::event::Log;
use crate::mapping::{FieldInfo, FieldOf, Origin, Plans};

/// One key, one way in which it is filled.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) key: Key,
    pub(super) label: Option<String>,
    /// The values as the files have them: one, or the several constants of several actions.
    pub(super) from: Vec<String>,
    pub(super) means: String,
    pub(super) of: Of,
    /// The actions that have it; none where all have.
    pub(super) actions: BTreeSet<String>,
    /// The types of entity that the value is read from; `*` for any.
    pub(super) entities: BTreeSet<String>,
    pub(super) hides: bool,
    /// Where it is said first.
    pub(super) origin: Origin,
}

/// Whose entries have it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Of {
    Every,
    Unmapped,
    /// Of these actions.
    Actions,
    /// Of these actions, where one of these rules applies.
    Rules(Vec<Origin>),
}

/// The fields of a log, those alike in one row: in the order of events, every entry's own first.
pub(super) fn rows(plans: &Plans, log: Log) -> Vec<Row> {
    let reach = plans.reach(log);
    let mut rows: Vec<Row> = Vec::new();
    for field in &plans.fields(log) {
        let actions = match &field.of {
            FieldOf::Every | FieldOf::Unmapped => Vec::new(),
            FieldOf::Action(action) => vec![&**action],
            FieldOf::Rule { .. } => reach.get(&field.origin).into_iter().flatten().copied().collect(),
        };
        match rows.iter_mut().find(|row| row.is_alike(field)) {
            Some(row) => row.add(field, actions),
            None => rows.push(Row::new(field, actions)),
        }
    }
    rows
}

impl Row {
    fn new(field: &FieldInfo, actions: Vec<&str>) -> Self {
        let label = field.label.as_ref().map(|label| label.as_str().to_owned());
        Self {
            means: field.means.as_deref().map_or_else(|| named(&field.key, label.as_deref()), str::to_owned),
            key: field.key.clone(),
            label,
            from: vec![field.value.to_string()],
            of: match &field.of {
                FieldOf::Every => Of::Every,
                FieldOf::Unmapped => Of::Unmapped,
                FieldOf::Action(_) => Of::Actions,
                FieldOf::Rule { origin, .. } => Of::Rules(vec![origin.clone()]),
            },
            actions: actions.into_iter().map(str::to_owned).collect(),
            entities: entities(&field.value),
            hides: field.hides,
            origin: field.origin.clone(),
        }
    }

    /// Whether a field is the same for other entries: with the same value, or as constant.
    fn is_alike(&self, field: &FieldInfo) -> bool {
        let of = matches!(
            (&self.of, &field.of),
            (Of::Actions, FieldOf::Action(_)) | (Of::Rules(_), FieldOf::Rule { .. })
        );
        let label = field.label.as_ref().map(crate::cef::Label::as_str);
        let constants = is_constant(&field.value) && self.from.iter().all(|from| is_constant(from));
        of && self.key == field.key
            && self.label.as_deref() == label
            && (constants || self.from.iter().any(|from| **from == *field.value))
    }

    fn add(&mut self, field: &FieldInfo, actions: Vec<&str>) {
        if let (Of::Rules(rules), FieldOf::Rule { origin, .. }) = (&mut self.of, &field.of) {
            rules.push(origin.clone());
        }
        self.actions.extend(actions.into_iter().map(str::to_owned));
        if !self.from.iter().any(|from| **from == *field.value) {
            self.from.push(field.value.to_string());
        }
    }

    /// Whose entries have it, in words.
    pub(super) fn whose(&self) -> String {
        match &self.of {
            Of::Every if self.entities.is_empty() => "every entry".to_owned(),
            Of::Every => {
                let entities: Vec<_> = self.entities.iter().map(String::as_str).collect();
                match entities.as_slice() {
                    ["*", ..] => "any entity".to_owned(),
                    entities => format!("entity {}", entities.join(", ")),
                }
            }
            Of::Unmapped => "unmapped actions".to_owned(),
            Of::Actions | Of::Rules(_) => {
                let actions: Vec<_> = self.actions.iter().cloned().collect();
                some(&actions, 2, "actions")
            }
        }
    }

    /// Where the value comes from, as the files have it.
    pub(super) fn source(&self) -> String {
        some(&self.from, 3, "values")
    }
}

/// The first of a list, and how many there are.
pub(super) fn some(list: &[String], most: usize, what: &str) -> String {
    let first: Vec<_> = list.iter().take(most).map(String::as_str).collect();
    if list.len() > most {
        return format!("{}, … ({} {what})", first.join(", "), list.len());
    }
    first.join(", ")
}

pub(super) fn is_constant(value: &str) -> bool {
    !value.contains('{')
}

/// The types of entity that a value is read from.
fn entities(value: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let path = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '*' | '"');
    let mut rest = value;
    while let Some((before, after)) = rest.split_once("entity.") {
        rest = after;
        let names = after.split(|c| !path(c)).next().unwrap_or_default();
        let kind = match names.split_once('.') {
            Some((kind, _)) => kind,
            None if names == "type" => "*",
            None => continue,
        };
        if !before.ends_with(path) {
            found.insert(kind.to_owned());
        }
    }
    found
}

/// What a key means where no file says so: its label or name, in words.
fn named(key: &Key, label: Option<&str>) -> String {
    let name = label.or_else(|| key.definition().map(|known| known.full_name)).unwrap_or(key.name());
    let name = ["SlackAudit", "Slack"].iter().find_map(|start| name.strip_prefix(start)).unwrap_or(name);
    let mut words = String::new();
    let mut before = ' ';
    for c in name.chars() {
        if c.is_ascii_uppercase() && before.is_ascii_lowercase() {
            words.push(' ');
        }
        words.push(c.to_ascii_lowercase());
        before = c;
    }
    words
}

/// The rows as lines.
pub(super) fn listed(rows: &[Row], as_json: bool) -> Vec<String> {
    if as_json {
        return rows.iter().map(json).collect();
    }
    let heading = ["KEY", "LABEL", "OF", "FROM", "MEANING", "SAID IN"].map(str::to_owned);
    let line = |row: &Row| {
        let label = row.label.clone().unwrap_or_else(|| "-".to_owned());
        [
            row.key.name().to_owned(),
            label,
            row.whose(),
            row.source(),
            row.means.clone(),
            row.origin.to_string(),
        ]
    };
    table(&std::iter::once(heading).chain(rows.iter().map(line)).collect::<Vec<_>>())
}

fn json(row: &Row) -> String {
    let (scope, rules) = match &row.of {
        Of::Every => ("every", Vec::new()),
        Of::Unmapped => ("unmapped", Vec::new()),
        Of::Actions => ("actions", Vec::new()),
        Of::Rules(rules) => ("rules", rules.iter().map(ToString::to_string).collect()),
    };
    json!({
        "key": row.key.name(),
        "label": row.label,
        "type": row.key.kind().described(),
        "limit": row.key.limit(),
        "from": row.from,
        "means": row.means,
        "scope": scope,
        "actions": row.actions,
        "rules": rules,
        "entities": row.entities,
        "hides": row.hides,
        "file": &*row.origin.file,
        "line": row.origin.line,
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_paths_tell_the_types_of_entity() {
        let of = |value| entities(value).into_iter().collect::<Vec<_>>();
        assert_eq!(of("{entity.file.name ?? entity.file.title ?? entity.canvas.title}"), ["canvas", "file"]);
        assert_eq!(of("{entity.*.id}"), ["*"]);
        assert_eq!(of("{entity.type}"), ["*"]);
        assert_eq!(of("{details.entity.file.id} {identity.file.id}"), [""; 0]);
        assert_eq!(of("a{entity.user.id}b{entity.app.id|lower}"), ["app", "user"]);
    }

    #[test]
    fn a_key_without_a_meaning_goes_by_its_name() {
        let named = |key: &str, label| named(&Key::new(key).unwrap(), label);
        assert_eq!(named("cs1", Some("SlackActorName")), "actor name");
        assert_eq!(named("rt", None), "device receipt time");
        assert_eq!(named("SlackAuditAppBotScopes", None), "app bot scopes");
    }
}
