//! `map`: Slack's entries in, CEF out, nothing stored, nothing sent.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use bytes::Bytes;
use clap::Args;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::setup_failure;
use crate::cef::{Encoder, Event};
use crate::config::size;
use crate::event::{Entry, Log, UnixTime};
use crate::mapping::{Explained, Outcome, Scratch};
use crate::pipeline;
use crate::report::{self, Exit, Failure, Style};

/// Turns Slack entries into CEF on standard output.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  slackcef map entries.ndjson\n  curl -sH \"Authorization: Bearer $TOKEN\" https://api.slack.com/audit/v1/logs?limit=10 | slackcef map --explain\n  slackcef map --mapping ./mappings/acme entry.json"
)]
pub(super) struct Arguments {
    /// An entry, entries one a line, or a saved answer of the API; `-` for standard input.
    #[arg(default_value = "-", value_name = "FILE")]
    file: PathBuf,
    /// Says of each field which file and line set it, and of each that is missing why.
    #[arg(long)]
    explain: bool,
    /// A folder of mapping files that lies over the shipped mapping.
    #[arg(long, value_name = "DIR")]
    mapping: Option<PathBuf>,
    /// The longest line.
    #[arg(long, value_name = "SIZE", default_value = "8000B", value_parser = size)]
    max_message: u64,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let plans = pipeline::plans(arguments.mapping.as_deref()).map_err(setup_failure)?;
    let text = Bytes::from(read(&arguments.file)?);
    let entries = entries(&text).map_err(|error| error.failure(&arguments.file))?;
    let (mut out, mut notes) = (report::data(), report::notes());
    if let Some(origin) = plans.wants_pseudonym_key() {
        notes.line(format!("pseudonyms shown here are made with a key for tests ({origin} makes some)"))?;
    }
    let encoder = Encoder::default();
    let budget = usize::try_from(arguments.max_message).unwrap_or(usize::MAX);
    let (mut scratch, mut event, mut line) = (Scratch::new(), Event::new(), Vec::new());
    for entry in &entries {
        let plan = plans.plan(entry.log(), entry.action().as_str());
        let applied = plan.apply(entry, &mut scratch, &mut event);
        if let Some(rule) = applied.dropped {
            notes.line(format!("dropped: {entry}, by {rule}"))?;
        } else {
            line.clear();
            let cuts = encoder.encode(&event, budget, &mut line);
            out.line(&line)?;
            for cut in &cuts {
                notes.line(format!(
                    "cut to fit: {} has {} of {} bytes, in {entry}",
                    cut.key, cut.kept, cut.had
                ))?;
            }
        }
        if arguments.explain {
            out.line(explained(&plan.explain(entry), plan.is_unmapped(), out.style))?;
        }
        if out.is_closed() {
            break;
        }
    }
    Ok(())
}

fn read(path: &PathBuf) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin().lock().read_to_end(&mut text)
    } else {
        File::open(path).and_then(|mut file| file.read_to_end(&mut text))
    };
    read.map(|_| text)
        .map_err(|error| Failure::new(Exit::Usage, format!("cannot read {}", path.display())).because(&error))
}

/// What is not what `map` reads.
#[derive(Debug)]
enum Unread {
    NotUtf8,
    NotJson { line: usize, column: usize, why: String },
    NoEntry { number: usize },
    Nothing,
}

impl Unread {
    fn failure(self, path: &std::path::Path) -> Failure {
        let name =
            if path.as_os_str() == "-" { "standard input".to_owned() } else { path.display().to_string() };
        let what = match self {
            Self::NotUtf8 => format!("{name} is not UTF-8 text"),
            Self::NotJson { line, column, why } => {
                format!("{name} is not JSON at line {line}, column {column}: {why}")
            }
            Self::NoEntry { number } => {
                format!("value {number} of {name} is not an entry: it is no JSON object")
            }
            Self::Nothing => format!("{name} holds no entry"),
        };
        Failure::new(Exit::Usage, what)
            .help("give an entry, entries one a line, or a whole answer of Slack's API: {\"entries\":[…]}")
    }
}

