//! A store looked at from beside it: open, closed, killed, damaged, taken up meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use slackcef::event::Entry;
use slackcef::store::{
    Appended, Archive, Backlog, Batch, Bookmark, OpenError, Settings, SourceId, Stored, Survey,
};

use crate::store_support::*;

/// The files of a folder with their bytes; the index that SQLite's readers share is theirs to change.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let named =
        |file: fs::DirEntry| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap());
    let all = fs::read_dir(dir).unwrap().map(|file| named(file.unwrap()));
    all.filter(|(name, _)| !name.ends_with("-shm")).collect()
}

fn shown(last: &[(SourceId, Entry)]) -> Vec<(&str, u64)> {
    let sound = |found: &Entry| {
        assert_eq!(*found, entry(number(found)));
        number(found)
    };
    last.iter().map(|(source, found)| (source.as_str(), sound(found))).collect()
}

fn all(archive: &mut Archive) -> Vec<u64> {
    let mut found = Vec::new();
    archive.each(None, |_, entry| found.push(number(&entry))).unwrap();
    found
}

#[tokio::test]
async fn the_last_entries_of_an_open_store_come_newest_last() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path());
    let store = open(&settings);
    append(&store, "a", 0..10).await;
    append(&store, "b", 100..110).await;
    append(&store, "a", 10..13).await;
    let before = files(&settings.dir);

    let mut archive = Archive::open(&settings.dir).unwrap();
    let last = archive.last(5, None).unwrap();
    assert_eq!(shown(&last), [("b", 108), ("b", 109), ("a", 10), ("a", 11), ("a", 12)]);
    let last = archive.last(5, Some(&source("a"))).unwrap();
    assert_eq!(shown(&last), [("a", 8), ("a", 9), ("a", 10), ("a", 11), ("a", 12)]);
    assert_eq!(archive.last(50, Some(&source("a"))).unwrap().len(), 13);
    assert_eq!(archive.last(50, Some(&source("c"))).unwrap(), []);
    assert_eq!(archive.last(0, None).unwrap(), []);
    assert_eq!(all(&mut archive), (0..10).chain(100..110).chain(10..13).collect::<Vec<_>>());
    assert_eq!(archive.lost(), []);
    assert_eq!(files(&settings.dir), before);

    append(&store, "a", 13..20).await;
    let mut later = Archive::open(&settings.dir).unwrap();
    assert_eq!(shown(&later.last(1, None).unwrap()), [("a", 19)]);
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_closed_store_is_left_as_it_lies() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { dir: dir.path().join("a folder?with#signs%20"), ..settings(dir.path()) };
    let store = open(&settings);
    append(&store, "a", 0..300).await;
    store.close().await.unwrap();
    let before = files(&settings.dir);
    assert!(!before.contains_key("store.db-wal"));

    let mut archive = Archive::open(&settings.dir).unwrap();
    assert_eq!(shown(&archive.last(2, None).unwrap()), [("a", 298), ("a", 299)]);
    assert_eq!(all(&mut archive), (0..300).collect::<Vec<_>>());
    drop(archive);
    assert_eq!(files(&settings.dir), before);
    assert!(!settings.dir.join("store.db-shm").exists());
}

#[tokio::test]
async fn a_store_that_is_taken_up_while_it_is_looked_at_is_read_rightly() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { retention: Duration::ZERO, max_size: 16 << 20, ..settings(dir.path()) };
    let store = open(&settings);
    for n in 0..20 {
        append(&store, "a", n * 50..(n + 1) * 50).await;
    }
    store.close().await.unwrap();
    let mut archive = Archive::open(&settings.dir).unwrap();

    let store = open(&settings);
    store.retain_readers(&[reader_name("siem")]).await.unwrap();
    let mut siem = reader(&store, "siem").await;
    drain_sound(&mut siem).await;
    for n in 20..40 {
        append(&store, "a", n * 50..(n + 1) * 50).await;
    }
    drain_sound(&mut siem).await;
    append(&store, "a", 2_000..2_001).await;
    let mut usage = store.watch_usage();
    usage.wait_for(|usage| usage.entries < 100).await.unwrap();

    // What was deleted meanwhile is no damage, and nothing is shown that was not stored.
    shown(&archive.last(500, None).unwrap());
    assert_eq!(archive.lost(), []);
    assert_eq!(shown(&Archive::open(&settings.dir).unwrap().last(1, None).unwrap()), [("a", 2_000)]);
    store.close().await.unwrap();
}

