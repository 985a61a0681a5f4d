//! The client's side of one RELP connection.

use super::answer::{self, Offers, Refusal};
use super::frame::{self, BadFrame, Incoming};

/// How many messages may be unanswered: at 100 ms there and back, 10,000 messages a second. The
/// price is as many repeats after a break. (librelp's own client has 128.)
pub const WINDOW: usize = 1000;

/// One session, from `open` to `close`.
#[derive(Debug)]
pub struct Session {
    state: State,
    window: usize,
    /// The number of the next frame to send.
    next: u32,
    /// The number of the next frame to be answered.
    awaited: u32,
    /// Messages sent and not answered.
    unanswered: usize,
    incoming: Incoming,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// `open` has not been sent.
    New,
    /// `open` has no answer yet.
    Opening,
    Open,
    /// `close` has no answer yet.
    Closing,
    Closed,
    Failed(RelpError),
}

/// What a server says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// The session is open: messages may be sent.
    Open(Offers),
    /// The oldest unanswered message is acknowledged.
    Acknowledged,
    /// The oldest unanswered message is refused, for good; those behind it have their own answers.
    Refused(Refusal),
    /// The server is about to close the connection. What is unanswered then stays so.
    ServerClose,
    /// `close` is answered: all is said.
    Closed,
}

/// The session is over: the connection is to be dropped, and what is unanswered sent again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RelpError {
    /// It does not speak RELP, or the stream is damaged.
    #[error("the receiver does not speak RELP")]
    BadFrame(#[from] BadFrame),
    /// A server only answers; this is neither an answer nor a hint.
    #[error("the receiver sent the command `{command}` in place of an answer")]
    Command {
        /// Letters and digits, 32 at most.
        command: String,
    },
    /// An answer out of its turn, or to nothing.
    #[error("the receiver answered frame {number} in place of {}", awaited.map_or("none".to_owned(), |awaited| awaited.to_string()))]
    OutOfTurn {
        /// The number of the answer.
        number: u32,
        /// The number whose turn it is; none: everything was answered.
        awaited: Option<u32>,
    },
    /// An answer without a code.
    #[error("the receiver's answer to frame {number} begins with no code")]
    NoCode {
        /// The number of the answer.
        number: u32,
    },
    /// The server does not want the session.
    #[error("the receiver refused the session: {0}")]
    Refused(Refusal),
    /// The server has no command `syslog`.
    #[error("the receiver speaks RELP and does not offer to take syslog")]
    NoSyslog,
}

impl Session {
    /// A session in which `window` messages may be unanswered, at least one.
    pub fn new(window: usize) -> Self {
        Self {
            state: State::New,
            window: window.max(1),
            next: 1,
            awaited: 1,
            unanswered: 0,
            incoming: Incoming::default(),
        }
    }

    /// Asks for the session: the first frame, once.
    pub fn open(&mut self, out: &mut Vec<u8>) {
        if self.state == State::New {
            self.send("open", OFFERS.as_bytes(), out);
            self.state = State::Opening;
        }
    }

    /// How many messages may be sent now: 0 while the session is not open.
    pub fn room(&self) -> usize {
        if self.state == State::Open { self.window.saturating_sub(self.unanswered) } else { 0 }
    }

    /// How many messages wait for their answers.
    pub const fn unanswered(&self) -> usize {
        self.unanswered
    }

    /// Writes the frame of one message, which has no line feed at its end. False: there is no
    /// [`Session::room`], and nothing was written.
    #[must_use]
    pub fn syslog(&mut self, message: &[u8], out: &mut Vec<u8>) -> bool {
        let fits = self.room() > 0;
        if fits {
            self.send("syslog", message, out);
            self.unanswered = self.unanswered.saturating_add(1);
        }
        fits
    }

    /// Says that no message follows, once, in a session that is open. What is unanswered may still be
    /// answered.
    pub fn close(&mut self, out: &mut Vec<u8>) {
        if self.state == State::Open {
            self.send("close", b"", out);
            self.state = State::Closing;
        }
    }

    /// Takes bytes that came in from the front of `bytes`, up to the next thing said. None: all are
    /// taken, and more is needed.
    ///
    /// # Errors
    /// [`RelpError`], then and on every further call: what came before it was heard before it.
    pub fn hear(&mut self, bytes: &mut &[u8]) -> Result<Option<Heard>, RelpError> {
        if let State::Failed(error) = &self.state {
            return Err(error.clone());
        }
        let heard = self.hear_next(bytes);
        if let Err(error) = &heard {
            self.state = State::Failed(error.clone());
        }
        heard
    }

    fn hear_next(&mut self, bytes: &mut &[u8]) -> Result<Option<Heard>, RelpError> {
        while self.incoming.take(bytes)? {
            match (self.incoming.number(), self.incoming.command()) {
                (0, b"serverclose") => return Ok(Some(Heard::ServerClose)),
                // A hint that we do not know: none is ever answered.
                (0, command) if command != b"rsp" => {}
                (number, b"rsp") => return self.answered(number).map(Some),
                (_, command) => {
                    let command = String::from_utf8_lossy(command).into_owned();
                    return Err(RelpError::Command { command });
                }
            }
        }
        Ok(None)
    }

    fn answered(&mut self, number: u32) -> Result<Heard, RelpError> {
        let awaited = Some(self.awaited).filter(|awaited| *awaited != self.next);
        if awaited != Some(number) {
            return Err(RelpError::OutOfTurn { number, awaited });
        }
        self.awaited = frame::after(number);
        if self.unanswered == 0 && self.state == State::Closing {
            // librelp answers without a code here, and nobody refuses a close.
            self.state = State::Closed;
            return Ok(Heard::Closed);
        }
        let answer = answer::read(self.incoming.data()).ok_or(RelpError::NoCode { number })?;
        if self.state == State::Opening {
            let offers = Offers::read(answer.map_err(RelpError::Refused)?);
            if !offers.syslog {
                return Err(RelpError::NoSyslog);
            }
            self.state = State::Open;
            return Ok(Heard::Open(offers));
        }
        self.unanswered = self.unanswered.saturating_sub(1);
        Ok(answer.map_or_else(Heard::Refused, |_| Heard::Acknowledged))
    }

    fn send(&mut self, command: &str, data: &[u8], out: &mut Vec<u8>) {
        frame::write(self.next, command, data, out);
        self.next = frame::after(self.next);
    }
}

const OFFERS: &str =
    concat!("relp_version=0\nrelp_software=slackcef,", env!("CARGO_PKG_VERSION"), "\ncommands=syslog");

#[cfg(test)]
mod tests;
