//! What lies at a position: sound entries, damage, or nothing yet.
//!
//! **Invariant:** each batch is read in a short transaction of its own; batches never change, so
//! that is enough.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

use rusqlite::Connection;

use super::batch::{Header, Unpacker};
use super::error::{Lost, StoreError};
use super::lease::Piece;
use super::ledger::{Extent, Position};
use super::{SourceId, schema};
use crate::event::{Entry, UnixTime};

/// A lease gathers batches until it has so much text.
const LEASE_BYTES: usize = 1 << 20;

/// A batch read, from some entry of it on.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) begin: Position,
    pub(super) end: Position,
    pub(super) header: Header,
    pub(super) entries: Vec<Entry>,
}

/// What lies at a position.
pub(super) enum Look {
    Found(Vec<Loaded>),
    /// Damage, and where what is sound begins again.
    Lost(Lost, Position),
    /// Nothing up to here.
    Nothing(Position),
}

/// A connection that reads, and what it needs to.
pub(super) struct Eye {
    path: PathBuf,
    db: Connection,
    unpacker: Unpacker,
    choice: Choice,
}

/// Which batches are read; of the others the headers alone.
#[derive(Debug, Clone, Default)]
pub(super) struct Choice {
    /// Those of these sources; of all when not given.
    pub(super) sources: Option<BTreeSet<SourceId>>,
    /// Those that hold an entry of the first second or a later one, before the second; all when not given.
    pub(super) times: Option<(UnixTime, UnixTime)>,
}

impl Choice {
    fn has(&self, header: &Header) -> bool {
        self.sources.as_ref().is_none_or(|sources| sources.contains(&header.source))
            && self.times.is_none_or(|(from, to)| from <= header.last && header.first < to)
    }
}

impl std::fmt::Debug for Eye {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Eye").field("choice", &self.choice).finish_non_exhaustive()
    }
}

impl Eye {
    pub(super) fn open(path: PathBuf, sources: Option<BTreeSet<SourceId>>) -> Result<Self, StoreError> {
        let db =
            schema::open_reader(&path).map_err(|source| StoreError::of("read the store", &path, source))?;
        let choice = Choice { sources, times: None };
        Self::over(db, path, choice).map_err(|source| StoreError::Compress { source })
    }

    /// An eye that looks over a connection of its own.
    pub(super) fn over(db: Connection, path: PathBuf, choice: Choice) -> io::Result<Self> {
        Ok(Self { path, db, unpacker: Unpacker::new()?, choice })
    }

    /// Chooses anew which batches are read.
    pub(super) fn only(&mut self, choice: Choice) {
        self.choice = choice;
    }

    pub(super) fn db(&self) -> &Connection {
        &self.db
    }

    pub(super) fn look(
        &mut self,
        from: Position,
        at_most: usize,
        extent: &Extent,
    ) -> Result<Look, StoreError> {
        self.find(from, at_most, extent)
            .map_err(|source| StoreError::of("read the store", &self.path, source))
    }

    /// Reads batches until there are enough entries, or damage, or the end.
    fn find(&mut self, from: Position, at_most: usize, extent: &Extent) -> rusqlite::Result<Look> {
        let mut found: Vec<Loaded> = Vec::new();
        let (mut count, mut bytes, mut at) = (0_usize, 0_usize, from);
        while at.batch <= extent.last && count < at_most && bytes < LEASE_BYTES {
            let header = Header::find(&self.db, at.batch)?;
            if let Some(header) = &header {
                let end = behind(header);
                if !self.choice.has(header) {
                    at = end;
                    continue;
                }
                if let Some(mut entries) = self.unpacker.entries(&self.db, header)? {
                    let skip = (at.entry as usize).min(entries.len());
                    entries.drain(..skip);
                    count = count.saturating_add(entries.len());
                    bytes = bytes.saturating_add(header.seal.size as usize);
                    if !entries.is_empty() {
                        found.push(Loaded { begin: at, end, header: header.clone(), entries });
                    }
                    at = end;
                    continue;
                }
            }
            if !found.is_empty() {
                // What is sound goes first; the next look meets the damage again.
                break;
            }
            let (lost, behind) = self.taken(at, header, extent)?;
            return Ok(Look::Lost(lost, behind));
        }
        Ok(if found.is_empty() { Look::Nothing(at) } else { Look::Found(found) })
    }

    /// The entries of those pieces once more; the damage, where there is some now.
    pub(super) fn look_again(
        &mut self,
        pieces: &[Piece],
        extent: &Extent,
    ) -> Result<Result<Vec<Entry>, Lost>, StoreError> {
        self.find_again(pieces, extent).map_err(|source| StoreError::of("read the store", &self.path, source))
    }

    fn find_again(
        &mut self,
        pieces: &[Piece],
        extent: &Extent,
    ) -> rusqlite::Result<Result<Vec<Entry>, Lost>> {
        let mut found = Vec::with_capacity(pieces.iter().map(|piece| piece.count).sum());
        for piece in pieces {
            let header = Header::find(&self.db, piece.begin.batch)?;
            let sound = match &header {
                Some(header) => self.unpacker.entries(&self.db, header)?,
                None => None,
            };
            let Some(entries) = sound else {
                return self.taken(piece.begin, header, extent).map(|(lost, _)| Err(lost));
            };
            found.extend(entries.into_iter().skip(piece.begin.entry as usize).take(piece.count));
        }
        Ok(Ok(found))
    }

    /// What damage has taken at a position, and where what is sound begins again.
    fn taken(
        &self,
        at: Position,
        header: Option<Header>,
        extent: &Extent,
    ) -> rusqlite::Result<(Lost, Position)> {
        if let Some(header) = header {
            let behind = behind(&header);
            let lost = Lost {
                batches: at.batch..=at.batch,
                entries: behind.serial.saturating_sub(at.serial),
                source: Some(header.source),
                times: Some((header.first, header.last)),
            };
            return Ok((lost, behind));
        }
        // The row itself is gone: what it held shows in the serial number of the next that stands.
        let mut behind = extent.end();
        for number in at.batch.saturating_add(1)..=extent.last {
            if let Some(next) = Header::find(&self.db, number)? {
                behind = Position { batch: number, entry: 0, serial: next.serial };
                break;
            }
        }
        let lost = Lost {
            batches: at.batch..=behind.batch.saturating_sub(1),
            entries: behind.serial.saturating_sub(at.serial),
            source: None,
            times: None,
        };
        Ok((lost, behind))
    }
}

fn behind(header: &Header) -> Position {
    Position { batch: header.number.saturating_add(1), entry: 0, serial: header.end() }
}
