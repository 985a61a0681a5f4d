//! `prove`: what was read in a range of time, and what became of it, window by window.

mod account;
mod against;
mod ids;
mod judge;
mod proof;
mod shown;
mod span;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use clap::Args;

use super::{ConfigFile, runtime, stored};
use crate::config::{Config, duration};
use crate::event::{Log, UnixTime};
use crate::report::{self, Exit, Failure};
use crate::slack::Clock;
use crate::slack::audit::{self, Marks};
use crate::store::{Archive, Lost, SourceId, Survey};
use crate::telemetry::plain;
use account::{Account, Counts, Group};
use ids::Sorted;
use proof::{Coverage, Open, Proof, SourceProof, WindowProof};
use span::{Moment, Span};

/// Shows what was read in a range of time and what became of it: delivered, dropped by a rule, not
/// wanted, waiting, put aside; window by window, with a digest of the ids.
///
/// It looks into the store, beside the service, and asks nobody. What rules and `when` do is what the
/// files say now. The digest is SHA-256 over the different ids of a window in the order of their
/// bytes, each followed by a line feed: `LC_ALL=C sort -u | sha256sum`; the table shows its first 16
/// digits.
///
/// The exit code is 0 when all of the range was read, verified, and delivered or dropped by a rule;
/// 75 when something is still to be read, verified or delivered; 69 when something cannot be shown
/// any more or lies among dead letters; 1 when Slack has entries that the store has not.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  slackcef prove --from 2026-11-20 --to 2026-11-21 --config slackcef.toml\n  slackcef prove --from 26h --to 2h --window 15m --source acme-audit\n  slackcef prove --from 26h --to 2h --against-slack --json | jq '.sources[].against_slack.missed'"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    file: ConfigFile,
    /// The first second: a time (2026-11-20T08:00:00Z), a day (by UTC), or how long ago (26h).
    #[arg(long, value_name = "T", value_parser = Moment::read)]
    from: Moment,
    /// The first second behind the range, in the same forms.
    #[arg(long, value_name = "T", value_parser = Moment::read)]
    to: Moment,
    /// Only these sources.
    #[arg(long, value_name = "NAME", num_args = 1..)]
    source: Vec<String>,
    /// How long a window is; the first begins with the range.
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = duration)]
    window: Duration,
    /// Reads the range again from Slack, within `requests_per_minute` (the service has its own), and
    /// compares id by id.
    #[arg(long)]
    against_slack: bool,
    /// One JSON object on standard output.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let config = arguments.file.load()?;
    let now = Clock::system().now();
    let span = Span::new(arguments.from, arguments.to, arguments.window, now)
        .map_err(|what| Failure::new(Exit::Usage, what))?;
    // What is read after the marks holds all that they cover.
    let survey = stored::open(&config)?.survey().map_err(|error| {
        let help = error.help();
        Failure::of_error(Exit::Unavailable, &error).help(help)
    })?;
    let mut archive = stored::open(&config)?;
    let sources = chosen(&config, &survey, &arguments.source)?;
    let mut proofs = unread(&config, &survey, &archive, &sources)?;
    let comparisons =
        if arguments.against_slack { against::comparisons(&config, &proofs)? } else { Vec::new() };
    let runtime = runtime()?;

    let mut judges = judge::judges(&config, &survey)?;
    let mut account = Account::new(&span, &sources, &judges);
    let mut group = account.count(&mut archive, &mut judges).map_err(|error| stored::failed(&error))?;
    loop {
        note(&span, &group, &account.counts, &mut proofs);
        for comparison in &comparisons {
            runtime.block_on(comparison.compare(&span, &mut group, &mut proofs))?;
        }
        let next = group.windows.end;
        if next >= span.windows() {
            break;
        }
        group = account.gather(&mut archive, next).map_err(|error| stored::failed(&error))?;
    }

    let mut open = Open::default();
    for proof in &proofs {
        open.judge(proof);
    }
    open.unprovable.extend(damage(&archive, &sources, &span));
    show(arguments, now, &span, proofs, open)
}

/// The sources asked for: those that are named, or all of the configuration.
fn chosen(config: &Config, survey: &Survey, named: &[String]) -> Result<Vec<SourceId>, Failure> {
    if named.is_empty() {
        return Ok(config.sources.keys().map(|name| SourceId::new(name.as_str())).collect());
    }
    let is_stored = |name: &String| survey.sources.iter().any(|(id, _)| id.as_str() == name);
    if let Some(unknown) = named.iter().find(|name| !config.sources.contains_key(*name) && !is_stored(name)) {
        return Err(stored::unknown(config, unknown));
    }
    let named: BTreeSet<_> = named.iter().map(|name| SourceId::new(name.as_str())).collect();
    Ok(named.into_iter().collect())
}

