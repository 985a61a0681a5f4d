//! Slack's own allow list: shown and changed by the command, and heeded by the mapping.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use serde_json::Value;
use slackcef::simulate::slack::{Allowlist, Asns, Plan, Ranges, Slack, Unknown};
use tempfile::TempDir;

use crate::support::daemon::{PATIENCE, tick};
use crate::support::forwarder::{Forwarder, is_of_slack, slackcef};

const HERE: ([u8; 4], u16) = ([127, 0, 0, 1], 0);
const DESTINATION: &str = "[destinations.siem.stdout]\n";

async fn slack(allowlist: Allowlist) -> Slack {
    Slack::start(SocketAddr::from(HERE), Plan { allowlist, ..Plan::default() }).await.unwrap()
}

fn list(ranges: &[&str], asns: &[u64]) -> Allowlist {
    let ranges = ranges.iter().map(|&range| range.to_owned()).collect();
    Allowlist { ranges, asns: asns.to_vec(), ..Allowlist::default() }
}

/// The command, asked from a thread of its own: the simulator is served by this one.
async fn asked(forwarder: &Forwarder, arguments: &[&str]) -> Output {
    let config = forwarder.config();
    let all: Vec<_> =
        ["allowlist"].iter().chain(arguments).chain(&["--config"]).map(|&word| word.to_owned()).collect();
    tokio::task::spawn_blocking(move || {
        let mut all: Vec<_> = all.iter().map(String::as_str).collect();
        all.push(&config);
        slackcef(&all)
    })
    .await
    .unwrap()
}

