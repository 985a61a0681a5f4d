//! The one thread that writes: commands in, answers out, one transaction each.
//!
//! **Invariant:** it never waits for room or for a reader; what cannot be done now is answered so,
//! and the asker waits.
//! **Invariant:** after a failure of the disk, or damage met while writing, nothing more is written:
//! what a failed sync left on the disk is unknown until the file is opened again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, oneshot, watch};

use super::batch::{Header, Packer};
use super::error::StoreError;
use super::folder::Folder;
use super::ledger::{Extent, Ledger, Position, ReaderRow};
use super::memo::Forgotten;
use super::opening::Limits;
use super::schema::PAGE;
use super::{Appended, Backlog, Batch, Bookmark, Full, ReaderName, SourceId, Spent, Usage, spent};
use crate::event::UnixTime;

/// What can be asked of the writing thread.
#[derive(Debug)]
pub(super) enum Command {
    Append {
        batch: Batch,
        reply: oneshot::Sender<Result<Answer, StoreError>>,
    },
    Bookmark {
        source: SourceId,
        reply: oneshot::Sender<Option<Bookmark>>,
    },
    Newest {
        source: SourceId,
        reply: oneshot::Sender<Option<UnixTime>>,
    },
    Sources {
        reply: oneshot::Sender<Vec<SourceId>>,
    },
    ForgetMemos {
        source: SourceId,
        before: UnixTime,
        /// The key where the slice begins.
        from: Vec<u8>,
        reply: oneshot::Sender<Result<Forgotten, StoreError>>,
    },
    Register {
        name: ReaderName,
        reply: oneshot::Sender<Result<ReaderRow, StoreError>>,
    },
    Retain {
        names: BTreeSet<ReaderName>,
        reply: oneshot::Sender<Result<(), StoreError>>,
    },
    Move {
        name: ReaderName,
        to: Position,
        spent: Option<Spent>,
        reply: oneshot::Sender<Result<(), StoreError>>,
    },
    Backlog {
        name: ReaderName,
        reply: oneshot::Sender<Result<Option<Backlog>, StoreError>>,
    },
    Close {
        reply: oneshot::Sender<Result<(), StoreError>>,
    },
}

/// What becomes of an append.
#[derive(Debug)]
pub(super) enum Answer {
    Stored(Appended),
    /// Not now; the batch is given back.
    NoRoom(Batch),
}

/// Commands served without a look at what else is due.
const IN_A_ROW: u32 = 32;

/// The time by this machine's clock; tests bring their own.
pub(super) struct Clock(Box<dyn Fn() -> UnixTime + Send>);

impl Clock {
    pub(super) fn system() -> Self {
        Self::new(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            UnixTime::from_seconds(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
        })
    }

    pub(super) fn new(now: impl Fn() -> UnixTime + Send + 'static) -> Self {
        Self(Box::new(now))
    }

    pub(super) fn now(&self) -> UnixTime {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.now()).finish()
    }
}

/// The writing thread's whole world. Fields drop in order: the database before the folder's lock.
pub(super) struct Writer {
    pub(super) db: Connection,
    pub(super) folder: Folder,
    pub(super) path: PathBuf,
    pub(super) clock: Clock,
    pub(super) limits: Limits,
    pub(super) ledger: Ledger,
    pub(super) packer: Packer,
    /// Whether the readers that count were named since opening.
    pub(super) readers_named: bool,
    /// Why the last append found no room.
    pub(super) full: Option<Full>,
    /// How large the log of changes was when it could not be cut.
    pub(super) uncut_log: u64,
    /// When ids were last looked through for what can be forgotten.
    pub(super) ids_looked: Option<UnixTime>,
    pub(super) stopped: Option<Arc<str>>,
    pub(super) extent: watch::Sender<Extent>,
    pub(super) usage: watch::Sender<Usage>,
    pub(super) room: watch::Sender<u64>,
}

