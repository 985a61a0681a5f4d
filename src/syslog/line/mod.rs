//! One open connection at work: a task that is given batches and tells what became of them.
//!
//! ```text
//!  Sink ──Order──▶ task of the line ──bytes──▶ receiver
//!       ◀──Told───  written · read · ended     (told by FIN, KeyUpdate or `rsp`, or not at all)
//! ```
//!
//! A line numbers nothing itself: the numbers of its orders grow, and a receipt names the last one
//! that it covers. When the line's end is asked for ([`Line::retire`]), it writes out what it has,
//! says that nothing more comes, and waits for the receiver's end, which is a receipt for all of it.
//!
//! **Invariant:** frames of one order are written whole on one connection, in the order of the
//! orders; a line that failed writes nothing more.
//! **Invariant:** [`Told::Ended`] is the last thing a line tells, whatever its task comes to.

mod asking;
mod datagram;
mod file;
mod pulse;
mod records;
mod relp;
mod stdout;
mod stream;
mod wire;

use std::path::Path;

use tokio::sync::mpsc;
use tokio::task::AbortHandle;

pub(super) use datagram::Datagram;
pub(crate) use file::File;
pub(super) use file::can_be_opened;
pub(super) use records::Records;
pub(super) use relp::Relp;
pub(super) use stdout::Stdout;
pub(super) use stream::{Proof, Stream};
pub(super) use wire::{End, Io, Wire};

use super::failure::Failure;
use super::frames::Frames;

/// The number of a line, never used twice in one sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LineId(pub(super) u64);

#[cfg(test)]
impl LineId {
    /// The line of that number, for tests without a sink.
    pub(crate) const fn test(number: u64) -> Self {
        Self(number)
    }
}

/// What a line is to do.
#[derive(Debug)]
pub(in crate::syslog) enum Order {
    /// Send these; the number is larger than that of any order before.
    Send { number: u64, frames: Frames },
    /// Nothing more comes for now: see that what was sent is confirmed.
    Confirm,
}

/// What a line tells of itself.
#[derive(Debug)]
pub(in crate::syslog) enum Told {
    /// The order left this program; its buffer comes back.
    Written(Frames),
    /// The receiver has read this order and all before it.
    Read(u64),
    /// The receiver lives and takes nothing; `false` when it takes something again.
    Stalled(bool),
    /// Its receipts come at its end alone.
    Mute,
    /// It can tell no more receipts before its end: another should take its place.
    Spent,
    /// It is over. In order, the receiver has read all that was sent.
    Ended(Result<(), Failure>),
}

/// Where a line tells.
#[derive(Debug, Clone)]
pub(in crate::syslog) struct Tell {
    pub(in crate::syslog) id: LineId,
    pub(in crate::syslog) to: mpsc::UnboundedSender<(LineId, Told)>,
}

impl Tell {
    fn tell(&self, told: Told) {
        // Whoever listened is gone, and with it this task in a moment.
        drop(self.to.send((self.id, told)));
    }
}

/// What runs a line.
pub(in crate::syslog) enum Kind {
    Stream(Box<Stream>),
    Relp(Box<Relp>),
    Datagram(Datagram),
    Stdout(Stdout),
    File(File),
    /// Its task breaks off.
    #[cfg(test)]
    Broken,
}

impl Kind {
    async fn run(self, inbox: mpsc::UnboundedReceiver<Order>, tell: &Tell) -> Result<(), Failure> {
        match self {
            Self::Stream(stream) => stream.run(inbox, tell).await,
            Self::Relp(relp) => relp.run(inbox, tell).await,
            Self::Datagram(datagram) => one_by_one(inbox, tell, datagram, Datagram::send).await,
            Self::Stdout(stdout) => one_by_one(inbox, tell, stdout, Stdout::send).await,
            Self::File(file) => one_by_one(inbox, tell, file, File::send).await,
            #[cfg(test)]
            Self::Broken => panic!("as the test wants it"),
        }
    }
}

/// Tells how a line ended when it is dropped, and so after a panic too: whoever waits for what the
/// line carried would wait for ever. Of a line that was dropped, nobody hears it.
struct LastWord {
    tell: Tell,
    ended: Result<(), Failure>,
}

impl Drop for LastWord {
    fn drop(&mut self) {
        self.tell.tell(Told::Ended(std::mem::replace(&mut self.ended, Ok(()))));
    }
}

/// A line at work; dropped, its connection is dropped.
#[derive(Debug)]
pub(in crate::syslog) struct Line {
    orders: Option<mpsc::UnboundedSender<Order>>,
    task: AbortHandle,
}

impl Line {
    pub(in crate::syslog) fn start(kind: Kind, tell: Tell) -> Self {
        #[expect(clippy::disallowed_methods, reason = "the sink gives a line two batches, and no more")]
        let (orders, inbox) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            let mut last = LastWord { tell, ended: Err(Failure::Bug) };
            last.ended = kind.run(inbox, &last.tell).await;
        });
        Self { orders: Some(orders), task: task.abort_handle() }
    }

    /// Gives it an order. One that cannot be taken any more is lost with the line, whose end is told.
    pub(in crate::syslog) fn order(&self, order: Order) {
        if let Some(orders) = &self.orders {
            drop(orders.send(order));
        }
    }

    /// Asks for its end in order.
    pub(in crate::syslog) fn retire(&mut self) {
        self.orders = None;
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Orders that are settled as soon as they are carried out: what `send` returns is all that will
/// ever be known of them.
async fn one_by_one<S>(
    mut inbox: mpsc::UnboundedReceiver<Order>,
    tell: &Tell,
    mut state: S,
    mut send: impl AsyncFnMut(&mut S, &Frames) -> Result<(), Failure>,
) -> Result<(), Failure> {
    while let Some(order) = inbox.recv().await {
        let Order::Send { number, frames } = order else { continue };
        send(&mut state, &frames).await?;
        tell.tell(Told::Written(frames));
        tell.tell(Told::Read(number));
    }
    Ok(())
}

/// A path as a place in messages.
pub(super) fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_line_whose_task_breaks_off_tells_its_end() {
        #[expect(clippy::disallowed_methods, reason = "its end is all that it tells")]
        let (to, mut told) = mpsc::unbounded_channel();
        let line = Line::start(Kind::Broken, Tell { id: LineId::test(1), to });
        line.order(Order::Confirm);
        let (_, last) = told.recv().await.unwrap();
        assert!(matches!(last, Told::Ended(Err(Failure::Bug))), "{last:?}");
        assert!(told.recv().await.is_none(), "once");
    }
}
