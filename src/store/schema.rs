//! The tables, and what makes a file this store.
//!
//! ```text
//! extent   one row: the numbers of the oldest and the newest batch, entries ever stored, sources
//! source   one row a source: its name, bookmark, newest event, and up to where ids are still needed
//! reader   one row a destination: its name and position
//! spent    one row a destination with a daily budget: the day and its bytes (since format 2)
//! batch    one row a batch, numbered without gaps: source, count, times, checks, body
//! id       one row an entry: source, event time, ten bytes of a hash of its id → the batch that holds it
//! late     one row a batch whose entries came late (since format 3)
//! memo     one row a key of a source: its time and value, and the newest batch when it was stored (since format 3)
//!
//!          first               position of a reader              last
//!   batch  │ 41 │ 42 │ 43 │ 44 │ 45 ▏46 │ 47 │ 48 │ 49 │ 50 │ 51 │
//!          └── delivered to all ────┘    └── still wanted ───────┘
//! ```
//!
//! Counts and times are plain columns, for anyone with `sqlite3 -readonly`; bodies are explained in
//! `batch.rs`, checks in `check.rs`. Ids are ordered by event time, so that inserting stays at the
//! right edge of their tree and forgetting is one range.
//!
//! **Invariant:** `application_id` says that the file is a store of slackcef, `user_version` says
//! which; a version that this program does not know is refused, never guessed at. An older one is
//! looked at as it is, and brought up to this one when it is opened to work with.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use super::check;
use super::error::OpenError;

/// "sCEF".
const APPLICATION: i32 = 0x7343_4546;

/// The version of what stands below.
const VERSION: i32 = 3;

/// The first version that says which batches came late.
pub(super) const SINCE_LATE: i32 = 3;

/// Older ones can lose committed data when a write meets a checkpoint (the WAL-reset bug).
const OLDEST_SQLITE: i32 = 3_051_003;

/// How long to wait for a lock: other programs may look, and none has a reason to write.
pub(super) const BUSY: Duration = Duration::from_secs(5);

/// Bytes a page of the file.
pub(super) const PAGE: u64 = 4096;

/// No value of a row is larger; it bounds what a damaged length can make SQLite allocate.
const LARGEST_VALUE: i32 = 256 << 20;

/// Name, the first version that has it, and the words that make it: in the order of their making.
const TABLES: [(&str, i32, &str); 8] = [
    (
        "extent",
        1,
        "CREATE TABLE extent (one INTEGER PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL, \
         entries INTEGER NOT NULL, gone INTEGER NOT NULL, sources INTEGER NOT NULL, seal BLOB NOT NULL) STRICT",
    ),
    (
        "source",
        1,
        "CREATE TABLE source (number INTEGER PRIMARY KEY, name TEXT NOT NULL, bookmark BLOB NOT NULL, \
         last_batch INTEGER NOT NULL, newest INTEGER NOT NULL, marked INTEGER NOT NULL, mark INTEGER NOT NULL, \
         seal BLOB NOT NULL) STRICT",
    ),
    (
        "reader",
        1,
        "CREATE TABLE reader (number INTEGER PRIMARY KEY, name TEXT NOT NULL, batch INTEGER NOT NULL, \
         entry INTEGER NOT NULL, serial INTEGER NOT NULL, seal BLOB NOT NULL) STRICT",
    ),
    (
        "batch",
        1,
        "CREATE TABLE batch (number INTEGER PRIMARY KEY, serial INTEGER NOT NULL, source TEXT NOT NULL, \
         count INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, stored INTEGER NOT NULL, \
         tag INTEGER NOT NULL, codec INTEGER NOT NULL, size INTEGER NOT NULL, packed INTEGER NOT NULL, \
         guard INTEGER NOT NULL, seal BLOB NOT NULL, body BLOB NOT NULL) STRICT",
    ),
    (
        "id",
        1,
        "CREATE TABLE id (source INTEGER NOT NULL, at INTEGER NOT NULL, hash BLOB NOT NULL, \
         batch INTEGER NOT NULL, PRIMARY KEY (source, at, hash)) STRICT, WITHOUT ROWID",
    ),
    (
        "spent",
        2,
        "CREATE TABLE spent (reader INTEGER PRIMARY KEY, day INTEGER NOT NULL, bytes INTEGER NOT NULL, \
         seal BLOB NOT NULL) STRICT",
    ),
    ("late", SINCE_LATE, "CREATE TABLE late (batch INTEGER PRIMARY KEY, seal BLOB NOT NULL) STRICT"),
    (
        "memo",
        3,
        "CREATE TABLE memo (source INTEGER NOT NULL, key BLOB NOT NULL, at INTEGER NOT NULL, \
         value BLOB NOT NULL, batch INTEGER NOT NULL, seal BLOB NOT NULL, PRIMARY KEY (source, key)) STRICT, WITHOUT ROWID",
    ),
];

