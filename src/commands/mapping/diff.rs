//! `mapping diff`: which events change from one mapping to another, field by field.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use crate::commands::{entries, setup_failure};
use crate::event::Entry;
use crate::mapping::{self, Change, Changed, Origin, Plans, cases, changes};
use crate::pipeline;
use crate::report::{self, Exit, Failure, Style};

/// Shows which events change from one mapping to another, field by field.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  slackcef mapping diff shipped ./mappings/acme               what the folder changes, by its cases and samples\n  slackcef mapping diff /etc/slackcef/mappings/acme ./acme-new entries.ndjson\n  slackcef mapping diff shipped ./acme entries.ndjson --json | jq -r .action | sort | uniq -c"
)]
pub(super) struct Arguments {
    /// A folder of mapping files, or `shipped`: the shipped mapping alone.
    old: PathBuf,
    /// Another folder, or `shipped`.
    new: PathBuf,
    /// Entries, as `slackcef map` takes them; `-` for standard input. Without: those of both
    /// folders' cases, and a sample of every action.
    #[arg(value_name = "ENTRIES")]
    entries: Option<PathBuf>,
    /// Ends with 1 where any event changes.
    #[arg(long)]
    exit_code: bool,
    /// One JSON object for each event that changes.
    #[arg(long)]
    json: bool,
}

/// The word for the shipped mapping alone; a folder of that name is `./shipped`.
const SHIPPED: &str = "shipped";

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (old, new) = (Side::read(&arguments.old)?, Side::read(&arguments.new)?);
    let entries = match &arguments.entries {
        Some(path) => entries::read(path)?,
        None => known_entries(&old, &new)?,
    };
    let mut out = report::data();
    let mut blocks = Blocks::default();
    let mut changed = 0_usize;
    for entry in &entries {
        let changes = changes(entry, &old.plans, &new.plans);
        if changes.is_empty() {
            continue;
        }
        changed += 1;
        if arguments.json {
            out.line(as_json(entry, &changes).to_string())?;
        } else {
            blocks.add(entry, changes);
        }
    }
    if !arguments.json {
        for block in blocks.largest_first() {
            out.line(block.shown(out.style))?;
        }
        out.line(format!("{changed} of {} events change", entries.len()))?;
    }
    if arguments.exit_code && changed > 0 {
        return Err(Failure::new(Exit::Differs, format!("{changed} of {} events change", entries.len())));
    }
    Ok(())
}

/// One of the two mappings.
struct Side<'a> {
    dir: Option<&'a Path>,
    plans: Plans,
}

impl<'a> Side<'a> {
    fn read(dir: &'a Path) -> Result<Self, Failure> {
        let dir = (dir != Path::new(SHIPPED)).then_some(dir);
        Ok(Self { dir, plans: pipeline::plans(dir).map_err(setup_failure)? })
    }
}

/// The entries of the cases of both mappings, each once, and the shipped samples.
fn known_entries(old: &Side<'_>, new: &Side<'_>) -> Result<Vec<Entry>, Failure> {
    let mut found: Vec<Entry> = Vec::new();
    for side in [old, new] {
        let Some(dir) = side.dir else { continue };
        let files = cases::load(dir).map_err(|error| Failure::of_error(Exit::Configuration, &error))?;
        let cases = cases::read(&files, &side.plans).map_err(Failure::of_problems)?;
        found.extend(cases.into_iter().map(|case| case.entry));
    }
    found.extend(mapping::samples().filter_map(|sample| sample.entry()));
    let mut seen = BTreeSet::new();
    found.retain(|entry| seen.insert(entry.raw().clone()));
    Ok(found)
}

/// Events that change in the same way, told once.
struct Block {
    count: usize,
    actions: BTreeSet<String>,
    example: String,
    changes: Vec<Change>,
}

#[derive(Default)]
struct Blocks {
    blocks: Vec<Block>,
    /// The number of each block by what is the same in it.
    known: HashMap<Vec<Alike>, usize>,
}

/// What two equal changes have in common: the key and who set it. Of name, severity and drop,
/// which have few values, the value too.
#[derive(PartialEq, Eq, Hash)]
struct Alike {
    key: String,
    sides: [Option<(Option<Origin>, Option<String>)>; 2],
}

