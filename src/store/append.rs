//! Storing one batch: ids, entries, memos, bookmark and extent in one transaction that is on the disk when
//! it returns.
//!
//! **Invariant:** an entry is dropped as seen only when its id leads to a batch that stands, or
//! that was delivered and deleted.

use rusqlite::{CachedStatement, Connection, OptionalExtension};
use sha2::{Digest, Sha256};

use super::batch::{Header, Packer};
use super::error::StoreError;
use super::ledger::{Extent, IdSpan, Source};
use super::reference::{Reference, Standing};
use super::schema::PAGE;
use super::writer::{Answer, Durability, Writer, begin, is_disk_full};
use super::{Appended, Batch, Bookmark, Full, SourceId, late, memo};
use crate::event::{Entry, UnixTime};

/// Text of entries in one batch: what a reader has in memory at least. A larger append becomes
/// several batches in one transaction.
const BATCH_BYTES: usize = 1 << 20;

/// More than an empty store takes.
const EMPTY: u64 = 16 * PAGE;

impl Writer {
    /// Stores a batch, or says that there is no room for it now.
    pub(super) fn append(&mut self, batch: Batch) -> Result<Answer, StoreError> {
        self.refuse_if_stopped()?;
        if batch.entries.is_empty() && batch.memos.is_empty() {
            return self.store_bookmark(batch);
        }
        // A guess by what such text shrinks to; what it really takes is known once it is written.
        let text: usize = batch.entries.iter().map(|entry| entry.raw().len().saturating_add(128)).sum();
        // Memos mostly take the place of others.
        let mut needed = text as u64 / 4;
        for _ in 0..2 {
            if let Some(full) = self.make_room(needed)? {
                self.full = Some(full);
                return Ok(Answer::NoRoom(batch));
            }
            match self.try_append(&batch)? {
                Attempt::Stored(appended) => {
                    self.full = None;
                    return Ok(Answer::Stored(appended));
                }
                Attempt::TooMuch(really) if really.saturating_add(EMPTY) > self.limits.bytes => {
                    return Err(StoreError::TooLarge { needed: really, limit: self.limits.bytes });
                }
                Attempt::TooMuch(really) => {
                    needed = really;
                    self.full = Some(Full::Limit);
                }
                Attempt::DiskFull => {
                    self.folder.give_reserve_back();
                    self.full = Some(Full::Disk);
                }
            }
        }
        Ok(Answer::NoRoom(batch))
    }

    /// A bookmark alone takes next to no room: it waits only where the disk has none at all.
    fn store_bookmark(&mut self, batch: Batch) -> Result<Answer, StoreError> {
        let unchanged =
            self.ledger.sources.get(&batch.source).is_some_and(|source| source.bookmark == batch.bookmark);
        if !unchanged {
            let mut tried = self.try_append(&batch)?;
            if matches!(tried, Attempt::DiskFull) && self.folder.give_reserve_back() {
                tried = self.try_append(&batch)?;
            }
            if !matches!(tried, Attempt::Stored(_)) {
                self.full = Some(Full::Disk);
                return Ok(Answer::NoRoom(batch));
            }
        }
        if self.full == Some(Full::Disk) && !self.disk_is_short() {
            self.full = None;
        }
        Ok(Answer::Stored(Appended::default()))
    }

    fn try_append(&mut self, batch: &Batch) -> Result<Attempt, StoreError> {
        let tried = self.transact(batch);
        self.packer.clear();
        match tried {
            Ok((attempt, None)) => Ok(attempt),
            Ok((attempt, Some((extent, source)))) => {
                self.ledger.extent = extent;
                self.ledger.sources.insert(batch.source.clone(), source);
                Ok(attempt)
            }
            Err(Trouble::Compress(source)) => Err(StoreError::Compress { source }),
            Err(Trouble::Sqlite(error)) if is_disk_full(&error) => Ok(Attempt::DiskFull),
            Err(Trouble::Sqlite(error)) => Err(self.failed("store a batch", error)),
        }
    }

