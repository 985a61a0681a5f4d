//! What can go wrong with a store, in an operator's words: what, where, and what to do.

use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::ErrorCode;

use super::{Memo, ReaderName, SourceId};
use crate::event::UnixTime;

/// Why a store is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The folder, or a file in it, cannot be used.
    #[error("cannot {doing} {}", path.display())]
    Folder {
        /// What was tried: `create`, `read`, `write`, `sync`.
        doing: &'static str,
        /// The folder or file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The folder holds no store to look at.
    #[error("there is no store in {}", dir.display())]
    Absent {
        /// The folder.
        dir: PathBuf,
    },
    /// Other users can read the folder, and it is not clear that it is ours to close.
    #[error("the folder {} is open to other users (mode {mode:04o})", dir.display())]
    Exposed {
        /// The folder.
        dir: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Another process works with the store.
    #[error("the store in {} is in use by {}", dir.display(), process(*pid))]
    Held {
        /// The folder.
        dir: PathBuf,
        /// The process, when it said so.
        pid: Option<u32>,
    },
    /// The folder lies on a file system that other machines share.
    #[error("the folder {} is on a network file system ({kind})", dir.display())]
    Network {
        /// The folder.
        dir: PathBuf,
        /// The file system's name.
        kind: &'static str,
    },
    /// The program was built with a SQLite that can lose committed data.
    #[error("this program contains SQLite {found}, which can lose stored events")]
    OldSqlite {
        /// Its version.
        found: &'static str,
    },
    /// The folder's file system lacks what the store needs.
    #[error("the file system of {} cannot share memory between the store's connections", path.display())]
    NoWal {
        /// The database.
        path: PathBuf,
    },
    /// The file is some other program's database.
    #[error("{} is a database, but not a store of slackcef", path.display())]
    Foreign {
        /// The database.
        path: PathBuf,
    },
    /// A later slackcef wrote the store.
    #[error("the store {} has format {found}; this program knows formats up to {known}", path.display())]
    TooNew {
        /// The database.
        path: PathBuf,
        /// Its format.
        found: i32,
        /// The newest format known here.
        known: i32,
    },
    /// The store is damaged where it cannot go on without risking a loss that nobody sees.
    #[error("the store {} is damaged: {what}", path.display())]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// SQLite failed.
    #[error("cannot {doing} the store {}", path.display())]
    Database {
        /// What was tried.
        doing: &'static str,
        /// The database.
        path: PathBuf,
        /// SQLite's own account.
        source: rusqlite::Error,
    },
    /// The machine gave no thread, or no memory to compress with.
    #[error("cannot start the store's writing thread")]
    Start {
        /// Why not.
        source: io::Error,
    },
}

fn process(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

const START_AFRESH: &str = "keep the folder, but move it aside, and start with an empty one. Set `start` of each source to a time \
     before the newest event that your SIEM has received: Slack still holds the entries, and what is read twice \
     carries the same externalId";

impl OpenError {
    pub(super) fn damaged(path: &Path, what: &'static str) -> Self {
        Self::Damaged { path: path.to_owned(), what }
    }

    pub(super) fn of(doing: &'static str, path: &Path, source: rusqlite::Error) -> Self {
        match source.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::damaged(path, "it is not a database any more"),
            Some(ErrorCode::DatabaseCorrupt) => Self::damaged(path, "its pages contradict each other"),
            _ => Self::Database { doing, path: path.to_owned(), source },
        }
    }

    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Folder { .. } => {
                "the user that runs slackcef must own the folder of `[state] dir`, and its disk must not be full"
            }
            Self::Absent { .. } => {
                "name the configuration of a service that has run: its `[state] dir` is where its store lies"
            }
            Self::Exposed { .. } => {
                "the store holds your audit log: give it a folder of its own, or close this one with `chmod 700`"
            }
            Self::Held { .. } => "stop that process, or give this one a `[state] dir` of its own",
            Self::Network { .. } => "set `[state] dir` to a folder on a local disk",
            Self::OldSqlite { .. } => "build slackcef with the SQLite it brings along (3.51.3 or later)",
            Self::NoWal { .. } => "set `[state] dir` to a folder on a local disk, such as ext4 or XFS",
            Self::Foreign { .. } => "set `[state] dir` to a folder of its own",
            Self::TooNew { .. } => {
                "run the slackcef that wrote it, or a later one. To go back, move the folder aside and set `start` of \
                 each source to a time before the newest event that your SIEM has received"
            }
            Self::Damaged { .. } => START_AFRESH,
            Self::Database { .. } | Self::Start { .. } => {
                "look at the reason given and at the system's log; nothing was changed, so trying again is safe"
            }
        }
    }
}

/// Something that was put right when the store was opened, and that its owner should know of.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Repair {
    /// Other users could read the folder; its mode is 0700 now.
    Closed {
        /// The folder.
        dir: PathBuf,
        /// The mode it had.
        mode: u32,
    },
    /// Positions were damaged: their readers are handed everything still kept, once more.
    Positions {
        /// How many.
        readers: usize,
    },
    /// What was spent of daily budgets was damaged: those of their readers begin anew.
    Budgets {
        /// How many.
        readers: usize,
    },
}

