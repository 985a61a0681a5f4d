//! `when` of a destination: which of the mapped events go there.
//!
//! ```toml
//! when = { severity = { at_least = 7 } }
//! when = { action = { glob = "user_*" }, source = "acme-audit", suser = { none = ["scim@example.com"] } }
//! when = { any = [{ severity = { at_least = 8 } }, { cat = "anomaly" }] }
//! ```
//!
//! | asked of | what it is |
//! | --- | --- |
//! | `severity` | the event's severity, 0 to 10 |
//! | `action` | the action as Slack spells it |
//! | `name` | what the event is called |
//! | `source` | the source's name in the configuration; `slackcef` for events of the forwarder's own |
//! | `log` | the log: `audit`, or `forwarder` for events of its own |
//! | a CEF key, a key of a mapping's own, a label | the field's value before it is escaped or cut; absent where the event has no such field |
//!
//! The comparisons are those of rules, see `condition`. `src`, `dst` and `dvc` are addresses of
//! either kind; `c6a1`, `c6a2` and `c6a3`, where CEF:0 has IPv6 addresses, are looked for there too.
//!
//! **Invariant:** what is asked of is the event, and of the entry its routing keys alone: a
//! destination is chosen by what the mapping made of an entry.

use std::sync::Arc;

use toml::Spanned;
use toml::de::DeValue;

use super::condition::{Condition, Known, Subject};
use super::pick::{Found, Kind};
use super::table::{InFile, Member, Reading, listed};
use super::trusted;
use super::{Layer, MappingFile};
use crate::cef::{BadKey, Definition, Event, Field, Key, Label, Severity, Side};
use crate::event::{Entry, Log};
use crate::problem::{self, Problem};

/// What must hold for an event to be sent.
#[derive(Debug, Clone)]
pub struct When(Arc<Condition<Asked>>);

/// What is asked of an event.
#[derive(Debug, Clone)]
enum Asked {
    Severity,
    Action,
    Name,
    Source,
    Log,
    Field {
        /// Its key or label.
        name: Box<str>,
        /// The key whose IPv6 addresses CEF:0 writes under this one.
        moved_from: Option<&'static str>,
    },
}

impl When {
    /// Reads a `when` that stands in the file of that name and text, and may name these sources.
    ///
    /// # Errors
    /// Every mistake in it, with its place in the file.
    pub fn read(
        file: &Arc<str>,
        text: &Arc<str>,
        value: &Spanned<DeValue<'_>>,
        sources: &[&str],
    ) -> Result<Self, Vec<Problem>> {
        let files = [MappingFile::new(file.clone(), Layer::Customer, text.clone())];
        let mut reading = Reading::new(&files, None);
        let mut file = InFile::new(&mut reading, 0);
        let condition = file.condition_on(value, &mut |file, member| file.asked(member, sources));
        if let Some(at) = reading.asks_trusted.take() {
            let help =
                "let a rule of the mapping ask for it and set the severity or a field, and ask for that here";
            let what = "what the organization trusts is known to mappings alone";
            reading.problems.note(at, "not-here", what, help);
        }
        match condition {
            Some(condition) if reading.problems.is_empty() => Ok(Self(condition)),
            _ => Err(reading.problems.sorted()),
        }
    }

    /// Whether it holds for an event that was mapped from this entry of that source.
    pub fn holds(&self, event: &Event, entry: &Entry, source: &str) -> bool {
        // Nothing in an event is escaped.
        let mut spare = String::new();
        self.0.holds_where(&mut |asked, test| {
            let text = asked.text(event, entry, source);
            test.holds(text.map(|text| Found::ours(text, Kind::Text)), &mut spare, &trusted::NOTHING)
        })
    }
}

impl Asked {
    fn text<'a>(&self, event: &'a Event, entry: &'a Entry, source: &'a str) -> Option<&'a str> {
        match self {
            Self::Severity => Some(event.severity().digits()),
            Self::Action => Some(entry.action().as_str()),
            Self::Name => {
                let [.., name] = event.header();
                Some(name)
            }
            Self::Source => Some(source),
            Self::Log => Some(entry.log().name()),
            Self::Field { name, moved_from } => field(event, name).or_else(|| {
                let address = field(event, (*moved_from)?)?;
                address.contains(':').then_some(address)
            }),
        }
    }

    /// The field of that key or label. A label in lower case is no name here: who means a key and
    /// slips would be told nothing.
    fn field(name: &str) -> Result<Self, Unknown> {
        let own = name.starts_with(|c: char| c.is_ascii_uppercase());
        match Key::new(name) {
            Ok(key) if key.definition().is_some() || own => {}
            Err(BadKey::Form | BadKey::Label) if own && Label::new(name).is_some() => {}
            Err(BadKey::FullName { short }) => {
                return Err(Unknown::new(name, format!("write its short name, `{short}`")));
            }
            Err(BadKey::Case { known }) => return Err(Unknown::new(name, format!("write `{known}`"))),
            _ => return Err(Unknown::guessed(name)),
        }
        let moved_from = MOVED.iter().find(|(to, _)| *to == name).map(|(_, from)| *from);
        Ok(Self::Field { name: name.into(), moved_from })
    }
}

