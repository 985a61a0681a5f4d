//! How grave an event is: a number, or what the entry itself says of it.
//!
//! ```toml
//! severity = 7
//! severity = "{details.risk}"                                   # a whole number from 0 to 10
//! severity = "{details.reason | table(anomaly_severity)}"       # of a list the highest counts
//! severity = { of = "details.reason", table = "anomaly_severity", otherwise = 6 }
//! ```
//!
//! Where the entry has nothing there, or something else than a severity, `otherwise` counts;
//! without it whatever would count if this were not said: the severity of an earlier rule, of the
//! action, of the unmapped.
//!
//! **Invariant:** what is known beforehand, constants and tables, is checked before anything runs.

use std::sync::Arc;

use toml::de::DeValue;

use super::kit::Kit;
use super::lookup::{Table, Use, Wanted};
use super::path::Path;
use super::pick::Values;
use super::plan::{Candidate, Choice};
use super::table::{InFile, Member, Set, Value, members};
use super::template::{Buffers, Filter, Placeholder, Template};
use crate::cef::{Kind, Severity};

/// What is said of a severity.
#[derive(Debug, Clone)]
pub(super) enum Grade {
    Fixed(Severity),
    FromEntry(Arc<FromEntry>),
}

/// A severity that depends on the entry.
#[derive(Debug)]
pub(super) struct FromEntry {
    template: Template,
    otherwise: Option<Severity>,
}

/// Why an entry yields no severity.
#[derive(Debug)]
pub(super) enum Lacking<'a> {
    Absent(&'a Placeholder),
    Misfit(&'a str),
}

/// What a severity should have been, in words.
pub(super) const WANTED: &str = "a whole number from 0 to 10";

impl Grade {
    /// The severity of an entry.
    pub(super) fn read<'a>(
        &'a self,
        values: Values<'a>,
        buffers: &'a mut Buffers,
    ) -> Result<Severity, Lacking<'a>> {
        match self {
            Self::Fixed(severity) => Ok(*severity),
            Self::FromEntry(from) => {
                let text = from.template.value(values, buffers).map_err(Lacking::Absent)?;
                highest(text).ok_or(Lacking::Misfit(text))
            }
        }
    }

    /// The severity that it always has, or has where the entry yields none.
    pub(super) fn otherwise(&self) -> Option<Severity> {
        match self {
            Self::Fixed(severity) => Some(*severity),
            Self::FromEntry(from) => from.otherwise,
        }
    }

    /// What is read from the entry.
    pub(super) fn template(&self) -> Option<&Template> {
        match self {
            Self::Fixed(_) => None,
            Self::FromEntry(from) => Some(&from.template),
        }
    }

    /// The highest that it can be.
    fn highest(&self, kit: &Kit) -> Option<Severity> {
        let Some(template) = self.template() else { return self.otherwise() };
        let last = template.placeholders().flat_map(Placeholder::filters).last();
        let read = match last.map(|step| &step.filter) {
            Some(Filter::Table(table)) => {
                kit.table(*table).into_iter().flat_map(Table::values).filter_map(of_digits).max()
            }
            _ => Severity::new(10),
        };
        read.max(self.otherwise())
    }
}

impl Choice<Grade> {
    /// The severity where no rule applies and the entry says nothing of it.
    pub(super) fn usual(&self) -> Severity {
        let settled = self.counting(&[]).find_map(|candidate| candidate.what.otherwise());
        settled.unwrap_or_default()
    }

    /// The highest severity that an entry can come to, whatever rules apply.
    pub(super) fn highest(&self, kit: &Kit) -> Severity {
        let certain =
            |candidate: &Candidate<Grade>| candidate.rule.is_none() && candidate.what.otherwise().is_some();
        let last = self.0.iter().rposition(certain).unwrap_or(0);
        let live = self.0.get(last..).unwrap_or_default();
        live.iter().filter_map(|candidate| candidate.what.highest(kit)).max().unwrap_or_default()
    }
}

/// The severity that is written like this: `0` to `10`.
pub(super) fn of_digits(text: &str) -> Option<Severity> {
    let digits = matches!(text.as_bytes(), [b'0'..=b'9'] | [b'1', b'0']);
    digits.then(|| text.parse().ok()).flatten().and_then(Severity::new)
}

/// The highest of the severities that are written like this: `7`, or `5,9`.
fn highest(text: &str) -> Option<Severity> {
    let mut severities = text.split(',').map(|part| of_digits(part.trim()));
    severities.try_fold(Severity::default(), |highest, severity| Some(highest.max(severity?)))
}

