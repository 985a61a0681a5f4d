//! What differs between two mappings for one entry.

use std::collections::HashMap;

use super::Origin;
use super::explain::{Explained, Outcome};
use super::plans::Plans;
use crate::event::Entry;

/// One thing that is not the same under both mappings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The CEF key, or `name`, `severity`, `drop` for what is no key.
    pub key: String,
    /// Under the old mapping; `None`: it is not there.
    pub old: Option<Changed>,
    /// Under the new one.
    pub new: Option<Changed>,
}

/// One side of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The value, neither escaped nor cut.
    pub value: String,
    /// The label that goes with the key.
    pub label: Option<String>,
    /// Who set it; `None` for a name made from the action.
    pub set_by: Option<Origin>,
}

/// What differs for an entry: name and severity, then the fields in the order of the event.
///
/// Who set a value is no difference. An entry that one of the two drops differs in `drop` alone.
pub fn changes(entry: &Entry, old: &Plans, new: &Plans) -> Vec<Change> {
    let (mut old, mut new) = (sides(entry, old), sides(entry, new));
    if [&old, &new].into_iter().any(|sides| sides.iter().any(|(key, _)| key == "drop")) {
        for sides in [&mut old, &mut new] {
            sides.retain(|(key, _)| key == "drop");
        }
    }
    let mut left: HashMap<String, Changed> = old.iter().cloned().collect();
    let mut changes = Vec::new();
    for (key, new) in new {
        let old = left.remove(&key);
        if old.as_ref().is_none_or(|old| (&old.value, &old.label) != (&new.value, &new.label)) {
            changes.push(Change { key, old, new: Some(new) });
        }
    }
    let gone = old.into_iter().filter(|(key, _)| left.contains_key(key));
    changes.extend(gone.map(|(key, old)| Change { key, old: Some(old), new: None }));
    changes
}

/// Everything that an event has, by key.
fn sides(entry: &Entry, plans: &Plans) -> Vec<(String, Changed)> {
    let explained = plans.plan(entry.log(), entry.action().as_str()).explain(entry);
    let side = |Explained { key, label, outcome, set_by, .. }| match outcome {
        Outcome::Value(value) => Some((key, Changed { value, label, set_by })),
        _ => None,
    };
    explained.into_iter().filter_map(side).collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::event::{Log, UnixTime};
    use crate::mapping::{Layer, MappingFile, builtin, compile};

    fn plans(more: &str) -> Plans {
        let mut files = builtin();
        let text = format!("version = 1\nlog = \"audit\"\n{more}");
        files.push(MappingFile::new("acme.toml", Layer::Customer, text));
        compile(&files).unwrap()
    }

    fn entry() -> Entry {
        let raw = r#"{"id":"1","action":"user_login","actor":{"user":{"name":"Ann"}}}"#;
        Entry::from_raw(Log::Audit, Bytes::from(raw), UnixTime::from_seconds(0), 0).unwrap()
    }

    fn shown(old: &str, new: &str) -> Vec<String> {
        let side = |side: &Option<Changed>| side.as_ref().map_or("-".to_owned(), |s| s.value.clone());
        let changes = changes(&entry(), &plans(old), &plans(new));
        changes.iter().map(|c| format!("{}: {} > {}", c.key, side(&c.old), side(&c.new))).collect()
    }

    #[test]
    fn tells_what_is_added_gone_and_other() {
        assert_eq!(shown("", ""), <[&str; 0]>::default());
        assert_eq!(
            shown(
                "",
                "unset = [\"act\"]\n[fields]\nAcmeTenant = \"emea\"\nsuser = \"{actor.user.name | upper}\"\n"
            ),
            ["suser: Ann > ANN", "AcmeTenant: - > emea", "act: user_login > -"]
        );
    }

    #[test]
    fn who_set_a_value_is_no_difference_but_its_label_is() {
        let same = "[fields]\nsuser = \"{actor.user.name}\"";
        assert_eq!(shown("", same), <[&str; 0]>::default());
        let label = "[fields]\ncs1 = { label = \"AcmeActor\", value = \"{actor.user.name}\" }";
        assert_eq!(shown("", label), ["cs1: Ann > Ann"]);
    }

    #[test]
    fn a_dropped_entry_differs_in_that_alone() {
        let drop = "[[rules]]\nwhen = { action = \"user_login\" }\ndrop = true";
        assert_eq!(shown("", drop), ["drop: - > true"]);
        assert_eq!(shown(drop, ""), ["drop: true > -"]);
        assert_eq!(shown(drop, drop), <[&str; 0]>::default());
    }
}
