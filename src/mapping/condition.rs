//! `when`: what must hold for a rule to apply.
//!
//! ```toml
//! when = { action = "anomaly", "details.reason" = { any = ["tor", "asn"] } }   # both must hold
//! when = { any = [{ action = "file_shared" }, { "context.app.id" = { exists = true } }] }   # one of them
//! ```
//!
//! | written | holds when what Slack sent |
//! | --- | --- |
//! | `"text"`, `12`, `true` | is that; a list holds when it has this one element and no other |
//! | `["a", "b"]` | is one of these |
//! | `{ any = ["a", "b"] }` | is one of these, or a list that has one of these in it |
//! | `{ exists = true }` | is there, and neither null nor empty |
//! | `{}` as the whole of `when` | always |
//!
//! Texts are compared by what they mean, letter for letter; numbers and booleans as they are sent.

use std::sync::Arc;

use toml::de::DeValue;

use super::json;
use super::path::{Path, PathId};
use super::pick::{Found, Kind, Values};
use super::table::{Help, InFile, Value, members};

/// What must hold.
#[derive(Debug)]
pub(super) enum Condition {
    All(Vec<Arc<Condition>>),
    Any(Vec<Arc<Condition>>),
    Is { path: PathId, action: bool, test: Test },
}

#[derive(Debug)]
pub(super) enum Test {
    /// The value is one of these.
    OneOf(Vec<Box<str>>),
    /// The value, or an element of it, is one of these.
    AnyOf(Vec<Box<str>>),
    /// The value is there, or is not.
    Exists(bool),
}

/// What is left of a condition once the action is known.
#[derive(Debug)]
pub(super) enum Pruned {
    Always,
    Never,
    When(Arc<Condition>),
}

impl Condition {
    /// Whether it holds for an entry.
    pub(super) fn holds(&self, values: Values<'_>) -> bool {
        match self {
            Self::All(conditions) => conditions.iter().all(|condition| condition.holds(values)),
            Self::Any(conditions) => conditions.iter().any(|condition| condition.holds(values)),
            Self::Is { path, test, .. } => test.holds(values.at(*path)),
        }
    }

    /// What is left to ask of an entry whose action is `action`; `None` stands for every action
    /// that no file names.
    pub(super) fn pruned(self: &Arc<Self>, action: Option<&str>) -> Pruned {
        match &**self {
            Self::Is { action: true, test, .. } => test.pruned(self, action),
            Self::Is { .. } => Pruned::When(self.clone()),
            Self::All(conditions) => {
                let mut left = Vec::new();
                for condition in conditions {
                    match condition.pruned(action) {
                        Pruned::Never => return Pruned::Never,
                        Pruned::Always => {}
                        Pruned::When(condition) => left.push(condition),
                    }
                }
                if left.is_empty() { Pruned::Always } else { Pruned::When(Arc::new(Self::All(left))) }
            }
            Self::Any(conditions) => {
                let mut left = Vec::new();
                for condition in conditions {
                    match condition.pruned(action) {
                        Pruned::Always => return Pruned::Always,
                        Pruned::Never => {}
                        Pruned::When(condition) => left.push(condition),
                    }
                }
                if left.is_empty() { Pruned::Never } else { Pruned::When(Arc::new(Self::Any(left))) }
            }
        }
    }

    /// Calls `each` with every path that is asked for.
    pub(super) fn each_path(&self, each: &mut impl FnMut(PathId)) {
        match self {
            Self::All(conditions) | Self::Any(conditions) => {
                for condition in conditions {
                    condition.each_path(each);
                }
            }
            Self::Is { path, .. } => each(*path),
        }
    }

    /// Calls `each` with every action that is named.
    pub(super) fn each_action<'c>(&'c self, each: &mut impl FnMut(&'c str)) {
        match self {
            Self::All(conditions) | Self::Any(conditions) => {
                for condition in conditions {
                    condition.each_action(each);
                }
            }
            Self::Is { action: true, test: Test::OneOf(names) | Test::AnyOf(names), .. } => {
                for name in names {
                    each(name);
                }
            }
            Self::Is { .. } => {}
        }
    }
}

impl Test {
    fn holds(&self, found: Option<Found<'_>>) -> bool {
        let (texts, inside) = match self {
            Self::Exists(wanted) => return found.is_some() == *wanted,
            Self::OneOf(texts) => (texts, false),
            Self::AnyOf(texts) => (texts, true),
        };
        let Some(found) = found else { return false };
        match found.kind {
            Kind::List if inside => json::elements(found.raw).any(|element| one_of(texts, element)),
            Kind::List => {
                let mut elements = json::elements(found.raw);
                matches!((elements.next(), elements.next()), (Some(only), None) if one_of(texts, only))
            }
            _ => match found.lent() {
                Some(text) => texts.iter().any(|wanted| **wanted == *text),
                None => one_of(texts, found.raw),
            },
        }
    }

    fn pruned(&self, whole: &Arc<Condition>, action: Option<&str>) -> Pruned {
        let holds = match (self, action) {
            // An entry may come without an action, and goes by the name `unknown` then.
            (Self::Exists(_), _) => return Pruned::When(whole.clone()),
            (Self::OneOf(names) | Self::AnyOf(names), Some(action)) => names.iter().any(|n| **n == *action),
            // Every action that is named has a plan of its own.
            (Self::OneOf(_) | Self::AnyOf(_), None) => false,
        };
        if holds { Pruned::Always } else { Pruned::Never }
    }
}

