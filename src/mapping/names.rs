//! Two keys that may stand in one event must differ, and so must their labels, in more than case:
//! receivers take a label for a name.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::book::{Book, names_of};
use super::said::{OfAction, Said};
use super::table::{At, Problems};
use crate::cef::Key;

/// Checks the names of every action that `books` name, of which the last lies on top.
///
/// The others were checked before, and most customers bring nothing that may clash: then only actions
/// that they are the first to map are looked at, where nothing of the unmapped counts any more.
pub(super) fn check(books: &[Arc<Book>], problems: &mut Problems<'_>) {
    let Some((top, beneath)) = books.split_last() else { return };
    let all = beneath.is_empty() || top.may_clash_with(beneath);
    let looked_at = if all { books } else { std::slice::from_ref(top) };
    let mut actions: BTreeSet<&str> =
        looked_at.iter().flat_map(|book| book.named.keys()).map(|a| &**a).collect();
    actions.retain(|&action| all || !beneath.iter().any(|book| book.actions.contains_key(action)));
    // Most actions bring no name of their own.
    let mut checked = HashSet::new();
    for action in actions.into_iter().map(Some).chain(all.then_some(None)) {
        let of_action = OfAction::new(books, action);
        let fields = of_action.fields(books);
        let names = names(&fields);
        if checked.insert(names.iter().map(|name| (name.at.file, name.at.start)).collect::<Vec<_>>()) {
            check_together(&names, problems);
        }
    }
}

/// A name that an event may have.
struct Name<'s> {
    at: &'s At,
    text: &'s str,
    key: &'s Key,
    is_label: bool,
}

/// The names of the fields that may stand in one event, by their places.
fn names<'s>(fields: &[(&'s Key, Said<'s>)]) -> Vec<Name<'s>> {
    let mut names = Vec::new();
    for (key, said) in fields {
        let live = said.iter().rposition(|(rule, _)| rule.is_none()).unwrap_or(0);
        for (_, set) in said.get(live..).unwrap_or_default() {
            let brought = names_of(key, &set.what);
            names.extend(brought.map(|(text, is_label)| Name { at: &set.at, text, key, is_label }));
        }
    }
    names.sort_by_key(|name| name.at);
    names
}

fn check_together(names: &[Name<'_>], problems: &mut Problems<'_>) {
    let mut taken: HashMap<String, &Name<'_>> = HashMap::new();
    for name in names {
        let lower = name.text.to_ascii_lowercase();
        let Some(first) = taken.get(&lower).filter(|first| first.key != name.key) else {
            taken.insert(lower, name);
            continue;
        };
        let (text, origin) = (name.text, problems.origin(first.at));
        let (code, what) = if name.is_label || first.is_label {
            ("label-twice", format!("`{text}` names another key too, set in {origin}"))
        } else {
            ("bad-key", format!("`{text}` differs in case alone from a key set in {origin}"))
        };
        let help = "receivers take labels for names of fields, whatever their case: choose another";
        problems.note(name.at.clone(), code, what, help);
    }
}

#[cfg(test)]
mod tests {
    use crate::mapping::{Layer, MappingFile, compile};

    const SHIPPED: &str = r#"
        version = 1
        log = "audit"
        header = { vendor = "Slack", product = "Audit Logs" }
        fields = { cs1 = { label = "SlackOne", value = "{one}" } }
        unmapped = { severity = 4, fields = { cs1 = { label = "SlackOther", value = "{other}" } } }
        actions.mapped = { fields = { cs3 = { label = "SlackThree", value = "{three}" } } }
        [[rules]]
        when = { action = "half_known" }
        fields = { cs2 = { label = "SlackOne", value = "{two}" } }
    "#;

    /// The mistakes with a customer's file over the shipped one.
    fn mistakes(customer: &str) -> Vec<String> {
        let text = format!("version = 1\nlog = \"audit\"\n{customer}");
        let files = [("shipped.toml", Layer::Shipped, SHIPPED), ("acme.toml", Layer::Customer, &text)];
        let made = compile(&files.map(|(name, layer, text)| MappingFile::new(name, layer, text)));
        made.err()
            .unwrap_or_default()
            .into_iter()
            .map(|problem| format!("{}: {}", problem.file, problem.what))
            .collect()
    }

    #[test]
    fn a_customers_name_may_not_be_that_of_another_key() {
        for fine in [
            "",
            "[fields]\ncs1 = { label = \"SlackOne\", value = \"{x}\" }",
            "[fields]\ncs4 = { label = \"AcmeTicket\", value = \"{x}\" }",
            // They never stand in one event.
            "[actions.another]\nfields = { cs4 = { label = \"SlackThree\", value = \"{x}\" } }",
        ] {
            assert_eq!(mistakes(fine), <[&str; 0]>::default(), "{fine}");
        }
        for wrong in [
            "[fields]\ncs4 = { label = \"slackthree\", value = \"{x}\" }",
            "[actions.mapped]\nfields = { cs4 = { label = \"SlackThree\", value = \"{x}\" } }",
            "[[rules]]\nwhen = {}\nfields = { SlackThree = \"{x}\" }",
        ] {
            let [mistake] = &mistakes(wrong)[..] else { panic!("{wrong}") };
            assert!(mistake.starts_with("acme.toml: ") && mistake.ends_with("shipped.toml:7"), "{mistake}");
        }
    }

    #[test]
    fn to_map_an_action_takes_what_is_said_of_the_unmapped_from_it() {
        let found = mistakes("[actions.half_known]\nname = \"Half known\"");
        assert_eq!(found, ["shipped.toml: `SlackOne` names another key too, set in shipped.toml:5"]);
    }
}
