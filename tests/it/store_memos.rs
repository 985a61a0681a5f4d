//! What a source remembers by key: with its batch or not at all, found again, forgotten by age.

use std::time::Duration;

use rusqlite::Connection;
use slackcef::event::UnixTime;
use slackcef::store::{Batch, Bookmark, Full, Memo, Settings, Store, StoreError};

use crate::store_support::*;

/// A batch of nothing but memos.
fn remember(of: &str, memos: Vec<Memo>) -> Batch {
    Batch { memos, ..Batch::new(source(of), Vec::new(), Bookmark::default()) }
}

#[tokio::test]
async fn memos_come_back_in_the_order_of_the_keys_and_the_last_of_each_counts() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path());
    let store = open(&settings);
    assert_eq!(recall(&store, "acme", [1]).await, [None], "before anything was stored");
    let first = Batch { memos: vec![memo(1, 10), memo(2, 20)], ..batch("acme", 0..10) };
    assert_eq!(store.append(first).await.unwrap().fresh, 10);
    // Without entries, with the same bookmark, with one key twice.
    let again = Batch { memos: vec![memo(2, 21), memo(3, 30), memo(3, 31)], ..batch("acme", 10..10) };
    store.append(again).await.unwrap();
    store.append(remember("other", vec![memo(1, 99)])).await.unwrap();
    store.append(remember("other", vec![Memo { value: Vec::new(), ..memo(4, 1) }])).await.unwrap();

    for reopened in [false, true] {
        let store = if reopened { open(&settings) } else { store.clone() };
        let found = recall(&store, "acme", [3, 1, 7, 2, 3]).await;
        assert_eq!(found, [Some(memo(3, 31)), Some(memo(1, 10)), None, Some(memo(2, 21)), Some(memo(3, 31))]);
        assert_eq!(recall(&store, "acme", []).await, []);
        let other = recall(&store, "other", [1, 2, 4]).await;
        assert_eq!(other, [Some(memo(1, 99)), None, Some(Memo { value: Vec::new(), ..memo(4, 1) })]);
        assert_eq!(recall(&store, "nobody", [1, 2]).await, [None, None]);
        assert_eq!(bookmarked(&store.bookmark(&source("acme")).await.unwrap().unwrap()), 10);
        store.close().await.unwrap();
    }
    let closed = store.recall(&source("acme"), vec![memo_key(1)]).await;
    assert!(matches!(closed, Err(StoreError::Closed)), "{closed:?}");
}

#[tokio::test]
async fn what_is_refused_is_not_remembered() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&Settings { max_size: 1 << 20, ..settings(dir.path()) });
    let longest = Memo { value: vec![7; Memo::LONGEST], ..memo(1, 1) };
    let longer = Memo { value: vec![7; Memo::LONGEST + 1], ..memo(2, 1) };
    let long = Batch { memos: vec![memo(3, 1), longer], ..batch("acme", 0..5) };
    let refused = store.append(long).await.unwrap_err();
    assert!(matches!(refused, StoreError::LongMemo { length: 1025 }) && !refused.is_final(), "{refused:?}");
    let large = (0..200).map(|n| sized(n, 10_000)).collect();
    let large = Batch { memos: vec![memo(3, 2)], ..Batch::new(source("acme"), large, Bookmark::default()) };
    let refused = store.append(large).await;
    assert!(matches!(refused, Err(StoreError::TooLarge { .. })), "{refused:?}");
    assert_eq!(store.bookmark(&source("acme")).await.unwrap(), None);

    store.append(remember("acme", vec![longest.clone()])).await.unwrap();
    assert_eq!(recall(&store, "acme", 1..4).await, [Some(longest), None, None]);
    assert_eq!(append(&store, "acme", 0..5).await.fresh, 5);
}

#[tokio::test]
async fn memos_are_forgotten_by_their_time_however_many_there_are() {
    const MANY: u64 = 10_000;
    let dir = tempfile::tempdir().unwrap();
    let store = open(&settings(dir.path()));
    for of in ["acme", "other"] {
        let memos = (0..MANY).map(|n| memo(n, n)).collect();
        store.append(remember(of, memos)).await.unwrap();
    }
    let forget = |of: &'static str, before: i64| {
        let store = store.clone();
        async move { store.forget_memos(&source(of), UnixTime::from_seconds(BEGIN + before)).await.unwrap() }
    };
    assert_eq!(forget("nobody", 10_000).await, 0);
    assert_eq!(forget("acme", 0).await, 0);
    assert_eq!(forget("acme", 9_990).await, 9_990);
    assert_eq!(forget("acme", 9_990).await, 0);
    let left: Vec<_> = (0..MANY).map(|n| (n >= 9_990).then(|| memo(n, n))).collect();
    assert_eq!(recall(&store, "acme", 0..MANY).await, left);
    // Those of another source are another's; one that was seen again is young again.
    store.append(remember("other", vec![memo(5, MANY)])).await.unwrap();
    assert_eq!(forget("other", 10_000).await, MANY - 1);
    assert_eq!(recall(&store, "other", [4, 5]).await, [None, Some(memo(5, MANY))]);
}

