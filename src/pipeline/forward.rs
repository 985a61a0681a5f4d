//! Store → mapping → CEF → syslog: one task a destination.
//!
//! Many batches are under way at once, and none is kept in memory: what a failed connection carried is
//! read from the store again and mapped under the plans that it was mapped under before, so that it
//! goes out byte for byte the same.
//!
//! **Invariant:** a lease is settled only when its entries are safe, as `book` has it, or lie among the
//! dead letters.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::sleep_until;
use tracing::{debug, error, info, warn};

use super::book::{Book, Key};
use super::condition::{Condition, Flow};
use super::convert::Converter;
use super::dead::DeadLetters;
use super::own::OwnEvent;
use super::standing::Standing;
use super::tally::{Counts, Tally};
use super::trust::{Known, Lists};
use super::voice::Voice;
use super::{Ends, Mode, RunError};
use crate::event::Entry;
use crate::mapping::{Plans, Trusted};
use crate::net::{Hold, Load, Moment, Rate, Spent, TlsClient, Why};
use crate::store::{self, Lease, Reader, ReaderName, SourceId, StoreError};
use crate::syslog::{Event, Frames, Framing, SendError, Sink};
use crate::telemetry::chain;

/// A destination, ready to be fed.
pub(super) struct Outlet {
    reader: Reader,
    /// The plans to follow, as they change.
    plans: watch::Receiver<Arc<Plans>>,
    /// What the organizations trust, as that changes.
    trusted: watch::Receiver<Known>,
    /// Where an organization's word is not known.
    nothing: Arc<Trusted>,
    converter: Converter,
    framing: Framing,
    sink: Sink,
    rate: Rate,
    /// How long what was read may sit in the receiver's memory.
    age: Duration,
    batch: NonZeroUsize,
    book: Book<Flight>,
    /// Framed, and not sent yet.
    ready: Option<Ready>,
    /// Emptied frames, for the next batches.
    spare: Vec<Frames>,
    /// The store held nothing more when it was last looked at.
    is_dry: bool,
    dead: DeadLetters,
    tally: Tally,
    voice: Voice,
    condition: Condition,
    /// Why the last delivery is not noted in the store.
    unnoted: Option<StoreError>,
    /// Why a dead letter is not kept.
    unburied: Option<String>,
    gave_up: bool,
}

/// A batch under way.
#[derive(Debug)]
struct Flight {
    lease: Lease,
    /// What it was mapped under; it is mapped under the same if it has to go out again.
    plans: Arc<Plans>,
    trusted: Arc<Lists>,
    events: u64,
    bytes: u64,
}

/// A part of a batch, framed.
struct Ready {
    key: Key,
    frames: Frames,
    load: Load,
    /// Its place in the rate.
    payment: Payment,
}

/// Whether what is ready may go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Payment {
    Due,
    /// Asked for, and to be asked for again then.
    Held(Instant, Why),
    Paid,
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
/// Batches in memory: one is framed, one is written, one is ready for it.
const BUFFERS: usize = 4;
/// Batches under way, of which only the places are kept.
const MOST_UNDER_WAY: u64 = 4096;
/// So many failures in a row end a run that is to end.
const PATIENCE: u32 = 5;
/// While it is looked for the one event that the receiver hangs up on: halving a batch takes nine.
const PATIENCE_TO_ISOLATE: u32 = 16;

impl Outlet {
    #[expect(clippy::too_many_arguments, reason = "its parts, each made elsewhere")]
    pub(super) fn new(
        reader: Reader,
        plans: watch::Receiver<Arc<Plans>>,
        trusted: watch::Receiver<Known>,
        converter: Converter,
        framing: Framing,
        sink: Sink,
        mut rate: Rate,
        age: Duration,
        dead: DeadLetters,
        voice: Voice,
    ) -> Self {
        if let Some(store::Spent { day, bytes }) = reader.spent() {
            rate.resume(Spent { day, bytes });
        }
        let batch = NonZeroUsize::new(rate.most_events().min(BATCH)).unwrap_or(NonZeroUsize::MIN);
        Self {
            condition: Condition::new(reader.name().clone()),
            reader,
            plans,
            trusted,
            nothing: Arc::default(),
            converter,
            framing,
            sink,
            rate,
            age,
            batch,
            book: Book::new(),
            ready: None,
            spare: (0..BUFFERS).map(|_| Frames::new(framing)).collect(),
            is_dry: false,
            dead,
            tally: Tally::new(voice.clone()),
            voice,
            unnoted: None,
            unburied: None,
            gave_up: false,
        }
    }

