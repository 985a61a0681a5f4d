//! One open stream: bytes out, the read side watched all the while.
//!
//! A sender that never reads misses the receiver's FIN and its TLS alerts, and its own close would
//! turn into a reset that destroys what is still on its way. So every turn looks at the read side
//! first, whether there is something to write or not.
//!
//! **Invariant:** [`Wire::turn`] may be dropped at any time and loses nothing: what is half written is
//! kept here and goes on with the next turn.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use super::records::Records;

/// A stream of one of the kinds that we speak over.
#[derive(Debug)]
pub(in crate::syslog) enum Io {
    Tcp(TcpStream),
    Tls(Box<TlsStream<Records<TcpStream>>>),
    Unix(UnixStream),
}

/// The stream, and what is under way on it.
#[derive(Debug)]
pub(in crate::syslog) struct Wire {
    io: Io,
    /// What is written now, and how far it is.
    out: Vec<u8>,
    written: usize,
    state: State,
    /// The first bytes that the receiver ever said: a syslog receiver says none.
    heard: Vec<u8>,
    /// All that it says, where that is listened to.
    words: Option<Vec<u8>>,
    /// The end, which is told once the words before it are taken.
    over: Option<End>,
    /// When the receiver's side last took a byte, or had none to take.
    moved: Instant,
    /// What the write that failed said.
    fault: Option<io::Error>,
}

/// What the write side is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Writing,
    Flushing,
    /// The end is being said.
    Shutting,
    /// The end was said; the receiver's is awaited.
    Shut,
    /// A write failed; why may still be read.
    Failed,
}

/// What came of a turn.
#[derive(Debug)]
pub(in crate::syslog) enum Turn {
    /// All of what was begun is written and flushed. The buffer comes back.
    Written(Vec<u8>),
    /// The receiver may have answered a question, or said something.
    Heard,
    /// It is over.
    Ended(End),
}

/// How a connection ended.
#[derive(Debug)]
pub(in crate::syslog) enum End {
    /// The receiver closed it in order, before we did.
    Closed,
    /// Both sides closed it in order, we first: the receiver has read to our end.
    InOrder,
    /// It broke, or the receiver's TLS complained.
    Fault(io::Error),
}

impl Wire {
    pub(in crate::syslog) fn new(io: Io) -> Self {
        Self {
            io,
            out: Vec::new(),
            written: 0,
            state: State::Open,
            heard: Vec::new(),
            words: None,
            over: None,
            moved: Instant::now(),
            fault: None,
        }
    }

    /// From now on all is kept that the receiver says, until [`Wire::take_words`] takes it.
    pub(in crate::syslog) fn listen(&mut self) {
        self.words.get_or_insert_default();
    }

    /// What the receiver has said since this was last asked: put into `words`, in place of what they
    /// held.
    pub(in crate::syslog) fn take_words(&mut self, words: &mut Vec<u8>) {
        words.clear();
        if let Some(said) = &mut self.words {
            std::mem::swap(said, words);
        }
    }

    fn has_words(&self) -> bool {
        self.words.as_ref().is_some_and(|words| !words.is_empty())
    }

    /// Begins to write; only when nothing is being written.
    pub(in crate::syslog) fn begin(&mut self, bytes: Vec<u8>) {
        (self.out, self.written, self.state, self.moved) = (bytes, 0, State::Writing, Instant::now());
    }

    /// Says with the next turns that nothing more comes: `close_notify`, then FIN.
    pub(in crate::syslog) fn finish(&mut self) {
        if self.state == State::Open {
            (self.state, self.moved) = (State::Shutting, Instant::now());
        }
    }

    /// Nothing is being written, and the end has not been said.
    pub(in crate::syslog) fn is_free(&self) -> bool {
        self.state == State::Open
    }

    /// Since when the receiver's side takes nothing, while there is something to take.
    pub(in crate::syslog) fn stuck_since(&self) -> Option<Instant> {
        matches!(self.state, State::Writing | State::Flushing | State::Shutting).then_some(self.moved)
    }

