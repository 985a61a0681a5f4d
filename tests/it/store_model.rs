//! Random use of the store, next to a model of lists.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use proptest::prelude::*;
use slackcef::store::{Batch, Lease, Reader, Settings, Store, StoreError};

use crate::store_support::*;

#[derive(Debug, Clone)]
enum Step {
    /// Append entries of a source: so many, beginning so many before its end.
    Append { source: usize, back: u64, count: u64 },
    /// Append memos: under so many keys from that one on, all with that value; entries, or none.
    Remember { source: usize, key: u64, count: u64, uses: u64, entries: u64 },
    /// Forget the memos of less than that value.
    Forget { source: usize, uses: u64 },
    /// Lease at most so many.
    Next { reader: usize, at_most: usize },
    /// Settle one of the open leases: that one, and so much of it in percent.
    Settle { reader: usize, lease: usize, percent: usize },
    /// Settle so many of the open leases at once, whole, from that one on; the last first.
    SettleAll { reader: usize, lease: usize, count: usize },
    /// Release one of the open leases of its entries.
    Release { reader: usize, lease: usize },
    /// Read one of the open leases again.
    Reload { reader: usize, lease: usize },
    /// Drop one of the open leases.
    Drop { reader: usize, lease: usize },
    /// Close everything and open it again.
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let source = 0..SOURCES.len();
    let reader = 0..READERS.len();
    let step = prop_oneof![
        4 => (source.clone(), 0..30_u64, 0..60_u64).prop_map(|(source, back, count)| Step::Append { source, back, count }),
        2 => (source.clone(), 0..20_u64, 0..8_u64, 0..40_u64, 0..2_u64).prop_map(
            |(source, key, count, uses, entries)| Step::Remember { source, key, count, uses, entries }
        ),
        1 => (source.clone(), 0..40_u64).prop_map(|(source, uses)| Step::Forget { source, uses }),
        4 => (reader.clone(), 1..50_usize).prop_map(|(reader, at_most)| Step::Next { reader, at_most }),
        3 => (reader.clone(), 0..4_usize, prop_oneof![3 => Just(100), 1 => 0..100_usize])
            .prop_map(|(reader, lease, percent)| Step::Settle { reader, lease, percent }),
        1 => (reader.clone(), 0..4_usize, 1..4_usize)
            .prop_map(|(reader, lease, count)| Step::SettleAll { reader, lease, count }),
        3 => (reader.clone(), 0..4_usize).prop_map(|(reader, lease)| Step::Release { reader, lease }),
        3 => (reader.clone(), 0..4_usize).prop_map(|(reader, lease)| Step::Reload { reader, lease }),
        1 => (reader, 0..4_usize).prop_map(|(reader, lease)| Step::Drop { reader, lease }),
        1 => Just(Step::Reopen),
    ];
    proptest::collection::vec(step, 1..90)
}

const SOURCES: [&str; 2] = ["a", "b"];

/// Readers, and which sources they read.
const READERS: [(&str, Option<&[&str]>); 3] = [("all", None), ("some", Some(&["b"])), ("none", Some(&["c"]))];

/// What the store should do, said with lists.
#[derive(Default)]
struct Model {
    /// Every entry stored: source and number.
    log: Vec<(usize, u64)>,
    ends: [u64; SOURCES.len()],
    /// Whether a source has a bookmark.
    appended: [bool; SOURCES.len()],
    /// What each source remembers by key.
    memos: [BTreeMap<u64, u64>; SOURCES.len()],
    readers: [ModelReader; READERS.len()],
}

/// Places count the entries that the reader reads.
#[derive(Default)]
struct ModelReader {
    settled: usize,
    cursor: usize,
    leases: VecDeque<ModelLease>,
}

struct ModelLease {
    /// The number of the step that leased it.
    id: usize,
    begin: usize,
    end: usize,
    done: bool,
}

impl Model {
    fn readable(&self, reader: usize) -> Vec<u64> {
        let reads = |of: usize| READERS[reader].1.is_none_or(|sources| sources.contains(&SOURCES[of]));
        self.log.iter().filter(|(of, _)| reads(*of)).map(|(_, number)| *number).collect()
    }
}

