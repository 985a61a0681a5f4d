//! A syslog receiver over TCP and TLS that tells what it was sent, and misbehaves when asked to.
//!
//! Written from RFC 5425 and RFC 6587, with what rsyslog and syslog-ng do where those are silent:
//! the framing is told by a connection's first byte, half a frame at a connection's end is no
//! message, `close_notify` is answered. Or it speaks RELP ([`Settings::relp`]).
//!
//! **Invariant:** it listens on this machine alone unless told otherwise.
//! **Invariant:** memory is bounded: when its messages are not taken, it stops reading.

mod relp;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use relp::Relp;

use super::authority::Identity;
use crate::net;

/// How to listen and what to do wrong.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Other machines may connect: an address that is not a loopback one is accepted.
    pub beyond_this_machine: bool,
    /// TLS; none: plaintext.
    pub tls: Option<ServerTls>,
    /// RELP; none: plain syslog, its framing told by a connection's first byte.
    pub relp: Option<Relp>,
    /// The longest frame. On a longer one the connection is closed, as syslog-ng does.
    pub largest_frame: usize,
    /// What the first connections suffer, one each. Those that come after are served well.
    pub faults: Vec<Fault>,
}

impl Default for Settings {
    /// A free port of this machine, plaintext, without faults.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            beyond_this_machine: false,
            tls: None,
            relp: None,
            largest_frame: 1 << 20,
            faults: Vec::new(),
        }
    }
}

/// TLS on the server's side.
#[derive(Debug, Clone)]
pub struct ServerTls {
    /// The certificate to show.
    pub identity: Identity,
    /// A client has to show a certificate of the authority in this PEM text.
    pub clients_of: Option<String>,
    /// The newest version to speak is TLS 1.2.
    pub only_tls_1_2: bool,
}

impl ServerTls {
    /// TLS 1.2 and 1.3, with no certificate asked of clients.
    pub fn new(identity: Identity) -> Self {
        Self { identity, clients_of: None, only_tls_1_2: false }
    }
}

/// What goes wrong with one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// It is closed as soon as it is accepted.
    CloseAtOnce,
    /// It is answered in plaintext, whatever was spoken to it.
    Plaintext,
    /// It is closed in order after so many messages.
    HangUpAfter(u64),
    /// It is reset after so many bytes of text, mid-frame or not.
    ResetAfter(u64),
    /// Nothing is read any more after so many messages, and it stays open.
    StallAfter(u64),
    /// RELP: so many messages are answered, and nothing after them, not even `close`; all are taken.
    SilentAfter(u64),
    /// RELP: `serverclose` follows the answer to so many messages, and the end of the connection.
    ServerCloseAfter(u64),
    /// RELP: the answer to the message behind so many breaks off, and so does the connection.
    CutAnswerAfter(u64),
}

/// What happens at the receiver, in the order in which it happens on each connection.
#[derive(Debug)]
pub enum Arrival {
    /// A connection, its handshake done.
    Connected {
        /// Its number, from 0.
        connection: u64,
        /// `TLSv1_3`; none: plaintext.
        tls: Option<String>,
    },
    /// No connection: the handshake failed.
    Refused {
        /// Its number, from 0.
        connection: u64,
        /// Why.
        reason: io::Error,
    },
    /// One message.
    Message(Message),
    /// The end of a connection.
    Ended {
        /// Its number, from 0.
        connection: u64,
        /// What was there of a frame that never became whole.
        torn: Bytes,
        /// How it ended.
        how: Ended,
    },
}

/// One message, without its frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The number of its connection, from 0.
    pub connection: u64,
    /// The connection counts octets, as RELP does too; otherwise it ends messages with line feeds.
    pub counted: bool,
    /// The text.
    pub text: Bytes,
}

/// How a connection ended.
#[derive(Debug)]
pub enum Ended {
    /// The sender closed it.
    BySender,
    /// Our own doing, by [`Fault`].
    ByFault,
    /// A length that is none, or above [`Settings::largest_frame`].
    BadFrame,
    /// It broke.
    Broken(io::Error),
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
        if !settings.listen.ip().is_loopback() && !settings.beyond_this_machine {
            return Err(StartError::BeyondThisMachine(settings.listen));
        }
        let tls = settings.tls.as_ref().map(acceptor).transpose().map_err(StartError::Tls)?;
        let listen = |source| StartError::Listen { address: settings.listen, source };
        let listener = TcpListener::bind(settings.listen).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let (tell, arrivals) = mpsc::channel(WAITING);
        let stop = CancellationToken::new();
        let serving = serve(listener, settings, tls, tell);
        let serving = tokio::spawn(stop.clone().run_until_cancelled_owned(serving));
        Ok(Self { address, arrivals, serving, stops: stop.drop_guard() })
    }

    /// Stops as a killed process does: connections are closed where they are, and when this returns
    /// the port is free.
    pub async fn stop(self) {
        drop(self.stops);
        let _stopped = self.serving.await;
    }

    /// Where it listens.
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

