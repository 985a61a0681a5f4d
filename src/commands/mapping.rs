//! `mapping`: look at mapping files, and begin a folder of one's own.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::setup_failure;
use crate::event::Log;
use crate::pipeline;
use crate::report::{self, Exit, Failure};

/// Lists what actions are mapped to, or begins a folder of mapping files.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists every mapped action: severity, name, and the file and line that say so.
    #[command(
        after_help = "Examples:\n  slackcef mapping list | sort -rn | head\n  slackcef mapping list --mapping ./mappings/acme --json"
    )]
    List {
        /// A folder of mapping files that lies over the shipped mapping.
        #[arg(long, value_name = "DIR")]
        mapping: Option<PathBuf>,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Makes a folder with a commented mapping file to begin with.
    #[command(after_help = "Example:\n  slackcef mapping init /etc/slackcef/mappings/acme")]
    Init {
        /// The folder; it may exist, what is in it is not touched.
        dir: PathBuf,
    },
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.command {
        Command::List { mapping, json } => list(mapping.as_deref(), *json),
        Command::Init { dir } => init(dir),
    }
}

fn list(dir: Option<&Path>, json: bool) -> Result<(), Failure> {
    let plans = pipeline::plans(dir).map_err(setup_failure)?;
    let mut out = report::data();
    for log in Log::ALL {
        for mapped in plans.actions(log) {
            let name = mapped.name.unwrap_or_default();
            let severity = mapped.severity;
            let line = if json {
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

const STARTER: &str = include_str!("mapping/starter.toml");
const STARTER_NAME: &str = "audit.toml";

fn init(dir: &Path) -> Result<(), Failure> {
    let path = dir.join(STARTER_NAME);
    let made = fs::create_dir_all(dir)
        .and_then(|()| OpenOptions::new().write(true).create_new(true).open(&path))
        .and_then(|mut file| file.write_all(STARTER.as_bytes()));
    made.map_err(|error| {
        let failure = Failure::new(Exit::Usage, format!("cannot make {}", path.display())).because(&error);
        match error.kind() {
            io::ErrorKind::AlreadyExists => {
                failure.help("choose a folder without it, or edit the one that is there")
            }
            _ => failure,
        }
    })?;
    let shown = dir.display();
    let told = format!(
        "made {}: edit it, try it with `slackcef map --mapping {shown} --explain FILE`, and name the folder in slackcef.toml:\n\n\
         [mappings.acme]\ndir = \"{shown}\"\n\n[destinations.siem]\nmapping = \"acme\"",
        path.display()
    );
    report::notes().line(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_starter_is_a_mapping_without_mistakes() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("acme");
        init(&dir).unwrap();
        if let Err(error) = pipeline::plans(Some(&dir)) {
            panic!("{}", setup_failure(error).render(report::Style::PLAIN));
        }
        assert_eq!(init(&dir).unwrap_err().exit(), Exit::Usage, "what is there is not overwritten");
    }
}
