//! The contract of the store, sentence by sentence.

use std::task::Poll;
use std::time::Duration;

use slackcef::event::{Entry, Log, UnixTime};
use slackcef::store::{Appended, Batch, Bookmark, Full, Lease, Settings, Spent, StoreError};

use crate::store_support::*;

#[tokio::test]
async fn what_was_stored_comes_back_byte_for_byte_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&settings(dir.path()));
    assert_eq!(append(&store, "acme", 0..1_000).await, Appended { fresh: 1_000, seen: 0, late: Vec::new() });
    assert_eq!(
        append(&store, "acme", 1_000..1_500).await,
        Appended { fresh: 500, seen: 0, late: Vec::new() }
    );
    let mut reader = reader(&store, "siem").await;
    assert_eq!(drain_sound(&mut reader).await, (0..1_500).collect::<Vec<_>>());
}

#[tokio::test]
async fn entries_bookmark_and_position_outlive_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path());
    let store = open(&settings);
    assert_eq!(store.bookmark(&source("acme")).await.unwrap(), None);
    append(&store, "acme", 0..700).await;
    let mut siem = reader(&store, "siem").await;
    let lease = siem.next(at_most(500)).await.unwrap();
    siem.settle(lease, 444).await.unwrap();
    drop(siem);
    store.close().await.unwrap();

    let store = open(&settings);
    let bookmark = store.bookmark(&source("acme")).await.unwrap().unwrap();
    assert_eq!(bookmarked(&bookmark), 700);
    let backlog = store.backlog(&reader_name("siem")).await.unwrap().unwrap();
    assert_eq!(backlog.entries, 700 - 444);
    assert_eq!(backlog.oldest, Some(UnixTime::from_seconds(BEGIN)));
    let mut siem = reader(&store, "siem").await;
    assert_eq!(drain_sound(&mut siem).await, (444..700).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_id_is_stored_once_wherever_it_comes_again() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path());
    let store = open(&settings);
    append(&store, "acme", 0..100).await;
    assert_eq!(append(&store, "acme", 50..150).await, Appended { fresh: 50, seen: 50, late: Vec::new() });
    let twice = [entries(150..160), entries(150..170)].concat();
    let batch = Batch::new(source("acme"), twice, Bookmark::new(*b"b"));
    assert_eq!(store.append(batch).await.unwrap(), Appended { fresh: 20, seen: 10, late: Vec::new() });
    store.close().await.unwrap();

    let store = open(&settings);
    assert_eq!(append(&store, "acme", 0..170).await, Appended { fresh: 0, seen: 170, late: Vec::new() });
    // Another source is another world, though it reads the same organization.
    assert_eq!(append(&store, "acme-2", 0..10).await, Appended { fresh: 10, seen: 0, late: Vec::new() });
    let mut reader = reader(&store, "siem").await;
    assert_eq!(drain_sound(&mut reader).await, (0..170).chain(0..10).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_same_id_at_another_time_is_another_entry() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&settings(dir.path()));
    let (one, other) = (entry(7), entry(7));
    let later = Entry::from_parts(
        Log::Audit,
        other.id().clone(),
        other.action().clone(),
        other.at().plus(1),
        other.raw().clone(),
    );
    let batch = Batch::new(source("acme"), vec![one, later], Bookmark::default());
    assert_eq!(store.append(batch).await.unwrap(), Appended { fresh: 2, seen: 0, late: Vec::new() });
}

#[tokio::test]
async fn a_page_larger_than_a_batch_is_split_and_its_repeats_are_still_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&settings(dir.path()));
    let large: Vec<_> = (0..1_000).map(|n| sized(n, 5_000)).collect();
    let twice = [large.clone(), large.clone()].concat();
    let batch = Batch::new(source("acme"), twice, Bookmark::default());
    assert_eq!(store.append(batch).await.unwrap(), Appended { fresh: 1_000, seen: 1_000, late: Vec::new() });
    assert!(store.usage().batches > 3, "{:?}", store.usage());
    let mut reader = reader(&store, "siem").await;
    let (read, lost) = drain(&mut reader, 10_000).await;
    assert_eq!((read, lost), (large, vec![]));
}

#[tokio::test]
async fn an_empty_batch_moves_the_bookmark() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path());
    let store = open(&settings);
    append(&store, "acme", 5..5).await;
    append(&store, "other", 6..6).await;
    append(&store, "acme", 9..9).await;
    store.close().await.unwrap();
    let store = open(&settings);
    assert_eq!(bookmarked(&store.bookmark(&source("acme")).await.unwrap().unwrap()), 9);
    assert_eq!(bookmarked(&store.bookmark(&source("other")).await.unwrap().unwrap()), 6);
    assert_eq!(store.usage().entries, 0);
}

