//! The tools for mapping files, as a user runs them: `test`, `diff`, `init`.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use tempfile::TempDir;

use crate::support::forwarder::slackcef;

const MAPPING: &str = r#"version = 1
log = "audit"

[fields]
AcmeTenant = "emea"
cs5 = { label = "AcmeSite", value = "{context.location.name | upper}" }

[actions.user_login]
severity = 3

[[rules]]
when = { action = "user_channel_join" }
drop = true
"#;

const LOGIN: &str = r#"{"id":"1","action":"user_login","date_create":1766105700,"context":{"ua":"x"},"actor":{"user":{"name":"Ann","email":"ann@example.com"}}}"#;

/// A folder `acme` with a mapping and files of cases.
struct Folder(TempDir);

impl Folder {
    fn new(mapping: &str, cases: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("audit.toml", mapping);
        for (name, text) in cases {
            folder.write(&format!("tests/{name}"), text);
        }
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join("acme").join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// `mapping test` of the folder: exit code, standard output, standard error, with the folder
    /// named `acme`.
    fn test(&self, options: &[&str]) -> (i32, String, String) {
        let dir = self.path("");
        let mut words = vec!["mapping", "test", dir.to_str().unwrap()];
        words.extend(options);
        self.told(&slackcef(&words))
    }

    fn told(&self, output: &Output) -> (i32, String, String) {
        let text = |bytes: &[u8]| {
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            text.replace(&format!("{}/", self.0.path().display()), "")
        };
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    }
}

fn cases(text: &str) -> String {
    format!("version = 1\n{text}")
}

fn case(name: &str, rest: &str) -> String {
    format!("\n[[cases]]\nname = \"{name}\"\nentry = '''{LOGIN}'''\n{rest}\n")
}

#[test]
fn cases_that_hold_are_ok() {
    let text = cases(
        &(case(
            "keys, labels, name and severity",
            r#"expect = { name = "User logged in", severity = 3, suser = "ann@example.com", SlackActorName = "Ann", cs1 = "Ann", rt = 1766105700000 }
absent = ["src", "AcmeSite"]"#,
        ) + "\n[[cases]]\nname = \"joins are dropped\"\nfile = \"entries/join.json\"\ndropped = true\n"),
    );
    let folder = Folder::new(MAPPING, &[("deep/login.toml", &text)]);
    folder.write("tests/deep/entries/join.json", "{\"action\": \"user_channel_join\"}\n");
    let (code, shown, said) = folder.test(&[]);
    assert_eq!(said, "");
    assert_eq!(
        shown,
        "acme/tests/deep/login.toml\n  ok       keys, labels, name and severity\n  ok       joins are dropped\n2 cases: 2 ok\n"
    );
    assert_eq!(code, 0);
}

#[test]
fn a_failed_case_says_what_was_expected_what_came_and_who_set_it() {
    let text = cases(
        &(case(
            "values",
            r#"expect = { severity = 7, suser = "bob@example.com", AcmeSite = "HQ", fname = "x" }"#,
        ) + &case("absent", r#"absent = ["AcmeTenant"]"#)
            + &case("exact", "expect = { AcmeTenant = \"emea\" }\nexact = true")
            + &case("dropped", "dropped = true")
            + "\n[[cases]]\nname = \"sent\"\nentry = '{\"action\": \"user_channel_join\"}'\ndropped = false\n"),
    );
    let (code, shown, said) = Folder::new(MAPPING, &[("login.toml", &text)]).test(&[]);
    assert_eq!(code, 78);
    assert!(said.contains("5 of 5 cases do not come out as expected"), "{said}");
    for wanted in [
        "  FAILED   values  acme/tests/login.toml:4\n",
        "severity\n             expected \"7\"\n             got      \"3\"   acme/audit.toml:9\n",
        "suser\n             expected \"bob@example.com\"\n             got      \"ann@example.com\"   mappings/audit/common.toml:",
        "AcmeSite\n             expected \"HQ\"\n             got      nothing: the entry has no value at {context.location.name | upper}   acme/audit.toml:6\n",
        "fname\n             expected \"x\"\n             got      nothing: the entry has no value at {",
        "AcmeTenant\n             expected nothing\n             got      \"emea\"   acme/audit.toml:5\n",
        "SlackActorName\n             expected nothing\n             got      \"Ann\"",
        "the entry is sent, and not dropped",
        "the entry is dropped, by acme/audit.toml:13",
        "5 cases: 0 ok, 5 failed\n",
    ] {
        assert!(shown.contains(wanted), "{wanted}\nis not in\n{shown}");
    }
}

#[test]
fn json_tells_the_same_one_case_a_line() {
    let text =
        cases(&(case("good", "expect = { severity = 3 }") + &case("bad", "expect = { AcmeSite = \"HQ\" }")));
    let (code, shown, _) = Folder::new(MAPPING, &[("login.toml", &text)]).test(&["--json"]);
    assert_eq!(code, 78);
    let told: Vec<serde_json::Value> =
        shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(told.len(), 2);
    assert_eq!((&told[0]["name"], &told[0]["result"]), (&"good".into(), &"ok".into()));
    let difference = &told[1]["differences"][0];
    assert_eq!(told[1]["result"], "failed");
    assert_eq!((&difference["key"], &difference["expected"]), (&"AcmeSite".into(), &"HQ".into()));
    assert!(
        difference["got"].is_null() && difference["why"].as_str().unwrap().contains("{context.location.name")
    );
    assert!(difference["set_by"].as_str().unwrap().ends_with("acme/audit.toml:6"), "{difference}");
}

#[test]
fn bless_writes_what_is_missing_and_nothing_else() {
    let text = cases(
        &("# Logins.\n".to_owned()
            + &case("new", "# to be looked at")
            + &case("old", "expect = { severity   =   7 } # wrong, and to stay so")
            + "\n[[cases]] # dropped\nname = \"a join\"\nentry = '{\"action\":\"user_channel_join\"}'\n# the end\n"),
    );
    let folder = Folder::new(MAPPING, &[("login.toml", &text)]);
    let (code, shown, said) = folder.test(&[]);
    assert_eq!(code, 78, "{shown}");
    assert!(shown.contains("missing  new") && said.contains("--bless"), "{shown}{said}");
    assert_eq!(folder.read("tests/login.toml"), text, "nothing is written unasked");

    let (code, shown, _) = folder.test(&["--bless"]);
    assert_eq!(code, 78, "a failed case stays failed: {shown}");
    assert!(
        shown.contains("blessed  new") && shown.contains("3 cases: 0 ok, 1 failed, 2 blessed"),
        "{shown}"
    );
    let blessed = folder.read("tests/login.toml");
    for kept in
        ["# Logins.", "# to be looked at", "severity   =   7 } # wrong", "[[cases]] # dropped", "# the end"]
    {
        assert!(blessed.contains(kept), "{kept} is not in\n{blessed}");
    }
    assert!(blessed.contains("name = \"User logged in\"\nseverity = 3\n"), "{blessed}");
    assert!(
        blessed.contains("SlackActorName = \"Ann\"\n") && blessed.contains("dropped = true"),
        "{blessed}"
    );

    folder.write("tests/login.toml", &blessed.replace("severity   =   7", "severity   =   3"));
    let (code, shown, _) = folder.test(&["--bless"]);
    assert_eq!((code, shown.ends_with("3 cases: 3 ok\n")), (0, true), "{shown}");
}

#[test]
fn bless_writes_texts_of_any_kind_so_that_they_are_read_back() {
    let entry = r#"{"action":"user_login","actor":{"user":{"name":"a\"b'c\\\n'''\"\"\"\ttab é \u0000|","email":"x"}}}"#;
    let inline =
        format!("version = 1\ncases = [\n  # one\n  {{ name = \"inline\", entry = '''{LOGIN}''' }},\n]\n");
    let folder = Folder::new(MAPPING, &[("inline.toml", &inline)]);
    folder.write("tests/entry.json", entry);
    folder.write(
        "tests/hostile.toml",
        "version = 1\r\n[[cases]]\r\nname = \"hostile\"\r\nfile = \"entry.json\"\r\nexact = true\r\n",
    );
    assert_eq!(folder.test(&["--bless"]).0, 0);
    let (code, shown, said) = folder.test(&[]);
    assert_eq!(code, 0, "{shown}{said}{}", folder.read("tests/hostile.toml"));
    assert!(folder.read("tests/inline.toml").contains("  # one\n"));
}

#[cfg(unix)]
#[test]
fn bless_does_not_write_outside_of_the_mapping() {
    let elsewhere = tempfile::tempdir().unwrap();
    let real = elsewhere.path().join("login.toml");
    let text = cases(&case("new", ""));
    fs::write(&real, &text).unwrap();
    let folder = Folder::new(MAPPING, &[]);
    fs::create_dir(folder.path("tests")).unwrap();
    std::os::unix::fs::symlink(&real, folder.path("tests/login.toml")).unwrap();
    let (code, _, said) = folder.test(&["--bless"]);
    assert_eq!(code, 64);
    assert!(said.contains("is a link to"), "{said}");
    assert_eq!(fs::read_to_string(real).unwrap(), text);
}

#[test]
fn a_mapping_without_cases_and_one_with_mistakes_say_so() {
    let (code, _, said) = Folder::new(MAPPING, &[]).test(&[]);
    assert_eq!(code, 64);
    assert!(said.contains("there is no case in acme/tests"), "{said}");
    let text = cases("\n[[cases]]\nname = \"x\"\nentry = '{}'\nexpct = {}\n");
    let (code, _, said) =
        Folder::new("version = 1\nlog = \"audit\"\n[felds]\n", &[("x.toml", &text)]).test(&[]);
    assert_eq!(code, 78);
    assert!(said.contains("did you mean `fields`?"), "{said}");
    let (code, shown, said) = Folder::new(MAPPING, &[("x.toml", &text)]).test(&[]);
    assert_eq!((code, shown.as_str()), (78, ""));
    assert!(said.contains("acme/tests/x.toml:6:1") && said.contains("did you mean `expect`?"), "{said}");
}

#[test]
fn every_mapping_of_a_configuration_is_tested() {
    let good = Folder::new(MAPPING, &[("x.toml", &cases(&case("good", "expect = { severity = 3 }")))]);
    let bad = Folder::new(MAPPING, &[("x.toml", &cases(&case("bad", "expect = { severity = 4 }")))]);
    let config = format!(
        "version = 1\n[state]\ndir = \"/nowhere\"\n[sources.s]\nlog = \"audit\"\ntoken = {{ env = \"NONE\" }}\n\
         [destinations.d]\nmapping = \"good\"\n[destinations.d.stdout]\n\
         [mappings.good]\ndir = {:?}\n[mappings.bad]\ndir = {:?}\n",
        good.path(""),
        bad.path("")
    );
    good.write("slackcef.conf", &config);
    let output = slackcef(&["mapping", "test", "--config", good.path("slackcef.conf").to_str().unwrap()]);
    let (code, shown, said) = good.told(&output);
    assert_eq!(code, 78, "{said}");
    assert!(shown.contains("ok       good") && shown.contains("FAILED   bad"), "{shown}{said}");
}

#[test]
fn the_cases_in_help_and_readme_hold() {
    let readme = include_str!("../../mappings/README.md");
    let of_readme = readme.split("```").find(|part| part.contains("[[cases]]")).unwrap();
    let help = String::from_utf8(slackcef(&["mapping", "test", "--help"]).stdout).unwrap();
    let (_, of_help) = help.split_once("logout.toml:\n").unwrap();
    let (of_help, _) = of_help.split_once("Examples:").unwrap();
    let mapping = "version = 1\nlog = \"audit\"\n[actions.user_channel_join]\ndrop = true\n";
    let folder = Folder::new(
        mapping,
        &[
            ("readme.toml", of_readme.trim_start_matches("toml")),
            ("help.toml", of_help),
            ("entries/join.json", "{\"action\":\"user_channel_join\"}"),
        ],
    );
    let (code, shown, said) = folder.test(&[]);
    assert_eq!(code, 0, "{shown}{said}");
    assert!(shown.ends_with("3 cases: 3 ok\n"), "{shown}");
}

fn diff(words: &[&str]) -> (i32, String, String) {
    let mut all = vec!["mapping", "diff"];
    all.extend(words);
    let output = slackcef(&all);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn diff_shows_each_field_that_changes_with_both_lines() {
    let folder = Folder::new(MAPPING, &[("x.toml", &cases(&case("login", "dropped = false")))]);
    let dir = folder.path("audit.toml");
    let dir = dir.parent().unwrap().to_str().unwrap();
    let entry = folder.path("login.json");
    fs::write(&entry, LOGIN).unwrap();
    let entry = entry.to_str().unwrap();
    let (code, shown, said) = diff(&["shipped", dir, entry]);
    assert_eq!(code, 0, "{said}");
    for wanted in [
        "user_login 1 at 2025-12-19T00:55:00Z\n",
        "  ~ severity 2 -> 3   mappings/audit/user.toml:",
        &format!("-> {dir}/audit.toml:9\n"),
        &format!("  + AcmeTenant \"emea\"   {dir}/audit.toml:5\n"),
        "1 of 1 events change\n",
    ] {
        assert!(shown.contains(wanted), "{wanted}\nis not in\n{shown}");
    }
    let (_, back, _) = diff(&[dir, "shipped", entry]);
    assert!(back.contains("  ~ severity 3 -> 2") && back.contains("  - AcmeTenant \"emea\""), "{back}");
    assert_eq!(diff(&["shipped", dir, "--exit-code"]).0, 1);
}

#[test]
fn diff_finds_nothing_where_nothing_changes() {
    let folder = Folder::new(MAPPING, &[]);
    let entries = folder.path("entries.json");
    fs::write(&entries, LOGIN).unwrap();
    let (entries, dir) = (entries.to_str().unwrap(), folder.path("audit.toml"));
    let dir = dir.parent().unwrap().to_str().unwrap();
    for same in ["shipped", dir] {
        let (code, shown, _) = diff(&[same, same, entries, "--exit-code"]);
        assert_eq!((code, shown.as_str()), (0, "0 of 1 events change\n"));
    }
    let (code, shown, _) = diff(&["shipped", dir, entries, "--json"]);
    let told: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((code, &told["action"]), (0, &"user_login".into()));
    assert_eq!(told["changes"][0]["key"], "severity");
    assert_eq!(told["changes"][0]["new"]["value"], "3");
    let (code, shown, said) = diff(&["shipped", dir]);
    assert_eq!(code, 0, "{said}");
    let last = shown.lines().last().unwrap();
    assert!(
        last.split(' ').nth(2).unwrap().parse::<usize>().unwrap() > 300,
        "the samples are compared: {last}"
    );
}

#[test]
fn diff_tells_many_equal_changes_once_and_what_is_dropped() {
    let folder = Folder::new(MAPPING, &[]);
    let mut entries = String::new();
    for n in 0..1_000 {
        writeln!(entries, r#"{{"id":"{n}","action":"user_logout","actor":{{"user":{{"name":"u{n}"}}}}}}"#)
            .unwrap();
        writeln!(entries, r#"{{"id":"j{n}","action":"user_channel_join"}}"#).unwrap();
    }
    folder.write("entries.ndjson", &entries);
    let dir = folder.path("audit.toml");
    let dir = dir.parent().unwrap().to_str().unwrap();
    let (_, shown, _) = diff(&["shipped", dir, folder.path("entries.ndjson").to_str().unwrap()]);
    assert!(shown.contains("1000 events: user_logout\n"), "{shown}");
    assert!(shown.contains("1000 events: user_channel_join\n"), "{shown}");
    assert!(shown.contains(&format!("  - the event: it is dropped now   {dir}/audit.toml:13\n")), "{shown}");
    assert!(shown.ends_with("2000 of 2000 events change\n") && shown.lines().count() < 12, "{shown}");
    let (_, back, _) = diff(&[dir, "shipped", folder.path("entries.ndjson").to_str().unwrap()]);
    assert!(back.contains("+ the event: it is no longer dropped"), "{back}");
}

#[test]
fn init_makes_a_folder_whose_case_passes() {
    let dir = tempfile::tempdir().unwrap();
    let made = dir.path().join("acme");
    let shown = made.to_str().unwrap();
    assert!(slackcef(&["mapping", "init", shown]).status.success());
    let output = slackcef(&["mapping", "test", shown]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let readme = fs::read_to_string(made.join("README.md")).unwrap();
    for command in ["mapping test", "mapping diff", "map --explain", "mapping list", "check --offline"] {
        assert!(readme.contains(&format!("slackcef {command}")), "{command} is not in\n{readme}");
    }
    assert!(!readme.contains("DIR"), "the folder's own name stands in the commands:\n{readme}");
}

#[test]
fn init_overwrites_nothing_and_makes_all_or_nothing() {
    for there in ["audit.toml", "README.md", "tests/first.toml"] {
        let folder = Folder(tempfile::tempdir().unwrap());
        folder.write(there, "mine");
        let output = slackcef(&["mapping", "init", folder.path("").to_str().unwrap()]);
        let (code, _, said) = folder.told(&output);
        assert_eq!(code, 64);
        assert!(said.contains(there), "{said}");
        assert_eq!(folder.read(there), "mine");
        assert_eq!(files(&folder.path("")).len(), 1, "beside {there} nothing is made");
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}