/// The value of the field of that key or label.
fn field<'e>(event: &'e Event, name: &str) -> Option<&'e str> {
    let is_it = |field: &Field<'_>| {
        field.key.name() == name || field.label.is_some_and(|label| label.as_str() == name)
    };
    event.fields().find(is_it).map(|field| field.value)
}

/// Where CEF:0 has the IPv6 addresses of other keys.
const MOVED: [(&str, &str); 3] = [("c6a1", "dvc"), ("c6a2", "src"), ("c6a3", "dst")];
/// What can be asked of every event.
const SUBJECTS: [&str; 5] = ["severity", "action", "name", "source", "log"];
/// What an entry holds, and no event.
const OF_ENTRIES: [&str; 5] = ["actor", "entity", "context", "details", "date_create"];

/// A name that no event has.
struct Unknown {
    what: String,
    help: String,
}

impl Unknown {
    fn new(name: &str, help: impl Into<String>) -> Self {
        Self { what: format!("no event has a `{name}`"), help: help.into() }
    }

    /// With what was most likely meant.
    fn guessed(name: &str) -> Self {
        let head = name.split(['.', '[']).next().unwrap_or_default();
        if head != name || OF_ENTRIES.contains(&head) {
            let what =
                format!("`{name}` is a place in Slack's entry, and here it is the event that is asked");
            let help =
                "name the CEF key that the mapping writes it to; or drop entries by a rule of the mapping";
            return Self { what, help: help.into() };
        }
        let written = |d: &&Definition| d.side != Side::Consumer && !d.name.ends_with("Label");
        let keys = Key::dictionary().iter().filter(written).map(|d| d.name);
        let help = match name {
            "category" => "the category is `cat`".to_owned(),
            _ => match problem::closest(name, SUBJECTS.into_iter().chain(keys)) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => {
                    format!("there are {}, CEF keys, and labels such as `SlackEntityType`", listed(&SUBJECTS))
                }
            },
        };
        Self::new(name, help)
    }
}