    pub(super) fn name(&self) -> &ReaderName {
        self.reader.name()
    }

    /// How it stands, as that changes.
    pub(super) fn standing(&self) -> watch::Receiver<Standing> {
        self.condition.standing()
    }

    /// How long its receiver may keep in memory what it has read.
    pub(super) fn age(&self) -> Duration {
        self.age
    }

    /// By whose certificate its receivers know us.
    pub(super) fn identity(&self) -> Option<TlsClient> {
        self.sink.identity()
    }

    /// Delivers until no poller is left, the store is empty and all of it is safe, or until it has to give
    /// up.
    pub(super) async fn run(mut self, mode: Mode, ends: &Ends) -> Result<Self, RunError> {
        self.deliver(mode, ends).await?;
        Ok(self)
    }

    /// It ended before the store was empty.
    pub(super) fn gave_up(&self) -> bool {
        self.gave_up
    }

    /// Delivers what was stored since [`Self::run`] came to its end, and says farewell.
    pub(super) async fn finish(mut self, mode: Mode, ends: &Ends) -> Result<Forwarded, RunError> {
        self.deliver(mode, ends).await?;
        if self.unnoted.is_some() {
            // There may be room again.
            self.settle_all(Vec::new()).await?;
        }
        let farewell = self.sink.close().await;
        debug!(destination = %self.name(), ?farewell, "the connections were closed");
        self.condition.ended(self.book.unconfirmed(), self.tally.counts);
        if let Some(error) = self.unnoted {
            return Err(RunError::Store(error));
        }
        Ok(Forwarded { counts: self.tally.counts, gave_up: self.gave_up })
    }

    async fn deliver(&mut self, mode: Mode, ends: &Ends) -> Result<(), RunError> {
        self.is_dry = false;
        let (mut is_drained, mut is_enough) = (false, self.gave_up || ends.enough.is_cancelled());
        loop {
            // What has failed by now takes back what would be old enough.
            while let Some(event) = self.sink.news() {
                self.note(event, mode)?;
            }
            let now = Instant::now();
            let safe = self.book.outlived(self.age, now);
            self.settle(safe).await?;
            self.bury().await?;
            if !is_enough {
                self.prepare().await?;
            }
            let held = self.pay(now);
            if mode == Mode::Once && self.is_held_for_the_day() {
                // The rest is for another run; what is under way is brought to its end.
                is_enough = true;
                self.ready = None;
            }
            self.dispatch();
            let is_sent = self.ready.is_none() && self.book.is_sent() && self.is_dry;
            let is_done = is_drained && is_sent && self.book.is_empty();
            if is_done || (is_enough && self.book.is_still()) {
                self.gave_up |= is_enough;
                return Ok(());
            }
            // Nothing more comes: what is out is confirmed at once, where that can be had.
            self.sink.hurry(is_enough || (is_drained && is_sent) || self.book.is_isolating());
            let wake = held.into_iter().fold(self.show(now), Instant::min);
            let wanted = self.ready.is_some() && !is_enough;
            let may_lease = self.is_dry && !is_enough;
            tokio::select! {
                biased;
                () = ends.give_up.cancelled() => {
                    self.gave_up = true;
                    return Ok(());
                }
                () = ends.enough.cancelled(), if !is_enough => {
                    is_enough = true;
                    // It is in the store, and not under way.
                    self.ready = None;
                }
                () = ends.drained.cancelled(), if !is_drained => {
                    is_drained = true;
                    self.is_dry = false;
                }
                event = self.sink.turn(wanted) => self.note(event, mode)?,
                grown = self.reader.grown(), if may_lease => {
                    grown.map_err(RunError::Store)?;
                    self.is_dry = false;
                }
                () = sleep_until(wake.into()) => {}
            }
        }
    }

