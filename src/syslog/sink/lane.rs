//! One line after the other to one receiver: which takes batches, when the next takes its place.
//!
//! A lane has one live line at most, and those before it that are being ended. A line whose receipts
//! come at its end has to end often: the first lives a tenth of a second, each that follows twice as
//! long, up to half a minute or so many bytes; after a failure the series starts again.
//!
//! **Invariant:** no sockets: it decides, the sink acts.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::Assurance;
use crate::net::Backoff;
use crate::syslog::endpoint::{Link, MUTE};
use crate::syslog::frames::Frames;
use crate::syslog::line::{Kind, Line, LineId, Order, Tell, Told};

/// The lines to one receiver, or to the first of several that answers.
#[derive(Debug)]
pub(super) struct Lane {
    /// By their place in the sink's list, in the order in which they are tried.
    endpoints: Vec<usize>,
    /// Which of them is tried first.
    first: usize,
    lines: Vec<Open>,
    is_opening: bool,
    backoff: Backoff,
    not_before: Option<Instant>,
    /// How long the live line may wait for its receipts.
    generation: Duration,
    /// Endpoints whose TLS 1.3 gives no receipts within a connection.
    mute: BTreeSet<usize>,
    /// When an endpoint before the one in use is tried.
    return_at: Option<Instant>,
    /// Successors of the live line that could not be opened, in a row.
    unopened: u32,
    /// How many batches it has taken.
    taken: u64,
}

/// An open line.
#[derive(Debug)]
struct Open {
    id: LineId,
    endpoint: usize,
    line: Line,
    link: Link,
    life: Life,
    wear: Wear,
    opened: Instant,
    /// When it was given the first batch that is not known to be read.
    waiting_since: Option<Instant>,
    bytes: u64,
    /// Batches given and not written yet.
    queued: usize,
    /// When one was written last.
    written_at: Option<Instant>,
    last_sent: Option<u64>,
    last_read: Option<u64>,
    /// It was asked to have all confirmed.
    confirming: bool,
    is_stalled: bool,
    is_mute: bool,
}

/// Where a line is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    /// It takes batches.
    Live,
    /// It takes none any more, and its end is to be said then.
    Silent(Instant),
    /// Its end was asked for.
    Retired,
    /// And another line of the lane has failed since: its FIN may be that of a process that died.
    Doubted,
}

/// Why another should take a line's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Wear {
    None,
    /// It can confirm nothing more before its end.
    Spent,
    /// The files that it was opened with have changed.
    Outdated,
}

/// A way that was opened.
pub(super) struct Opened {
    pub(super) endpoint: usize,
    pub(super) kind: Kind,
    pub(super) link: Link,
}

/// The first generation, which shows whether anything is confirmed at all.
const FIRST_GENERATION: Duration = Duration::from_millis(100);
/// What is sent again after a crash is at most so old.
const LONGEST_GENERATION: Duration = Duration::from_secs(30);
/// And so much.
const LARGEST_GENERATION: u64 = 64 << 20;
/// Connections at once: a receiver that does not come to the end of the old ones gets no more.
const MOST_LINES: usize = 6;
/// Batches that a line may have before it: one is written, one is ready.
const DEPTH: usize = 2;
/// An idle connection is ended by receivers after minutes; one that does not want us ends it by then.
const AT_ONCE: Duration = Duration::from_secs(10);
/// A receiver that has not taken a batch for so long is behind.
const SLOW: Duration = Duration::from_secs(1);
/// Successors that may fail to open until the line is ended without one.
const MOST_UNOPENED: u32 = 3;
/// How often an endpoint before the one in use is tried.
const RETURN: Duration = Duration::from_secs(60);

impl Open {
    fn is_confirmed(&self) -> bool {
        self.last_sent == self.last_read
    }

    /// Its receipts come at its end alone.
    fn confirms_at_end(&self) -> bool {
        self.link.assurance == Assurance::ReadAtEnd
    }

