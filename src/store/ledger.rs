//! The small rows that say what the store holds, and who has got how far.
//!
//! They are read and checked once, when the store opens; from then on the writing thread's memory
//! is the truth and every change is written through.
//!
//! **Invariant:** memory changes only after the commit that makes the change durable.

use std::collections::BTreeMap;

use rusqlite::{Connection, Row};

use super::batch::Header;
use super::check::{self, Seal, Sealed};
use super::{Backlog, Bookmark, ReaderName, SourceId, Spent};
use crate::event::UnixTime;

/// Which batches there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    /// The oldest batch kept; one behind `last` when none is.
    pub(super) first: u64,
    /// The newest batch, 0 before there was one.
    pub(super) last: u64,
    /// Entries ever stored.
    pub(super) entries: u64,
    /// Entries of batches that were deleted.
    pub(super) gone: u64,
    /// Rows in the table of sources.
    pub(super) sources: u64,
}

impl Extent {
    pub(super) const EMPTY: Self = Self { first: 1, last: 0, entries: 0, gone: 0, sources: 0 };

    pub(super) fn save(&self, db: &Connection) -> rusqlite::Result<()> {
        db.prepare_cached(
            "INSERT OR REPLACE INTO extent (one, first, last, entries, gone, sources, seal)
             VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute((self.first, self.last, self.entries, self.gone, self.sources, self.sealed()))?;
        Ok(())
    }

    pub(super) fn load(db: &Connection) -> rusqlite::Result<Option<Self>> {
        let read = |row: &Row<'_>| {
            let extent = Self {
                first: row.get(0)?,
                last: row.get(1)?,
                entries: row.get(2)?,
                gone: row.get(3)?,
                sources: row.get(4)?,
            };
            let sealed: Sealed = row.get(5)?;
            Ok((sealed == extent.sealed()).then_some(extent))
        };
        db.query_row("SELECT first, last, entries, gone, sources, seal FROM extent WHERE one = 1", [], read)
    }

    fn sealed(&self) -> Sealed {
        Seal::of("extent")
            .number(self.first)
            .number(self.last)
            .number(self.entries)
            .number(self.gone)
            .number(self.sources)
            .finish()
    }

    /// Before the oldest entry kept.
    pub(super) const fn beginning(&self) -> Position {
        Position { batch: self.first, entry: 0, serial: self.gone }
    }

    /// Behind the newest entry.
    pub(super) const fn end(&self) -> Position {
        Position { batch: self.last.saturating_add(1), entry: 0, serial: self.entries }
    }
}

/// A place between two entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    /// The batch of the entry behind it.
    pub(super) batch: u64,
    /// How many entries of that batch lie before it.
    pub(super) entry: u32,
    /// How many entries of the store lie before it.
    pub(super) serial: u64,
}

/// What is known of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    /// How the ids name it.
    pub(super) number: u64,
    pub(super) bookmark: Bookmark,
    /// The newest batch when the bookmark was stored: with it the two cannot part.
    pub(super) last_batch: u64,
    pub(super) ids: IdSpan,
}

/// Up to which event time the ids of a source can be forgotten, and when.
///
/// An id is of use as long as its entry may be read again: in an overlap, in a verification, after
/// a restart. A backfill reads events that are old already, and a forwarder that was switched off
/// for a fortnight begins where it stopped, so neither the event's age nor the clock alone tells.
/// Therefore a mark is set: at the time `marked` the newest event was `mark`. Whatever is read at
/// or before the mark afterwards, fresh or seen, pulls the mark back in front of it. When a mark
/// has stood for the time that ids are to be kept, everything before it was last read at least that
/// long ago; and of that, whatever lies that long before the newest event is forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct IdSpan {
    /// The newest event time read so far.
    pub(super) newest: UnixTime,
    pub(super) marked: UnixTime,
    pub(super) mark: UnixTime,
}

/// No entry has that time.
const NEVER: UnixTime = UnixTime::from_seconds(i64::MIN);

impl IdSpan {
    /// Nothing was read yet.
    pub(super) const fn new(now: UnixTime) -> Self {
        Self { newest: NEVER, marked: now, mark: NEVER }
    }

    /// The newest event time read so far, if any was.
    pub(super) fn newest(&self) -> Option<UnixTime> {
        Some(self.newest).filter(|newest| *newest != NEVER)
    }

    /// An entry of that event time was read.
    pub(super) fn read(&mut self, at: UnixTime) {
        self.newest = self.newest.max(at);
        self.mark = self.mark.min(at.plus(-1));
    }