impl InFile<'_, '_> {
    /// Reads what a key of the `when` stands for.
    fn asked(&mut self, member: Member<'_, '_>, sources: &[&str]) -> Option<Subject<Asked>> {
        let one_of = |values: &[&str]| {
            let in_words = match values {
                // None is a mistake of its own.
                [] => return None,
                [only] => format!("`{only}`"),
                _ => format!("one of {}", listed(values)),
            };
            Some(Known { values: values.iter().copied().map(str::to_owned).collect(), in_words })
        };
        let (of, known) = match member.name() {
            "severity" => {
                let all = (0..=u8::MAX).map_while(Severity::new);
                let values = all.map(|severity| severity.to_string()).collect();
                (Asked::Severity, Some(Known { values, in_words: "a whole number from 0 to 10".into() }))
            }
            "action" => (Asked::Action, None),
            "name" => (Asked::Name, None),
            "source" => (Asked::Source, one_of(sources)),
            "log" => (Asked::Log, one_of(&Log::ALL.map(Log::name))),
            name => match Asked::field(name) {
                Ok(field) => (field, None),
                Err(Unknown { what, help }) => {
                    self.problem(member.key.span(), "unknown-key", what, help);
                    return None;
                }
            },
        };
        Some(Subject { of, known })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use toml::de::DeTable;

    use super::*;
    use crate::cef::HeaderText;
    use crate::event::UnixTime;

    fn read(when: &str) -> Result<When, Vec<Problem>> {
        let text: Arc<str> = format!("when = {when}").into();
        let table = DeTable::parse(&text).unwrap();
        When::read(&"slackcef.toml".into(), &text, &table.get_ref()["when"], &["acme-audit", "emea-audit"])
    }

    fn holds(when: &str) -> bool {
        let raw = Bytes::from_static(br#"{"id":"e","action":"pref.sso_changed","actor":{"type":"user"}}"#);
        let entry = Entry::from_raw(Log::Audit, raw, UnixTime::from_seconds(0), 0).unwrap();
        let mut event = Event::new();
        event.set_class_id("pref.sso_changed");
        event.set_name(&HeaderText::new("SSO changed", 512).unwrap());
        event.set_severity(Severity::new(9).unwrap());
        for (key, label, value) in [
            ("cat", None, "pref"),
            ("suser", None, "a|b=\\c@example.com"),
            ("src", None, "2001:db8::1"),
            ("dst", None, "192.0.2.1"),
            ("cn1", Some("SlackSessionId"), "12"),
            ("cs2", Some("SlackEntityType"), "workspace"),
            ("AcmeTenant", None, "emea"),
        ] {
            let label = label.map(|label| Label::new(label).unwrap());
            event.push(&Key::new(key).unwrap(), label.as_ref(), value).unwrap();
        }
        read(when).unwrap_or_else(|problems| panic!("{}", problems[0].render(false))).holds(
            &event,
            &entry,
            "acme-audit",
        )
    }

    #[test]
    fn everything_that_an_event_is_can_be_asked_of() {
        for when in [
            "{}",
            "{ severity = { at_least = 9 } }",
            "{ severity = [8, 9], action = 'pref.sso_changed' }",
            "{ action = { glob = 'pref.*' }, name = 'SSO changed', source = 'acme-audit', log = 'audit' }",
            "{ name = { regex = '^SSO ' }, source = { none = ['emea-audit'] } }",
            r"{ suser = 'a|b=\c@example.com' }",
            "{ cat = ['pref', 'user'], AcmeTenant = { any = 'emea' } }",
            "{ cs2 = 'workspace', SlackEntityType = 'workspace', cn1 = 12, SlackSessionId = { at_most = 12 } }",
            "{ src = { cidr = '2001:db8::/32' }, c6a2 = { cidr = '2001:db8::/32' }, dst = '192.0.2.1' }",
            "{ fname = { exists = false }, SlackNoSuch = { none = 'x' }, c6a3 = { exists = false } }",
            "{ any = [{ severity = 10 }, { cat = 'pref' }] }",
        ] {
            assert!(holds(when), "{when}");
        }
        for when in [
            "{ severity = { at_least = 10 } }",
            "{ severity = 9, cat = 'user' }",
            "{ action = { none = ['pref.sso_changed'] } }",
            "{ source = 'emea-audit' }",
            "{ name = 'sso changed' }",
            "{ fname = { glob = '*.exe' } }",
            "{ SlackEntitytype = 'workspace' }",
            "{ any = [{ severity = 10 }, { cat = 'user' }] }",
        ] {
            assert!(!holds(when), "{when}");
        }
    }

    #[test]
    fn what_no_event_has_is_a_mistake() {
        for (when, help) in [
            ("{ serverity = 9 }", "did you mean `severity`?"),
            ("{ Name = 'x' }", "did you mean `name`?"),
            ("{ susre = 'x' }", "did you mean `suser`?"),
            ("{ SUSER = 'x' }", "write `suser`"),
            ("{ sourceUserName = 'x' }", "write its short name, `suser`"),
            ("{ category = 'x' }", "the category is `cat`"),
            (
                "{ source = 'acme-audti' }",
                "did you mean `acme-audit`? `source` is one of `acme-audit` and `emea-audit`",
            ),
            ("{ source = { glob = 'bank-*' } }", "`source` is one of `acme-audit` and `emea-audit`"),
            (
                "{ log = { any = ['billing'] } }",
                "`log` is one of `audit`, `forwarder`, `access` and `integration`",
            ),
            ("{ severity = 'high' }", "`severity` is a whole number from 0 to 10"),
            ("{ severity = { at_least = 11 } }", "`severity` is a whole number from 0 to 10"),
            ("{ severity = { at_least = 0 } }", "`severity` is a whole number from 0 to 10"),
        ] {
            let problems = read(when).unwrap_err();
            assert_eq!(problems.len(), 1, "{when}");
            assert_eq!(problems[0].help.as_deref(), Some(help), "{when}");
        }
        for when in [
            "{ 'details.reason' = 'tor' }",
            "{ actor.user = 'x' }",
            "{ agt = 'x' }",
            "{ cs1Label = 'x' }",
            "{ '' = 1 }",
        ] {
            assert_eq!(read(when).unwrap_err()[0].code, "unknown-key", "{when}");
        }
    }
}
