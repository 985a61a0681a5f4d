//! Accepting connections, being gone for a while, and being back.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;

use super::connection::{Connection, Manners};
use super::fault::Fault;
use super::shelf::Shelves;
use super::{Settings, Transport};

/// A socket that accepts connections.
#[derive(Debug)]
pub(super) struct Listener {
    place: Place,
    receive_buffer: Option<usize>,
    socket: Bound,
}

#[derive(Debug, Clone)]
enum Place {
    Address(SocketAddr),
    Path(PathBuf),
}

#[derive(Debug)]
enum Bound {
    Tcp(TcpListener),
    Unix(UnixListener),
}

enum Accepted {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Listener {
    pub(super) fn bind(settings: &Settings) -> io::Result<Self> {
        let mut place = match &settings.transport {
            Transport::UnixStream(path) => Place::Path(path.clone()),
            _ => Place::Address(settings.listen),
        };
        let socket = place.bind()?.listen(settings.receive_buffer)?;
        if let Bound::Tcp(listener) = &socket {
            place = Place::Address(listener.local_addr()?);
        }
        Ok(Self { place, receive_buffer: settings.receive_buffer, socket })
    }

    pub(super) fn address(&self) -> io::Result<Option<SocketAddr>> {
        match &self.socket {
            Bound::Tcp(listener) => listener.local_addr().map(Some),
            Bound::Unix(_) => Ok(None),
        }
    }

    /// Serves until it is dropped, or does not get its place back after it was away.
    pub(super) async fn serve(mut self, settings: Settings, tls: Option<TlsAcceptor>, shelves: Shelves) {
        let mut roster =
            Roster { next: 0, faults: settings.faults.into_iter(), afterwards: settings.afterwards };
        let manners = Arc::new(Manners {
            tls,
            mute: settings.tls.is_some_and(|tls| tls.ignores_key_updates),
            relp: settings.relp,
            largest_frame: settings.largest_frame,
            poison: settings.poison.map(String::into_bytes),
            poison_resets: settings.poison_resets,
        });
        loop {
            let absence = self.serve_until_away(&mut roster, &manners, &shelves).await;
            let Ok(back) = self.away_for(absence).await else { return };
            self = back;
        }
    }

    /// With this future its connections are dropped too, and what is held.
    async fn serve_until_away(
        &self,
        roster: &mut Roster,
        manners: &Arc<Manners>,
        shelves: &Shelves,
    ) -> Duration {
        let (shelf, emptying) = shelves.shelf();
        let (leave, mut leaving) = mpsc::channel(1);
        let mut tasks = JoinSet::new();
        tasks.spawn(emptying);
        loop {
            let accepted = tokio::select! {
                accepted = self.accept() => accepted,
                Some(absence) = leaving.recv() => {
                    tasks.shutdown().await;
                    return absence;
                }
            };
            while tasks.try_join_next().is_some() {}
            let (number, fault) = roster.next();
            let connection = Connection {
                number,
                fault,
                manners: Arc::clone(manners),
                shelf: shelf.clone(),
                leave: leave.clone(),
            };
            match accepted {
                Accepted::Tcp(stream) => tasks.spawn(connection.over_tcp(stream)),
                Accepted::Unix(stream) => tasks.spawn(connection.over_unix(stream)),
            };
        }
    }

    async fn accept(&self) -> Accepted {
        loop {
            let accepted = match &self.socket {
                Bound::Tcp(listener) => listener.accept().await.map(|(stream, _)| Accepted::Tcp(stream)),
                Bound::Unix(listener) => listener.accept().await.map(|(stream, _)| Accepted::Unix(stream)),
            };
            match accepted {
                Ok(accepted) => return accepted,
                // Out of descriptors, or a connection that is gone already: the next may do better.
                Err(_) => sleep(Duration::from_millis(10)).await,
            }
        }
    }

    /// Keeps its place, so that nobody else takes it, but refuses connections for so long.
    async fn away_for(self, absence: Duration) -> io::Result<Self> {
        let Self { place, receive_buffer, socket } = self;
        drop(socket);
        let taken = place.bind()?;
        sleep(absence).await;
        let socket = taken.listen(receive_buffer)?;
        Ok(Self { place, receive_buffer, socket })
    }
}

/// What each connection suffers.
struct Roster {
    next: u64,
    faults: std::vec::IntoIter<Fault>,
    afterwards: Fault,
}

impl Roster {
    /// The number of the next connection, and its fault.
    fn next(&mut self) -> (u64, Fault) {
        let number = self.next;
        self.next = number.saturating_add(1);
        (number, self.faults.next().unwrap_or(self.afterwards))
    }
}

impl Place {
    /// Takes the place without listening: connections are refused.
    fn bind(&self) -> io::Result<Taken> {
        let (domain, address) = match self {
            Self::Address(address) => (Domain::for_address(*address), SockAddr::from(*address)),
            Self::Path(path) => {
                remove_dead(path)?;
                (Domain::UNIX, SockAddr::unix(path)?)
            }
        };
        let socket = Socket::new(domain, Type::STREAM.nonblocking(), None)?;
        if let Self::Address(_) = self {
            socket.set_reuse_address(true)?;
        }
        socket.bind(&address)?;
        Ok(Taken { socket, unix: domain == Domain::UNIX })
    }
}

/// A place of our own, at which nobody listens yet.
struct Taken {
    socket: Socket,
    unix: bool,
}

impl Taken {
    fn listen(self, receive_buffer: Option<usize>) -> io::Result<Bound> {
        set_receive_buffer(&self.socket, receive_buffer)?;
        self.socket.listen(1024)?;
        if self.unix {
            Ok(Bound::Unix(UnixListener::from_std(self.socket.into())?))
        } else {
            Ok(Bound::Tcp(TcpListener::from_std(self.socket.into())?))
        }
    }
}

/// Removes a socket at which nobody listens; where somebody does, binding will say so.
pub(super) fn remove_dead(path: &Path) -> io::Result<()> {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    if !is_socket || is_alive(path)? {
        return Ok(());
    }
    std::fs::remove_file(path)
}

fn is_alive(path: &Path) -> io::Result<bool> {
    let address = SockAddr::unix(path)?;
    for kind in [Type::STREAM, Type::DGRAM] {
        if Socket::new(Domain::UNIX, kind, None)?.connect(&address).is_ok() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The kernel's buffer for what is read, where one is asked for.
pub(super) fn set_receive_buffer(socket: &Socket, bytes: Option<usize>) -> io::Result<()> {
    bytes.map_or(Ok(()), |bytes| socket.set_recv_buffer_size(bytes))
}
