//! A line over a stream: TCP, TLS, a Unix socket.
//!
//! What proves that the receiver has read something is its FIN behind ours, and with TLS 1.3 its
//! answers before that (`asking`).
//!
//! **Invariant:** a shut window is not death: a receiver that does not read is waited for as long as
//! its kernel answers. What ends a line is FIN, reset, alert, or silence.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::sleep_until;

use super::asking::Asking;
use super::pulse::Pulse;
use super::wire::{End, Turn, Wire};
use super::{Order, Tell, Told};
use crate::syslog::endpoint::Speech;
use crate::syslog::failure::Failure;
use crate::syslog::frames::Frames;
use crate::syslog::sink::Timeouts;

/// What shows that an order has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::syslog) enum Proof {
    /// That it left this program: receipts are not wanted.
    Flush,
    /// The receiver's FIN behind ours.
    End,
    /// That, and before it the answers of the receiver's TLS.
    Answers,
}

/// A stream and what is known of its receipts.
pub(in crate::syslog) struct Stream {
    wire: Wire,
    speech: Speech,
    proof: Proof,
    timeouts: Timeouts,
    asking: Asking,
    /// The order that is being written, with its emptied frames.
    writing: Option<(u64, Frames)>,
    opened: Instant,
    last_written: Option<Instant>,
    /// Something was confirmed on it.
    proven: bool,
    hurry: bool,
    said: Said,
    /// Since when its end is waited for.
    retired: Option<Instant>,
    pulse: Pulse,
}

/// What was told and still holds.
#[derive(Debug, Default)]
struct Said {
    stalled: bool,
    mute: bool,
    spent: bool,
}

impl Stream {
    pub(in crate::syslog) fn new(wire: Wire, speech: Speech, proof: Proof, timeouts: Timeouts) -> Self {
        Self {
            wire,
            speech,
            proof,
            timeouts,
            asking: Asking::new(Instant::now()),
            writing: None,
            opened: Instant::now(),
            last_written: None,
            proven: false,
            hurry: false,
            said: Said::default(),
            retired: None,
            pulse: Pulse::default(),
        }
    }

    pub(super) async fn run(
        mut self,
        mut inbox: mpsc::UnboundedReceiver<Order>,
        tell: &Tell,
    ) -> Result<(), Failure> {
        loop {
            // Before the select: under load there is always another order.
            self.ask_if_due(tell);
            if self.retired.is_some() && self.wire.is_free() && self.quiet_at() <= Instant::now() {
                self.wire.finish();
            }
            let due = self.due();
            tokio::select! {
                biased;
                turn = self.wire.turn() => match turn {
                    Turn::Written(buffer) => self.wrote(buffer, tell),
                    Turn::Heard => self.heard(tell),
                    Turn::Ended(end) => return self.ended(end).await,
                },
                order = inbox.recv(), if self.wire.is_free() && self.retired.is_none() => match order {
                    Some(Order::Send { number, mut frames }) => {
                        self.hurry = false;
                        self.wire.begin(frames.take_bytes());
                        self.writing = Some((number, frames));
                    }
                    Some(Order::Confirm) => self.hurry = true,
                    None => self.retired = Some(Instant::now()),
                },
                () = sleep_until(due.into()) => self.look_for_life(tell)?,
            }
        }
    }

    fn wrote(&mut self, buffer: Vec<u8>, tell: &Tell) {
        self.flows(tell);
        let Some((number, mut frames)) = self.writing.take() else { return };
        self.asking.wrote(number, buffer.len());
        self.last_written = Some(Instant::now());
        frames.give_back(buffer);
        tell.tell(Told::Written(frames));
        if self.proof == Proof::Flush {
            self.proven = true;
            tell.tell(Told::Read(number));
        }
    }

    fn heard(&mut self, tell: &Tell) {
        if self.proof == Proof::Answers
            && let Some(read) = self.asking.answered(self.wire.answers())
        {
            self.proven = true;
            tell.tell(Told::Read(read));
        }
        self.tell_spent(tell);
    }

    fn tell_spent(&mut self, tell: &Tell) {
        if self.asking.is_spent() && !self.said.spent {
            self.said.spent = true;
            tell.tell(Told::Spent);
        }
    }

    /// When its end may be said: a receiver that hangs up on what it was sent last must have had the
    /// time to do so, or its FIN would be taken for the answer to ours.
    fn quiet_at(&self) -> Instant {
        let last = self.last_written.unwrap_or(self.opened);
        last.checked_add(QUIET).unwrap_or(last)
    }

