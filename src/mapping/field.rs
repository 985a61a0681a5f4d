//! `fields`: which value goes into which CEF key, checked against CEF's dictionary.
//!
//! ```toml
//! [fields]
//! suser = "{actor.user.email ?? actor.user.name}"
//! cs1 = { label = "SlackActorName", value = "{actor.user.name}" }
//! SlackAuditActorTeam = "{actor.user.team}"
//! src = { value = "{context.ip_address}", means = "where the actor was" }
//! ```
//!
//! `means` is for people who read events, and changes none: see [`Plans::fields`].
//!
//! [`Plans::fields`]: super::Plans::fields

use std::ops::Range;
use std::sync::Arc;

use toml::de::DeValue;

use super::lookup::{Use, Wanted};
use super::naming;
use super::path::PathId;
use super::table::{Help, InFile, Member, Set, Value, members};
use super::template::{Filter, Step, Template};
use crate::cef::{Event, Key, Label};

/// What a file says of one CEF key.
#[derive(Debug)]
pub(super) enum Field {
    /// The key has this value.
    Value { label: Option<Label>, template: Template, means: Option<Box<str>> },
    /// The key is taken away.
    Unset,
}

/// What a table says of several keys.
pub(super) type Fields = Vec<(Key, Set<Arc<Field>>)>;

impl Field {
    /// Every path that its value may be read from.
    pub(super) fn paths(&self) -> impl Iterator<Item = PathId> {
        let template = match self {
            Self::Value { template, .. } => Some(template),
            Self::Unset => None,
        };
        template.into_iter().flat_map(Template::paths)
    }

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
            let Some(text) = name.get_ref().as_str() else {
                self.wrong_type("unset", "a list of keys in quotes", name, Help::NONE);
                continue;
            };
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
                let line = first.at.line;
                let what = format!("`{key}` is set twice here, the first time on line {line}");
                self.problem(span, "duplicate", what, "take one of them away");
            }
        }
    }

    /// The key of that name, where it may be written.
    fn key(&mut self, name: &str, span: &Range<usize>) -> Option<Key> {
        let key = naming::key(name);
        key.map_err(|refused| self.problem(span.clone(), refused.code, refused.what, refused.help)).ok()
    }

    /// Reads what a field is set to: a text, or a table of label and value. The key is absent
    /// where it is itself a mistake.
    fn field(&mut self, member: Member<'_, '_>, key: Option<&Key>) -> Option<Field> {
        let name = member.name();
        match member.value.get_ref() {
            DeValue::Table(_) => self.described(member, key),
            DeValue::String(text) => {
                let template = self.template(text, &member.value.span(), key);
                if let Some(key) = key.filter(|key| key.wants_label()) {
                    let what = format!("`{key}` needs a label that says what it holds");
                    let help = format!("write `{key} = {{ label = \"AcmeTicket\", value = {text:?} }}`");
                    self.problem(member.key.span(), "label-missing", what, help);
                    return None;
                }
                Some(Field::Value { label: None, template: template?, means: None })
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

    fn described(&mut self, member: Member<'_, '_>, key: Option<&Key>) -> Option<Field> {
        let name = member.name();
        let table = self.table(name, member.value)?;
        let (mut label, mut template, mut means) = (None, None, None);
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
                "means" => means = self.means(part.value),
                _ => self.unknown(part, &format!("the field `{name}`"), &["label", "value", "means"]),
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
        Some(Field::Value { label, template: template?, means })
    }

    /// What the key means, for people.
    fn means(&mut self, value: &Value<'_>) -> Option<Box<str>> {
        let text = self.text("means", value)?;
        if text.trim().is_empty() || text.contains(char::is_control) {
            let what = "`means` is not one line of text";
            self.problem(
                value.span(),
                "bad-means",
                what,
                "write what the key holds, as you would to a colleague",
            );
            return None;
        }
        Some(text.trim().into())
    }

    fn label(&mut self, value: &Value<'_>) -> Option<Label> {
        let text = self.text("label", value)?;
        let label = naming::label(text);
        label.map_err(|refused| self.problem(value.span(), refused.code, refused.what, refused.help)).ok()
    }

    fn template(&mut self, text: &str, span: &Range<usize>, key: Option<&Key>) -> Option<Template> {
        let wanted = |standing: bool| match key {
            Some(key) if standing => Wanted::ValueOf(key.clone()),
            _ => Wanted::Anything,
        };
        let template = self.read_template(text, span, wanted)?;
        for constant in template.constants() {
            self.constant(constant, span, key?)?;
        }
        if let Some(key) = key {
            self.never_fits(&template, text, span, key)?;
        }
        Some(template)
    }

    /// Checks that what the filters leave can be a value of the key at all.
    fn never_fits(&mut self, template: &Template, text: &str, span: &Range<usize>, key: &Key) -> Option<()> {
        for placeholder in template.placeholders() {
            // What a table makes of it is seen by the table's values.
            let last = placeholder.filters().rsplit(|step| matches!(step.filter, Filter::Table(_))).next();
            let never = |step: &Step| Some((step.filter.never(key.kind())?, step.at.clone()));
            if let Some((left, at)) = last.unwrap_or_default().iter().find_map(never) {
                let what = format!("`{key}` holds {}, which {left} is not", key.kind().described());
                let help = "for text of any kind use a custom key such as `cs5`";
                self.problem(self.within(span, text, &at), "wrong-kind", what, help);
                return None;
            }
        }
        Some(())
    }

    /// Reads a template of any use, and notes the tables and the key that it wants. `wanted` says
    /// what a table's values must be, which may stand as they are or not.
    pub(super) fn read_template(
        &mut self,
        text: &str,
        span: &Range<usize>,
        wanted: impl Fn(bool) -> Wanted,
    ) -> Option<Template> {
        let template = match Template::parse(text, &mut self.reading.paths, &mut self.reading.tables) {
            Ok(template) => template,
            Err(slips) => {
                self.slips(span, text, slips);
                return None;
            }
        };
        for placeholder in template.placeholders() {
            for (n, step) in placeholder.filters().iter().enumerate() {
                let at = self.at(self.within(span, text, &step.at));
                match &step.filter {
                    &Filter::Table(table) => {
                        let standing = template.alone().is_some() && n + 1 == placeholder.filters().len();
                        self.reading.uses.push(Use { table, at, wanted: wanted(standing) });
                    }
                    Filter::Pseudonym => {
                        self.reading.wants_key.get_or_insert(at);
                    }
                    Filter::Lower | Filter::Upper | Filter::Domain | Filter::Mask => {}
                }
            }
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
            let what = format!("`{key}` holds {}, which `{text}` is not", misfit.wanted.described());
            self.problem(
                span.clone(),
                "wrong-kind",
                what,
                "for text of any kind use a custom key such as `cs5`",
            );
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