/// The entries of a text: one, many in a row, a list of them, or an answer of the API.
fn entries(text: &Bytes) -> Result<Vec<Entry>, Unread> {
    /// An answer of the API; an entry has no such key.
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        entries: Vec<&'a RawValue>,
    }
    let words = std::str::from_utf8(text).map_err(|_| Unread::NotUtf8)?;
    let mut found = Vec::new();
    for value in serde_json::Deserializer::from_str(words).into_iter::<&RawValue>() {
        let value = value.map_err(|error| {
            let why = error.to_string();
            let why = why.rsplit_once(" at line ").map_or(why.as_str(), |(why, _)| why).to_owned();
            Unread::NotJson { line: error.line(), column: error.column(), why }
        })?;
        if let Ok(answer) = serde_json::from_str::<Answer<'_>>(value.get()) {
            found.extend(answer.entries);
        } else if let Ok(list) = serde_json::from_str::<Vec<&RawValue>>(value.get()) {
            found.extend(list);
        } else {
            found.push(value);
        }
    }
    if found.is_empty() {
        return Err(Unread::Nothing);
    }
    (1..)
        .zip(found)
        .map(|(number, raw)| {
            let raw = text.slice_ref(raw.get().as_bytes());
            let never = UnixTime::from_seconds(0);
            Entry::from_raw(Log::Audit, raw, never, 0).map_err(|_| Unread::NoEntry { number })
        })
        .collect()
}

/// Each field with its value and who set it; those that the entry has nothing for come last.
fn explained(fields: &[Explained], unmapped: bool, style: Style) -> String {
    let mut lines = Vec::new();
    if unmapped {
        lines.push(style.yellow("  no mapping names this action: the catch-all was used"));
    }
    let named = |field: &Explained| match &field.label {
        Some(label) => format!("{} ({label})", field.key),
        None => field.key.clone(),
    };
    let width = fields.iter().map(|field| named(field).len()).max().unwrap_or(0);
    let (absent, told): (Vec<_>, Vec<_>) =
        fields.iter().partition(|field| matches!(field.outcome, Outcome::Absent { .. }));
    for field in told {
        let value = match &field.outcome {
            Outcome::Value(value) => format!("{value:?}"),
            Outcome::Misfit { text, wanted } => style.yellow(&format!("left out: {text:?} is not {wanted}")),
            Outcome::Blank => style.dim("left out: its value is blank"),
            Outcome::Unset => style.dim("left out: unset"),
            Outcome::Absent { .. } => continue,
        };
        lines.push(format!("  {:width$} = {value}  {}", named(field), style.dim(&set_by(field))));
    }
    lines.push(style.dim("  Left out, for the entry has no such value:"));
    for field in absent {
        if let Outcome::Absent { placeholder } = &field.outcome {
            lines.push(style.dim(&format!("  {:width$} = {placeholder}  {}", named(field), set_by(field))));
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

/// The file and line that set a field, and those that it overrode.
fn set_by(field: &Explained) -> String {
    let mut text =
        field.set_by.as_ref().map_or_else(|| "the action's own name".to_owned(), ToString::to_string);
    for before in &field.overrode {
        text.push_str(", over ");
        text.push_str(&before.to_string());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(text: &str) -> Vec<String> {
        let entries = entries(&Bytes::from(text.to_owned())).unwrap();
        entries.iter().map(|entry| entry.id().as_str().to_owned()).collect()
    }

    #[test]
    fn takes_entries_in_every_form_in_which_people_have_them() {
        let (a, b) = (r#"{"id":"a","action":"x"}"#, r#"{"id":"b","action":"y"}"#);
        assert_eq!(ids(a), ["a"]);
        assert_eq!(ids(&format!("{a}\n{b}\n")), ["a", "b"]);
        assert_eq!(ids(&format!("[{a},{b}]")), ["a", "b"]);
        assert_eq!(
            ids(&format!(r#"{{"entries":[{a},{b}],"response_metadata":{{"next_cursor":""}}}}"#)),
            ["a", "b"]
        );
    }

    #[test]
    fn says_where_a_text_is_no_json() {
        let refused = entries(&Bytes::from_static(b"{\"id\":1}\nhello")).unwrap_err();
        assert!(matches!(refused, Unread::NotJson { line: 2, .. }), "{refused:?}");
        assert!(matches!(entries(&Bytes::from_static(b" ")).unwrap_err(), Unread::Nothing));
        assert!(matches!(entries(&Bytes::from_static(b"3")).unwrap_err(), Unread::NoEntry { number: 1 }));
        assert!(matches!(entries(&Bytes::from_static(b"\xff")).unwrap_err(), Unread::NotUtf8));
    }
}
