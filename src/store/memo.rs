//! What a source keeps by key beside its bookmark, such as what it last saw of a row of a list.
//!
//! **Invariant:** a memo is read only when every check over it holds; a damaged one was never there.
//! **Invariant:** a memo is read only while the batch stands that was the newest when it was stored: it
//! must not vouch for entries that a log of changes without its tail took away.

use std::path::Path;

use rusqlite::{CachedStatement, Connection, OptionalExtension, Row};

use super::check::{self, Seal, Sealed};
use super::error::StoreError;
use super::ledger::Extent;
use super::reference::{Reference, Standing};
use super::writer::{Durability, Writer};
use super::{Batch, SourceId, schema};
use crate::event::UnixTime;

/// Memos looked at, or forgotten, in one transaction.
const SLICE: u64 = 4_000;

/// The key of a memo, unique in its source; what it is made of, the source says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemoKey(pub [u8; 16]);

/// A small fact that a source keeps by key, stored with a batch or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memo {
    /// A memo stored later under the same key takes its place.
    pub key: MemoKey,
    /// At most [`Memo::LONGEST`] bytes, that only the source understands.
    pub value: Vec<u8>,
    /// By this it ages (see [`super::Store::forget_memos`]); what it is the time of, the source says.
    pub at: UnixTime,
}

impl Memo {
    /// How many bytes a value may have.
    pub const LONGEST: usize = 1024;

    /// Refuses the memos of which one is too long.
    pub(super) fn refuse_long(memos: &[Self]) -> Result<(), StoreError> {
        let length = memos.iter().map(|memo| memo.value.len()).max().unwrap_or(0);
        if length > Self::LONGEST { Err(StoreError::LongMemo { length }) } else { Ok(()) }
    }

    /// The name covers the source: a damaged row cannot stand for another's.
    fn sealed(&self, source: &SourceId, batch: u64) -> Sealed {
        Seal::of("memo")
            .text(source.as_str())
            .bytes(&self.key.0)
            .number(self.at.seconds())
            .bytes(&self.value)
            .number(batch)
            .finish()
    }
}

/// The memos of one source, during one transaction.
struct Memos<'a> {
    find: CachedStatement<'a>,
    source: &'a SourceId,
    number: u64,
    standing: Standing<'a>,
}

impl<'a> Memos<'a> {
    fn new(db: &'a Connection, source: &'a SourceId, number: u64, extent: &Extent) -> rusqlite::Result<Self> {
        let find =
            db.prepare_cached("SELECT at, value, batch, seal FROM memo WHERE source = ?1 AND key = ?2")?;
        Ok(Self { find, source, number, standing: Standing::new(db, extent) })
    }

    /// The memo of that key, when every check over it holds.
    fn find(&mut self, key: MemoKey) -> rusqlite::Result<Option<Memo>> {
        let source = self.source;
        let read = |row: &Row<'_>| {
            let memo = Memo { key, at: UnixTime::from_seconds(row.get(0)?), value: row.get(1)? };
            let (batch, sealed): (u64, Sealed) = (row.get(2)?, row.get(3)?);
            Ok((sealed == memo.sealed(source, batch)).then_some((memo, batch)))
        };
        match self.find.query_row((self.number, key.0), read) {
            Ok(Some((memo, batch))) => Ok(self.standing.holds(Reference::of_row(batch))?.then_some(memo)),
            Ok(None) => Ok(None),
            Err(error) if check::is_damage(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Stores the memos of a batch whose entries are stored; what is there already is not written again.
pub(super) fn save(db: &Connection, batch: &Batch, source: u64, extent: &Extent) -> rusqlite::Result<()> {
    if batch.memos.is_empty() {
        return Ok(());
    }
    let newest = Reference::to_newest(db, extent)?.to_row();
    let mut there = Memos::new(db, &batch.source, source, extent)?;
    let mut save = db.prepare_cached(
        "INSERT OR REPLACE INTO memo (source, key, at, value, batch, seal) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    for memo in &batch.memos {
        if there.find(memo.key)?.as_ref() != Some(memo) {
            let sealed = memo.sealed(&batch.source, newest);
            save.execute((source, memo.key.0, memo.at.seconds(), &memo.value, newest, sealed))?;
        }
    }
    Ok(())
}

/// The memos of those keys, in their order, as of one moment. It reads over a connection of its own:
/// thousands of keys keep nobody waiting who stores.
pub(super) fn recall(
    path: &Path,
    source: &SourceId,
    keys: &[MemoKey],
) -> Result<Vec<Option<Memo>>, StoreError> {
    let read = || -> rusqlite::Result<_> {
        let db = schema::open_reader(path)?;
        let moment = db.unchecked_transaction()?;
        let number = moment
            .prepare("SELECT number FROM source WHERE name = ?1")?
            .query_row([source.as_str()], |row| row.get(0))
            .optional()?;
        let (Some(number), Some(extent)) = (number, Extent::load(&moment)?) else {
            return Ok(vec![None; keys.len()]);
        };
        let mut memos = Memos::new(&moment, source, number, &extent)?;
        keys.iter().map(|key| memos.find(*key)).collect()
    };
    match read() {
        Err(error) if check::is_damage(&error) => Ok(vec![None; keys.len()]),
        read => read.map_err(|source| StoreError::of("read the store", path, source)),
    }
}

/// How far forgetting has come.
#[derive(Debug)]
pub(super) struct Forgotten {
    pub(super) count: u64,
    /// The key where the next slice begins, if there is one.
    pub(super) rest: Option<Vec<u8>>,
}

impl Writer {
    /// Looks at a slice of a source's memos, from a key on, and forgets those older than `before`.
    pub(super) fn forget_memos(
        &mut self,
        source: &SourceId,
        before: UnixTime,
        from: &[u8],
    ) -> Result<Forgotten, StoreError> {
        let Some(number) = self.ledger.sources.get(source).map(|source| source.number) else {
            return Ok(Forgotten { count: 0, rest: None });
        };
        let forgotten = self.write("forget what is old", |db| {
            let rest: Option<Vec<u8>> = db
                .prepare_cached(
                    "SELECT key FROM memo WHERE source = ?1 AND key >= ?2 ORDER BY key LIMIT 1 OFFSET ?3",
                )?
                .query_row((number, from, SLICE), |row| row.get(0))
                .optional()?;
            let count = db
                .prepare_cached(
                    "DELETE FROM memo WHERE source = ?1 AND key >= ?2 AND (?3 IS NULL OR key < ?3) AND at < ?4",
                )?
                .execute((number, from, &rest, before.seconds()))?;
            Ok(Forgotten { count: count as u64, rest })
        })?;
        if forgotten.count > 0 {
            self.tell_of_room();
        }
        Ok(forgotten)
    }

    /// Forgets some of the oldest memos, when the store holds nothing else any more: it would have to
    /// wait for nobody, for ever. False when there are none.
    pub(super) fn forget_oldest_memos(&mut self) -> rusqlite::Result<bool> {
        let extent = self.ledger.extent;
        if extent.first <= extent.last {
            return Ok(false);
        }
        let transaction = self.begin(Durability::Eventual)?;
        let forgotten = transaction
            .prepare_cached(
                "DELETE FROM memo WHERE (source, key) IN (SELECT source, key FROM memo ORDER BY at LIMIT ?1)",
            )?
            .execute([SLICE])?;
        transaction.commit()?;
        self.tell_of_room();
        Ok(forgotten > 0)
    }
}
