//! Who set what: the account of one entry that `map --explain` shows.
//!
//! It is the plan itself that is followed, with somebody looking on: an explanation cannot differ
//! from what is done.

use std::sync::Arc;

use super::Origin;
use super::field::Field;
use super::plan::{Candidate, Choice, Fate, Plan, Scratch, Watch};
use super::severity::{self, Grade, Lacking};
use super::slot::FieldPlan;
use crate::cef::{Event, HeaderText, Severity};
use crate::event::Entry;

/// One thing that was said of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// The CEF key, or `name`, `severity`, `drop` for what is no key.
    pub key: String,
    /// The label that goes with the key.
    pub label: Option<String>,
    /// What came of it.
    pub outcome: Outcome,
    /// Who said so; `None` for a name made from the action.
    pub set_by: Option<Origin>,
    /// Who had said something else that counted until then, the strongest first.
    pub overrode: Vec<Origin>,
}

/// What came of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It has this value, neither escaped nor cut.
    Value(String),
    /// It is left out: this placeholder found nothing.
    Absent {
        /// The placeholder as it is written: `{context.ip_address}`.
        placeholder: String,
    },
    /// It is left out: this text is no value of the key's type.
    Misfit {
        /// The text.
        text: String,
        /// What was wanted: `an IP address`.
        wanted: &'static str,
    },
    /// It is left out: there is nothing in its value to read, or another field bears its name.
    Blank,
    /// It is left out because `unset` says so.
    Unset,
}

impl Plan {
    /// The account of one entry: name and severity, then every field, in the order of the event.
    pub fn explain(&self, entry: &Entry) -> Vec<Explained> {
        let mut event = Event::new();
        let mut explaining = Explaining { plan: self, done: Vec::new() };
        let dropped = self.follow(entry, &mut Scratch::new(), &mut event, &mut explaining);
        let mut done = explaining.done;
        // A field's value is known once it has been brought into its key's type.
        let [.., name] = event.header();
        for said in done.iter_mut().filter(|said| said.outcome == Outcome::Value(String::new())) {
            let field = event.fields().find(|field| field.key.name() == said.key);
            said.outcome = match field {
                Some(field) => Outcome::Value(field.value.to_owned()),
                None if said.key == "name" => Outcome::Value(name.to_owned()),
                None => Outcome::Blank,
            };
        }
        if let Some(origin) = dropped {
            done.push(Explained {
                key: "drop".into(),
                label: None,
                outcome: Outcome::Value("true".into()),
                set_by: Some(origin.clone()),
                overrode: Vec::new(),
            });
        }
        done
    }
}

struct Explaining<'p> {
    plan: &'p Plan,
    done: Vec<Explained>,
}

impl<'p> Watch<'p> for Explaining<'p> {
    const SEES_ALL: bool = true;

    fn name(&mut self, chosen: Option<&'p Candidate<HeaderText>>, applies: &[bool]) {
        self.done.push(Explained {
            key: "name".into(),
            label: None,
            outcome: Outcome::Value(String::new()),
            set_by: chosen.map(|chosen| chosen.origin.clone()),
            overrode: overridden(&self.plan.name, chosen, applies),
        });
    }

    fn no_severity(&mut self, candidate: &'p Candidate<Grade>, lacking: Lacking<'_>) {
        let outcome = match lacking {
            Lacking::Absent(placeholder) => Outcome::Absent { placeholder: placeholder.written().to_owned() },
            Lacking::Misfit(text) => Outcome::Misfit { text: text.to_owned(), wanted: severity::WANTED },
        };
        self.done.push(Explained {
            key: "severity".into(),
            label: None,
            outcome,
            set_by: Some(candidate.origin.clone()),
            overrode: Vec::new(),
        });
    }

    fn severity(&mut self, severity: Severity, chosen: Option<&'p Candidate<Grade>>, applies: &[bool]) {
        self.done.push(Explained {
            key: "severity".into(),
            label: None,
            outcome: Outcome::Value(severity.to_string()),
            set_by: chosen.map(|chosen| chosen.origin.clone()),
            overrode: overridden(&self.plan.severity, chosen, applies),
        });
    }

    fn field(
        &mut self,
        field: &'p FieldPlan,
        chosen: &'p Candidate<Arc<Field>>,
        fate: Fate<'_>,
        applies: &[bool],
    ) {
        let outcome = match fate {
            Fate::Pushed => Outcome::Value(String::new()),
            Fate::Absent(placeholder) => Outcome::Absent { placeholder: placeholder.written().to_owned() },
            Fate::Misfit(text, misfit) => {
                Outcome::Misfit { text: text.to_owned(), wanted: misfit.wanted.described() }
            }
            Fate::Unset => Outcome::Unset,
        };
        self.done.push(Explained {
            key: field.key.name().to_owned(),
            label: chosen.what.label().map(|label| label.as_str().to_owned()),
            outcome,
            set_by: Some(chosen.origin.clone()),
            overrode: overridden(&field.choice, Some(chosen), applies),
        });
    }
}

/// Those that would have counted without the chosen one, the strongest first.
fn overridden<T>(choice: &Choice<T>, chosen: Option<&Candidate<T>>, applies: &[bool]) -> Vec<Origin> {
    let counts = |candidate: &&Candidate<T>| {
        candidate.rule.is_none_or(|rule| applies.get(rule).copied().unwrap_or_default())
    };
    let weaker =
        choice.0.iter().rev().skip_while(|candidate| chosen.is_none_or(|c| !std::ptr::eq(*candidate, c)));
    weaker.skip(1).filter(counts).map(|candidate| candidate.origin.clone()).collect()
}
