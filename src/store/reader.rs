//! Handing entries out, and noting what was delivered.
//!
//! Reading is done on threads that may block, over the reader's own connection, one short
//! transaction a batch; between two calls nothing is held but the position.
//!
//! **Invariant:** a call that is cancelled has handed out nothing and moved nothing.
//! **Invariant:** the position moves only past entries that were delivered, or that are lost and were
//! reported so, or that belong to sources the reader does not read.

use std::collections::{BTreeSet, VecDeque};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, watch};
use tokio::task::spawn_blocking;

use super::error::StoreError;
use super::eye::{Eye, Loaded, Look};
use super::ledger::{Extent, Position};
use super::writer::Command;
use super::{ReaderName, Shared, SourceId, Store};
use crate::event::Entry;

/// Reads the store for one destination. See the module's head for the contract.
#[derive(Debug)]
pub struct Reader {
    store: Store,
    name: ReaderName,
    extent: watch::Receiver<Extent>,
    eye: Arc<Mutex<Eye>>,
    /// Where the next lease begins.
    cursor: Position,
    /// How far the store knows of deliveries.
    settled: Position,
    /// The batch at the cursor, read but not wholly handed out.
    ahead: Option<Loaded>,
    leases: VecDeque<Open>,
    next_lease: u64,
    /// Told when a lease is dropped.
    returned: Arc<Notify>,
    _claim: Claim,
}

/// Entries handed out, in order. Give it to [`Reader::settle`]; dropped, it has delivered nothing.
#[must_use = "entries of a dropped lease are handed out again"]
#[derive(Debug)]
pub struct Lease {
    number: u64,
    entries: Vec<Entry>,
    /// How many of them in a row come from which source.
    runs: Vec<(SourceId, usize)>,
    _tie: Tie,
}

impl Lease {
    /// The entries, at least one, in the order in which they were stored.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The same, as runs of entries that come from one source.
    pub fn by_source(&self) -> impl Iterator<Item = (&SourceId, &[Entry])> {
        let mut rest = self.entries.as_slice();
        self.runs.iter().map(move |(source, count)| {
            let (run, behind) = rest.split_at_checked(*count).unwrap_or((rest, &[]));
            rest = behind;
            (source, run)
        })
    }
}

/// A lease that is out.
#[derive(Debug)]
struct Open {
    number: u64,
    dropped: Arc<AtomicBool>,
    /// Its entries by batch: where they begin, and how many.
    pieces: Vec<(Position, usize)>,
    /// Behind its last entry.
    end: Position,
    delivered: bool,
}

impl Open {
    fn begin(&self) -> Position {
        self.pieces.first().map_or(self.end, |(begin, _)| *begin)
    }

    /// The position when so many of its entries were delivered.
    fn after(&self, mut delivered: usize) -> Position {
        for (begin, count) in &self.pieces {
            if delivered < *count {
                return begin.forward(delivered);
            }
            delivered = delivered.saturating_sub(*count);
        }
        self.end
    }
}

impl Position {
    fn forward(self, entries: usize) -> Self {
        Self {
            batch: self.batch,
            entry: self.entry.saturating_add(u32::try_from(entries).unwrap_or(u32::MAX)),
            serial: self.serial.saturating_add(entries as u64),
        }
    }
}

impl Reader {
    pub(super) async fn open(
        store: &Store,
        name: ReaderName,
        sources: Option<Vec<SourceId>>,
    ) -> Result<Self, StoreError> {
        let claim = Claim::take(&store.shared, &name)?;
        let register = name.clone();
        let position = store.ask(|reply| Command::Register { name: register, reply }).await??;
        let path = store.shared.path.clone();
        let sources = sources.map(BTreeSet::from_iter);
        let eye = blocking(move || Eye::open(path, sources)).await?;
        Ok(Self {
            store: store.clone(),
            name,
            extent: store.shared.extent.clone(),
            eye: Arc::new(Mutex::new(eye)),
            cursor: position,
            settled: position,
            ahead: None,
            leases: VecDeque::new(),
            next_lease: 0,
            returned: Arc::new(Notify::new()),
            _claim: claim,
        })
    }

    /// The reader's name.
    pub fn name(&self) -> &ReaderName {
        &self.name
    }

    /// The next entries, at most so many; waits until there are some.
    ///
    /// # Errors
    /// [`StoreError::Lost`] once for each damaged stretch; the next call goes on behind it.
    pub async fn next(&mut self, at_most: NonZeroUsize) -> Result<Lease, StoreError> {
        let returned = Arc::clone(&self.returned);
        loop {
            // Asked for before looking, so that nothing can come in between.
            let mut extent = self.extent.clone();
            extent.borrow_and_update();
            if let Some(lease) = self.try_next(at_most).await? {
                return Ok(lease);
            }
            tokio::select! {
                grown = extent.changed() => grown.map_err(|_| StoreError::Closed)?,
                () = returned.notified() => {}
            }
        }
    }

