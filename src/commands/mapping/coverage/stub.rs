//! A table to paste into a mapping file, for an action that none maps.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::seen::Sighting;
use crate::cef::{Event, Key};

/// The stub of an action: a name made of it, the catch-all's severity, and its details as fields to
/// choose from.
pub(super) fn of(action: &str, seen: &Sighting) -> String {
    let key = quoted(action);
    let mut text = match seen.count {
        1 => format!("# seen once, at {}", seen.first),
        count => format!("# seen {count} times, from {} to {}", seen.first, seen.last),
    };
    if !seen.entities.is_empty() {
        let entities: Vec<_> = seen.entities.iter().map(|kind| kind.escape_debug().to_string()).collect();
        text.push_str(", on ");
        text.push_str(&entities.join(", "));
    }
    // Writing to a string cannot fail.
    write!(text, "\n[actions.{key}]\nname = \"{}\"\nseverity = 4\n", name(action)).unwrap_or_default();
    let fields = fields(seen);
    if !fields.is_empty() {
        writeln!(text, "# [actions.{key}.fields]").unwrap_or_default();
        for field in fields {
            writeln!(text, "# {field}").unwrap_or_default();
        }
    }
    text
}

/// The name that the catch-all gives the action.
fn name(action: &str) -> String {
    let mut event = Event::new();
    event.set_class_id(action);
    event.set_name_from_class_id();
    let [.., name] = event.header();
    name.to_owned()
}

/// A line for each detail that can be written as a field.
fn fields(seen: &Sighting) -> Vec<String> {
    let mut taken = BTreeSet::new();
    let field = |names: &Vec<String>| {
        let key = custom_key(names)?;
        let path = path(names);
        // Between single quotes TOML takes all as it is, but for these.
        let fits = !path.contains(|c: char| matches!(c, '\'' | '{' | '}' | '\\') || c.is_control())
            && !names.iter().any(|name| name.contains('"'));
        if !fits || !taken.insert(key.to_ascii_lowercase()) {
            return None;
        }
        let quote = if path.contains('"') { '\'' } else { '"' };
        Some(format!("{key} = {quote}{{{path}}}{quote}"))
    };
    seen.details.iter().filter_map(field).collect()
}

/// `SlackAuditNewChannelName` for `new_channel.name`.
fn custom_key(names: &[String]) -> Option<String> {
    let mut key = "SlackAudit".to_owned();
    for word in names.iter().flat_map(|name| name.split(|c: char| !c.is_ascii_alphanumeric())) {
        let mut letters = word.chars();
        key.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        key.push_str(letters.as_str());
    }
    (key.len() > "SlackAudit".len() && Key::new(&key).is_ok()).then_some(key)
}

/// The path to a detail as mapping files write it.
pub(super) fn path(names: &[String]) -> String {
    let names = names.iter().map(|name| {
        let plain =
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        if plain { name.clone() } else { format!("\"{name}\"") }
    });
    std::iter::once("details".to_owned()).chain(names).collect::<Vec<_>>().join(".")
}

/// The action as a key of TOML.
fn quoted(action: &str) -> String {
    let bare = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    if !action.is_empty() && action.bytes().all(bare) {
        return action.to_owned();
    }
    let mut key = "\"".to_owned();
    for c in action.chars() {
        match c {
            '"' | '\\' => key.extend(['\\', c]),
            // Writing to a string cannot fail.
            c if c.is_control() => write!(key, "\\u{:04X}", u32::from(c)).unwrap_or_default(),
            c => key.push(c),
        }
    }
    key.push('"');
    key
}
