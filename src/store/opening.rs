//! Opening a store: the folder held, the database checked, damaged positions taken out.
//!
//! **Invariant:** nothing is changed in a database that is refused.

use std::fs;
use std::path::Path;
use std::sync::Mutex;

use rusqlite::Connection;
use tokio::sync::watch;

use super::batch::Packer;
use super::error::{OpenError, Repair};
use super::folder::Folder;
use super::ledger::{Ledger, Unreliable};
use super::schema::{self, PAGE, Tuning};
use super::writer::{Clock, Writer};
use super::{Settings, Shared, Usage, spent};

/// What the settings mean in pages, bytes and seconds.
#[derive(Debug)]
pub(super) struct Limits {
    /// Bytes that may be in use in the database.
    pub(super) bytes: u64,
    /// Bytes the WAL is held to; as many are set aside as a reserve.
    pub(super) wal: u64,
    /// Below this, nothing is added to the disk.
    pub(super) disk_floor: u64,
    /// Seconds that delivered batches are kept.
    pub(super) retention: i64,
    /// Seconds that ids are kept at least.
    pub(super) ids: i64,
}

const DAY: i64 = 86_400;

impl Limits {
    pub(super) fn new(settings: &Settings) -> Self {
        let wal = (settings.max_size / 64).clamp(256 << 10, 64 << 20);
        let retention = i64::try_from(settings.retention.as_secs()).unwrap_or(i64::MAX);
        Self {
            bytes: settings.max_size.saturating_sub(2 * wal),
            wal,
            disk_floor: 2 * wal,
            retention,
            ids: retention.max(3 * DAY),
        }
    }
}

/// Takes hold of the folder, opens and checks the database.
pub(super) fn open(settings: &Settings, clock: Clock) -> Result<(Writer, Shared, Vec<Repair>), OpenError> {
    schema::refuse_old_sqlite()?;
    let limits = Limits::new(settings);
    let (folder, repair) = Folder::hold(&settings.dir, limits.wal)?;
    let mut repairs = Vec::from_iter(repair);
    if folder.free_bytes() < limits.disk_floor / 2 {
        // Opening writes a little too.
        folder.give_reserve_back();
    }
    let path = folder.database();
    let closed_well = folder.wal_bytes() == 0;
    let tuning = Tuning { checkpoint_pages: (limits.wal / PAGE / 2).min(4000), wal_limit: limits.wal };
    let db = schema::open_writer(&path, &tuning)?;
    let (mut ledger, damaged) = load(&db, &path)?;
    if closed_well {
        check_length(&db, &path)?;
    }
    schema::upgrade(&db).map_err(|source| OpenError::of("upgrade", &path, source))?;
    let unspent = spent::load(&db, &mut ledger.readers).map_err(|error| refusal(&path, error))?;
    repairs.extend(forget_positions(&db, &path, &damaged)?);
    repairs.extend(forget_spent(&db, &path, &unspent)?);
    folder.set_reserve_aside(limits.disk_floor);

    let packer = Packer::new().map_err(|source| OpenError::Start { source })?;
    let (extent, extents) = watch::channel(ledger.extent);
    let nothing = Usage {
        bytes: 0,
        free_bytes: 0,
        limit: limits.bytes,
        wal_bytes: 0,
        batches: 0,
        entries: 0,
        oldest: None,
        full: None,
    };
    let (usage, usages) = watch::channel(nothing);
    let (room, rooms) = watch::channel(0);
    let shared =
        Shared { path: path.clone(), extent: extents, usage: usages, room: rooms, open: Mutex::default() };
    let writer = Writer {
        db,
        folder,
        path,
        clock,
        limits,
        ledger,
        packer,
        readers_named: false,
        full: None,
        uncut_log: 0,
        ids_looked: None,
        stopped: None,
        extent,
        usage,
        room,
    };
    writer.publish();
    Ok((writer, shared, repairs))
}

fn load(db: &Connection, path: &Path) -> Result<(Ledger, Vec<u64>), OpenError> {
    Ledger::load(db).map_err(|error| refusal(path, error))
}

fn refusal(path: &Path, error: Unreliable) -> OpenError {
    match error {
        Unreliable::Damaged(what) => OpenError::damaged(path, what),
        Unreliable::Unread(source) => OpenError::of("read", path, source),
    }
}

/// Takes damaged positions out: their readers are new ones when they come.
fn forget_positions(db: &Connection, path: &Path, damaged: &[u64]) -> Result<Option<Repair>, OpenError> {
    for number in damaged {
        db.execute("DELETE FROM reader WHERE number = ?1", [number])
            .map_err(|source| OpenError::of("repair", path, source))?;
    }
    Ok((!damaged.is_empty()).then_some(Repair::Positions { readers: damaged.len() }))
}

/// Takes out what cannot be true of spent budgets: they begin anew.
fn forget_spent(db: &Connection, path: &Path, damaged: &[u64]) -> Result<Option<Repair>, OpenError> {
    for number in damaged {
        spent::forget(db, *number).map_err(|source| OpenError::of("repair", path, source))?;
    }
    Ok((!damaged.is_empty()).then_some(Repair::Budgets { readers: damaged.len() }))
}

/// A header that knows fewer pages than there are would have SQLite write over the rest.
///
/// Only for a store that was closed: where there is a log of changes, it is the log that says how
/// many pages there are, and it is checked.
fn check_length(db: &Connection, path: &Path) -> Result<(), OpenError> {
    let pages: u64 =
        schema::pragma(db, "page_count").map_err(|source| OpenError::of("read", path, source))?;
    let length = fs::metadata(path)
        .map_err(|source| OpenError::Folder { doing: "read", path: path.to_owned(), source })?
        .len();
    // One page: the tables of a new store are still in the log.
    if length != pages.saturating_mul(PAGE) && length != PAGE {
        return Err(OpenError::damaged(path, "it is not as long as it says"));
    }
    Ok(())
}