#[tokio::test]
async fn leases_continue_one_another_and_settle_in_any_order() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&settings(dir.path()));
    append(&store, "acme", 0..10).await;
    append(&store, "acme", 10..20).await;
    let mut siem = reader(&store, "siem").await;
    let one = siem.next(at_most(7)).await.unwrap();
    let two = siem.next(at_most(7)).await.unwrap();
    let three = siem.next(at_most(7)).await.unwrap();
    assert_eq!(numbers(one.entries()), (0..7).collect::<Vec<_>>());
    assert_eq!(numbers(two.entries()), (7..10).collect::<Vec<_>>());
    assert_eq!(numbers(three.entries()), (10..17).collect::<Vec<_>>());

    siem.settle(two, 3).await.unwrap();
    assert_eq!(left(&store).await, 20);
    siem.settle(one, 7).await.unwrap();
    assert_eq!(left(&store).await, 10);
    siem.settle(three, 7).await.unwrap();
    assert_eq!(left(&store).await, 3);
    assert_eq!(drain_sound(&mut siem).await, (17..20).collect::<Vec<_>>());
    assert_eq!(left(&store).await, 0);
}

#[tokio::test]
async fn a_released_lease_is_read_again_whatever_came_between() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { retention: Duration::ZERO, ..settings(dir.path()) };
    let store = open(&settings);
    for (of, numbers) in [("acme", 0..2), ("acme", 2..5), ("emea", 5..7), ("emea", 7..8), ("acme", 8..30)] {
        append(&store, of, numbers).await;
    }
    store.retain_readers(&[reader_name("siem")]).await.unwrap();
    let mut siem = reader(&store, "siem").await;
    let one = siem.next(at_most(2)).await.unwrap();
    let mut two = siem.next(at_most(9)).await.unwrap();
    let three = siem.next(at_most(9)).await.unwrap();
    let seen = |lease: &Lease| {
        let runs = lease.by_source();
        runs.map(|(of, entries)| (of.clone(), entries.to_vec())).collect::<Vec<_>>()
    };
    let before = seen(&two);
    assert_eq!(before.len(), 4, "it ends within a batch");

    two.release();
    assert!(two.is_released() && two.entries().is_empty() && seen(&two).is_empty());
    assert_eq!(two.len(), 9);
    siem.settle_all([three, one]).await.unwrap();
    append(&store, "acme", 30..40).await;
    let mut four = siem.next(at_most(1)).await.unwrap();
    // The batch before it is deleted meanwhile.
    usage(&store, |usage| usage.batches == 5).await;
    siem.reload(&mut two).await.unwrap();
    assert!(!two.is_released());
    assert_eq!(seen(&two), before);
    siem.reload(&mut two).await.unwrap();
    assert_eq!(seen(&two), before, "what is at hand stays as it is");

    four.release();
    siem.reload(&mut four).await.unwrap();
    assert_eq!(numbers(four.entries()), [20], "it begins within a batch");

    // It moved no cursor, and is settled without its entries as well.
    two.release();
    siem.settle(two, 9).await.unwrap();
    assert_eq!(left(&store).await, 20);
    drop(four);
    assert_eq!(drain_sound(&mut siem).await, (20..40).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_released_lease_can_fall_short() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&settings(dir.path()));
    append(&store, "acme", 0..10).await;
    append(&store, "acme", 10..20).await;
    let mut siem = reader(&store, "siem").await;
    let mut lease = siem.next(at_most(15)).await.unwrap();
    let mut behind = siem.next(at_most(15)).await.unwrap();
    assert_eq!(lease.len() + behind.len(), 20);
    lease.release();
    behind.release();
    siem.settle(lease, 7).await.unwrap();
    let recalled = siem.reload(&mut behind).await;
    assert!(matches!(recalled, Err(StoreError::Recalled)), "{recalled:?}");
    siem.settle_all([behind]).await.unwrap();
    assert_eq!(left(&store).await, 13);
    assert_eq!(drain_sound(&mut siem).await, (7..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_was_spent_of_a_day_is_stored_with_what_was_delivered() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path());
    let store = open(&settings);
    append(&store, "acme", 0..10).await;
    let mut siem = reader(&store, "siem").await;
    assert_eq!(siem.spent(), None);
    let spent = |bytes| Spent { day: 20_778, bytes };
    let lease = siem.next(at_most(4)).await.unwrap();
    siem.note_spent(spent(5));
    siem.settle_all([lease]).await.unwrap();
    // Nothing is delivered with this one, and something all the same paid for.
    siem.note_spent(spent(7));
    siem.settle_all([]).await.unwrap();
    // This one is never settled.
    siem.note_spent(spent(9));
    assert_eq!(siem.spent(), Some(spent(9)));
    drop(siem);
    let mut other = reader(&store, "other").await;
    assert_eq!(other.spent(), None);
    // What no number of the database reaches is no reason to fail.
    other.note_spent(Spent { day: 1, bytes: u64::MAX });
    drain_sound(&mut other).await;
    drop(other);
    store.close().await.unwrap();

    let store = open(&settings);
    let siem = reader(&store, "siem").await;
    assert_eq!(siem.spent(), Some(spent(7)));
    assert_eq!(left(&store).await, 6);
    let largest = Spent { day: 1, bytes: i64::MAX.cast_unsigned() };
    assert_eq!(reader(&store, "other").await.spent(), Some(largest));
    // Dismissed, it takes that with it.
    drop(siem);
    store.retain_readers(&[reader_name("other")]).await.unwrap();
    assert_eq!(reader(&store, "siem").await.spent(), None);
    store.close().await.unwrap();
    assert_eq!(reader(&open(&settings), "siem").await.spent(), None);
}

