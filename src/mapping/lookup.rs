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

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use toml::de::DeValue;

use super::Origin;
use super::book::twice;
use super::severity;
use super::table::{At, InFile, Problems, Set, Value, listed, members};
use crate::cef::{Event, Key};
use crate::problem::closest;

/// The key that stands for every text which the table does not name.
const ANY: &str = "*";

/// One look-up table.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: HashMap<Box<str>, Box<str>>,
}

impl Table {
    /// What stands for the text.
    pub(super) fn find(&self, text: &str) -> Option<&str> {
        self.rows.get(text).or_else(|| self.rows.get(ANY)).map(|found| &**found)
    }

    /// Everything that may be found.
    pub(super) fn values(&self) -> impl Iterator<Item = &str> {
        self.rows.values().map(|value| &**value)
    }
}

/// A table's number: the same in every plan of one set of files, and of all that lie over the same
/// ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TableId(usize);

impl TableId {
    pub(super) fn index(self) -> usize {
        self.0
    }
}

/// The names of the tables that templates look something up in, by number.
#[derive(Debug, Clone, Default)]
pub(super) struct Tables(Vec<Box<str>>);

impl Tables {
    /// The table of that name, which need not have rows yet: a file may use what a later file says.
    pub(super) fn named(&mut self, name: &str) -> TableId {
        let known = self.0.iter().position(|known| **known == *name);
        TableId(known.unwrap_or_else(|| {
            self.0.push(name.into());
            self.0.len() - 1
        }))
    }

    fn name(&self, id: TableId) -> &str {
        self.0.get(id.0).map_or("", |name| name)
    }
}

#[cfg(test)]
impl Table {
    /// The table of these rows.
    pub(super) fn of(rows: &[(&str, &str)]) -> Self {
        Self { rows: rows.iter().map(|&(key, value)| (key.into(), value.into())).collect() }
    }
}

/// A place where a table is looked into.
#[derive(Debug)]
pub(super) struct Use {
    pub(super) table: TableId,
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

/// The rows of one table by key.
type RowsByKey = BTreeMap<String, Set<Row>>;

/// Every row of every table that one layer of files has.
#[derive(Debug, Default)]
pub(super) struct Rows(BTreeMap<String, RowsByKey>);

impl Rows {
    pub(super) fn add(&mut self, tables: Vec<Said>, problems: &mut Problems<'_>) {
        for Said { name, rows } in tables {
            let into = self.0.entry(name.clone()).or_default();
            for (key, set) in rows {
                let thing = format!("`{key}` of [tables.{name}]");
                match into.entry(key) {
                    Entry::Vacant(place) => {
                        place.insert(set);
                    }
                    Entry::Occupied(first) => twice(&thing, &first.get().at, set.at, problems),
                }
            }
        }
    }
}

/// The tables by number, of layers of rows that lie over each other, the last on top. `below` are the
/// tables without it: what it does not change is kept once.
pub(super) fn laid(tables: &Tables, layers: &[&Rows], below: &[Arc<Table>]) -> Arc<[Arc<Table>]> {
    let top = layers.last();
    let table = |(number, name): (usize, &str)| match below.get(number) {
        Some(same) if top.is_none_or(|top| !top.0.contains_key(name)) => Arc::clone(same),
        _ => {
            let rows = rows_of(name, layers).into_iter();
            Arc::new(Table { rows: rows.map(|(key, row)| (key.into(), row.value.clone())).collect() })
        }
    };
    tables.0.iter().map(|name| &**name).enumerate().map(table).collect()
}

/// The rows of one table that count, by key.
fn rows_of<'l>(name: &str, layers: &[&'l Rows]) -> BTreeMap<&'l str, &'l Row> {
    let said = layers.iter().filter_map(|layer| layer.0.get(name)).flatten();
    said.map(|(key, set)| (key.as_str(), &set.what)).collect()
}

/// Checks every use of a table against all its rows; `layers` lie over each other, the last on top.
/// `whole`: every file was read, so that a table which is not there is missing.
pub(super) fn check_uses<'u>(
    uses: impl Iterator<Item = &'u Use>,
    tables: &Tables,
    layers: &[&Rows],
    whole: bool,
    problems: &mut Problems<'_>,
) {
    // A row that several uses would refuse is told of once.
    let mut told = BTreeSet::new();
    for used in uses {
        let name = tables.name(used.table);
        if whole && !layers.iter().any(|layer| layer.0.contains_key(name)) {
            missing(name, layers, used.at.clone(), problems);
        }
        for Row { value, at } in rows_of(name, layers).into_values() {
            if let Some((what, help)) = used.wanted.refusal(value, name, &problems.origin(&used.at))
                && told.insert((at.clone(), what.clone()))
            {
                problems.note(at.clone(), "wrong-kind", what, help);
            }
        }
    }
}

fn missing(name: &str, layers: &[&Rows], at: At, problems: &mut Problems<'_>) {
    let names: BTreeSet<&str> = layers.iter().flat_map(|layer| layer.0.keys()).map(String::as_str).collect();
    let names: Vec<&str> = names.into_iter().collect();
    let help = match closest(name, names.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None if names.is_empty() => {
            format!("write one: `[tables.{name}]`, and a `\"text\" = \"text\"` a line")
        }
        None => format!("there are {}; a new one begins with `[tables.{name}]`", listed(&names)),
    };
    problems.note(at, "unknown-table", format!("there is no table `{name}`"), help);
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