impl Alike {
    fn of(change: &Change) -> Self {
        let header = matches!(change.key.as_str(), "name" | "severity" | "drop");
        let side = |side: &Option<Changed>| {
            side.as_ref().map(|side| (side.set_by.clone(), header.then(|| side.value.clone())))
        };
        Self { key: change.key.clone(), sides: [side(&change.old), side(&change.new)] }
    }
}

impl Blocks {
    fn add(&mut self, entry: &Entry, changes: Vec<Change>) {
        let next = self.blocks.len();
        let number = *self.known.entry(changes.iter().map(Alike::of).collect()).or_insert(next);
        let action = entry.action().as_str().escape_debug().to_string();
        match self.blocks.get_mut(number) {
            Some(block) => {
                block.count += 1;
                block.actions.insert(action);
            }
            None => self.blocks.push(Block {
                count: 1,
                actions: [action].into(),
                example: entry.to_string(),
                changes,
            }),
        }
    }

    fn largest_first(mut self) -> Vec<Block> {
        self.blocks.sort_by_key(|block| std::cmp::Reverse(block.count));
        self.blocks
    }
}

impl Block {
    fn shown(&self, style: Style) -> String {
        const NAMED: usize = 4;
        let mut actions: Vec<&str> = self.actions.iter().take(NAMED).map(String::as_str).collect();
        let more = format!("and {} more actions", self.actions.len().saturating_sub(NAMED));
        if self.actions.len() > NAMED {
            actions.push(&more);
        }
        let heading = match self.count {
            1 => self.example.clone(),
            n => format!("{n} events: {}", actions.join(", ")),
        };
        let mut lines = vec![style.bold(&heading)];
        if self.count > 1 {
            lines.push(style.dim(&format!("  such as {}:", self.example)));
        }
        lines.extend(self.changes.iter().map(|change| line(change, style)));
        lines.push(String::new());
        lines.join("\n")
    }
}

/// `~ severity 2 -> 5   old.toml:3 -> new.toml:7`
fn line(change: &Change, style: Style) -> String {
    let shown = |side: &Changed| match change.key.as_str() {
        "severity" => side.value.clone(),
        _ => format!("{:?}", side.value),
    };
    let by = |side: &Changed| {
        side.set_by.as_ref().map_or_else(|| "the action's own name".to_owned(), ToString::to_string)
    };
    let label = |side: &Changed| side.label.as_ref().map_or_else(String::new, |label| format!(" ({label})"));
    let key = &change.key;
    let (text, by) = match (&change.old, &change.new) {
        (None, Some(new)) if key == "drop" => (style.red("- the event: it is dropped now"), by(new)),
        (Some(old), None) if key == "drop" => (style.green("+ the event: it is no longer dropped"), by(old)),
        (None, Some(new)) => (style.green(&format!("+ {key}{} {}", label(new), shown(new))), by(new)),
        (Some(old), None) => (style.red(&format!("- {key}{} {}", label(old), shown(old))), by(old)),
        (Some(old), Some(new)) => {
            let labels =
                if old.label == new.label { label(new) } else { format!("{} ->{}", label(old), label(new)) };
            let values =
                if old.value == new.value { shown(new) } else { format!("{} -> {}", shown(old), shown(new)) };
            let sides = format!("{} -> {}", by(old), by(new));
            (style.yellow(&format!("~ {key}{labels} {values}")), sides)
        }
        (None, None) => (key.clone(), String::new()),
    };
    format!("  {text}   {}", style.dim(&by))
}

fn as_json(entry: &Entry, changes: &[Change]) -> serde_json::Value {
    let side = |side: &Option<Changed>| {
        side.as_ref().map(|side| {
            json!({ "value": side.value, "label": side.label, "set_by": side.set_by.as_ref().map(ToString::to_string) })
        })
    };
    let changes: Vec<_> = changes
        .iter()
        .map(|change| json!({ "key": change.key, "old": side(&change.old), "new": side(&change.new) }))
        .collect();
    json!({ "id": entry.id().as_str(), "action": entry.action().as_str(), "changes": changes })
}
