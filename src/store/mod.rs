//! Entries kept between Slack and the SIEM, so that neither a crash nor an outage loses one.
//!
//! One log of entries; a bookmark for each source that writes, and memos beside it; a position for each
//! destination that reads. The implementation is one SQLite file (`schema.rs` draws it), written by one thread
//! (`writer.rs`) and read over other connections (`reader.rs`). What follows is the contract, in
//! words that a store of another kind could keep as well.
//!
//! **Storing.** [`Store::append`] takes a batch: entries of one source, and the bookmark that says
//! how far that source has been read with them. When it returns, both are on the disk, or neither
//! is; a call that is cancelled may have done either, and is simply made again. Entries whose id
//! was stored before are dropped and counted as `seen`, wherever the first copy stands: in an
//! earlier batch or in this one. Ids are kept for the retention or three days, whichever is longer,
//! counted from the last time that anything as old was read (`IdSpan` in `ledger.rs`); near its size
//! limit a store keeps them for a day, and less only when it holds nothing else. While the store is at its
//! size limit, or the disk nearly full, `append` waits; it goes on as soon as delivered entries can
//! be deleted or the disk has room again. A batch without entries and memos moves the bookmark, and
//! waits only where the disk has not a byte left; but for the first of a source it is not synced by
//! itself: a power cut may undo it, which costs a second reading of the same.
//!
//! **Remembering.** A batch may bring memos ([`Batch::memos`]): small facts that its source keeps by
//! key, such as the count that a row had when it was last seen. They are stored with entries and
//! bookmark, in the same moment or not at all; a later one replaces the one before of its key, and one
//! that says what is there already costs nothing. [`Store::recall`] finds what was stored before it was
//! called. They take room as entries do: a batch with memos waits for it, entries or none. A memo
//! goes when its source forgets it ([`Store::forget_memos`]), and of itself only where a store at its limit
//! holds nothing but memos: then the oldest go. One that is damaged was never there, of which
//! nobody is told: what it was kept for is met as new, which repeats at worst.
//!
//! **Marking.** A batch may say up to when its source had been read before it ([`Batch::late_before`]):
//! entries that are new and happened before that came late. They are marked so, and told of
//! ([`Appended::late`]). The mark is kept as long as the entries, and only shown by an [`Archive`]; what
//! is handed out does not depend on it, and damage may take it.
//!
//! **Reading.** A [`Reader`] hands out entries in the order in which they were stored, as a
//! [`Lease`]. Thousands of leases may be open; each continues where the one before it ends. Only
//! [`Reader::settle`] and [`Reader::settle_all`] move the reader's position, and only past entries
//! that were delivered without a gap: what a lease did not deliver, and all that was leased after
//! it, is handed out again. A lease that is dropped delivered nothing. They may be settled in any
//! order; behind a gap the position waits. A lease may be released of its entries and read again
//! ([`Lease::release`], [`Reader::reload`]): it is over the same entries all the while, and what an
//! open lease is over is not deleted. A position may be set back by a power cut, which
//! repeats entries; it is never ahead of what was settled. A new reader begins at the
//! oldest entry that is still kept, so a destination added today gets what the retention holds.
//!
//! **Spending.** What a reader has spent of a day's budget ([`Reader::note_spent`]) is stored with
//! its position, and found again when the reader is opened ([`Reader::spent`]). A power cut may set
//! it back, as it may the position. It goes when the reader is dismissed.
//!
//! **Keeping.** What every reader has delivered is kept for the retention, for replay, and then
//! deleted; at the size limit, or on a full disk, it goes earlier, oldest first. What is not
//! delivered is never deleted. The readers that count are named by [`Store::retain_readers`]; until
//! it was called since opening, nothing is deleted.
//!
//! **Looking.** An [`Archive`] shows what a store holds to another process, also while the store is
//! open; it changes nothing and holds nothing up.
//!
//! **Damage.** No entry is handed out unless every check over it holds (`check.rs`). Damaged
//! entries are reported by [`StoreError::Lost`], once to every reader, and reading goes on behind them.
//! Damage that could lose entries without trace makes [`Store::open`] refuse.
//!
//! **Invariant:** a bookmark never runs ahead of the entries it covers.
//! **Invariant:** a position never runs ahead of what was settled.
//! **Invariant:** no read transaction outlives the call that made it, for it would let the log of
//! changes grow without bound.

mod append;
mod archive;
mod batch;
mod check;
mod error;
mod eye;
mod folder;
mod forget;
mod late;
mod lease;
mod ledger;
mod memo;
mod opening;
mod reader;
mod reference;
mod schema;
mod spent;
mod upkeep;
mod writer;

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use crate::event::{Entry, UnixTime};
pub use archive::{Archive, Begins, Stored, Survey};
pub use error::{Lost, OpenError, Repair, StoreError};
pub use lease::Lease;
use ledger::Extent;
pub use memo::{Memo, MemoKey};
pub use reader::Reader;
pub use spent::Spent;
use writer::{Answer, Clock, Command};

