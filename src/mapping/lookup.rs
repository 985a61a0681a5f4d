//! `[tables.NAME]`: look-ups, one text for another.
//!
//! ```toml
//! [tables.anomaly_severity]
//! tor = 9
//! "excessive downloads" = 7
//! "*" = 5                       # whatever the table does not name
//! ```
//!
//! Keys are compared letter for letter with what the filters before `table(…)` made of a value. A
//! table is known in all files by its name; the customer's rows lie over the shipped ones key by
//! key.
//!
//! **Invariant:** looking up allocates nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};

use toml::de::DeValue;

use super::Origin;
use super::compile::{Layered, lay};
use super::severity;
use super::table::{At, InFile, Reading, Set, Value, listed, members};
use crate::cef::{Event, Key};
use crate::problem::closest;

/// The key that stands for every text which the table does not name.
const ANY: &str = "*";

/// One look-up table, shared by all that look something up in it. Its rows come last: a file may
/// use what a later file says.
#[derive(Debug)]
pub(super) struct Table {
    name: Box<str>,
    rows: OnceLock<HashMap<Box<str>, Box<str>>>,
}

impl Table {
    /// The name by which files know it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What stands for the text.
    pub(super) fn find(&self, text: &str) -> Option<&str> {
        let rows = self.rows.get()?;
        rows.get(text).or_else(|| rows.get(ANY)).map(|found| &**found)
    }

    /// Everything that may be found.
    pub(super) fn values(&self) -> impl Iterator<Item = &str> {
        self.rows.get().into_iter().flat_map(HashMap::values).map(|value| &**value)
    }
}

/// The tables that templates name, each known by its name.
#[derive(Debug, Default)]
pub(super) struct Tables {
    known: BTreeMap<Box<str>, Arc<Table>>,
}

impl Tables {
    /// The table of that name, which need not have rows yet.
    pub(super) fn named(&mut self, name: &str) -> Arc<Table> {
        let known = self.known.entry(name.into());
        known.or_insert_with(|| Arc::new(Table { name: name.into(), rows: OnceLock::new() })).clone()
    }
}

#[cfg(test)]
impl Tables {
    /// One table with these rows.
    pub(super) fn of(name: &str, rows: &[(&str, &str)]) -> Self {
        let mut tables = Self::default();
        let rows = rows.iter().map(|&(key, value)| (key.into(), value.into()));
        tables.named(name).rows.set(rows.collect()).unwrap();
        tables
    }
}

/// A place where a table is looked into.
#[derive(Debug)]
pub(super) struct Use {
    pub(super) table: Arc<Table>,
    pub(super) at: At,
    /// What its values must be, where they are used as they stand.
    pub(super) wanted: Wanted,
}

/// What a table's values must be.
#[derive(Debug)]
pub(super) enum Wanted {
    Anything,
    Severity,
    ValueOf(Key),
}

/// What a file says of one table.
#[derive(Debug)]
pub(super) struct Said {
    name: String,
    /// By key, with the key's place.
    rows: Vec<(String, Set<Row>)>,
}

/// What stands for a key, and where.
#[derive(Debug)]
pub(super) struct Row {
    value: Box<str>,
    at: At,
}

/// The rows of one table by key, layer over layer.
type LayeredRows = BTreeMap<String, Layered<Row>>;

/// Every row of every table.
#[derive(Debug, Default)]
pub(super) struct Rows(BTreeMap<String, LayeredRows>);

impl Rows {
    pub(super) fn add(&mut self, tables: Vec<Said>, reading: &mut Reading<'_>) {
        for Said { name, rows } in tables {
            let into = self.0.entry(name.clone()).or_default();
            for (key, set) in rows {
                let thing = format!("`{key}` of [tables.{name}]");
                lay(into.entry(key).or_default(), Some(set), &thing, reading);
            }
        }
    }

    /// Gives every table that is named its rows, and checks each use. `whole`: every file was read,
    /// so that a table which is not there is missing.
    pub(super) fn settle(self, reading: &mut Reading<'_>, whole: bool) {
        // A row that several uses would refuse is told of once.
        let mut told = BTreeSet::new();
        for used in std::mem::take(&mut reading.uses) {
            let name = &*used.table.name;
            match self.0.get(name) {
                Some(rows) => check(&used, rows, &mut told, reading),
                None if whole => self.missing(name, used.at, reading),
                None => {}
            }
        }
        for table in reading.tables.known.values() {
            let rows = self.0.get(&*table.name).into_iter().flatten();
            let rows =
                rows.filter_map(|(key, said)| Some((key.as_str().into(), said.last()?.what.value.clone())));
            // A table is settled once.
            table.rows.get_or_init(|| rows.collect());
        }
    }