impl std::fmt::Display for Repair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Closed { dir, mode } => {
                write!(
                    f,
                    "the folder {} was open to other users (mode {mode:04o}) and was closed to them",
                    dir.display()
                )
            }
            Self::Positions { readers } => write!(
                f,
                "the positions of {readers} destinations were damaged: what is still kept is delivered to them once more"
            ),
            Self::Budgets { readers } => write!(
                f,
                "what {readers} destinations had spent of their `bytes_per_day` was damaged: today's budgets begin anew"
            ),
        }
    }
}

/// Entries that were stored, and that damage took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// The numbers of the damaged batches.
    pub batches: RangeInclusive<u64>,
    /// How many entries.
    pub entries: u64,
    /// Their source, when that is still known.
    pub source: Option<SourceId>,
    /// Event times of the oldest and the newest entry of the batch, when still known.
    pub times: Option<(UnixTime, UnixTime)>,
}

impl Lost {
    /// What to do about it.
    pub fn help(&self) -> &'static str {
        "check the disk. Slack may still hold these entries: to read them again, run slackcef once with an empty \
         `[state] dir` and `start` set to before they happened"
    }
}

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} stored entries", self.entries)?;
        match &self.source {
            Some(source) => write!(f, " of source {source}")?,
            None => f.write_str(" of unknown source")?,
        }
        if let Some((first, last)) = self.times {
            write!(f, ", from {first} to {last},")?;
        }
        write!(f, " are damaged beyond reading (batches {} to {})", self.batches.start(), self.batches.end())
    }
}

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The store was closed, here or by its last user.
    #[error("the store is closed")]
    Closed,
    /// Entries are lost to damage. Told once; the next call goes on behind them.
    #[error("{0}")]
    Lost(Lost),
    /// A reader of that name is open already.
    #[error("destination {0} already reads from the store")]
    ReaderTaken(ReaderName),
    /// The reader is no longer among those that count.
    #[error("destination {0} is not among those that read from the store")]
    ReaderDismissed(ReaderName),
    /// The lease counts no more: a lease before it was dropped or fell short.
    #[error("the entries of this lease are handed out again")]
    Recalled,
    /// The batch will not fit, however empty the store.
    #[error("a batch needs {needed} bytes, and the whole store may have {limit}")]
    TooLarge {
        /// Bytes it would take.
        needed: u64,
        /// Bytes the store may take.
        limit: u64,
    },
    /// A memo is longer than it may be.
    #[error("a memo of {length} bytes is longer than {}", Memo::LONGEST)]
    LongMemo {
        /// Bytes of its value.
        length: usize,
    },
    /// The disk is full. What was asked was not done; the store itself goes on once there is room.
    #[error("cannot {doing}: the disk of {} is full", path.display())]
    DiskFull {
        /// What was tried.
        doing: &'static str,
        /// The database.
        path: PathBuf,
        /// SQLite's own account.
        source: rusqlite::Error,
    },
    /// The database is damaged where it is written. Nothing more is taken; reading goes on.
    #[error("cannot {doing}: the store {} is damaged", path.display())]
    Damaged {
        /// What was tried.
        doing: &'static str,
        /// The database.
        path: PathBuf,
        /// SQLite's own account.
        source: rusqlite::Error,
    },
    /// The disk or SQLite failed. Nothing more is taken until the store was opened again.
    #[error("cannot {doing}: the store {} failed", path.display())]
    Failed {
        /// What was tried.
        doing: &'static str,
        /// The database.
        path: PathBuf,
        /// SQLite's own account.
        source: rusqlite::Error,
    },
    /// Compressing failed, for want of memory.
    #[error("cannot compress a batch")]
    Compress {
        /// Why not.
        source: io::Error,
    },
    /// After such a failure the store takes nothing until it was opened again.
    #[error("the store takes nothing more, for earlier: {because}")]
    Stopped {
        /// The failure.
        because: Arc<str>,
    },
}

impl StoreError {
    pub(super) fn of(doing: &'static str, path: &Path, source: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::DiskFull { doing, path, source },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Damaged { doing, path, source }
            }
            _ => Self::Failed { doing, path, source },
        }
    }

    /// Whether nothing more can be stored until the store was opened again.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Closed | Self::Damaged { .. } | Self::Failed { .. } | Self::Stopped { .. })
    }

    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Closed => "start slackcef again",
            Self::Lost(lost) => lost.help(),
            Self::ReaderTaken(_) | Self::ReaderDismissed(_) | Self::Recalled | Self::LongMemo { .. } => {
                "this is a bug in slackcef: please report it"
            }
            Self::TooLarge { .. } => "raise `[state] max_size`",
            Self::DiskFull { .. } => "make room on the disk; slackcef goes on by itself",
            Self::Damaged { .. } => START_AFRESH,
            Self::Failed { .. } | Self::Stopped { .. } => {
                "check the disk and the system's log, then start slackcef again"
            }
            Self::Compress { .. } => "give slackcef more memory",
        }
    }
}