#[cfg(test)]
mod tests;

/// Where a store lives and how much it keeps.
#[derive(Debug, Clone)]
pub struct Settings {
    /// A folder of its own, on a local disk; created with mode 0700.
    pub dir: PathBuf,
    /// How long delivered entries are kept for replay.
    pub retention: Duration,
    /// Bytes the whole folder may take.
    pub max_size: u64,
}

/// The name of a source: what the configuration calls it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(Arc<str>);

impl SourceId {
    /// The name of the forwarder itself, as the source of its own events: no other may have it.
    pub const OWN: &str = "slackcef";

    /// The forwarder itself. It is read from nowhere, so its bookmark stays empty.
    pub fn own() -> Self {
        Self::new(Self::OWN)
    }

    /// The source of that name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a reader: the destination that it reads for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReaderName(Arc<str>);

impl ReaderName {
    /// The reader of that name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ReaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How far a source has been read; bytes that only the source understands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bookmark(Vec<u8>);

impl Bookmark {
    /// A bookmark of these bytes.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Entries of one source, and how far it has been read with them.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Whose entries these are.
    pub source: SourceId,
    /// In the order in which they are to be delivered.
    pub entries: Vec<Entry>,
    /// Stored with the entries, or not at all.
    pub bookmark: Bookmark,
    /// Stored with the entries, or not at all; of two with the same key, the last stays.
    pub memos: Vec<Memo>,
    /// Those that happened before that and are new came late: their seconds had been read before.
    pub late_before: Option<UnixTime>,
}

impl Batch {
    /// What a first reading found, with nothing to remember beside the bookmark.
    pub fn new(source: SourceId, entries: Vec<Entry>, bookmark: Bookmark) -> Self {
        Self { source, entries, bookmark, memos: Vec::new(), late_before: None }
    }

    /// Whether an entry comes late, should it be new.
    fn is_late(&self, entry: &Entry) -> bool {
        self.late_before.is_some_and(|before| entry.at() < before)
    }
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Appended {
    /// Entries stored.
    pub fresh: usize,
    /// Entries dropped, because their ids were stored before.
    pub seen: usize,
    /// When those of the stored ones happened that came late (see [`Batch::late_before`]).
    pub late: Vec<UnixTime>,
}

/// What a store holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// Bytes in use in the database.
    pub bytes: u64,
    /// Bytes of the database that are free: for the next batches, or to be given back to the disk.
    pub free_bytes: u64,
    /// Bytes that may be in use there: the size limit, less what the log of changes and the reserve need.
    pub limit: u64,
    /// Bytes of the log of changes (the WAL).
    pub wal_bytes: u64,
    /// Batches kept.
    pub batches: u64,
    /// Entries kept.
    pub entries: u64,
    /// When the oldest kept batch was stored.
    pub oldest: Option<UnixTime>,
    /// Why `append` waits, if it does.
    pub full: Option<Full>,
}

/// Why a store takes no more entries for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Full {
    /// It is at its size limit, with entries that are not delivered yet.
    Limit,
    /// The disk is nearly full.
    Disk,
}

/// What a reader has still to deliver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backlog {
    /// Entries behind its position, those of sources that it passes over included.
    pub entries: u64,
    /// When the oldest of them happened.
    pub oldest: Option<UnixTime>,
}

/// A store, open. Clones share it.
#[derive(Debug, Clone)]
pub struct Store {
    commands: mpsc::Sender<Command>,
    shared: Arc<Shared>,
}

/// What a store's clones and readers share.
#[derive(Debug)]
struct Shared {
    path: PathBuf,
    /// Changes with every batch stored.
    extent: watch::Receiver<Extent>,
    usage: watch::Receiver<Usage>,
    /// Changes when a waiting `append` may find room.
    room: watch::Receiver<u64>,
    /// The readers that are open.
    open: Mutex<BTreeSet<ReaderName>>,
}

/// Commands that wait for the writing thread; each may hold a page of Slack's.
const COMMANDS: usize = 16;

/// How often a waiting `append` looks whether others have made room on the disk: nobody tells.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

impl Store {
    /// Opens the store of a folder, or makes one; says what had to be put right.
    ///
    /// Blocks for some milliseconds, whatever the size of the store.
    ///
    /// # Errors
    /// [`OpenError`] when the folder is unsafe or taken, the format unknown, or damage could lose
    /// entries without trace. What the store held was left as it was then.
    pub fn open(settings: &Settings) -> Result<(Self, Vec<Repair>), OpenError> {
        Self::open_by(settings, Clock::system())
    }

