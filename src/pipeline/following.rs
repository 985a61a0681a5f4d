//! The configuration's file, followed: read again when it changes, and at once when asked to.
//!
//! A file is judged whole and made ready whole, as at a start, before the tasks hear of it. Secrets
//! are fetched again with it, and when somebody asks: a source whose token is another one begins anew.
//!
//! **Invariant:** a mistake anywhere leaves all of the configuration before it in force.
//! **Invariant:** a state of the file is told once: in the log with every mistake, and as an own event.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;
use tracing::{debug, error, info, warn};

use super::difference::{Changes, waiting_for_restart};
use super::own::OwnEvent;
use super::prepared::{Mappings, Prepared, ReadyDestination, ReadyNotice, ReadySource, notice_reader};
use super::settling::{Settling, Step};
use super::setup::{self, SetupError};
use super::shared::Shared;
use super::tasks::{Abandoned, Change};
use super::voice::Voice;
use crate::config::Config;
use crate::problem::Problem;
use crate::slack::{self, Webhook};
use crate::store::{ReaderName, SourceId, Store};
use crate::telemetry::chain;

/// The file, and what of it is in force.
#[derive(Debug)]
pub(super) struct Following {
    file: PathBuf,
    /// Its text.
    settling: Settling<String>,
    at_start: Config,
    in_force: Config,
    polling: BTreeMap<SourceId, slack::Settings>,
    /// The webhook of each notice.
    webhooks: BTreeMap<String, Webhook>,
    shared: Shared,
    store: Store,
    changes: mpsc::Sender<Change>,
    /// What was refused last, and when.
    refused: Option<(Refusal, Instant)>,
    /// What of the file waits for a restart, as it was told.
    waiting: Vec<&'static str>,
}

/// Why a configuration is not taken.
#[derive(Debug)]
struct Refusal {
    /// In a line.
    why: String,
    help: Option<String>,
    /// The mistakes, where files hold some.
    problems: Vec<Problem>,
    /// It is no matter of the file's text alone.
    outside: bool,
}

/// How a configuration was taken.
struct Taken {
    changes: Changes,
    abandoned: Vec<Abandoned>,
    /// Requests are traced elsewhere than before, or no more.
    trace: bool,
}

/// What was refused for a reason outside the file may be right after a while.
const TRY_AGAIN: Duration = Duration::from_secs(30);

impl Following {
    pub(super) fn new(
        file: PathBuf,
        config: Config,
        (ready, shared): (Vec<ReadySource>, Shared),
        webhooks: BTreeMap<String, Webhook>,
        store: Store,
        changes: mpsc::Sender<Change>,
    ) -> Self {
        let settling = Settling::new(config.text.to_string());
        let polling = ready.into_iter().map(|ready| (ready.id, ready.polling)).collect();
        let at_start = config.clone();
        Self {
            file,
            settling,
            at_start,
            in_force: config,
            polling,
            webhooks,
            shared,
            store,
            changes,
            refused: None,
            waiting: Vec::new(),
        }
    }

    /// Reads the file and does what is to be done.
    pub(super) async fn look(&mut self, asked: bool, mappings: &mut Mappings, voice: &Voice) {
        if let Some((dir, fault)) = self.shared.trace_fault() {
            warn!(dir = %dir.display(), "the trace cannot be written any more and has ended: {fault}");
        }
        let sight = tokio::fs::read_to_string(&self.file)
            .await
            .map_err(|error| format!("cannot read the configuration {}: {error}", self.file.display()));
        match self.settling.step(&sight, asked) {
            // Secrets may be others behind the same words.
            Step::Nothing if asked || self.is_worth_another_try() => {}
            Step::Nothing => return,
            Step::Wait => {
                debug!(file = %self.file.display(), "the configuration has changed; it is read once it has settled");
                return;
            }
            Step::Mended | Step::Take => {}
        }
        let taken = match &sight {
            Ok(text) => self.take(text, mappings).await,
            Err(why) => Err(Refusal::outside(why.clone(), None)),
        };
        match (taken, sight) {
            (Ok(None), _) => debug!("the configuration is not followed any more: all is to end"),
            (Ok(Some(taken)), sight) => {
                self.settling.adopt(sight.unwrap_or_default());
                self.tell(&taken, voice);
            }
            (Err(refusal), sight) => {
                let same_file = self.settling.refuse(sight);
                self.tell_refusal(refusal, same_file, asked, voice);
            }
        }
    }

