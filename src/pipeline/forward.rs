//! Store → mapping → CEF → syslog: one task a destination.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tracing::{debug, error, info, warn};

use super::convert::Converter;
use super::standing::{LastFault, Standing, State};
use super::tally::{Counts, Tally};
use super::voice::Voice;
use super::{Ends, Mode, RunError};
use crate::event::Entry;
use crate::mapping::Plans;
use crate::net::{Backoff, Rate};
use crate::slack::Clock;
use crate::store::{Lease, Reader, ReaderName, SourceId, StoreError};
use crate::syslog::{Frames, Framing, SendError, Sink};
use crate::telemetry::chain;

/// A destination, ready to be fed.
#[derive(Debug)]
pub(super) struct Outlet {
    reader: Reader,
    /// The plans to follow, as they change.
    plans: watch::Receiver<Arc<Plans>>,
    converter: Converter,
    frames: Frames,
    sink: Sink,
    rate: Rate,
    batch: NonZeroUsize,
    tally: Tally,
    voice: Voice,
    backoff: Backoff,
    down: Option<Down>,
    /// Why the last delivery is not noted in the store.
    unnoted: Option<StoreError>,
    gave_up: bool,
    standing: watch::Sender<Standing>,
}

/// A destination that takes nothing.
#[derive(Debug)]
struct Down {
    since: Instant,
    failures: u32,
    said: String,
    said_at: Instant,
}

/// What a destination was given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Forwarded {
    /// The counts.
    pub counts: Counts,
    /// It ended before the store was empty.
    pub gave_up: bool,
}

/// Entries a batch: enough to fill the wire, little enough to send again.
const BATCH: usize = 500;
/// A failure that goes on is said again so often.
const SAY_EVERY: Duration = Duration::from_secs(300);
/// So many failures in a row end a run that is to end.
const PATIENCE: u32 = 5;

/// What to do when a batch did not go out.
enum Next {
    Settled,
    GaveUp,
}

impl Outlet {
    pub(super) fn new(
        reader: Reader,
        plans: watch::Receiver<Arc<Plans>>,
        converter: Converter,
        framing: Framing,
        sink: Sink,
        rate: Rate,
        voice: Voice,
    ) -> Self {
        let batch = NonZeroUsize::new(rate.most_events().min(BATCH)).unwrap_or(NonZeroUsize::MIN);
        Self {
            reader,
            plans,
            converter,
            frames: Frames::new(framing),
            sink,
            rate,
            batch,
            tally: Tally::new(voice.clone()),
            voice,
            backoff: Backoff::new(Duration::from_millis(200), Duration::from_secs(30)),
            down: None,
            unnoted: None,
            gave_up: false,
            standing: watch::Sender::default(),
        }
    }

    /// How it stands, as it changes.
    pub(super) fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// Notes what it does now; of a failure, what it was.
    fn stands(&self, state: State, fault: Option<LastFault>) {
        let counts = self.tally.counts;
        self.standing.send_modify(|standing| {
            if standing.state != state || standing.since.is_none() {
                standing.state = state;
                standing.since = Some(Clock::system().now());
            }
            standing.counts = counts;
            if fault.is_some() {
                standing.fault = fault;
            }
        });
    }

    pub(super) fn name(&self) -> &ReaderName {
        self.reader.name()
    }

    /// Delivers until no poller is left and the store is empty, or until it has to give up.
    pub(super) async fn run(mut self, mode: Mode, ends: &Ends) -> Result<Self, RunError> {
        while let Some(lease) = self.lease(ends).await? {
            match self.deliver(&lease, mode, ends).await? {
                Next::Settled => {
                    self.settle(lease).await?;
                }
                Next::GaveUp => {
                    self.gave_up = true;
                    break;
                }
            }
        }
        self.gave_up |= ends.enough.is_cancelled();
        Ok(self)
    }

    /// Delivers what was stored since [`Self::run`] came to its end, and says farewell.
    pub(super) async fn finish(mut self, mode: Mode, ends: &Ends) -> Result<Forwarded, RunError> {
        if !ends.enough.is_cancelled() {
            self = self.run(mode, ends).await?;
        }
        let farewell = self.sink.close().await;
        debug!(destination = %self.name(), ?farewell, "the connection was closed");
        if let Some(error) = self.unnoted {
            return Err(RunError::Store(error));
        }
        Ok(Forwarded { counts: self.tally.counts, gave_up: self.gave_up })
    }