    /// Frames the next part that is to go out, where there is one and a buffer for it.
    async fn prepare(&mut self) -> Result<(), RunError> {
        while self.ready.is_none() && !self.spare.is_empty() {
            if !self.book.has_next() && !self.lease().await? {
                return Ok(());
            }
            let Some(taken) = self.book.next() else { return Ok(()) };
            let (key, entries, again) = (taken.key, taken.entries, taken.again);
            if let Err(error) = self.reader.reload(&mut taken.batch.lease).await {
                self.let_go(error)?;
                continue;
            }
            let Some(mut frames) = self.spare.pop() else { return Ok(()) };
            let load = self.frame(key, entries, again, &mut frames);
            if again {
                self.tally.counts.repeated += count(load.events);
            }
            if let Some(flight) = self.book.batch(key) {
                flight.lease.release();
                if !again {
                    (flight.events, flight.bytes) = (count(load.events), count(load.bytes));
                }
            }
            if frames.is_empty() {
                self.spare.push(frames);
                let whole = self.book.nothing_to_send(key);
                self.settle(whole.into_iter().collect()).await?;
                continue;
            }
            self.ready = Some(Ready { key, frames, load, payment: Payment::Due });
        }
        Ok(())
    }

    /// Leases the next entries; whether there were any.
    async fn lease(&mut self) -> Result<bool, RunError> {
        if self.is_dry || self.book.is_isolating() || self.book.batches() >= MOST_UNDER_WAY {
            return Ok(false);
        }
        loop {
            match self.reader.try_next(self.batch).await {
                Ok(Some(lease)) => {
                    let (entries, plans) = (lease.len(), Arc::clone(&self.plans.borrow_and_update()));
                    let trusted = Arc::clone(&self.trusted.borrow().lists);
                    self.book.add(Flight { lease, plans, trusted, events: 0, bytes: 0 }, entries);
                    return Ok(true);
                }
                Ok(None) => {
                    self.is_dry = true;
                    return Ok(false);
                }
                // Told once; what lies behind the damage is handed out next.
                Err(error) => self.lost(error)?,
            }
        }
    }

    /// Says what damage has taken; another error of the store is the end.
    fn lost(&self, error: StoreError) -> Result<(), RunError> {
        let StoreError::Lost(lost) = error else { return Err(RunError::Store(error)) };
        error!(destination = %self.name(), help = lost.help(), "the store is damaged: {lost}");
        self.voice.say_lost(&lost);
        Ok(())
    }

    /// What was leased cannot be read again: all that is under way is let go, and is handed out anew in
    /// its order. Damage is told of there.
    fn let_go(&mut self, error: StoreError) -> Result<(), RunError> {
        if !matches!(error, StoreError::Lost(_) | StoreError::Recalled) {
            return Err(RunError::Store(error));
        }
        self.book.clear();
        self.is_dry = false;
        Ok(())
    }

    /// Frames some entries of a batch: all of it under the plans that it began under. What they cost.
    fn frame(&mut self, key: Key, entries: Range<usize>, again: bool, frames: &mut Frames) -> Load {
        frames.clear();
        let Some(flight) = self.book.batch(key) else { return Load::default() };
        let (now, mut late) = (Moment::now(), 0_usize);
        self.converter.adopt(Arc::clone(&flight.plans));
        let mut nth = 0_usize;
        for (source, run) in flight.lease.by_source() {
            self.converter.trust(flight.trusted.get(source).unwrap_or(&self.nothing));
            for entry in run {
                if entries.contains(&nth)
                    && convert(&mut self.converter, &mut self.tally, entry, source, again, frames)
                {
                    late = late.saturating_add(usize::from(now.is_late(entry.at().seconds())));
                }
                nth = nth.saturating_add(1);
            }
        }
        Load { events: frames.len(), bytes: frames.bytes().len(), late }
    }

    /// Pays for what is ready, where the limits allow; otherwise when to ask again.
    fn pay(&mut self, now: Instant) -> Option<Instant> {
        let ready = self.ready.as_mut()?;
        match ready.payment {
            Payment::Paid => return None,
            Payment::Held(until, _) if until > now => return Some(until),
            Payment::Held(..) | Payment::Due => {}
        }
        match self.rate.take(&ready.load, Moment::now()) {
            Ok(()) => {
                ready.payment = Payment::Paid;
                None
            }
            Err(Hold { wait, why }) => {
                if why == Why::Day && ready.payment == Payment::Due {
                    warn!(destination = %self.reader.name(), "{why}; everything is kept");
                }
                let until = now.checked_add(wait).unwrap_or(now);
                ready.payment = Payment::Held(until, why);
                Some(until)
            }
        }
    }

