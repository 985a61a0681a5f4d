//! What a reader has spent of a day's budget, so that a restart does not spend it twice.
//!
//! It is written with the reader's position, in one transaction, and like it may be set back by a
//! power cut. A row that is damaged is taken out, and its budget begins anew: entries come first.

use std::collections::BTreeMap;

use rusqlite::{Connection, Row};

use super::ReaderName;
use super::check::{self, Seal, Sealed};
use super::ledger::{ReaderRow, Unreliable};

/// What was spent of a day's budget. What a day is and what is spent, the reader's owner says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// The number of the day.
    pub day: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Spent {
    pub(super) fn save(&self, db: &Connection, reader: u64, name: &ReaderName) -> rusqlite::Result<()> {
        let (day, bytes) = self.columns();
        db.prepare_cached("INSERT OR REPLACE INTO spent (reader, day, bytes, seal) VALUES (?1, ?2, ?3, ?4)")?
            .execute((reader, day, bytes, self.sealed(name)))?;
        Ok(())
    }

    fn read(row: &Row<'_>, name: &ReaderName) -> rusqlite::Result<Option<Self>> {
        let spent = Self { day: row.get(1)?, bytes: row.get(2)? };
        let sealed: Sealed = row.get(3)?;
        Ok((sealed == spent.sealed(name)).then_some(spent))
    }

    /// As far as SQLite's numbers reach.
    fn columns(&self) -> (i64, i64) {
        (i64::try_from(self.day).unwrap_or(i64::MAX), i64::try_from(self.bytes).unwrap_or(i64::MAX))
    }

    /// The name covers the reader: numbers are given again.
    fn sealed(&self, name: &ReaderName) -> Sealed {
        let (day, bytes) = self.columns();
        Seal::of("spent").text(name.as_str()).number(day).number(bytes).finish()
    }
}

/// Forgets what a reader has spent.
pub(super) fn forget(db: &Connection, reader: u64) -> rusqlite::Result<()> {
    db.execute("DELETE FROM spent WHERE reader = ?1", [reader])?;
    Ok(())
}

/// Adds to the readers what they have spent; gives the numbers of rows that are damaged, or whose
/// reader's row is.
pub(super) fn load(
    db: &Connection,
    readers: &mut BTreeMap<ReaderName, ReaderRow>,
) -> Result<Vec<u64>, Unreliable> {
    let mut damaged = Vec::new();
    let mut statement = db.prepare("SELECT reader, day, bytes, seal FROM spent")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let number: u64 = row.get(0)?;
        let reader = readers.iter_mut().find(|(_, reader)| reader.number == number);
        match reader.map(|(name, reader)| (Spent::read(row, name), reader)) {
            Some((Ok(Some(spent)), reader)) => reader.spent = Some(spent),
            Some((Err(error), _)) if !check::is_damage(&error) => return Err(Unreliable::Unread(error)),
            _ => damaged.push(number),
        }
    }
    Ok(damaged)
}
