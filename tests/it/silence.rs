//! Sources gone quiet, told by the program itself: once, across restarts, and never in place of another fault.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::Instant;

use serde_json::Value;
use slackcef::cef::{self, Decoded};
use slackcef::simulate::slack::{Plan, Slack};

use crate::support::daemon::{PATIENCE, tick};
use crate::support::forwarder::{Forwarder, Running, is_of_slack, slackcef};

const HERE: ([u8; 4], u16) = ([127, 0, 0, 1], 0);
const SOURCE: &str =
    "poll_every = \"1s\"\nsettle = \"1s\"\nrequests_per_minute = 1000000\nverify_after = \"off\"";

async fn slack(plan: Plan) -> Slack {
    Slack::start(SocketAddr::from(HERE), plan).await.unwrap()
}

/// What the file of a destination holds of the forwarder's own events of that class.
fn own(events: &Path, class_id: &str) -> Vec<Decoded> {
    let text = fs::read_to_string(events).unwrap_or_default();
    // Of a line that is being written there may be a half.
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let own = whole.lines().filter(|line| !is_of_slack(line));
    let decoded = own.map(|line| cef::decode(line.get(line.find("CEF:").unwrap()..).unwrap()).unwrap());
    decoded.filter(|event| event.class_id == class_id).collect()
}

async fn until(running: &Running, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < 2 * PATIENCE, "it does not come: {}", running.log());
        tick().await;
    }
}

