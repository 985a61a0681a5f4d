//! A syslog receiver that tells what it was sent, and misbehaves when asked to.
//!
//! It listens on TCP, TLS over TCP, UDP, or a Unix socket of either kind. Written from RFC 5425,
//! RFC 5426 and RFC 6587, with what rsyslog and syslog-ng do where those are silent: the framing is
//! told by a connection's first byte, half a frame at a connection's end is no message,
//! `close_notify` is answered, and so is a TLS 1.3 `KeyUpdate` that asks for it (RFC 8446 §4.6.3),
//! once all that came before it is stored. Or it speaks RELP ([`Settings::relp`]).
//!
//! **Invariant:** it listens on this machine alone unless told otherwise.
//! **Invariant:** memory is bounded: when its messages are not taken, it stops reading.
//! **Invariant:** nothing is answered to a sender (a FIN, a `KeyUpdate`, a RELP command) before what it sent until then
//! is stored, unless [`Settings::holds`] asks for a receiver that is not like that.

mod arrival;
mod connection;
mod datagram;
mod fault;
mod frame;
mod listener;
mod relp;
mod shelf;
mod tls;
mod wire;

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use arrival::{Arrival, Ended, Message};
pub use fault::Fault;
pub use relp::Relp;
pub use tls::ServerTls;

use datagram::Datagrams;
use listener::Listener;
use shelf::Shelves;

/// How to listen and what to do wrong.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What to listen on.
    pub transport: Transport,
    /// Where to listen with [`Transport::Tcp`] and [`Transport::Udp`]; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Other machines may connect: an address that is not a loopback one is accepted.
    pub beyond_this_machine: bool,
    /// TLS, on TCP alone; none: plaintext.
    pub tls: Option<ServerTls>,
    /// RELP, on streams alone; none: plain syslog, its framing told by a connection's first byte.
    pub relp: Option<Relp>,
    /// The longest frame or datagram. On a longer frame the connection is closed, as syslog-ng does; a
    /// longer datagram is cut.
    pub largest_frame: usize,
    /// The kernel's receive buffer, bytes (`SO_RCVBUF`, which Linux doubles): a small one shuts the
    /// window early. None: the system's default.
    pub receive_buffer: Option<usize>,
    /// What the first connections suffer, one each.
    pub faults: Vec<Fault>,
    /// What all connections suffer that come after those.
    pub afterwards: Fault,
    /// A message that holds this text is not taken: its connection is closed, whichever it is.
    pub poison: Option<String>,
    /// The connection of a poison message is reset, not closed in order.
    pub poison_resets: bool,
    /// Messages stay in memory for a while before they are stored.
    pub holds: Option<Hold>,
    /// Each message is appended to this file by a write of its own before it is told: a line, on which a
    /// line feed of the message stands as `#012`.
    pub store: Option<PathBuf>,
}

impl Default for Settings {
    /// TCP on a free port of this machine, plaintext, without faults.
    fn default() -> Self {
        Self {
            transport: Transport::Tcp,
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            beyond_this_machine: false,
            tls: None,
            relp: None,
            largest_frame: 1 << 20,
            receive_buffer: None,
            faults: Vec::new(),
            afterwards: Fault::None,
            poison: None,
            poison_resets: false,
            holds: None,
            store: None,
        }
    }
}

/// What is listened on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP; a datagram is a message.
    Udp,
    /// A stream socket at this path. A socket that a dead process has left there is replaced.
    UnixStream(PathBuf),
    /// A datagram socket at this path, likewise; a datagram is a message.
    UnixDatagram(PathBuf),
}

/// A receiver's queue in memory: what it holds has been read and answered for, and dies with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// So long each message is held.
    pub time: Duration,
    /// At most so many are held; one more, and the oldest is stored at once.
    pub messages: usize,
}

