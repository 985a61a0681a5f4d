//! What a store holds, looked at from beside it: also while another process works with it.
//!
//! A store that is open has its log of changes beside it, and SQLite lets any number of readers in;
//! one that was closed is read as a file that nobody changes, for a connection of the usual kind
//! would leave files behind. A service that starts meanwhile is noticed by the checks that every
//! batch bears (`check.rs`): what does not hold is read once more, the other way.
//!
//! **Invariant:** nothing is made, written or locked that the store's own process could notice; a
//! store that is not there stays so.
//! **Invariant:** an entry is handed out only when every check over it held.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::batch::Header;
use super::error::{Lost, OpenError, StoreError};
use super::eye::{Choice, Eye, Loaded, Look};
use super::ledger::{Extent, Ledger, Position, Unreliable};
use super::{Backlog, Bookmark, ReaderName, SourceId, folder, late, schema};
use crate::event::{Entry, UnixTime};

/// A store that is looked at, and left alone. See the module's head.
#[derive(Debug)]
pub struct Archive {
    path: PathBuf,
    /// The store was closed when it was opened here.
    closed: bool,
    eye: Eye,
    extent: Extent,
    lost: Vec<Lost>,
}

/// A batch as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stored {
    /// Whose entries these are.
    pub source: SourceId,
    /// When it was stored, by the clock of the machine that stored it.
    pub at: UnixTime,
    /// Its entries came late (see [`super::Batch::late_before`]).
    pub late: bool,
    /// How many entries were stored before the first of these: each has a number of its own, and
    /// those of a batch follow one another.
    pub serial: u64,
    /// In the order in which they are delivered.
    pub entries: Vec<Entry>,
}

/// How far everybody is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Survey {
    /// Entries kept, delivered ones included.
    pub entries: u64,
    /// How far each source has been read; the forwarder itself is among them.
    pub sources: Vec<(SourceId, Bookmark)>,
    /// What each destination has still to be given.
    pub readers: Vec<(ReaderName, Backlog)>,
    /// The position of each destination: what has a lower serial (see [`Stored::serial`]) was
    /// delivered to it, or passed over, or is lost.
    pub positions: Vec<(ReaderName, u64)>,
}

/// What is kept by a store that has deleted something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begins {
    /// When the oldest batch that is kept was stored.
    stored: Option<UnixTime>,
    /// When the oldest entry of each source happened that is kept and did not come late.
    first: BTreeMap<SourceId, UnixTime>,
}

impl Begins {
    /// The first second from which on all is here that was stored of a source; none where nothing is
    /// kept that would tell.
    pub fn of(&self, source: &SourceId) -> Option<UnixTime> {
        // One second may lie in several batches, of which the first are gone.
        let behind = self.first.get(source).map(|first| first.plus(1));
        behind.into_iter().chain(self.stored).min()
    }
}