#[tokio::test]
async fn damage_is_told_and_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path());
    let store = open(&settings);
    for n in 0..4 {
        append(&store, "a", n * 10..(n + 1) * 10).await;
    }
    store.close().await.unwrap();
    let db = Connection::open(settings.dir.join("store.db")).unwrap();
    db.execute("UPDATE batch SET count = 11 WHERE number = 2", []).unwrap();
    db.execute("UPDATE batch SET body = zeroblob(length(body)) WHERE number = 4", []).unwrap();
    db.close().unwrap();

    let mut archive = Archive::open(&settings.dir).unwrap();
    assert_eq!(all(&mut archive), (0..10).chain(20..30).collect::<Vec<_>>());
    let lost: Vec<_> = archive.lost().iter().map(|lost| (lost.batches.clone(), lost.entries)).collect();
    assert_eq!(lost, [(2..=2, 10), (4..=4, 10)]);
    assert_eq!(Archive::open(&settings.dir).unwrap().last(3, None).unwrap(), [], "the last three are lost");
}

#[tokio::test]
async fn a_survey_says_how_far_everybody_is() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path());
    let store = open(&settings);
    append(&store, "a", 0..10).await;
    append(&store, "b", 100..110).await;
    let mut fast = reader(&store, "fast").await;
    let slow = reader(&store, "slow").await;
    drain_sound(&mut fast).await;
    append(&store, "a", 10..13).await;
    let found = |survey: Survey| {
        let sources: Vec<_> =
            survey.sources.iter().map(|(name, at)| (name.to_string(), bookmarked(at))).collect();
        assert_eq!(sources, [("a".to_owned(), 13), ("b".to_owned(), 110)]);
        assert_eq!(survey.entries, 23);
        survey.readers
    };
    let open_now = found(Archive::open(&settings.dir).unwrap().survey().unwrap());
    let expected = [("fast", 3, 10), ("slow", 23, 0)].map(|(name, entries, oldest)| {
        (reader_name(name), Backlog { entries, oldest: Some(entry(oldest).at()) })
    });
    assert_eq!(open_now, expected);
    for (name, backlog) in &open_now {
        assert_eq!(store.backlog(name).await.unwrap().as_ref(), Some(backlog), "the service says the same");
    }
    drop((fast, slow));
    store.close().await.unwrap();
    let before = files(&settings.dir);
    assert_eq!(found(Archive::open(&settings.dir).unwrap().survey().unwrap()), expected);
    assert_eq!(files(&settings.dir), before);
    Connection::open(settings.dir.join("store.db"))
        .unwrap()
        .execute_batch("UPDATE source SET bookmark = x'00' WHERE name = 'a'")
        .unwrap();
    let error = Archive::open(&settings.dir).unwrap().survey().unwrap_err();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
}

