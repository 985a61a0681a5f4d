//! Messages that come as datagrams, over UDP (RFC 5426) and Unix sockets.
//!
//! **Invariant:** a datagram is a message; there is nothing to frame and nothing to answer.

use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use socket2::SockRef;
use tokio::net::{UdpSocket, UnixDatagram};
use tokio::task::JoinSet;

use super::listener::{remove_dead, set_receive_buffer};
use super::shelf::{Lost, Shelf, Shelves};
use super::{Message, Settings, Transport};

/// A socket that datagrams come to.
#[derive(Debug)]
pub(super) enum Datagrams {
    Udp(UdpSocket),
    Unix(UnixDatagram),
}

impl Datagrams {
    pub(super) async fn bind(settings: &Settings) -> io::Result<Self> {
        if let Transport::UnixDatagram(path) = &settings.transport {
            remove_dead(path)?;
            let socket = UnixDatagram::bind(path)?;
            set_receive_buffer(&SockRef::from(&socket), settings.receive_buffer)?;
            return Ok(Self::Unix(socket));
        }
        let socket = UdpSocket::bind(settings.listen).await?;
        set_receive_buffer(&SockRef::from(&socket), settings.receive_buffer)?;
        Ok(Self::Udp(socket))
    }

    pub(super) fn address(&self) -> io::Result<Option<SocketAddr>> {
        match self {
            Self::Udp(socket) => socket.local_addr().map(Some),
            Self::Unix(_) => Ok(None),
        }
    }

    /// Serves until it is dropped.
    pub(super) async fn serve(self, settings: Settings, shelves: Shelves) {
        let (shelf, emptying) = shelves.shelf();
        let mut tasks = JoinSet::new();
        tasks.spawn(emptying);
        let _lost = self.read(&settings, &shelf).await;
    }

    async fn read(&self, settings: &Settings, shelf: &Shelf) -> Result<(), Lost> {
        let fault = settings.faults.first().copied().unwrap_or(settings.afterwards);
        let mut datagram = vec![0; settings.largest_frame];
        let mut messages = 0;
        while fault.messages().is_none_or(|most| messages < most) {
            // An error here is an ICMP answer to something else; the socket is as good as before.
            let Ok(length) = self.receive(&mut datagram).await else { continue };
            let text = Bytes::copy_from_slice(datagram.get(..length).unwrap_or_default());
            shelf.put(Message { connection: 0, counted: false, text }).await?;
            messages += 1;
        }
        std::future::pending().await
    }

    async fn receive(&self, datagram: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Udp(socket) => socket.recv(datagram).await,
            Self::Unix(socket) => socket.recv(datagram).await,
        }
    }
}
