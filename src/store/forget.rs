//! Forgetting ids: when their entries can no longer be read again, or when nothing else is left to
//! make room with.
//!
//! **Invariant:** an id that is forgotten too early repeats an entry; it never loses one.

use rusqlite::OptionalExtension;

use super::ledger::Source;
use super::writer::{Durability, Writer};
use crate::event::UnixTime;

/// Ids forgotten in one transaction.
const IDS: u64 = 4_000;

/// Seconds between two looks for ids that can be forgotten.
const LOOK: i64 = 60;

/// A store near its limit keeps ids for this long at least, in seconds.
const KEEP_WHEN_CROWDED: i64 = 86_400;

impl Writer {
    /// Forgets ids that nobody can ask for any more (see `IdSpan`); false when there are none.
    pub(super) fn forget_ids(&mut self) -> rusqlite::Result<bool> {
        let now = self.clock.now();
        if self.ids_looked.is_some_and(|looked| looked.plus(LOOK) > now && looked <= now) {
            return Ok(false);
        }
        let kept = self.limits.ids;
        let keep = if self.is_crowded()? { kept.min(KEEP_WHEN_CROWDED) } else { kept };
        let due = self.ledger.sources.iter().find_map(|(name, source)| {
            source.ids.forgettable(now, keep).map(|before| (name.clone(), source.clone(), before))
        });
        let Some((name, mut source, before)) = due else {
            self.ids_looked = Some(now);
            return Ok(false);
        };
        let transaction = self.begin(Durability::Eventual)?;
        let boundary = boundary(&transaction, &source, before)?;
        forget(&transaction, &source, boundary.unwrap_or(before))?;
        if boundary.is_none() {
            source.ids.set_mark(now);
            source.save(&transaction, &name)?;
        }
        transaction.commit()?;
        self.ledger.sources.insert(name, source);
        self.tell_of_room();
        Ok(true)
    }

    /// Forgets some ids of the source whose reach back farthest, when the store holds nothing else:
    /// it would have to wait for nobody, for ever. False when there are none, or batches still.
    pub(super) fn forget_oldest_ids(&mut self) -> rusqlite::Result<bool> {
        let extent = self.ledger.extent;
        if extent.first <= extent.last {
            return Ok(false);
        }
        let mut farthest: Option<(i64, &Source)> = None;
        for source in self.ledger.sources.values() {
            let oldest: Option<i64> = self
                .db
                .prepare_cached("SELECT min(at) FROM id WHERE source = ?1")?
                .query_row([source.number], |row| row.get(0))?;
            let Some(oldest) = oldest else { continue };
            let reach = source.ids.newest.seconds().saturating_sub(oldest);
            if farthest.is_none_or(|(other, _)| reach > other) {
                farthest = Some((reach, source));
            }
        }
        let Some((_, source)) = farthest else { return Ok(false) };
        let all = UnixTime::from_seconds(i64::MAX);
        let transaction = self.begin(Durability::Eventual)?;
        let boundary = boundary(&transaction, source, all)?;
        let forgotten = forget(&transaction, source, boundary.unwrap_or(all))?;
        transaction.commit()?;
        self.tell_of_room();
        Ok(forgotten > 0)
    }
}

/// The event time before which a slice of the ids lies, of those before `before`; `None` when they
/// are no more than that.
fn boundary(
    db: &rusqlite::Connection,
    source: &Source,
    before: UnixTime,
) -> rusqlite::Result<Option<UnixTime>> {
    // Ids of one second go together: a slice makes progress however many they are.
    db.prepare_cached("SELECT at FROM id WHERE source = ?1 AND at < ?2 ORDER BY at LIMIT 1 OFFSET ?3")?
        .query_row((source.number, before.seconds(), IDS), |row| row.get(0))
        .optional()
        .map(|at| at.map(|at: i64| UnixTime::from_seconds(at).plus(1)))
}

fn forget(db: &rusqlite::Connection, source: &Source, before: UnixTime) -> rusqlite::Result<usize> {
    db.prepare_cached("DELETE FROM id WHERE source = ?1 AND at < ?2")?
        .execute((source.number, before.seconds()))
}