fn one_of(texts: &[Box<str>], raw: &str) -> bool {
    texts.iter().any(|text| json::scalar_is(raw, text))
}

impl InFile<'_, '_> {
    /// Reads a `when`. `None` where it holds a mistake, which is noted.
    pub(super) fn condition(&mut self, value: &Value<'_>) -> Option<Arc<Condition>> {
        let table = self.table("when", value)?;
        let mut conditions = Vec::new();
        let mut fine = true;
        for member in members(table) {
            let made = if member.name() == "any" && member.value.get_ref().is_array() {
                self.alternatives(member.value)
            } else {
                self.comparison(member)
            };
            fine &= made.is_some();
            conditions.extend(made);
        }
        fine.then(|| Arc::new(Condition::All(conditions)))
    }

    fn alternatives(&mut self, value: &Value<'_>) -> Option<Arc<Condition>> {
        let list = self.list("any", value)?;
        if list.is_empty() {
            self.never(value, "an empty list");
            return None;
        }
        let made: Vec<_> = list.iter().filter_map(|alternative| self.condition(alternative)).collect();
        (made.len() == list.len()).then(|| Arc::new(Condition::Any(made)))
    }

    fn comparison(&mut self, member: super::table::Member<'_, '_>) -> Option<Arc<Condition>> {
        let path = match Path::parse(member.name()) {
            Ok(path) => path,
            Err(slip) => {
                self.slips(&member.key.span(), member.name(), [slip]);
                return None;
            }
        };
        let action = path.is_action();
        let path = self.reading.paths.number(path);
        let is = |test| Arc::new(Condition::Is { path, action, test });
        let DeValue::Table(table) = member.value.get_ref() else {
            return Some(is(Test::OneOf(self.wanted(member.name(), member.value)?)));
        };
        let mut tests = Vec::new();
        let mut fine = !table.is_empty();
        if !fine {
            let what = format!("nothing is asked of `{}`", member.name());
            self.problem(member.value.span(), "no-effect", what, MATCHERS_THERE_ARE);
        }
        for matcher in members(table) {
            let test = match matcher.name() {
                "any" => self.wanted("any", matcher.value).map(Test::AnyOf),
                "exists" => self.boolean("exists", matcher.value).map(Test::Exists),
                _ => self.no_matcher(member.name(), matcher),
            };
            fine &= test.is_some();
            tests.extend(test.map(is));
        }
        match tests.len() {
            _ if !fine => None,
            1 => tests.pop(),
            _ => Some(Arc::new(Condition::All(tests))),
        }
    }

    fn no_matcher(&mut self, path: &str, matcher: super::table::Member<'_, '_>) -> Option<Test> {
        let (name, span) = (matcher.name(), matcher.key.span());
        if LATER.contains(&name) {
            self.problem(span, "not-yet", format!("`{name}` is not in this version yet"), MATCHERS_THERE_ARE);
            return None;
        }
        // `details.reason = "tor"` without quotes is a table in a table to TOML.
        let help = crate::problem::closest(name, MATCHERS).map_or_else(
            || {
                format!(
                    "{MATCHERS_THERE_ARE}; a path of several steps is written in quotes: `\"{path}.{name}\"`"
                )
            },
            |meant| format!("did you mean `{meant}`?"),
        );
        self.problem(span, "unknown-matcher", format!("there is no comparison `{name}`"), help);
        None
    }

    /// The texts that a value is compared with: one, or a list of them.
    fn wanted(&mut self, name: &str, value: &Value<'_>) -> Option<Vec<Box<str>>> {
        let list = match value.get_ref() {
            DeValue::Array(list) => &**list,
            _ => std::slice::from_ref(value),
        };
        if list.is_empty() {
            self.never(value, "an empty list");
            return None;
        }
        let texts: Vec<Box<str>> = list.iter().filter_map(|one| self.wanted_text(name, one)).collect();
        (texts.len() == list.len()).then_some(texts)
    }

    fn wanted_text(&mut self, name: &str, value: &Value<'_>) -> Option<Box<str>> {
        match value.get_ref() {
            DeValue::String(text) if text.is_empty() => {
                self.never(value, "an empty text");
                None
            }
            DeValue::String(text) => Some((&**text).into()),
            DeValue::Integer(_) => Some(self.integer(name, value)?.to_string().into()),
            DeValue::Boolean(truth) => Some(truth.to_string().into()),
            _ => {
                self.wrong_type(
                    name,
                    "compared with a text, a whole number, true or false",
                    value,
                    Help::NONE,
                );
                None
            }
        }
    }

    fn never(&mut self, value: &Value<'_>, with: &str) {
        let what = format!("this never holds: nothing equals {with}");
        self.problem(
            value.span(),
            "never-matches",
            what,
            "to ask for what is absent write `{ exists = false }`",
        );
    }
}

const MATCHERS: [&str; 2] = ["any", "exists"];
const LATER: [&str; 6] = ["glob", "regex", "cidr", "at_least", "at_most", "none"];
const MATCHERS_THERE_ARE: &str =
    "compare with a text, a list of texts, `{ any = [\"…\"] }`, `{ exists = true }` or `{ exists = false }`";