async fn serve(
    listener: TcpListener,
    settings: Settings,
    tls: Option<TlsAcceptor>,
    tell: mpsc::Sender<Arrival>,
) {
    // With this future its connections are dropped too.
    let mut connections = tokio::task::JoinSet::new();
    let mut faults = settings.faults.into_iter();
    for number in 0.. {
        let stream = loop {
            match listener.accept().await {
                Ok((stream, _)) => break stream,
                // Out of descriptors, or a connection that is gone already: the next may do better.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        };
        while connections.try_join_next().is_some() {}
        let connection = Connection {
            number,
            fault: faults.next().unwrap_or(Fault::None),
            largest_frame: settings.largest_frame,
            relp: settings.relp.clone(),
            tell: tell.clone(),
        };
        connections.spawn(connection.run(stream, tls.clone()));
    }
}

fn acceptor(tls: &ServerTls) -> Result<TlsAcceptor, Box<dyn std::error::Error + Send + Sync>> {
    let provider = net::provider();
    let versions: &[&SupportedProtocolVersion] =
        if tls.only_tls_1_2 { &[&rustls::version::TLS12] } else { rustls::DEFAULT_VERSIONS };
    let config =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(versions)?;
    let config = match &tls.clients_of {
        None => config.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(authority.as_bytes())?)?;
            let judge = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build()?;
            config.with_client_cert_verifier(judge)
        }
    };
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(tls.identity.certificate.as_bytes()).collect();
    let key = PrivateKeyDer::from_pem_slice(tls.identity.key.as_bytes())?;
    Ok(TlsAcceptor::from(Arc::new(config.with_single_cert(chain?, key)?)))
}

struct Connection {
    number: u64,
    fault: Fault,
    largest_frame: usize,
    relp: Option<Relp>,
    tell: mpsc::Sender<Arrival>,
}

/// Nobody takes arrivals any more.
struct Unheard;

impl From<mpsc::error::SendError<Arrival>> for Unheard {
    fn from(_: mpsc::error::SendError<Arrival>) -> Self {
        Self
    }
}

impl Connection {
    async fn run(self, stream: TcpStream, tls: Option<TlsAcceptor>) {
        // Answers of the handshake wait for nothing.
        let _nodelay = stream.set_nodelay(true);
        // An unheard receiver has nothing left to do.
        let _heard = self.accept(stream, tls).await;
    }

    async fn accept(&self, mut stream: TcpStream, tls: Option<TlsAcceptor>) -> Result<(), Unheard> {
        match self.fault {
            Fault::CloseAtOnce => return self.end(Bytes::new(), Ended::ByFault).await,
            Fault::Plaintext => {
                let _said = stream.write_all(b"220 ready\r\n").await;
                let _closed = stream.shutdown().await;
                return self.end(Bytes::new(), Ended::ByFault).await;
            }
            _ => {}
        }
        let connection = self.number;
        let Some(tls) = tls else {
            self.tell.send(Arrival::Connected { connection, tls: None }).await?;
            return self.read(stream, |stream| stream).await;
        };
        match tls.accept(stream).await {
            Ok(stream) => {
                let version = stream.get_ref().1.protocol_version().and_then(|version| version.as_str());
                let tls = Some(version.unwrap_or("TLS").to_owned());
                self.tell.send(Arrival::Connected { connection, tls }).await?;
                self.read(stream, |stream| stream.get_ref().0).await
            }
            Err(reason) => Ok(self.tell.send(Arrival::Refused { connection, reason }).await?),
        }
    }

