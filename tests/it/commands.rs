//! Each command, as a user types it: what it prints and how it ends.

use std::fs;
use std::path::Path;
use std::process::Output;

use slackcef::cef;

use crate::support::forwarder::slackcef;

#[track_caller]
fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

const ENTRIES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/entries.ndjson");

#[test]
fn demo_shows_the_whole_path_and_ends_by_itself() {
    let shown = printed(&slackcef(&["demo"]));
    assert!(shown.contains("9 entries happened, 9 arrived"), "{shown}");
    let lines: Vec<_> =
        shown.lines().filter_map(|line| line.split_once(" CEF - - - ").map(|(_, cef)| cef)).collect();
    let shown_classes: Vec<_> = lines.iter().map(|line| cef::decode(line).unwrap().class_id).collect();
    assert_eq!(shown_classes.len(), 9, "{shown}");
    assert!(shown_classes.contains(&"quantum_widget_entangled".to_owned()));
}

#[test]
fn map_turns_each_entry_into_one_line() {
    let shown = printed(&slackcef(&["map", ENTRIES]));
    let entries = fs::read_to_string(ENTRIES).unwrap().lines().count();
    assert_eq!(shown.lines().count(), entries);
    for line in shown.lines() {
        cef::decode(line).unwrap();
    }
}

#[test]
fn map_shows_what_could_command_a_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let entry = dir.path().join("entry.json");
    let name = "a".repeat(9_000);
    let hostile = r#"{"id":"\u001b]0;x\u0007\u009b31m","action":"\u001b[2J\nerror: forged","actor":{"user":{"name":"NAME"}}}"#;
    fs::write(&entry, hostile.replace("NAME", &name)).unwrap();
    fs::write(
        dir.path().join("drop.toml"),
        "version = 1\nlog = \"audit\"\n[[rules]]\nwhen = { id = { exists = true } }\ndrop = true\n",
    )
    .unwrap();
    let entry = entry.to_str().unwrap();
    for (arguments, notes) in [
        (vec!["map", entry], "cut to fit"),
        (vec!["map", "--mapping", dir.path().to_str().unwrap(), entry], "dropped: "),
    ] {
        let output = slackcef(&arguments);
        let said = String::from_utf8(output.stderr.clone()).unwrap();
        assert!(said.contains(notes) && said.contains("u{1b}"), "{said}");
        let shown = printed(&output) + &said;
        assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "{shown:?}");
        assert!(!shown.lines().any(|line| line.starts_with("error:")), "{shown:?}");
    }
}

#[test]
fn map_explains_who_set_what() {
    let dir = tempfile::tempdir().unwrap();
    let mine = dir.path().join("mine.toml");
    fs::write(
        &mine,
        "version = 1\nlog = \"audit\"\n[fields]\nAcmeTenant = \"emea\"\nsuser = \"{actor.user.name}\"\n",
    )
    .unwrap();
    let entry = dir.path().join("entry.json");
    fs::write(&entry, fs::read_to_string(ENTRIES).unwrap().lines().next().unwrap()).unwrap();
    let mapping = dir.path().to_str().unwrap();
    let shown = printed(&slackcef(&["map", "--explain", "--mapping", mapping, entry.to_str().unwrap()]));
    let line = |key: &str| {
        shown.lines().find(|line| line.trim_start().starts_with(key)).unwrap_or_else(|| panic!("{shown}"))
    };
    assert!(line("AcmeTenant ").contains("\"emea\""), "{shown}");
    assert!(line("AcmeTenant ").ends_with("mine.toml:4"), "{shown}");
    assert!(line("suser ").contains("mine.toml:5, over mappings/audit/common.toml:"), "{shown}");
    assert!(line("fname ").contains("{entity.file.name"), "{shown}");
}

#[test]
fn mapping_list_names_the_line_of_each_action() {
    let shown = printed(&slackcef(&["mapping", "list", "--json"]));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for line in shown.lines() {
        let mapped: serde_json::Value = serde_json::from_str(line).unwrap();
        let (action, number) = (mapped["action"].as_str().unwrap(), mapped["line"].as_u64().unwrap());
        let file = fs::read_to_string(root.join(mapped["file"].as_str().unwrap())).unwrap();
        let there = file.lines().nth(usize::try_from(number).unwrap() - 1).unwrap();
        assert!(there.contains(action), "{action} is not in {there:?}");
        count += 1;
    }
    assert!(count >= 100, "{count} actions are mapped");
}

#[test]
fn mapping_init_makes_a_folder_that_check_takes() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("acme");
    let made = slackcef(&["mapping", "init", dir.to_str().unwrap()]);
    assert!(made.status.success());
    assert!(String::from_utf8_lossy(&made.stderr).contains("[mappings.acme]"));
    printed(&slackcef(&["mapping", "list", "--mapping", dir.to_str().unwrap()]));
    let again = slackcef(&["mapping", "init", dir.to_str().unwrap()]);
    assert_eq!(again.status.code(), Some(64), "what is there is not overwritten");
}

#[test]
fn help_ends_with_an_example() {
    for command in [
        "run",
        "demo",
        "check",
        "map",
        "mapping list",
        "mapping coverage",
        "mapping schema",
        "mapping init",
        "mapping test",
        "mapping diff",
        "status",
        "simulate slack",
        "simulate receiver",
    ] {
        let mut words: Vec<_> = command.split(' ').collect();
        words.push("--help");
        let help = printed(&slackcef(&words));
        assert!(help.contains("Example"), "{command}: {help}");
    }
}

#[test]
fn the_unit_is_hardened_and_calls_what_exists() {
    let unit = include_str!("../../deploy/systemd/slackcef.service");
    for line in [
        "DynamicUser=yes",
        "StateDirectory=slackcef",
        "LoadCredential=slack-token:",
        "ProtectSystem=strict",
        "NoNewPrivileges=yes",
        "LimitCORE=0",
    ] {
        assert!(unit.contains(line), "{line}");
    }
    for call in
        unit.lines().filter_map(|line| line.split_once("/usr/local/bin/slackcef ")).map(|(_, call)| call)
    {
        let mut words: Vec<_> = call.split(' ').take_while(|word| *word != "--config").collect();
        words.push("--help");
        printed(&slackcef(&words));
    }
}