impl Model {
    /// What a lease is over, while it counts.
    fn leased(&self, reader: usize, id: usize) -> Option<Vec<u64>> {
        let expected = &self.readers[reader];
        let lease = &expected.leases[expected.place(id)?];
        Some(self.readable(reader)[lease.begin..lease.end].to_vec())
    }
}

/// What is stored, in the model and in a store beside it.
impl Model {
    async fn append(&mut self, store: &Store, of: usize, back: u64, count: u64) {
        let end = self.ends[of];
        let from = end.saturating_sub(back);
        let appended = append(store, SOURCES[of], from..from + count).await;
        let fresh: Vec<u64> = (from..from + count).filter(|n| *n >= end).collect();
        assert_eq!(appended.fresh, fresh.len());
        assert_eq!((appended.fresh + appended.seen) as u64, count);
        self.log.extend(fresh.iter().map(|n| (of, *n)));
        self.appended[of] = true;
        self.ends[of] = end.max(from + count);
    }

    async fn remember(&mut self, store: &Store, of: usize, keys: Range<u64>, uses: u64, entries: u64) {
        let numbers = self.ends[of]..self.ends[of] + entries;
        let memos = keys.clone().map(|key| memo(key, uses)).collect();
        let batch = Batch { memos, ..batch(SOURCES[of], numbers.clone()) };
        assert_eq!(store.append(batch).await.unwrap().fresh as u64, entries);
        self.ends[of] = numbers.end;
        self.log.extend(numbers.map(|n| (of, n)));
        self.appended[of] = true;
        self.memos[of].extend(keys.map(|key| (key, uses)));
    }

    async fn forget(&mut self, store: &Store, of: usize, uses: u64) {
        let before = self.memos[of].len();
        self.memos[of].retain(|_, last| *last >= uses);
        let forgotten = store.forget_memos(&source(SOURCES[of]), memo(0, uses).at).await.unwrap();
        assert_eq!(forgotten, (before - self.memos[of].len()) as u64);
    }

    async fn recall(&self, store: &Store) {
        for (memos, name) in self.memos.iter().zip(SOURCES) {
            let expected: Vec<_> = (0..30).map(|key| memos.get(&key).map(|uses| memo(key, *uses))).collect();
            assert_eq!(recall(store, name, 0..30).await, expected);
        }
    }
}

/// The entries of a lease once it was read again, if it could be.
async fn reloaded(reader: &mut Reader, lease: &mut Lease) -> Option<Vec<u64>> {
    match reader.reload(lease).await {
        Ok(()) => {
            assert_eq!(lease.by_source().map(|(_, run)| run.len()).sum::<usize>(), lease.len());
            Some(numbers(lease.entries()))
        }
        Err(StoreError::Recalled) => None,
        Err(error) => panic!("{error}"),
    }
}

impl ModelReader {
    fn again_from(&mut self, lease: usize, place: usize) {
        self.leases.truncate(lease);
        self.cursor = place;
    }

    fn place(&self, id: usize) -> Option<usize> {
        self.leases.iter().position(|lease| lease.id == id)
    }

    /// A lease that is unknown lies behind one that fell short: it moves nothing.
    fn settle(&mut self, id: usize, delivered: usize) {
        let Some(place) = self.place(id) else { return };
        let lease = &mut self.leases[place];
        let end = lease.begin + delivered;
        let whole = end == lease.end;
        (lease.end, lease.done) = (end, true);
        if !whole {
            self.again_from(place + 1, end);
        }
        while self.leases.front().is_some_and(|lease| lease.done) {
            self.settled = self.leases.pop_front().unwrap().end;
        }
    }

    fn drop(&mut self, id: usize) {
        if let Some(place) = self.place(id) {
            let begin = self.leases[place].begin;
            self.again_from(place, begin);
        }
    }
}