    /// When to look after it at the latest.
    fn due(&self) -> Instant {
        let look = Instant::now().checked_add(LOOK).unwrap_or_else(Instant::now);
        if self.retired.is_some() && self.wire.is_free() {
            return self.quiet_at();
        }
        if self.proof != Proof::Answers || !self.wire.is_free() {
            return look;
        }
        self.asking.due(self.hurry).map_or(look, |ask| ask.min(look))
    }

    fn ask_if_due(&mut self, tell: &Tell) {
        if self.proof != Proof::Answers || !self.wire.is_free() {
            return;
        }
        let now = Instant::now();
        if self.asking.due(self.hurry).is_some_and(|due| due <= now) {
            if self.wire.ask().is_err() {
                self.proof = Proof::End;
                tell.tell(Told::Mute);
                return;
            }
            self.asking.asked(now);
            self.tell_spent(tell);
        }
        let is_mute = self.asking.is_mute(now);
        if is_mute && !self.said.mute {
            tell.tell(Told::Mute);
        }
        self.said.mute = is_mute;
    }

    /// Where nothing has moved lately: is there still anybody, and does its end come?
    fn look_for_life(&mut self, tell: &Tell) -> Result<(), Failure> {
        let now = Instant::now();
        let moved = self.wire.stuck_since().or(self.last_written);
        if moved.is_some_and(|at| now.duration_since(at) < MOVING) {
            return Ok(());
        }
        // Also of a line that carried nothing.
        if let Some(since) = self.retired
            && now.duration_since(since) >= self.timeouts.close
        {
            return Err(Failure::Unread { patience: self.timeouts.close });
        }
        let is_confirmed = self.wire.is_free() && (self.proof == Proof::Flush || self.asking.is_confirmed());
        if is_confirmed || moved.is_none() {
            return Ok(());
        }
        self.pulse.feel(&self.wire, self.timeouts.dead, now)?;
        let stuck = self.wire.stuck_since().filter(|since| now.duration_since(*since) >= self.timeouts.stall);
        if stuck.is_some() && !self.said.stalled {
            self.said.stalled = true;
            tell.tell(Told::Stalled(true));
        }
        Ok(())
    }

    fn flows(&mut self, tell: &Tell) {
        if std::mem::take(&mut self.said.stalled) {
            tell.tell(Told::Stalled(false));
        }
    }

    async fn ended(self, end: End) -> Result<(), Failure> {
        match end {
            End::InOrder => {
                // A process that ends while our last bytes are on their way says FIN too; its kernel
                // then answers those bytes with a reset.
                tokio::time::sleep(AFTERMATH).await;
                match self.wire.error() {
                    None => Ok(()),
                    Some(fault) => {
                        Err(self.speech.failure(self.wire.heard(), End::Fault(fault), !self.proven))
                    }
                }
            }
            end => Err(self.speech.failure(self.wire.heard(), end, !self.proven)),
        }
    }
}

/// How often a line looks after itself.
const LOOK: Duration = Duration::from_secs(1);
/// Between the last byte and the end of a connection.
const QUIET: Duration = Duration::from_secs(1);
/// What has moved so lately is not looked at.
const MOVING: Duration = Duration::from_secs(5);
/// A reset that follows a FIN comes within the time of a round trip.
const AFTERMATH: Duration = Duration::from_millis(300);

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::*;
    use crate::syslog::endpoint::{Endpoint, Wanted};
    use crate::syslog::line::{Line, LineId};

    /// Its end is said a second after it was opened, and looked after a second later.
    #[tokio::test]
    async fn a_line_that_carried_nothing_ends_though_its_peer_never_closes() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let endpoint = Endpoint::tcp(listener.local_addr().unwrap());
        let timeouts = Timeouts { close: Duration::from_millis(1500), ..Timeouts::default() };
        let (kind, _) = endpoint.open(Wanted { timeouts, receipts: true, mute: false }).await.unwrap();
        let (_peer, _) = listener.accept().await.unwrap();
        #[expect(clippy::disallowed_methods, reason = "a line that carries nothing tells its end alone")]
        let (to, mut told) = mpsc::unbounded_channel();
        let mut line = Line::start(kind, Tell { id: LineId::test(1), to });
        line.retire();
        let (_, told) = timeout(Duration::from_secs(30), told.recv()).await.expect("it ends").unwrap();
        assert!(matches!(told, Told::Ended(Err(Failure::Unread { .. }))), "{told:?}");
    }
}