    /// Ids before this event time can be forgotten, if any, when ids are kept for `keep` seconds.
    pub(super) fn forgettable(&self, now: UnixTime, keep: i64) -> Option<UnixTime> {
        let due = self.marked.plus(keep) <= now;
        due.then(|| self.mark.min(self.newest.plus(-keep)))
    }

    /// Sets the next mark.
    pub(super) fn set_mark(&mut self, now: UnixTime) {
        (self.marked, self.mark) = (now, self.newest);
    }
}

impl Source {
    pub(super) fn save(&self, db: &Connection, name: &SourceId) -> rusqlite::Result<()> {
        db.prepare_cached(
            "INSERT OR REPLACE INTO source (number, name, bookmark, last_batch, newest, marked, mark, seal)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute((
            self.number,
            name.as_str(),
            self.bookmark.as_bytes(),
            self.last_batch,
            self.ids.newest.seconds(),
            self.ids.marked.seconds(),
            self.ids.mark.seconds(),
            self.sealed(name),
        ))?;
        Ok(())
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<Option<(SourceId, Self)>> {
        let name = SourceId::new(row.get::<_, String>(1)?);
        let source = Self {
            number: row.get(0)?,
            bookmark: Bookmark::new(row.get::<_, Vec<u8>>(2)?),
            last_batch: row.get(3)?,
            ids: IdSpan {
                newest: UnixTime::from_seconds(row.get(4)?),
                marked: UnixTime::from_seconds(row.get(5)?),
                mark: UnixTime::from_seconds(row.get(6)?),
            },
        };
        let sealed: Sealed = row.get(7)?;
        Ok((sealed == source.sealed(&name)).then_some((name, source)))
    }

    fn sealed(&self, name: &SourceId) -> Sealed {
        Seal::of("source")
            .number(self.number)
            .text(name.as_str())
            .bytes(self.bookmark.as_bytes())
            .number(self.last_batch)
            .number(self.ids.newest.seconds())
            .number(self.ids.marked.seconds())
            .number(self.ids.mark.seconds())
            .finish()
    }
}

/// What is known of a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ReaderRow {
    pub(super) number: u64,
    pub(super) position: Position,
    /// In a table of its own (`spent.rs`).
    pub(super) spent: Option<Spent>,
}

impl ReaderRow {
    pub(super) fn save(&self, db: &Connection, name: &ReaderName) -> rusqlite::Result<()> {
        db.prepare_cached(
            "INSERT OR REPLACE INTO reader (number, name, batch, entry, serial, seal) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute((
            self.number,
            name.as_str(),
            self.position.batch,
            self.position.entry,
            self.position.serial,
            self.sealed(name),
        ))?;
        Ok(())
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<Option<(ReaderName, Self)>> {
        let name = ReaderName::new(row.get::<_, String>(1)?);
        let position = Position { batch: row.get(2)?, entry: row.get(3)?, serial: row.get(4)? };
        let reader = Self { number: row.get(0)?, position, spent: None };
        let sealed: Sealed = row.get(5)?;
        Ok((sealed == reader.sealed(&name)).then_some((name, reader)))
    }

    fn sealed(&self, name: &ReaderName) -> Sealed {
        Seal::of("reader")
            .number(self.number)
            .text(name.as_str())
            .number(self.position.batch)
            .number(self.position.entry)
            .number(self.position.serial)
            .finish()
    }
}

/// All the small rows.
#[derive(Debug, Clone)]
pub(super) struct Ledger {
    pub(super) extent: Extent,
    pub(super) sources: BTreeMap<SourceId, Source>,
    pub(super) readers: BTreeMap<ReaderName, ReaderRow>,
}

/// Why a ledger cannot be relied on.
pub(super) enum Unreliable {
    /// This is wrong with it.
    Damaged(&'static str),
    /// It could not be read.
    Unread(rusqlite::Error),
}

impl From<rusqlite::Error> for Unreliable {
    fn from(error: rusqlite::Error) -> Self {
        if check::is_damage(&error) {
            Self::Damaged("a table that says what it holds is unreadable")
        } else {
            Self::Unread(error)
        }
    }
}

impl Ledger {
    /// Reads and checks everything; gives the numbers of readers' rows that are damaged.
    pub(super) fn load(db: &Connection) -> Result<(Self, Vec<u64>), Unreliable> {
        let extent = Extent::load(db)?
            .ok_or(Unreliable::Damaged("the row that says which batches it holds is damaged"))?;
        let newest: Option<u64> = db.query_row("SELECT max(number) FROM batch", [], |row| row.get(0))?;
        if extent.first > extent.last.saturating_add(1) || newest.is_some_and(|newest| newest > extent.last) {
            return Err(Unreliable::Damaged("it holds batches that were never finished"));
        }
        let sources = Self::load_sources(db, &extent)?;
        let (readers, damaged) = Self::load_readers(db, &extent)?;
        Ok((Self { extent, sources, readers }, damaged))
    }

