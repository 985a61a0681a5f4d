//! One file as it is written: what it says, and every mistake in it. No meaning yet across files.

use std::sync::Arc;

use toml::de::DeTable;

use super::condition::{AtPath, Condition};
use super::field::Fields;
use super::lookup;
use super::severity::Grade;
use super::table::{At, Help, InFile, Member, Reading, Set, Value, listed, members};
use crate::cef::HeaderText;
use crate::event::Log;

/// What one file says.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) log: Log,
    pub(super) vendor: Option<Set<HeaderText>>,
    pub(super) product: Option<Set<HeaderText>>,
    pub(super) fields: Fields,
    pub(super) tables: Vec<lookup::Said>,
    pub(super) unmapped: Attributes,
    /// By name, with the place of the name.
    pub(super) actions: Vec<(Set<String>, Attributes)>,
    pub(super) rules: Vec<Rule>,
}

/// What is said of an action, of unmapped actions, or by a rule.
#[derive(Debug, Default)]
pub(super) struct Attributes {
    pub(super) name: Option<Set<HeaderText>>,
    pub(super) severity: Option<Set<Grade>>,
    pub(super) drop: Option<Set<bool>>,
    pub(super) fields: Fields,
}

/// One of `[[rules]]`.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) at: At,
    pub(super) when: Arc<Condition<AtPath>>,
    pub(super) what: Attributes,
}

/// The version of the mapping language that this program reads.
pub(super) const VERSION: i64 = 1;

pub(super) const TOP: [&str; 10] =
    ["version", "log", "category", "header", "fields", "unset", "tables", "unmapped", "actions", "rules"];
pub(super) const ATTRIBUTES: [&str; 6] = ["name", "severity", "category", "drop", "fields", "unset"];
pub(super) const RULE: [&str; 7] = ["when", "name", "severity", "category", "drop", "fields", "unset"];

/// Reads one file. `None` where it can't be told what it says at all; every mistake is noted.
pub(super) fn read(reading: &mut Reading<'_>, number: usize) -> Option<Document> {
    let text = &reading.problems.file(number)?.text;
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut file = InFile::new(reading, number);
    for error in &errors {
        let span = error.span().unwrap_or(text.len()..text.len());
        file.problem(span, "syntax", error.message().trim(), Help::NONE);
    }
    // What follows a slip of syntax may be read quite otherwise than it was meant.
    if errors.is_empty() { file.document(table.get_ref()) } else { None }
}

impl InFile<'_, '_> {
    fn document(&mut self, table: &DeTable<'_>) -> Option<Document> {
        self.version(table)?;
        let log = self.log(table);
        let mut document = Document {
            log: log.unwrap_or(Log::Audit),
            vendor: None,
            product: None,
            fields: Fields::new(),
            tables: Vec::new(),
            unmapped: Attributes::default(),
            actions: Vec::new(),
            rules: Vec::new(),
        };
        let mut category = None;
        for member in members(table) {
            match member.name() {
                "version" | "log" => {}
                "category" => category = Some(member),
                "header" => self.header(member.value, &mut document),
                "fields" => self.fields(member.value, &mut document.fields),
                "unset" => self.unset(member.value, &mut document.fields),
                "unmapped" => {
                    let Some(table) = self.table("unmapped", member.value) else { continue };
                    document.unmapped = self.attributes(table, "[unmapped]", &ATTRIBUTES);
                }
                "actions" => self.actions(member.value, &mut document.actions),
                "rules" => self.rules(member.value, &mut document.rules),
                "tables" => document.tables = self.tables(member.value),
                _ => self.unknown(member, "a mapping file", &TOP),
            }
        }
        if let Some(category) = category {
            self.shared_category(category, &mut document.actions);
        }
        log.map(|_| document)
    }

    /// Checks the version. `None` where nothing else in the file can be understood.
    pub(super) fn version(&mut self, table: &DeTable<'_>) -> Option<()> {
        let Some(member) = find(table, "version") else {
            self.problem(
                0..0,
                "key-missing",
                "the file does not say its version",
                "begin it with `version = 1`",
            );
            return Some(());
        };
        match self.integer("version", member.value) {
            Some(VERSION) | None => Some(()),
            Some(newer) if newer > VERSION => {
                let what = format!("this file is written in version {newer} of the mapping language");
                let help =
                    format!("this slackcef reads version {VERSION}: update it, or write the file for it");
                self.problem(member.value.span(), "future-version", what, help);
                None
            }
            Some(_) => {
                let what = "there is no such version of the mapping language";
                self.problem(member.value.span(), "bad-version", what, "write `version = 1`");
                Some(())
            }
        }
    }

    fn log(&mut self, table: &DeTable<'_>) -> Option<Log> {
        let names = Log::ALL.map(Log::name);
        let Some(member) = find(table, "log") else {
            let help = format!("add `log = \"{}\"`", names.first().unwrap_or(&"audit"));
            self.problem(0..0, "key-missing", "the file does not say which log it maps", help);
            return None;
        };
        let name = self.text("log", member.value)?;
        let log = Log::from_name(name);
        if log.is_none() {
            let help = format!("this version maps {}", listed(&names));
            self.problem(member.value.span(), "unknown-log", format!("there is no log `{name}`"), help);
        }
        log
    }

