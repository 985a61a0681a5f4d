//! Handing entries out, and noting what was delivered.
//!
//! Reading is done on threads that may block, over the reader's own connection, one short
//! transaction a batch; between two calls nothing is held but the position.
//!
//! **Invariant:** a call that is cancelled has handed out nothing and moved nothing.
//! **Invariant:** the position moves only past entries that were delivered, or that are lost and were
//! reported so, or that belong to sources the reader does not read.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use tokio::task::spawn_blocking;

use super::error::{Lost, StoreError};
use super::eye::{Eye, Loaded, Look};
use super::lease::{Lease, Leases, Piece};
use super::ledger::{Extent, Position, ReaderRow};
use super::writer::Command;
use super::{ReaderName, Shared, SourceId, Spent, Store};

/// Reads the store for one destination. See the module's head for the contract.
#[derive(Debug)]
pub struct Reader {
    store: Store,
    name: ReaderName,
    extent: watch::Receiver<Extent>,
    eye: Arc<Mutex<Eye>>,
    /// Where the next lease begins.
    cursor: Position,
    /// How far everything was delivered.
    delivered: Position,
    /// How far the store knows of it.
    noted: Position,
    spent: Option<Spent>,
    /// What the store knows of it.
    spent_noted: Option<Spent>,
    /// The batch at the cursor, read but not wholly handed out.
    ahead: Option<Loaded>,
    leases: Leases,
    _claim: Claim,
}

impl Reader {
    pub(super) async fn open(
        store: &Store,
        name: ReaderName,
        sources: Option<Vec<SourceId>>,
    ) -> Result<Self, StoreError> {
        let claim = Claim::take(&store.shared, &name)?;
        let register = name.clone();
        let ReaderRow { position, spent, .. } =
            store.ask(|reply| Command::Register { name: register, reply }).await??;
        let path = store.shared.path.clone();
        let sources = sources.map(BTreeSet::from_iter);
        let eye = blocking(move || Eye::open(path, sources)).await?;
        Ok(Self {
            store: store.clone(),
            name,
            extent: store.shared.extent.clone(),
            eye: Arc::new(Mutex::new(eye)),
            cursor: position,
            delivered: position,
            noted: position,
            spent,
            spent_noted: spent,
            ahead: None,
            leases: Leases::default(),
            _claim: claim,
        })
    }

    /// The reader's name.
    pub fn name(&self) -> &ReaderName {
        &self.name
    }

    /// What was spent of a day's budget: as noted last, in this process or the one before.
    pub fn spent(&self) -> Option<Spent> {
        self.spent
    }

    /// Notes what was spent of a day's budget. It is stored with the next call of
    /// [`Reader::settle`] or [`Reader::settle_all`], in one transaction with the position if that
    /// moves, and is as durable as that.
    pub fn note_spent(&mut self, spent: Spent) {
        self.spent = Some(spent);
    }

