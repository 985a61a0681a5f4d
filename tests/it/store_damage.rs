//! Bits that flip, sectors that vanish, logs that are torn: what was stored is served as it was or
//! not at all, and what is missing is told.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use slackcef::store::{Batch, Bookmark, Lost, OpenError, Repair, Settings, Spent, Store, StoreError};

use crate::store_support::*;

/// Entries of source `a`; source `b` has as many, stored in between.
const EACH: u64 = 600;

/// The files of a store, as they would lie on the disk.
#[derive(Clone)]
struct Image {
    database: Vec<u8>,
    log: Vec<u8>,
}

impl Image {
    fn of(dir: &Path) -> Self {
        Self {
            database: fs::read(dir.join("store.db")).unwrap(),
            log: fs::read(dir.join("store.db-wal")).unwrap_or_default(),
        }
    }

    /// Lays the files out; the folder is the one of `settings`.
    fn lay_out(&self, settings: &Settings) {
        fs::create_dir_all(&settings.dir).unwrap();
        for entry in fs::read_dir(&settings.dir).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
        fs::write(settings.dir.join("store.db"), &self.database).unwrap();
        if !self.log.is_empty() {
            fs::write(settings.dir.join("store.db-wal"), &self.log).unwrap();
        }
        close_to_others(&settings.dir);
    }
}

fn close_to_others(dir: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).unwrap();
}

/// A small store, so that the log of changes is carried over often.
fn small(dir: &Path) -> Settings {
    Settings { max_size: 16 << 20, ..settings(dir) }
}

/// Both sources stored in steps, the reader `siem` a third of the way.
async fn fill(store: &Store) {
    for n in 0..12 {
        let each = EACH / 12;
        append(store, "a", n * each..(n + 1) * each).await;
        append(store, "b", n * each..(n + 1) * each).await;
    }
    let mut siem = reader(store, "siem").await;
    let mut settled = 0;
    while settled < 400 {
        let lease = siem.next(at_most(100)).await.unwrap();
        let count = lease.entries().len();
        siem.settle(lease, count).await.unwrap();
        settled += count;
    }
}

async fn closed_store(dir: &Path) -> Image {
    let settings = small(dir);
    let store = open(&settings);
    fill(&store).await;
    for of in ["a", "b"] {
        let memos = (0..EACH).map(|n| memo(n, n)).collect();
        store.append(Batch { memos, ..batch(of, EACH..EACH) }).await.unwrap();
    }
    store.close().await.unwrap();
    assert!(!settings.dir.join("store.db-wal").exists());
    Image::of(&settings.dir)
}

#[derive(Debug, Default)]
struct Tally {
    refused: u32,
    lost: u32,
    unharmed: u32,
    reset: u32,
    forgotten: u32,
}

/// Does to some bytes what disks do.
fn harm(bytes: &mut [u8], random: &mut fastrand::Rng) {
    let faults = if random.u8(..4) == 0 { random.usize(2..5) } else { 1 };
    for _ in 0..faults {
        let at = random.usize(..bytes.len());
        if random.bool() {
            bytes[at] ^= 1 << random.u8(..8);
        } else {
            let sector = at / 512 * 512;
            let end = (sector + 512).min(bytes.len());
            bytes[sector..end].fill(0);
        }
    }
}

/// Every entry served equals one that was stored; what is missing was told, to the entry.
async fn served_or_told(store: &Store, name: &str, expected: &[u64]) -> Vec<Lost> {
    let mut reader = reader(store, name).await;
    let (served, lost) = drain(&mut reader, 250).await;
    for found in &served {
        assert_eq!(*found, entry(number(found)));
    }
    let served = numbers(&served);
    let told: u64 = lost.iter().map(|lost| lost.entries).sum();
    assert_eq!(served.len() as u64 + told, expected.len() as u64, "{lost:?}");
    let mut rest = expected.iter();
    assert!(served.iter().all(|n| rest.any(|other| other == n)), "served in another order");
    for lost in &lost {
        assert!(!lost.to_string().is_empty() && !lost.help().is_empty());
    }
    lost
}