#[tokio::test]
async fn thousands_of_leases_are_settled_backwards() {
    const LEASES: u64 = 5_000;
    let dir = tempfile::tempdir().unwrap();
    let store = open(&settings(dir.path()));
    append(&store, "acme", 0..LEASES).await;
    let mut siem = reader(&store, "siem").await;
    let mut leases = Vec::new();
    while let Some(mut lease) = siem.try_next(at_most(1)).await.unwrap() {
        lease.release();
        leases.push(lease);
    }
    let first = leases.remove(0);
    while let Some(lease) = leases.pop() {
        siem.settle(lease, 1).await.unwrap();
    }
    assert_eq!(left(&store).await, LEASES);
    siem.settle_all([first]).await.unwrap();
    assert_eq!(left(&store).await, 0);
}

#[tokio::test]
async fn a_lease_gathers_small_batches() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&settings(dir.path()));
    for n in 0..30 {
        append(&store, "acme", n..n + 1).await;
    }
    let mut siem = reader(&store, "siem").await;
    let lease = siem.next(at_most(20)).await.unwrap();
    assert_eq!(numbers(lease.entries()), (0..20).collect::<Vec<_>>());
    siem.settle(lease, 13).await.unwrap();
    assert_eq!(left(&store).await, 17);
    assert_eq!(drain_sound(&mut siem).await, (13..30).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_lease_tells_which_source_each_entry_came_from() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&settings(dir.path()));
    for (of, numbers) in [("acme", 0..3), ("emea", 3..5), ("emea", 5..6), ("acme", 6..9)] {
        append(&store, of, numbers).await;
    }
    let mut reader = reader(&store, "siem").await;
    let mut seen = Vec::new();
    // Leases that end within a batch, and begin there.
    while let Some(lease) = reader.try_next(at_most(4)).await.unwrap() {
        let of_sources = lease.by_source().map(|(_, entries)| entries.len()).sum::<usize>();
        assert_eq!(of_sources, lease.entries().len());
        for (source, entries) in lease.by_source() {
            seen.extend(numbers(entries).into_iter().map(|number| (source.as_str().to_owned(), number)));
        }
        let all = lease.entries().len();
        reader.settle(lease, all).await.unwrap();
    }
    let of = |name: &str, numbers: std::ops::Range<u64>| numbers.map(|n| (name.to_owned(), n)).collect();
    let meant: [Vec<_>; 3] = [of("acme", 0..3), of("emea", 3..6), of("acme", 6..9)];
    assert_eq!(seen, meant.concat());
}