    /// The next entries, at most so many; waits until there are some.
    ///
    /// # Errors
    /// [`StoreError::Lost`] once for each damaged stretch; the next call goes on behind it.
    pub async fn next(&mut self, at_most: NonZeroUsize) -> Result<Lease, StoreError> {
        loop {
            // Asked for before looking, so that nothing can come in between.
            let mut extent = self.extent.clone();
            extent.borrow_and_update();
            if let Some(lease) = self.try_next(at_most).await? {
                return Ok(lease);
            }
            tokio::select! {
                grown = extent.changed() => grown.map_err(|_| StoreError::Closed)?,
                () = self.leases.dropped() => {}
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
            let (from, extent) = (self.cursor, *self.extent.borrow_and_update());
            let eye = Arc::clone(&self.eye);
            let look = blocking(move || {
                let mut eye = eye.lock().unwrap_or_else(PoisonError::into_inner);
                eye.look(from, at_most.get(), &extent)
            })
            .await?;
            match look {
                Look::Found(batches) => return Ok(self.lease(batches, at_most.get())),
                Look::Lost(lost, behind) => {
                    let explained = self.explain(lost);
                    if matches!(explained, StoreError::Lost(_)) {
                        self.cursor = behind;
                    }
                    return Err(explained);
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

    /// Waits until there may be entries that [`Self::try_next`] did not see. Dropped, it has missed
    /// nothing.
    ///
    /// # Errors
    /// [`StoreError::Closed`] when there will be no more.
    pub async fn grown(&mut self) -> Result<(), StoreError> {
        tokio::select! {
            grown = self.extent.changed() => grown.map_err(|_| StoreError::Closed),
            () = self.leases.dropped() => Ok(()),
        }
    }

    /// Reads the entries of a released lease again: the same ones, in the same runs.
    ///
    /// It reads beside the cursor, whatever was leased or settled since; cancelled, it leaves the
    /// lease released. A lease that has its entries is left as it is.
    ///
    /// # Errors
    /// [`StoreError::Lost`] when damage was met among them. The lease cannot be had any more: drop
    /// it, and what is sound of it is handed out again, with all that was leased after it;
    /// the damage is then reported once more, as everywhere, in its place.
    /// [`StoreError::Recalled`] when the entries are handed out again already, for one before it was
    /// dropped or fell short: drop it as well.
    pub async fn reload(&mut self, lease: &mut Lease) -> Result<(), StoreError> {
        self.take_back_dropped();
        if !self.leases.counts(lease) {
            return Err(StoreError::Recalled);
        }
        if !lease.is_released() {
            return Ok(());
        }
        let (pieces, extent) = (lease.pieces().to_vec(), *self.extent.borrow());
        let eye = Arc::clone(&self.eye);
        let found = blocking(move || {
            let mut eye = eye.lock().unwrap_or_else(PoisonError::into_inner);
            eye.look_again(&pieces, &extent)
        })
        .await?;
        match found {
            Ok(entries) => {
                lease.refill(entries);
                Ok(())
            }
            Err(lost) => Err(self.explain(lost)),
        }
    }

    /// Gives a lease back, with how many of its entries were delivered, counted from the first.
    ///
    /// The position moves past them as far as there is no gap before them; entries that were not
    /// delivered, and all leased after them, are handed out again. A lease whose entries are to be
    /// handed out again already (for one before it fell short) moves nothing. Leases may be given
    /// back in any order, released or not.
    ///
    /// # Errors
    /// When the position cannot be stored. The delivery counts all the same for as long as the
    /// process lives, and is stored with the next call that can.
    pub async fn settle(&mut self, lease: Lease, delivered: usize) -> Result<(), StoreError> {
        self.take_back_dropped();
        if let Some(again) = self.leases.settle(lease, delivered) {
            self.rewind(again);
        }
        self.note().await
    }

    /// Gives leases back that were delivered whole, in any order; the position moves once.
    ///
    /// Without leases, it stores what could not be stored before.
    ///
    /// # Errors
    /// As for [`Reader::settle`].
    pub async fn settle_all(&mut self, leases: impl IntoIterator<Item = Lease>) -> Result<(), StoreError> {
        self.take_back_dropped();
        for lease in leases {
            let all = lease.len();
            self.leases.settle(lease, all);
        }
        self.note().await
    }

    /// What lies behind that position is handed out again.
    fn rewind(&mut self, to: Position) {
        self.cursor = to;
        self.ahead = None;
    }

    fn take_back_dropped(&mut self) {
        if let Some(again) = self.leases.forget_dropped() {
            self.rewind(again);
        }
    }

    /// A reader that was dismissed is not kept what it has not read.
    fn explain(&self, lost: Lost) -> StoreError {
        if *lost.batches.start() < self.extent.borrow().first {
            StoreError::ReaderDismissed(self.name.clone())
        } else {
            StoreError::Lost(lost)
        }
    }

    /// Leases the first entries of what was read; the rest stays ahead.
    fn lease(&mut self, batches: Vec<Loaded>, at_most: usize) -> Option<Lease> {
        let mut entries =
            Vec::with_capacity(batches.iter().map(|batch| batch.entries.len()).sum::<usize>().min(at_most));
        let mut pieces = Vec::with_capacity(batches.len());
        let mut end = self.cursor;
        for mut batch in batches {
            let count = batch.entries.len().min(at_most.saturating_sub(entries.len()));
            if count == 0 {
                break;
            }
            entries.extend(batch.entries.drain(..count));
            pieces.push(Piece { begin: batch.begin, count, source: batch.header.source.clone() });
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
        self.cursor = end;
        Some(self.leases.lend(entries, pieces, end))
    }

    /// With nothing leased and nothing to lease, what was passed over need not be kept.
    async fn pass_over(&mut self, end: Position) -> Result<(), StoreError> {
        self.cursor = end;
        if !self.leases.is_empty() {
            return Ok(());
        }
        self.delivered = self.delivered.max(end);
        match self.note().await {
            // It is no delivery that goes unnoted.
            Err(StoreError::DiskFull { .. }) => Ok(()),
            noted => noted,
        }
    }

    /// Has the store know how far everything was delivered, and what that cost.
    async fn note(&mut self) -> Result<(), StoreError> {
        if let Some(end) = self.leases.forget_settled() {
            self.delivered = self.delivered.max(end);
        }
        let (to, spent) = (self.delivered, self.spent);
        if to <= self.noted && spent == self.spent_noted {
            return Ok(());
        }
        let name = self.name.clone();
        self.store.ask(|reply| Command::Move { name, to, spent, reply }).await??;
        (self.noted, self.spent_noted) = (to, spent);
        Ok(())
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
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    // It fails only when the runtime is going down.
    spawn_blocking(work).await.unwrap_or(Err(StoreError::Closed))
}