    /// Asks the receiver's TLS for an answer behind all that was written (RFC 8446 §4.6.3).
    ///
    /// # Errors
    /// There is nobody to ask: no TLS 1.3.
    pub(in crate::syslog) fn ask(&mut self) -> Result<(), rustls::Error> {
        let Io::Tls(tls) = &mut self.io else { return Err(rustls::Error::HandshakeNotComplete) };
        tls.get_mut().1.refresh_traffic_keys()?;
        if self.state == State::Open {
            (self.state, self.moved) = (State::Flushing, Instant::now());
        }
        Ok(())
    }

    /// How often the receiver's TLS has answered.
    pub(in crate::syslog) fn answers(&self) -> u32 {
        match &self.io {
            Io::Tls(tls) => tls.get_ref().0.answers(),
            Io::Tcp(_) | Io::Unix(_) => 0,
        }
    }

    /// What the receiver said first.
    pub(in crate::syslog) fn heard(&self) -> &[u8] {
        &self.heard
    }

    /// The two ends, by which the kernel knows the connection.
    pub(in crate::syslog) fn ends(&self) -> Option<(SocketAddr, SocketAddr)> {
        let tcp = self.tcp()?;
        Some((tcp.local_addr().ok()?, tcp.peer_addr().ok()?))
    }

    /// What the socket has met with since it was last asked: a reset that came behind the FIN.
    pub(in crate::syslog) fn error(&self) -> Option<io::Error> {
        self.tcp()?.take_error().ok()?
    }

    fn tcp(&self) -> Option<&TcpStream> {
        match &self.io {
            Io::Tcp(tcp) => Some(tcp),
            Io::Tls(tls) => Some(tls.get_ref().0.stream()),
            Io::Unix(_) => None,
        }
    }

    /// Goes on with what is under way until there is something to tell.
    pub(in crate::syslog) async fn turn(&mut self) -> Turn {
        if self.state != State::Failed
            && let Some(turn) = std::future::poll_fn(|cx| self.poll_turn(cx)).await
        {
            return turn;
        }
        // Why a write failed may lie unread: an alert tells more than a broken pipe. The socket is
        // dead, so that its read side ends at once.
        let reason = timeout(LAST_WORDS, std::future::poll_fn(|cx| self.poll_end(cx))).await;
        match (reason, self.fault.take()) {
            (Ok(reason @ End::Fault(_)), _) | (Ok(reason), None) => Turn::Ended(reason),
            (_, Some(fault)) => Turn::Ended(End::Fault(fault)),
            (Err(_), None) => Turn::Ended(End::Closed),
        }
    }

    /// The end, if the receiver ends the connection within `grace`.
    pub(in crate::syslog) async fn ended_within(&mut self, grace: Duration) -> Option<End> {
        let ended = async {
            loop {
                if let Turn::Ended(end) = self.turn().await {
                    return end;
                }
            }
        };
        timeout(grace, ended).await.ok()
    }

    /// Nothing, when a write failed.
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<Option<Turn>> {
        if let Some(end) = self.over.take() {
            return Poll::Ready(Some(Turn::Ended(end)));
        }
        let answers = self.answers();
        match self.poll_end(cx) {
            Poll::Ready(end) if self.has_words() => self.over = Some(end),
            Poll::Ready(end) => return Poll::Ready(Some(Turn::Ended(end))),
            Poll::Pending => {}
        }
        if self.answers() != answers || self.has_words() {
            return Poll::Ready(Some(Turn::Heard));
        }
        self.poll_out(cx).map(|done| match done {
            Ok(turn) => Some(turn),
            Err(fault) => {
                self.state = State::Failed;
                self.fault = Some(fault);
                None
            }
        })
    }