/// The real thing.
struct Real {
    store: Store,
    readers: Vec<(Reader, Vec<(usize, Lease)>)>,
}

impl Real {
    async fn open(settings: &Settings) -> Self {
        let store = open(settings);
        let mut readers = Vec::new();
        for (name, sources) in READERS {
            let sources = sources.map(|sources| sources.iter().map(|name| source(name)).collect());
            readers.push((store.reader(reader_name(name), sources).await.unwrap(), Vec::new()));
        }
        Self { store, readers }
    }
}

async fn agree(steps: Vec<Step>) {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path());
    let mut model = Model::default();
    let mut real = Real::open(&settings).await;
    for (id, step) in steps.into_iter().enumerate() {
        match step {
            Step::Append { source: of, back, count } => {
                model.append(&real.store, of, back, count).await;
            }
            Step::Remember { source, key, count, uses, entries } => {
                model.remember(&real.store, source, key..key + count, uses, entries).await;
            }
            Step::Forget { source, uses } => model.forget(&real.store, source, uses).await,
            Step::Next { reader, at_most: n } => {
                let readable = model.readable(reader);
                let expected = &mut model.readers[reader];
                let (found, leases) = &mut real.readers[reader];
                match found.try_next(at_most(n)).await.unwrap() {
                    None => assert_eq!(expected.cursor, readable.len()),
                    Some(lease) => {
                        let end = expected.cursor + lease.entries().len();
                        assert!(lease.entries().len() <= n);
                        assert_eq!(numbers(lease.entries()), readable[expected.cursor..end]);
                        expected.leases.push_back(ModelLease {
                            id,
                            begin: expected.cursor,
                            end,
                            done: false,
                        });
                        expected.cursor = end;
                        leases.push((id, lease));
                    }
                }
            }
            Step::Settle { reader, lease, percent } => {
                let (found, leases) = &mut real.readers[reader];
                if lease < leases.len() {
                    let (id, lease) = leases.remove(lease);
                    let delivered = lease.len() * percent / 100;
                    model.readers[reader].settle(id, delivered);
                    found.settle(lease, delivered).await.unwrap();
                }
            }
            Step::SettleAll { reader, lease, count } => {
                let (found, leases) = &mut real.readers[reader];
                let from = lease.min(leases.len());
                let some: Vec<_> = leases.drain(from..leases.len().min(from + count)).rev().collect();
                for (id, lease) in &some {
                    model.readers[reader].settle(*id, lease.len());
                }
                found.settle_all(some.into_iter().map(|(_, lease)| lease)).await.unwrap();
            }
            Step::Release { reader, lease } => {
                if let Some((_, lease)) = real.readers[reader].1.get_mut(lease) {
                    lease.release();
                }
            }
            Step::Reload { reader, lease } => {
                let (found, leases) = &mut real.readers[reader];
                if let Some((id, lease)) = leases.get_mut(lease) {
                    let expected = model.leased(reader, *id);
                    assert_eq!(reloaded(found, lease).await, expected);
                }
            }
            Step::Drop { reader, lease } => {
                let (_, leases) = &mut real.readers[reader];
                if lease < leases.len() {
                    let (id, _) = leases.remove(lease);
                    model.readers[reader].drop(id);
                }
            }
            Step::Reopen => {
                real.readers.clear();
                real.store.close().await.unwrap();
                real = Real::open(&settings).await;
                for reader in &mut model.readers {
                    reader.again_from(0, reader.settled);
                }
            }
        }
        for (of, name) in SOURCES.iter().enumerate() {
            let bookmark = real.store.bookmark(&source(name)).await.unwrap();
            assert_eq!(bookmark.is_some(), model.appended[of]);
        }
    }
    model.recall(&real.store).await;
    // What was not settled comes again, all of it and nothing else.
    for (reader, (found, leases)) in real.readers.iter_mut().enumerate() {
        leases.clear();
        let expected = &model.readers[reader];
        assert_eq!(drain_sound(found).await, model.readable(reader)[expected.settled..]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_store_does_what_lists_do(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(agree(steps));
    }
}
