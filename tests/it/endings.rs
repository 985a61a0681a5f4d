//! How the program ends: asked to, left by those it writes to, or done with what it was asked once.

use std::fs::{self, File};
use std::io::Read as _;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use slackcef::config::Config;
use slackcef::pipeline::{App, Mode, RunError};
use slackcef::simulate::slack::{Generated, Pace, Plan, Slack};
use tokio::time::timeout;

use crate::support::daemon::{self, PATIENCE, tick};
use crate::support::forwarder::{Forwarder, Running, is_of_slack};

const HERE: ([u8; 4], u16) = ([127, 0, 0, 1], 0);
const SOURCE: &str = "start = \"1d\"\npoll_every = \"1s\"\nsettle = \"2s\"\nrequests_per_minute = 1000000";
const STDOUT: &str = "[destinations.out.stdout]\n";

async fn slack(count: u64) -> Slack {
    let pace = Pace::Over(Duration::from_secs(3600));
    let generated = Generated { count: Some(count), pace, ..Generated::default() };
    Slack::start(SocketAddr::from(HERE), Plan { generated: Some(generated), ..Plan::default() })
        .await
        .unwrap()
}

/// A destination that keeps everything in `events` of the forwarder's folder, and that file's path.
fn to_a_file() -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let table =
        format!("[destinations.file.file]\npath = {:?}\n", dir.path().join("events").to_str().unwrap());
    (dir, table)
}

async fn until(running: &Running, said: &str) {
    daemon::until(|| running.log().contains(said), || format!("{said:?}: {}", running.log())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_be_written_keeps_nothing_from_being_delivered() {
    const COUNT: u64 = 300;
    let slack = slack(COUNT).await;
    let (dir, table) = to_a_file();
    let forwarder = Forwarder::new(&slack, SOURCE, &table);
    let full = File::options().write(true).open("/dev/full").unwrap();
    let status = forwarder.command(&["--once"]).stderr(full).status().unwrap();
    assert!(status.success(), "{status}");
    let events = fs::read_to_string(dir.path().join("events")).unwrap();
    assert_eq!(events.lines().filter(|line| is_of_slack(line)).count() as u64, COUNT);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_that_nobody_reads_does_not_keep_it_from_ending() {
    let slack = slack(3_000).await;
    let forwarder = Forwarder::new(&slack, SOURCE, STDOUT);
    let (_unread, pipe) = std::io::pipe().unwrap();
    let mut running = forwarder.start_into(&[], pipe);
    until(&running, "caught up").await;
    running.ask_to_end();
    until(&running, "stopping").await;
    running.ask_to_end();
    assert!(running.end().await.success(), "{}", running.log());
    assert!(running.log().contains("stays in the store"), "{}", running.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_when_the_reader_of_its_output_has_gone() {
    let slack = slack(3_000).await;
    let forwarder = Forwarder::new(&slack, SOURCE, STDOUT);
    let (mut reader, pipe) = std::io::pipe().unwrap();
    let mut running = forwarder.start_into(&[], pipe);
    reader.read_exact(&mut [0; 100]).unwrap();
    drop(reader);
    assert_eq!(running.end().await.code(), Some(69), "{}", running.log());
    assert!(running.log().contains("Broken pipe"), "{}", running.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_that_was_stopped_does_not_count_as_done() {
    let slack = slack(3_000).await;
    let (_dir, table) = to_a_file();
    let table = table.replace(
        "[destinations.file.file]",
        "[destinations.file]\nrate = { events_per_second = 1 }\n[destinations.file.file]",
    );
    let forwarder = Forwarder::new(&slack, SOURCE, &table);
    let mut running = forwarder.start(&["--once"]);
    until(&running, "caught up").await;
    running.ask_to_end();
    until(&running, "stopping").await;
    running.ask_to_end();
    assert_eq!(running.end().await.code(), Some(75), "{}", running.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_reads_a_second_time_what_may_have_come_late() {
    let slack = slack(100).await;
    let (dir, table) = to_a_file();
    let forwarder = Forwarder::new(&slack, &format!("{SOURCE}\nverify_after = \"8s\""), &table);
    let begun = slack.now();
    assert!(forwarder.start(&["--once"]).end().await.success());
    // Behind the overlap of two polls, and before what the first pass read as old already.
    let late = format!(r#"{{"id":"late-1","date_create":{},"action":"user_login"}}"#, begun - 4);
    slack.push(&late).unwrap();
    let start = Instant::now();
    loop {
        let mut running = forwarder.start(&["--once"]);
        assert!(running.end().await.success(), "{}", running.log());
        let events = fs::read_to_string(dir.path().join("events")).unwrap();
        if events.contains("externalId=late-1 ") {
            assert_eq!(events.lines().filter(|line| is_of_slack(line)).count(), 101);
            break;
        }
        assert!(start.elapsed() < PATIENCE, "the late entry was never read: {}", running.log());
        tick().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_ends_though_the_store_is_full_of_what_nobody_takes() {
    let slack = slack(30_000).await;
    let nobody = std::net::TcpListener::bind(SocketAddr::from(HERE)).unwrap().local_addr().unwrap();
    let forwarder =
        Forwarder::new(&slack, SOURCE, &format!("[destinations.siem.tcp]\nto = [\"{nobody}\"]\n"));
    let mut config = Config::load(forwarder.config().as_ref()).unwrap();
    config.state.max_size = 2 << 20;
    let running = App::build(&config).await.unwrap().start(Mode::Once);
    let ended = timeout(PATIENCE, running.finish()).await.expect("it ends");
    assert!(matches!(ended, Err(RunError::Undelivered { .. })), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_source_is_told_of() {
    let slack = slack(10).await;
    let (_dir, table) = to_a_file();
    let forwarder = Forwarder::new(&slack, SOURCE, &table);
    let mut named = forwarder.start(&["--once"]);
    assert!(named.end().await.success(), "{}", named.log());
    assert!(!named.log().contains("renamed"), "{}", named.log());
    let text = fs::read_to_string(forwarder.config()).unwrap();
    fs::write(forwarder.config(), text.replace("[sources.acme]", "[sources.acme-audit]")).unwrap();
    let mut renamed = forwarder.start(&["--once"]);
    assert!(renamed.end().await.success(), "{}", renamed.log());
    assert!(renamed.log().contains("renamed") && renamed.log().contains("gone=acme new=acme-audit"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_token_is_not_said_to_be_right_again() {
    let slack = slack(10).await;
    let forwarder = Forwarder::new(&slack, "", STDOUT);
    fs::write(forwarder.dir().join("token"), "xoxp-wrong").unwrap();
    let mut running = forwarder.start(&[]);
    until(&running, "Slack refuses the source").await;
    // Nothing of the log was asked for yet: with `start = "now"` nothing is old enough.
    let asked = slack.tally().requests;
    slack.until(|tally| tally.requests > asked).await;
    running.ask_to_end();
    assert!(running.end().await.success());
    assert!(!running.log().contains("can be read again"), "{}", running.log());
}