#[tokio::test]
async fn batches_are_shown_with_what_is_known_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path());
    let store = open(&settings);
    append(&store, "a", 0..10).await;
    // What a second reading finds, and what it finds to be there.
    store.append(late(batch("a", 0..12))).await.unwrap();
    store.append(late(batch("a", 0..12))).await.unwrap();
    append(&store, "b", 100..103).await;
    // A page larger than a batch: all of it is late.
    let large = Batch::new(source("b"), (200..1_200).map(|n| sized(n, 3_000)).collect(), Bookmark::default());
    store.append(late(large)).await.unwrap();

    let mut siem = store.reader(reader_name("siem"), Some(vec![source("a")])).await.unwrap();
    let lease = siem.next(at_most(11)).await.unwrap();
    siem.settle(lease, 11).await.unwrap();
    let shown = |of: Option<&str>| {
        let mut shown = Vec::new();
        let of = of.map(source);
        let mut archive = Archive::open(&settings.dir).unwrap();
        archive.each_batch(of.as_ref(), |batch| shown.push(batch)).unwrap();
        assert_eq!(archive.lost(), []);
        shown
    };
    let summary = |all: &[Stored]| {
        let told = |batch: &Stored| (batch.source.to_string(), batch.serial, batch.entries.len(), batch.late);
        all.iter().map(told).collect::<Vec<_>>()
    };
    let told = |of: &str, serial, count, late| (of.to_owned(), serial, count, late);
    let all = shown(None);
    assert_eq!(
        summary(&all)[..3],
        [told("a", 0, 10, false), told("a", 10, 2, true), told("b", 12, 3, false)]
    );
    let large = &all[3..];
    assert!(large.len() > 1 && large.iter().all(|batch| batch.late));
    assert_eq!(large.iter().map(|batch| batch.entries.len()).sum::<usize>(), 1_000);
    let mut next = 0;
    for batch in &all {
        assert_eq!(batch.serial, next);
        next += batch.entries.len() as u64;
        let age = all[0].at.seconds() - batch.at.seconds();
        assert!((-600..=0).contains(&age) && batch.at.seconds() > BEGIN, "{batch:?}");
    }
    assert_eq!(summary(&shown(Some("a"))), summary(&all)[..2]);
    let survey = Archive::open(&settings.dir).unwrap().survey().unwrap();
    assert_eq!(survey.positions, [(reader_name("siem"), 11)]);
    drop(siem);
    store.close().await.unwrap();

    // A mark that is damaged, or of another batch that had the number, is none.
    let db = Connection::open(settings.dir.join("store.db")).unwrap();
    db.execute_batch("UPDATE late SET seal = x'00' WHERE batch = 2; INSERT INTO late SELECT 3, seal FROM late WHERE batch = 4")
        .unwrap();
    db.close().unwrap();
    assert!(shown(None)[..3].iter().all(|batch| !batch.late));
    assert!(shown(None)[3..].iter().all(|batch| batch.late));

    // Marks go with their batches.
    let settings = Settings { retention: Duration::ZERO, ..settings };
    let store = open(&settings);
    store.retain_readers(&[]).await.unwrap();
    store.watch_usage().wait_for(|usage| usage.batches == 0).await.unwrap();
    store.close().await.unwrap();
    let db = Connection::open(settings.dir.join("store.db")).unwrap();
    let marks: u64 = db.query_row("SELECT count(*) FROM late", [], |row| row.get(0)).unwrap();
    assert_eq!(marks, 0);
}