/// Refuses a SQLite that can lose data.
pub(super) fn refuse_old_sqlite() -> Result<(), OpenError> {
    if rusqlite::version_number() < OLDEST_SQLITE {
        return Err(OpenError::OldSqlite { found: rusqlite::version() });
    }
    Ok(())
}

/// How the writing connection is set up.
pub(super) struct Tuning {
    /// Pages in the WAL before it is carried over into the file.
    pub(super) checkpoint_pages: u64,
    /// Bytes to which the WAL is cut back.
    pub(super) wal_limit: u64,
}

/// Opens the one connection that writes; makes the tables when the file is new.
pub(super) fn open_writer(path: &Path, tuning: &Tuning) -> Result<Connection, OpenError> {
    let failed = |doing| move |source| OpenError::of(doing, path, source);
    let db = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
    .map_err(failed("open"))?;
    common(&db).map_err(failed("open"))?;
    // The first read also undoes what a kill left half done.
    if pragma::<u64>(&db, "page_count").map_err(failed("open"))? > 0 {
        refuse_foreign_frame(path)?;
    } else {
        // It has to come before the first table.
        db.execute_batch("PRAGMA auto_vacuum = INCREMENTAL").map_err(failed("create"))?;
    }
    let version: i32 = pragma(&db, "user_version").map_err(failed("open"))?;
    let application: i32 = pragma(&db, "application_id").map_err(failed("open"))?;
    let tables: u64 =
        db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(failed("open"))?;
    let blank =
        version == 0 && application == 0 && tables == 0 && blank_sized(&db).map_err(failed("open"))?;
    if !blank {
        refuse_other_versions(path, application, version)?;
    }
    // Checked before the first write, so that what is refused is left as it was.
    if !blank {
        refuse_changed_tables(&db, path)?;
    }
    let mode: String =
        db.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).map_err(failed("open"))?;
    if mode != "wal" {
        return Err(OpenError::NoWal { path: path.to_owned() });
    }
    let settings = format!(
        "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = {}; PRAGMA journal_size_limit = {}; PRAGMA cache_size = -2048",
        tuning.checkpoint_pages, tuning.wal_limit,
    );
    db.execute_batch(&settings).map_err(failed("open"))?;
    if blank {
        create(&db).map_err(failed("create"))?;
    }
    Ok(db)
}

/// Opens a store to look at it, and refuses what is none or of another format.
///
/// `closed` says that no process has it open: it is then read as a file that nobody changes, for
/// else SQLite would make a log of changes beside it.
pub(super) fn open_archive(path: &Path, closed: bool) -> Result<Connection, OpenError> {
    let failed = |doing| move |source| OpenError::of(doing, path, source);
    let db = if closed { open_unchanging(path) } else { open_reader(path) }.map_err(failed("open"))?;
    if pragma::<u64>(&db, "page_count").map_err(failed("open"))? == 0 {
        return Err(OpenError::damaged(path, "it is empty: it was never begun"));
    }
    refuse_foreign_frame(path)?;
    let version: i32 = pragma(&db, "user_version").map_err(failed("open"))?;
    let application: i32 = pragma(&db, "application_id").map_err(failed("open"))?;
    refuse_other_versions(path, application, version)?;
    refuse_changed_tables(&db, path)?;
    Ok(db)
}

fn open_unchanging(path: &Path) -> rusqlite::Result<Connection> {
    let mut address = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                address.push(char::from(*byte));
            }
            // Writing to a string cannot fail.
            other => write!(address, "%{other:02X}").unwrap_or_default(),
        }
    }
    address.push_str("?immutable=1");
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let db = Connection::open_with_flags(address, flags)?;
    reading(&db)?;
    Ok(db)
}

/// Opens a connection that only reads.
pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let db = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    reading(&db)?;
    Ok(db)
}

fn reading(db: &Connection) -> rusqlite::Result<()> {
    common(db)?;
    db.execute_batch("PRAGMA query_only = ON; PRAGMA cache_size = -256")
}

fn common(db: &Connection) -> rusqlite::Result<()> {
    db.busy_timeout(BUSY)?;
    db.set_prepared_statement_cache_capacity(32);
    db.set_limit(Limit::SQLITE_LIMIT_LENGTH, LARGEST_VALUE)?;
    db.execute_batch("PRAGMA temp_store = MEMORY; PRAGMA cell_size_check = ON; PRAGMA trusted_schema = OFF; PRAGMA mmap_size = 0")
}

