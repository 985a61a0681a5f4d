//! `mapping coverage`: by the list we ship, by Slack's own, by what was seen; and stubs that can be
//! pasted as they are.

use std::fs;
use std::path::Path;
use std::time::Instant;

use serde_json::Value;
use slackcef::simulate::slack::{Plan, Slack};

use crate::support::daemon::{PATIENCE, tick};
use crate::support::forwarder::{Forwarder, slackcef};

#[track_caller]
fn printed(arguments: &[&str]) -> String {
    let output = slackcef(&[&["mapping", "coverage"], arguments].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn json(arguments: &[&str]) -> Value {
    let shown = printed(&[arguments, &["--json"]].concat());
    assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "{shown:?}");
    serde_json::from_str(&shown).unwrap()
}

fn written(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect()
}

#[test]
fn the_shipped_list_is_compared_by_group() {
    let shown = json(&[]);
    let [actions, mapped] = ["actions", "mapped"].map(|key| shown[key].as_u64().unwrap());
    assert!(actions >= 772, "{actions}");
    assert_eq!(mapped + names(&shown["unmapped"]).len() as u64, actions);
    assert_eq!(names(&shown["unlisted"]), [""; 0], "the mapping names actions that Slack does not have");
    assert!(shown["new"].is_null());
    let groups = shown["groups"].as_array().unwrap();
    let user = groups.iter().find(|group| group["group"] == "user").unwrap();
    assert!(user["mapped"].as_u64().unwrap() >= 60, "{user}");
    let text = printed(&[]);
    assert!(text.starts_with("GROUP "), "{text}");
    assert!(text.contains(&format!("{mapped} of {actions} actions are mapped, by the list")), "{text}");
}

const LIST: &str = r#"{"actions":{"user":["user_login","user_teleported"],"gate":["user_teleported","gate_opened","\u001b[2J\n\u009b"]}}"#;

#[test]
fn a_saved_list_tells_what_is_new_and_what_is_unmapped() {
    let dir = tempfile::tempdir().unwrap();
    let list = written(dir.path(), "actions.json", LIST);
    let shown = json(&["--actions", &list]);
    assert_eq!((&shown["actions"], &shown["mapped"]), (&4.into(), &1.into()));
    let new = ["\u{1b}[2J\n\u{9b}", "gate_opened", "user_teleported"];
    assert_eq!(names(&shown["new"]), new);
    assert_eq!(names(&shown["unmapped"]), new);
    let text = printed(&["--actions", &list]);
    assert!(text.contains("\n  user: user_teleported\n"), "{text}");
    assert!(
        text.contains("On Slack's list, and not known when slackcef was built:\n  \\u{1b}[2J\\n\\u{9b}\n"),
        "{text}"
    );
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");

    // Mapped by the customer, it is still news, and no longer unmapped.
    let folder = dir.path().join("acme");
    fs::create_dir(&folder).unwrap();
    written(
        &folder,
        "a.toml",
        "version = 1\nlog = \"audit\"\n[actions.gate_opened]\nseverity = 3\n[actions.gate_shut]\nseverity = 3\n",
    );
    let shown = json(&["--actions", &list, "--mapping", folder.to_str().unwrap()]);
    assert_eq!(names(&shown["new"]), new);
    assert_eq!(names(&shown["unmapped"]), [new[0], new[2]]);
    assert_eq!(names(&shown["unlisted"]), ["gate_shut"]);

    let failed = slackcef(&["mapping", "coverage", "--actions", &list, "--fail"]);
    assert_eq!(failed.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&failed.stderr).contains("3 actions are not mapped"));
    let known = written(dir.path(), "known.json", r#"{"actions":{"user":["user_login"]}}"#);
    assert_eq!(names(&json(&["--actions", &known, "--fail"])["unmapped"]), [""; 0]);
}

#[test]
fn what_is_no_list_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let page = written(dir.path(), "page.json", r#"{"entries":[]}"#);
    for arguments in [
        &["--actions", &page][..],
        &["--actions", "nowhere.json"],
        &["--source", "acme"],
        &["--seen", "--live"],
    ] {
        let output = slackcef(&[&["mapping", "coverage"], arguments].concat());
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
    }
}

/// What an unmapped entry may hold, and worse.
const ENTRIES: &str = r#"{"id":"1","date_create":1795132800,"action":"user_login"}
{"id":"2","date_create":1795132800,"action":"gate.opened","entity":{"type":"gate","gate":{}},"details":{"gate_name":"north","reason":"wind","previous_value":{"was":1},"by":{"user_id":"W1","deep":{"er":1}},"nothing":null,"team.unsupported":"x"}}
{"id":"3","date_create":1795140000,"action":"gate.opened","entity":{"type":"door","door":{}},"details":{"gate-name":"twin","it's":1,"a{b}":1,"q\"q":2}}
{"id":"4","date_create":1795132801,"action":"\u001b[2J\"\n[actions.x]\\","details":["list"]}
{"id":"5","date_create":1795132802,"details":"\ud800"}
"#;

/// The stubs as a file, their fields no longer behind `#`.
fn pasted(stubs: &str) -> String {
    let field = |line: &str| line.starts_with("# [actions.") || line.starts_with("# SlackAudit");
    let lines = stubs.lines().map(|line| if field(line) { line.strip_prefix("# ").unwrap() } else { line });
    format!("version = 1\nlog = \"audit\"\n{}\n", lines.collect::<Vec<_>>().join("\n"))
}

#[test]
fn what_was_seen_comes_as_stubs_that_can_be_pasted() {
    let dir = tempfile::tempdir().unwrap();
    let entries = written(dir.path(), "entries.ndjson", ENTRIES);
    let stubs = printed(&["--entries", &entries]);
    assert!(!stubs.contains(|c: char| c.is_control() && c != '\n'), "{stubs:?}");
    let gate = r#"# seen 2 times, from 2026-11-20T00:00:00Z to 2026-11-20T02:00:00Z, on door, gate
[actions."gate.opened"]
name = "Gate opened"
severity = 4
# [actions."gate.opened".fields]
"#;
    assert!(stubs.contains(gate), "{stubs}");
    for field in [
        "# SlackAuditByUserId = \"{details.by.user_id}\"",
        "# SlackAuditByDeep = \"{details.by.deep}\"",
        "# SlackAuditTeamUnsupported = '{details.\"team.unsupported\"}'",
    ] {
        assert!(stubs.contains(field), "{field}: {stubs}");
    }
    assert_eq!(stubs.matches("SlackAuditGateName").count(), 1, "one key is proposed once: {stubs}");
    assert!(!stubs.contains("nothing") && !stubs.contains("it's") && !stubs.contains("previous"), "{stubs}");
    assert!(!stubs.contains("details.reason"), "every event has it: {stubs}");

    let folder = dir.path().join("acme");
    fs::create_dir(&folder).unwrap();
    written(&folder, "new.toml", &pasted(&stubs));
    let shown = json(&["--entries", &entries, "--mapping", folder.to_str().unwrap(), "--fail"]);
    assert_eq!(shown, serde_json::json!({ "entries": 5, "unmapped": [], "entries_of_further_actions": 0 }));

    let shown = json(&["--entries", &entries]);
    let gate =
        shown["unmapped"].as_array().unwrap().iter().find(|seen| seen["action"] == "gate.opened").unwrap();
    assert_eq!((&gate["count"], &gate["first"]), (&2.into(), &"2026-11-20T00:00:00Z".into()));
    assert_eq!(names(&gate["entities"]), ["door", "gate"]);
    assert!(stubs.contains(gate["stub"].as_str().unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn slacks_own_list_and_the_store_are_asked_while_the_service_runs() {
    let given = ENTRIES
        .lines()
        .map(|line| line.replace("1795132800", "0").replace(r#""date_create":0,"#, ""))
        .collect();
    let slack = Slack::start(([127, 0, 0, 1], 0).into(), Plan { given, ..Plan::default() }).await.unwrap();
    let forwarder = Forwarder::new(
        &slack,
        "start = \"1d\"\nsettle = \"2s\"\nrequests_per_minute = 6000",
        "[destinations.siem.stdout]",
    );
    let config = forwarder.config();
    let shown = json(&["--live", "--config", &config]);
    assert_eq!(shown["list"], "Slack's own list");
    assert!(names(&shown["new"]).contains(&"holo_board.pinned"), "{shown}");
    assert!(names(&shown["unmapped"]).contains(&"holo_board.pinned"), "{shown}");
    assert!(!names(&shown["unmapped"]).contains(&"user_login"), "{shown}");
    let unknown = slackcef(&["mapping", "coverage", "--live", "--source", "acne", "--config", &config]);
    assert_eq!(unknown.status.code(), Some(64));

    let absent = slackcef(&["mapping", "coverage", "--seen", "--config", &config]);
    assert_eq!(absent.status.code(), Some(64));
    let mut running = forwarder.start(&[]);
    let start = Instant::now();
    let seen = || {
        let output = slackcef(&["mapping", "coverage", "--seen", "--config", &config]);
        output.status.success() && String::from_utf8(output.stdout).unwrap().contains("gate.opened")
    };
    while !seen() {
        assert!(start.elapsed() < PATIENCE && running.ended().is_none(), "{}", running.log());
        tick().await;
    }
    let shown = json(&["--seen", "--source", "acme", "--config", &config]);
    assert!(
        shown["unmapped"].as_array().unwrap().iter().any(|seen| seen["action"] == "gate.opened"),
        "{shown}"
    );

    let address = slack.base_url();
    slack.stop().await.unwrap();
    let down = slackcef(&["mapping", "coverage", "--live", "--config", &config]);
    assert_eq!(down.status.code(), Some(69), "{address} is down");
}
