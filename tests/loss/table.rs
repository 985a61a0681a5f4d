//! The results, for people and for the documentation.

use std::fmt::Write as _;

use super::bench::Outcome;
use super::others::Who;
use super::scenario::{SCENARIOS, Scenario};
use super::transport::{TRANSPORTS, Transport};

/// One line, as soon as a run has ended.
pub(crate) fn line(outcome: &Outcome, events: u64) -> String {
    let counts = &outcome.counts;
    let sum = if outcome.failures.is_empty() { "ok  " } else { "FAIL" };
    let mut line = format!(
        "{sum} {:<28} lost {:>6}  repeated {:>7}  of {events}, torn {}, farthest repeat {}, {} s",
        outcome.run.name(),
        outcome.lost,
        counts.repeated,
        counts.torn,
        counts.farthest,
        outcome.seconds
    );
    for failure in &outcome.failures {
        let _written = write!(line, "\n       {failure}");
    }
    if !outcome.failures.is_empty() {
        let _written = write!(line, "\n       see {}", outcome.folder.display());
    }
    line
}

/// Transports by scenarios, aligned.
pub(crate) fn text(outcomes: &[Outcome]) -> String {
    let rows = rows(outcomes);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..rows.first().map_or(0, Vec::len)).map(width).collect();
    let mut text = String::from("lost / repeated\n");
    for row in &rows {
        for (cell, width) in row.iter().zip(&widths) {
            let _written = write!(text, "{cell:<width$}  ");
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

/// The same as Markdown, with what the columns mean.
pub(crate) fn markdown(outcomes: &[Outcome], events: u64, rate: u32) -> String {
    let mut text =
        format!("{events} numbered events at {rate} a second in each run. Cells: **lost** / repeated.\n\n");
    for (nth, row) in rows(outcomes).iter().enumerate() {
        let _written = writeln!(text, "| {} |", row.join(" | "));
        if nth == 0 {
            let _written = writeln!(text, "|{}", " --- |".repeat(row.len()));
        }
    }
    text.push('\n');
    for scenario in columns(outcomes) {
        let _written = writeln!(text, "- {}: {}", scenario.name(), scenario.about());
    }
    text
}

fn columns(outcomes: &[Outcome]) -> Vec<Scenario> {
    let there = |scenario: &Scenario| outcomes.iter().any(|outcome| outcome.run.scenario == *scenario);
    SCENARIOS.iter().copied().filter(there).collect()
}

/// The heading and a row for each sender and transport.
fn rows(outcomes: &[Outcome]) -> Vec<Vec<String>> {
    let columns = columns(outcomes);
    let heading = ["sender", "transport"].into_iter().chain(columns.iter().map(|scenario| scenario.name()));
    let mut rows = vec![heading.map(str::to_owned).collect()];
    for who in [Who::Slackcef, Who::Rsyslog, Who::SyslogNg] {
        for transport in TRANSPORTS {
            let cells: Vec<_> =
                columns.iter().map(|&scenario| cell(outcomes, who, transport, scenario)).collect();
            if cells.iter().any(|cell| !cell.is_empty()) {
                let names = [who.name().to_owned(), transport.about.to_owned()];
                rows.push(names.into_iter().chain(cells).collect());
            }
        }
    }
    rows
}

fn cell(outcomes: &[Outcome], who: Who, transport: &Transport, scenario: Scenario) -> String {
    let of_it = |outcome: &&Outcome| {
        outcome.run.who == who
            && outcome.run.transport.name == transport.name
            && outcome.run.scenario == scenario
    };
    let Some(outcome) = outcomes.iter().find(of_it) else { return String::new() };
    format!("**{}** / {}", outcome.lost, outcome.counts.repeated)
}