    fn header(&mut self, value: &Value<'_>, document: &mut Document) {
        let Some(table) = self.table("header", value) else { return };
        for member in members(table) {
            match member.name() {
                "vendor" => document.vendor = self.header_text(member, 63),
                "product" => document.product = self.header_text(member, 63),
                _ => self.unknown(member, "[header]", &["vendor", "product"]),
            }
        }
    }

    fn header_text(&mut self, member: Member<'_, '_>, limit: usize) -> Option<Set<HeaderText>> {
        let name = member.name();
        let text = self.text(name, member.value)?;
        let Some(header) = HeaderText::new(text, limit) else {
            let what = if text.len() > limit {
                format!("`{name}` has at most {limit} characters, and this has {}", text.len())
            } else if text.is_empty() {
                format!("`{name}` is empty")
            } else if text.contains(['{', '}']) {
                format!("`{name}` is plain text: what users wrote never goes into an event's name")
            } else if text.trim() != text {
                format!("`{name}` has a space at its beginning or end")
            } else {
                format!("`{name}` holds a character that some receivers misread")
            };
            let help = "ASCII letters, digits, spaces and `.` `_` `-` may stand there, without a space at either end";
            self.problem(member.value.span(), "bad-header", what, help);
            return None;
        };
        Some(self.set(member.key.span(), header))
    }

    fn actions(&mut self, value: &Value<'_>, into: &mut Vec<(Set<String>, Attributes)>) {
        let Some(table) = self.table("actions", value) else { return };
        for member in members(table) {
            let name = member.name();
            let Some(table) = self.table(&format!("actions.{name}"), member.value) else { continue };
            let attributes = self.attributes(table, &format!("[actions.{name}]"), &ATTRIBUTES);
            into.push((self.set(member.key.span(), name.to_owned()), attributes));
        }
    }

    fn rules(&mut self, value: &Value<'_>, into: &mut Vec<Rule>) {
        let Some(list) = value.get_ref().as_array() else {
            self.wrong_type("rules", "a list of tables", value, "begin each rule with `[[rules]]`");
            return;
        };
        for rule in list {
            let Some(table) = self.table("rules", rule) else { continue };
            let what = self.attributes(table, "a rule", &RULE);
            self.effects(rule, table, &what);
            let Some(when) = find(table, "when") else {
                let help = "add `when = { … }`; `when = {}` holds for every entry";
                self.problem(rule.span(), "key-missing", "the rule does not say when it applies", help);
                continue;
            };
            if let Some(when) = self.condition(when.value) {
                into.push(Rule { at: self.at(rule.span()), when, what });
            }
        }
    }

    /// A rule that changes nothing, or changes what it drops.
    fn effects(&mut self, rule: &Value<'_>, table: &DeTable<'_>, what: &Attributes) {
        let dropped = what.drop.as_ref().is_some_and(|drop| drop.what);
        let others = members(table).into_iter().find(|m| !matches!(m.name(), "when" | "drop"));
        match others {
            Some(other) if dropped && RULE.contains(&other.name()) => {
                let what = format!("`{}` has no effect: the rule drops the entry", other.name());
                self.problem(other.key.span(), "no-effect", what, "take it away, or take `drop` away");
            }
            None if find(table, "drop").is_none() => {
                let help = "give it a `severity`, a `name`, `fields`, `unset`, or `drop = true`";
                self.problem(rule.span(), "no-effect", "the rule does nothing", help);
            }
            _ => {}
        }
    }

    /// Reads name, severity, drop and fields; `known` are the keys that the table may have.
    fn attributes(&mut self, table: &DeTable<'_>, title: &str, known: &[&str]) -> Attributes {
        let mut made = Attributes::default();
        for member in members(table) {
            match member.name() {
                "name" => made.name = self.header_text(member, 512),
                "severity" => made.severity = self.severity(member),
                "drop" => {
                    made.drop =
                        self.boolean("drop", member.value).map(|drop| self.set(member.key.span(), drop));
                }
                "category" => self.category(member, &mut made.fields),
                "fields" => self.fields(member.value, &mut made.fields),
                "unset" => self.unset(member.value, &mut made.fields),
                "when" if known.contains(&"when") => {}
                name if crate::cef::Key::definition_of(name).is_some() => {
                    let what = format!("{title} has no key `{name}`");
                    let help = format!("CEF keys stand in `fields`: `fields = {{ {name} = \"…\" }}`");
                    self.problem(member.key.span(), "unknown-key", what, help);
                }
                _ => self.unknown(member, title, known),
            }
        }
        made
    }

    /// The file's category, for the actions that have none of their own.
    fn shared_category(&mut self, member: Member<'_, '_>, actions: &mut [(Set<String>, Attributes)]) {
        let mut one = Fields::new();
        self.category(member, &mut one);
        let Some((key, set)) = one.pop() else { return };
        for (_, action) in actions {
            if !action.fields.iter().any(|(known, _)| *known == key) {
                action.fields.push((key.clone(), set.clone()));
            }
        }
    }
}

fn find<'t, 'i>(table: &'t DeTable<'i>, name: &str) -> Option<Member<'t, 'i>> {
    table.get_key_value(name).map(|(key, value)| Member { key, value })
}