/// The receiver does not listen.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Other machines could reach the address.
    #[error(
        "{0} is open to other machines, and the simulated receiver keeps to this one unless told otherwise"
    )]
    BeyondThisMachine(SocketAddr),
    /// The address cannot be had.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The Unix socket cannot be had.
    #[error("cannot listen on {path}", path = path.display())]
    ListenAt {
        /// Its path.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file for the messages cannot be had.
    #[error("cannot store messages in {path}", path = path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The certificate, its key or the clients' authority is none.
    #[error("cannot serve TLS with this certificate")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A receiver at work; dropped, it stops and closes its connections.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    arrivals: mpsc::Receiver<Arrival>,
    serving: JoinHandle<Option<()>>,
    stops: DropGuard,
}

impl Receiver {
    /// Listens and serves.
    pub async fn start(settings: Settings) -> Result<Self, StartError> {
        let open = matches!(settings.transport, Transport::Tcp | Transport::Udp);
        if open && !settings.listen.ip().is_loopback() && !settings.beyond_this_machine {
            return Err(StartError::BeyondThisMachine(settings.listen));
        }
        let (tell, arrivals) = mpsc::channel(WAITING);
        let shelves = Shelves::new(tell, file(&settings)?, settings.holds);
        let refused = |source| settings.refused(source);
        let stop = CancellationToken::new();
        let (address, serving) = match &settings.transport {
            Transport::Tcp | Transport::UnixStream(_) => {
                let tls =
                    settings.tls.as_ref().map(ServerTls::acceptor).transpose().map_err(StartError::Tls)?;
                let listener = Listener::bind(&settings).map_err(refused)?;
                let address = listener.address().map_err(refused)?.unwrap_or(settings.listen);
                let serving = listener.serve(settings, tls, shelves);
                (address, tokio::spawn(stop.clone().run_until_cancelled_owned(serving)))
            }
            Transport::Udp | Transport::UnixDatagram(_) => {
                let datagrams = Datagrams::bind(&settings).await.map_err(refused)?;
                let address = datagrams.address().map_err(refused)?.unwrap_or(settings.listen);
                let serving = datagrams.serve(settings, shelves);
                (address, tokio::spawn(stop.clone().run_until_cancelled_owned(serving)))
            }
        };
        Ok(Self { address, arrivals, serving, stops: stop.drop_guard() })
    }

    /// Stops as a killed process does: connections are closed where they are, what is held is lost, and
    /// when this returns the port is free. A Unix socket's file stays behind.
    pub async fn stop(self) {
        drop(self.stops);
        let _stopped = self.serving.await;
    }

    /// Where it listens; with a Unix socket, what [`Settings::listen`] said.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What happens next. Never ends while the receiver is there.
    pub async fn next(&mut self) -> Option<Arrival> {
        self.arrivals.recv().await
    }

    /// The next message; what else happens meanwhile is passed over.
    pub async fn next_message(&mut self) -> Option<Message> {
        loop {
            if let Arrival::Message(message) = self.arrivals.recv().await? {
                return Some(message);
            }
        }
    }
}

/// Arrivals that may wait to be taken.
const WAITING: usize = 4096;

impl Settings {
    fn refused(&self, source: io::Error) -> StartError {
        match &self.transport {
            Transport::Tcp | Transport::Udp => StartError::Listen { address: self.listen, source },
            Transport::UnixStream(path) | Transport::UnixDatagram(path) => {
                StartError::ListenAt { path: path.clone(), source }
            }
        }
    }
}

fn file(settings: &Settings) -> Result<Option<File>, StartError> {
    let Some(path) = &settings.store else { return Ok(None) };
    let opened = File::options().create(true).append(true).open(path);
    opened.map(Some).map_err(|source| StartError::Store { path: path.clone(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn keeps_to_this_machine() {
        for transport in [Transport::Tcp, Transport::Udp] {
            let listen = ([0, 0, 0, 0], 0).into();
            let settings = Settings { transport, listen, ..Settings::default() };
            assert!(matches!(Receiver::start(settings).await, Err(StartError::BeyondThisMachine(_))));
        }
    }
}