    fn is_held_for_the_day(&self) -> bool {
        self.ready.as_ref().is_some_and(|ready| matches!(ready.payment, Payment::Held(_, Why::Day)))
    }

    /// Gives what is ready to a connection that has room.
    fn dispatch(&mut self) {
        let Some(line) = self.sink.room() else { return };
        let Some(ready) = self.ready.take_if(|ready| ready.payment == Payment::Paid) else { return };
        let number = self.sink.send(line, ready.frames);
        self.book.sent(ready.key, line, number);
        self.condition.sent();
    }

    fn note(&mut self, event: Event, mode: Mode) -> Result<(), RunError> {
        let now = Instant::now();
        match event {
            Event::Written(frames) => self.spare.push(frames),
            Event::Read { line, lane, through } => {
                self.book.read(line, lane, through, now);
                self.condition.confirmed(!self.book.is_still());
            }
            Event::Ended { line, lane } => {
                if self.book.ended(line, lane, now) {
                    self.condition.confirmed(!self.book.is_still());
                }
            }
            Event::Failed { line, lane, at_once, unwritten, error } => {
                // What the line had not written is gone with it, and the buffers are.
                let framing = self.framing;
                self.spare.extend((0..unwritten).map(|_| Frames::new(framing)));
                let blames = error.failures().iter().any(|(_, failure)| failure.may_be_the_messages());
                if self.book.failed(line, lane, blames) > 0 || (at_once && self.ready.is_some()) {
                    self.failed(error, mode)?;
                } else {
                    debug!(destination = %self.name(), "an idle connection ended: {}", chain(&error));
                }
            }
            Event::Unreachable(error) => self.failed(error, mode)?,
            Event::Changed => self.condition.changed(),
            Event::Refreshed => {
                info!(destination = %self.name(), "the files of certificates have changed and are in use");
            }
            Event::Kept(error) => {
                let help = error.help().unwrap_or_default();
                error!(
                    destination = %self.name(), help,
                    "the files of certificates have changed and cannot be used; those before stay in use: {}",
                    chain(&error)
                );
            }
        }
        Ok(())
    }

    /// Notes what is safe. A full disk is no reason to end, for every start would deliver the same
    /// batches again: what cannot be noted now is noted with the next.
    async fn settle(&mut self, safe: Vec<Flight>) -> Result<(), RunError> {
        if safe.is_empty() { Ok(()) } else { self.settle_all(safe).await }
    }

