//! What the tests of the store share: entries to put in, and ways to get them out.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use slackcef::event::{Entry, Log, UnixTime};
use slackcef::store::{
    Appended, Batch, Bookmark, Memo, MemoKey, Reader, ReaderName, Repair, Settings, SourceId, Store,
    StoreError,
};

/// 2026-11-20T00:00:00Z, when the first entry happens.
pub(crate) const BEGIN: i64 = 1_795_132_800;

/// The n-th entry: four a second, each as long as its number says.
pub(crate) fn entry(n: u64) -> Entry {
    static MADE: LazyLock<Vec<Entry>> = LazyLock::new(|| (0..2_000).map(make).collect());
    fn make(n: u64) -> Entry {
        sized(n, 40 + usize::try_from(n % 7).unwrap() * 60)
    }
    usize::try_from(n).ok().and_then(|n| MADE.get(n)).cloned().unwrap_or_else(|| make(n))
}

/// The n-th entry, with so many bytes that do not compress.
pub(crate) fn sized(n: u64, noise: usize) -> Entry {
    let mut random = fastrand::Rng::with_seed(n);
    let mut bytes = vec![0; noise];
    random.fill(&mut bytes);
    let noise: String = bytes.iter().map(|byte| char::from(b'0' + byte % 42)).collect();
    let at = BEGIN + i64::try_from(n / 4).unwrap();
    let json = format!(
        r#"{{"id":"entry-{n}","date_create":{at},"action":"user_login","actor":{{"type":"user","user":{{"id":"W{n}","name":"{noise}"}}}}}}"#
    );
    Entry::from_raw(Log::Audit, Bytes::from(json), UnixTime::from_seconds(at), 0).unwrap()
}

pub(crate) fn entries(numbers: std::ops::Range<u64>) -> Vec<Entry> {
    numbers.map(entry).collect()
}

/// The number an entry was made from.
pub(crate) fn number(entry: &Entry) -> u64 {
    entry.id().as_str().strip_prefix("entry-").unwrap().parse().unwrap()
}

pub(crate) fn numbers(entries: &[Entry]) -> Vec<u64> {
    entries.iter().map(number).collect()
}

pub(crate) fn source(name: &str) -> SourceId {
    SourceId::new(name)
}

pub(crate) fn reader_name(name: &str) -> ReaderName {
    ReaderName::new(name)
}

pub(crate) fn batch(of: &str, numbers: std::ops::Range<u64>) -> Batch {
    let bookmark = Bookmark::new(numbers.end.to_le_bytes());
    Batch::new(source(of), entries(numbers), bookmark)
}

/// The same batch, of a source that has been read up to the end of time.
pub(crate) fn late(batch: Batch) -> Batch {
    Batch { late_before: Some(UnixTime::from_seconds(i64::MAX)), ..batch }
}

/// A memo under the n-th key; time and value tell how often its row was used.
pub(crate) fn memo(n: u64, uses: u64) -> Memo {
    let at = UnixTime::from_seconds(BEGIN + i64::try_from(uses).unwrap());
    let value = uses.to_le_bytes().repeat(1 + usize::try_from(n % 5).unwrap());
    Memo { key: memo_key(n), value, at }
}

/// Keys lie in another order than their numbers, as hashes do.
pub(crate) fn memo_key(n: u64) -> MemoKey {
    let scattered = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    MemoKey([scattered.to_be_bytes(), n.to_be_bytes()].concat().try_into().unwrap())
}

/// What the store remembers under those keys.
pub(crate) async fn recall(
    store: &Store,
    of: &str,
    numbers: impl IntoIterator<Item = u64>,
) -> Vec<Option<Memo>> {
    let keys: Vec<_> = numbers.into_iter().map(memo_key).collect();
    store.recall(&source(of), keys).await.unwrap()
}

/// The number that `batch` put into a bookmark.
pub(crate) fn bookmarked(bookmark: &Bookmark) -> u64 {
    u64::from_le_bytes(bookmark.as_bytes().try_into().unwrap())
}

pub(crate) fn settings(dir: &Path) -> Settings {
    Settings { dir: dir.join("state"), retention: Duration::from_secs(7 * 86_400), max_size: 256 << 20 }
}

pub(crate) fn open(settings: &Settings) -> Store {
    let (store, repairs) = Store::open(settings).unwrap();
    assert_eq!(repairs, Vec::<Repair>::new());
    store
}

pub(crate) async fn append(store: &Store, of: &str, numbers: std::ops::Range<u64>) -> Appended {
    store.append(batch(of, numbers)).await.unwrap()
}

pub(crate) async fn reader(store: &Store, name: &str) -> Reader {
    store.reader(reader_name(name), None).await.unwrap()
}

pub(crate) fn at_most(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap()
}

/// Reads and settles all there is; damage met on the way comes second, in entries lost.
pub(crate) async fn drain(reader: &mut Reader, at_a_time: usize) -> (Vec<Entry>, Vec<slackcef::store::Lost>) {
    let (mut read, mut lost) = (Vec::new(), Vec::new());
    loop {
        match reader.try_next(at_most(at_a_time)).await {
            Ok(Some(lease)) => {
                read.extend_from_slice(lease.entries());
                let count = lease.entries().len();
                assert!(0 < count && count <= at_a_time);
                reader.settle(lease, count).await.unwrap();
            }
            Ok(None) => return (read, lost),
            Err(StoreError::Lost(stretch)) => lost.push(stretch),
            Err(error) => panic!("{error}: {error:?}"),
        }
    }
}

/// Reads and settles all there is; nothing may be damaged.
pub(crate) async fn drain_sound(reader: &mut Reader) -> Vec<u64> {
    let (read, lost) = drain(reader, 300).await;
    assert_eq!(lost, []);
    for found in &read {
        assert_eq!(*found, entry(number(found)));
    }
    numbers(&read)
}