#[tokio::test]
async fn what_is_no_store_is_refused_and_nothing_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let absent = dir.path().join("absent");
    let error = Archive::open(&absent).unwrap_err();
    assert!(matches!(&error, OpenError::Absent { dir } if *dir == absent), "{error:?}");
    assert!(!error.help().is_empty());
    assert!(!absent.exists());
    assert!(matches!(Archive::open(dir.path()), Err(OpenError::Absent { .. })));
    assert_eq!(files(dir.path()), BTreeMap::new());

    let settings = settings(dir.path());
    open(&settings).close().await.unwrap();
    let database = settings.dir.join("store.db");
    let sound = fs::read(&database).unwrap();
    let altered = |sql: &str| {
        fs::write(&database, &sound).unwrap();
        let db = Connection::open(&database).unwrap();
        db.execute_batch(sql).unwrap();
        db.close().unwrap();
        Archive::open(&settings.dir).unwrap_err()
    };
    assert!(matches!(altered("PRAGMA user_version = 99"), OpenError::TooNew { found: 99, .. }));
    assert!(matches!(altered("PRAGMA application_id = 7"), OpenError::Foreign { .. }));
    assert!(matches!(altered("CREATE TABLE more (one INTEGER)"), OpenError::Damaged { .. }));
    assert!(matches!(altered("UPDATE extent SET last = 7"), OpenError::Damaged { .. }));
    for broken in [&b""[..], b"not a database, but long enough to be looked at as one by anybody"] {
        fs::write(&database, broken).unwrap();
        let error = Archive::open(&settings.dir).unwrap_err();
        assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn what_is_new_and_happened_before_a_second_that_was_read_is_late() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path());
    let store = open(&settings);
    append(&store, "a", 0..4).await;
    append(&store, "a", 6..8).await;
    // Four a second: of the first two seconds, the middle of the second one was missing.
    let third = entry(8).at();
    let page = Batch { late_before: Some(third), ..batch("a", 0..16) };
    let appended = store.append(page.clone()).await.unwrap();
    let second = entry(4).at();
    assert_eq!(appended, Appended { fresh: 10, seen: 6, late: vec![second, second] });
    assert_eq!(store.append(page).await.unwrap(), Appended { fresh: 0, seen: 16, late: Vec::new() });

    let mut shown = Vec::new();
    let mut archive = Archive::open(&settings.dir).unwrap();
    archive.each_batch(None, |batch| shown.push((numbers(&batch.entries), batch.late))).unwrap();
    let on_time = |range: std::ops::Range<u64>| (range.collect::<Vec<_>>(), false);
    assert_eq!(shown, [on_time(0..4), on_time(6..8), (vec![4, 5], true), on_time(8..16)]);
}

#[tokio::test]
async fn what_is_still_there_of_each_source_begins_behind_what_was_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { retention: Duration::ZERO, ..settings(dir.path()) };
    let store = open(&settings);
    append(&store, "a", 0..50).await;
    append(&store, "a", 60..100).await;
    append(&store, "quiet", 0..8).await;
    // What came late lies before the rest, and says nothing of what lies between.
    store.append(late(batch("a", 50..60))).await.unwrap();
    append(&store, "a", 100..200).await;
    let sources = BTreeSet::from(["a", "quiet"].map(source));
    let begins = |settings: &Settings| Archive::open(&settings.dir).unwrap().begins(&sources).unwrap();
    assert_eq!(begins(&settings), None, "nothing was deleted");

    let mut siem = reader(&store, "siem").await;
    let lease = siem.next(at_most(98)).await.unwrap();
    siem.settle(lease, 98).await.unwrap();
    store.retain_readers(&[reader_name("siem")]).await.unwrap();
    store.watch_usage().wait_for(|usage| usage.batches == 2).await.unwrap();
    let kept = begins(&settings).unwrap();
    assert_eq!(kept.of(&source("a")), Some(entry(100).at().plus(1)));
    // Of the quiet one nothing is kept; what happened since the oldest that is kept was stored would be.
    let stored = kept.of(&source("quiet")).unwrap();
    assert!(stored > entry(200).at());

    // Of a range the batches are found that reach into it.
    let mut found = Vec::new();
    let mut archive = Archive::open(&settings.dir).unwrap();
    let (from, to) = (entry(60).at(), entry(100).at());
    archive.each_batch_between(&sources, from, to, |batch| found.push(numbers(&batch.entries))).unwrap();
    assert_eq!(found, Vec::<Vec<u64>>::new(), "all of it is deleted");
    archive
        .each_batch_between(&sources, to, to.plus(1), |batch| found.push(numbers(&batch.entries)))
        .unwrap();
    assert_eq!(found, [(100..200).collect::<Vec<_>>()]);
}
