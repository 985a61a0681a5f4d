//! One connection from its acceptance to its end, with what goes wrong on it.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};
use tokio_rustls::TlsAcceptor;
use tokio_util::io::poll_read_buf;

use super::fault::Fault;
use super::frame::next_frame;
use super::relp::Relp;
use super::shelf::{Lost, Shelf};
use super::wire::Wire;
use super::{Arrival, Ended, Message};

/// What holds for every connection.
pub(super) struct Manners {
    pub(super) tls: Option<TlsAcceptor>,
    /// Nothing is said after the handshake.
    pub(super) mute: bool,
    pub(super) relp: Option<Relp>,
    pub(super) largest_frame: usize,
    pub(super) poison: Option<Vec<u8>>,
    pub(super) poison_resets: bool,
}

pub(super) struct Connection {
    pub(super) number: u64,
    pub(super) fault: Fault,
    pub(super) manners: Arc<Manners>,
    pub(super) shelf: Shelf,
    /// Makes the whole receiver go away for so long.
    pub(super) leave: mpsc::Sender<Duration>,
}

/// What came of the frames that were there.
enum Taken {
    /// They are stored; more has to be read.
    All,
    /// So many messages have come that the fault strikes.
    Enough,
    /// This is the end.
    End(Ended),
}

impl Connection {
    pub(super) async fn over_tcp(self, stream: TcpStream) {
        // Answers of the handshake wait for nothing.
        let _nodelay = stream.set_nodelay(true);
        // An unheard receiver has nothing left to do.
        let _lost = self.accept(stream).await;
    }

    pub(super) async fn over_unix(self, mut stream: UnixStream) {
        let _lost = async {
            if self.is_welcome(&mut stream).await? {
                self.shelf.tell(Arrival::Connected { connection: self.number, tls: None }).await?;
                self.read(stream).await?;
            }
            Ok::<_, Lost>(())
        }
        .await;
    }

    async fn accept(&self, mut stream: TcpStream) -> Result<(), Lost> {
        if !self.is_welcome(&mut stream).await? {
            return Ok(());
        }
        let connection = self.number;
        let Some(tls) = &self.manners.tls else {
            self.shelf.tell(Arrival::Connected { connection, tls: None }).await?;
            return self.read(stream).await;
        };
        match tls.accept(stream).await {
            Ok(stream) => {
                let version = stream.get_ref().1.protocol_version().and_then(|version| version.as_str());
                let tls = Some(version.unwrap_or("TLS").to_owned());
                self.shelf.tell(Arrival::Connected { connection, tls }).await?;
                self.read(stream).await
            }
            Err(reason) => self.shelf.tell(Arrival::Refused { connection, reason }).await,
        }
    }

    /// Whether there is anything to do beyond accepting it; otherwise it has ended.
    async fn is_welcome(&self, stream: &mut impl Wire) -> Result<bool, Lost> {
        match self.fault {
            Fault::CloseAtOnce => {}
            Fault::Deaf => std::future::pending().await,
            Fault::Plaintext => {
                let _said = stream.write_all(b"220 ready\r\n").await;
                let _closed = stream.shutdown().await;
            }
            _ => return Ok(true),
        }
        self.end(BytesMut::new(), Ended::ByFault).await?;
        Ok(false)
    }

    /// Reads to the end.
    async fn read(&self, mut stream: impl Wire) -> Result<(), Lost> {
        if let Some(relp) = &self.manners.relp {
            return self.speak_relp(stream, relp).await;
        }
        let mut framing = Framing::default();
        let mut pace = Pace::of(self.fault);
        let mut talk = if let Fault::Talk(pause) = self.fault { Some(steady(pause)) } else { None };
        let mut bytes_left = if let Fault::ResetAfter(bytes) = self.fault { bytes } else { u64::MAX };
        let how = loop {
            match self.take(&mut framing).await? {
                Taken::All => {}
                Taken::Enough => {
                    if let Some(how) = self.strike().await? {
                        break how;
                    }
                    framing.struck = true;
                    continue;
                }
                Taken::End(how) => {
                    if matches!(how, Ended::ByPoison) && self.manners.poison_resets {
                        stream.reset_when_closed();
                        return self.end(framing.rest, how).await;
                    }
                    if matches!(how, Ended::BadFrame | Ended::Unstored(_)) {
                        return self.end(framing.rest, how).await;
                    }
                    break how;
                }
            }
            if bytes_left == 0 {
                stream.reset_when_closed();
                return self.end(framing.rest, Ended::ByFault).await;
            }
            let most = pace.next().await.min(bytes_left);
            framing.rest.reserve(PIECE);
            let read = tokio::select! {
                read = hear(&mut stream, &mut framing.rest, most, !self.manners.mute) => read,
                () = tick(&mut talk) => {
                    say(&mut stream).await;
                    continue;
                }
            };
            match read {
                Ok(0) => break Ended::BySender,
                Ok(read) => bytes_left -= u64::try_from(read).unwrap_or(0),
                Err(fault) => break Ended::Broken(fault),
            }
        };
        if self.fault == Fault::NeverClose && matches!(how, Ended::BySender) {
            self.end(framing.rest, how).await?;
            return std::future::pending().await;
        }
        let _closed =
            if self.manners.mute { stream.socket().shutdown().await } else { stream.shutdown().await };
        self.end(framing.rest, how).await
    }

