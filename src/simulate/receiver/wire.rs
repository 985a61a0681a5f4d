//! What a stream socket can do besides carrying bytes: TCP, TLS over it, and Unix.

use std::io::{IoSlice, Write};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

/// One accepted connection.
pub(super) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {
    /// The socket, beneath TLS.
    fn socket(&mut self) -> &mut (dyn AsyncWrite + Unpin + Send);

    /// When it is closed it is reset.
    fn reset_when_closed(&self) {}

    /// Queues the answer to a `KeyUpdate`, if one asked for it and all that came before has been taken.
    fn answer_key_update(&mut self) {}
}

impl Wire for TcpStream {
    fn socket(&mut self) -> &mut (dyn AsyncWrite + Unpin + Send) {
        self
    }

    fn reset_when_closed(&self) {
        let _reset = SockRef::from(self).set_linger(Some(Duration::ZERO));
    }
}

impl Wire for UnixStream {
    fn socket(&mut self) -> &mut (dyn AsyncWrite + Unpin + Send) {
        self
    }
}

impl Wire for TlsStream<TcpStream> {
    fn socket(&mut self) -> &mut (dyn AsyncWrite + Unpin + Send) {
        self.get_mut().0
    }

    fn reset_when_closed(&self) {
        self.get_ref().0.reset_when_closed();
    }

    fn answer_key_update(&mut self) {
        let (_, session) = self.get_mut();
        // rustls reads on only when no plaintext waits to be taken. The answer waits until something
        // is written, and writing nothing is enough.
        if session.wants_read() {
            let _nothing = session.writer().write_vectored(&[IoSlice::new(&[])]);
        }
    }
}