#[tokio::test]
async fn what_a_lease_did_not_deliver_is_handed_out_again_with_all_behind_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&settings(dir.path()));
    append(&store, "acme", 0..30).await;
    let mut siem = reader(&store, "siem").await;
    let one = siem.next(at_most(10)).await.unwrap();
    let two = siem.next(at_most(10)).await.unwrap();
    siem.settle(one, 4).await.unwrap();
    assert_eq!(left(&store).await, 26);
    // The second lies behind the gap: its entries come again, and settling it moves nothing.
    siem.settle(two, 10).await.unwrap();
    assert_eq!(left(&store).await, 26);
    assert_eq!(drain_sound(&mut siem).await, (4..30).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_dropped_lease_wakes_a_reader_that_waits() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&settings(dir.path()));
    append(&store, "acme", 0..10).await;
    let mut siem = reader(&store, "siem").await;
    let lease = siem.next(at_most(10)).await.unwrap();
    let (again, ()) = tokio::join!(siem.next(at_most(10)), async move {
        tokio::task::yield_now().await;
        drop(lease);
    });
    assert_eq!(numbers(again.unwrap().entries()), (0..10).collect::<Vec<_>>());
    assert_eq!(left(&store).await, 10);
}

#[tokio::test]
async fn next_waits_for_entries_and_may_be_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&settings(dir.path()));
    let mut siem = reader(&store, "siem").await;
    tokio::select! {
        biased;
        lease = siem.next(at_most(10)) => panic!("{lease:?}"),
        () = tokio::time::sleep(Duration::from_millis(20)) => {}
    }
    let (lease, appended) = tokio::join!(siem.next(at_most(10)), append(&store, "acme", 0..3));
    assert_eq!(appended.fresh, 3);
    assert_eq!(numbers(lease.unwrap().entries()), [0, 1, 2]);
}

#[tokio::test]
async fn a_call_given_up_at_any_await_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&settings(dir.path()));
    append(&store, "acme", 0..500).await;
    let mut siem = reader(&store, "siem").await;
    let mut read = Vec::new();
    for polls in 0.. {
        let lease = polled(siem.next(at_most(10)), polls % 4).await;
        if let Some(lease) = lease {
            let lease = lease.unwrap();
            read.extend(numbers(lease.entries()));
            let count = lease.entries().len();
            siem.settle(lease, count).await.unwrap();
        }
        if read.len() >= 500 {
            break;
        }
    }
    assert_eq!(read, (0..500).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_reader_of_some_sources_passes_over_the_others_and_does_not_hold_them() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&settings(dir.path()));
    let mut some = store.reader(reader_name("some"), Some(vec![source("b")])).await.unwrap();
    append(&store, "a", 0..10).await;
    append(&store, "b", 10..20).await;
    append(&store, "c", 20..30).await;
    assert_eq!(drain_sound(&mut some).await, (10..20).collect::<Vec<_>>());
    let backlog = store.backlog(&reader_name("some")).await.unwrap().unwrap();
    assert_eq!((backlog.entries, backlog.oldest), (0, None));
}

#[tokio::test]
async fn a_new_reader_begins_at_the_oldest_entry_kept() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&settings(dir.path()));
    append(&store, "acme", 0..10).await;
    let mut first = reader(&store, "first").await;
    drain_sound(&mut first).await;
    let mut second = reader(&store, "second").await;
    assert_eq!(drain_sound(&mut second).await, (0..10).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_reader_is_open_once_and_can_be_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&settings(dir.path()));
    let first = reader(&store, "siem").await;
    let second = store.reader(reader_name("siem"), None).await;
    assert!(matches!(second, Err(StoreError::ReaderTaken(name)) if name == reader_name("siem")));
    drop(first);
    reader(&store, "siem").await;
}

#[tokio::test]
async fn delivered_entries_are_deleted_after_the_retention_and_undelivered_ones_never() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { retention: Duration::ZERO, ..settings(dir.path()) };
    let store = open(&settings);
    for n in 0..20 {
        append(&store, "acme", n * 10..n * 10 + 10).await;
    }
    let mut siem = reader(&store, "siem").await;
    let mut slow = reader(&store, "slow").await;
    drain_sound(&mut siem).await;
    let lease = slow.next(at_most(55)).await.unwrap();
    slow.settle(lease, 55).await.unwrap();
    assert_eq!(store.usage().entries, 200, "nobody said which readers count");

    store.retain_readers(&[reader_name("siem"), reader_name("slow")]).await.unwrap();
    usage(&store, |usage| usage.batches == 15).await;
    assert_eq!(drain_sound(&mut slow).await, (55..200).collect::<Vec<_>>());
    usage(&store, |usage| usage.batches == 0 && usage.entries == 0).await;
    // Deleted entries are remembered all the same.
    assert_eq!(append(&store, "acme", 0..200).await, Appended { fresh: 0, seen: 200, late: Vec::new() });
}

