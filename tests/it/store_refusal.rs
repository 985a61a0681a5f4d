//! Stores that are refused, and folders: what, where, because, and what to do.

use std::error::Error as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use slackcef::store::{OpenError, Repair, Settings, Store};

use crate::store_support::*;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn everything_in_the_folder_is_private() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { dir: dir.path().join("a/b/state"), ..settings(dir.path()) };
    let store = open(&settings);
    append(&store, "acme", 0..10).await;
    assert_eq!(mode(&settings.dir), 0o700);
    for file in fs::read_dir(&settings.dir).unwrap() {
        let path = file.unwrap().path();
        assert_eq!(mode(&path) & 0o077, 0, "{}", path.display());
    }
}

#[tokio::test]
async fn a_folder_that_was_opened_to_others_is_closed_to_them() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path());
    open(&settings).close().await.unwrap();
    fs::set_permissions(&settings.dir, fs::Permissions::from_mode(0o755)).unwrap();
    let (store, repairs) = Store::open(&settings).unwrap();
    assert_eq!(repairs, [Repair::Closed { dir: settings.dir.clone(), mode: 0o755 }]);
    assert_eq!(mode(&settings.dir), 0o700);
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_folder_of_other_things_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("something"), "else").unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let settings = Settings { dir: dir.path().to_owned(), ..settings(dir.path()) };
    let error = Store::open(&settings).unwrap_err();
    assert!(matches!(error, OpenError::Exposed { mode: 0o755, .. }), "{error:?}");
    assert!(error.help().contains("chmod 700"), "{}", error.help());
    assert_eq!(mode(dir.path()), 0o755);
}

#[tokio::test]
async fn a_second_process_is_refused_by_the_number_of_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path());
    let store = open(&settings);
    let error = Store::open(&settings).unwrap_err();
    let expected = format!("is in use by process {}", std::process::id());
    assert!(error.to_string().ends_with(&expected), "{error}");
    store.close().await.unwrap();
    open(&settings).close().await.unwrap();
}

#[tokio::test]
async fn a_store_that_is_dropped_is_let_go() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path());
    let store = open(&settings);
    append(&store, "acme", 0..10).await;
    drop(store);
    // The writing thread ends on its own.
    let store = loop {
        match Store::open(&settings) {
            Ok((store, _)) => break store,
            Err(error) => assert!(matches!(error, OpenError::Held { .. }), "{error:?}"),
        }
    };
    assert_eq!(store.usage().entries, 10);
}

#[test]
fn a_folder_that_cannot_be_made_or_written_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    for path in [file.clone(), file.join("state")] {
        let settings = Settings { dir: path, ..settings(dir.path()) };
        let error = Store::open(&settings).unwrap_err();
        assert!(matches!(error, OpenError::Folder { .. }), "{error:?}");
        assert!(error.to_string().contains("file"), "{error}");
        assert!(error.source().is_some());
    }
}

#[tokio::test]
async fn a_format_of_tomorrow_and_another_programs_database_are_refused_untouched() {
    for (change, what) in [
        ("PRAGMA user_version = 4", "has format 4; this program knows formats up to 3"),
        ("PRAGMA user_version = 0", "is damaged: its version is not one that was ever written"),
        ("PRAGMA application_id = 7", "is a database, but not a store of slackcef"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let settings = settings(dir.path());
        open(&settings).close().await.unwrap();
        let database = settings.dir.join("store.db");
        sql(&database, change);
        let before = fs::read(&database).unwrap();
        let error = Store::open(&settings).unwrap_err();
        assert!(error.to_string().ends_with(what), "{error}");
        assert!(!error.help().is_empty());
        assert!(before == fs::read(&database).unwrap(), "it was changed");
    }
}

#[test]
fn a_file_that_is_no_database_is_refused_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path());
    fs::create_dir(&settings.dir).unwrap();
    fs::write(settings.dir.join("store.db"), "x".repeat(10_000)).unwrap();
    fs::set_permissions(&settings.dir, fs::Permissions::from_mode(0o700)).unwrap();
    let error = Store::open(&settings).unwrap_err();
    assert!(error.to_string().ends_with("is damaged: it is not a database any more"), "{error}");
    assert!(error.help().contains("`start`"), "{}", error.help());
}

#[tokio::test]
async fn a_creation_that_was_interrupted_is_finished() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path());
    fs::create_dir(&settings.dir).unwrap();
    fs::set_permissions(&settings.dir, fs::Permissions::from_mode(0o700)).unwrap();
    let database = settings.dir.join("store.db");
    fs::write(&database, "").unwrap();
    open(&settings).close().await.unwrap();
    // Killed after the first page was written, before the tables were.
    fs::remove_file(&database).unwrap();
    sql(&database, "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL");
    let store = open(&settings);
    append(&store, "acme", 0..10).await;
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_support_engineer_can_look_while_it_runs() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path());
    let store = open(&settings);
    append(&store, "acme", 0..10).await;
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let db = rusqlite::Connection::open_with_flags(settings.dir.join("store.db"), flags).unwrap();
    let count: u64 =
        db.query_row("SELECT sum(count) FROM batch WHERE source = 'acme'", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 10);
}

fn sql(database: &Path, sql: &str) {
    rusqlite::Connection::open(database).unwrap().execute_batch(sql).unwrap();
}
