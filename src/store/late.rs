//! Which batches came late: their seconds had been read before.
//!
//! A row says so of its batch. One that is missing or damaged makes its batch an ordinary one:
//! what is delivered does not depend on it.

use rusqlite::{Connection, OptionalExtension};

use super::batch::Header;
use super::check::{self, Seal, Sealed};
use super::schema;

/// Notes that a batch came late.
pub(super) fn mark(db: &Connection, batch: &Header) -> rusqlite::Result<()> {
    // A row may stand there from a batch that was never finished.
    db.prepare_cached("INSERT OR REPLACE INTO late (batch, seal) VALUES (?1, ?2)")?
        .execute((batch.number, sealed(batch)))?;
    Ok(())
}

/// Whether a batch came late.
pub(super) fn is_marked(db: &Connection, batch: &Header) -> rusqlite::Result<bool> {
    // Whoever looks at a store of an earlier format finds no such table.
    if schema::version(db)? < schema::SINCE_LATE {
        return Ok(false);
    }
    let found = db
        .prepare_cached("SELECT seal FROM late WHERE batch = ?1")?
        .query_row([batch.number], |row| row.get::<_, Sealed>(0))
        .optional();
    match found {
        Ok(seal) => Ok(seal == Some(sealed(batch))),
        Err(error) if check::is_damage(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Forgets what is said of the batches before this one.
pub(super) fn forget(db: &Connection, before: u64) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM late WHERE batch < ?1")?.execute([before])?;
    Ok(())
}

/// The tag covers the batch: numbers are given again where a log of changes lost its tail.
fn sealed(batch: &Header) -> Sealed {
    Seal::of("late").number(batch.number).number(batch.tag).finish()
}