/// What the two sources stored, in order.
fn stored() -> Vec<u64> {
    let each = EACH / 12;
    (0..12).flat_map(|n| [n * each..(n + 1) * each, n * each..(n + 1) * each]).flatten().collect()
}

#[tokio::test]
async fn a_harmed_file_is_refused_or_serves_only_what_is_sound_and_tells_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let sound = closed_store(dir.path()).await;
    let trial = tempfile::tempdir().unwrap();
    let settings = small(trial.path());
    let mut tally = Tally::default();
    for seed in 0..trials(300) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut image = sound.clone();
        harm(&mut image.database, &mut random);
        image.lay_out(&settings);
        look_at_harmed(&settings, seed, &mut tally).await;
    }
    // Were most of them refused, or none harmed, this test would show nothing.
    assert!(tally.lost > 20 && tally.unharmed > 20 && tally.refused > 2, "{tally:?}");
    assert!(tally.forgotten > 5, "{tally:?}");
}

/// Trials in one run; more by hand with `SLACKCEF_TEST_TRIALS`.
fn trials(usually: u64) -> u64 {
    std::env::var("SLACKCEF_TEST_TRIALS").ok().and_then(|n| n.parse().ok()).unwrap_or(usually)
}

async fn look_at_harmed(settings: &Settings, seed: u64, tally: &mut Tally) {
    let (store, repairs) = match Store::open(settings) {
        Ok(opened) => opened,
        Err(error) => {
            assert!(is_account_of_damage(&error), "{seed}: {error:?}");
            tally.refused += 1;
            return;
        }
    };
    let everything = stored();
    let reset = repairs.contains(&Repair::Positions { readers: 1 });
    tally.reset += u32::from(reset);
    for name in ["a", "b"] {
        let bookmark = store.bookmark(&source(name)).await.unwrap().unwrap();
        assert_eq!(bookmarked(&bookmark), EACH, "{seed}");
    }
    let known = store.backlog(&reader_name("siem")).await.unwrap().is_some();
    let settled = if reset || !known { 0 } else { 400 };
    served_or_told(&store, "siem", &everything[settled..]).await;
    let lost = served_or_told(&store, "fresh", &everything).await;
    if lost.is_empty() {
        tally.unharmed += 1;
    } else {
        tally.lost += 1;
    }

    // A memo is what it was, or was never there.
    for name in ["a", "b"] {
        let recalled = recall(&store, name, 0..EACH + 5).await;
        for (n, found) in (0_u64..).zip(&recalled) {
            assert!(found.as_ref().is_none_or(|found| n < EACH && *found == memo(n, n)), "{seed}: {found:?}");
        }
        tally.forgotten += u32::from(recalled.iter().flatten().count() < usize::try_from(EACH).unwrap());
    }

    // It goes on taking entries, or says why not; what it takes can be read.
    let mut fresh = reader(&store, "fresh").await;
    match store.append(batch("a", EACH..EACH + 50)).await {
        Ok(appended) => {
            assert_eq!(appended.fresh, 50);
            let (served, lost) = drain(&mut fresh, 1_000).await;
            let told: u64 = lost.iter().map(|lost| lost.entries).sum();
            assert_eq!(served.len() as u64 + told, 50, "{seed}");
        }
        Err(error) => assert!(error.is_final(), "{seed}: {error:?}"),
    }
    drop(fresh);
    store.close().await.ok();
}

fn is_account_of_damage(error: &OpenError) -> bool {
    let told = !error.to_string().is_empty() && !error.help().is_empty();
    told && matches!(
        error,
        OpenError::Damaged { .. }
            | OpenError::Foreign { .. }
            | OpenError::TooNew { .. }
            | OpenError::Database { .. }
    )
}