#[tokio::test]
async fn a_damaged_memo_was_never_there_and_is_stored_anew() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path());
    let store = open(&settings);
    store.append(remember("other", vec![memo(9, 9)])).await.unwrap();
    store.append(remember("acme", (0..4).map(|n| memo(n, n)).collect())).await.unwrap();
    store.close().await.unwrap();
    for harm in [
        "value = x'09'",
        "at = at + 1",
        "seal = x'00'",
        "seal = zeroblob(8)",
        // The row passes for another's.
        "source = 1",
    ] {
        let db = Connection::open(settings.dir.join("store.db")).unwrap();
        let key = memo_key(2).0;
        let harmed = db.execute(&format!("UPDATE memo SET {harm} WHERE source = 2 AND key = ?1"), [key]);
        assert_eq!(harmed.unwrap(), 1);
        db.close().unwrap();
        let store = open(&settings);
        let found = recall(&store, "acme", 1..4).await;
        assert_eq!(found, [Some(memo(1, 1)), None, Some(memo(3, 3))], "{harm}");
        assert_eq!(recall(&store, "other", [2, 9]).await, [None, Some(memo(9, 9))], "{harm}");
        // The very same once more.
        store.append(remember("acme", vec![memo(2, 2)])).await.unwrap();
        assert_eq!(recall(&store, "acme", [2]).await, [Some(memo(2, 2))], "{harm}");
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn memos_wait_for_room_as_entries_do() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&Settings { max_size: 2 << 20, ..settings(dir.path()) });
    store.retain_readers(&[reader_name("siem")]).await.unwrap();
    let mut siem = reader(&store, "siem").await;
    let mut stored = 0;
    // Filled, but for a little.
    while store.usage().bytes + (128 << 10) < store.usage().limit {
        let entries = (stored..stored + 10).map(|n| sized(n, 1_000)).collect();
        store.append(Batch::new(source("acme"), entries, Bookmark::default())).await.unwrap();
        stored += 10;
    }
    let remembering = tokio::spawn({
        let store = store.clone();
        async move {
            let long = |n| Memo { value: vec![3; 1_000], ..memo(n, n) };
            for n in 0..6 {
                let memos = (n * 50..(n + 1) * 50).map(long).collect();
                store.append(remember("acme", memos)).await.unwrap();
            }
        }
    });
    usage_becomes(&store, |usage| usage.full == Some(Full::Limit)).await;
    assert!(!remembering.is_finished());
    let held = store.usage();
    assert!(held.bytes <= held.limit, "{held:?}");
    // A bookmark alone does not wait.
    append(&store, "quiet", 3..3).await;
    let (read, _) = drain(&mut siem, 1_000).await;
    assert_eq!(read.len() as u64, stored);
    remembering.await.unwrap();
    assert!(recall(&store, "acme", 0..300).await.iter().all(Option::is_some));
}

#[tokio::test]
async fn a_store_full_of_memos_forgets_the_oldest_rather_than_wait_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { retention: Duration::ZERO, max_size: 1 << 20, ..settings(dir.path()) };
    let store = open(&settings);
    store.retain_readers(&[]).await.unwrap();
    for hundred in 0..80 {
        let memos = (hundred * 100..(hundred + 1) * 100).map(|n| memo(n, n)).collect();
        let entries = (hundred..=hundred).map(entry).collect();
        let batch = Batch { memos, ..Batch::new(source("acme"), entries, Bookmark::default()) };
        assert_eq!(store.append(batch).await.unwrap().fresh, 1);
        let usage = store.usage();
        assert!(usage.bytes <= usage.limit, "{usage:?}");
    }
    let left = recall(&store, "acme", 0..8_000).await;
    assert_eq!(left[0], None, "the oldest");
    assert_eq!(left[7_999], Some(memo(7_999, 7_999)), "the youngest");
}

/// Waits until the store's usage is so.
async fn usage_becomes(store: &Store, so: impl Fn(&slackcef::store::Usage) -> bool) {
    let mut usage = store.watch_usage();
    let waited = tokio::time::timeout(Duration::from_secs(20), usage.wait_for(|usage| so(usage))).await;
    assert!(waited.is_ok(), "{:?}", store.usage());
}
