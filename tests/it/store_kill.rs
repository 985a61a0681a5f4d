//! The process is killed at any moment: what was acknowledged is there, once, and the bookmark with it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use slackcef::store::{Batch, Settings};

use crate::store_support::*;

/// Names the folder to the child; without it, the child's test does nothing.
const FOLDER: &str = "SLACKCEF_TEST_STORE_TO_KILL";

const ROUNDS: u64 = 24;

/// A store that carries its log of changes over often, and deletes what was delivered at once.
fn busy(dir: &Path) -> Settings {
    Settings { max_size: 24 << 20, retention: Duration::ZERO, ..settings(dir) }
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill_at_any_moment() {
    let dir = tempfile::tempdir().unwrap();
    let mut random = fastrand::Rng::with_seed(7);
    let (mut stored, mut settled, mut deleted) = (0, 0, 0);
    for round in 0..ROUNDS {
        let mut child = spawn(dir.path());
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut acknowledged = |line: &str| {
            if let Some(n) = line.strip_prefix("stored ") {
                stored = n.parse().unwrap();
            } else if let Some(n) = line.strip_prefix("settled ") {
                settled = n.parse().unwrap();
            }
        };
        for _ in 0..random.u32(3..60) {
            acknowledged(&lines.next().expect("the child goes on until it is killed").unwrap());
        }
        std::thread::sleep(Duration::from_micros(random.u64(..4_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        // What it said before it died counts.
        lines.for_each(|line| acknowledged(&line.unwrap()));

        let store = open(&busy(dir.path()));
        let bookmark = store.bookmark(&source("acme")).await.unwrap().map_or(0, |b| bookmarked(&b));
        assert!(
            bookmark >= stored,
            "round {round}: {stored} were acknowledged, the bookmark is at {bookmark}"
        );
        if bookmark > 0 {
            // Memos and bookmark are of one moment.
            let expected = [memo(bookmark % 7, bookmark), memo(7, bookmark)];
            assert_eq!(recall(&store, "acme", [bookmark % 7, 7]).await, expected.map(Some), "round {round}");
        }
        let left =
            store.backlog(&reader_name("siem")).await.unwrap().map_or(bookmark, |backlog| backlog.entries);
        let delivered = bookmark - left;
        assert!(delivered >= settled, "round {round}: {settled} were settled, {delivered} of {bookmark} are");
        // All that was not delivered is there, once, and of the rest the newest, without a gap.
        let mut all = reader(&store, &format!("round-{round}")).await;
        let kept = drain_sound(&mut all).await;
        let first = bookmark - kept.len() as u64;
        assert!(first <= delivered, "round {round}: kept from {first}, delivered until {delivered}");
        assert_eq!(kept, (first..bookmark).collect::<Vec<_>>(), "round {round}");
        deleted = first;
        drop(all);
        store.close().await.unwrap();
    }
    assert!(stored > 1_000 && settled > 100 && deleted > 100, "{stored} {settled} {deleted}");
    // Nothing was forgotten: read again, every entry ever stored is known.
    let store = open(&busy(dir.path()));
    for begin in (0..stored).step_by(500) {
        assert_eq!(append(&store, "acme", begin..stored.min(begin + 500)).await.fresh, 0);
    }
}

fn spawn(dir: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store_kill::child_that_is_killed", "--nocapture", "--test-threads=1"])
        .env(FOLDER, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Appends and delivers until it is killed, saying what was acknowledged.
#[tokio::test]
async fn child_that_is_killed() {
    let Some(dir) = std::env::var_os(FOLDER) else { return };
    let store = open(&busy(Path::new(&dir)));
    let said = |what: String| {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{what}").and_then(|()| out.flush()).unwrap();
    };
    store.retain_readers(&[reader_name("siem")]).await.unwrap();
    let begin = store.bookmark(&source("acme")).await.unwrap().map_or(0, |bookmark| bookmarked(&bookmark));
    let appending = async {
        let mut at = begin;
        loop {
            let next = at + fastrand::u64(1..80);
            // An overlap with what was read before, as pollers have it.
            let memos = vec![memo(next % 7, next), memo(7, next)];
            store.append(Batch { memos, ..batch("acme", at.saturating_sub(20)..next) }).await.unwrap();
            said(format!("stored {next}"));
            at = next;
        }
    };
    let delivering = async {
        let mut siem = reader(&store, "siem").await;
        loop {
            let lease = siem.next(at_most(70)).await.unwrap();
            let last = number(lease.entries().last().unwrap());
            let count = lease.entries().len();
            siem.settle(lease, count).await.unwrap();
            said(format!("settled {}", last + 1));
        }
    };
    tokio::join!(appending, delivering).0;
}