#[tokio::test]
async fn a_harmed_or_torn_log_loses_nothing_that_slack_is_not_asked_for_again() {
    let dir = tempfile::tempdir().unwrap();
    let settings = small(dir.path());
    let store = open(&settings);
    fill(&store).await;
    append(&store, "a", EACH..EACH + 40).await;
    // Nothing is being written now: the files are as a kill would leave them.
    let killed = Image::of(&settings.dir);
    drop(store);
    assert!(killed.log.len() > 100_000, "{}", killed.log.len());

    let trial = tempfile::tempdir().unwrap();
    let settings = small(trial.path());
    let (mut refused, mut set_back) = (0_u64, 0_u64);
    let trials = trials(200);
    for seed in 0..trials {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut image = killed.clone();
        match random.u8(..3) {
            0 => image.log.truncate(random.usize(..killed.log.len())),
            1 => harm(&mut image.log, &mut random),
            _ => {
                harm(&mut image.log, &mut random);
                harm(&mut image.database, &mut random);
            }
        }
        image.lay_out(&settings);
        match read_slack_again(&settings, seed).await {
            Some(again) => set_back += u64::from(again),
            None => refused += 1,
        }
    }
    assert!(set_back > 10 && refused < trials * 2 / 3, "set back {set_back}, refused {refused}");
}

/// Goes on as a poller would, from the bookmark; then all entries are there or told.
/// `None` when the store is refused; else whether the bookmark had been set back.
async fn read_slack_again(settings: &Settings, seed: u64) -> Option<bool> {
    let store = match Store::open(settings) {
        Ok((store, _)) => store,
        Err(error) => {
            assert!(is_account_of_damage(&error), "{seed}: {error:?}");
            return None;
        }
    };
    let mut set_back = false;
    for (name, end) in [("a", EACH + 40), ("b", EACH)] {
        let bookmark = store.bookmark(&source(name)).await.unwrap();
        let from = bookmark.as_ref().map_or(0, bookmarked);
        assert!(from <= end);
        set_back |= from < end;
        for begin in (from..end).step_by(35) {
            match store.append(batch(name, begin..(begin + 35).min(end))).await {
                Ok(_) => {}
                Err(error) => {
                    assert!(error.is_final(), "{seed}: {error:?}");
                    // Its files are about to be replaced: it must have let go of them.
                    store.close().await.ok();
                    return None;
                }
            }
        }
    }
    let mut all = reader(&store, "fresh").await;
    let (served, lost) = drain(&mut all, 250).await;
    for found in &served {
        assert_eq!(*found, entry(number(found)));
    }
    let told: u64 = lost.iter().map(|lost| lost.entries).sum();
    let distinct: BTreeSet<u64> = numbers(&served).into_iter().collect();
    if told == 0 {
        assert_eq!(distinct, (0..EACH + 40).collect(), "{seed}");
        // Both sources: each number that both stored comes twice.
        assert!(served.len() as u64 >= 2 * EACH + 40, "{seed}: {}", served.len());
    } else {
        assert!(served.len() as u64 + told >= 2 * EACH + 40, "{seed}: {} and {told}", served.len());
    }
    drop(all);
    store.close().await.ok();
    Some(set_back)
}

#[tokio::test]
async fn a_damaged_batch_is_told_once_by_source_count_and_time() {
    told_once(IN_THE_MIDDLE).await;
}

#[tokio::test]
async fn a_batch_that_may_not_be_freed_is_no_obstacle() {
    told_once("UPDATE batch SET body = CAST(substr(body, 1, packed - 1) || x'ee' AS BLOB) WHERE number = 5")
        .await;
}

const IN_THE_MIDDLE: &str = "UPDATE batch SET body = CAST(substr(body, 1, packed - 10) || x'ee' || substr(body, packed - 8) AS BLOB) WHERE number = 5";