    /// The next entries; `None` when there will be no more.
    async fn lease(&mut self, ends: &Ends) -> Result<Option<Lease>, RunError> {
        loop {
            let leased = tokio::select! {
                biased;
                () = ends.enough.cancelled() => return Ok(None),
                leased = self.reader.next(self.batch) => leased.map(Some),
                failure = self.sink.closed() => {
                    debug!(destination = %self.reader.name(), "{}", chain(&failure));
                    continue;
                }
                () = ends.drained.cancelled() => self.reader.try_next(self.batch).await,
            };
            match leased {
                Ok(lease) => return Ok(lease),
                // Told once; what lies behind the damage is handed out next.
                Err(StoreError::Lost(lost)) => {
                    error!(destination = %self.name(), help = lost.help(), "the store is damaged: {lost}");
                    self.voice.say_lost(&lost);
                }
                Err(error) => return Err(RunError::Store(error)),
            }
        }
    }

    /// Notes what was delivered. A full disk is no reason to end, for every start would deliver the
    /// same batch again: what cannot be noted now is noted with the next batch.
    async fn settle(&mut self, lease: Lease) -> Result<(), RunError> {
        let delivered = lease.entries().len();
        match self.reader.settle(lease, delivered).await {
            Ok(()) => self.unnoted = None,
            Err(error @ StoreError::DiskFull { .. }) => {
                if self.unnoted.is_none() {
                    error!(
                        destination = %self.name(), help = error.help(),
                        "what is delivered cannot be noted, and would be delivered again after a restart: {}",
                        chain(&error)
                    );
                }
                self.unnoted = Some(error);
            }
            Err(error) => return Err(RunError::Store(error)),
        }
        Ok(())
    }