    /// The transaction: ids, batches, memos, bookmark, extent, all or nothing.
    fn transact(&mut self, batch: &Batch) -> Result<(Attempt, Option<(Extent, Source)>), Trouble> {
        let now = self.clock.now();
        let mut extent = self.ledger.extent;
        let mut source = self.ledger.sources.get(&batch.source).cloned().unwrap_or_else(|| {
            extent.sources = extent.sources.saturating_add(1);
            let highest = self.ledger.sources.values().map(|source| source.number).max().unwrap_or(0);
            Source {
                number: highest.saturating_add(1),
                bookmark: Bookmark::default(),
                last_batch: 0,
                ids: IdSpan::new(now),
            }
        });
        let used = self.bytes_in_use()?;
        // A bookmark alone that a power cut undoes costs a second reading of the same. The first of a
        // source says where it begins: what lies before a later one would be read by nobody.
        let is_first = !self.ledger.sources.contains_key(&batch.source);
        let is_bookmark = batch.entries.is_empty() && batch.memos.is_empty();
        let durability = if is_bookmark && !is_first { Durability::Eventual } else { Durability::Now };

        let transaction = begin(&self.db, durability)?;
        let (fresh, late) =
            store_entries(&transaction, batch, &mut self.packer, &mut extent, &mut source, now)?;
        memo::save(&transaction, batch, source.number, &extent)?;
        source.bookmark = batch.bookmark.clone();
        source.last_batch = extent.last;
        source.save(&transaction, &batch.source)?;
        extent.save(&transaction)?;

        if fresh > 0 || !batch.memos.is_empty() {
            let after = self.bytes_in_use()?;
            if after > self.limits.bytes {
                return Ok((Attempt::TooMuch(after.saturating_sub(used)), None));
            }
        }
        transaction.commit()?;
        let seen = batch.entries.len().saturating_sub(fresh);
        Ok((Attempt::Stored(Appended { fresh, seen, late }), Some((extent, source))))
    }
}

/// Stores the entries that are new, in as many batches as it takes; says how many they were, and when
/// those of them happened that came late.
fn store_entries(
    db: &Connection,
    batch: &Batch,
    packer: &mut Packer,
    extent: &mut Extent,
    source: &mut Source,
    now: UnixTime,
) -> Result<(usize, Vec<UnixTime>), Trouble> {
    let mut ids = Ids::new(db, &batch.source, source.number, extent)?;
    let mut open = ids.open(extent, now);
    let (mut fresh, mut late) = (0_usize, Vec::new());
    for entry in &batch.entries {
        source.ids.read(entry.at());
        let is_late = batch.is_late(entry);
        // The mark is for a whole batch.
        if open.times.is_some() && open.late != is_late {
            open.finish(db, &batch.source, packer, extent)?;
            open = ids.open(extent, now);
        }
        if ids.is_new(entry, open.reference())? {
            fresh = fresh.saturating_add(1);
            late.extend(is_late.then_some(entry.at()));
            packer.push(entry);
            open.add(entry, is_late);
            if packer.len() >= BATCH_BYTES {
                open.finish(db, &batch.source, packer, extent)?;
                open = ids.open(extent, now);
            }
        }
    }
    open.finish(db, &batch.source, packer, extent)?;
    Ok((fresh, late))
}

/// What became of one try to append.
enum Attempt {
    Stored(Appended),
    /// The store would be over its limit; the batch takes that many bytes.
    TooMuch(u64),
    DiskFull,
}

enum Trouble {
    Sqlite(rusqlite::Error),
    Compress(std::io::Error),
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// The batch being filled.
struct Open {
    number: u64,
    serial: u64,
    tag: u16,
    count: u32,
    times: Option<(UnixTime, UnixTime)>,
    late: bool,
    stored: UnixTime,
}

impl Open {
    fn new(extent: &Extent, now: UnixTime) -> Self {
        Self {
            number: extent.last.saturating_add(1),
            serial: extent.entries,
            tag: fastrand::u16(..),
            count: 0,
            times: None,
            late: false,
            stored: now,
        }
    }