    fn load_sources(db: &Connection, extent: &Extent) -> Result<BTreeMap<SourceId, Source>, Unreliable> {
        let mut sources = BTreeMap::new();
        let mut statement =
            db.prepare("SELECT number, name, bookmark, last_batch, newest, marked, mark, seal FROM source")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (name, source) =
                Source::read(row)?.ok_or(Unreliable::Damaged("the bookmark of a source is damaged"))?;
            if source.last_batch > extent.last {
                return Err(Unreliable::Damaged("a bookmark is ahead of the batches"));
            }
            sources.insert(name, source);
        }
        if sources.len() as u64 != extent.sources {
            return Err(Unreliable::Damaged("the bookmark of a source is missing"));
        }
        Ok(sources)
    }

    fn load_readers(
        db: &Connection,
        extent: &Extent,
    ) -> Result<(BTreeMap<ReaderName, ReaderRow>, Vec<u64>), Unreliable> {
        let mut readers = BTreeMap::new();
        let mut damaged = Vec::new();
        let mut statement = db.prepare("SELECT number, name, batch, entry, serial, seal FROM reader")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            match ReaderRow::read(row) {
                Ok(Some((name, reader))) if extent.holds(reader.position) => {
                    readers.insert(name, reader);
                }
                Ok(_) => damaged.push(row.get(0)?),
                Err(error) if check::is_damage(&error) => damaged.push(row.get(0)?),
                Err(error) => return Err(Unreliable::Unread(error)),
            }
        }
        Ok((readers, damaged))
    }

    /// What lies behind a reader's position.
    pub(super) fn backlog(&self, db: &Connection, reader: &ReaderRow) -> rusqlite::Result<Backlog> {
        let Position { batch, serial, .. } = reader.position;
        let oldest = Header::find(db, batch)?.map(|header| header.first);
        Ok(Backlog { entries: self.extent.entries.saturating_sub(serial), oldest })
    }

    /// All batches before this one were delivered to every reader.
    pub(super) fn delivered_before(&self) -> u64 {
        self.readers.values().map(|reader| reader.position.batch).fold(self.extent.end().batch, u64::min)
    }
}

impl Extent {
    /// Whether a position can be true: in front of nothing deleted, and not behind the end.
    fn holds(&self, position: Position) -> bool {
        position.batch >= self.first && position <= self.end() && position.serial <= self.entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    fn at(seconds: i64) -> UnixTime {
        UnixTime::from_seconds(seconds)
    }

    #[test]
    fn ids_of_a_backfill_are_kept_although_its_events_are_old() {
        let (now, keep) = (100 * DAY, 3 * DAY);
        let mut span = IdSpan::new(at(now));
        span.read(at(now - 30 * DAY));
        span.read(at(now));
        assert_eq!(span.forgettable(at(now + DAY), keep), None);
        // The first mark was set before anything was read: it releases nothing.
        assert!(span.forgettable(at(now + 3 * DAY), keep).unwrap() < at(now - 30 * DAY));
        span.set_mark(at(now + 3 * DAY));
        span.read(at(now));
        span.read(at(now + 6 * DAY));
        // Three days later still: all but what was read since, and the three newest days.
        assert_eq!(span.forgettable(at(now + 6 * DAY), keep), Some(at(now - 1)));
    }

    #[test]
    fn ids_outlive_a_forwarder_that_was_switched_off() {
        let (stopped, keep) = (100 * DAY, 3 * DAY);
        let mut span = IdSpan::new(at(stopped - 9 * DAY));
        span.read(at(stopped - 9 * DAY));
        span.read(at(stopped - 5 * DAY));
        span.set_mark(at(stopped - 5 * DAY));
        span.read(at(stopped - 5 * DAY));
        span.read(at(stopped));
        let back = at(stopped + 40 * DAY);
        assert!(span.forgettable(back, keep).unwrap() <= at(stopped - keep));
    }

    #[test]
    fn what_is_read_again_is_kept_anew() {
        let keep = 3 * DAY;
        let mut span = IdSpan::new(at(0));
        span.read(at(0));
        span.read(at(DAY));
        span.set_mark(at(DAY));
        span.read(at(DAY / 2));
        span.read(at(20 * DAY));
        assert_eq!(span.forgettable(at(20 * DAY), keep), Some(at(DAY / 2 - 1)));
    }
}
