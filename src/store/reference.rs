//! How an id or a memo names the batch that it was stored with, and whether that batch stands.
//!
//! A log of changes that lost its tail, over a file that had taken some of it in, can leave rows
//! behind whose batches are not there. A row that names its batch is believed only with it.

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::batch::Header;
use super::ledger::Extent;

/// A batch's number and tag, in one integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Reference {
    pub(super) number: u64,
    pub(super) tag: u16,
}

impl Reference {
    /// The newest batch.
    pub(super) fn to_newest(db: &Connection, extent: &Extent) -> rusqlite::Result<Self> {
        // Where its row is not to be had, no tag is right either.
        let tag = Header::find(db, extent.last)?.map_or(0, |header| header.tag);
        Ok(Self { number: extent.last, tag })
    }

    pub(super) fn to_row(self) -> u64 {
        self.number << 16 | u64::from(self.tag)
    }

    pub(super) fn of_row(row: u64) -> Self {
        let [low, high, ..] = row.to_le_bytes();
        Self { number: row >> 16, tag: u16::from_le_bytes([low, high]) }
    }
}

/// Which batches stand, as they are asked for.
pub(super) struct Standing<'a> {
    db: &'a Connection,
    extent: Extent,
    known: BTreeMap<Reference, bool>,
}

impl<'a> Standing<'a> {
    pub(super) fn new(db: &'a Connection, extent: &Extent) -> Self {
        Self { db, extent: *extent, known: BTreeMap::new() }
    }

    /// From here on that batch stands: it is being stored.
    pub(super) fn note(&mut self, batch: Reference) {
        self.known.insert(batch, true);
    }

    /// Whether a batch is kept, or was until it was delivered everywhere.
    pub(super) fn holds(&mut self, batch: Reference) -> rusqlite::Result<bool> {
        if let Some(stands) = self.known.get(&batch) {
            return Ok(*stands);
        }
        let stands = if batch.number < self.extent.first {
            true
        } else if batch.number > self.extent.last {
            false
        } else {
            Header::find(self.db, batch.number)?.is_some_and(|header| header.tag == batch.tag)
        };
        self.known.insert(batch, stands);
        Ok(stands)
    }
}