    fn open_by(settings: &Settings, clock: Clock) -> Result<(Self, Vec<Repair>), OpenError> {
        let (commands, inbox) = mpsc::channel(COMMANDS);
        let (writer, shared, repairs) = opening::open(settings, clock)?;
        std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || writer.run(inbox))
            .map_err(|source| OpenError::Start { source })?;
        Ok((Self { commands, shared: Arc::new(shared) }, repairs))
    }

    /// How far a source has been read, as last stored.
    pub async fn bookmark(&self, source: &SourceId) -> Result<Option<Bookmark>, StoreError> {
        let source = source.clone();
        self.ask(|reply| Command::Bookmark { source, reply }).await
    }

    /// The newest event time that a source has ever stored.
    pub async fn newest(&self, source: &SourceId) -> Result<Option<UnixTime>, StoreError> {
        let source = source.clone();
        self.ask(|reply| Command::Newest { source, reply }).await
    }

    /// Every source that has ever stored something, in the order of their names.
    pub async fn sources(&self) -> Result<Vec<SourceId>, StoreError> {
        self.ask(|reply| Command::Sources { reply }).await
    }

    /// Stores a batch; returns when it is on the disk. Waits while there is no room.
    ///
    /// A bookmark alone, of a source that has one, is on the disk with the next batch: a power cut
    /// before that has the same read once more.
    ///
    /// # Errors
    /// [`StoreError::DiskFull`] for a bookmark alone, which does not wait, when not even the reserve
    /// has room for it.
    /// [`StoreError::TooLarge`] when it will never fit; [`StoreError::LongMemo`]; final ones (see [`StoreError::is_final`])
    /// when the store has failed. Whatever the error, nothing of the batch was stored, or all of it.
    pub async fn append(&self, batch: Batch) -> Result<Appended, StoreError> {
        Memo::refuse_long(&batch.memos)?;
        let mut room = self.shared.room.clone();
        let mut batch = batch;
        loop {
            room.borrow_and_update();
            match self.ask(|reply| Command::Append { batch, reply }).await?? {
                Answer::Stored(appended) => return Ok(appended),
                Answer::NoRoom(returned) => batch = returned,
            }
            // Whether room was made or time has passed: look again.
            drop(timeout(LOOK_AGAIN, room.changed()).await);
        }
    }

    /// The memos that a source has stored under those keys, in the order of the keys; thousands at
    /// once are no burden.
    ///
    /// # Errors
    /// The store is closed, or cannot be read.
    pub async fn recall(
        &self,
        source: &SourceId,
        keys: Vec<MemoKey>,
    ) -> Result<Vec<Option<Memo>>, StoreError> {
        if self.commands.is_closed() {
            return Err(StoreError::Closed);
        }
        let (shared, source) = (Arc::clone(&self.shared), source.clone());
        reader::blocking(move || memo::recall(&shared.path, &source, &keys)).await
    }

    /// Forgets the memos of a source whose time is before that one; says how many they were.
    ///
    /// It is done in slices, each for itself: an error, or a call that is cancelled, leaves some of
    /// them.
    ///
    /// # Errors
    /// The store is closed or has failed, or the disk is full.
    pub async fn forget_memos(&self, source: &SourceId, before: UnixTime) -> Result<u64, StoreError> {
        let (mut count, mut from) = (0_u64, Some(Vec::new()));
        while let Some(key) = from {
            let source = source.clone();
            let forgotten =
                self.ask(|reply| Command::ForgetMemos { source, before, from: key, reply }).await??;
            count = count.saturating_add(forgotten.count);
            from = forgotten.rest;
        }
        Ok(count)
    }

    /// What the store holds now.
    pub fn usage(&self) -> Usage {
        self.shared.usage.borrow().clone()
    }

    /// What the store holds, as it changes: to say so once when it is full.
    pub fn watch_usage(&self) -> watch::Receiver<Usage> {
        self.shared.usage.clone()
    }

    /// Names the readers that count, all of them.
    ///
    /// Entries are kept until these have delivered them; positions of others are forgotten. Until
    /// it was called, nothing is deleted. [`Store::reader`] adds to them.
    pub async fn retain_readers(&self, names: &[ReaderName]) -> Result<(), StoreError> {
        let names = names.iter().cloned().collect();
        self.ask(|reply| Command::Retain { names, reply }).await?
    }

    /// Opens the reader of that name, at its position; a new one at the oldest entry kept.
    ///
    /// With `sources` given, it passes over the entries of all others.
    ///
    /// # Errors
    /// [`StoreError::ReaderTaken`] while one of that name is open.
    pub async fn reader(
        &self,
        name: ReaderName,
        sources: Option<Vec<SourceId>>,
    ) -> Result<Reader, StoreError> {
        Reader::open(self, name, sources).await
    }

    /// What the reader of that name has still to deliver; `None` for a name never heard of.
    pub async fn backlog(&self, name: &ReaderName) -> Result<Option<Backlog>, StoreError> {
        let name = name.clone();
        self.ask(|reply| Command::Backlog { name, reply }).await?
    }

    /// Closes the store for all its clones, with everything carried over into the one file.
    pub async fn close(self) -> Result<(), StoreError> {
        self.ask(|reply| Command::Close { reply }).await?
    }

    /// Has the writing thread do something.
    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)
    }
}
