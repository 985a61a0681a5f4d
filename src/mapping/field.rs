//! `fields`: which value goes into which CEF key, checked against CEF's dictionary.
//!
//! ```toml
//! [fields]
//! suser = "{actor.user.email ?? actor.user.name}"
//! cs1 = { label = "SlackActorName", value = "{actor.user.name}" }
//! SlackAuditActorTeam = "{actor.user.team}"
//! ```
//!
//! A key that begins with a small letter is one of CEF's; one of the mapping's own begins with a
//! capital, so that a slip of the pen is never taken for a new key.

use std::ops::Range;
use std::sync::Arc;

use toml::de::DeValue;

use super::table::{Help, InFile, Member, Set, Value, members};
use super::template::Template;
use crate::cef::{BadKey, Definition, Event, Key, Label, Side};
use crate::problem::closest;

/// What a file says of one CEF key.
#[derive(Debug)]
pub(super) enum Field {
    /// The key has this value.
    Value { label: Option<Label>, template: Template },
    /// The key is taken away.
    Unset,
}

/// What a table says of several keys.
pub(super) type Fields = Vec<(Key, Set<Arc<Field>>)>;

impl Field {
    pub(super) fn label(&self) -> Option<&Label> {
        match self {
            Self::Value { label, .. } => label.as_ref(),
            Self::Unset => None,
        }
    }
}

impl InFile<'_, '_> {
    /// Reads a table of fields.
    pub(super) fn fields(&mut self, value: &Value<'_>, into: &mut Fields) {
        let Some(table) = self.table("fields", value) else { return };
        for member in members(table) {
            let key = self.key(member.name(), &member.key.span());
            let field = self.field(member, key.as_ref());
            if let (Some(key), Some(field)) = (key, field) {
                self.add(into, key, member.key.span(), field);
            }
        }
    }

    /// Reads `unset = ["cs1"]`.
    pub(super) fn unset(&mut self, value: &Value<'_>, into: &mut Fields) {
        for name in self.list("unset", value).unwrap_or_default() {
            let Some(text) = self.text("unset", name) else { continue };
            if let Some(key) = self.key(text, &name.span()) {
                self.add(into, key, name.span(), Field::Unset);
            }
        }
    }

    /// Reads `category`, which is another word for the key `cat`.
    pub(super) fn category(&mut self, member: Member<'_, '_>, into: &mut Fields) {
        let Some(key) = self.key("cat", &member.key.span()) else { return };
        if let Some(field) = self.field(member, Some(&key)) {
            self.add(into, key, member.key.span(), field);
        }
    }

    fn add(&mut self, into: &mut Fields, key: Key, span: Range<usize>, field: Field) {
        let set = self.set(span.clone(), Arc::new(field));
        match into.iter().find(|(known, _)| *known == key) {
            None => into.push((key, set)),
            Some((_, first)) => {
                let line = self.reading.origin(&first.at).line;
                let what = format!("`{key}` is set twice here, the first time on line {line}");
                self.problem(span, "duplicate", what, "take one of them away");
            }
        }
    }

    /// The key of that name, where it may be written.
    fn key(&mut self, name: &str, span: &Range<usize>) -> Option<Key> {
        let (code, what, help): (_, String, Help) = match Key::new(name) {
            Ok(key) if key.definition().is_some() || name.starts_with(|c: char| c.is_ascii_uppercase()) => {
                return Some(key);
            }
            Ok(_) => ("unknown-key", format!("`{name}` is not a CEF key"), unknown_key_help(name).into()),
            Err(BadKey::Label) => match Key::definition_of(name) {
                Some(_) => {
                    let key = name.strip_suffix("Label").unwrap_or(name);
                    let help = format!("write `{key} = {{ label = \"…\", value = \"…\" }}`");
                    ("bad-key", format!("`{name}` is written by `{key}` itself"), help.into())
                }
                None => (
                    "bad-key",
                    format!("`{name}` ends in `Label`, which receivers take for the label of another key"),
                    "choose another name".into(),
                ),
            },
            Err(BadKey::ConsumersOnly) => {
                let what = format!("`{name}` is reserved for receivers of CEF");
                ("bad-key", what, "a key of your own begins with a capital: `AcmeTicket`".into())
            }
            Err(BadKey::FullName { short }) => {
                let what = format!("`{name}` is a key's full name, which not every receiver knows");
                ("bad-key", what, format!("write `{short}`").into())
            }
            Err(BadKey::Case { known }) => {
                let what = format!("`{name}` differs from CEF's `{known}` in case alone");
                ("bad-key", what, format!("write `{known}`, or choose another name").into())
            }
            Err(BadKey::Reserved) => (
                "bad-key",
                format!("`{name}` is what the forwarder writes itself, to say what was cut"),
                "choose another name".into(),
            ),
            Err(BadKey::Form) => (
                "bad-key",
                format!("`{name}` can't be a key"),
                "a key is letters and digits, at least two, beginning with a letter".into(),
            ),
        };
        self.problem(span.clone(), code, what, help);
        None
    }

