//! How fast destinations are fed, and what is remembered of it.

use std::fs;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use slackcef::event::{Entry, Log, UnixTime};
use slackcef::simulate::slack::{Generated, Pace, Plan, Slack};
use slackcef::store::{Batch, Bookmark, ReaderName, Settings, SourceId, Spent, Store};

use crate::support::forwarder::Forwarder;

const COUNT: u64 = 300;
const SOURCE: &str = "start = \"1d\"\npoll_every = \"1s\"\nsettle = \"2s\"\nrequests_per_minute = 1000000";

/// So many entries, over the last hour.
async fn slack() -> Slack {
    let pace = Pace::Over(Duration::from_secs(3600));
    let generated = Generated { count: Some(COUNT), pace, ..Generated::default() };
    let plan = Plan { generated: Some(generated), ..Plan::default() };
    Slack::start(([127, 0, 0, 1], 0).into(), plan).await.unwrap()
}

fn today() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 86_400
}

/// The store of a forwarder that does not run.
fn store(forwarder: &Forwarder) -> Store {
    let dir = forwarder.dir().join("state");
    Store::open(&Settings { dir, retention: Duration::from_secs(86_400), max_size: 1 << 30 }).unwrap().0
}

/// What a destination has spent, as its store knows it.
async fn spent(forwarder: &Forwarder) -> Option<Spent> {
    let store = store(forwarder);
    let spent = store.reader(ReaderName::new("file"), None).await.unwrap().spent();
    store.close().await.unwrap();
    spent
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_day_has_cost_outlives_the_process() {
    let slack = slack().await;
    let dir = tempfile::tempdir().unwrap();
    let events = dir.path().join("events");
    let table = format!(
        "[destinations.file]\nrate = {{ bytes_per_day = \"1GiB\" }}\n[destinations.file.file]\npath = {:?}\n",
        events.to_str().unwrap()
    );
    let forwarder = Forwarder::new(&slack, SOURCE, &table);
    let length = || fs::metadata(&events).map_or(0, |events| events.len());
    let day = today();
    // Each run delivers one more entry at least, and adds it to what was spent before.
    for n in 0..3_u64 {
        let before = length();
        assert!(forwarder.command(&["--once"]).status().unwrap().success());
        assert!(length() > before, "it delivered something");
        let spent = spent(&forwarder).await;
        // Midnight comes once in some ten thousand runs of this test.
        assert!(spent == Some(Spent { day, bytes: length() }) || today() != day, "{spent:?}");
        let raw = format!(r#"{{"id":"{n}","action":"user_login"}}"#);
        let entry = Entry::from_raw(Log::Audit, raw.into(), UnixTime::from_seconds(0), 0).unwrap();
        let batch = Batch::new(SourceId::new("another"), vec![entry], Bookmark::default());
        let store = store(&forwarder);
        store.append(batch).await.unwrap();
        store.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_is_caught_up_on_at_its_own_rate() {
    let slack = slack().await;
    let forwarder =
        Forwarder::new(&slack, SOURCE, "[destinations.slow]\nrate = { catch_up = 100 }\nstdout = {}\n");
    let begun = Instant::now();
    assert!(forwarder.command(&["--once"]).status().unwrap().success());
    // Five of six happened more than ten minutes ago.
    assert!(begun.elapsed() >= Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_whose_day_is_spent_ends_and_says_when_to_go_on() {
    const MOST: u64 = 20 * 1024;
    let slack = slack().await;
    let dir = tempfile::tempdir().unwrap();
    let events = dir.path().join("events");
    let table = format!(
        "[destinations.file]\nrate = {{ bytes_per_day = \"20KiB\" }}\n[destinations.file.file]\npath = {:?}\n",
        events.to_str().unwrap()
    );
    let forwarder = Forwarder::new(&slack, SOURCE, &table);
    let ended = forwarder.command(&["--once"]).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(75), "{said}");
    assert!(said.contains("run it again after 00:00 UTC"), "{said}");
    let length = fs::metadata(&events).unwrap().len();
    assert!((1..=MOST).contains(&length), "{length} bytes");
    let store = store(&forwarder);
    let backlog = store.backlog(&ReaderName::new("file")).await.unwrap().unwrap();
    assert!(backlog.entries > 0, "the rest waits");
    store.close().await.unwrap();
}