    /// Notes these, and what could not be noted before.
    async fn settle_all(&mut self, safe: Vec<Flight>) -> Result<(), RunError> {
        for flight in &safe {
            self.tally.counts.delivered += flight.events;
            self.tally.counts.bytes += flight.bytes;
        }
        if let Some(Spent { day, bytes }) = self.rate.spent() {
            self.reader.note_spent(store::Spent { day, bytes });
        }
        match self.reader.settle_all(safe.into_iter().map(|flight| flight.lease)).await {
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

    /// Puts aside what the receiver does not take, so that the events behind it arrive.
    async fn bury(&mut self) -> Result<(), RunError> {
        while let Some((key, nth)) = self.book.dead() {
            let Some(flight) = self.book.batch(key) else { return Ok(()) };
            if let Err(error) = self.reader.reload(&mut flight.lease).await {
                return self.let_go(error);
            }
            let id = flight
                .lease
                .entries()
                .get(nth)
                .map_or_else(String::new, |entry| entry.id().as_str().to_owned());
            let mut frames = Frames::new(Framing::Newline);
            self.frame(key, nth..nth.saturating_add(1), true, &mut frames);
            let cause =
                self.condition.last_fault().map_or("it closes the connection", |fault| fault.what.as_str());
            let kept = self.dead.keep(&id, frames.bytes(), cause).await;
            if let Some(flight) = self.book.batch(key) {
                flight.lease.release();
                flight.events = flight.events.saturating_sub(u64::from(kept.is_ok()));
            }
            if let Err(fault) = kept {
                // It stays under way, and is tried again with the next look.
                let fault = fault.to_string();
                if self.unburied.as_ref() != Some(&fault) {
                    error!(destination = %self.name(), "a dead letter cannot be written: {fault}");
                    self.unburied = Some(fault);
                }
                return Ok(());
            }
            self.unburied = None;
            error!(
                destination = %self.reader.name(), id, file = %self.dead.path().display(),
                "the receiver takes other events and hangs up on this one each time: it is kept in the file of dead letters"
            );
            self.voice.say(OwnEvent::undeliverable(self.reader.name(), &id, self.dead.path(), cause));
            self.tally.counts.dead_letters += 1;
            let whole = self.book.buried(key);
            self.settle(whole.into_iter().collect()).await?;
        }
        Ok(())
    }

    /// The one place that decides what follows a failure: going on, or that it is over.
    fn failed(&mut self, error: SendError, mode: Mode) -> Result<(), RunError> {
        self.tally.counts.failures += 1;
        let failures = self.condition.failed(&error);
        let patience = if self.book.is_isolating() { PATIENCE_TO_ISOLATE } else { PATIENCE };
        if !error.again() || (mode == Mode::Once && failures >= patience) {
            return Err(RunError::Undelivered { destination: self.reader.name().clone(), source: error });
        }
        Ok(())
    }

    /// Shows how it stands; when to look again at the latest.
    fn show(&mut self, now: Instant) -> Instant {
        let held_by = self.ready.as_ref().and_then(|ready| match ready.payment {
            Payment::Held(_, why) => Some(why),
            Payment::Due | Payment::Paid => None,
        });
        let flow = Flow {
            sink: &self.sink,
            held_by,
            is_delivering: self.ready.is_some() || !self.book.is_empty(),
            unconfirmed: self.book.unconfirmed(),
            counts: self.tally.counts,
        };
        let next = self.condition.show(&flow, now);
        self.book.due(self.age).map_or(next, |due| due.min(next))
    }
}

/// Adds the entry's frame to the batch; whether it has one here. What goes out again was counted.
fn convert(
    converter: &mut Converter,
    tally: &mut Tally,
    entry: &Entry,
    source: &SourceId,
    again: bool,
    frames: &mut Frames,
) -> bool {
    let applied = converter.map(entry);
    let dropped = applied.dropped.is_some();
    if !again {
        tally.mapped(entry, &applied);
    }
    if dropped {
        return false;
    }
    if !converter.is_wanted(entry, source.as_str()) {
        tally.counts.unwanted += u64::from(!again);
        return false;
    }
    let cuts = frames.push(|out| converter.write(entry, out));
    if !again {
        tally.written(entry, &cuts);
    }
    true
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

impl std::fmt::Debug for Outlet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outlet").field("name", self.name()).finish_non_exhaustive()
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
    use crate::store::{Batch, Bookmark, Settings, Store};
    use crate::syslog::{Endpoint, Facility, Format, Header};

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
        let entries: Vec<_> = (0..ENTRIES)
            .map(|n| {
                let raw = format!(r#"{{"id":"{n}","action":"user_login"}}"#);
                Entry::from_raw(Log::Audit, raw.into(), UnixTime::from_seconds(0), 0).unwrap()
            })
            .collect();
        let stored = Batch::new(SourceId::new("acme"), entries, Bookmark::default());
        store.append(stored).await.unwrap();
        let reader = store.reader(ReaderName::new("siem"), None).await.unwrap();
        let editions = [edition("one"), edition("two")];
        let plans = watch::Sender::new(Arc::clone(&editions[0]));
        let format = Format::new(Header::None, Facility::LOCAL0, None, "CEF");
        let converter = Converter::new(Arc::clone(&editions[0]), Encoder::default(), format, 8000);
        let (rate, voice) = (Rate::new(&crate::net::Limits::default()), voice().0);
        let dead = DeadLetters::of(dir.path(), "siem");
        let mut outlet = Outlet::new(
            reader,
            plans.subscribe(),
            super::super::trust::Trust::default().known(),
            converter,
            Framing::Newline,
            Endpoint::Stdout.into(),
            rate,
            Duration::ZERO,
            dead,
            voice,
        );
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
        let (mut seen, mut frames) = ([0; 2], Frames::new(Framing::Newline));
        while seen.contains(&0) || seen.iter().sum::<u32>() < 50 {
            assert!(start.elapsed() < Duration::from_secs(60), "only {seen:?}");
            outlet.is_dry = false;
            assert!(outlet.lease().await.unwrap());
            let key = outlet.book.next().unwrap().key;
            outlet.frame(key, 0..ENTRIES, false, &mut frames);
            // All of it is leased anew.
            outlet.book.clear();
            let text = std::str::from_utf8(frames.bytes()).unwrap();
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
