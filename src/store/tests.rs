//! What depends on the time: retention, and how long ids are remembered.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::event::{Action, EntryId, Log, Text};

const DAY: i64 = 86_400;
const NOW: i64 = 1_795_132_800;

/// A store whose clock is set by hand.
struct Clocked {
    store: Store,
    clock: Arc<AtomicI64>,
    _dir: tempfile::TempDir,
}

impl Clocked {
    fn new(retention: Duration, max_size: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings { dir: dir.path().join("state"), retention, max_size };
        let clock = Arc::new(AtomicI64::new(NOW));
        let hands = Arc::clone(&clock);
        let clock_of_store = Clock::new(move || UnixTime::from_seconds(hands.load(Ordering::SeqCst)));
        let (store, _) = Store::open_by(&settings, clock_of_store).unwrap();
        Self { store, clock, _dir: dir }
    }

    fn set(&self, time: i64) {
        self.clock.store(time, Ordering::SeqCst);
    }

    /// Appends one entry for each event time; its id tells the time.
    async fn append(&self, times: impl IntoIterator<Item = i64>) -> Appended {
        let entries = times.into_iter().map(entry).collect();
        let bookmark = Bookmark::new(fastrand::u64(..).to_le_bytes());
        self.store.append(Batch::new(SourceId::new("acme"), entries, bookmark)).await.unwrap()
    }

    fn ids(&self) -> u64 {
        let db = schema::open_reader(&self.store.shared.path).unwrap();
        db.query_row("SELECT count(*) FROM id", [], |row| row.get(0)).unwrap()
    }
}

fn entry(at: i64) -> Entry {
    let id = EntryId::given(Text::from(format!("at {at}")));
    let raw = Bytes::from_static(b"{}");
    Entry::from_parts(Log::Audit, id, Action::unknown(), UnixTime::from_seconds(at), raw)
}

#[tokio::test]
async fn delivered_entries_are_kept_for_the_retention_and_no_longer() {
    let clocked = Clocked::new(Duration::from_secs(86_400), 64 << 20);
    let store = &clocked.store;
    store.retain_readers(&[ReaderName::new("siem")]).await.unwrap();
    let mut siem = store.reader(ReaderName::new("siem"), None).await.unwrap();
    for hour in 0..3 {
        clocked.set(NOW + hour * 3_600);
        clocked.append([NOW + hour]).await;
        let lease = siem.next(NonZeroUsize::MIN).await.unwrap();
        siem.settle(lease, 1).await.unwrap();
    }
    assert_eq!(store.usage().entries, 3);
    assert_eq!(store.usage().oldest, Some(UnixTime::from_seconds(NOW)));

    clocked.set(NOW + DAY + 3_600);
    clocked.append([]).await;
    let mut usage = store.watch_usage();
    usage.wait_for(|usage| usage.entries == 1).await.unwrap();
    assert_eq!(store.usage().oldest, Some(UnixTime::from_seconds(NOW + 7_200)));
}

#[tokio::test]
async fn ids_are_remembered_while_they_may_be_read_again_and_forgotten_later() {
    let clocked = Clocked::new(Duration::ZERO, 64 << 20);
    // A backfill of thirty days, in one go.
    let backfill = || (0..3_000).map(|n| NOW - 30 * DAY + n * 30 * DAY / 3_000);
    assert_eq!(clocked.append(backfill()).await.fresh, 3_000);
    clocked.set(NOW + DAY);
    assert_eq!(clocked.append(backfill()).await.seen, 3_000, "verified a day later");

    // One entry a day, for months: what is older than a few days is forgotten.
    let mut day = 1;
    while day < 30 || clocked.ids() > 12 {
        day += 1;
        assert!(day < 400, "{}", clocked.ids());
        clocked.set(NOW + day * DAY);
        clocked.append([NOW + day * DAY]).await;
    }
    let recent = || (day - 2..=day).map(|day| NOW + day * DAY);
    assert_eq!(clocked.append(recent()).await.seen, 3);

    // Switched off for forty days, it begins where it stopped.
    clocked.set(NOW + (day + 40) * DAY);
    assert_eq!(clocked.append(recent()).await.seen, 3);
    assert_eq!(clocked.append(recent()).await.seen, 3);
}

#[tokio::test]
async fn a_store_full_of_ids_forgets_the_oldest_rather_than_wait_for_ever() {
    let clocked = Clocked::new(Duration::from_secs(90 * 86_400), 1 << 20);
    clocked.store.retain_readers(&[]).await.unwrap();
    for thousand in 0..60 {
        let at = NOW + thousand * 1_000;
        assert_eq!(clocked.append(at..at + 1_000).await.fresh, 1_000);
        assert_eq!(clocked.append(at..at + 1_000).await.seen, 1_000);
    }
    let ids = clocked.ids();
    assert!(ids < 30_000, "{ids}");
    assert!(clocked.store.usage().bytes <= clocked.store.usage().limit);
}