    /// Sends one lease until it is taken.
    async fn deliver(&mut self, lease: &Lease, mode: Mode, ends: &Ends) -> Result<Next, RunError> {
        self.frame(lease.by_source());
        loop {
            let allowed = self.rate.ready(self.frames.len(), self.frames.bytes().len());
            if ends.enough.run_until_cancelled(allowed).await.is_none() {
                return Ok(Next::GaveUp);
            }
            match ends.give_up.run_until_cancelled(self.sink.send(&self.frames)).await {
                None => return Ok(Next::GaveUp),
                Some(Ok(_assurance)) => break,
                Some(Err(error)) => {
                    let wait = self.failed(error, mode)?;
                    if ends.enough.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
                        return Ok(Next::GaveUp);
                    }
                }
            }
        }
        self.recovered();
        self.tally.counts.delivered += self.frames.len() as u64;
        self.tally.counts.bytes += self.frames.bytes().len() as u64;
        self.stands(State::Delivering, None);
        Ok(Next::Settled)
    }

    /// Frames a batch: all of it under the plans that are in force at its beginning.
    fn frame<'l>(&mut self, batch: impl Iterator<Item = (&'l SourceId, &'l [Entry])>) {
        self.converter.adopt(Arc::clone(&self.plans.borrow_and_update()));
        self.frames.clear();
        for (source, entries) in batch {
            for entry in entries {
                self.convert(entry, source.as_str());
            }
        }
    }

    /// Adds the entry's frame to the batch, where it has one here.
    fn convert(&mut self, entry: &Entry, source: &str) {
        let applied = self.converter.map(entry);
        let dropped = applied.dropped.is_some();
        self.tally.mapped(entry, &applied);
        if dropped {
            return;
        }
        if !self.converter.is_wanted(entry, source) {
            self.tally.counts.unwanted += 1;
            return;
        }
        let cuts = self.frames.push(|out| self.converter.write(entry, out));
        self.tally.written(entry, &cuts);
    }

    /// The one place that decides what follows a failure: how long to wait, or that it is over.
    fn failed(&mut self, error: SendError, mode: Mode) -> Result<Duration, RunError> {
        let now = Instant::now();
        let text = chain(&error);
        let down = self.down.get_or_insert_with(|| Down {
            since: now,
            failures: 0,
            said: String::new(),
            said_at: now,
        });
        down.failures += 1;
        self.tally.counts.resent += 1;
        if down.said != text || down.said_at.elapsed() >= SAY_EVERY {
            let help = error.help().unwrap_or_default();
            warn!(
                destination = %self.reader.name(), failures = down.failures, help,
                "the destination takes nothing, everything is kept: {text}"
            );
            down.said = text;
            down.said_at = now;
        }
        let fault = LastFault {
            at: Clock::system().now(),
            failures: down.failures,
            what: chain(&error),
            help: error.help(),
        };
        let enough = mode == Mode::Once && down.failures >= PATIENCE;
        self.stands(if error.again() { State::Down } else { State::Ended }, Some(fault));
        if !error.again() || enough {
            return Err(RunError::Undelivered { destination: self.reader.name().clone(), source: error });
        }
        Ok(self.backoff.after_failure())
    }

    fn recovered(&mut self) {
        self.backoff.reset();
        if let Some(down) = self.down.take() {
            info!(
                destination = %self.name(), down_for_s = down.since.elapsed().as_secs(), failures = down.failures,
                "the destination takes events again"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::super::voice::voice;
    use super::*;
    use crate::cef::Encoder;
    use crate::event::{Log, UnixTime};
    use crate::mapping::{Layer, MappingFile, builtin, compile};
    use crate::store::{Settings, Store};
    use crate::syslog::{Facility, Format, Header};

    /// The shipped mapping and a key that says which edition it is.
    fn edition(name: &str) -> Arc<Plans> {
        let text = format!("version = 1\nlog = \"audit\"\n[fields]\nAcmeEdition = \"{name}\"\n");
        let file = MappingFile::new("acme.toml", Layer::Customer, text);
        Arc::new(compile(&[builtin(), vec![file]].concat()).unwrap())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_batch_is_mapped_under_one_plan() {
        const ENTRIES: usize = 300;
        let dir = tempfile::tempdir().unwrap();
        let settings =
            Settings { dir: dir.path().to_owned(), retention: Duration::from_secs(1), max_size: 64 << 20 };
        let (store, _) = Store::open(&settings).unwrap();
        let reader = store.reader(ReaderName::new("siem"), None).await.unwrap();
        let editions = [edition("one"), edition("two")];
        let plans = watch::Sender::new(Arc::clone(&editions[0]));
        let format = Format::new(Header::None, Facility::LOCAL0, None, "CEF");
        let converter = Converter::new(Arc::clone(&editions[0]), Encoder::default(), format, 8000);
        let (rate, voice) = (Rate::new(&crate::net::Limits::default()), voice().0);
        let mut outlet =
            Outlet::new(reader, plans.subscribe(), converter, Framing::Newline, Sink::stdout(), rate, voice);
        let entries: Vec<_> = (0..ENTRIES)
            .map(|n| {
                let raw = format!(r#"{{"id":"{n}","action":"user_login"}}"#);
                Entry::from_raw(Log::Audit, raw.into(), UnixTime::from_seconds(0), 0).unwrap()
            })
            .collect();
        // Plans change all the time, and so within batches too.
        let done = Arc::new(AtomicBool::new(false));
        let swapping = std::thread::spawn({
            let done = Arc::clone(&done);
            move || {
                while !done.load(Ordering::Relaxed) {
                    for edition in &editions {
                        plans.send_replace(Arc::clone(edition));
                        std::thread::yield_now();
                    }
                }
            }
        });
        let start = Instant::now();
        let mut seen = [0; 2];
        while seen.contains(&0) || seen.iter().sum::<u32>() < 50 {
            assert!(start.elapsed() < Duration::from_secs(60), "only {seen:?}");
            outlet.frame([(&SourceId::new("acme"), entries.as_slice())].into_iter());
            let text = std::str::from_utf8(outlet.frames.bytes()).unwrap();
            let of = |name| text.matches(&format!(" AcmeEdition={name}")).count();
            match (of("one"), of("two")) {
                (ENTRIES, 0) => seen[0] += 1,
                (0, ENTRIES) => seen[1] += 1,
                mixed => panic!("a batch under two plans: {mixed:?}"),
            }
        }
        done.store(true, Ordering::Relaxed);
        swapping.join().unwrap();
    }
}