    fn is_worth_another_try(&self) -> bool {
        self.refused.as_ref().is_some_and(|(why, at)| why.outside && at.elapsed() >= TRY_AGAIN)
    }

    /// Takes a text as the configuration; `None` where the path comes to its end before that.
    async fn take(&mut self, text: &str, mappings: &mut Mappings) -> Result<Option<Taken>, Refusal> {
        let config = Config::parse(&self.file.display().to_string(), text).map_err(Refusal::of_mistakes)?;
        let prepared = spawn_blocking({
            let (config, shared) = (config.clone(), self.shared.clone());
            move || Prepared::of(&config, &shared)
        });
        // It fails only when the runtime is going down, or by a mistake of the program.
        let mut prepared = match prepared.await {
            Ok(prepared) => prepared?,
            Err(broken) => return Err(Refusal::outside(broken.to_string(), None)),
        };
        let changes = self.changes(&config, &prepared);
        for ready in &prepared.sources {
            if changes.sources.begins(ready.id.as_str()) {
                // Tried before anything is given up for it.
                ready.poller(&self.store).await?;
            }
        }
        for remark in config.remarks.iter().filter(|remark| !self.in_force.remarks.contains(remark)) {
            warn!("{remark}");
        }
        self.shared = prepared.shared.clone();
        self.shared.take_effect();
        let trace = self.in_force.trace != config.trace;
        if changes.is_empty() {
            self.in_force = config;
            return Ok(Some(Taken { changes, abandoned: Vec::new(), trace }));
        }
        if !changes.sources.added.is_empty() {
            setup::tell_of_renamed(&config, &self.store.sources().await.map_err(SetupError::Store)?);
        }
        prepared.take_over(std::mem::take(mappings), &changes.mappings);
        let polling = prepared.sources.iter().map(|ready| (ready.id.clone(), ready.polling.clone()));
        self.polling = polling.collect();
        self.webhooks = webhooks(&prepared.notices);
        let (done, answer) = oneshot::channel();
        let change = change(&changes, prepared.sources, prepared.destinations, prepared.notices, done);
        *mappings = prepared.mappings;
        if self.changes.send(change).await.is_err() {
            return Ok(None);
        }
        let Ok(abandoned) = answer.await else { return Ok(None) };
        self.in_force = config;
        Ok(Some(Taken { changes, abandoned, trace }))
    }

    /// What is other than what is in force; a source with another token or another way to Slack too, and
    /// a notice with another webhook.
    fn changes(&self, config: &Config, prepared: &Prepared) -> Changes {
        let mut changes = Changes::between(&self.in_force, config);
        for ReadySource { id, polling, .. } in &prepared.sources {
            let from = |config: &Config| config.sources.get(id.as_str()).map(|source| source.token.clone());
            let is_other =
                self.polling.get(id).is_some_and(|before| !polling.account().is_like(before.account()));
            let was = from(&self.in_force);
            if is_other || (was.is_some() && was != from(config)) {
                changes.sources.changed.insert(id.as_str().to_owned());
            }
        }
        for ReadyNotice { name, webhook, .. } in &prepared.notices {
            if self.webhooks.get(name).is_some_and(|before| !before.is_like(webhook)) {
                changes.notices.changed.insert(name.clone());
            }
        }
        changes
    }