    /// Stores the messages that are whole.
    async fn take(&self, framing: &mut Framing) -> Result<Taken, Lost> {
        loop {
            if self.strikes_at(framing.messages) && !framing.struck {
                return Ok(Taken::Enough);
            }
            let frame = next_frame(&mut framing.rest, &mut framing.counted, self.manners.largest_frame);
            let text = match frame {
                None => return Ok(Taken::All),
                Some(Err(_)) => return Ok(Taken::End(Ended::BadFrame)),
                Some(Ok(text)) if self.is_poison(&text) => return Ok(Taken::End(Ended::ByPoison)),
                Some(Ok(text)) => text,
            };
            let message =
                Message { connection: self.number, counted: framing.counted.unwrap_or(false), text };
            match self.shelf.put(message).await {
                Ok(()) => framing.messages = framing.messages.saturating_add(1),
                Err(Lost::Unstored(fault)) => return Ok(Taken::End(Ended::Unstored(fault))),
                Err(unheard) => return Err(unheard),
            }
        }
    }

    /// The fault strikes when there have been so many messages.
    pub(super) fn strikes_at(&self, messages: u64) -> bool {
        self.fault.messages().is_some_and(|most| messages >= most)
    }

    /// Does what the fault wants after its messages; none: the connection goes on.
    pub(super) async fn strike(&self) -> Result<Option<Ended>, Lost> {
        match self.fault {
            Fault::PauseAfter(_, pause) => {
                sleep(pause).await;
                Ok(None)
            }
            Fault::StallAfter(_) => std::future::pending().await,
            Fault::GoAwayAfter(_, absence) => {
                self.end(BytesMut::new(), Ended::ByFault).await?;
                let _leaving = self.leave.send(absence).await;
                std::future::pending().await
            }
            _ => Ok(Some(Ended::ByFault)),
        }
    }

    pub(super) fn is_poison(&self, text: &[u8]) -> bool {
        self.manners.poison.as_ref().is_some_and(|poison| {
            poison.is_empty() || text.windows(poison.len()).any(|part| part == poison.as_slice())
        })
    }

    pub(super) async fn end(&self, torn: BytesMut, how: Ended) -> Result<(), Lost> {
        let torn: Bytes = torn.freeze();
        self.shelf.tell(Arrival::Ended { connection: self.number, torn, how }).await
    }
}

pub(super) const PIECE: usize = 64 * 1024;

/// How far the bytes of a connection have become messages.
#[derive(Default)]
struct Framing {
    rest: BytesMut,
    counted: Option<bool>,
    messages: u64,
    /// The fault has struck, and the connection goes on.
    struck: bool,
}

/// So many bytes at a time.
pub(super) struct Pace(Option<(u64, Interval)>);

impl Pace {
    pub(super) fn of(fault: Fault) -> Self {
        let Fault::Slow(rate) = fault else { return Self(None) };
        let rate = rate.max(1);
        let bytes = u64::from(rate.div_ceil(20));
        Self(Some((bytes, steady(Duration::from_secs(bytes) / rate))))
    }

    /// Waits for its turn to read, and says how much.
    pub(super) async fn next(&mut self) -> u64 {
        match &mut self.0 {
            None => u64::MAX,
            Some((bytes, interval)) => {
                interval.tick().await;
                *bytes
            }
        }
    }
}

/// Ticks that do not catch up.
fn steady(pause: Duration) -> Interval {
    let mut interval = interval(pause.max(Duration::from_millis(1)));
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

async fn tick(interval: &mut Option<Interval>) {
    match interval {
        None => std::future::pending().await,
        Some(interval) => {
            interval.tick().await;
        }
    }
}

/// Reads what there is, and answers the questions behind it: all before them is stored by now.
async fn hear(
    stream: &mut (impl Wire + ?Sized),
    into: &mut BytesMut,
    most: u64,
    answers: bool,
) -> std::io::Result<usize> {
    std::future::poll_fn(|cx| {
        let read = poll_read_buf(Pin::new(&mut (&mut *stream).take(most)), cx, into);
        if read.is_pending() && answers {
            stream.answer_key_update();
            let _flushed = Pin::new(&mut *stream).poll_flush(cx);
        }
        read
    })
    .await
}

/// Says something, if the sender takes it.
async fn say(stream: &mut impl Wire) {
    tokio::select! {
        biased;
        _said = async {
            stream.write_all(b"250 still here\r\n").await?;
            stream.flush().await
        } => {}
        () = std::future::ready(()) => {}
    }
}
