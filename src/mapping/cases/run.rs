//! One case against a mapping.

use super::super::explain::{Explained, Outcome};
use super::super::plans::Plans;
use super::{Case, Difference, Expectation, Verdict};
use crate::event::Entry;

/// Looks whether what becomes of the case's entry is what is expected.
pub fn run(case: &Case, plans: &Plans) -> Verdict {
    let Some(expectation) = &case.expectation else { return Verdict::Missing };
    let made = Made::of(&case.entry, plans);
    let differences = match expectation {
        Expectation::Dropped if made.dropped.is_some() => Vec::new(),
        Expectation::Dropped => vec![Difference::Sent],
        Expectation::Event { fields, absent, exact } => match made.dropped {
            Some(drop) => vec![Difference::Dropped { by: drop.set_by }],
            None => made.differences(fields, absent, *exact),
        },
    };
    if differences.is_empty() { Verdict::Passed } else { Verdict::Failed(differences) }
}

/// What became of an entry.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) dropped: Option<Explained>,
    pub(super) fields: Vec<Explained>,
}

impl Made {
    pub(super) fn of(entry: &Entry, plans: &Plans) -> Self {
        let mut fields = plans.plan(entry.log(), entry.action().as_str()).explain(entry);
        let dropped = fields.pop_if(|last| last.key == "drop");
        Self { dropped, fields }
    }

    fn differences(&self, fields: &[(String, String)], absent: &[String], exact: bool) -> Vec<Difference> {
        let mut differences = Vec::new();
        for (name, expected) in fields {
            let got = self.field(name);
            if got.and_then(value) != Some(expected) {
                let (name, expected) = (name.clone(), Some(expected.clone()));
                differences.push(Difference::Field { name, expected, got: got.cloned() });
            }
        }
        let unwanted = |got: &Explained| {
            let named = fields.iter().any(|(name, _)| is_called(got, name));
            absent.iter().any(|name| is_called(got, name)) || exact && !named && !is_header(got)
        };
        for got in self.fields.iter().filter(|got| value(got).is_some() && unwanted(got)) {
            let name = got.label.clone().unwrap_or_else(|| got.key.clone());
            differences.push(Difference::Field { name, expected: None, got: Some(got.clone()) });
        }
        differences
    }

    fn field(&self, name: &str) -> Option<&Explained> {
        self.fields.iter().find(|field| is_called(field, name))
    }
}

fn is_called(field: &Explained, name: &str) -> bool {
    field.key == name || field.label.as_deref() == Some(name)
}

/// Every event has a name and a severity.
fn is_header(field: &Explained) -> bool {
    matches!(field.key.as_str(), "name" | "severity")
}

pub(super) fn value(field: &Explained) -> Option<&String> {
    match &field.outcome {
        Outcome::Value(value) => Some(value),
        _ => None,
    }
}
