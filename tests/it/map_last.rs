//! `map` on the store: the last entries, as a destination gets them, also while the service runs.

use std::fs;
use std::time::Instant;

use slackcef::cef;
use slackcef::simulate::slack::{Plan, Slack};

use crate::support::daemon::{PATIENCE, tick};
use crate::support::forwarder::{Forwarder, is_of_slack, slackcef};

const COUNT: usize = 30;

async fn slack() -> Slack {
    let entry = |n| {
        let name = "n".repeat(900);
        format!(
            r#"{{"id":"e{n}","action":"user_login","actor":{{"type":"user","user":{{"id":"W{n}","name":"{name}"}}}}}}"#
        )
    };
    let given = (0..COUNT).map(entry).collect();
    Slack::start(([127, 0, 0, 1], 0).into(), Plan { given, ..Plan::default() }).await.unwrap()
}

fn forwarder(slack: &Slack) -> Forwarder {
    let forwarder = Forwarder::new(
        slack,
        "start = \"1d\"\nsettle = \"2s\"\nrequests_per_minute = 6000",
        "[mappings.acme]\ndir = \"acme\"\n[destinations.siem]\nmapping = \"acme\"\nmax_message = \"1KiB\"\n\
         header = \"rfc5424\"\nhostname = \"relay\"\nfile = { path = \"out\" }",
    );
    let text = fs::read_to_string(forwarder.config()).unwrap();
    let here = |name: &str| format!("{:?}", forwarder.dir().join(name).to_str().unwrap());
    let text =
        text.replace("\"acme\"\n[dest", &format!("{}\n[dest", here("acme"))).replace("\"out\"", &here("out"));
    fs::write(forwarder.config(), text).unwrap();
    fs::create_dir(forwarder.dir().join("acme")).unwrap();
    let mine = "version = 1\nlog = \"audit\"\n[fields]\nAcmeTenant = \"emea\"\n";
    fs::write(forwarder.dir().join("acme/mine.toml"), mine).unwrap();
    forwarder
}

struct Shown {
    ids: Vec<String>,
    out: String,
    notes: String,
}

#[track_caller]
fn map(forwarder: &Forwarder, arguments: &[&str]) -> Shown {
    let config = forwarder.config();
    let output = slackcef(&[&["map", "--config", config.as_str()], arguments].concat());
    let notes = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{notes}");
    let out = String::from_utf8(output.stdout).unwrap();
    let lines = out.lines().filter(|line| line.starts_with("CEF:"));
    let ids = lines.map(|line| cef::decode(line).unwrap().value("externalId").unwrap().to_owned()).collect();
    Shown { ids, out, notes }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_entries_are_mapped_while_the_service_runs_and_after_its_end() {
    let slack = slack().await;
    let forwarder = forwarder(&slack);
    let absent = slackcef(&["map", "--last", "1", "--config", &forwarder.config()]);
    assert_eq!(absent.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&absent.stderr).contains("there is no store in"));
    assert!(!forwarder.dir().join("state").exists(), "looking makes no store");

    let mut running = forwarder.start(&[]);
    let start = Instant::now();
    let delivered = || fs::read_to_string(forwarder.dir().join("out")).unwrap_or_default();
    while delivered().lines().filter(|line| is_of_slack(line)).count() < COUNT {
        assert!(start.elapsed() < PATIENCE && running.ended().is_none(), "{}", running.log());
        tick().await;
    }
    let wanted: Vec<_> = (COUNT - 3..COUNT).map(|n| format!("e{n}")).collect();
    assert_eq!(map(&forwarder, &["--last", "3", "--source", "acme"]).ids, wanted);
    assert_eq!(map(&forwarder, &["--last", "1000", "--source", "acme"]).ids.len(), COUNT);
    // What the forwarder said of itself is there as well.
    assert!(map(&forwarder, &["--last", "1000", "--source", "slackcef"]).out.contains("|forwarder-started|"));
    let unknown = slackcef(&["map", "--last", "3", "--source", "acne", "--config", &forwarder.config()]);
    assert_eq!(unknown.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("help: the configuration has acme"));

    // As the destination gets them, to the byte.
    let sent = delivered();
    let sent: Vec<_> = sent
        .lines()
        .filter(|line| is_of_slack(line))
        .filter_map(|line| Some(line.split_once("CEF:")?.1))
        .collect();
    let shown = map(&forwarder, &["--last", "1000", "--source", "acme", "--destination", "siem"]);
    let lines: Vec<_> = shown.out.lines().filter_map(|line| line.strip_prefix("CEF:")).collect();
    assert_eq!(lines, sent);
    let first = lines.first().unwrap();
    assert!(first.contains("AcmeTenant=emea") || first.contains("slackcefCut="), "{first}");

    running.ask_to_end();
    assert!(running.end().await.success(), "{}", running.log());
    assert_eq!(map(&forwarder, &["--last", "3", "--source", "acme"]).ids, wanted);
    assert!(map(&forwarder, &["--last", "1"]).out.contains("|forwarder-stopped|"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_cut_is_said_beside_its_field() {
    let slack = slack().await;
    let forwarder = forwarder(&slack);
    let mut running = forwarder.start(&["--once"]);
    assert!(running.end().await.success(), "{}", running.log());
    let plain = map(&forwarder, &["--last", "1", "--source", "acme", "--destination", "siem"]);
    assert!(plain.notes.contains("cut to fit: cs1 has "), "{}", plain.notes);
    let shown = map(&forwarder, &["--last", "1", "--source", "acme", "--destination", "siem", "--explain"]);
    assert_eq!(shown.notes, "");
    let line = |key: &str| shown.out.lines().find(|line| line.trim_start().starts_with(key)).unwrap();
    assert!(
        line("cs1 (SlackActorName)").contains(" of its 900 bytes  mappings/audit/common.toml:"),
        "{}",
        shown.out
    );
    assert!(!line("externalId ").contains("cut:"));
}

#[test]
fn a_file_and_the_store_are_not_mapped_at_once() {
    for arguments in [
        &["map", "--last", "3", "entries.ndjson"][..],
        &["map", "--source", "acme"],
        &["map", "--destination", "siem", "--mapping", "acme"],
        &["map", "--destination", "siem", "--max-message", "500B"],
    ] {
        assert_eq!(slackcef(arguments).status.code(), Some(64), "{arguments:?}");
    }
}