    /// Reads what a field is set to: a text, or a table of label and value. The key is absent
    /// where it is itself a mistake.
    fn field(&mut self, member: Member<'_, '_>, key: Option<&Key>) -> Option<Field> {
        let name = member.name();
        match member.value.get_ref() {
            DeValue::Table(_) => self.labelled(member, key),
            DeValue::String(text) => {
                let template = self.template(text, &member.value.span(), key);
                if let Some(key) = key.filter(|key| key.wants_label()) {
                    let what = format!("`{key}` needs a label that says what it holds");
                    let help = format!("write `{key} = {{ label = \"AcmeTicket\", value = {text:?} }}`");
                    self.problem(member.key.span(), "label-missing", what, help);
                    return None;
                }
                Some(Field::Value { label: None, template: template? })
            }
            DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) => {
                self.wrong_type(name, "a text", member.value, "put it in quotes");
                None
            }
            _ => {
                self.wrong_type(name, "a text, or a table of label and value", member.value, Help::NONE);
                None
            }
        }
    }

    fn labelled(&mut self, member: Member<'_, '_>, key: Option<&Key>) -> Option<Field> {
        let name = member.name();
        let table = self.table(name, member.value)?;
        let (mut label, mut template) = (None, None);
        let (mut has_label, mut has_value) = (false, false);
        for part in members(table) {
            match part.name() {
                "label" => {
                    has_label = true;
                    label = self.label(part.value);
                    if let Some(key) = key.filter(|key| !key.wants_label()) {
                        let what = format!("`{key}` takes no label");
                        let help = format!("write `{key} = \"…\"`, or use a custom key such as `cs5`");
                        self.problem(part.key.span(), "label-unwanted", what, help);
                    }
                }
                "value" => {
                    has_value = true;
                    template = self
                        .text("value", part.value)
                        .and_then(|text| self.template(text, &part.value.span(), key));
                }
                _ => self.unknown(part, &format!("the field `{name}`"), &["label", "value"]),
            }
        }
        let wants_label = key.is_some_and(Key::wants_label);
        if !has_label && wants_label {
            let what = format!("`{name}` needs a label that says what it holds");
            self.problem(member.key.span(), "label-missing", what, "add `label = \"AcmeTicket\"`");
        }
        if !has_value {
            let what = format!("`{name}` has no value");
            self.problem(member.key.span(), "value-missing", what, "add `value = \"{…}\"`");
        }
        if label.is_none() && wants_label {
            return None;
        }
        Some(Field::Value { label, template: template? })
    }

    fn label(&mut self, value: &Value<'_>) -> Option<Label> {
        let text = self.text("label", value)?;
        let Some(label) = Label::new(text) else {
            let what = format!("`{text}` can't be a label");
            let help = "a label is letters and digits in one word, beginning with a letter: `SlackActorName`";
            self.problem(value.span(), "bad-label", what, help);
            return None;
        };
        if let Some(known) = Key::dictionary().iter().find(|d| d.name.eq_ignore_ascii_case(text)) {
            let what = format!("the label `{text}` is the CEF key `{}` to receivers", known.name);
            let help = format!("choose another, such as `Slack{}`", capitalized(text));
            self.problem(value.span(), "label-is-key", what, help);
            return None;
        }
        Some(label)
    }

    fn template(&mut self, text: &str, span: &Range<usize>, key: Option<&Key>) -> Option<Template> {
        let template = match Template::parse(text, &mut self.reading.paths) {
            Ok(template) => template,
            Err(slips) => {
                self.slips(span, text, slips);
                return None;
            }
        };
        for constant in template.constants() {
            self.constant(constant, span, key?)?;
        }
        Some(template)
    }

    /// Checks a value that is known beforehand against its key.
    fn constant(&mut self, text: &str, span: &Range<usize>, key: &Key) -> Option<()> {
        if text.is_empty() {
            let what = format!("`{key}` is given an empty value, and a key is never sent empty");
            self.problem(
                span.clone(),
                "empty-value",
                what,
                format!("to take it away write `unset = [\"{key}\"]`"),
            );
            return None;
        }
        if let Err(misfit) = Event::new().push(key, None, text) {
            let what = format!("`{key}` is {}, and `{text}` is none", misfit.wanted.described());
            self.problem(span.clone(), "wrong-kind", what, Help::NONE);
            return None;
        }
        if let Some(limit) = key.limit().filter(|&limit| text.len() > limit) {
            let what = format!("`{key}` holds at most {limit} bytes, and this text has {}", text.len());
            self.problem(span.clone(), "too-long", what, "shorten it: it would be cut in every event");
            return None;
        }
        Some(())
    }
}

fn unknown_key_help(name: &str) -> String {
    const IN_TABLES: [&str; 6] = ["name", "severity", "drop", "when", "unset", "category"];
    let written = |d: &&Definition| d.side != Side::Consumer && !d.name.ends_with("Label");
    let names = || Key::dictionary().iter().filter(written).flat_map(|d| [d.name, d.full_name]);
    if IN_TABLES.contains(&name) {
        return format!("`{name}` stands beside `fields`, in [actions.NAME] or [[rules]]");
    }
    match closest(name, names().chain(IN_TABLES)) {
        Some(meant) if IN_TABLES.contains(&meant) => {
            format!("did you mean `{meant}`? It stands beside `fields`, not in it")
        }
        Some(meant) => {
            let known = Key::dictionary().iter().find(|d| d.name == meant || d.full_name == meant);
            let (short, full) = known.map_or((meant, meant), |d| (d.name, d.full_name));
            format!("did you mean `{short}` ({full})?")
        }
        None => format!("a key of your own begins with a capital: `{}`", capitalized(name)),
    }
}

fn capitalized(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + chars.as_str())
}