async fn told_once(damage: &str) {
    let dir = tempfile::tempdir().unwrap();
    closed_store(dir.path()).await;
    let settings = Settings { retention: std::time::Duration::ZERO, ..small(dir.path()) };
    change(&settings.dir.join("store.db"), damage);
    let store = open(&settings);
    let mut fresh = reader(&store, "fresh").await;
    let (served, lost) = drain(&mut fresh, 10_000).await;
    let [told] = lost.try_into().unwrap();
    assert_eq!(told.entries, 50);
    assert_eq!(told.batches.clone().count(), 1);
    assert!(told.source.is_some() && told.times.is_some(), "{told:?}");
    assert_eq!(served.len() as u64, 2 * EACH - 50);
    assert_eq!(drain(&mut fresh, 10).await, (vec![], vec![]));

    // Delivered, reported, and no obstacle to deleting what lies around it.
    store.retain_readers(&[reader_name("fresh")]).await.unwrap();
    let mut usage = store.watch_usage();
    usage.wait_for(|usage| usage.batches == 0).await.unwrap();
    assert_eq!(append(&store, "a", EACH..EACH + 10).await.fresh, 10);
    assert_eq!(drain_sound(&mut fresh).await, (EACH..EACH + 10).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_released_lease_that_was_damaged_since_is_told_and_handed_out_as_far_as_it_is_sound() {
    let dir = tempfile::tempdir().unwrap();
    let settings = small(dir.path());
    let store = open(&settings);
    for tens in 0..3 {
        append(&store, "a", tens * 10..tens * 10 + 10).await;
    }
    let mut siem = reader(&store, "siem").await;
    let mut lease = siem.next(at_most(25)).await.unwrap();
    let behind = siem.next(at_most(25)).await.unwrap();
    lease.release();
    change(
        &settings.dir.join("store.db"),
        "UPDATE batch SET body = CAST(substr(body, 1, packed - 1) || x'ee' AS BLOB) WHERE number = 2",
    );
    for _ in 0..2 {
        match siem.reload(&mut lease).await {
            Err(StoreError::Lost(lost)) => assert_eq!((lost.batches, lost.entries), (2..=2, 10)),
            other => panic!("{other:?}"),
        }
        assert!(lease.is_released());
    }
    // The way on: it is dropped, and the damage met where everyone meets it.
    drop(lease);
    siem.settle_all([behind]).await.unwrap();
    let (served, lost) = drain(&mut siem, 300).await;
    assert_eq!(numbers(&served), (0..10).chain(20..30).collect::<Vec<_>>());
    assert_eq!(lost.len(), 1);
}

#[tokio::test]
async fn a_bookmark_that_was_tampered_with_is_refused_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let settings = small(dir.path());
    for (sql, what) in [
        ("UPDATE source SET bookmark = x'00' WHERE name = 'a'", "the bookmark of a source is damaged"),
        ("DELETE FROM source WHERE name = 'a'", "the bookmark of a source is missing"),
        ("UPDATE extent SET last = last - 1", "the row that says which batches it holds is damaged"),
        ("DROP TABLE id", "its tables are not those that were written"),
    ] {
        closed_store(dir.path()).await;
        change(&settings.dir.join("store.db"), sql);
        let error = Store::open(&settings).unwrap_err();
        assert!(error.to_string().ends_with(what), "{error}");
        assert!(error.help().contains("move it aside"), "{}", error.help());
        fs::remove_dir_all(&settings.dir).unwrap();
    }
}

#[tokio::test]
async fn a_damaged_position_repeats_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let settings = small(dir.path());
    for sql in [
        "UPDATE reader SET serial = serial + 1",
        "UPDATE reader SET batch = 99",
        "UPDATE reader SET name = 'other'",
    ] {
        closed_store(dir.path()).await;
        change(&settings.dir.join("store.db"), sql);
        let (store, repairs) = Store::open(&settings).unwrap();
        assert_eq!(repairs, [Repair::Positions { readers: 1 }], "{sql}");
        assert_eq!(drain_sound(&mut reader(&store, "siem").await).await, stored());
        store.close().await.unwrap();
        assert_eq!(Store::open(&settings).unwrap().1, [], "told once");
        fs::remove_dir_all(&settings.dir).unwrap();
    }
}