    /// The next entries, at most so many; `None` when there are none now.
    ///
    /// # Errors
    /// As for [`Reader::next`].
    pub async fn try_next(&mut self, at_most: NonZeroUsize) -> Result<Option<Lease>, StoreError> {
        self.take_back_dropped();
        if self.ahead.is_none() {
            let (from, extent) = (self.cursor, *self.extent.borrow());
            let eye = Arc::clone(&self.eye);
            let look = blocking(move || {
                let mut eye = eye.lock().unwrap_or_else(PoisonError::into_inner);
                eye.look(from, at_most.get(), &extent)
            })
            .await?;
            match look {
                Look::Found(batches) => return Ok(self.lease(batches, at_most.get())),
                // A reader that was dismissed is not kept what it has not read.
                Look::Lost(lost, _) if *lost.batches.start() < self.extent.borrow().first => {
                    return Err(StoreError::ReaderDismissed(self.name.clone()));
                }
                Look::Lost(lost, behind) => {
                    self.cursor = behind;
                    return Err(StoreError::Lost(lost));
                }
                Look::Nothing(end) => {
                    self.pass_over(end).await?;
                    return Ok(None);
                }
            }
        }
        let ahead = Vec::from_iter(self.ahead.take());
        Ok(self.lease(ahead, at_most.get()))
    }

    /// Gives a lease back, with how many of its entries were delivered, counted from the first.
    ///
    /// The position moves past them as far as there is no gap before them; entries that were not
    /// delivered, and all leased after them, are handed out again. A lease whose entries are to be
    /// handed out again already (for one before it fell short) moves nothing.
    ///
    /// # Errors
    /// When the position cannot be stored. The delivery counts all the same for as long as the
    /// process lives, and is stored with the next that can be.
    pub async fn settle(&mut self, lease: Lease, delivered: usize) -> Result<(), StoreError> {
        self.take_back_dropped();
        let Some(place) = self.leases.iter().position(|open| open.number == lease.number) else {
            return Ok(());
        };
        let whole = delivered >= lease.entries.len();
        if let Some(open) = self.leases.get_mut(place) {
            if !whole {
                open.end = open.after(delivered);
            }
            open.delivered = true;
            if !whole {
                let again = open.end;
                self.rewind(place.saturating_add(1), again);
            }
        }
        drop(lease);
        let mut position = self.settled;
        while let Some(open) = self.leases.front().filter(|open| open.delivered) {
            position = open.end;
            self.leases.pop_front();
        }
        self.move_to(position).await
    }

    /// Forgets the leases from that place on: what lies behind the position is handed out again.
    fn rewind(&mut self, place: usize, to: Position) {
        self.leases.truncate(place);
        self.cursor = to;
        self.ahead = None;
    }

    fn take_back_dropped(&mut self) {
        let dropped = |open: &Open| !open.delivered && open.dropped.load(Ordering::Acquire);
        if let Some(place) = self.leases.iter().position(dropped)
            && let Some(begin) = self.leases.get(place).map(Open::begin)
        {
            self.rewind(place, begin);
        }
    }

    /// Leases the first entries of what was read; the rest stays ahead.
    fn lease(&mut self, batches: Vec<Loaded>, at_most: usize) -> Option<Lease> {
        let mut entries =
            Vec::with_capacity(batches.iter().map(|batch| batch.entries.len()).sum::<usize>().min(at_most));
        let mut pieces = Vec::with_capacity(batches.len());
        let mut runs = Vec::with_capacity(batches.len());
        let mut end = self.cursor;
        for mut batch in batches {
            let count = batch.entries.len().min(at_most.saturating_sub(entries.len()));
            if count == 0 {
                break;
            }
            entries.extend(batch.entries.drain(..count));
            pieces.push((batch.begin, count));
            runs.push((batch.source.clone(), count));
            if batch.entries.is_empty() {
                end = batch.end;
            } else {
                batch.begin = batch.begin.forward(count);
                end = batch.begin;
                self.ahead = Some(batch);
                break;
            }
        }
        if entries.is_empty() {
            return None;
        }
        let tie = Tie { dropped: Arc::default(), returned: Arc::clone(&self.returned) };
        let number = self.next_lease;
        self.next_lease = self.next_lease.wrapping_add(1);
        self.cursor = end;
        let dropped = Arc::clone(&tie.dropped);
        self.leases.push_back(Open { number, dropped, pieces, end, delivered: false });
        Some(Lease { number, entries, runs, _tie: tie })
    }

    /// With nothing leased and nothing to lease, what was passed over need not be kept.
    async fn pass_over(&mut self, end: Position) -> Result<(), StoreError> {
        self.cursor = end;
        if !self.leases.is_empty() {
            return Ok(());
        }
        match self.move_to(end).await {
            // It is no delivery that goes unnoted.
            Err(StoreError::DiskFull { .. }) => Ok(()),
            moved => moved,
        }
    }

    async fn move_to(&mut self, to: Position) -> Result<(), StoreError> {
        if to <= self.settled {
            return Ok(());
        }
        let name = self.name.clone();
        self.store.ask(|reply| Command::Move { name, to, reply }).await??;
        self.settled = to;
        Ok(())
    }
}

/// Tells the reader when a lease is gone.
#[derive(Debug)]
struct Tie {
    dropped: Arc<AtomicBool>,
    returned: Arc<Notify>,
}

impl Drop for Tie {
    fn drop(&mut self) {
        self.dropped.store(true, Ordering::Release);
        self.returned.notify_one();
    }
}

/// The right to be the only reader of a name.
#[derive(Debug)]
struct Claim {
    shared: Arc<Shared>,
    name: ReaderName,
}

impl Claim {
    fn take(shared: &Arc<Shared>, name: &ReaderName) -> Result<Self, StoreError> {
        let fresh = shared.open.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone());
        if !fresh {
            return Err(StoreError::ReaderTaken(name.clone()));
        }
        Ok(Self { shared: Arc::clone(shared), name: name.clone() })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.shared.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

/// Runs what blocks where it may.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    // It fails only when the runtime is going down.
    spawn_blocking(work).await.unwrap_or(Err(StoreError::Closed))
}
