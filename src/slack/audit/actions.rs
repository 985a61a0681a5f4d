//! The names of actions: those that Slack's own list holds now, and those known when this program
//! was built.
//!
//! `GET /audit/v1/actions` answers `{"actions":{"<group>":["name",…],…}}`; a name may stand in
//! several groups, and Slack writes entries of actions that are on no list.
//!
//! **Invariant:** a name is no more than a text here; what it means stands in `mappings/`.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::slack::error::SlackError;

/// Actions by name, each with the groups under which Slack lists it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ActionList(BTreeMap<String, BTreeSet<String>>);

impl ActionList {
    /// What Slack listed or documented when this program was built: `mappings/actions.tsv`.
    pub fn shipped() -> Self {
        let mut list = Self::default();
        // A heading, then action, groups and entity types with tabs between.
        for line in include_str!("../../../mappings/actions.tsv").lines().skip(1) {
            let mut columns = line.split('\t');
            if let (Some(action), Some(groups)) = (columns.next(), columns.next()) {
                groups.split('|').for_each(|group| list.add(action, group));
            }
        }
        list
    }

    /// Reads an answer of `GET /audit/v1/actions`.
    ///
    /// # Errors
    /// [`SlackError::NotAList`] for anything that is none.
    pub fn read(answer: &[u8]) -> Result<Self, SlackError> {
        #[derive(Deserialize)]
        struct Answer {
            actions: BTreeMap<String, Vec<String>>,
        }
        let answer: Answer = serde_json::from_slice(answer)
            .map_err(|error| SlackError::NotAList { line: error.line(), column: error.column() })?;
        let mut list = Self::default();
        for (group, actions) in &answer.actions {
            for action in actions {
                list.add(action, group);
            }
        }
        Ok(list)
    }

    fn add(&mut self, action: &str, group: &str) {
        self.0.entry(action.to_owned()).or_default().insert(group.to_owned());
    }

    /// Each action with its groups, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &BTreeSet<String>)> {
        self.0.iter().map(|(action, groups)| (action.as_str(), groups))
    }

    /// Whether the action is listed.
    pub fn contains(&self, action: &str) -> bool {
        self.0.contains_key(action)
    }

    /// How many actions there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_list_is_whole() {
        let list = ActionList::shipped();
        assert!(list.len() >= 772, "{}", list.len());
        assert!(list.contains("user_login") && list.contains("pref.sso_setting_changed"));
        assert!(list.iter().all(|(action, groups)| !action.is_empty() && !groups.is_empty()));
        let (_, groups) = list.iter().find(|(action, _)| *action == "user_login").unwrap();
        assert_eq!(groups.iter().collect::<Vec<_>>(), ["user"]);
    }

    #[test]
    fn a_name_may_stand_in_two_groups() {
        let list = ActionList::read(br#"{"actions":{"b":["x","y"],"a":["x"]},"more":1}"#).unwrap();
        let shown: Vec<_> = list.iter().map(|(action, groups)| (action, groups.len())).collect();
        assert_eq!(shown, [("x", 2), ("y", 1)]);
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for body in ["", "[]", "{}", r#"{"actions":[]}"#, r#"{"entries":[]}"#, r#"{"actions":{"a":[1]}}"#] {
            let refused = ActionList::read(body.as_bytes());
            assert!(matches!(refused, Err(SlackError::NotAList { .. })), "{body}");
        }
    }
}
