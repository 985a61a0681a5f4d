//! `mapping list`: actions and fields, and the page of fields that people write queries by.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use slackcef::cef;

use crate::support::forwarder::slackcef;

#[track_caller]
fn printed(arguments: &[&str]) -> String {
    let output = slackcef(&[&["mapping", "list"], arguments].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn rows(arguments: &[&str]) -> Vec<Value> {
    let shown = printed(&[arguments, &["--json"]].concat());
    shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// `BLESS=1 cargo test mapping_list` writes the page anew.
#[test]
fn the_page_of_fields_is_what_the_mapping_says() {
    let page = root("mappings/FIELDS.md");
    let shown = printed(&["--fields", "--markdown"]);
    if std::env::var_os("BLESS").is_some() {
        fs::write(&page, &shown).unwrap();
    }
    assert!(fs::read_to_string(page).unwrap() == shown, "BLESS=1 writes mappings/FIELDS.md anew");
}

#[test]
fn the_queries_on_the_page_find_what_they_promise() {
    let page = printed(&["--fields", "--markdown"]);
    let head = page.split("## Keys of every event").next().unwrap();
    let fields = rows(&["--fields"]);
    let known: BTreeSet<_> =
        fields.iter().flat_map(|row| [row["key"].as_str(), row["label"].as_str()]).flatten().collect();
    let is_key = |word: &&str| word.len() > 1 && word.bytes().all(|b| b.is_ascii_alphanumeric());
    let named: BTreeSet<_> = head.split('`').skip(1).step_by(2).filter(is_key).collect();
    assert!(named.len() >= 15, "{named:?}");
    // The encoder's own, for IPv6.
    for name in named.iter().filter(|name| **name != "c6a2") {
        assert!(known.contains(name), "{name} is named on the page, and no file sets it");
    }

    let dir = tempfile::tempdir().unwrap();
    let entry = dir.path().join("entry.json");
    let text = r#"{"id":"1","date_create":1795132800,"action":"file_downloaded","actor":{"type":"user","user":{"id":"W1","name":"Ann","email":"ann@example.com"}},"entity":{"type":"file","file":{"id":"F1","name":"plan.pdf","filetype":"application/pdf","title":"Plan"}},"context":{"location":{"type":"workspace","id":"T1","name":"Acme","domain":"acme"},"ip_address":"192.0.2.7","session_id":17}}"#;
    fs::write(&entry, text).unwrap();
    let line = String::from_utf8(slackcef(&["map", entry.to_str().unwrap()]).stdout).unwrap();
    let event = cef::decode(line.trim_end()).unwrap();
    for (key, value) in [
        ("act", "file_downloaded"),
        ("suser", "ann@example.com"),
        ("suid", "W1"),
        ("src", "192.0.2.7"),
        ("fname", "plan.pdf"),
        ("fileId", "F1"),
        ("fileType", "application/pdf"),
        ("cs2", "file"),
        ("cs3", "F1"),
        ("cs4", "plan.pdf"),
        ("cn1", "17"),
    ] {
        assert_eq!(event.value(key), Some(value), "{key}");
    }
}

#[test]
fn each_field_is_said_where_the_list_says() {
    for row in rows(&["--fields"]) {
        let (file, line) = (row["file"].as_str().unwrap(), row["line"].as_u64().unwrap());
        let text = fs::read_to_string(root(file)).unwrap();
        let there = text.lines().nth(usize::try_from(line).unwrap() - 1).unwrap();
        let key = row["key"].as_str().unwrap();
        assert!(there.contains(key) || (key == "cat" && there.contains("category")), "{row}: {there}");
        assert!(!row["means"].as_str().unwrap().is_empty(), "{row}");
        let everywhere = row["scope"] == "every" || row["scope"] == "unmapped";
        assert_eq!(row["actions"].as_array().unwrap().is_empty(), everywhere, "{row}");
    }
}

#[test]
fn a_customers_own_meaning_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let mine = r#"version = 1
log = "audit"
[fields]
AcmeTenant = { value = "emea", means = "which of our tenants" }
suser = "{actor.user.id | pseudonym}"
[actions.file_downloaded]
fields = { cs5 = { label = "AcmeTitle", value = "{entity.file.title}" } }
[[rules]]
when = { action = ["user_login", "user_logout"], "context.app.id" = "A1" }
fields = { AcmeRobot = "yes" }
"#;
    fs::write(dir.path().join("mine.toml"), mine).unwrap();
    let all = rows(&["--fields", "--mapping", dir.path().to_str().unwrap()]);
    let row = |key: &str| all.iter().find(|row| row["key"] == key).unwrap_or_else(|| panic!("{key}"));
    assert_eq!(row("AcmeTenant")["means"], "which of our tenants");
    assert_eq!(row("AcmeTenant")["from"], serde_json::json!(["emea"]));
    assert_eq!((&row("suser")["hides"], &row("suser")["line"]), (&true.into(), &5.into()));
    assert_eq!(row("cs5")["label"], "AcmeTitle");
    assert_eq!(row("cs5")["actions"], serde_json::json!(["file_downloaded"]));
    assert_eq!(row("cs5")["entities"], serde_json::json!(["file"]));
    assert_eq!(row("AcmeRobot")["actions"], serde_json::json!(["user_login", "user_logout"]));
    assert_eq!(row("AcmeRobot")["scope"], "rules");
    assert_eq!(row("fname")["scope"], "every");
    let text = printed(&["--fields", "--mapping", dir.path().to_str().unwrap()]);
    let line = text.lines().find(|line| line.starts_with("AcmeTenant ")).unwrap();
    assert!(line.contains("every entry") && line.contains("which of our tenants"), "{line}");
}

#[test]
fn actions_are_listed_with_category_and_range() {
    let all = rows(&[]);
    let anomaly = all.iter().find(|row| row["action"] == "anomaly").unwrap();
    assert!(anomaly["severity_up_to"].as_u64() > anomaly["severity"].as_u64(), "{anomaly}");
    let logout = all.iter().find(|row| row["action"] == "user_logout").unwrap();
    assert_eq!(logout["category"], "user");
    let text = printed(&[]);
    assert_eq!(text.lines().count(), all.len(), "no heading where nobody looks");
    let line = text.lines().find(|line| line.contains(" user_logout ")).unwrap();
    assert!(line.contains(" user ") && line.contains("mappings/audit/user.toml:"), "{line}");
    let line = text.lines().find(|line| line.contains(" anomaly ")).unwrap();
    assert!(line.trim_start().starts_with(&format!("{}-", anomaly["severity"])), "{line}");
}