#[tokio::test]
async fn a_damaged_budget_begins_anew_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let settings = small(dir.path());
    for sql in
        ["UPDATE spent SET bytes = 0", "UPDATE spent SET day = day - 1", "UPDATE spent SET seal = x'00'"]
    {
        let store = open(&settings);
        append(&store, "a", 0..10).await;
        for (name, bytes) in [("siem", 700), ("lake", 900)] {
            let mut reader = reader(&store, name).await;
            reader.note_spent(Spent { day: 20_000, bytes });
            drain_sound(&mut reader).await;
        }
        store.close().await.unwrap();
        change(&settings.dir.join("store.db"), &format!("{sql} WHERE bytes = 700"));
        let (store, repairs) = Store::open(&settings).unwrap();
        assert_eq!(repairs, [Repair::Budgets { readers: 1 }], "{sql}");
        let mut siem = reader(&store, "siem").await;
        assert_eq!((siem.spent(), drain_sound(&mut siem).await), (None, vec![]), "its position is sound");
        assert_eq!(reader(&store, "lake").await.spent(), Some(Spent { day: 20_000, bytes: 900 }));
        drop(siem);
        store.close().await.unwrap();
        assert_eq!(Store::open(&settings).unwrap().1, [], "told once");
        fs::remove_dir_all(&settings.dir).unwrap();
    }
}

#[tokio::test]
async fn rows_that_were_changed_or_deleted_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let settings = small(dir.path());
    for (sql, entries, sources) in [
        ("DELETE FROM batch WHERE number = 5", 50, 0),
        ("DELETE FROM batch WHERE number > 20", 200, 0),
        ("DELETE FROM batch", 1_200, 0),
        ("UPDATE batch SET count = 49 WHERE number = 5", 50, 0),
        ("UPDATE batch SET source = 'b' WHERE number = 5", 50, 0),
        ("UPDATE batch SET body = (SELECT body FROM batch WHERE number = 7) WHERE number = 5", 50, 0),
        (IN_THE_MIDDLE, 50, 1),
        ("UPDATE batch SET number = 1000 - number WHERE number IN (5, 995)", 50, 0),
    ] {
        closed_store(dir.path()).await;
        change(&settings.dir.join("store.db"), sql);
        match Store::open(&settings) {
            Ok((store, repairs)) => {
                assert_eq!(repairs, []);
                let lost = served_or_told(&store, "fresh", &stored()).await;
                assert_eq!(lost.iter().map(|lost| lost.entries).sum::<u64>(), entries, "{sql}: {lost:?}");
                assert_eq!(
                    lost.iter().filter(|lost| lost.source.is_some()).count(),
                    sources,
                    "{sql}: {lost:?}"
                );
                store.close().await.unwrap();
            }
            Err(error) => {
                assert!(sql.contains("1000 - number"), "{sql}: {error:?}");
                assert!(error.to_string().contains("never finished"), "{error}");
            }
        }
        fs::remove_dir_all(&settings.dir).unwrap();
    }
}

#[tokio::test]
async fn an_id_without_its_batch_does_not_suppress_an_entry() {
    let dir = tempfile::tempdir().unwrap();
    let settings = small(dir.path());
    closed_store(dir.path()).await;
    change(&settings.dir.join("store.db"), "DELETE FROM batch WHERE number = 5");
    let (store, _) = Store::open(&settings).unwrap();
    // Read again, the lost entries are stored anew, and no others.
    let fresh = append(&store, "a", 0..EACH).await.fresh + append(&store, "b", 0..EACH).await.fresh;
    assert_eq!(fresh, 50);
}

