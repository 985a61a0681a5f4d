//! A line of datagrams: UDP (RFC 5426) and Unix datagram sockets, one message each.
//!
//! **Invariant:** nothing is claimed: what the kernel took is handed over, and that is all that will
//! ever be known of it. Only what the kernel refuses is known, and is sent again.

use std::io;
use std::time::Duration;

use tokio::net::{UdpSocket, UnixDatagram};

use crate::syslog::failure::Failure;
use crate::syslog::frames::Frames;

/// A connected socket.
#[derive(Debug)]
pub(in crate::syslog) enum Datagram {
    Udp(UdpSocket),
    Unix(UnixDatagram),
}

/// What goes out over UDP without a pause: less than the least that a receiver's socket holds
/// (212,992 bytes on Linux, of which a small datagram takes more than its length).
const AT_ONCE: usize = 32 * 1024;
/// The pause, in which a receiver that keeps up has emptied its socket.
const PAUSE: Duration = Duration::from_millis(1);

impl Datagram {
    pub(super) async fn send(&mut self, frames: &Frames) -> Result<(), Failure> {
        let mut since_pause = 0_usize;
        for frame in frames.iter() {
            // A datagram needs no line feed behind its message (RFC 5426 §3.1).
            let message = frame.strip_suffix(b"\n").unwrap_or(frame);
            self.put(message).await.map_err(|source| match source.kind() {
                io::ErrorKind::ConnectionRefused => Failure::Broken { fresh: false, source },
                _ => Failure::Datagram { bytes: message.len(), source },
            })?;
            since_pause = since_pause.saturating_add(message.len());
            if matches!(self, Self::Udp(_)) && since_pause >= AT_ONCE {
                since_pause = 0;
                tokio::time::sleep(PAUSE).await;
            }
        }
        Ok(())
    }

    async fn put(&self, message: &[u8]) -> io::Result<()> {
        let sent = match self {
            Self::Udp(socket) => socket.send(message).await?,
            Self::Unix(socket) => socket.send(message).await?,
        };
        if sent == message.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }
}
