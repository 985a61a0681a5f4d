//! Stores of earlier formats: looked at as they are, brought up to the newest when they are opened.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use slackcef::store::{Archive, Batch, OpenError, Settings, Spent, Store};

use crate::store_support::*;

/// A store as the first format wrote it, closed: entries 0 to 29 and 40 to 59 of `acme`, 30 to 39 of
/// `emea`; `siem` has 44 of them, `lake` none.
const FORMAT_1: &[u8] = include_bytes!("../data/store-format-1.db.zst");

/// The same as the second format wrote it; `siem` has spent something as well.
const FORMAT_2: &[u8] = include_bytes!("../data/store-format-2.db.zst");

/// All that came before this one.
const EARLIER: [(i32, &[u8]); 2] = [(1, FORMAT_1), (2, FORMAT_2)];

const SPENT: Spent = Spent { day: 20_778, bytes: 5 };

fn lay_out(settings: &Settings, file: &[u8]) {
    fs::create_dir(&settings.dir).unwrap();
    fs::set_permissions(&settings.dir, fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(settings.dir.join("store.db"), zstd::bulk::decompress(file, 1 << 20).unwrap()).unwrap();
}

fn format_of(settings: &Settings) -> i32 {
    let db = rusqlite::Connection::open(settings.dir.join("store.db")).unwrap();
    db.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn an_earlier_format_is_brought_up_with_all_it_holds() {
    for (format, file) in EARLIER {
        let dir = tempfile::tempdir().unwrap();
        let settings = settings(dir.path());
        lay_out(&settings, file);
        assert_eq!(format_of(&settings), format);
        let store = open(&settings);
        assert_eq!(bookmarked(&store.bookmark(&source("acme")).await.unwrap().unwrap()), 60);
        assert_eq!(append(&store, "acme", 40..60).await.seen, 20);
        let mut siem = reader(&store, "siem").await;
        assert_eq!(siem.spent(), (format >= 2).then_some(SPENT));
        let (read, lost) = drain(&mut siem, 300).await;
        assert_eq!((numbers(&read), lost), ((44..60).collect(), vec![]));
        let (read, _) = drain(&mut reader(&store, "lake").await, 300).await;
        assert_eq!(read.len(), 60);

        // It has what the new format has, and is one for good.
        siem.note_spent(SPENT);
        siem.settle_all([]).await.unwrap();
        drop(siem);
        let memos = vec![memo(1, 10), memo(2, 20)];
        let late = late(Batch { memos: memos.clone(), ..batch("acme", 60..70) });
        assert_eq!(store.append(late).await.unwrap().fresh, 10);
        store.close().await.unwrap();
        assert_eq!(format_of(&settings), 3);
        let store = open(&settings);
        assert_eq!(reader(&store, "siem").await.spent(), Some(SPENT));
        assert_eq!(recall(&store, "acme", [1, 2]).await, memos.into_iter().map(Some).collect::<Vec<_>>());
        assert_eq!(append(&store, "acme", 60..80).await.fresh, 10);
        let mut marks = Vec::new();
        Archive::open(&settings.dir).unwrap().each_batch(None, |batch| marks.push(batch.late)).unwrap();
        assert_eq!(marks, [false, false, false, true, false]);
    }
}

#[test]
fn an_earlier_format_is_looked_at_and_left_as_it_is() {
    for (_, file) in EARLIER {
        let dir = tempfile::tempdir().unwrap();
        let settings = settings(dir.path());
        lay_out(&settings, file);
        let before = fs::read(settings.dir.join("store.db")).unwrap();
        let mut archive = Archive::open(&settings.dir).unwrap();
        let last = archive.last(3, None).unwrap();
        assert_eq!(last.iter().map(|(_, entry)| number(entry)).collect::<Vec<_>>(), [57, 58, 59]);
        archive.each_batch(None, |batch| assert!(!batch.late)).unwrap();
        drop(archive);
        assert!(before == fs::read(settings.dir.join("store.db")).unwrap(), "it was changed");
        assert_eq!(fs::read_dir(&settings.dir).unwrap().count(), 1);
    }
}

#[test]
fn one_of_an_earlier_format_that_is_damaged_is_refused_and_not_brought_up() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path());
    for (_, file) in EARLIER {
        for harm in ["UPDATE extent SET last = last - 1", "DELETE FROM source", "DROP TABLE id"] {
            lay_out(&settings, file);
            let database = settings.dir.join("store.db");
            rusqlite::Connection::open(&database).unwrap().execute_batch(harm).unwrap();
            let before = fs::read(&database).unwrap();
            let error = Store::open(&settings).unwrap_err();
            assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
            assert!(before == fs::read(&database).unwrap(), "it was changed");
            fs::remove_dir_all(&settings.dir).unwrap();
        }
    }
}