fn create(db: &Connection) -> rusqlite::Result<()> {
    let creation = Transaction::new_unchecked(db, TransactionBehavior::Immediate)?;
    add_tables(&creation, 0)?;
    creation.execute_batch(&format!("PRAGMA application_id = {APPLICATION}"))?;
    super::ledger::Extent::EMPTY.save(&creation)?;
    creation.commit()
}

/// Brings a store of an older version up to this one: wholly, or not at all.
///
/// To be called when everything in it was found sound.
pub(super) fn upgrade(db: &Connection) -> rusqlite::Result<()> {
    let version: i32 = pragma(db, "user_version")?;
    if version < VERSION {
        let upgrade = Transaction::new_unchecked(db, TransactionBehavior::Immediate)?;
        add_tables(&upgrade, version)?;
        upgrade.commit()?;
    }
    Ok(())
}

/// Makes the tables that came after a version.
fn add_tables(db: &Connection, version: i32) -> rusqlite::Result<()> {
    for (_, _, sql) in TABLES.iter().filter(|(_, since, _)| *since > version) {
        db.execute_batch(sql)?;
    }
    db.execute_batch(&format!("PRAGMA user_version = {VERSION}"))
}

/// Compares the bytes of the header that never change.
///
/// SQLite believes them: one flipped bit there and every page is read differently.
fn refuse_foreign_frame(path: &Path) -> Result<(), OpenError> {
    let mut header = Vec::with_capacity(100);
    File::open(path)
        .and_then(|file| file.take(100).read_to_end(&mut header))
        .map_err(|source| OpenError::Folder { doing: "read", path: path.to_owned(), source })?;
    // Page size, WAL twice (1 where a kill came before the switch to it), no reserved bytes, fractions.
    let frame = [
        b"SQLite format 3\0\x10\x00\x02\x02\x00\x40\x20\x20".as_slice(),
        b"SQLite format 3\0\x10\x00\x01\x01\x00\x40\x20\x20".as_slice(),
    ];
    if frame.iter().any(|frame| header.starts_with(frame)) {
        Ok(())
    } else {
        Err(OpenError::damaged(path, "the file's first bytes are not those of a store"))
    }
}

/// A file without tables is new only as long as there is nothing else in it.
fn blank_sized(db: &Connection) -> rusqlite::Result<bool> {
    pragma::<u64>(db, "page_count").map(|pages| pages <= 2)
}

fn refuse_other_versions(path: &Path, application: i32, version: i32) -> Result<(), OpenError> {
    if application != APPLICATION {
        return Err(OpenError::Foreign { path: path.to_owned() });
    }
    if version > VERSION {
        return Err(OpenError::TooNew { path: path.to_owned(), found: version, known: VERSION });
    }
    if version < 1 {
        return Err(OpenError::damaged(path, "its version is not one that was ever written"));
    }
    Ok(())
}

fn refuse_changed_tables(db: &Connection, path: &Path) -> Result<(), OpenError> {
    let read = || -> rusqlite::Result<bool> {
        let mut statement =
            db.prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY rootpage")?;
        let mut found = Vec::new();
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            found.push((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
        }
        let version: i32 = pragma(db, "user_version")?;
        let expected: Vec<(String, String, String, String)> = TABLES
            .iter()
            .filter(|(_, since, _)| *since <= version)
            .map(|(name, _, sql)| {
                ("table".to_owned(), (*name).to_owned(), (*name).to_owned(), (*sql).to_owned())
            })
            .collect();
        Ok(found == expected
            && pragma::<u32>(db, "auto_vacuum")? == 2
            && pragma::<u64>(db, "page_size")? == PAGE)
    };
    match read() {
        Ok(true) => Ok(()),
        Ok(false) => Err(OpenError::damaged(path, "its tables are not those that were written")),
        Err(error) if check::is_damage(&error) => {
            Err(OpenError::damaged(path, "its list of tables is unreadable"))
        }
        Err(source) => Err(OpenError::of("read the tables of", path, source)),
    }
}

/// The format of the store, at this moment.
pub(super) fn version(db: &Connection) -> rusqlite::Result<i32> {
    db.prepare_cached("PRAGMA user_version")?.query_row([], |row| row.get(0))
}

/// The value of a pragma that answers with one.
pub(super) fn pragma<T: rusqlite::types::FromSql>(db: &Connection, name: &str) -> rusqlite::Result<T> {
    db.pragma_query_value(None, name, |row| row.get(0))
}
