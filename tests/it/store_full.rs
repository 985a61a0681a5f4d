//! Disks that are full, and disks that fail.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use slackcef::store::{Batch, Bookmark, Full, Settings, Store, StoreError};

use crate::store_support::*;

/// Names the folder to a child; without it, the children's tests do nothing.
const FOLDER: &str = "SLACKCEF_TEST_STORE_ON_A_SMALL_DISK";

/// Runs one test of this binary in a process of its own, prepared by a line of shell.
fn run_child(test: &str, dir: &Path, wrapper: &[&str], prepare: &str) -> Output {
    let shell = format!("{prepare} && exec \"$0\" \"$@\"");
    let (program, arguments) = wrapper.split_first().unwrap();
    Command::new(program)
        .args(arguments)
        .args(["sh", "-c", &shell])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(FOLDER, dir)
        .output()
        .unwrap_or_else(|error| panic!("this test needs `{program}`: {error}"))
}

/// The same on a file system of its own, seen by the child alone: as root at once, else in a user
/// namespace.
fn run_on_a_small_disk(test: &str, dir: &Path) -> Output {
    let root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let wrapper: &[&str] = if root { &["unshare", "-m"] } else { &["unshare", "-rm"] };
    run_child(test, dir, wrapper, &format!("mount -t tmpfs -o size=24m none \"${FOLDER}\""))
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text)).concat()
}

#[test]
fn a_full_disk_makes_append_wait_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let output = run_on_a_small_disk("store_full::child_on_a_small_disk", dir.path());
    let said = said(&output);
    assert!(
        said.contains("1 passed"),
        "if `unshare` or `mount` was refused: this test needs root, or user namespaces.\n{said}"
    );
    assert!(output.status.success(), "{said}");
}

#[tokio::test]
async fn child_on_a_small_disk() {
    let Some(dir) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let settings = Settings { max_size: 256 << 20, ..settings(&dir) };
    let store = open(&settings);
    store.retain_readers(&[reader_name("siem")]).await.unwrap();
    let mut siem = reader(&store, "siem").await;

    // Filled up to the floor: append waits, and nothing has failed.
    let appending = tokio::spawn(append_noise(store.clone(), 100));
    let mut usage = store.watch_usage();
    usage.wait_for(|usage| usage.full == Some(Full::Disk)).await.unwrap();
    assert!(!appending.is_finished());

    // Another program takes the rest. What is delivered can be noted all the same.
    let filler = dir.join("filler");
    fill(&filler);
    for _ in 0..5 {
        let lease = siem.next(at_most(50)).await.unwrap();
        siem.settle(lease, 50).await.unwrap();
    }
    assert!(!appending.is_finished());

    // Delivered entries make room on the disk, even while the other program keeps what it took.
    let mut read = 250;
    while read < 2_000 {
        let lease = siem.next(at_most(1_000)).await.unwrap();
        for found in lease.entries() {
            assert_eq!(*found, sized(read, 4_000));
            read += 1;
        }
        let count = lease.entries().len();
        siem.settle(lease, count).await.unwrap();
    }
    fs::remove_file(&filler).unwrap();
    while read < 10_000 {
        let lease = siem.next(at_most(1_000)).await.unwrap();
        for found in lease.entries() {
            assert_eq!(*found, sized(read, 4_000));
            read += 1;
        }
        let count = lease.entries().len();
        siem.settle(lease, count).await.unwrap();
    }
    appending.await.unwrap();
    drop(siem);
    store.close().await.unwrap();

    // Opening needs a little room too: that is what the reserve is for.
    assert!(settings.dir.join("reserve").exists());
    fill(&filler);
    let store = open(&settings);
    assert_eq!(store.bookmark(&source("acme")).await.unwrap(), Some(Bookmark::new(*b"99")));
    fs::remove_file(&filler).unwrap();
    append(&store, "other", 0..10).await;
}

async fn append_noise(store: Store, batches: u64) {
    for n in 0..batches {
        let entries = (n * 100..n * 100 + 100).map(|n| sized(n, 4_000)).collect();
        let bookmark = Bookmark::new(n.to_string());
        store.append(Batch::new(source("acme"), entries, bookmark)).await.unwrap();
    }
}