    /// Says what is in force now.
    fn tell(&mut self, taken: &Taken, voice: &Voice) {
        let file = self.file.display();
        for Abandoned { destination, entries } in &taken.abandoned {
            warn!(
                %destination, entries,
                "the destination is gone from the configuration, and its position with it: what it was not given is not kept for it"
            );
        }
        let waiting = waiting_for_restart(&self.at_start, &self.in_force);
        for table in &waiting {
            warn!(%file, "[{table}] has changed since the start: it is in force as it was until a restart");
        }
        match &self.in_force.trace {
            Some(trace) if taken.trace => {
                info!(%file, dir = %trace.dir.display(), "requests to Slack are traced from now on");
            }
            None if taken.trace => info!(%file, "requests to Slack are traced no more"),
            _ => {}
        }
        let was_refused = self.refused.take().is_some();
        let waits_for_other = std::mem::replace(&mut self.waiting, waiting.clone()) != waiting;
        if taken.changes.is_empty() && !waits_for_other && !was_refused {
            if !taken.trace {
                info!(%file, "nothing in the configuration has changed");
            }
            return;
        }
        let event = OwnEvent::configuration_reloaded(&self.file, &taken.changes, &waiting, &taken.abandoned);
        info!(%file, "{}", event.message());
        voice.say(event);
    }

    /// Says why the configuration before stays in force; what was told before only when asked.
    fn tell_refusal(&mut self, refusal: Refusal, same_file: bool, asked: bool, voice: &Voice) {
        let Refusal { why, help, problems, .. } = &refusal;
        let known = same_file && self.refused.as_ref().is_some_and(|(before, _)| before.why == *why);
        if !known || asked {
            let mut shown = why.clone();
            for problem in problems {
                shown.push_str("\n\n");
                shown.push_str(&problem.render(false));
            }
            error!(
                file = %self.file.display(), mistakes = problems.len().max(1), help = help.as_deref().unwrap_or_default(),
                "the configuration is refused, the one before it stays in force: {shown}"
            );
        }
        if !known {
            voice.say(match problems.first() {
                Some(first) => OwnEvent::configuration_refused(first, problems.len()),
                None => OwnEvent::configuration_unusable(&self.file, why, help.as_deref()),
            });
        }
        self.refused = Some((refusal, Instant::now()));
    }
}

impl Refusal {
    fn outside(why: String, help: Option<String>) -> Self {
        Self { why, help, problems: Vec::new(), outside: true }
    }

    fn of_mistakes(problems: Vec<Problem>) -> Self {
        let first = problems.first();
        let why = first.map(|first| format!("{}:{}: {}", first.file, first.line(), first.what));
        Self { why: why.unwrap_or_default(), help: None, problems, outside: false }
    }
}

/// The address of each notice's webhook.
pub(super) fn webhooks(notices: &[ReadyNotice]) -> BTreeMap<String, Webhook> {
    notices.iter().map(|ready| (ready.name.clone(), ready.webhook.clone())).collect()
}

/// The part of what is ready that takes the place of something, and what goes.
fn change(
    changes: &Changes,
    sources: Vec<ReadySource>,
    destinations: Vec<ReadyDestination>,
    notices: Vec<ReadyNotice>,
    done: oneshot::Sender<Vec<Abandoned>>,
) -> Change {
    let reader = |name: &String| ReaderName::new(name.as_str());
    Change {
        ending: changes.sources.ends().map(|name| SourceId::new(name.as_str())).collect(),
        closing: changes.destinations.ends().map(reader).collect(),
        leaving: changes.notices.ends().map(|name| notice_reader(name)).collect(),
        notices: notices.into_iter().filter(|ready| changes.notices.begins(&ready.name)).collect(),
        removed: changes.destinations.removed.iter().map(reader).collect(),
        sources: sources.into_iter().filter(|ready| changes.sources.begins(ready.id.as_str())).collect(),
        destinations: destinations
            .into_iter()
            .filter(|ready| changes.destinations.begins(ready.name.as_str()))
            .collect(),
        done,
    }
}

impl From<SetupError> for Refusal {
    fn from(error: SetupError) -> Self {
        match error {
            // Those of a mapping, which may be mended by themselves.
            SetupError::Mapping(problems) => Self { outside: true, ..Self::of_mistakes(problems) },
            other => Self::outside(chain(&other), other.help()),
        }
    }
}