impl Writer {
    /// Serves until the store is closed or forgotten. Keeps house whenever nothing is asked, and
    /// now and then when it is asked without a pause.
    pub(super) fn run(mut self, mut inbox: mpsc::Receiver<Command>) {
        let mut in_a_row = 0;
        loop {
            let waiting = match inbox.try_recv() {
                Ok(command) => Some(command),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Disconnected) => return,
            };
            if waiting.is_none() || in_a_row >= IN_A_ROW {
                in_a_row = 0;
                let worked = self.keep_house();
                if worked {
                    self.publish();
                }
                if worked && waiting.is_none() {
                    continue;
                }
            }
            let Some(command) = waiting.or_else(|| inbox.blocking_recv()) else { return };
            in_a_row += 1;
            if let Command::Close { reply } = command {
                // Whoever waits for the answer may open the folder again at once.
                let closed = self.close();
                drop(inbox);
                drop(reply.send(closed));
                return;
            }
            self.serve(command);
        }
    }

    fn serve(&mut self, command: Command) {
        match command {
            Command::Append { batch, reply } => {
                let answer = self.append(batch);
                self.answer(reply, answer);
            }
            Command::Bookmark { source, reply } => {
                let bookmark = self.ledger.sources.get(&source).map(|source| source.bookmark.clone());
                self.answer(reply, bookmark);
            }
            Command::Newest { source, reply } => {
                let newest = self.ledger.sources.get(&source).and_then(|source| source.ids.newest());
                self.answer(reply, newest);
            }
            Command::Sources { reply } => {
                let sources = self.ledger.sources.keys().cloned().collect();
                self.answer(reply, sources);
            }
            Command::ForgetMemos { source, before, from, reply } => {
                let forgotten = self.forget_memos(&source, before, &from);
                self.answer(reply, forgotten);
            }
            Command::Register { name, reply } => {
                let reader = self.register(name);
                self.answer(reply, reader);
            }
            Command::Retain { names, reply } => {
                let retained = self.retain(&names);
                self.answer(reply, retained);
            }
            Command::Move { name, to, spent, reply } => {
                let moved = self.move_reader(&name, to, spent);
                self.answer(reply, moved);
            }
            Command::Backlog { name, reply } => {
                let backlog = self.backlog(&name);
                self.answer(reply, backlog);
            }
            Command::Close { reply } => drop(reply.send(Err(StoreError::Closed))),
        }
    }

    /// Answers, after everyone who watches was told: what was stored can be read at once.
    fn answer<T>(&self, reply: oneshot::Sender<T>, answer: T) {
        self.publish();
        // Whoever asked may have gone; what was done stays done.
        drop(reply.send(answer));
    }

    fn close(self) -> Result<(), StoreError> {
        let Self { db, path, stopped, folder, .. } = self;
        let closed = if stopped.is_some() {
            drop(db);
            Ok(())
        } else {
            // Readers may still be open; then the log of changes stays beside the file, as after a kill.
            db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
                .and_then(|()| db.close().map_err(|(_, error)| error))
                .map_err(|source| StoreError::of("close the store", &path, source))
        };
        drop(folder);
        closed
    }

    /// Tells everyone who watches how things stand.
    pub(super) fn publish(&self) {
        let extent = self.ledger.extent;
        self.extent.send_if_modified(|known| {
            let grown = known.last != extent.last;
            *known = extent;
            grown
        });
        let oldest = Header::find(&self.db, extent.first).ok().flatten().map(|header| header.stored);
        let usage = Usage {
            bytes: self.bytes_in_use().unwrap_or_default(),
            free_bytes: self.pragma("PRAGMA freelist_count").unwrap_or_default().saturating_mul(PAGE),
            limit: self.limits.bytes,
            wal_bytes: self.folder.wal_bytes(),
            batches: extent.last.saturating_add(1).saturating_sub(extent.first),
            entries: extent.entries.saturating_sub(extent.gone),
            oldest,
            full: self.full,
        };
        self.usage.send_if_modified(|known| {
            let changed = *known != usage;
            *known = usage;
            changed
        });
    }

    /// Lets waiting appends look again.
    pub(super) fn announce_room(&self) {
        self.room.send_modify(|times| *times = times.wrapping_add(1));
    }

    /// Bytes of the pages that hold something.
    pub(super) fn bytes_in_use(&self) -> rusqlite::Result<u64> {
        let pages = self.pragma("PRAGMA page_count")?;
        let free = self.pragma("PRAGMA freelist_count")?;
        Ok(pages.saturating_sub(free).saturating_mul(PAGE))
    }

    /// The number a pragma answers with, its statement kept.
    pub(super) fn pragma(&self, sql: &str) -> rusqlite::Result<u64> {
        self.db.prepare_cached(sql)?.query_row([], |row| row.get(0))
    }

    /// Begins a transaction; one that is not durable may be undone by a power cut, never torn.
    pub(super) fn begin(&self, durability: Durability) -> rusqlite::Result<Transaction<'_>> {
        begin(&self.db, durability)
    }

    pub(super) fn refuse_if_stopped(&self) -> Result<(), StoreError> {
        match &self.stopped {
            Some(because) => Err(StoreError::Stopped { because: Arc::clone(because) }),
            None => Ok(()),
        }
    }

    /// Gives a failure its name; after a grave one nothing more is written.
    pub(super) fn failed(&mut self, doing: &'static str, source: rusqlite::Error) -> StoreError {
        let account = source.to_string();
        let error = StoreError::of(doing, &self.path, source);
        if error.is_final() {
            self.stopped = Some(format!("{error}: {account}").into());
        }
        error
    }

    /// Writes, and tries once more with the reserve given back when the disk is full.
    pub(super) fn write<T>(
        &mut self,
        doing: &'static str,
        work: impl Fn(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.refuse_if_stopped()?;
        let attempt = |writer: &Self| {
            let transaction = writer.begin(Durability::Eventual)?;
            let worked = work(&transaction)?;
            transaction.commit()?;
            Ok(worked)
        };
        let mut done = attempt(self);
        if done.as_ref().is_err_and(is_disk_full) && self.folder.give_reserve_back() {
            done = attempt(self);
        }
        done.map_err(|source| self.failed(doing, source))
    }
}

