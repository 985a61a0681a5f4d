//! A proof in words: a table a source, a row a window and destination.
//!
//! **Invariant:** whatever Slack wrote is shown so that it cannot command a terminal.

use super::proof::{AgainstSlack, Coverage, Fates, Listed, Named, Proof, SourceProof, WindowProof};
use crate::commands::table::table;
use crate::event::UnixTime;
use crate::report::Style;
use crate::telemetry::plain;

/// So much of a digest tells two windows apart; all of it is in the JSON.
const DIGEST: usize = 16;

const HEADING: [&str; 11] = [
    "WINDOW",
    "READ",
    "LATE",
    "SECONDS",
    "IDS",
    "DESTINATION",
    "DROPPED",
    "NOT WANTED",
    "DELIVERED",
    "WAITING",
    "DEAD",
];

/// The lines.
pub(super) fn proof(proof: &Proof, style: Style) -> Vec<String> {
    let Proof { from, to, window_seconds, sources, .. } = proof;
    let mut lines = vec![style.bold(&format!("{from} to {to}, in windows of {window_seconds} s"))];
    for source in sources {
        lines.push(String::new());
        lines.push(head(source, style));
        lines.extend(rows(source, style));
        lines.extend(source.against_slack.iter().flat_map(|against| comparison(against, style)));
    }
    lines
}

fn head(source: &SourceProof, style: Style) -> String {
    let SourceProof { name, reads_from, read_before, verified_before, kept_from, .. } = source;
    let said = [
        ("read from ", reads_from),
        ("read up to ", &read_before.map(|before| before.plus(-1))),
        ("looked through for late entries up to ", &verified_before.map(|before| before.plus(-1))),
        ("the store begins at ", kept_from),
    ];
    let said: Vec<_> =
        said.iter().filter_map(|(what, at)| at.map(|at: UnixTime| format!("{what}{at}"))).collect();
    let said = if said.is_empty() { "never read".to_owned() } else { said.join("; ") };
    format!("{}: {said}", style.bold(&plain(name)))
}

fn rows(source: &SourceProof, style: Style) -> Vec<String> {
    let mut all = vec![HEADING.map(str::to_owned)];
    let mut marks = vec![String::new()];
    for window in &source.windows {
        let mut destinations = window.destinations.iter().map(fates).collect::<Vec<_>>();
        if destinations.is_empty() {
            destinations.push(std::array::from_fn(|_| "-".to_owned()));
        }
        for (nth, destination) in destinations.into_iter().enumerate() {
            let begin = if nth == 0 { beginning(window) } else { Default::default() };
            let [from, read, late, seconds, ids] = begin;
            let [name, dropped, unwanted, delivered, waiting, dead] = destination;
            all.push([from, read, late, seconds, ids, name, dropped, unwanted, delivered, waiting, dead]);
            marks.push(if nth == 0 { mark(window, style) } else { String::new() });
        }
    }
    let rows = table(&all).into_iter().zip(marks);
    rows.map(|(row, mark)| format!("{mark:2} {row}").trim_end().to_owned()).collect()
}

fn beginning(window: &WindowProof) -> [String; 5] {
    let WindowProof { from, coverage, read, late, digest, .. } = window;
    let ids = digest.chars().take(DIGEST).collect();
    [from.to_string(), read.to_string(), late.to_string(), coverage.in_words().to_owned(), ids]
}

fn fates(fates: &Fates) -> [String; 6] {
    let Fates { name, mapped: _, dropped, unwanted, delivered, waiting, dead_letters } = fates;
    let numbers = [dropped, unwanted, delivered, waiting, dead_letters].map(ToString::to_string);
    let [dropped, unwanted, delivered, waiting, dead] = numbers;
    [plain(name), dropped, unwanted, delivered, waiting, dead]
}

/// The marks that `check` and `status` have.
fn mark(window: &WindowProof, style: Style) -> String {
    let any = |of: fn(&Fates) -> u64| window.destinations.iter().any(|fates| of(fates) > 0);
    let is_bad = matches!(window.coverage, Coverage::BeforeStart | Coverage::Deleted);
    let is_open = matches!(window.coverage, Coverage::NotRead | Coverage::NotVerified);
    if is_bad || any(|fates| fates.dead_letters) {
        style.red("no")
    } else if is_open || any(|fates| fates.waiting) {
        style.yellow("--")
    } else {
        style.green("ok")
    }
}

fn comparison(against: &AgainstSlack, style: Style) -> Vec<String> {
    let AgainstSlack { equal, missed, to_come, forgotten, compared } = against;
    let Some((from, to)) = compared else {
        return vec![
            "   against Slack: nothing was read and is still kept that could be compared".to_owned(),
        ];
    };
    let mut lines = vec![format!(
        "   against Slack, {from} to {to}: {equal} are the same; {} only in Slack; {} only in Slack so far; {} only in the store",
        missed.count, to_come.count, forgotten.count
    )];
    lines.extend(listed("only in Slack", missed).iter().map(|line| style.red(line)));
    lines.extend(listed("only in Slack, to be found by the verification", to_come));
    lines.extend(listed("only in the store: Slack has forgotten it", forgotten));
    lines
}

fn listed(what: &str, listed: &Listed) -> Vec<String> {
    let Listed { count, first } = listed;
    let mut lines: Vec<_> = first.iter().map(|named| format!("     {what}: {}", in_words(named))).collect();
    let more = count.saturating_sub(first.len() as u64);
    if more > 0 {
        lines.push(format!("     {what}: {more} more"));
    }
    lines
}

fn in_words(named: &Named) -> String {
    let Named { id, at, action } = named;
    let at = at.map_or_else(String::new, |at| format!(" at {at}"));
    let action = action.as_ref().map_or_else(String::new, |action| format!(", {}", plain(action)));
    format!("{}{at}{action}", plain(id))
}