#[tokio::test]
async fn a_reader_that_no_longer_counts_holds_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { retention: Duration::ZERO, ..settings(dir.path()) };
    let store = open(&settings);
    append(&store, "acme", 0..10).await;
    let mut siem = reader(&store, "siem").await;
    let mut gone = reader(&store, "gone").await;
    drain_sound(&mut siem).await;
    let lease = gone.next(at_most(3)).await.unwrap();
    store.retain_readers(&[reader_name("siem")]).await.unwrap();
    usage(&store, |usage| usage.batches == 0).await;
    assert_eq!(store.backlog(&reader_name("gone")).await.unwrap(), None);
    let settled = gone.settle(lease, 3).await;
    assert!(matches!(settled, Err(StoreError::ReaderDismissed(_))), "{settled:?}");
}

#[tokio::test]
async fn what_is_delivered_goes_before_its_retention_when_the_store_is_full() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { max_size: 2 << 20, ..settings(dir.path()) };
    let store = open(&settings);
    store.retain_readers(&[reader_name("siem")]).await.unwrap();
    let mut siem = reader(&store, "siem").await;
    let mut expected = 0;
    // Three times what fits.
    for n in 0..60 {
        append_noise(&store, n).await;
        let (read, lost) = drain(&mut siem, 1_000).await;
        assert_eq!(lost, []);
        expected += read.len();
        let usage = store.usage();
        assert!(usage.bytes <= usage.limit, "{usage:?}");
    }
    assert_eq!(expected, 60 * 100);
    assert!(store.usage().entries < 3_000);
}

#[tokio::test]
async fn a_full_store_makes_append_wait_until_something_is_delivered() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { max_size: 2 << 20, ..settings(dir.path()) };
    let store = open(&settings);
    store.retain_readers(&[reader_name("siem")]).await.unwrap();
    let mut siem = reader(&store, "siem").await;
    let filling = tokio::spawn({
        let store = store.clone();
        async move {
            for n in 0..40 {
                append_noise(&store, n).await;
            }
        }
    });
    usage(&store, |usage| usage.full == Some(Full::Limit)).await;
    assert!(!filling.is_finished());
    let held = store.usage();
    assert!(held.bytes <= held.limit, "{held:?}");
    // The bookmark of another source moves all the same.
    append(&store, "quiet", 3..3).await;

    let mut read = Vec::new();
    while read.len() < 4_000 {
        let lease = siem.next(at_most(1_000)).await.unwrap();
        read.extend(numbers(lease.entries()));
        let count = lease.entries().len();
        siem.settle(lease, count).await.unwrap();
    }
    filling.await.unwrap();
    assert_eq!(read, (0..4_000).collect::<Vec<_>>());
    usage(&store, |usage| usage.full.is_none()).await;
}

#[tokio::test]
async fn a_batch_that_never_fits_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { max_size: 1 << 20, ..settings(dir.path()) };
    let store = open(&settings);
    let large = (0..200).map(|n| sized(n, 10_000)).collect();
    let batch = Batch::new(source("acme"), large, Bookmark::default());
    let refused = store.append(batch).await;
    assert!(matches!(refused, Err(StoreError::TooLarge { .. })), "{refused:?}");
    assert_eq!(append(&store, "acme", 0..10).await.fresh, 10);
}

#[tokio::test]
async fn space_is_given_back_to_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { retention: Duration::ZERO, ..settings(dir.path()) };
    let store = open(&settings);
    let mut siem = reader(&store, "siem").await;
    for n in 0..120 {
        append_noise(&store, n).await;
    }
    store.close().await.unwrap();
    drop(siem);
    let file = settings.dir.join("store.db");
    let before = std::fs::metadata(&file).unwrap().len();

    let store = open(&settings);
    siem = reader(&store, "siem").await;
    drain(&mut siem, 1_000).await;
    store.retain_readers(&[reader_name("siem")]).await.unwrap();
    usage(&store, |usage| usage.batches == 0 && usage.free_bytes <= 4 << 20).await;
    drop(siem);
    store.close().await.unwrap();
    let after = std::fs::metadata(&file).unwrap().len();
    assert!(after <= before / 2, "{before} → {after}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_of_changes_stays_small_while_readers_read() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { max_size: 64 << 20, ..settings(dir.path()) };
    let store = open(&settings);
    let reading = ["one", "two"].map(|name| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut reader = reader(&store, name).await;
            let mut read = 0;
            while read < 15_000 {
                let lease = reader.next(at_most(40)).await.unwrap();
                let count = lease.entries().len();
                read += count;
                reader.settle(lease, count).await.unwrap();
            }
        })
    });
    let mut largest = 0;
    for n in 0..150 {
        append_noise(&store, n).await;
        largest = largest.max(store.usage().wal_bytes);
    }
    for reading in reading {
        reading.await.unwrap();
    }
    // 12 MB went through it; a sixty-fourth of the size limit is what it may have, and one batch.
    assert!(largest < 2 << 20, "{largest}");
}