/// What is known of each source before its entries are looked at.
fn unread(
    config: &Config,
    survey: &Survey,
    archive: &Archive,
    sources: &[SourceId],
) -> Result<Vec<SourceProof>, Failure> {
    let bookmarks: BTreeMap<_, _> = survey.sources.iter().map(|(id, bookmark)| (id, bookmark)).collect();
    let all = sources.iter().cloned().collect();
    let begins = archive.begins(&all).map_err(|error| stored::failed(&error))?;
    let proof = |source: &SourceId| {
        let marks = bookmarks.get(source).and_then(|bookmark| audit::marks(bookmark.as_bytes()).ok());
        let is_audit = config.sources.get(source.as_str()).is_some_and(|source| source.log() == Log::Audit);
        let kept_from = begins.as_ref().map(|begins| begins.of(source));
        SourceProof {
            name: source.to_string(),
            reads_from: marks.map(|marks| marks.start),
            read_before: marks.map(|marks| marks.next),
            verified_before: marks.map(|marks| marks.verified),
            // Where nothing is kept that would tell, nothing may be.
            kept_from: kept_from.and_then(|kept| kept.or(marks.map(|marks| marks.next))),
            windows: Vec::new(),
            against_slack: None,
            marks: marks.or(is_audit.then_some(NOTHING_READ)),
        }
    };
    Ok(sources.iter().map(proof).collect())
}

/// The marks of a source that has none.
const NOTHING_READ: Marks = {
    let before_all = UnixTime::from_seconds(i64::MIN);
    Marks { start: before_all, next: before_all, verified: before_all }
};

/// Notes what was counted of the windows of a group.
fn note(span: &Span, group: &Group, counts: &[Vec<Counts>], proofs: &mut [SourceProof]) {
    let none = Sorted::default();
    for (nth, (proof, counts)) in proofs.iter_mut().zip(counts).enumerate() {
        for place in group.windows.clone() {
            let Some(Counts { read, late, fates }) = counts.get(place).cloned() else { continue };
            let (from, to) = span.bounds(place);
            let ids = group.ids.get(&(place, nth)).unwrap_or(&none);
            proof.windows.push(WindowProof {
                from,
                to,
                coverage: Coverage::of(proof.marks, proof.kept_from, from, to),
                read,
                late,
                ids: ids.len() as u64,
                digest: ids.digest(),
                destinations: fates,
            });
        }
    }
}

/// The damage that may have taken entries of the range, in words.
fn damage(archive: &Archive, sources: &[SourceId], span: &Span) -> BTreeSet<String> {
    let may_concern = |lost: &&Lost| {
        lost.source.as_ref().is_none_or(|source| sources.contains(source))
            && lost.times.is_none_or(|(first, last)| first < span.to && span.from <= last)
    };
    archive.lost().iter().filter(may_concern).map(ToString::to_string).collect()
}

fn show(
    arguments: &Arguments,
    now: UnixTime,
    span: &Span,
    sources: Vec<SourceProof>,
    open: Open,
) -> Result<(), Failure> {
    let exit = open.exit();
    let Span { from, to, window } = *span;
    let open = open.into_words();
    let proof = Proof { at: now, from, to, window_seconds: window, proven: exit == Exit::Ok, open, sources };
    let mut out = report::data();
    if arguments.json {
        // Maps with text keys are always JSON.
        out.line(serde_json::to_string(&proof).unwrap_or_default())?;
    } else {
        shown::proof(&proof, out.style).iter().try_for_each(|line| out.line(line))?;
    }
    if proof.proven { Ok(()) } else { Err(unproven(exit, &proof.open)) }
}

/// So many reasons are said at the end.
const REASONS: usize = 5;

fn unproven(exit: Exit, open: &[String]) -> Failure {
    let mut said: Vec<_> = open.iter().take(REASONS).map(|reason| plain(reason)).collect();
    if open.len() > said.len() {
        said.push(format!("and {} reasons more", open.len().saturating_sub(said.len())));
    }
    let help = match exit {
        Exit::Differs => {
            "read them again: with an empty `[state] dir` of its own and `start` set to before them, `slackcef run --once` delivers that time once more"
        }
        Exit::TryLater => "try again when the service has come so far: `slackcef status` shows how far it is",
        _ => "ask for a shorter range, or see to what is named",
    };
    Failure::new(exit, format!("not all of it is proven: {}", said.join("; "))).help(help)
}