fn printed(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_shown_merged_and_taken_from() {
    let slack = slack(list(&["8.8.8.8/24", "8.8.4.4/22"], &[34_245])).await;
    let forwarder = Forwarder::new(&slack, "", DESTINATION);
    let (code, shown, notes) = printed(&asked(&forwarder, &["get"]).await);
    assert_eq!((code, shown.as_str()), (Some(0), "8.8.8.8/24\n8.8.4.4/22\nAS34245\n"), "{notes}");
    assert!(notes.contains("2 ranges and 1 autonomous system are"), "{notes}");
    let (_, json, _) = printed(&asked(&forwarder, &["get", "--json", "--source", "acme"]).await);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        json,
        serde_json::json!({"source": "acme", "cidr": ["8.8.8.8/24", "8.8.4.4/22"], "asn": [34_245]})
    );

    let change = ["--cidr", "192.0.2.0/24,8.8.8.0/24", "--asn", "AS64500", "--asn", "34245"];
    let (code, shown, notes) =
        printed(&asked(&forwarder, &[&["add", "--dry-run"], &change[..]].concat()).await);
    assert_eq!(
        (code, shown.as_str()),
        (Some(0), "+ 192.0.2.0/24 (would be)\n+ AS64500 (would be)\n"),
        "{notes}"
    );
    assert!(notes.contains("nothing was written"), "{notes}");
    assert_eq!(slack.allowlist_requests().1, 0);

    let (code, shown, notes) = printed(&asked(&forwarder, &[&["add"], &change[..]].concat()).await);
    assert_eq!((code, shown.as_str()), (Some(0), "+ 192.0.2.0/24\n+ AS64500\n"), "{notes}");
    let merged = ["8.8.8.8/24", "8.8.4.4/22", "192.0.2.0/24"].map(str::to_owned).to_vec();
    assert_eq!(slack.allowlist(), (merged, vec![34_245, 64_500]), "what was there stays as it was written");
    assert_eq!(slack.allowlist_requests().1, 1);

    let (code, shown, notes) = printed(&asked(&forwarder, &[&["add"], &change[..]].concat()).await);
    assert_eq!((code, shown.as_str()), (Some(0), ""), "{notes}");
    assert!(notes.contains("like that already"), "{notes}");
    assert_eq!(slack.allowlist_requests().1, 1, "what is as it shall be is not written");

    let away = ["remove", "--cidr", "8.8.8.0/24", "--cidr", "203.0.113.1", "--json"];
    let (code, json, notes) = printed(&asked(&forwarder, &away).await);
    assert_eq!(code, Some(0), "{notes}");
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["removed"], serde_json::json!({"cidr": ["8.8.8.8/24"], "asn": []}));
    assert_eq!((&json["written"], &json["dry_run"]), (&true.into(), &false.into()));
    assert_eq!(slack.allowlist().0, ["8.8.4.4/22", "192.0.2.0/24"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_cleared_only_where_that_is_said() {
    let slack = slack(list(&["192.0.2.0/24"], &[])).await;
    let forwarder = Forwarder::new(&slack, "", DESTINATION);
    for dry in [&["--dry-run"][..], &[]] {
        let all = [&["remove", "--cidr", "192.0.2.0/24"], dry].concat();
        let (code, shown, notes) = printed(&asked(&forwarder, &all).await);
        assert_eq!(code, Some(64), "{notes}");
        assert!(shown.starts_with("- 192.0.2.0/24") && notes.contains("--clear"), "{shown}{notes}");
    }
    assert_eq!(slack.allowlist_requests().1, 0);
    let (code, _, notes) =
        printed(&asked(&forwarder, &["remove", "--cidr", "192.0.2.0/24", "--clear"]).await);
    assert_eq!(code, Some(0), "{notes}");
    assert_eq!(slack.allowlist(), (vec![], vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_spelling_slack_has_the_list_ends_up_right() {
    for ranges_as in [Ranges::Cidr, Ranges::Cidrs] {
        for asns_as in [Asns::Asns, Asns::Asn] {
            for unknown in [Unknown::Ignored, Unknown::NotOk, Unknown::Refused] {
                let begin = Allowlist { ranges_as, asns_as, unknown, ..list(&["8.8.8.8/24"], &[1]) };
                let is_table = (ranges_as, asns_as) == (Ranges::Cidr, Asns::Asns);
                let is_neither = (ranges_as, asns_as) == (Ranges::Cidrs, Asns::Asn);
                let told = format!("{begin:?}");
                let slack = slack(begin).await;
                let forwarder = Forwarder::new(&slack, "", DESTINATION);
                let all = ["add", "--cidr", "192.0.2.0/24", "--asn", "2"];
                let (code, _, notes) = printed(&asked(&forwarder, &all).await);
                // Where a mixture is refused as a whole, nobody tells which of the two names it was.
                if is_table || is_neither || unknown == Unknown::Ignored {
                    assert_eq!(code, Some(0), "{told}: {notes}");
                    let ranges = ["8.8.8.8/24", "192.0.2.0/24"].map(str::to_owned).to_vec();
                    assert_eq!(slack.allowlist(), (ranges, vec![1, 2]), "{told}");
                } else {
                    assert_eq!(code, Some(69), "{told}: {notes}");
                    assert_eq!(slack.allowlist(), (vec!["8.8.8.8/24".to_owned()], vec![1]), "{told}");
                    assert!(notes.contains("8.8.8.8/24, AS1 before"), "{told}: {notes}");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_slack_refuses_is_told_with_its_cure() {
    let slack = slack(list(&["192.0.2.0/24"], &[])).await;
    let forwarder = Forwarder::new(&slack, "", DESTINATION);
    for (error, what, cure) in [
        ("endpoint_unavailable", "cannot be reached now", "later"),
        ("unsupported_action_describe", "cannot show its allow list", "plan"),
        ("missing_scope", "lacks a scope", "`admin_token`"),
        ("user_not_authorized", "not an owner", "scope `admin`"),
        ("token_revoked", "the token was revoked", "install the app again"),
        ("ratelimited", "fewer requests", "limit"),
    ] {
        slack.refuse_allowlist(Some(error));
        let (code, shown, notes) = printed(&asked(&forwarder, &["get"]).await);
        assert_eq!((code, shown.as_str()), (Some(69), ""), "{error}");
        assert!(notes.contains(what) && notes.contains("help: ") && notes.contains(cure), "{error}: {notes}");
    }
    for (wrong, why) in [
        (&["add", "--cidr", "2001:db8::/32"][..], "IPv4"),
        (&["add", "--cidr", "192.0.2.1/24"], "192.0.2.0/24 for the whole range"),
        (&["add", "--asn", "Example"], "such as 64500"),
        (&["add"], "required"),
        (&["get", "--source", "nobody"], "the configuration has acme"),
    ] {
        let (code, _, notes) = printed(&asked(&forwarder, wrong).await);
        assert_eq!(code, Some(64), "{wrong:?}: {notes}");
        assert!(notes.contains(why), "{wrong:?}: {notes}");
    }
    fs::write(forwarder.dir().join("token"), "xoxp-of-nobody").unwrap();
    let (code, _, notes) = printed(&asked(&forwarder, &["get"]).await);
    assert_eq!(code, Some(69), "{notes}");
    assert!(notes.contains("refused the token") && !notes.contains("xoxp-of-nobody"), "{notes}");
}

const RULE: &str = "version = 1\nlog = \"audit\"\n[[rules]]\n\
    when = { action = \"anomaly\", \"context.ip_address\" = { cidr = \"trusted.cidr\" } }\nseverity = 3\n";

/// A forwarder whose mapping lowers anomalies of trusted networks, and the file of its events.
fn trusting(slack: &Slack, source: &str) -> (Forwarder, TempDir) {
    let files = tempfile::tempdir().unwrap();
    let (mapping, events) = (files.path().join("mapping"), files.path().join("events"));
    fs::create_dir(&mapping).unwrap();
    fs::write(mapping.join("acme.toml"), RULE).unwrap();
    let tables = format!(
        "[mappings.acme]\ndir = {mapping:?}\n[destinations.kept]\nmapping = \"acme\"\n[destinations.kept.file]\npath = {events:?}\n"
    );
    (
        Forwarder::new(
            slack,
            &format!("start = \"1d\"\nsettle = \"1s\"\nrequests_per_minute = 1000000\n{source}"),
            &tables,
        ),
        files,
    )
}

/// The severities of the anomalies from within the range and from without.
fn severities(events: &Path) -> Option<(String, String)> {
    let text = fs::read_to_string(events).unwrap_or_default();
    let of = |address: &str| {
        let line =
            text.lines().find(|line| is_of_slack(line) && line.contains(&format!("src={address} ")))?;
        line.split('|').nth(6).map(str::to_owned)
    };
    Some((of("192.0.2.77")?, of("198.51.100.1")?))
}

fn push_anomalies(slack: &Slack) {
    for (id, address) in [("in", "192.0.2.77"), ("out", "198.51.100.1")] {
        let at = slack.now() - 60;
        slack
            .push(&format!(
                r#"{{"id":"{id}","date_create":{at},"action":"anomaly","context":{{"ip_address":"{address}"}},"details":{{"reason":["ip_address"]}}}}"#
            ))
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn severity_follows_the_organizations_own_word_from_the_first_entry_on() {
    // The log is read by far sooner than the list.
    let begin = Allowlist { slow: Duration::from_secs(1), ..list(&["192.0.2.1/24"], &[]) };
    let slack = slack(begin).await;
    push_anomalies(&slack);
    // By cron as well as by the service.
    for arguments in [&["--once"][..], &[]] {
        let (forwarder, files) = trusting(&slack, "trusted = true");
        let mut running = forwarder.start(arguments);
        let start = Instant::now();
        while severities(&files.path().join("events")).is_none() {
            assert!(start.elapsed() < 2 * PATIENCE, "nothing comes: {}", running.log());
            tick().await;
        }
        assert_eq!(
            severities(&files.path().join("events")).unwrap(),
            ("3".to_owned(), "6".to_owned()),
            "{}",
            running.log()
        );
        assert!(running.log().contains("was read from Slack's allow list"), "{}", running.log());
        if arguments.is_empty() {
            running.ask_to_end();
        }
        assert!(running.end().await.success(), "{}", running.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_source_is_judged_by_its_own_organizations_list() {
    let (acme, emea) =
        (slack(list(&["192.0.2.0/24"], &[])).await, slack(list(&["198.51.100.0/24"], &[])).await);
    push_anomalies(&acme);
    push_anomalies(&emea);
    let events = tempfile::tempdir().unwrap();
    let token = events.path().join("token");
    fs::write(&token, emea.token()).unwrap();
    fs::set_permissions(&token, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let mapping = events.path().join("mapping");
    fs::create_dir(&mapping).unwrap();
    fs::write(mapping.join("acme.toml"), RULE).unwrap();
    let kept = |name: &str| {
        let path = events.path().join(name);
        format!(
            "[destinations.{name}]\nmapping = \"acme\"\nsources = [\"{name}\"]\n[destinations.{name}.file]\npath = {path:?}\n"
        )
    };
    let source = "start = \"1d\"\nsettle = \"1s\"\nrequests_per_minute = 1000000\ntrusted = true";
    let tables = format!(
        "[sources.emea]\nlog = \"audit\"\ntoken = {{ file = {token:?} }}\nbase_url = {:?}\n{source}\n[mappings.acme]\ndir = {mapping:?}\n{}{}",
        emea.base_url(),
        kept("acme"),
        kept("emea"),
    );
    let forwarder = Forwarder::new(&acme, source, &tables);
    let mut running = forwarder.start(&["--once"]);
    assert!(running.end().await.success(), "{}", running.log());
    for (name, expected) in [("acme", ("3", "6")), ("emea", ("6", "3"))] {
        let (inside, outside) = severities(&events.path().join(name)).unwrap();
        assert_eq!((inside.as_str(), outside.as_str()), expected, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_list_nothing_is_trusted_and_that_is_said() {
    let slack = slack(list(&["192.0.2.0/24"], &[])).await;
    push_anomalies(&slack);
    slack.refuse_allowlist(Some("missing_scope"));
    let (forwarder, _files) = trusting(&slack, "trusted = true");
    let config = forwarder.config();
    let checked =
        tokio::task::spawn_blocking(move || slackcef(&["check", "--config", &config])).await.unwrap();
    let (code, found, _) = printed(&checked);
    assert_eq!(code, Some(69), "{found}");
    assert!(found.contains("no allow list of source acme") && found.contains("`admin_token`"), "{found}");
    for (source, said) in [
        ("trusted = true", "Slack's allow list cannot be read, nothing is trusted"),
        ("", "no source reads that: nothing is trusted"),
    ] {
        let (forwarder, files) = trusting(&slack, source);
        let mut running = forwarder.start(&["--once"]);
        assert!(running.end().await.success(), "{}", running.log());
        assert_eq!(severities(&files.path().join("events")).unwrap(), ("6".to_owned(), "6".to_owned()));
        assert!(running.log().contains(said), "{}", running.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_may_want_a_token_of_its_own() {
    let slack = slack(list(&["192.0.2.0/24"], &[])).await;
    push_anomalies(&slack);
    let own = tempfile::tempdir().unwrap();
    let token = own.path().join("admin-token");
    fs::write(&token, "xoxp-of-nobody").unwrap();
    fs::set_permissions(&token, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let (forwarder, files) =
        trusting(&slack, &format!("trusted = true\nadmin_token = {{ file = {token:?} }}"));
    let mut running = forwarder.start(&["--once"]);
    assert!(running.end().await.success(), "the log is read by the source's own: {}", running.log());
    assert!(running.log().contains("Slack's allow list cannot be read"), "{}", running.log());
    assert_eq!(severities(&files.path().join("events")).unwrap().0, "6");
}