    fn poll_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Turn>> {
        loop {
            match self.state {
                State::Writing => {
                    let rest = self.out.get(self.written..).unwrap_or_default();
                    if rest.is_empty() {
                        self.state = State::Flushing;
                        continue;
                    }
                    let piece = rest.get(..PIECE).unwrap_or(rest);
                    match Pin::new(&mut self.io).poll_write(cx, piece) {
                        Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                        Poll::Ready(Ok(taken)) => {
                            self.written = self.written.saturating_add(taken);
                            self.moved = Instant::now();
                        }
                        Poll::Ready(Err(fault)) => return Poll::Ready(Err(fault)),
                        Poll::Pending => return Poll::Pending,
                    }
                }
                State::Flushing => match Pin::new(&mut self.io).poll_flush(cx) {
                    Poll::Ready(Ok(())) => {
                        self.state = State::Open;
                        self.written = 0;
                        // Without a buffer it was a question that had to be flushed.
                        let out = std::mem::take(&mut self.out);
                        let turn = if out.is_empty() { Turn::Heard } else { Turn::Written(out) };
                        return Poll::Ready(Ok(turn));
                    }
                    Poll::Ready(Err(fault)) => return Poll::Ready(Err(fault)),
                    Poll::Pending => return Poll::Pending,
                },
                State::Shutting => match Pin::new(&mut self.io).poll_shutdown(cx) {
                    Poll::Ready(Ok(())) => {
                        self.state = State::Shut;
                        return Poll::Ready(Ok(Turn::Heard));
                    }
                    Poll::Ready(Err(fault)) => return Poll::Ready(Err(fault)),
                    Poll::Pending => return Poll::Pending,
                },
                State::Open | State::Shut | State::Failed => return Poll::Pending,
            }
        }
    }

    /// Reads what there is. Unless it is listened to, what a receiver says is of no use but to tell
    /// what it is.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let mut space = [0; 512];
        for _ in 0..READS {
            let mut buffer = ReadBuf::new(&mut space);
            match Pin::new(&mut self.io).poll_read(cx, &mut buffer) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => return self.poll_fin(cx),
                Poll::Ready(Ok(())) => {
                    if let Io::Tls(tls) = &mut self.io {
                        tls.get_mut().0.last_was_data();
                    }
                    let room = FIRST_WORDS.saturating_sub(self.heard.len());
                    self.heard.extend(buffer.filled().iter().take(room));
                    // They are taken after every turn; only where writing failed may there be more.
                    if let Some(words) = self.words.as_mut().filter(|words| words.len() < MOST_WORDS) {
                        words.extend_from_slice(buffer.filled());
                    }
                }
                // The peer's end of TLS without close_notify: rsyslog with GnuTLS does so, and so
                // does a process that was killed. The bare FIN counts as one.
                Poll::Ready(Err(fault)) if fault.kind() == io::ErrorKind::UnexpectedEof => {
                    return Poll::Ready(self.closed());
                }
                Poll::Ready(Err(fault)) => return Poll::Ready(End::Fault(fault)),
            }
        }
        // A receiver that never stops talking must not keep us from writing.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// TLS is over at the receiver's `close_notify`, but what proves that it has read to our end is
    /// its FIN: a process that ends with bytes of ours unread says `close_notify` too, and then resets.
    fn poll_fin(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let end = self.closed();
        let (Io::Tls(tls), End::InOrder) = (&mut self.io, &end) else { return Poll::Ready(end) };
        let mut space = [0; 64];
        loop {
            let mut buffer = ReadBuf::new(&mut space);
            match Pin::new(tls.get_mut().0.stream_mut()).poll_read(cx, &mut buffer) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => return Poll::Ready(end),
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(fault)) => return Poll::Ready(End::Fault(fault)),
            }
        }
    }

    fn closed(&self) -> End {
        if self.state == State::Shut { End::InOrder } else { End::Closed }
    }
}

/// One write: four TLS records. A message a write would cost three times the processor's time.
const PIECE: usize = 64 * 1024;
/// How long the reason of a failed write is waited for.
const LAST_WORDS: Duration = Duration::from_secs(1);
const READS: usize = 16;
const FIRST_WORDS: usize = 8;
const MOST_WORDS: usize = 64 * 1024;

macro_rules! each {
    ($io:expr, $stream:ident => $done:expr) => {
        match &mut *$io {
            Io::Tcp($stream) => $done,
            Io::Tls($stream) => $done,
            Io::Unix($stream) => $done,
        }
    };
}

impl AsyncRead for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        each!(self, stream => Pin::new(stream).poll_read(cx, buffer))
    }
}

impl AsyncWrite for Io {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        each!(self, stream => Pin::new(stream).poll_write(cx, bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }
}
