//! A whole configuration made ready: secrets fetched, certificates read, mappings compiled, and
//! nothing touched yet.
//!
//! A start and a reload both begin here, so that what is refused at the one is refused at the other.
//!
//! **Invariant:** preparing opens no connection, stores nothing, and leaves what runs as it is.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::dead::DeadLetters;
use super::difference::Difference;
use super::forward::Outlet;
use super::late::Late;
use super::lateness::Rereading;
use super::notify::{Notice, Selection};
use super::poll::Source;
use super::reload::Folder;
use super::setup::{self, SetupError};
use super::shared::{Shared, Sharing};
use super::silence::{Silence, Standpoint};
use super::status::Route;
use super::trust::Trust;
use super::voice::Voice;
use crate::config::{self, Config};
use crate::event::UnixTime;
use crate::mapping::{MappingFile, Plans};
use crate::net::Rate;
use crate::slack::allowlist::Api;
use crate::slack::{self, Poller, Webhook};
use crate::store::{self, ReaderName, SourceId, Store};
use crate::syslog::{Framing, Sink};

/// All parts of a configuration, ready to begin.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) sources: Vec<ReadySource>,
    pub(super) destinations: Vec<ReadyDestination>,
    pub(super) notices: Vec<ReadyNotice>,
    pub(super) mappings: Mappings,
    pub(super) shared: Shared,
}

/// A source that can begin as soon as its bookmark is known.
#[derive(Debug, Clone)]
pub(super) struct ReadySource {
    pub(super) id: SourceId,
    pub(super) polling: slack::Settings,
    poll_every: Duration,
    /// When its silence is told.
    quiet: config::Quiet,
    /// What it is asked for.
    reads: String,
    /// Where its organization's own allow list is read, for the mappings.
    allowlist: Option<Arc<Api>>,
}

/// A destination that can begin as soon as it has its reader.
#[derive(Debug)]
pub(super) struct ReadyDestination {
    pub(super) name: ReaderName,
    settings: config::Destination,
    /// The plans to follow, as they change.
    plans: watch::Receiver<Arc<Plans>>,
    sink: Sink,
    framing: Framing,
}

/// A notice that can begin as soon as it has its reader.
#[derive(Debug)]
pub(super) struct ReadyNotice {
    /// What the configuration calls it.
    pub(super) name: String,
    pub(super) webhook: Webhook,
    settings: config::Notify,
    /// What is older when it comes is counted alone.
    fresh: Duration,
    /// The plans to follow, as they change.
    plans: watch::Receiver<Arc<Plans>>,
}

impl Prepared {
    /// Makes all of it ready, with what the sources of another configuration share already. Blocks: it
    /// reads files.
    ///
    /// # Errors
    /// The first thing that is not as it must be.
    pub(super) fn of(config: &Config, shared: &Shared) -> Result<Self, SetupError> {
        let mut mappings = Mappings::default();
        let mut destinations = Vec::new();
        for (name, settings) in &config.destinations {
            let plans = mappings.open(settings.mapping.as_deref(), config)?;
            tell_of_untrusted(name, settings, config, &plans.borrow());
            let (sink, framing) = setup::sink(name, settings)?;
            let (name, settings) = (ReaderName::new(name.as_str()), settings.clone());
            destinations.push(ReadyDestination { name, settings, plans, sink, framing });
        }
        let mut sharing = Sharing::after(shared);
        sharing.trace(config.trace.as_ref())?;
        let ready = |(name, source): (&String, &config::Source)| {
            let polling = setup::polling_sharing(name, source, &mut sharing)?;
            let allowlist = source
                .trusted
                .then(|| setup::allowlist_sharing(name, source, polling.account(), &mut sharing))
                .transpose()?;
            Ok(ReadySource {
                id: SourceId::new(name.as_str()),
                polling,
                poll_every: source.poll_every,
                quiet: source.quiet,
                reads: source.reads(),
                allowlist: allowlist.map(Arc::new),
            })
        };
        let sources = config.sources.iter().map(ready).collect::<Result<_, SetupError>>()?;
        let mut notices = Vec::new();
        for (name, settings) in &config.notices {
            let plans = mappings.open(settings.mapping.as_deref(), config)?;
            let webhook = setup::shared_webhook(name, settings, &mut sharing)?;
            let (name, settings, fresh) = (name.clone(), settings.clone(), fresh(settings, config));
            notices.push(ReadyNotice { name, webhook, settings, fresh, plans });
        }
        Ok(Self { sources, destinations, notices, mappings, shared: sharing.done() })
    }

