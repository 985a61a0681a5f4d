//! `mapping coverage`: which actions of Slack's no file maps, by Slack's list and by what was seen.

mod listed;
mod seen;
mod stub;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::commands::{ConfigFile, entries, runtime, setup_failure, stored, unknown};
use crate::event::Log;
use crate::mapping::Plans;
use crate::pipeline::{self, Sharing};
use crate::report::{self, Exit, Failure};
use crate::slack::{ActionList, SlackError};
use listed::Comparison;
use seen::Seen;

/// Tells which actions no file maps: of Slack's list, or of the entries that were seen.
///
/// Without another choice the list is the one that slackcef was built with.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  slackcef mapping coverage --mapping ./mappings/acme\n  slackcef mapping coverage --live --config slackcef.toml           what has Slack added since?\n  slackcef mapping coverage --seen --config slackcef.toml >> mappings/acme/new.toml"
)]
#[expect(clippy::struct_excessive_bools, reason = "switches, as they are typed")]
pub(super) struct Arguments {
    /// A folder of mapping files that lies over the shipped mapping.
    #[arg(long, value_name = "DIR")]
    mapping: Option<PathBuf>,
    /// The list that Slack itself gives now.
    #[arg(long, groups = ["what", "configured"])]
    live: bool,
    /// The list in a saved answer of Slack's `GET /audit/v1/actions`.
    #[arg(long, value_name = "FILE", group = "what")]
    actions: Option<PathBuf>,
    /// The entries of the configuration's store; the service may run.
    #[arg(long, groups = ["what", "configured"])]
    seen: bool,
    /// The entries of a file, or of standard input: `-`.
    #[arg(long, value_name = "FILE", group = "what")]
    entries: Option<PathBuf>,
    /// The source whose Slack is asked (else the first), or whose entries are looked at (else all).
    #[arg(long, value_name = "NAME", requires = "configured")]
    source: Option<String>,
    #[command(flatten)]
    config: ConfigFile,
    /// One JSON object.
    #[arg(long)]
    json: bool,
    /// Ends with exit code 78 when an action is not mapped.
    #[arg(long)]
    fail: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let plans = pipeline::plans(arguments.mapping.as_deref()).map_err(setup_failure)?;
    let (text, unmapped) = if let Some(seen) = seen(arguments, &plans)? {
        (if arguments.json { of_json(&seen.to_json()) } else { seen.to_text() }, seen.unmapped())
    } else {
        let compared = compared(arguments, &plans)?;
        (if arguments.json { of_json(&compared.to_json()) } else { compared.to_text() }, compared.unmapped())
    };
    report::data().line(text.trim_end())?;
    if unmapped == 0 || !arguments.fail {
        return Ok(());
    }
    Err(Failure::new(Exit::Configuration, format!("{unmapped} actions are not mapped"))
        .help("`slackcef mapping coverage --seen` writes a stub for each that was seen"))
}

/// One line. Names come from Slack: on a terminal they must not command it.
fn of_json(value: &serde_json::Value) -> String {
    let mut line = String::new();
    for c in value.to_string().chars() {
        if c.is_control() {
            // Writing to a string cannot fail.
            write!(line, "\\u{:04x}", u32::from(c)).unwrap_or_default();
        } else {
            line.push(c);
        }
    }
    line
}

/// What was seen, where that is asked for.
fn seen(arguments: &Arguments, plans: &Plans) -> Result<Option<Seen>, Failure> {
    let mut seen = Seen::new(plans);
    if arguments.seen {
        let config = arguments.config.load()?;
        stored::each(&config, arguments.source.as_deref(), |entry| seen.add(entry, plans))?;
    } else if let Some(path) = &arguments.entries {
        entries::read(path)?.iter().for_each(|entry| seen.add(entry, plans));
    } else {
        return Ok(None);
    }
    Ok(Some(seen))
}

fn compared(arguments: &Arguments, plans: &Plans) -> Result<Comparison, Failure> {
    let known = ActionList::shipped();
    let (from, list) = if arguments.live {
        ("Slack's own list".to_owned(), live(arguments)?)
    } else if let Some(path) = &arguments.actions {
        (format!("the list in {}", path.display()), saved(path)?)
    } else {
        return Ok(Comparison::new("the list that slackcef was built with", &known, None, plans));
    };
    Ok(Comparison::new(from, &list, Some(&known), plans))
}

fn live(arguments: &Arguments) -> Result<ActionList, Failure> {
    let config = arguments.config.load()?;
    // Slack keeps no list for its other logs.
    let mut of_audit = config.sources.iter().filter(|(_, source)| source.log() == Log::Audit);
    let found = match &arguments.source {
        Some(wanted) => of_audit.find(|(name, _)| *name == wanted),
        None => of_audit.next(),
    };
    let Some((name, source)) = found else {
        let what = match &arguments.source {
            Some(name) => format!("there is no source {name} of the audit log"),
            None => "there is no source of the audit log".to_owned(),
        };
        return Err(unknown(what, config.sources.keys()));
    };
    let polling = Sharing::default().polling(name, source).map_err(setup_failure)?;
    let poller = pipeline::poller(name, &polling, None).map_err(setup_failure)?;
    let list = runtime()?
        .block_on(poller.actions())
        .map_err(|error| Failure::of_error(Exit::Unavailable, &error).help(error.help()))?;
    Ok(list.unwrap_or_default())
}

fn saved(path: &Path) -> Result<ActionList, Failure> {
    let cannot = |what: &str| Failure::new(Exit::Usage, format!("{} {what}", path.display()));
    let answer = fs::read(path).map_err(|error| cannot("cannot be read").because(&error))?;
    ActionList::read(&answer).map_err(|error: SlackError| {
        cannot("holds no list of actions")
            .because(&error)
            .help("save it so: curl -s https://api.slack.com/audit/v1/actions > actions.json")
    })
}
