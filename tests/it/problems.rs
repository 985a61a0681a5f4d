//! Each mistake that a mapping file can hold, and the message that it earns.
//!
//! `tests/problems/NAME.toml` holds the mistake, `NAME.txt` beside it what is shown. The file lies
//! over a small mapping without mistakes, as a customer's over the shipped one, unless it begins
//! with `#! alone`. What begins with `#! config` is a configuration. A line `#! file NAME` begins another file of the same folder.
//!
//! `tests/problems/cases/` holds files of cases for `mapping test` in the same manner.
//!
//! After a change of messages, `BLESS=1 cargo test problems` writes the files anew: read the diff.

use std::fmt::Write as _;
use std::path::Path;

use slackcef::config::Config;
use slackcef::mapping::cases::{self, CaseFile};
use slackcef::mapping::{self, Layer, MappingFile};
use slackcef::problem::Problem;

const BASE: &str = r#"
version = 1
log = "audit"

[header]
vendor = "Slack"
product = "Audit Logs"

[unmapped]
severity = 4

[fields]
suser = "{actor.user.email ?? actor.user.name}"
cs1 = { label = "SlackActorName", value = "{actor.user.name}" }
SlackAuditTeam = "{actor.user.team}"
"#;

#[test]
fn every_mistake_earns_its_message() {
    compare("tests/problems", 30, |_, text| shown(text));
}

#[test]
fn every_mistake_in_a_file_of_cases_earns_its_message() {
    let files = [
        ("shipped.toml", Layer::Shipped, BASE),
        ("acme.toml", Layer::Customer, "version = 1\nlog = \"audit\"\n"),
    ];
    let plans =
        mapping::compile(&files.map(|(name, layer, text)| MappingFile::new(name, layer, text))).unwrap();
    compare("tests/problems/cases", 8, |path, text| {
        // Beside the package's root, where the tests run, so that the entries are found.
        let path = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().to_owned();
        let file = CaseFile { path, text: text.into() };
        rendered(&cases::read(&[file], &plans).expect_err("a case without a mistake"))
    });
}

/// Compares what `shown` makes of every `*.toml` of a folder with the text beside it.
fn compare(folder: &str, at_least: usize, shown: impl Fn(&Path, &str) -> String) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut cases: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    cases.sort();
    assert!(cases.len() >= at_least, "only {} cases in {}", cases.len(), folder.display());
    let mut wrong = String::new();
    for case in cases {
        let shown = shown(&case, &std::fs::read_to_string(&case).unwrap());
        let expected = case.with_extension("txt");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&expected, &shown).unwrap();
            continue;
        }
        let wanted = std::fs::read_to_string(&expected).unwrap_or_default();
        if shown != wanted {
            writeln!(wrong, "{}:\n{}", case.display(), diff(&wanted, &shown)).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}\nBLESS=1 takes the new messages over");
}

/// What is shown for a case.
fn shown(case: &str) -> String {
    let problems = if case.starts_with("#! config\n") { of_configuration(case) } else { of_mapping(case) };
    rendered(&problems)
}

fn of_configuration(case: &str) -> Vec<Problem> {
    Config::parse("slackcef.toml", case).expect_err("a case without a mistake")
}

fn of_mapping(case: &str) -> Vec<Problem> {
    let mut files = Vec::new();
    if !case.starts_with("#! alone\n") {
        files.push(MappingFile::new("shipped.toml", Layer::Shipped, BASE));
    }
    for (n, part) in case.split("#! file ").enumerate() {
        let (name, text) = if n == 0 { ("acme.toml", part) } else { part.split_once('\n').unwrap() };
        files.push(MappingFile::new(name.trim(), Layer::Customer, text));
    }
    mapping::compile(&files).expect_err("a case without a mistake")
}

fn rendered(problems: &[Problem]) -> String {
    let rendered: Vec<_> = problems.iter().map(|problem| problem.render(false)).collect();
    rendered.join("\n\n") + "\n"
}

/// The lines that differ, in the manner of `diff`.
fn diff(wanted: &str, got: &str) -> String {
    let (wanted, got): (Vec<_>, Vec<_>) = (wanted.lines().collect(), got.lines().collect());
    let mut out = String::new();
    for n in 0..wanted.len().max(got.len()) {
        match (wanted.get(n), got.get(n)) {
            (Some(a), Some(b)) if a == b => writeln!(out, "  {a}").unwrap(),
            (a, b) => {
                for (sign, line) in [('-', a), ('+', b)] {
                    if let Some(line) = line {
                        writeln!(out, "{sign} {line}").unwrap();
                    }
                }
            }
        }
    }
    out
}
