//! A line that speaks RELP: the receiver acknowledges each message by itself.
//!
//! A batch is read when each of its messages is acknowledged. Messages get their frames here, in an
//! output of one write's size: their numbers are the session's.
//!
//! **Invariant:** what is not acknowledged is never told as read, however the connection ends; once
//! all is acknowledged, the way it ends does not matter.
//! **Invariant:** a receiver that takes its time to acknowledge is waited for, as one with a shut
//! window is.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::{sleep_until, timeout};

use super::pulse::Pulse;
use super::wire::{End, Turn, Wire};
use super::{Order, Tell, Told};
use crate::syslog::endpoint::Speech;
use crate::syslog::failure::Failure;
use crate::syslog::frames::Frames;
use crate::syslog::relp::{Heard, Session, WINDOW};
use crate::syslog::sink::Timeouts;

/// A session that is open, and what is under way in it.
pub(in crate::syslog) struct Relp {
    wire: Wire,
    speech: Speech,
    session: Session,
    timeouts: Timeouts,
    /// The oldest first; those behind the first that is not sent whole wait for room.
    batches: VecDeque<Batch>,
    /// Used again for each write.
    out: Vec<u8>,
    words: Vec<u8>,
    /// When the receiver last acknowledged something, or had nothing to acknowledge.
    moved: Instant,
    /// Something was acknowledged.
    proven: bool,
    stalled: bool,
    /// `close` is answered: all is said.
    closed: bool,
    /// Since when its end is waited for.
    retired: Option<Instant>,
    pulse: Pulse,
}

/// One order.
struct Batch {
    number: u64,
    messages: usize,
    /// Until all of them are written.
    frames: Option<Frames>,
    sent: usize,
    acknowledged: usize,
}

impl Relp {
    /// Opens the session on a fresh connection.
    ///
    /// # Errors
    /// Whatever stands there does not speak RELP, does not want us, or does not answer in time.
    pub(in crate::syslog) async fn open(
        mut wire: Wire,
        speech: Speech,
        timeouts: Timeouts,
    ) -> Result<Self, Failure> {
        wire.listen();
        let (mut session, mut out) = (Session::new(WINDOW), Vec::new());
        session.open(&mut out);
        wire.begin(out);
        let opening = async {
            let mut words = Vec::new();
            loop {
                let turn = wire.turn().await;
                wire.take_words(&mut words);
                let mut words = words.as_slice();
                loop {
                    match session.hear(&mut words) {
                        Ok(None) => break,
                        Ok(Some(Heard::Open(_))) => return Ok(()),
                        Ok(Some(_)) => {}
                        // An alert, most likely, in answer to plaintext.
                        Err(_) if speech.is_tls_unasked(wire.heard()) => return Err(Failure::WantsTls),
                        Err(error) => return Err(error.into()),
                    }
                }
                if let Turn::Ended(end) = turn {
                    return Err(speech.failure(wire.heard(), end, true));
                }
            }
        };
        let opened = timeout(timeouts.handshake, opening).await;
        opened.unwrap_or(Err(Failure::NoAnswer { patience: timeouts.handshake }))?;
        Ok(Self {
            wire,
            speech,
            session,
            timeouts,
            batches: VecDeque::new(),
            out: Vec::new(),
            words: Vec::new(),
            moved: Instant::now(),
            proven: false,
            stalled: false,
            closed: false,
            retired: None,
            pulse: Pulse::default(),
        })
    }

    /// Closes a session in which nothing was sent; whether the receiver answered within `grace`.
    pub(in crate::syslog) async fn farewell(mut self, grace: Duration) -> bool {
        self.retired = Some(Instant::now());
        let closing = async {
            while !self.closed {
                self.fill();
                let turn = self.wire.turn().await;
                if self.hear(|_| {}).is_err() || matches!(turn, Turn::Ended(_)) {
                    break;
                }
            }
        };
        timeout(grace, closing).await.is_ok() && self.closed
    }

    pub(super) async fn run(
        mut self,
        mut inbox: mpsc::UnboundedReceiver<Order>,
        tell: &Tell,
    ) -> Result<(), Failure> {
        loop {
            self.fill();
            let look = Instant::now().checked_add(LOOK).unwrap_or(self.moved);
            tokio::select! {
                biased;
                turn = self.wire.turn() => {
                    if let Turn::Written(buffer) = turn {
                        self.wrote(buffer, tell);
                        continue;
                    }
                    self.hear(|told| tell.tell(told))?;
                    if let Turn::Ended(end) = turn {
                        return self.ended(end);
                    }
                }
                order = inbox.recv(), if self.retired.is_none() => match order {
                    Some(Order::Send { number, frames }) => self.take(number, frames),
                    // It is being confirmed all the time.
                    Some(Order::Confirm) => {}
                    None => self.retired = Some(Instant::now()),
                },
                // All is said, and the connection does not end: it may as well be dropped.
                () = sleep_until(look.into()), if self.closed => return Ok(()),
                () = sleep_until(look.into()) => self.look_for_life(tell)?,
            }
        }
    }