#[tokio::test]
async fn ids_that_outlived_their_entries_do_not_suppress_them() {
    // A log of changes that lost its tail, over a file that had taken some of it in: ids are there
    // whose batches are not.
    for other_first in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let settings = small(dir.path());
        closed_store(dir.path()).await;
        let earlier = fs::read(settings.dir.join("store.db")).unwrap();
        let store = open(&settings);
        append(&store, "a", EACH..EACH + 50).await;
        store.close().await.unwrap();
        put_back(&settings, &earlier, "INSERT OR IGNORE INTO id SELECT * FROM later.id");

        let store = open(&settings);
        if other_first {
            // The number of the batch that is not there goes to another.
            append(&store, "b", EACH..EACH + 7).await;
        }
        assert_eq!(append(&store, "a", EACH..EACH + 50).await.fresh, 50);
        assert_eq!(append(&store, "a", EACH..EACH + 50).await.seen, 50);
    }
}

#[tokio::test]
async fn memos_that_outlived_their_entries_do_not_vouch_for_them() {
    // As with the ids above: what a row's memo says was seen was lost with the entries that told it.
    for other_first in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let settings = small(dir.path());
        closed_store(dir.path()).await;
        let earlier = fs::read(settings.dir.join("store.db")).unwrap();
        let store = open(&settings);
        let told = Batch { memos: vec![memo(3, 700), memo(EACH, 1)], ..batch("a", EACH..EACH + 50) };
        store.append(told.clone()).await.unwrap();
        // Noted again by a batch without entries.
        store.append(Batch { memos: vec![memo(3, 701)], ..batch("a", EACH..EACH) }).await.unwrap();
        assert_eq!(recall(&store, "a", [3, EACH]).await, [Some(memo(3, 701)), Some(memo(EACH, 1))]);
        store.close().await.unwrap();
        put_back(&settings, &earlier, "INSERT OR REPLACE INTO memo SELECT * FROM later.memo");

        let store = open(&settings);
        if other_first {
            // The number of the batch that is not there goes to another.
            append(&store, "b", EACH..EACH + 7).await;
        }
        assert_eq!(recall(&store, "a", [3, 4, EACH]).await, [None, Some(memo(4, 4)), None]);
        // Read again, they are remembered anew, though it is the same.
        store.append(told).await.unwrap();
        assert_eq!(recall(&store, "a", [3, EACH]).await, [Some(memo(3, 700)), Some(memo(EACH, 1))]);
    }
}

/// Puts the file of a store back as it was, with what `sql` takes over from the one that was there,
/// which it calls `later`.
fn put_back(settings: &Settings, earlier: &[u8], sql: &str) {
    let (database, later) = (settings.dir.join("store.db"), tempfile::NamedTempFile::new().unwrap());
    fs::copy(&database, later.path()).unwrap();
    fs::write(&database, earlier).unwrap();
    change(&database, &format!("ATTACH '{}' AS later; {sql}", later.path().display()));
}

fn change(database: &PathBuf, sql: &str) {
    let db = rusqlite::Connection::open(database).unwrap();
    db.execute_batch(sql).unwrap();
}

#[tokio::test]
async fn writing_stops_for_good_when_damage_is_met_while_writing() {
    let dir = tempfile::tempdir().unwrap();
    let image = closed_store(dir.path()).await;
    let settings = small(dir.path());
    // The table of ids loses every page of its own but the first.
    let mut harmed = image.clone();
    let pages = harmed.database.len() / 4096;
    for page in 1..pages {
        let bytes = &mut harmed.database[page * 4096..(page + 1) * 4096];
        // A leaf of an index, the form a table without row ids has.
        if bytes[0] == 0x0a {
            bytes[8..].fill(0xff);
        }
    }
    harmed.lay_out(&settings);
    let store = open(&settings);
    let Batch { source, entries, .. } = batch("a", EACH..EACH + 10);
    let batch = Batch::new(source, entries, Bookmark::default());
    let error = store.append(batch.clone()).await.unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
    let error = store.append(batch).await.unwrap_err();
    assert!(matches!(error, StoreError::Stopped { .. }), "{error:?}");
    assert!(error.to_string().contains("store a batch"), "{error}");
    // What is there can still be delivered.
    assert_eq!(store.backlog(&reader_name("siem")).await.unwrap().unwrap().entries, 2 * EACH - 400);
}