    fn reference(&self) -> Reference {
        Reference { number: self.number, tag: self.tag }
    }

    fn add(&mut self, entry: &Entry, late: bool) {
        self.late = late;
        let at = entry.at();
        let (first, last) = self.times.unwrap_or((at, at));
        self.times = Some((first.min(at), last.max(at)));
        self.count = self.count.saturating_add(1);
    }

    fn finish(
        self,
        db: &Connection,
        source: &SourceId,
        packer: &mut Packer,
        extent: &mut Extent,
    ) -> Result<(), Trouble> {
        let Some((first, last)) = self.times else { return Ok(()) };
        let too_big =
            || rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_TOOBIG), None);
        let (seal, body) = packer.finish().map_err(Trouble::Compress)?.ok_or_else(too_big)?;
        let header = Header {
            number: self.number,
            serial: self.serial,
            source: source.clone(),
            count: self.count,
            first,
            last,
            stored: self.stored,
            tag: self.tag,
            seal,
        };
        header.insert(db, &body)?;
        if self.late {
            late::mark(db, &header)?;
        }
        extent.last = header.number;
        extent.entries = header.end();
        Ok(())
    }
}

/// The ids of one source, during one transaction.
struct Ids<'a> {
    db: &'a Connection,
    insert: CachedStatement<'a>,
    /// What all hashes begin with.
    hash: Sha256,
    source: u64,
    standing: Standing<'a>,
}

impl<'a> Ids<'a> {
    fn new(db: &'a Connection, source: &SourceId, number: u64, extent: &Extent) -> rusqlite::Result<Self> {
        let insert =
            db.prepare_cached("INSERT OR IGNORE INTO id (source, at, hash, batch) VALUES (?1, ?2, ?3, ?4)")?;
        // The name is part of every hash: a damaged row cannot stand for another source's entry.
        let hash = Sha256::new_with_prefix(source.as_str()).chain_update([0]);
        Ok(Self { db, insert, hash, source: number, standing: Standing::new(db, extent) })
    }

    /// Opens the next batch; ids that lead to it are known from here on.
    fn open(&mut self, extent: &Extent, now: UnixTime) -> Open {
        let open = Open::new(extent, now);
        self.standing.note(open.reference());
        open
    }

    /// Notes that the entry is in the batch; false when it is in one already.
    fn is_new(&mut self, entry: &Entry, within: Reference) -> rusqlite::Result<bool> {
        let hash = self
            .hash
            .clone()
            .chain_update(entry.log().name().as_bytes())
            .chain_update([0])
            .chain_update(entry.id().as_str().as_bytes())
            .finalize();
        let hash = hash.first_chunk::<10>().copied().unwrap_or_default();
        let key = (self.source, entry.at().seconds(), hash);
        let inserted = self.insert.execute((key.0, key.1, key.2, within.to_row()))?;
        if inserted > 0 {
            return Ok(true);
        }
        // What is no number is damage, and leads to no batch.
        let known = self
            .db
            .prepare_cached("SELECT batch FROM id WHERE source = ?1 AND at = ?2 AND hash = ?3")?
            .query_row(key, |row| Ok(row.get::<_, i64>(0).ok()))
            .optional()?;
        if let Some(known) = known.flatten()
            && self.standing.holds(Reference::of_row(known.cast_unsigned()))?
        {
            return Ok(false);
        }
        self.db
            .prepare_cached("INSERT OR REPLACE INTO id (source, at, hash, batch) VALUES (?1, ?2, ?3, ?4)")?
            .execute((key.0, key.1, key.2, within.to_row()))?;
        Ok(true)
    }
}
