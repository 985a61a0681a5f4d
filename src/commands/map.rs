//! `map`: Slack's entries in, CEF out, nothing stored, nothing sent.

use std::path::PathBuf;

use clap::Args;

use super::{entries, setup_failure};
use crate::cef::{Encoder, Event};
use crate::config::size;
use crate::mapping::{Explained, Outcome, Scratch};
use crate::pipeline;
use crate::report::{self, Failure, Style};

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
    let entries = entries::read(&arguments.file)?;
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
