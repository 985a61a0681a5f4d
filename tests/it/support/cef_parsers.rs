//! CEF parsers that other people wrote, and what each of them is known to do to a value.
//!
//! They are installed by `tests/run` into the folder that `SLACKCEF_TEST_TOOLS` names.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

/// A parser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Parser {
    /// From `PyPI`: undoes no escape, and writes a field under its label.
    Pycef,
    /// From `PyPI`: reads all as it is meant.
    Cefp,
    /// From Debian, rsyslog's mmnormalize: eats the first letter of the first key; takes CEF:0 alone.
    Liblognorm,
}

/// What one parser made of one line.
#[derive(Debug, Deserialize)]
pub(crate) struct ParserReading {
    /// The line's place among those given.
    pub(crate) line: usize,
    pub(crate) parser: Parser,
    /// Version, vendor, product, device version, class id, name, severity.
    #[serde(default)]
    pub(crate) header: Vec<String>,
    /// The extension, in the parser's own order.
    #[serde(default)]
    pub(crate) fields: Vec<(String, String)>,
    /// Why it refused the line.
    pub(crate) error: Option<String>,
}

/// Every parser's reading of every line; a line begins with `CEF:` and has no line break.
///
/// # Panics
/// When the parsers are not installed: a test must not pass for want of them.
pub(crate) fn read_all(lines: &[String]) -> Vec<ParserReading> {
    let python = tools().join("venv/bin/python");
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/cef_parsers/parse.py");
    let mut child =
        Command::new(&python).arg(here).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap_or_else(
            |error| panic!("run tests/run, which installs the CEF parsers: {}: {error}", python.display()),
        );
    // It reads all before it answers, so that neither waits for the other.
    let input: String = lines.iter().map(|line| serde_json::to_string(line).unwrap() + "\n").collect();
    let wrote = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success() && wrote.is_ok(),
        "run tests/run, which installs the CEF parsers: parse.py ended with {}",
        output.status
    );
    let output = String::from_utf8(output.stdout).unwrap();
    let readings: Vec<ParserReading> =
        output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(readings.len(), 3 * lines.len());
    readings
}

fn tools() -> PathBuf {
    std::env::var_os("SLACKCEF_TEST_TOOLS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(".test-tools"), PathBuf::from)
}

impl Parser {
    /// A value as this parser gives it back.
    pub(crate) fn expected(self, value: &str) -> String {
        match self {
            Self::Pycef => value.replace('\\', r"\\").replace('=', r"\=").replace('\n', r"\n"),
            Self::Cefp | Self::Liblognorm => value.to_owned(),
        }
    }

    /// The fields of a line, labels among them, as this parser gives them back; sorted.
    pub(crate) fn expected_fields(self, fields: &[(String, String)]) -> Vec<(String, String)> {
        let label_of = |key: &str| {
            let label = format!("{key}Label");
            fields.iter().find(|(name, _)| *name == label).map(|(_, label)| label.clone())
        };
        let is_label = |key: &str| {
            key.strip_suffix("Label").is_some_and(|key| fields.iter().any(|(name, _)| name == key))
        };
        let mut expected: Vec<(String, String)> = match self {
            Self::Cefp => fields.to_vec(),
            Self::Liblognorm => {
                let mut fields = fields.to_vec();
                if let Some((first, _)) = fields.first_mut() {
                    first.remove(0);
                }
                fields
            }
            Self::Pycef => fields
                .iter()
                .filter(|(key, _)| !is_label(key))
                .map(|(key, value)| (label_of(key).unwrap_or_else(|| key.clone()), self.expected(value)))
                .collect(),
        };
        expected.sort();
        expected
    }
}

impl ParserReading {
    /// Fails unless the parser read these fields, labels among them, and no other.
    #[track_caller]
    pub(crate) fn assert_fields(&self, line: &str, fields: &[(String, String)]) {
        assert_eq!(self.error, None, "{:?} refuses {line}", self.parser);
        let mut read = self.fields.clone();
        read.sort();
        assert_eq!(read, self.parser.expected_fields(fields), "{:?} misreads {line}", self.parser);
    }
}
