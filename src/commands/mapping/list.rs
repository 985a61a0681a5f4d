//! `mapping list`: what each action is mapped to, and who says so.

use std::path::PathBuf;

use clap::Args;

use crate::commands::setup_failure;
use crate::event::Log;
use crate::pipeline;
use crate::report::{self, Failure};

/// Lists every mapped action: severity, name, and the file and line that say so.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  slackcef mapping list | sort -rn | head\n  slackcef mapping list --mapping ./mappings/acme --json"
)]
pub(super) struct Arguments {
    /// A folder of mapping files that lies over the shipped mapping.
    #[arg(long, value_name = "DIR")]
    mapping: Option<PathBuf>,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let plans = pipeline::plans(arguments.mapping.as_deref()).map_err(setup_failure)?;
    let mut out = report::data();
    for log in Log::ALL {
        for mapped in plans.actions(log) {
            let name = mapped.name.unwrap_or_default();
            let severity = mapped.severity;
            let line = if arguments.json {
                serde_json::json!({
                    "log": log.name(), "action": mapped.action, "severity": severity.get(), "name": name,
                    "file": &*mapped.origin.file, "line": mapped.origin.line,
                })
                .to_string()
            } else {
                format!("{severity:>2}  {:<56} {name:<60} {}", mapped.action, mapped.origin)
            };
            out.line(line)?;
        }
    }
    Ok(())
}
