//! `mapping list`: what each action is mapped to, and what stands in each key; and who says so.

mod fields;
mod markdown;

use std::path::PathBuf;

use clap::Args;

use crate::cef::Severity;
use crate::commands::setup_failure;
use crate::commands::table::table;
use crate::event::Log;
use crate::mapping::{Mapped, Plans};
use crate::pipeline;
use crate::report::{self, Failure};

/// Lists every mapped action with its severity, or every key with its meaning; each with the file and line that say so.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  slackcef mapping list | sort -rn | head\n  slackcef mapping list --mapping ./mappings/acme --json\n  slackcef mapping list --fields | grep '^fname '"
)]
pub(super) struct Arguments {
    /// A folder of mapping files that lies over the shipped mapping.
    #[arg(long, value_name = "DIR")]
    mapping: Option<PathBuf>,
    /// What stands in each CEF key, of which entries, and what it means.
    #[arg(long)]
    fields: bool,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
    /// A page for people who write queries: mappings/FIELDS.md.
    #[arg(long, requires = "fields", conflicts_with = "json")]
    markdown: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let plans = pipeline::plans(arguments.mapping.as_deref()).map_err(setup_failure)?;
    let mut out = report::data();
    let lines = if arguments.markdown {
        // What the forwarder says of itself is told where it is mapped.
        let others = Log::ALL.into_iter().filter(|log| !matches!(log, Log::Audit | Log::Forwarder));
        let others: Vec<_> = others.map(|log| (log, fields::rows(&plans, log))).collect();
        vec![markdown::page(&fields::rows(&plans, Log::Audit), &others).trim_end().to_owned()]
    } else if arguments.fields {
        Log::ALL
            .into_iter()
            .flat_map(|log| fields::listed(&fields::rows(&plans, log), arguments.json))
            .collect()
    } else if arguments.json {
        Log::ALL
            .into_iter()
            .flat_map(|log| plans.actions(log).into_iter().map(move |mapped| json(log, &mapped)))
            .collect()
    } else {
        actions(&plans, out.is_terminal)
    };
    lines.into_iter().try_for_each(|line| out.line(line))
}

fn json(log: Log, mapped: &Mapped<'_>) -> String {
    serde_json::json!({
        "log": log.name(),
        "action": mapped.action,
        "severity": mapped.severity.get(),
        "severity_up_to": mapped.up_to.map(Severity::get),
        "category": mapped.category,
        "outcome": mapped.outcome,
        "name": mapped.name.unwrap_or_default(),
        "file": &*mapped.origin.file,
        "line": mapped.origin.line,
    })
    .to_string()
}

fn actions(plans: &Plans, headed: bool) -> Vec<String> {
    let mut rows = Vec::new();
    if headed {
        rows.push(["SEVERITY", "ACTION", "CATEGORY", "NAME", "FROM"].map(str::to_owned));
    }
    for mapped in Log::ALL.into_iter().flat_map(|log| plans.actions(log)) {
        let severity = match mapped.up_to {
            Some(most) => format!("{}-{most}", mapped.severity),
            None => mapped.severity.to_string(),
        };
        rows.push([
            severity,
            mapped.action.escape_debug().to_string(),
            mapped.category.unwrap_or("-").escape_debug().to_string(),
            mapped.name.unwrap_or_default().to_owned(),
            mapped.origin.to_string(),
        ]);
    }
    table(&rows)
}
