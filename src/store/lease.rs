//! Entries that are out for delivery, and the places they came from.
//!
//! A lease can be released of its entries: then a hundred bytes or so stand for them until it is
//! read again or settled, and thousands may be out at once.
//!
//! **Invariant:** leases that are out follow one another in the store, in the order of their numbers.
//! **Invariant:** what a lease is over never changes, whether its entries are at hand or not.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use super::SourceId;
use super::ledger::Position;
use crate::event::Entry;

/// Entries handed out, in order. Give it to [`Reader::settle`](super::Reader::settle); dropped, it
/// has delivered nothing.
#[must_use = "entries of a dropped lease are handed out again"]
#[derive(Debug)]
pub struct Lease {
    /// None when released.
    entries: Vec<Entry>,
    pieces: Vec<Piece>,
    tie: Tie,
}

/// The part of a lease that lies in one batch.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub(super) begin: Position,
    pub(super) count: usize,
    pub(super) source: SourceId,
}

#[expect(clippy::len_without_is_empty, reason = "a lease is over one entry at least")]
impl Lease {
    /// The entries in the order in which they were stored: at least one, or none when released.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The same, as runs of entries that come from one source.
    pub fn by_source(&self) -> impl Iterator<Item = (&SourceId, &[Entry])> {
        let pieces = if self.is_released() { &[] } else { self.pieces.as_slice() };
        let mut rest = self.entries.as_slice();
        pieces.iter().map(move |piece| {
            let (run, behind) = rest.split_at_checked(piece.count).unwrap_or((rest, &[]));
            rest = behind;
            (&piece.source, run)
        })
    }

    /// How many entries it is over, released or not: at least one.
    pub fn len(&self) -> usize {
        self.pieces.iter().map(|piece| piece.count).sum()
    }

    /// Frees the entries and keeps their place; [`Reader::reload`](super::Reader::reload) reads
    /// them again.
    pub fn release(&mut self) {
        self.entries = Vec::new();
    }

    /// Whether the entries were released, and not read again since.
    pub fn is_released(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    pub(super) fn refill(&mut self, entries: Vec<Entry>) {
        self.entries = entries;
    }

    /// The position when so many of its entries were delivered, but not all.
    fn after(&self, delivered: usize) -> Option<Position> {
        let mut rest = delivered;
        for piece in &self.pieces {
            if rest < piece.count {
                return Some(piece.begin.forward(rest));
            }
            rest = rest.saturating_sub(piece.count);
        }
        None
    }
}

impl Position {
    pub(super) fn forward(self, entries: usize) -> Self {
        Self {
            batch: self.batch,
            entry: self.entry.saturating_add(u32::try_from(entries).unwrap_or(u32::MAX)),
            serial: self.serial.saturating_add(entries as u64),
        }
    }
}

/// The leases that are out.
#[derive(Debug, Default)]
pub(super) struct Leases {
    out: VecDeque<Open>,
    next: u64,
    dropped: Arc<Dropped>,
}

/// A lease that is out.
#[derive(Debug)]
struct Open {
    number: u64,
    begin: Position,
    /// Behind its last entry; behind the last that was delivered, when it was settled.
    end: Position,
    settled: bool,
}

impl Leases {
    /// Hands entries out; `end` is where the next lease begins.
    pub(super) fn lend(&mut self, entries: Vec<Entry>, pieces: Vec<Piece>, end: Position) -> Lease {
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        let begin = pieces.first().map_or(end, |piece| piece.begin);
        self.out.push_back(Open { number, begin, end, settled: false });
        Lease { entries, pieces, tie: Tie { number, dropped: Some(Arc::clone(&self.dropped)) } }
    }

    /// Whether the lease still counts: it does not when one before it was dropped or fell short.
    pub(super) fn counts(&self, lease: &Lease) -> bool {
        self.find(lease.tie.number).is_some()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// Takes a lease back; gives the place from where entries are to be handed out again, if any.
    pub(super) fn settle(&mut self, mut lease: Lease, delivered: usize) -> Option<Position> {
        lease.tie.dropped = None;
        let place = self.find(lease.tie.number)?;
        let short = lease.after(delivered);
        if let Some(open) = self.out.get_mut(place) {
            open.end = short.unwrap_or(open.end);
            open.settled = true;
        }
        if short.is_some() {
            self.out.truncate(place.saturating_add(1));
        }
        short
    }

    /// Forgets the leases that were dropped since, and those behind them; gives the place from
    /// where entries are to be handed out again, if any.
    pub(super) fn forget_dropped(&mut self) -> Option<Position> {
        let dropped = self.dropped.take();
        let place = dropped.into_iter().filter_map(|number| self.find(number)).min()?;
        let begin = self.out.get(place).map(|open| open.begin);
        self.out.truncate(place);
        begin
    }

    /// Forgets the leases that were settled without a gap before them; gives where the last ends.
    pub(super) fn forget_settled(&mut self) -> Option<Position> {
        let mut end = None;
        while let Some(open) = self.out.front().filter(|open| open.settled) {
            end = Some(open.end);
            self.out.pop_front();
        }
        end
    }

    /// Waits until a lease is dropped.
    pub(super) async fn dropped(&self) {
        self.dropped.told.notified().await;
    }

    /// Numbers rise, with gaps where leases were forgotten.
    fn find(&self, number: u64) -> Option<usize> {
        self.out.binary_search_by_key(&number, |open| open.number).ok()
    }
}

/// Tells the reader when a lease is gone without having been settled.
#[derive(Debug)]
struct Tie {
    number: u64,
    /// None when it was settled.
    dropped: Option<Arc<Dropped>>,
}

impl Drop for Tie {
    fn drop(&mut self) {
        if let Some(dropped) = &self.dropped {
            dropped.numbers.lock().unwrap_or_else(PoisonError::into_inner).push(self.number);
            dropped.told.notify_one();
        }
    }
}

/// The numbers of the leases that were dropped.
#[derive(Debug, Default)]
struct Dropped {
    numbers: Mutex<Vec<u64>>,
    told: Notify,
}

impl Dropped {
    fn take(&self) -> Vec<u64> {
        mem::take(&mut *self.numbers.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
