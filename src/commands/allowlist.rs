//! `allowlist`: Slack's own allow list for anomalies, shown and changed.

use clap::{Args, Subcommand};
use ipnet::Ipv4Net;
use serde_json::{Value, json};

use super::{ConfigFile, runtime, setup_failure, unknown};
use crate::config::Config;
use crate::pipeline::Sharing;
use crate::report::{self, Exit, Failure};
use crate::slack::allowlist::{self, Allowlist, AllowlistError, Api, Items};
use crate::telemetry::plain;

/// Shows or changes the address ranges and autonomous systems that Slack's anomaly detection trusts.
///
/// The token is the source's `admin_token`, or else its `token`: the user token of an admin of the
/// organization, with the user scope `admin`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  slackcef allowlist get --source acme-audit\n  slackcef allowlist add --source acme-audit --cidr 192.0.2.0/24 --asn AS64500 --dry-run\n  slackcef allowlist remove --source acme-audit --cidr 192.0.2.0/24"
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Shows the list.
    Get(Of),
    /// Adds to the list; what is on it stays.
    Add(Changes),
    /// Takes from the list; the rest of it stays.
    Remove(Changes),
}

#[derive(Debug, Args)]
struct Of {
    #[command(flatten)]
    file: ConfigFile,
    /// The source whose organization it is; needless where there is but one.
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// One JSON object on standard output.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Changes {
    #[command(flatten)]
    of: Of,
    /// A range of IPv4 addresses, such as 192.0.2.0/24, or an address; may be given several times.
    #[arg(long, value_name = "RANGE", value_delimiter = ',', value_parser = allowlist::range, required_unless_present = "asn")]
    cidr: Vec<Ipv4Net>,
    /// The number of an autonomous system, such as AS64500; may be given several times.
    #[arg(long, value_name = "NUMBER", value_delimiter = ',', value_parser = allowlist::asn)]
    asn: Vec<u32>,
    /// Shows what would change, and writes nothing.
    #[arg(long)]
    dry_run: bool,
    /// Lets the list become empty.
    #[arg(long)]
    clear: bool,
}

pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.what {
        What::Get(of) => {
            let (name, api) = of.api()?;
            let list = runtime()?.block_on(api.read()).map_err(|error| failure(&error))?;
            shown(&name, &list, of.json)
        }
        What::Add(changes) => changes.make(Allowlist::with),
        What::Remove(changes) => changes.make(Allowlist::without),
    }
}

impl Of {
    /// The source, and the way to its list.
    fn api(&self) -> Result<(String, Api), Failure> {
        let config = self.file.load()?;
        let name = self.source_of(&config)?;
        let Some(source) = config.sources.get(&name) else {
            return Err(unknown(format!("there is no source {name}"), config.sources.keys()));
        };
        let mut sharing = Sharing::default();
        let account = sharing.account(&name, source);
        let api = account.and_then(|account| sharing.allowlist(&name, source, &account));
        Ok((name, api.map_err(setup_failure)?))
    }

    fn source_of(&self, config: &Config) -> Result<String, Failure> {
        match (&self.source, config.sources.len()) {
            (Some(name), _) => Ok(name.clone()),
            (None, 1) => Ok(config.sources.keys().next().cloned().unwrap_or_default()),
            (None, _) => {
                let names: Vec<_> = config.sources.keys().map(String::as_str).collect();
                Err(Failure::new(Exit::Usage, "there is more than one source")
                    .help(format!("say whose list is meant, by --source: {}", names.join(", "))))
            }
        }
    }
}

impl Changes {
    /// Reads the list, changes it and writes it, where it differs.
    fn make(self, change: impl Fn(&Allowlist, &Items) -> Allowlist) -> Result<(), Failure> {
        let Self { of, cidr, asn, dry_run, clear } = self;
        let items = Items { ranges: cidr, asns: asn };
        let (name, api) = of.api()?;
        let runtime = runtime()?;
        let before = runtime.block_on(api.read()).map_err(|error| failure(&error))?;
        let after = change(&before, &items);
        let difference = Difference::between(&before, &after);
        let writes = !difference.is_none() && !dry_run;
        if !of.json {
            difference.show(dry_run)?;
        }
        if after.is_empty() && !before.is_empty() && !clear {
            return Err(Failure::new(
                Exit::Usage,
                "nothing would be left on the list, and nothing was written",
            )
            .help("if that is what is meant, say so by --clear"));
        }
        if writes {
            runtime.block_on(api.write(&after)).map_err(|error| not_written(&error, &before))?;
        }
        if of.json {
            let difference = json!({
                "source": name,
                "before": as_json(&before),
                "after": as_json(&after),
                "added": as_json(&difference.added),
                "removed": as_json(&difference.removed),
                "dry_run": dry_run,
                "written": writes,
            });
            return report::data().line(difference.to_string());
        }
        let said = if difference.is_none() {
            "the list is like that already; nothing was written".to_owned()
        } else if dry_run {
            "a dry run: nothing was written".to_owned()
        } else {
            format!("written, and read again: {after}")
        };
        report::notes().line(said)
    }
}

/// What two lists do not share.
struct Difference {
    added: Allowlist,
    removed: Allowlist,
}

impl Difference {
    fn between(before: &Allowlist, after: &Allowlist) -> Self {
        let beyond = |some: &Allowlist, other: &Allowlist| Allowlist {
            ranges: some.ranges.iter().filter(|range| !other.ranges.contains(range)).cloned().collect(),
            asns: some.asns.iter().filter(|asn| !other.asns.contains(asn)).copied().collect(),
        };
        Self { added: beyond(after, before), removed: beyond(before, after) }
    }

    fn is_none(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }

    fn show(&self, dry_run: bool) -> Result<(), Failure> {
        let mut out = report::data();
        let style = out.style;
        let would = if dry_run { " (would be)" } else { "" };
        for line in lines(&self.removed) {
            out.line(style.red(&format!("- {line}{would}")))?;
        }
        for line in lines(&self.added) {
            out.line(style.green(&format!("+ {line}{would}")))?;
        }
        Ok(())
    }
}

fn shown(name: &str, list: &Allowlist, json: bool) -> Result<(), Failure> {
    let mut out = report::data();
    if json {
        let mut shown = as_json(list);
        if let Some(members) = shown.as_object_mut() {
            members.insert("source".into(), name.into());
        }
        return out.line(shown.to_string());
    }
    lines(list).iter().try_for_each(|line| out.line(line))?;
    report::notes().line(list.to_string())
}

/// A line each; what Slack has is shown so that it cannot command a terminal.
fn lines(list: &Allowlist) -> Vec<String> {
    let ranges = list.ranges.iter().map(|range| plain(range));
    ranges.chain(list.asns.iter().map(|asn| format!("AS{asn}"))).collect()
}

fn as_json(list: &Allowlist) -> Value {
    json!({ "cidr": list.ranges, "asn": list.asns })
}

fn failure(error: &AllowlistError) -> Failure {
    Failure::of_error(Exit::Unavailable, error).help(error.help())
}

/// What became of the list where writing failed cannot be known from here.
fn not_written(error: &AllowlistError, before: &Allowlist) -> Failure {
    let show = |list: &Allowlist| match lines(list) {
        lines if lines.is_empty() => "nothing".to_owned(),
        lines => lines.join(", "),
    };
    let has = match error {
        AllowlistError::NotTaken { shown } => format!("it has {} now, and had", show(shown)),
        _ => "see by `slackcef allowlist get` what it has now; it had".to_owned(),
    };
    let help = format!("{has} {} before; {}", show(before), error.help());
    Failure::of_error(Exit::Unavailable, error).help(help)
}