impl InFile<'_, '_> {
    /// Reads `severity`.
    pub(super) fn severity(&mut self, member: Member<'_, '_>) -> Option<Set<Grade>> {
        let value = member.value;
        let grade = match value.get_ref() {
            DeValue::String(text) if text.contains('{') => self.severity_template(text, value),
            DeValue::String(_) => {
                let help = "write it without quotes, or name what holds it: `severity = \"{details.risk}\"`";
                self.wrong_type("severity", WANTED, value, help);
                None
            }
            DeValue::Table(_) => self.severity_of(value),
            _ => self.fixed("severity", value).map(Grade::Fixed),
        };
        grade.map(|grade| self.set(member.key.span(), grade))
    }

    /// A severity that is written down.
    fn fixed(&mut self, name: &str, value: &Value<'_>) -> Option<Severity> {
        let number = self.integer(name, value)?;
        let severity = u8::try_from(number).ok().and_then(Severity::new);
        if severity.is_none() {
            let what = format!("a severity is {WANTED}");
            self.problem(value.span(), "severity-range", what, SCALE);
        }
        severity
    }

    fn severity_template(&mut self, text: &str, value: &Value<'_>) -> Option<Grade> {
        let span = value.span();
        let wanted = |standing| if standing { Wanted::Severity } else { Wanted::Anything };
        let template = self.read_template(text, &span, wanted)?;
        let Some(placeholder) = template.alone() else {
            let what = format!("a severity is {WANTED}, which this can never be");
            let help = "write one placeholder and nothing beside it: `\"{details.risk}\"`";
            self.problem(span, "wrong-kind", what, help);
            return None;
        };
        if placeholder.is_joined() {
            let help = "of a list the highest counts: take `join` away";
            self.problem(span, "wrong-kind", "a severity is not joined of several", help);
            return None;
        }
        let last = placeholder.filters().rsplit(|step| matches!(step.filter, Filter::Table(_))).next();
        for step in last.unwrap_or_default() {
            if let Some(left) = step.filter.never(Kind::Integer) {
                let at = self.within(&span, text, &step.at);
                let what = format!("a severity is {WANTED}, which {left} is not");
                self.problem(
                    at,
                    "wrong-kind",
                    what,
                    "take the filter away, or put a `table(name)` behind it",
                );
                return None;
            }
        }
        for constant in template.constants() {
            if of_digits(constant).is_none() {
                let what = format!("a severity is {WANTED}, which `{constant}` is not");
                self.problem(span, "severity-range", what, SCALE);
                return None;
            }
        }
        Some(Grade::FromEntry(Arc::new(FromEntry { template, otherwise: None })))
    }

    /// Reads `{ of = "path", table = "name", otherwise = 6 }`.
    fn severity_of(&mut self, value: &Value<'_>) -> Option<Grade> {
        let table = self.table("severity", value)?;
        let (mut path, mut looked_up, mut otherwise) = (None, None, None);
        let (mut fine, mut has_path) = (true, false);
        for part in members(table) {
            match part.name() {
                "of" => {
                    has_path = true;
                    path = self.text("of", part.value).and_then(|text| {
                        let path = Path::parse(text).map_err(|slip| {
                            let braced = text.starts_with('{');
                            let slip = if braced { slip.help("write the path without braces") } else { slip };
                            self.slips(&part.value.span(), text, [slip]);
                        });
                        path.ok()
                    });
                }
                "table" => {
                    looked_up = self.text("table", part.value).map(|name| {
                        let table = self.reading.tables.named(name);
                        let (at, wanted) = (self.at(part.value.span()), Wanted::Severity);
                        self.reading.uses.push(Use { table, at, wanted });
                        (table, name)
                    });
                    fine &= looked_up.is_some();
                }
                "otherwise" => {
                    otherwise = self.fixed("otherwise", part.value);
                    fine &= otherwise.is_some();
                }
                _ => self.unknown(part, "a severity", &["of", "table", "otherwise"]),
            }
        }
        if !has_path {
            let what = "the severity does not say what it is read from";
            self.problem(value.span(), "key-missing", what, "add `of = \"details.reason\"`");
        }
        let path = path.filter(|_| fine)?;
        let template = Template::looked_up(path, looked_up, &mut self.reading.paths);
        Some(Grade::FromEntry(Arc::new(FromEntry { template, otherwise })))
    }
}

const SCALE: &str = "0 to 3 is low, 4 to 6 medium, 7 and 8 high, 9 and 10 very high";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_severities_the_highest_counts() {
        for (text, meant) in [("0", 0), ("10", 10), ("7", 7), ("5,9, 3", 9), (" 4 ", 4)] {
            assert_eq!(highest(text), Severity::new(meant), "{text}");
        }
        for none in ["", "11", "-1", "07", "+7", "7.0", "7,", "7,high", "high", "1,000", "{}"] {
            assert_eq!(highest(none), None, "{none}");
        }
    }
}