    fn take(&mut self, number: u64, frames: Frames) {
        if self.batches.is_empty() {
            self.moved = Instant::now();
        }
        let messages = frames.len();
        self.batches.push_back(Batch { number, messages, frames: Some(frames), sent: 0, acknowledged: 0 });
    }

    /// Begins to write what there is room for: messages, the session's end, the connection's.
    fn fill(&mut self) {
        if !self.wire.is_free() {
            return;
        }
        if self.closed {
            self.wire.finish();
            return;
        }
        let mut out = std::mem::take(&mut self.out);
        for batch in self.batches.iter_mut().filter(|batch| batch.sent < batch.messages) {
            while out.len() < PIECE
                && let Some(message) = batch.frames.as_ref().and_then(|frames| frames.frame(batch.sent))
                && self.session.syslog(message, &mut out)
            {
                batch.sent = batch.sent.saturating_add(1);
            }
            if batch.sent < batch.messages {
                break;
            }
        }
        if self.retired.is_some() && self.batches.is_empty() {
            self.session.close(&mut out);
        }
        if out.is_empty() {
            self.out = out;
        } else {
            self.wire.begin(out);
        }
    }

    fn wrote(&mut self, mut buffer: Vec<u8>, tell: &Tell) {
        buffer.clear();
        self.out = buffer;
        for batch in self.batches.iter_mut().take_while(|batch| batch.sent == batch.messages) {
            if let Some(frames) = batch.frames.take() {
                tell.tell(Told::Written(frames));
            }
        }
        self.settle(|told| tell.tell(told));
    }

    /// Understands what the receiver said. What it acknowledged before an error counts.
    fn hear(&mut self, mut tell: impl FnMut(Told)) -> Result<(), Failure> {
        let mut words = std::mem::take(&mut self.words);
        self.wire.take_words(&mut words);
        let heard = self.understand(&words);
        self.words = words;
        if self.stalled && self.moved.elapsed() < self.timeouts.stall {
            self.stalled = false;
            tell(Told::Stalled(false));
        }
        self.settle(tell);
        heard
    }

    fn understand(&mut self, mut words: &[u8]) -> Result<(), Failure> {
        while let Some(heard) = self.session.hear(&mut words)? {
            match heard {
                Heard::Acknowledged => self.acknowledged(),
                Heard::Refused(refusal) => return Err(Failure::Refused(refusal)),
                Heard::Closed => self.closed = true,
                Heard::ServerClose if self.is_done() => {}
                Heard::ServerClose => return Err(Failure::Closed { fresh: !self.proven }),
                Heard::Open(_) => {}
            }
        }
        Ok(())
    }

    fn acknowledged(&mut self) {
        self.proven = true;
        self.moved = Instant::now();
        if let Some(batch) = self.batches.iter_mut().find(|batch| batch.acknowledged < batch.sent) {
            batch.acknowledged = batch.acknowledged.saturating_add(1);
        }
    }

    /// Tells the last batch up to which all is written and acknowledged.
    fn settle(&mut self, mut tell: impl FnMut(Told)) {
        let mut read = None;
        while let Some(batch) = self.batches.front()
            && batch.frames.is_none()
            && batch.acknowledged == batch.messages
        {
            read = Some(batch.number);
            self.batches.pop_front();
        }
        if let Some(number) = read {
            tell(Told::Read(number));
        }
    }

    /// Nothing is under way, and nothing more comes.
    fn is_done(&self) -> bool {
        self.retired.is_some() && self.batches.is_empty()
    }

    fn look_for_life(&mut self, tell: &Tell) -> Result<(), Failure> {
        if self.batches.is_empty() && self.retired.is_none() {
            return Ok(());
        }
        let now = Instant::now();
        self.pulse.feel(&self.wire, self.timeouts.dead, now)?;
        let waits = now.duration_since(self.moved.max(self.retired.unwrap_or(self.moved)));
        if waits >= self.timeouts.close {
            return Err(Failure::Unread { patience: self.timeouts.close });
        }
        if now.duration_since(self.moved) >= self.timeouts.stall && !self.stalled && !self.batches.is_empty()
        {
            self.stalled = true;
            tell.tell(Told::Stalled(true));
        }
        Ok(())
    }

    fn ended(self, end: End) -> Result<(), Failure> {
        if self.is_done() {
            return Ok(());
        }
        Err(self.speech.failure(self.wire.heard(), end, !self.proven))
    }
}

/// One write: four TLS records.
const PIECE: usize = 64 * 1024;
/// How often a line looks after itself.
const LOOK: Duration = Duration::from_secs(1);