impl Archive {
    /// Opens the store of a folder to look at it.
    ///
    /// # Errors
    /// [`OpenError::Absent`] where there is none; others where it cannot be read, is no store, or is
    /// of a format that this program does not know.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        schema::refuse_old_sqlite()?;
        let path = folder::database_of(dir)?;
        let closed = folder::is_closed(dir);
        let db = schema::open_archive(&path, closed)?;
        let extent = extent(&db, &path)?;
        let eye =
            Eye::over(db, path.clone(), Choice::default()).map_err(|source| OpenError::Start { source })?;
        Ok(Self { path, closed, eye, extent, lost: Vec::new() })
    }

    /// The last entries that were stored, of one source or of all: at most `count`, the newest last.
    ///
    /// Of damaged batches there is nothing among them; see [`Archive::lost`].
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn last(
        &mut self,
        count: usize,
        source: Option<&SourceId>,
    ) -> Result<Vec<(SourceId, Entry)>, StoreError> {
        let from = self.start_of_last(count, source)?;
        let mut last = VecDeque::new();
        self.walk(from, &of(source), |batch| {
            for entry in batch.entries {
                if last.len() >= count {
                    last.pop_front();
                }
                if count > 0 {
                    last.push_back((batch.source.clone(), entry));
                }
            }
        })?;
        Ok(last.into())
    }

    /// Calls `each` with every entry that is kept, of one source or of all, in the order in which
    /// they were stored; a batch at a time is held in memory.
    ///
    /// Of damaged batches there is nothing among them; see [`Archive::lost`].
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn each(
        &mut self,
        source: Option<&SourceId>,
        mut each: impl FnMut(&SourceId, Entry),
    ) -> Result<(), StoreError> {
        self.each_batch(source, |Stored { source, entries, .. }| {
            for entry in entries {
                each(&source, entry);
            }
        })
    }

    /// Calls `each` with every batch that is kept, of one source or of all, in the order in which
    /// they were stored.
    ///
    /// Of damaged batches there is nothing; see [`Archive::lost`]. In a store of a format before
    /// the third, none is marked as late.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn each_batch(
        &mut self,
        source: Option<&SourceId>,
        each: impl FnMut(Stored),
    ) -> Result<(), StoreError> {
        let from = self.extent.beginning();
        self.walk(from, &of(source), each)
    }

    /// Calls `each` with the batches of these sources that hold an entry of that second or a later one,
    /// before the other, in the order in which they were stored; they may hold others beside. Nothing is
    /// unpacked for the rest.
    ///
    /// Of damaged batches there is nothing; see [`Archive::lost`].
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn each_batch_between(
        &mut self,
        sources: &BTreeSet<SourceId>,
        from: UnixTime,
        to: UnixTime,
        each: impl FnMut(Stored),
    ) -> Result<(), StoreError> {
        let begin = self.extent.beginning();
        self.walk(begin, &Choice { sources: Some(sources.clone()), times: Some((from, to)) }, each)
    }

    /// From which second on all is here that was ever stored of each source; none where nothing was
    /// deleted so far.
    ///
    /// What is deleted is what was stored first. That went forward in time, source by source, but for
    /// what came late; and nothing is stored before it happens.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn begins(&self, sources: &BTreeSet<SourceId>) -> Result<Option<Begins>, StoreError> {
        if self.extent.gone == 0 {
            return Ok(None);
        }
        let mut begins = Begins { stored: None, first: BTreeMap::new() };
        for number in self.extent.first..=self.extent.last {
            let header = Header::find(self.eye.db(), number).map_err(|source| self.failed(source))?;
            let Some(header) = header else { continue };
            begins.stored.get_or_insert(header.stored);
            let is_wanted = sources.contains(&header.source) && !begins.first.contains_key(&header.source);
            if is_wanted && !late::is_marked(self.eye.db(), &header).map_err(|source| self.failed(source))? {
                begins.first.insert(header.source, header.first);
            }
            if begins.first.len() == sources.len() {
                break;
            }
        }
        Ok(Some(begins))
    }

    /// How far every source has been read, and every destination been given.
    ///
    /// # Errors
    /// The rows that say so cannot be read, or do not hold their checks.
    pub fn survey(&mut self) -> Result<Survey, OpenError> {
        let surveyed = match self.ledger() {
            // A service that started meanwhile may have been half through a change.
            Err(Unreliable::Damaged(_)) if self.look_again().unwrap_or(false) => self.ledger(),
            other => other,
        };
        surveyed.map_err(|unreliable| match unreliable {
            Unreliable::Damaged(what) => OpenError::damaged(&self.path, what),
            Unreliable::Unread(source) => OpenError::of("read", &self.path, source),
        })
    }

    fn ledger(&self) -> Result<Survey, Unreliable> {
        // One moment for all the rows.
        let db = self.eye.db().unchecked_transaction()?;
        let (ledger, _damaged) = Ledger::load(&db)?;
        let with_backlog = |(name, reader)| Ok((name, ledger.backlog(&db, reader)?));
        let readers = ledger.readers.iter().map(|(name, row)| (name.clone(), row));
        let readers = readers.map(with_backlog).collect::<rusqlite::Result<_>>()?;
        let positions =
            ledger.readers.iter().map(|(name, row)| (name.clone(), row.position.serial)).collect();
        let sources = ledger.sources.iter().map(|(name, source)| (name.clone(), source.bookmark.clone()));
        let entries = ledger.extent.entries.saturating_sub(ledger.extent.gone);
        Ok(Survey { entries, sources: sources.collect(), readers, positions })
    }

    /// The damage that was met so far.
    pub fn lost(&self) -> &[Lost] {
        &self.lost
    }

    /// The batch with which the last entries begin, found by the counts that batches bear.
    fn start_of_last(&self, count: usize, source: Option<&SourceId>) -> Result<Position, StoreError> {
        let mut at = self.extent.end();
        let mut found = 0_usize;
        for number in (self.extent.first..=self.extent.last).rev() {
            if found >= count {
                break;
            }
            let header = Header::find(self.eye.db(), number).map_err(|source| self.failed(source))?;
            // What a damaged row held is told by the walk.
            let Some(header) = header else { continue };
            if source.is_none_or(|source| *source == header.source) {
                found = found.saturating_add(header.count as usize);
                at = Position { batch: number, entry: 0, serial: header.serial };
            }
        }
        // Too few are found: damage among the first batches is to be told as well.
        Ok(if found < count { self.extent.beginning() } else { at })
    }

    fn walk(
        &mut self,
        from: Position,
        choice: &Choice,
        mut each: impl FnMut(Stored),
    ) -> Result<(), StoreError> {
        self.eye.only(choice.clone());
        let (extent, mut at) = (self.extent, from);
        loop {
            match self.eye.look(at, 1, &extent)? {
                Look::Nothing(_) => return Ok(()),
                Look::Found(batches) => {
                    for batch in batches {
                        at = batch.end;
                        each(self.stored(batch)?);
                    }
                }
                Look::Lost(lost, behind) => {
                    let reopened = self.look_again()?;
                    self.eye.only(choice.clone());
                    if at.batch < self.extent.first {
                        // It was delivered and deleted while we looked.
                        at = self.extent.beginning();
                    } else if !reopened {
                        at = behind;
                        self.lost.push(lost);
                    }
                }
            }
        }
    }

    fn stored(&self, batch: Loaded) -> Result<Stored, StoreError> {
        let Loaded { begin, header, entries, .. } = batch;
        let late = late::is_marked(self.eye.db(), &header).map_err(|source| self.failed(source))?;
        let Header { source, stored: at, .. } = header;
        Ok(Stored { source, at, late, serial: begin.serial, entries })
    }

    /// Reads anew which batches there are; says whether a process has taken the store up since it
    /// was opened here, so that what was read of it may have been half a change.
    fn look_again(&mut self) -> Result<bool, StoreError> {
        let taken_up = self.closed && !self.path.parent().is_none_or(folder::is_closed);
        if taken_up {
            let db = schema::open_reader(&self.path).map_err(|source| self.failed(source))?;
            self.eye = Eye::over(db, self.path.clone(), Choice::default())
                .map_err(|source| StoreError::Compress { source })?;
            self.closed = false;
        }
        let extent = Extent::load(self.eye.db()).map_err(|source| self.failed(source))?;
        self.extent = extent.unwrap_or(self.extent);
        Ok(taken_up)
    }

    fn failed(&self, source: rusqlite::Error) -> StoreError {
        StoreError::of("read the store", &self.path, source)
    }
}

/// The batches of one source, or of all.
fn of(source: Option<&SourceId>) -> Choice {
    Choice { sources: source.map(|source| BTreeSet::from([source.clone()])), times: None }
}

fn extent(db: &Connection, path: &Path) -> Result<Extent, OpenError> {
    let extent = Extent::load(db).map_err(|source| OpenError::of("read", path, source))?;
    extent.ok_or_else(|| OpenError::damaged(path, "its list of batches does not hold its check"))
}