    /// Has the mappings that run go on, with those that changed in place of what they were.
    ///
    /// Destinations and notices that follow one of them get the new plans at once.
    pub(super) fn take_over(&mut self, running: Mappings, changed: &Difference) {
        self.mappings.take_over(running, changed);
        for destination in &mut self.destinations {
            if let Some(plans) = self.mappings.plans(destination.settings.mapping.as_deref()) {
                destination.plans = plans;
            }
        }
        for notice in &mut self.notices {
            if let Some(plans) = self.mappings.plans(notice.settings.mapping.as_deref()) {
                notice.plans = plans;
            }
        }
    }
}

/// A mapping that asks for what the organization trusts gets no answer where no source reads it.
fn tell_of_untrusted(name: &str, destination: &config::Destination, config: &Config, plans: &Plans) {
    let Some(origin) = plans.asks_trusted() else { return };
    let is_of = |source: &String| destination.sources.as_ref().is_none_or(|of| of.contains(source));
    if !config.sources.iter().any(|(source, settings)| settings.trusted && is_of(source)) {
        tracing::warn!(
            destination = name, at = %origin, help = "write `trusted = true` into the source",
            "the mapping asks for what the organization trusts, and no source reads that: nothing is trusted"
        );
    }
}

impl ReadySource {
    /// The source at its bookmark, and the way to the allow list that mappings ask for; what is usual
    /// for it is remembered in the folder `state`.
    pub(super) async fn open(
        &self,
        store: &Store,
        state: &Path,
        voice: &Voice,
    ) -> Result<(Source, Option<Arc<Api>>), SetupError> {
        let (poller, read_up_to) = self.poller(store).await?;
        let late = match &self.polling {
            slack::Settings::Audit(slack::audit::Settings { settle, verify_after, .. }) => {
                let rereading = Rereading { settle: *settle, verify_after: *verify_after };
                let late = Late::recall(store, &self.id, rereading, voice.clone()).await;
                Some(late.map_err(SetupError::Store)?)
            }
            // A list has no seconds that could be read too early.
            slack::Settings::Access(_) | slack::Settings::Integration(_) => None,
        };
        let newest = store.newest(&self.id).await.map_err(SetupError::Store)?;
        let at = Standpoint { newest, read_up_to };
        let silence = match self.quiet.after {
            Some(_) => {
                let (id, voice) = (self.id.clone(), voice.clone());
                Some(Silence::open(id, self.quiet, &self.reads, at, state, voice).await)
            }
            None => None,
        };
        let (id, polling) = (self.id.clone(), self.polling.clone());
        let source = Source::new(id, polling, poller, self.poll_every, at, late, silence);
        Ok((source, self.allowlist.clone()))
    }

    /// Its poller at its bookmark, and the last second that was read.
    pub(super) async fn poller(&self, store: &Store) -> Result<(Poller, Option<UnixTime>), SetupError> {
        let bookmark = store.bookmark(&self.id).await.map_err(SetupError::Store)?;
        let bookmark = bookmark.as_ref().map(store::Bookmark::as_bytes);
        let poller = setup::poller_of(self.id.as_str(), &self.polling, bookmark)?;
        let read_up_to = bookmark.and_then(|bookmark| slack::read_up_to(self.polling.log(), bookmark).ok());
        Ok((poller, read_up_to.flatten()))
    }
}

impl ReadyDestination {
    /// The destination at its position, and how it is reached; its dead letters lie in the folder `state`.
    pub(super) async fn open(
        self,
        store: &Store,
        state: &Path,
        voice: &Voice,
        trust: &Trust,
    ) -> Result<(Outlet, Route), SetupError> {
        let Self { name, settings, plans, sink, framing } = self;
        let reader =
            store.reader(name, only(settings.sources.as_deref())).await.map_err(SetupError::Store)?;
        let converter = setup::converter(&settings, plans.borrow().clone());
        let rate = Rate::new(&settings.limits);
        let dead = DeadLetters::of(state, reader.name().as_str());
        // What was only handed over, or is on the disk, is not to be waited for.
        let age = if settings.transport.has_receipts() { settings.age } else { Duration::ZERO };
        let (trusted, voice) = (trust.known(), voice.clone());
        let outlet = Outlet::new(reader, plans, trusted, converter, framing, sink, rate, age, dead, voice);
        Ok((outlet, Route::of(&settings.transport)))
    }
}