    /// Reads to the end. `socket` finds the TCP connection inside the stream.
    async fn read<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        mut stream: S,
        socket: impl Fn(&S) -> &TcpStream,
    ) -> Result<(), Unheard> {
        if let Some(relp) = &self.relp {
            if let Fault::ResetAfter(_) = self.fault {
                let _reset = SockRef::from(socket(&stream)).set_linger(Some(Duration::ZERO));
            }
            return self.speak_relp(stream, relp).await;
        }
        let mut rest = BytesMut::new();
        let mut counted = None;
        let mut messages = 0;
        let mut bytes_left = if let Fault::ResetAfter(bytes) = self.fault { bytes } else { u64::MAX };
        let how = loop {
            while !self.is_enough(messages)
                && let Some(frame) = next_frame(&mut rest, &mut counted, self.largest_frame)
            {
                let Ok(text) = frame else { return self.end(rest.freeze(), Ended::BadFrame).await };
                let counted = counted.unwrap_or(false);
                self.tell.send(Arrival::Message(Message { connection: self.number, counted, text })).await?;
                messages += 1;
            }
            if self.is_enough(messages) {
                if let Fault::StallAfter(_) = self.fault {
                    std::future::pending::<()>().await;
                }
                break Ended::ByFault;
            }
            if bytes_left == 0 {
                let _reset = SockRef::from(socket(&stream)).set_linger(Some(Duration::ZERO));
                return self.end(rest.freeze(), Ended::ByFault).await;
            }
            let mut piece = (&mut stream).take(bytes_left);
            rest.reserve(PIECE);
            match piece.read_buf(&mut rest).await {
                Ok(0) => break Ended::BySender,
                Ok(read) => bytes_left -= u64::try_from(read).unwrap_or(0),
                Err(fault) => break Ended::Broken(fault),
            }
        };
        let _answered = stream.shutdown().await;
        self.end(rest.freeze(), how).await
    }

    fn is_enough(&self, messages: u64) -> bool {
        matches!(self.fault, Fault::HangUpAfter(most) | Fault::StallAfter(most) if messages >= most)
    }

    async fn end(&self, torn: Bytes, how: Ended) -> Result<(), Unheard> {
        Ok(self.tell.send(Arrival::Ended { connection: self.number, torn, how }).await?)
    }
}

const PIECE: usize = 64 * 1024;

/// No length, or one beyond all bounds.
struct BadFrame;

/// Takes the next whole frame. The first byte of a connection tells the framing: a digit begins a
/// count, anything else a line.
fn next_frame(
    rest: &mut BytesMut,
    counted: &mut Option<bool>,
    largest: usize,
) -> Option<Result<Bytes, BadFrame>> {
    let first = rest.first()?;
    if *counted.get_or_insert(first.is_ascii_digit()) {
        next_counted(rest, largest).transpose()
    } else {
        next_line(rest, largest).transpose()
    }
}

fn next_counted(rest: &mut BytesMut, largest: usize) -> Result<Option<Bytes>, BadFrame> {
    let Some(space) = rest.iter().take(MOST_DIGITS).position(|&byte| byte == b' ') else {
        return if rest.len() < MOST_DIGITS { Ok(None) } else { Err(BadFrame) };
    };
    let digits = rest.get(..space).unwrap_or_default();
    let plain = digits.iter().all(u8::is_ascii_digit) && !digits.starts_with(b"0");
    let length = std::str::from_utf8(digits).ok().filter(|_| plain).and_then(|digits| digits.parse().ok());
    let length: usize = length.filter(|&length| length <= largest).ok_or(BadFrame)?;
    let text = space.saturating_add(1);
    if rest.len() < text.saturating_add(length) {
        return Ok(None);
    }
    rest.advance(text);
    Ok(Some(rest.split_to(length).freeze()))
}

const MOST_DIGITS: usize = 11;

fn next_line(rest: &mut BytesMut, largest: usize) -> Result<Option<Bytes>, BadFrame> {
    let Some(end) = rest.iter().position(|&byte| byte == b'\n') else {
        return if rest.len() <= largest { Ok(None) } else { Err(BadFrame) };
    };
    let line = rest.split_to(end).freeze();
    rest.advance(1);
    Ok(Some(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(text: &str) -> (Vec<String>, String, bool) {
        let mut rest = BytesMut::from(text);
        let (mut counted, mut found, mut bad) = (None, Vec::new(), false);
        while let Some(frame) = next_frame(&mut rest, &mut counted, 100) {
            let Ok(frame) = frame else {
                bad = true;
                break;
            };
            found.push(String::from_utf8(frame.to_vec()).unwrap());
        }
        (found, String::from_utf8(rest.to_vec()).unwrap(), bad)
    }

    #[test]
    fn reads_both_framings() {
        assert_eq!(frames("3 abc5 d\nfgh2 x"), (vec!["abc".into(), "d\nfgh".into()], "2 x".into(), false));
        assert_eq!(frames("<1>a\n2 b\n<3>c"), (vec!["<1>a".into(), "2 b".into()], "<3>c".into(), false));
        assert_eq!(frames(""), (vec![], String::new(), false));
    }

    #[test]
    fn refuses_lengths_that_are_none() {
        for text in ["03 abc", "3x abc", "101 a", "12345678901234 a", "99999999999"] {
            assert!(frames(text).2, "{text}");
        }
        assert!(frames("1 a\n1 b").2, "a line feed behind a counted frame belongs to nothing");
    }

    #[tokio::test]
    async fn keeps_to_this_machine() {
        let settings = Settings { listen: ([0, 0, 0, 0], 0).into(), ..Settings::default() };
        assert!(matches!(Receiver::start(settings).await, Err(StartError::BeyondThisMachine(_))));
    }
}
