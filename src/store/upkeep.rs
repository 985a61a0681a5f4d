//! What keeps a store within its limits: retention, size, disk space, and giving space back.
//!
//! Done in slices by the writing thread, whenever nothing is asked of it; in between it serves. A
//! slice is small enough that an append behind it waits some milliseconds.
//!
//! **Invariant:** only batches that every reader has delivered are deleted, the oldest first, and
//! none before the readers that count were named.
//! **Invariant:** deleting frees pages for the next batches; the file itself shrinks only when much
//! of it is free, or the disk is nearly full, for moving pages costs twice their size in writing.

use std::time::Duration;

use super::batch::Header;
use super::error::StoreError;
use super::writer::{Durability, Writer, is_disk_full};
use super::{Full, late, schema};

/// Batches deleted in one transaction.
const BATCHES: usize = 64;

/// Pages given back in one transaction.
const PAGES: u64 = 128;

/// Fewer free pages than this are no reason to shrink the file.
const SLACK_PAGES: u64 = 1_024;

/// Bytes of the log of changes that are no reason to cut it, or to try again.
const LOG_SLACK: u64 = 256 << 10;

/// Which batches may be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    /// Delivered, and older than the retention.
    Expired,
    /// Delivered.
    Delivered,
}

impl Writer {
    /// Does a slice of what is due; false when nothing is.
    pub(super) fn keep_house(&mut self) -> bool {
        if self.refuse_if_stopped().is_err() {
            return false;
        }
        match self.slice() {
            Ok(worked) => worked,
            Err(error) if is_disk_full(&error) => self.folder.give_reserve_back(),
            Err(error) => {
                // Whoever asks next is told.
                drop(self.failed("keep house", error));
                false
            }
        }
    }

    fn slice(&mut self) -> rusqlite::Result<bool> {
        // Room is kept ready, so that at the limit an append seldom has to wait for its own.
        let which = if self.is_crowded()? { Which::Delivered } else { Which::Expired };
        let worked = self.delete(which)? || self.forget_ids()? || self.shrink()? || self.cut_log()?;
        if !worked {
            self.folder.set_reserve_aside(self.limits.disk_floor);
        }
        Ok(worked)
    }

    /// Makes room for an append of so many bytes; says what is full when there is none to be made.
    pub(super) fn make_room(&mut self, bytes: u64) -> Result<Option<Full>, StoreError> {
        loop {
            let made = self.try_to_make_room(bytes);
            match made {
                Ok(done) => return Ok(done),
                Err(error) if is_disk_full(&error) => {
                    if !self.folder.give_reserve_back() {
                        return Ok(Some(Full::Disk));
                    }
                }
                Err(error) => return Err(self.failed("delete what was delivered", error)),
            }
        }
    }

    fn try_to_make_room(&mut self, bytes: u64) -> rusqlite::Result<Option<Full>> {
        while self.bytes_in_use()?.saturating_add(bytes) > self.limits.bytes {
            let worked = self.delete(Which::Delivered)?
                || self.forget_ids()?
                || self.forget_oldest_ids()?
                || self.forget_oldest_memos()?;
            if !worked {
                // What it takes was guessed: as long as there is any room, trying will tell.
                let full = self.bytes_in_use()? >= self.limits.bytes;
                return Ok(full.then_some(Full::Limit));
            }
        }
        while self.disk_is_short() {
            let worked = self.shrink()? || self.cut_log()? || self.delete(Which::Delivered)?;
            if !worked {
                return Ok(Some(Full::Disk));
            }
        }
        Ok(None)
    }

    /// Whether little is left of what the store may take.
    pub(super) fn is_crowded(&self) -> rusqlite::Result<bool> {
        Ok(self.bytes_in_use()? > self.limits.bytes.saturating_sub(self.limits.bytes / 32))
    }

    /// Whether the disk has less left than is to stay free; a reserve that was given back is wanted
    /// again before anything else.
    pub(super) fn disk_is_short(&self) -> bool {
        let wanted = self.limits.disk_floor.saturating_add(self.folder.reserve_missing());
        self.folder.free_bytes() < wanted
    }

    /// Deletes the oldest batches of that kind; false when there is none.
    fn delete(&mut self, which: Which) -> rusqlite::Result<bool> {
        if !self.readers_named {
            return Ok(false);
        }
        let keep_until = self.clock.now().plus(self.limits.retention.saturating_neg());
        let delivered = self.ledger.delivered_before();
        let mut extent = self.ledger.extent;
        let deletable = |header: Option<&Header>| {
            which == Which::Delivered || header.is_none_or(|header| header.stored <= keep_until)
        };
        // Mostly there is nothing to do, and that should cost no transaction.
        if extent.first >= delivered || !deletable(Header::find(&self.db, extent.first)?.as_ref()) {
            return Ok(false);
        }
        let transaction = self.begin(Durability::Eventual)?;
        for _ in 0..BATCHES {
            if extent.first >= delivered {
                break;
            }
            let header = Header::find(&transaction, extent.first)?;
            if !deletable(header.as_ref()) {
                break;
            }
            if let Some(header) = header {
                // What is damaged stays where it is: freeing its pages could free another's.
                if header.body_ends_well(&transaction)? {
                    transaction
                        .prepare_cached("DELETE FROM batch WHERE number = ?1")?
                        .execute([header.number])?;
                }
                extent.gone = header.end();
            }
            extent.first = extent.first.saturating_add(1);
        }
        if extent.first > extent.last {
            extent.gone = extent.entries;
        }
        late::forget(&transaction, extent.first)?;
        extent.save(&transaction)?;
        transaction.commit()?;
        self.ledger.extent = extent;
        self.tell_of_room();
        Ok(true)
    }

    pub(super) fn tell_of_room(&self) {
        if self.full.is_some() {
            self.announce_room();
        }
    }

    /// Gives free pages back to the disk; false when there are too few to be worth it.
    fn shrink(&mut self) -> rusqlite::Result<bool> {
        let free = self.pragma("PRAGMA freelist_count")?;
        let pages = self.pragma("PRAGMA page_count")?;
        let pressed = free > 0 && self.disk_is_short();
        if !pressed && free <= (pages / 4).max(SLACK_PAGES) {
            return Ok(false);
        }
        let transaction = self.begin(Durability::Eventual)?;
        {
            let mut statement = transaction.prepare(&format!("PRAGMA incremental_vacuum({PAGES})"))?;
            let mut rows = statement.query([])?;
            while rows.next()?.is_some() {}
        }
        transaction.commit()?;
        Ok(self.pragma("PRAGMA freelist_count")? < free)
    }

    /// Carries the log of changes over and cuts it, when it has grown large; false when it is small
    /// or somebody has been reading for long.
    fn cut_log(&mut self) -> rusqlite::Result<bool> {
        let bytes = self.folder.wal_bytes();
        let pressed = bytes > 0 && self.disk_is_short();
        let large = bytes > self.limits.wal.saturating_add(LOG_SLACK);
        // Where it failed before, it is tried again only after more was written.
        if !(pressed || large) || (self.uncut_log > 0 && bytes <= self.uncut_log.saturating_add(LOG_SLACK)) {
            return Ok(false);
        }
        // The store's own readers are done in no time; for others it does not wait.
        self.db.busy_timeout(Duration::from_millis(50))?;
        let cut = self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        self.db.busy_timeout(schema::BUSY)?;
        cut?;
        let left = self.folder.wal_bytes();
        self.uncut_log = if left < bytes { 0 } else { bytes };
        Ok(left < bytes)
    }
}