    fn missing(&self, name: &str, at: At, reading: &mut Reading<'_>) {
        let names: Vec<&str> = self.0.keys().map(String::as_str).collect();
        let help = match closest(name, names.iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None if names.is_empty() => {
                format!("write one: `[tables.{name}]`, and a `\"text\" = \"text\"` a line")
            }
            None => format!("there are {}; a new one begins with `[tables.{name}]`", listed(&names)),
        };
        reading.problem(at, "unknown-table", format!("there is no table `{name}`"), help.into());
    }
}

/// Whether each value that counts is what this use of the table wants.
fn check(used: &Use, rows: &LayeredRows, told: &mut BTreeSet<(At, String)>, reading: &mut Reading<'_>) {
    let origin = reading.origin(&used.at);
    for Row { value, at } in rows.values().filter_map(|said| Some(&said.last()?.what)) {
        if let Some((what, help)) = used.wanted.refusal(value, &used.table.name, &origin)
            && told.insert((at.clone(), what.clone()))
        {
            reading.problem(at.clone(), "wrong-kind", what, help.into());
        }
    }
}

impl Wanted {
    /// Why a value of the table `name`, used at `origin`, is none; and what to do about it.
    fn refusal(&self, value: &str, name: &str, origin: &Origin) -> Option<(String, String)> {
        match self {
            Self::Anything => None,
            Self::Severity if severity::of_digits(value).is_some() => None,
            Self::Severity => {
                let what = format!("`{value}` is no severity");
                let help = format!(
                    "write a whole number from 0 to 10: a severity is taken from `{name}` in {origin}"
                );
                Some((what, help))
            }
            Self::ValueOf(key) => {
                let misfit = Event::new().push(key, None, value).err()?;
                let wanted = misfit.wanted.described();
                let what = format!("`{key}` holds {wanted}, which `{value}` is not");
                Some((what, format!("write {wanted}: `{key}` takes its value from this table in {origin}")))
            }
        }
    }
}

impl InFile<'_, '_> {
    /// Reads `[tables]`.
    pub(super) fn tables(&mut self, value: &Value<'_>) -> Vec<Said> {
        let Some(tables) = self.table("tables", value) else { return Vec::new() };
        let mut said = Vec::new();
        for member in members(tables) {
            let name = member.name();
            let Some(rows) = self.table(&format!("tables.{name}"), member.value) else { continue };
            if rows.is_empty() {
                let help = "give it a line such as `\"what Slack sends\" = \"what the event says\"`";
                self.problem(member.key.span(), "no-effect", format!("the table `{name}` is empty"), help);
            }
            let rows = members(rows).into_iter().filter_map(|row| {
                let value = self.row(row.name(), row.value)?;
                if row.name().is_empty() {
                    let help = "an empty value is as good as none: take the line away";
                    self.problem(
                        row.key.span(),
                        "never-matches",
                        "nothing is ever looked up by this key",
                        help,
                    );
                }
                let row_at = self.at(row.value.span());
                Some((row.name().to_owned(), self.set(row.key.span(), Row { value, at: row_at })))
            });
            let rows = rows.collect();
            said.push(Said { name: name.to_owned(), rows });
        }
        said
    }

    fn row(&mut self, name: &str, value: &Value<'_>) -> Option<Box<str>> {
        let text = match value.get_ref() {
            DeValue::String(text) if text.is_empty() => {
                let help = "take the line away: what a table does not name is left out";
                self.problem(
                    value.span(),
                    "empty-value",
                    format!("`{name}` is looked up as an empty text"),
                    help,
                );
                return None;
            }
            DeValue::String(text) => (**text).into(),
            DeValue::Boolean(boolean) => boolean.to_string().into(),
            DeValue::Integer(number) => {
                let whole = i128::from_str_radix(number.as_str(), number.radix());
                whole.map_or_else(|_| number.as_str().into(), |whole| whole.to_string().into())
            }
            _ => {
                let wanted = "a text, a whole number, true or false";
                let help = "a row is one text for another: `admin = \"Administrator\"`";
                self.wrong_type(name, wanted, value, help);
                return None;
            }
        };
        Some(text)
    }
}