#[test]
fn a_bookmark_waits_for_a_disk_without_a_byte_left() {
    let dir = tempfile::tempdir().unwrap();
    let output = run_on_a_small_disk("store_full::child_of_a_silent_source", dir.path());
    assert!(output.status.success(), "{}", said(&output));
}

#[tokio::test]
async fn child_of_a_silent_source() {
    let Some(dir) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let settings = settings(&dir);
    let store = open(&settings);
    append(&store, "acme", 0..10).await;
    let filler = dir.join("filler");
    fill(&filler);
    // Whoever filled the disk takes the reserve too.
    drop(fs::remove_file(settings.dir.join("reserve")));
    fill(&dir.join("more"));
    let mut bookmarks = tokio::spawn({
        let store = store.clone();
        async move {
            for n in 0..1_000_u64 {
                let bookmark = Bookmark::new(n.to_le_bytes());
                let batch = Batch::new(source("acme"), Vec::new(), bookmark);
                store.append(batch).await.unwrap();
            }
        }
    });
    let mut usage = store.watch_usage();
    tokio::select! {
        full = usage.wait_for(|usage| usage.full == Some(Full::Disk)) => drop(full.unwrap()),
        ended = &mut bookmarks => panic!("no bookmark waited: {ended:?}"),
    }
    fs::remove_file(&filler).unwrap();
    bookmarks.await.unwrap();
    assert_eq!(store.usage().full, None);
    assert_eq!(bookmarked(&store.bookmark(&source("acme")).await.unwrap().unwrap()), 999);
}

/// Writes until the disk is full.
fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    for size in [64 << 10, 4 << 10] {
        let error = loop {
            if let Err(error) = file.write_all(&vec![7; size]) {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::StorageFull);
    }
}

#[test]
fn a_disk_that_fails_stops_the_store_and_what_was_acknowledged_is_there_after_it() {
    let dir = tempfile::tempdir().unwrap();
    // No file may grow beyond 2 MiB: to SQLite that is an error of the disk, not a full one.
    let output = run_child(
        "store_full::child_on_a_failing_disk",
        dir.path(),
        &["env"],
        "trap '' XFSZ && ulimit -f 4096",
    );
    let said = said(&output);
    assert!(output.status.success(), "{said}");
    let stored: u64 =
        said.lines().rev().find_map(|line| line.strip_prefix("stored ")).unwrap().parse().unwrap();
    assert!(stored > 500, "{said}");

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = open(&settings(dir.path()));
        let bookmark = bookmarked(&store.bookmark(&source("acme")).await.unwrap().unwrap());
        assert!(bookmark == stored || bookmark == stored + 100, "{bookmark} {stored}");
        let mut siem = reader(&store, "siem").await;
        let (served, lost) = drain(&mut siem, 1_000).await;
        assert_eq!(lost, []);
        assert_eq!(numbers(&served), (0..bookmark).collect::<Vec<_>>());
    });
}

#[tokio::test]
async fn child_on_a_failing_disk() {
    let Some(dir) = std::env::var_os(FOLDER) else { return };
    let store = open(&settings(Path::new(&dir)));
    let mut stored = 0;
    let error = loop {
        let entries = (stored..stored + 100).map(|n| sized(n, 1_000)).collect();
        let bookmark = Bookmark::new((stored + 100_u64).to_le_bytes());
        match store.append(Batch::new(source("acme"), entries, bookmark)).await {
            Ok(_) => stored += 100,
            Err(error) => break error,
        }
        say(&format!("stored {stored}"));
    };
    assert!(matches!(error, StoreError::Failed { .. }) && error.is_final(), "{error:?}");
    assert!(error.help().contains("check the disk"));
    let error = store.append(batch("acme", 0..1)).await.unwrap_err();
    assert!(matches!(error, StoreError::Stopped { .. }), "{error:?}");
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{line}\n").as_ref()).and_then(|()| out.flush()).unwrap();
}
