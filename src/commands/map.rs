//! `map`: Slack's entries in, CEF out, nothing stored, nothing sent.

use std::path::PathBuf;

use clap::Args;

use super::explained::explained;
use super::{ConfigFile, entries, setup_failure, stored, unknown};
use crate::cef::{Cuts, Encoder, Event};
use crate::config::{Config, size};
use crate::event::Entry;
use crate::mapping::{Plans, Scratch, When};
use crate::pipeline;
use crate::report::{self, Failure};
use crate::store::SourceId;

/// Turns Slack entries into CEF on standard output.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  slackcef map entries.ndjson\n  curl -sH \"Authorization: Bearer $TOKEN\" https://api.slack.com/audit/v1/logs?limit=10 | slackcef map --explain\n  slackcef map --mapping ./mappings/acme entry.json\n  slackcef map --last 20 --source acme-audit --explain --config slackcef.toml"
)]
pub(super) struct Arguments {
    /// An entry, entries one a line, or a saved answer of the API; `-` for standard input.
    #[arg(default_value = "-", value_name = "FILE")]
    file: PathBuf,
    /// The last N entries of the configuration's store, the newest last; the service may run.
    #[arg(long, value_name = "N", conflicts_with = "file")]
    last: Option<usize>,
    /// Only entries of that source.
    #[arg(long, value_name = "NAME", requires = "last")]
    source: Option<String>,
    /// Says of each field which file and line set it and what was cut, and of each that is missing why.
    #[arg(long)]
    explain: bool,
    /// A folder of mapping files that lies over the shipped mapping.
    #[arg(long, value_name = "DIR")]
    mapping: Option<PathBuf>,
    /// The longest line.
    #[arg(long, value_name = "SIZE", default_value = "8000B", value_parser = size)]
    max_message: u64,
    /// As this destination of the configuration gets it: its mapping, its form of values, its longest line, its `when`.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["mapping", "max_message"])]
    destination: Option<String>,
    #[command(flatten)]
    config: ConfigFile,
}

/// How entries become lines.
struct Form {
    plans: Plans,
    encoder: Encoder,
    /// The longest line in bytes.
    budget: usize,
    /// Which events are wanted; all where there is none.
    when: Option<When>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let config = match (arguments.last, &arguments.destination) {
        (None, None) => None,
        _ => Some(arguments.config.load()?),
    };
    let form = match (&config, &arguments.destination) {
        (Some(config), Some(name)) => Form::of_destination(config, name)?,
        _ => Form::of_mapping(arguments)?,
    };
    let entries = if let (Some(config), Some(count)) = (&config, arguments.last) {
        stored::last(config, count, arguments.source.as_deref())?
    } else {
        // Whose they are is known where there is but one source.
        let only = config.as_ref().filter(|config| config.sources.len() == 1);
        let only = only.and_then(|config| config.sources.keys().next()).map_or("", String::as_str);
        let source = SourceId::new(only);
        entries::read(&arguments.file)?.into_iter().map(|entry| (source.clone(), entry)).collect()
    };
    form.write(&entries, arguments.explain)
}

impl Form {
    fn of_mapping(arguments: &Arguments) -> Result<Self, Failure> {
        let plans = pipeline::plans(arguments.mapping.as_deref()).map_err(setup_failure)?;
        if let Some(origin) = plans.wants_pseudonym_key() {
            let told = format!("pseudonyms shown here are made with a key for tests ({origin} makes some)");
            report::notes().line(told)?;
        }
        let budget = usize::try_from(arguments.max_message).unwrap_or(usize::MAX);
        Ok(Self { plans, encoder: Encoder::default(), budget, when: None })
    }

    fn of_destination(config: &Config, name: &str) -> Result<Self, Failure> {
        let Some(destination) = config.destinations.get(name) else {
            return Err(unknown(format!("there is no destination {name}"), config.destinations.keys()));
        };
        let mapping = destination.mapping.as_deref();
        let plans = pipeline::plans_of(config, mapping);
        let plans = plans.and_then(|plans| pipeline::keyed(plans, config, mapping)).map_err(setup_failure)?;
        let budget = pipeline::line_budget(destination);
        Ok(Self { plans, encoder: destination.encoder, budget, when: destination.when.clone() })
    }

    fn write(&self, entries: &[(SourceId, Entry)], explain: bool) -> Result<(), Failure> {
        let (mut out, mut notes) = (report::data(), report::notes());
        let (mut scratch, mut event, mut line) = (Scratch::new(), Event::new(), Vec::new());
        for (source, entry) in entries {
            let plan = self.plans.plan(entry.log(), entry.action().as_str());
            let applied = plan.apply(entry, &mut scratch, &mut event);
            let mut cuts = Cuts::default();
            if let Some(rule) = applied.dropped {
                notes.line(format!("dropped: {entry}, by {rule}"))?;
            } else if !self.when.as_ref().is_none_or(|when| when.holds(&event, entry, source.as_str())) {
                notes.line(format!("not for this destination: {entry}, by its `when`"))?;
            } else {
                line.clear();
                cuts = self.encoder.encode(&event, self.budget, &mut line);
                out.line(&line)?;
            }
            if explain {
                out.line(explained(&plan.explain(entry), &cuts, plan.is_unmapped(), out.style))?;
            } else {
                for cut in &cuts {
                    notes.line(format!(
                        "cut to fit: {} has {} of {} bytes, in {entry}",
                        cut.key, cut.kept, cut.had
                    ))?;
                }
            }
            if out.is_closed() {
                break;
            }
        }
        Ok(())
    }
}