#[tokio::test]
async fn a_closed_store_says_so_to_all() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&settings(dir.path()));
    let mut siem = reader(&store, "siem").await;
    let clone = store.clone();
    let (waiting, closed) = tokio::join!(siem.next(at_most(1)), store.close());
    closed.unwrap();
    assert!(matches!(waiting, Err(StoreError::Closed)), "{waiting:?}");
    assert!(matches!(clone.append(batch("acme", 0..1)).await, Err(StoreError::Closed)));
    assert!(matches!(clone.bookmark(&source("acme")).await, Err(StoreError::Closed)));
}

#[tokio::test]
async fn an_append_given_up_has_happened_wholly_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path());
    let store = open(&settings);
    for n in 0..100_u64 {
        let append = store.append(batch("acme", n * 10..n * 10 + 10));
        tokio::select! {
            biased;
            () = async { for _ in 0..n % 3 { tokio::task::yield_now().await } } => {}
            done = append => { done.unwrap(); }
        }
    }
    store.close().await.unwrap();
    let store = open(&settings);
    let mut siem = reader(&store, "siem").await;
    let read = drain_sound(&mut siem).await;
    for tens in read.chunks(10) {
        assert_eq!(tens[0] % 10, 0);
        assert_eq!(tens, (tens[0]..tens[0] + 10).collect::<Vec<_>>());
    }
    let bookmark = store.bookmark(&source("acme")).await.unwrap().map(|b| bookmarked(&b));
    assert_eq!(bookmark, read.last().map(|last| last + 1));
}

#[tokio::test]
async fn hostile_entries_come_back_as_they_went_in() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&settings(dir.path()));
    let texts = [
        String::from("{}"),
        format!(r#"{{"id":"","x":"{}"}}"#, "A".repeat(3 << 20)),
        String::from(r#"{"id":"\u0000'; DROP TABLE batch;--","action":"\ud800","date_create":-1}"#),
        String::from(r#"{"id":"x","date_create":9223372036854775807}"#),
        String::from(r#"{"id":"x","date_create":-9223372036854775808}"#),
    ];
    let hostile: Vec<_> = texts
        .into_iter()
        .map(|text| Entry::from_raw(Log::Audit, text.into(), UnixTime::from_seconds(i64::MIN), 0).unwrap())
        .collect();
    let name = "'\"; DROP TABLE id; -- \u{0}\u{202e}";
    let batch = Batch::new(source(name), hostile.clone(), Bookmark::new(vec![0; 9_999]));
    assert_eq!(store.append(batch.clone()).await.unwrap().fresh, 5);
    assert_eq!(store.append(batch).await.unwrap().seen, 5);
    assert_eq!(store.bookmark(&source(name)).await.unwrap(), Some(Bookmark::new(vec![0; 9_999])));
    let mut siem = reader(&store, name).await;
    assert_eq!(drain(&mut siem, 2).await, (hostile, vec![]));
}

/// The future's result when it is ready within so many polls; else it is dropped.
async fn polled<T>(future: impl Future<Output = T>, polls: usize) -> Option<T> {
    let mut future = std::pin::pin!(future);
    let mut left = polls;
    std::future::poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending if left == 0 => Poll::Ready(None),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}

async fn left(store: &slackcef::store::Store) -> u64 {
    store.backlog(&reader_name("siem")).await.unwrap().unwrap().entries
}

/// A hundred entries of about 100 KB together that do not compress much.
async fn append_noise(store: &slackcef::store::Store, n: u64) {
    let entries = (n * 100..n * 100 + 100).map(|n| sized(n, 1_000)).collect();
    let batch = Batch::new(source("acme"), entries, Bookmark::new(n.to_le_bytes()));
    assert_eq!(store.append(batch).await.unwrap().fresh, 100);
}

/// Waits until the store's usage is so.
async fn usage(store: &slackcef::store::Store, so: impl Fn(&slackcef::store::Usage) -> bool) {
    let mut usage = store.watch_usage();
    let waited = tokio::time::timeout(Duration::from_secs(20), usage.wait_for(|usage| so(usage))).await;
    assert!(waited.is_ok(), "{:?}", store.usage());
}