fn times(log: &str, what: &str) -> usize {
    log.matches(what).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silence_is_told_once_across_restarts_and_so_is_its_end() {
    let slack = slack(Plan::default()).await;
    let first = format!(r#"{{"id":"first","date_create":{},"action":"user_login"}}"#, slack.now() - 30);
    slack.push(&first).unwrap();
    let file = tempfile::tempdir().unwrap();
    let events = file.path().join("events");
    let listen = TcpListener::bind(SocketAddr::from(HERE)).unwrap().local_addr().unwrap();
    let tables = format!(
        "[destinations.kept.file]\npath = {events:?}\n[telemetry]\nlisten = \"{listen}\"\nquiet_after = \"3s\"\n"
    );
    let forwarder = Forwarder::new(&slack, &format!("start = \"1d\"\n{SOURCE}"), &tables);

    let running = forwarder.start(&[]);
    until(&running, || !own(&events, "source-quiet").is_empty()).await;
    let told = own(&events, "source-quiet").remove(0);
    assert_eq!((told.value("cs1"), told.value("reason")), (Some("acme"), Some("quiet-after")));
    assert!(told.value("msg").unwrap().contains("no entry for"), "{told:?}");
    assert!(told.value("start").is_some() && told.value("cs5").is_some(), "{told:?}");
    assert_eq!(told.severity.to_string(), "6");
    // It is shown once it is kept.
    let json = loop {
        let asked = slackcef(&["status", "--json", "--config", &forwarder.config()]);
        let json: Value = serde_json::from_slice(&asked.stdout).unwrap();
        if json["sources"][0]["quiet"].is_object() {
            break json;
        }
        tick().await;
    };
    assert_eq!(json["sources"][0]["quiet"]["because"], "quiet-after", "{json:#}");
    assert_eq!(json["sources"][0]["quiet"]["since"], json["sources"][0]["newest_entry"]);
    let shown = slackcef(&["status", "--config", &forwarder.config()]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("-- acme ") && shown.contains("quiet: nothing since"), "{shown}");

    // It is killed, and the silence goes on.
    running.kill();
    let mut running = forwarder.start(&[]);
    until(&running, || times(&running.log(), "caught up") == 2).await;
    running.ask_to_end();
    assert!(running.end().await.success(), "{}", running.log());
    let mut running = forwarder.start(&[]);
    until(&running, || times(&running.log(), "caught up") == 3).await;

    slack.push(r#"{"id":"second","action":"user_login"}"#).unwrap();
    until(&running, || !own(&events, "source-recovered").is_empty()).await;
    let recovered = own(&events, "source-recovered").remove(0);
    assert_eq!((recovered.value("cs1"), recovered.severity.to_string()), (Some("acme"), "2".to_owned()));
    assert_eq!(recovered.value("start"), told.value("start"));
    assert_eq!(own(&events, "source-quiet").len(), 1, "it was told before");

    // And it may come again.
    until(&running, || own(&events, "source-quiet").len() == 2).await;
    let log = running.log();
    assert_eq!((times(&log, "has had no entry for"), times(&log, "has entries again")), (2, 1), "{log}");
    running.ask_to_end();
    assert!(running.end().await.success(), "{}", running.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_refused_is_not_called_quiet() {
    let (refused, empty) = (slack(Plan::default()).await, slack(Plan::default()).await);
    let file = tempfile::tempdir().unwrap();
    let (events, token) = (file.path().join("events"), file.path().join("token"));
    fs::write(&token, empty.token()).unwrap();
    fs::set_permissions(&token, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let tables = format!(
        "quiet_after = \"2s\"\n[sources.empty]\nlog = \"audit\"\ntoken = {{ file = {token:?} }}\nbase_url = {:?}\n\
         {SOURCE}\nquiet_after = \"3s\"\n\
         [sources.careless]\nlog = \"audit\"\ntoken = {{ file = {token:?} }}\nbase_url = {:?}\n{SOURCE}\n\
         quiet_after = \"off\"\n\
         [destinations.kept.file]\npath = {events:?}\n[telemetry]\nlisten = \"off\"\nquiet_after = \"1s\"\n",
        empty.base_url(),
        empty.base_url(),
    );
    let forwarder = Forwarder::new(&refused, SOURCE, &tables);
    fs::write(forwarder.dir().join("token"), "xoxp-of-nobody").unwrap();
    let running = forwarder.start(&[]);
    let is_refused = || running.log().contains("Slack refuses the source");
    until(&running, || !own(&events, "source-quiet").is_empty() && is_refused()).await;
    let told: Vec<_> =
        own(&events, "source-quiet").iter().map(|event| event.value("cs1").unwrap().to_owned()).collect();
    assert_eq!(told, ["empty"], "one is refused, one is not listened to");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_backfill_teaches_makes_a_silence_known_within_hours() {
    let mut plan = Plan::default();
    let now = jiff::Timestamp::now().as_second();
    // One in three minutes for two weeks and more, until two hours ago.
    let lines = (40..7_700).map(|nth| {
        format!("{{\"id\":\"e-{nth}\",\"date_create\":{},\"action\":\"user_login\"}}\n", now - nth * 180)
    });
    plan.add_lines(&lines.collect::<String>()).unwrap();
    let slack = slack(plan).await;
    let file = tempfile::tempdir().unwrap();
    let events = file.path().join("events");
    let tables = format!("[destinations.kept.file]\npath = {events:?}\n");
    let forwarder = Forwarder::new(&slack, &format!("start = \"16d\"\n{SOURCE}"), &tables);
    let mut running = forwarder.start(&[]);
    until(&running, || !own(&events, "source-quiet").is_empty()).await;
    let told = own(&events, "source-quiet").remove(0);
    assert_eq!(told.value("reason"), Some("unusual"), "{told:?}");
    assert!(told.value("msg").unwrap().contains("at this time of the week"), "{told:?}");
    running.ask_to_end();
    assert!(running.end().await.success(), "{}", running.log());

    // A file that was damaged costs what was learned, and nothing else.
    let kept = forwarder.dir().join("state/quiet/acme.json");
    assert!(fs::read_to_string(&kept).unwrap().contains("\"unusual\""));
    fs::write(&kept, "{").unwrap();
    let mut running = forwarder.start(&[]);
    until(&running, || times(&running.log(), "caught up") == 2).await;
    running.ask_to_end();
    assert!(running.end().await.success(), "{}", running.log());
    assert!(running.log().contains("learned anew"), "{}", running.log());
    assert_eq!(own(&events, "source-quiet").len(), 1);
}