/// When a commit is on the disk.
#[derive(Debug, Clone, Copy)]
pub(super) enum Durability {
    /// When it returns.
    Now,
    /// With the next one that is; a power cut before that undoes it.
    Eventual,
}

pub(super) fn begin(db: &Connection, durability: Durability) -> rusqlite::Result<Transaction<'_>> {
    // SQLite obeys this one when it compiles it: a statement kept from earlier would do nothing.
    db.execute_batch(match durability {
        Durability::Now => "PRAGMA synchronous = FULL",
        Durability::Eventual => "PRAGMA synchronous = NORMAL",
    })?;
    Transaction::new_unchecked(db, TransactionBehavior::Immediate)
}

pub(super) fn is_disk_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull)
}

/// Readers.
impl Writer {
    fn register(&mut self, name: ReaderName) -> Result<ReaderRow, StoreError> {
        if let Some(reader) = self.ledger.readers.get(&name) {
            return Ok(*reader);
        }
        let highest = self.ledger.readers.values().map(|reader| reader.number).max().unwrap_or(0);
        let position = self.ledger.extent.beginning();
        let reader = ReaderRow { number: highest.saturating_add(1), position, spent: None };
        self.write("add a destination", |db| reader.save(db, &name))?;
        self.ledger.readers.insert(name, reader);
        Ok(reader)
    }

    fn retain(&mut self, names: &BTreeSet<ReaderName>) -> Result<(), StoreError> {
        let dismissed: BTreeMap<_, _> = self
            .ledger
            .readers
            .iter()
            .filter(|(name, _)| !names.contains(*name))
            .map(|(name, reader)| (name.clone(), reader.number))
            .collect();
        self.write("forget a destination", |db| {
            for number in dismissed.values() {
                db.execute("DELETE FROM reader WHERE number = ?1", [number])?;
                spent::forget(db, *number)?;
            }
            Ok(())
        })?;
        self.ledger.readers.retain(|name, _| !dismissed.contains_key(name));
        for name in names {
            self.register(name.clone())?;
        }
        self.readers_named = true;
        self.announce_room();
        Ok(())
    }

    fn move_reader(
        &mut self,
        name: &ReaderName,
        to: Position,
        spent: Option<Spent>,
    ) -> Result<(), StoreError> {
        let Some(reader) = self.ledger.readers.get(name).copied() else {
            return Err(StoreError::ReaderDismissed(name.clone()));
        };
        let moved = ReaderRow { position: to.max(reader.position), spent: spent.or(reader.spent), ..reader };
        if moved == reader {
            return Ok(());
        }
        self.write("note what was delivered", |db| {
            if moved.position != reader.position {
                moved.save(db, name)?;
            }
            match moved.spent {
                Some(spent) if moved.spent != reader.spent => spent.save(db, moved.number, name),
                _ => Ok(()),
            }
        })?;
        let held = self.ledger.delivered_before();
        self.ledger.readers.insert(name.clone(), moved);
        if self.full.is_some() && self.ledger.delivered_before() > held {
            self.announce_room();
        }
        Ok(())
    }

    fn backlog(&self, name: &ReaderName) -> Result<Option<Backlog>, StoreError> {
        let Some(reader) = self.ledger.readers.get(name) else { return Ok(None) };
        let backlog = self.ledger.backlog(&self.db, reader);
        backlog.map(Some).map_err(|source| StoreError::of("read", &self.path, source))
    }
}
