//! One open connection, read while it is written.
//!
//! A sender that never reads misses the receiver's FIN and its TLS alerts, and its own close would
//! turn into a reset that destroys what is still on its way. So every write, flush and wait here
//! looks at the read side first.
//!
//! **Invariant:** a write that failed or was dropped half way leaves a wire that is never written to
//! again: its owner took it out of its place for the time of the write.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::{unconstrained, yield_now};
use tokio::time::timeout;

/// TCP, or TLS over it.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Duplex for T {}

/// The connection, and the first bytes that the receiver ever said: a syslog receiver says none.
pub(super) struct Wire {
    duplex: Box<dyn Duplex>,
    heard: Vec<u8>,
}

/// How a connection ended.
#[derive(Debug)]
pub(super) enum End {
    /// The receiver closed it in order.
    Closed,
    /// It broke, or the receiver's TLS complained.
    Fault(io::Error),
    /// Nothing moved for so long.
    Stalled(Duration),
}

impl Wire {
    pub(super) fn new(duplex: impl Duplex + 'static) -> Self {
        Self { duplex: Box::new(duplex), heard: Vec::new() }
    }

    /// Writes all of `bytes` and flushes.
    pub(super) async fn write(&mut self, bytes: &[u8], stall: Duration) -> Result<(), End> {
        let Err(fault) = self.write_all(bytes, stall).await? else { return Ok(()) };
        // Why it failed may lie unread: an alert tells more than a broken pipe. The socket is dead, so
        // that its read side ends at once.
        match self.ended_within(stall.min(LAST_WORDS)).await {
            Some(reason @ End::Fault(_)) => Err(reason),
            _ => Err(End::Fault(fault)),
        }
    }

    /// The inner result is the writing's own, the outer one what the read side told meanwhile.
    async fn write_all(&mut self, bytes: &[u8], stall: Duration) -> Result<io::Result<()>, End> {
        for piece in bytes.chunks(PIECE) {
            let mut rest = piece;
            while !rest.is_empty() {
                match self.watched(stall, |duplex, cx| duplex.poll_write(cx, rest)).await? {
                    Ok(0) => return Ok(Err(io::ErrorKind::WriteZero.into())),
                    Ok(taken) => rest = rest.get(taken..).unwrap_or_default(),
                    Err(fault) => return Ok(Err(fault)),
                }
            }
        }
        self.watched(stall, AsyncWrite::poll_flush).await
    }

    /// Drives `step` with the read side watched.
    async fn watched<T>(
        &mut self,
        stall: Duration,
        mut step: impl FnMut(Pin<&mut (dyn Duplex + 'static)>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Result<io::Result<T>, End> {
        let driven = std::future::poll_fn(|cx| match self.poll_end(cx) {
            Poll::Ready(end) => Poll::Ready(Err(end)),
            Poll::Pending => step(Pin::new(&mut *self.duplex), cx).map(Ok),
        });
        timeout(stall, driven).await.unwrap_or(Err(End::Stalled(stall)))
    }

    /// The end, if the receiver has ended the connection by now.
    pub(super) async fn ended_by_now(&mut self) -> Option<End> {
        // Lets the runtime look at its sockets, then looks whatever the task's budget.
        yield_now().await;
        let now = std::future::poll_fn(|cx| match self.poll_end(cx) {
            Poll::Ready(end) => Poll::Ready(Some(end)),
            Poll::Pending => Poll::Ready(None),
        });
        unconstrained(now).await
    }

    /// The end, if it comes within `grace`.
    pub(super) async fn ended_within(&mut self, grace: Duration) -> Option<End> {
        timeout(grace, self.ended()).await.ok()
    }

    /// Waits for the end. May be dropped at any time.
    pub(super) async fn ended(&mut self) -> End {
        std::future::poll_fn(|cx| self.poll_end(cx)).await
    }

    /// Says that nothing more comes (`close_notify`, then FIN) and reads on to the receiver's end.
    pub(super) async fn finish(&mut self) -> End {
        let shut = std::future::poll_fn(|cx| Pin::new(&mut *self.duplex).poll_shutdown(cx)).await;
        match shut {
            Ok(()) => self.ended().await,
            Err(fault) => End::Fault(fault),
        }
    }

    /// The receiver answered a plaintext connection with a TLS record: an alert, most likely.
    pub(super) fn heard_tls(&self) -> bool {
        matches!(self.heard.as_slice(), [0x15 | 0x16, 0x03, ..])
    }

    /// Reads what there is. What a receiver says is of no use but to tell what it is.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let mut space = [0; 512];
        for _ in 0..READS {
            let mut buffer = ReadBuf::new(&mut space);
            match ready!(Pin::new(&mut *self.duplex).poll_read(cx, &mut buffer)) {
                Ok(()) if buffer.filled().is_empty() => return Poll::Ready(End::Closed),
                Ok(()) => {
                    let room = FIRST_WORDS.saturating_sub(self.heard.len());
                    self.heard.extend(buffer.filled().iter().take(room));
                }
                // The peer's end of TLS without close_notify: rsyslog with GnuTLS does so, and so
                // does a process that was killed. The bare FIN counts as one.
                Err(fault) if fault.kind() == io::ErrorKind::UnexpectedEof => {
                    return Poll::Ready(End::Closed);
                }
                Err(fault) => return Poll::Ready(End::Fault(fault)),
            }
        }
        // A receiver that never stops talking must not keep us from writing.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").finish_non_exhaustive()
    }
}

/// One write: four TLS records. A message a write would cost three times the processor's time.
const PIECE: usize = 64 * 1024;
/// How long the reason of a failed write is waited for.
const LAST_WORDS: Duration = Duration::from_secs(1);
const READS: usize = 16;
const FIRST_WORDS: usize = 8;