impl ReadyNotice {
    /// The name of its reader: no destination can have it.
    pub(super) fn reader(&self) -> ReaderName {
        notice_reader(&self.name)
    }

    /// The notice at its position.
    pub(super) async fn open(self, store: &Store) -> Result<Notice, SetupError> {
        let reader = self.reader();
        let Self { name, webhook, settings, fresh, plans } = self;
        let reader =
            store.reader(reader, only(settings.sources.as_deref())).await.map_err(SetupError::Store)?;
        let selection = Selection::new(plans, settings.when);
        Ok(Notice::new(name, store.clone(), reader, selection, webhook, settings.window, fresh))
    }
}

/// How old an event may be that is told by itself: not much older than its source's pace makes it.
fn fresh(notify: &config::Notify, config: &Config) -> Duration {
    let is_told = |name: &String| notify.sources.as_ref().is_none_or(|sources| sources.contains(name));
    let sources = config.sources.iter().filter(|(name, _)| is_told(name));
    let slowest = sources.map(|(_, source)| source.poll_every.saturating_add(source.settle())).max();
    FRESH.saturating_add(slowest.unwrap_or_default().saturating_mul(2))
}

/// Beyond what a source takes by itself, for what Slack shows late and for a quick restart.
const FRESH: Duration = Duration::from_secs(15 * 60);

/// The name of the reader of the notice of that name.
pub(super) fn notice_reader(name: &str) -> ReaderName {
    ReaderName::new(format!("notify/{name}"))
}

/// The sources to read: those that are named, and the forwarder's own, whose events go everywhere.
fn only(sources: Option<&[String]>) -> Option<Vec<SourceId>> {
    let named = sources?.iter().map(|source| SourceId::new(source.as_str()));
    Some(named.chain([SourceId::own()]).collect())
}

/// The plans of each mapping that a destination or a notice names, made once.
#[derive(Debug, Default)]
pub(super) struct Mappings {
    /// Those of the shipped mapping alone, which never change.
    shipped: Option<watch::Receiver<Arc<Plans>>>,
    pub(super) folders: BTreeMap<String, Folder>,
}

impl Mappings {
    /// The plans of a mapping, compiled when they are asked for first.
    fn open(
        &mut self,
        name: Option<&str>,
        config: &Config,
    ) -> Result<watch::Receiver<Arc<Plans>>, SetupError> {
        if let Some(plans) = self.plans(name) {
            return Ok(plans);
        }
        let key = setup::pseudonym_key(config, name).cloned();
        let compile = {
            let name = name.map(str::to_owned);
            move |customers: &[MappingFile]| {
                let (key, name) = (key.as_ref(), name.as_deref());
                setup::with_key(setup::keyable(customers, key, name)?, key, name)
            }
        };
        match name.and_then(|name| Some((name, &config.mappings.get(name)?.dir))) {
            None => {
                let plans = watch::Sender::new(Arc::new(compile(&[])?)).subscribe();
                Ok(self.shipped.insert(plans).clone())
            }
            Some((name, dir)) => {
                let folder = Folder::open(name.to_owned(), dir.clone(), Box::new(compile))?;
                let plans = folder.plans();
                self.folders.insert(name.to_owned(), folder);
                Ok(plans)
            }
        }
    }

    /// The plans of a mapping, as they change; those of the shipped one without a name.
    fn plans(&self, name: Option<&str>) -> Option<watch::Receiver<Arc<Plans>>> {
        match name {
            None => self.shipped.clone(),
            Some(name) => self.folders.get(name).map(Folder::plans),
        }
    }

    fn take_over(&mut self, mut running: Self, changed: &Difference) {
        self.shipped = running.shipped.or(self.shipped.take());
        for (name, folder) in &mut self.folders {
            match running.folders.remove(name) {
                Some(before) if changed.changed.contains(name) => folder.replace(before),
                // It knows what it was told of.
                Some(before) => *folder = before,
                None => {}
            }
        }
    }
}