    /// When another should take its place. A receiver that takes nothing is not given another
    /// connection, of which it would only fill the buffers.
    fn due(&self, generation: Duration, hurry: bool) -> Option<Instant> {
        let moves = self.written_at.is_some_and(|at| self.queued == 0 || at.elapsed() < SLOW);
        if self.is_confirmed() || self.is_stalled || !moves {
            return None;
        }
        let since = self.waiting_since?;
        if self.wear == Wear::Spent {
            return Some(since);
        }
        if !self.confirms_at_end() {
            return None;
        }
        if self.bytes >= LARGEST_GENERATION || (hurry && self.queued == 0) {
            return Some(since);
        }
        since.checked_add(generation)
    }
}

impl Lane {
    pub(super) fn new(endpoints: Vec<usize>, (shortest, longest): (Duration, Duration)) -> Self {
        Self {
            endpoints,
            first: 0,
            lines: Vec::new(),
            is_opening: false,
            backoff: Backoff::new(shortest, longest),
            not_before: None,
            generation: FIRST_GENERATION,
            mute: BTreeSet::new(),
            return_at: None,
            unopened: 0,
            taken: 0,
        }
    }

    pub(super) fn has(&self, line: LineId) -> bool {
        self.lines.iter().any(|open| open.id == line)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    fn live(&self) -> Option<&Open> {
        self.lines.iter().find(|open| open.life == Life::Live)
    }

    fn live_mut(&mut self) -> Option<&mut Open> {
        self.lines.iter_mut().find(|open| open.life == Life::Live)
    }

    /// Where an endpoint stands among those of the lane.
    fn place(&self, endpoint: usize) -> usize {
        self.endpoints.iter().position(|nth| *nth == endpoint).unwrap_or(0)
    }

    pub(super) fn is_mute(&self, endpoint: usize) -> bool {
        self.mute.contains(&endpoint)
    }

    pub(super) fn is_doubted(&self, line: LineId) -> bool {
        self.lines.iter().any(|open| open.id == line && open.life == Life::Doubted)
    }

    /// A line on which nothing has moved for so long.
    pub(super) fn stalled_line(&self, now: Instant, patience: Duration) -> Option<LineId> {
        let long = |open: &&Open| {
            let since = open.written_at.unwrap_or(open.opened);
            open.is_stalled && now.duration_since(since) >= patience
        };
        self.lines.iter().find(long).map(|open| open.id)
    }

    pub(super) fn not_opening(&mut self) {
        self.is_opening = false;
    }

    pub(super) fn is_stalled(&self) -> bool {
        self.lines.iter().any(|open| open.is_stalled)
    }

    pub(super) fn links(&self) -> impl Iterator<Item = (bool, &Link)> {
        self.lines.iter().map(|open| (open.life == Life::Live, &open.link))
    }

    /// The live line, if it has room: what waits there, how much the lane has taken, which it is.
    pub(super) fn room(&self) -> Option<(usize, u64, LineId)> {
        let open = self.live().filter(|open| open.queued < DEPTH)?;
        Some((open.queued, self.taken, open.id))
    }

    pub(super) fn send(&mut self, line: LineId, number: u64, frames: Frames) {
        self.taken = self.taken.saturating_add(1);
        let Some(open) = self.line(line) else { return };
        open.queued = open.queued.saturating_add(1);
        open.bytes = open.bytes.saturating_add(u64::try_from(frames.bytes().len()).unwrap_or(0));
        open.last_sent = Some(number);
        open.waiting_since.get_or_insert_with(Instant::now);
        open.confirming = false;
        open.line.order(Order::Send { number, frames });
    }

    /// Has lines that can confirm within themselves do so, when nothing more comes.
    pub(super) fn confirm(&mut self, hurry: bool) {
        for open in &mut self.lines {
            if hurry && !open.confirming && !open.is_confirmed() {
                open.confirming = true;
                open.line.order(Order::Confirm);
            }
        }
    }

    /// Which endpoints to try for a new line now, in which order.
    pub(super) fn begin_to_open(&mut self, wanted: bool, hurry: bool, now: Instant) -> Option<Vec<usize>> {
        if self.is_opening
            || self.lines.len() >= MOST_LINES
            || self.not_before.is_some_and(|not_before| now < not_before)
        {
            return None;
        }
        let around = |first: usize| {
            let (before, from) = self.endpoints.split_at_checked(first).unwrap_or((&[], &self.endpoints));
            from.iter().chain(before).copied().collect::<Vec<_>>()
        };
        // A successor goes where its predecessor is, as long as that is possible.
        let from = |live: &Open| around(self.place(live.endpoint));
        let tries = match self.live() {
            None if wanted => around(self.first),
            Some(live) if live.due(self.generation, hurry).is_some_and(|due| due <= now) => from(live),
            Some(live) if !hurry && self.return_at.is_some_and(|at| at <= now) => {
                self.endpoints.iter().copied().take_while(|nth| *nth != live.endpoint).collect()
            }
            Some(live) if live.wear == Wear::Outdated => from(live),
            None | Some(_) => return None,
        };
        self.is_opening = true;
        Some(tries)
    }

    /// When something is to be done here, as far as that is known.
    pub(super) fn due(&self, wanted: bool, hurry: bool, now: Instant) -> Option<Instant> {
        let live = self.live();
        let opens = match live {
            _ if self.is_opening || self.lines.len() >= MOST_LINES => None,
            None => wanted.then_some(now),
            Some(live) => {
                let returns = self.return_at.filter(|_| !hurry);
                let outdated = (live.wear == Wear::Outdated).then_some(now);
                [live.due(self.generation, hurry), returns, outdated].into_iter().flatten().min()
            }
        };
        let opens = opens.map(|at| self.not_before.map_or(at, |not_before| at.max(not_before)));
        let ends = self
            .lines
            .iter()
            .filter_map(|open| if let Life::Silent(until) = open.life { Some(until) } else { None });
        ends.chain(opens).min()
    }

    /// The traffic moves to a new line; the one before it is ended.
    pub(super) fn take_over(
        &mut self,
        opened: Opened,
        id: LineId,
        to: mpsc::UnboundedSender<(LineId, Told)>,
        now: Instant,
        age: Duration,
    ) {
        self.is_opening = false;
        self.unopened = 0;
        let is_first = self.endpoints.first() == Some(&opened.endpoint);
        let returns = self.return_at.or_else(|| now.checked_add(RETURN));
        self.return_at =
            if is_first { None } else { returns.filter(|at| *at > now).or_else(|| now.checked_add(RETURN)) };
        if let Some(live) = self.live_mut() {
            // A connection elsewhere is no witness that this receiver lives on: the old one stays
            // open, and silent, until what it took is old enough.
            let stays = if live.endpoint == opened.endpoint { Duration::ZERO } else { age };
            live.life = Life::Silent(now.checked_add(stays).unwrap_or(now));
        }
        if !self.lines.is_empty() {
            self.generation = self.generation.saturating_mul(2).min(LONGEST_GENERATION);
        }
        self.lines.push(Open {
            id,
            endpoint: opened.endpoint,
            line: Line::start(opened.kind, Tell { id, to }),
            link: opened.link,
            life: Life::Live,
            wear: Wear::None,
            opened: now,
            waiting_since: None,
            bytes: 0,
            queued: 0,
            written_at: None,
            last_sent: None,
            last_read: None,
            confirming: false,
            is_stalled: false,
            is_mute: false,
        });
        self.retire_due(now);
    }

    /// None could be opened; whether that matters, because there is no line in use.
    pub(super) fn not_opened(&mut self, now: Instant) -> bool {
        self.is_opening = false;
        self.first = 0;
        self.not_before = now.checked_add(self.backoff.after_failure());
        if self.live().is_none() {
            return true;
        }
        // The next look at an endpoint before it comes after as long again.
        self.return_at = self.return_at.and_then(|_| now.checked_add(RETURN));
        // A receiver that serves one connection at a time has no room for a successor.
        self.unopened = self.unopened.saturating_add(1);
        if self.unopened >= MOST_UNOPENED
            && let Some(live) = self.live_mut()
            && live.confirms_at_end()
            && !live.is_confirmed()
        {
            live.life = Life::Silent(now);
            self.unopened = 0;
        }
        false
    }

    pub(super) fn retire_due(&mut self, now: Instant) {
        for open in &mut self.lines {
            if matches!(open.life, Life::Silent(until) if until <= now) {
                open.life = Life::Retired;
                open.line.retire();
            }
        }
    }

    pub(super) fn retire_all(&mut self) {
        for open in &mut self.lines {
            open.life = Life::Retired;
            open.line.retire();
        }
    }

    pub(super) fn drop_all(&mut self) {
        self.lines.clear();
    }

    pub(super) fn written(&mut self, line: LineId) {
        if let Some(open) = self.line(line) {
            open.queued = open.queued.saturating_sub(1);
            open.written_at = Some(Instant::now());
        }
    }

    pub(super) fn read(&mut self, line: LineId, through: u64) {
        self.backoff.reset();
        self.first = 0;
        if let Some(open) = self.line(line) {
            open.last_read = Some(through);
            if std::mem::take(&mut open.is_mute) {
                // It was slow, and does answer.
                (open.link.assurance, open.link.because) = (Assurance::Read, None);
            }
            if open.is_confirmed() {
                open.waiting_since = None;
            }
        }
    }

    pub(super) fn stalled(&mut self, line: LineId, stalled: bool) {
        if let Some(open) = self.line(line) {
            open.is_stalled = stalled;
        }
    }

    pub(super) fn spent(&mut self, line: LineId) {
        if let Some(open) = self.line(line) {
            open.wear = open.wear.max(Wear::Spent);
        }
    }

    /// The files that lines with TLS were opened with have changed: others are to take their place.
    pub(super) fn outdate(&mut self) {
        self.mute.clear();
        for open in self.lines.iter_mut().filter(|open| open.link.tls.is_some()) {
            open.wear = Wear::Outdated;
        }
    }

    /// The line's receipts come at its end after all.
    pub(super) fn mute(&mut self, line: LineId) {
        if let Some(open) = self.line(line) {
            open.is_mute = true;
            open.link.assurance = Assurance::ReadAtEnd;
            open.link.because = Some(MUTE);
        }
    }

    /// A line has ended in order: all that it carried was read.
    pub(super) fn ended(&mut self, line: LineId) {
        let Some(open) = self.remove(line) else { return };
        if open.last_sent.is_some() {
            self.backoff.reset();
            self.first = 0;
        }
        // It has read to the end and never answered a question: it never will.
        if open.is_mute && open.last_read.is_none() {
            self.mute.insert(open.endpoint);
        }
    }

    /// A line has failed: where, whether at once, and how many batches it had not written.
    pub(super) fn failed(&mut self, line: LineId, now: Instant) -> (Option<usize>, bool, usize) {
        let Some(open) = self.remove(line) else { return (None, false, 0) };
        self.generation = FIRST_GENERATION;
        let proven = open.last_read.is_some();
        // The live line would fail as well, but one that is being ended only sees a FIN.
        for other in self.lines.iter_mut().filter(|other| other.life != Life::Live) {
            other.life = Life::Doubted;
            other.line.retire();
        }
        // What was proven and had nothing under way is an idle connection that the receiver closed.
        let young = now.duration_since(open.opened) < AT_ONCE;
        if !proven || !open.is_confirmed() || young {
            self.not_before = now.checked_add(self.backoff.after_failure());
        }
        // An endpoint that takes connections and no batch must not keep the others waiting.
        let next = self.place(open.endpoint).saturating_add(1);
        self.first = if proven { 0 } else { next.checked_rem(self.endpoints.len()).unwrap_or(0) };
        let at_once = !proven && young;
        (Some(open.endpoint), at_once, open.queued)
    }

    fn line(&mut self, line: LineId) -> Option<&mut Open> {
        self.lines.iter_mut().find(|open| open.id == line)
    }

    fn remove(&mut self, line: LineId) -> Option<Open> {
        let place = self.lines.iter().position(|open| open.id == line)?;
        Some(self.lines.remove(place))
    }
}
