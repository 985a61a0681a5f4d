//! What comes out now, written into a file of cases where nothing is expected yet.

use toml_edit::{DocumentMut, InlineTable, Item, Table, TableLike, Value, value};

use super::super::plans::Plans;
use super::run::{Made, value as made_value};
use super::{Case, CaseFile};
use crate::event::Entry;

/// Why an expectation can't be written: the file is not the one that the cases were read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the file does not hold the case any more")]
pub struct NotBlessed;

/// The text of a file with the expectations of those of its `cases` that have none; all else, the
/// comments too, stays as it is. `cases` may hold cases of other files.
///
/// # Returns
/// `None` where every case of the file expects something.
///
/// # Errors
/// [`NotBlessed`] when the cases were not read from this file.
pub fn blessed(
    file: &CaseFile,
    number: usize,
    cases: &[Case],
    plans: &Plans,
) -> Result<Option<String>, NotBlessed> {
    let mut missing =
        cases.iter().filter(|case| case.file == number && case.expectation.is_none()).peekable();
    if missing.peek().is_none() {
        return Ok(None);
    }
    let mut document: DocumentMut = file.text.parse().map_err(|_| NotBlessed)?;
    let written = document.get_mut("cases").ok_or(NotBlessed)?;
    for case in missing {
        write(written, case.number, &case.entry, plans).ok_or(NotBlessed)?;
    }
    Ok(Some(document.to_string()))
}

/// Writes what becomes of `entry` into the case of that number.
fn write(cases: &mut Item, number: usize, entry: &Entry, plans: &Plans) -> Option<()> {
    let made = Made::of(entry, plans);
    if let Item::ArrayOfTables(tables) = cases {
        let case = tables.get_mut(number)?;
        if made.dropped.is_some() {
            case.insert("dropped", value(true));
        } else {
            // A table of its own, a key a line: an event has more keys than a line holds.
            let mut expect = Table::new();
            fill(&mut expect, &made);
            case.insert("expect", Item::Table(expect));
        }
    } else {
        let case = cases.as_array_mut()?.get_mut(number)?.as_inline_table_mut()?;
        if made.dropped.is_some() {
            case.insert("dropped", true.into());
        } else {
            let mut expect = InlineTable::new();
            fill(&mut expect, &made);
            case.insert("expect", Value::InlineTable(expect));
        }
    }
    Some(())
}

fn fill(expect: &mut dyn TableLike, made: &Made) {
    for field in &made.fields {
        let Some(made) = made_value(field) else { continue };
        let name = field.label.as_ref().unwrap_or(&field.key);
        let severity = made.parse::<i64>().ok().filter(|_| field.key == "severity");
        expect.insert(name, severity.map_or_else(|| value(made), value));
    }
}
