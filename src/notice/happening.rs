//! What of an event is told: who did what to what, from where, when, and how grave it is.
//!
//! It is read out of the mapped event, by CEF's keys and by the labels of the shipped mapping: who
//! maps otherwise is told what is there.

use super::text::harmless;
use crate::cef::{Event, Field, Label, Severity};
use crate::event::{Entry, UnixTime};

/// One event, as far as it is told. Its texts are harmless.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happening {
    /// Events of one kind are told together.
    pub(super) kind: Kind,
    pub(super) severity: Severity,
    pub(super) at: UnixTime,
    /// Slack's id of the entry.
    pub(super) id: String,
    /// What was acted on.
    pub(super) what: Option<String>,
    /// The address that the act came from.
    pub(super) from: Option<String>,
    /// The workspace or organization where it happened.
    pub(super) place: Option<String>,
    /// Slack's reason, as anomalies have it.
    pub(super) reason: Option<String>,
    /// A sentence, as the forwarder's own events have it, and what to do about it.
    pub(super) sentence: Option<String>,
    pub(super) help: Option<String>,
}

/// What events have in common that are told together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) source: String,
    pub(super) action: String,
    /// `Owner rights given`: rules may give an action several names.
    pub(super) name: String,
    /// The part of the forwarder that speaks.
    pub(super) part: Option<String>,
    /// Who acted: the address or name, and Slack's id of the user.
    pub(super) actor: Option<String>,
    pub(super) actor_id: Option<String>,
}

/// The longest name that is told, in characters.
const NAME: usize = 100;
/// The longest sentence.
const SENTENCE: usize = 300;
/// The longest description of what was acted on.
const WHAT: usize = 150;

impl Happening {
    /// What is told of an event that was mapped from this entry of that source.
    pub fn of(event: &Event, entry: &Entry, source: &str) -> Self {
        let field = |keys: &[&str]| keys.iter().find_map(|key| value(event, key));
        let text =
            |keys: &[&str], most| field(keys).map(|value| harmless(value, most)).filter(|t| !t.is_empty());
        let name = |keys: &[&str]| text(keys, NAME);
        let [.., title] = event.header();
        let kind = Kind {
            source: harmless(source, NAME),
            action: harmless(entry.action().as_str(), NAME),
            name: harmless(title, NAME),
            part: name(&[
                "SlackcefDestination",
                "SlackcefSource",
                "SlackcefNotice",
                "SlackcefMapping",
                "SlackcefAction",
            ]),
            actor: name(&["suser", "SlackActorName"]),
            actor_id: name(&["suid"]),
        };
        Self {
            severity: event.severity(),
            at: entry.at(),
            id: harmless(entry.id().as_str(), NAME),
            what: what(&kind, &name),
            from: name(&["src"]),
            place: name(&["SlackAuditLocationName", "dvchost"]),
            reason: name(&["reason"]),
            sentence: text(&["msg"], SENTENCE),
            help: text(&["SlackcefHelp"], SENTENCE),
            kind,
        }
    }
}

/// `user bob@example.com (U2)`; nothing where somebody acted on himself, as at a sign-in.
fn what(kind: &Kind, name: &impl Fn(&[&str]) -> Option<String>) -> Option<String> {
    let id = name(&["SlackEntityId", "duid", "fileId"]);
    if id.is_some() && id == kind.actor_id {
        return None;
    }
    let parts = [
        name(&["SlackEntityType"]),
        name(&["duser", "fname", "SlackEntityName", "dhost"]),
        id.map(|id| format!("({id})")),
    ];
    let told: Vec<_> = parts.into_iter().flatten().collect();
    (!told.is_empty()).then(|| harmless(&told.join(" "), WHAT))
}

/// The value of the field of that key or label.
fn value<'e>(event: &'e Event, name: &str) -> Option<&'e str> {
    let is_it = |field: &Field<'_>| {
        field.key.name() == name || field.label.is_some_and(|label: &Label| label.as_str() == name)
    };
    event.fields().find(is_it).map(|field| field.value)
}
