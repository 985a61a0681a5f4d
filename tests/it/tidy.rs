//! Conventions that the compiler does not hold: who may import whom, and how a module begins.

use std::fs;
use std::path::{Path, PathBuf};

/// Each module with all that it may import; data flows the other way.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("event", &[]),
    ("cef", &[]),
    ("net", &[]),
    ("problem", &[]),
    ("telemetry", &[]),
    ("slack", &["event", "net"]),
    ("store", &["event"]),
    ("mapping", &["event", "cef", "problem"]),
    ("syslog", &["cef", "net"]),
    ("notice", &["event", "cef"]),
    ("simulate", &["event", "net", "problem"]),
    ("report", &["problem", "telemetry"]),
    ("config", &["event", "cef", "slack", "store", "mapping", "syslog", "net", "problem"]),
    (
        "pipeline",
        &[
            "event",
            "cef",
            "net",
            "problem",
            "slack",
            "store",
            "mapping",
            "syslog",
            "notice",
            "config",
            "telemetry",
        ],
    ),
    (
        "commands",
        &[
            "event",
            "cef",
            "net",
            "problem",
            "telemetry",
            "slack",
            "store",
            "mapping",
            "syslog",
            "notice",
            "simulate",
            "report",
            "config",
            "pipeline",
        ],
    ),
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

#[test]
fn imports_point_one_way() {
    let mut wrong = Vec::new();
    for path in sources(&src()) {
        let inside = path.strip_prefix(src()).unwrap();
        let module =
            inside.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs");
        if matches!(module, "lib" | "main") {
            continue;
        }
        let (_, allowed) = MAY_IMPORT
            .iter()
            .find(|(name, _)| *name == module)
            .unwrap_or_else(|| panic!("{module} has no line in MAY_IMPORT"));
        let text = fs::read_to_string(&path).unwrap();
        for (number, line) in text.lines().enumerate() {
            for part in line.split("crate::").skip(1) {
                let to: String =
                    part.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
                let known = MAY_IMPORT.iter().any(|(name, _)| *name == to);
                if known && to != module && !allowed.contains(&to.as_str()) {
                    wrong.push(format!("{}:{}: {module} imports {to}", inside.display(), number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_module_says_what_it_is_for() {
    let silent: Vec<_> = sources(&src())
        .into_iter()
        .filter(|path| {
            path.file_name().unwrap() != "tests.rs" && !fs::read_to_string(path).unwrap().starts_with("//! ")
        })
        .collect();
    assert!(silent.is_empty(), "without an opening paragraph: {silent:?}");
}
