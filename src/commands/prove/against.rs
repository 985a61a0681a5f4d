//! The range read again from Slack, and compared with what the store keeps, id by id.
//!
//! **Invariant:** Slack is asked within the source's own budget; a service that runs beside has its
//! own, so that both together may ask twice as often.
//! **Invariant:** only seconds are asked for that the store has read and still keeps.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::account::Group;
use super::ids::Met;
use super::proof::{AgainstSlack, Named, SourceProof};
use super::span::Span;
use crate::commands::setup_failure;
use crate::config::Config;
use crate::event::{Entry, UnixTime};
use crate::pipeline::Sharing;
use crate::report::{Exit, Failure};
use crate::slack::audit::{Range, RangeStep, Window};
use crate::slack::{self, Class, Failed};
use crate::telemetry;

/// A source that is compared.
#[derive(Debug)]
pub(super) struct Comparison {
    /// Its number among the sources of the proof.
    source: usize,
    settings: slack::audit::Settings,
    bar: ProgressBar,
}

/// So many failures in a row are enough.
const PATIENCE: u32 = 5;

/// The comparisons of all sources of a proof, their tokens fetched.
///
/// # Errors
/// One of them is no audit log, or its token cannot be had.
pub(super) fn comparisons(config: &Config, proofs: &[SourceProof]) -> Result<Vec<Comparison>, Failure> {
    let (mut sharing, mut comparisons) = (Sharing::default(), Vec::new());
    for (nth, proof) in proofs.iter().enumerate() {
        let name = &proof.name;
        let Some(source) = config.sources.get(name) else {
            let what =
                format!("{name} is no source of the configuration: nobody knows how to ask Slack for it");
            return Err(Failure::new(Exit::Usage, what));
        };
        let polling = sharing.polling(name, source).map_err(setup_failure)?;
        let slack::Settings::Audit(settings) = polling else {
            let what = format!(
                "{name} reads Slack's {} log: that is a list without ids and times to ask for",
                source.log()
            );
            return Err(Failure::new(Exit::Usage, what).help("name the sources of audit logs by --source"));
        };
        comparisons.push(Comparison { source: nth, settings, bar: bar(name) });
    }
    Ok(comparisons)
}

fn bar(name: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix} in Slack [{bar:40}] {percent}% {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ");
    telemetry::bars().add(ProgressBar::new(0).with_style(style).with_prefix(name.to_owned()))
}

impl Comparison {
    /// Compares the windows of a group.
    ///
    /// # Errors
    /// Slack refuses, or could not be read several times in a row.
    pub(super) async fn compare(
        &self,
        span: &Span,
        group: &mut Group,
        proofs: &mut [SourceProof],
    ) -> Result<(), Failure> {
        let Some(proof) = proofs.get_mut(self.source) else { return Ok(()) };
        if let Some(window) = seconds(span, group, proof) {
            self.read(span, window, group, proof).await?;
        }
        if group.windows.end >= span.windows() {
            self.bar.finish_and_clear();
        }
        Ok(())
    }

    async fn read(
        &self,
        span: &Span,
        window: Window,
        group: &mut Group,
        proof: &mut SourceProof,
    ) -> Result<(), Failure> {
        let verified_before = proof.verified_before;
        let against = proof.against_slack.get_or_insert_default();
        let length = |window: Window| u64::try_from(window.seconds()).unwrap_or(0);
        self.bar.inc_length(length(window));
        let mut range = Range::new(&self.settings, window)
            .map_err(|error| Failure::of_error(Exit::Configuration, &error))?;
        let mut failures = 0;
        loop {
            match range.next().await {
                RangeStep::End => break,
                RangeStep::Page { entries, window: read } => {
                    failures = 0;
                    for entry in entries.iter().filter(|entry| window.contains(entry.at())) {
                        self.meet(span, entry, verified_before, group, against);
                    }
                    let done = Window { oldest: window.oldest, latest: read.latest };
                    self.bar.set_position(length(done));
                    self.bar.set_message(format!("{} are in the store as well", against.equal));
                }
                RangeStep::Failed(Failed { error, retry_in, .. }) => {
                    failures += 1;
                    let is_final = matches!(error.class(), Class::Token | Class::Install | Class::Setting);
                    if is_final || failures >= PATIENCE {
                        let exit = if is_final { Exit::Configuration } else { Exit::TryLater };
                        return Err(Failure::of_error(exit, &error).help(error.help()));
                    }
                    self.bar.set_message(format!("{error}; again in {} s", rounded(retry_in)));
                }
            }
        }
        let (from, _) = against.compared.unwrap_or((window.oldest, window.latest));
        against.compared = Some((from, window.latest.plus(1)));
        // A window of which some seconds were not asked for says nothing of what is not in Slack.
        for place in group.windows.clone() {
            let (from, to) = span.bounds(place);
            let is_whole = window.contains(from) && window.contains(to.plus(-1));
            if let Some(ids) = group.ids.get(&(place, self.source)).filter(|_| is_whole) {
                ids.unmet().for_each(|id| against.forgotten.add(|| Named { id, at: None, action: None }));
            }
        }
        Ok(())
    }

    /// Looks for an entry of Slack's among those of the store.
    fn meet(
        &self,
        span: &Span,
        entry: &Entry,
        verified_before: Option<UnixTime>,
        group: &mut Group,
        against: &mut AgainstSlack,
    ) {
        let Some(window) = span.window_of(entry.at()) else { return };
        let ids = group.ids.entry((window, self.source)).or_default();
        match ids.meet(entry.id().as_str()) {
            Met::Known => against.equal = against.equal.saturating_add(1),
            Met::Again => {}
            Met::Unknown => {
                let is_verified = verified_before.is_some_and(|before| entry.at() < before);
                let listed = if is_verified { &mut against.missed } else { &mut against.to_come };
                listed.add(|| Named {
                    id: entry.id().as_str().to_owned(),
                    at: Some(entry.at()),
                    action: Some(entry.action().as_str().to_owned()),
                });
            }
        }
    }
}

fn rounded(wait: Duration) -> u64 {
    wait.as_secs().max(1)
}

/// What is to be asked for: of the group what was read and is still kept.
fn seconds(span: &Span, group: &Group, proof: &SourceProof) -> Option<Window> {
    let (from, _) = span.bounds(group.windows.start);
    let (to, _) = span.bounds(group.windows.end);
    let from = proof.reads_from.into_iter().chain(proof.kept_from).fold(from, UnixTime::max);
    let to = to.min(proof.read_before?);
    (from < to).then(|| Window { oldest: from, latest: to.plus(-1) })
}
