//! Where a destination's messages go, and how a way there is opened.

use std::path::PathBuf;

use tokio::net::{TcpStream, UnixDatagram, UnixStream};
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use super::assurance::Assurance;
use super::failure::Failure;
use super::line::{
    Datagram, End, File, Io, Kind, Proof, Records, Relp, Stdout, Stream, Wire, can_be_opened, shown,
};
use super::probe::{Probe, ProbedTls};
use super::sink::Timeouts;
use crate::net::{self, Address, Certificate, TlsClient};

/// One place that takes messages.
#[derive(Debug, Clone)]
pub enum Endpoint {
    /// Syslog over TCP, or TLS over it.
    Stream {
        /// Where it listens.
        address: Address,
        /// With whom to speak TLS; none: plaintext.
        tls: Option<TlsClient>,
    },
    /// RELP over TCP, or TLS over it.
    Relp {
        /// Where it listens.
        address: Address,
        /// With whom to speak TLS; none: plaintext.
        tls: Option<TlsClient>,
    },
    /// Syslog over UDP.
    Udp {
        /// Where it listens.
        address: Address,
    },
    /// A socket of this machine.
    Unix {
        /// Where it lies.
        path: PathBuf,
        /// What it takes.
        kind: UnixKind,
    },
    /// Standard output, for people and pipes.
    Stdout,
    /// A file that grows line by line, made with mode 0600 when it is first written to.
    File {
        /// Where it lies.
        path: PathBuf,
    },
}

/// What a Unix socket takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnixKind {
    /// Whichever it is: datagrams are tried first, as syslog(3) does.
    Any,
    /// A message a datagram.
    Datagram,
    /// Framed messages.
    Stream,
}

/// A way that is open, and what can be expected of it.
#[derive(Debug, Clone)]
pub struct Link {
    /// Where to.
    pub endpoint: String,
    /// What its receipts are worth.
    pub assurance: Assurance,
    /// Why they are not worth more.
    pub because: Option<&'static str>,
    /// What the handshake settled; none: plaintext.
    pub tls: Option<ProbedTls>,
}

/// How the receiver's words on a connection are to be understood.
#[derive(Debug, Clone)]
pub(super) struct Speech {
    tls: Option<TlsClient>,
}

/// What is wanted of a line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) timeouts: Timeouts,
    /// Receipts are wanted.
    pub(super) receipts: bool,
    /// Its TLS is known not to answer.
    pub(super) mute: bool,
}

impl Endpoint {
    /// A receiver in plaintext.
    pub fn tcp(address: impl Into<Address>) -> Self {
        Self::Stream { address: address.into(), tls: None }
    }

    /// A receiver that speaks RELP, over TLS where a client is given.
    pub fn relp(address: impl Into<Address>, tls: Option<TlsClient>) -> Self {
        Self::Relp { address: address.into(), tls }
    }

    /// A receiver over TLS.
    pub fn tls(address: impl Into<Address>, client: TlsClient) -> Self {
        Self::Stream { address: address.into(), tls: Some(client) }
    }

    /// The place in words.
    pub fn place(&self) -> String {
        match self {
            Self::Stream { address, .. } | Self::Relp { address, .. } | Self::Udp { address } => {
                address.to_string()
            }
            Self::Unix { path, .. } | Self::File { path } => shown(path),
            Self::Stdout => "stdout".to_owned(),
        }
    }

    /// The TLS client, where there is TLS.
    pub(super) fn client(&self) -> Option<&TlsClient> {
        match self {
            Self::Stream { tls, .. } | Self::Relp { tls, .. } => tls.as_ref(),
            Self::Udp { .. } | Self::Unix { .. } | Self::Stdout | Self::File { .. } => None,
        }
    }

    /// Opens a way there.
    pub(super) async fn open(&self, wanted: Wanted) -> Result<(Kind, Link), Failure> {
        let handed_over = |because| (Assurance::HandedOver, Some(because));
        let (kind, tls, (assurance, because)) = match self {
            Self::Stream { address, tls } => {
                let (wire, tls) = connect(address, tls.as_ref(), &wanted.timeouts).await?;
                let (proof, worth) = proof(tls.as_ref(), &wanted);
                (self.stream(wire, proof, &wanted), tls, worth)
            }
            Self::Relp { address, tls } => {
                let (relp, tls) = self.session(address, tls.as_ref(), &wanted.timeouts).await?;
                (Kind::Relp(Box::new(relp)), tls, (Assurance::Acknowledged, None))
            }
            Self::Udp { address } => {
                let socket = net::connect_udp(address, wanted.timeouts.connect).await?;
                (Kind::Datagram(Datagram::Udp(socket)), None, handed_over("UDP brings no word back"))
            }
            Self::Unix { path, kind } => match unix(path, *kind).await? {
                Socket::Datagram(socket) => {
                    let because = "a datagram socket brings no word back";
                    (Kind::Datagram(Datagram::Unix(socket)), None, handed_over(because))
                }
                Socket::Stream(socket) => {
                    let (proof, worth) = proof(None, &wanted);
                    (self.stream(Wire::new(Io::Unix(socket)), proof, &wanted), None, worth)
                }
            },
            Self::Stdout => (
                Kind::Stdout(Stdout::default()),
                None,
                handed_over("who reads a standard output says nothing"),
            ),
            Self::File { path } => (Kind::File(File::new(path.clone())), None, (Assurance::Durable, None)),
        };
        Ok((kind, Link { endpoint: self.place(), assurance, because, tls }))
    }

    fn stream(&self, wire: Wire, proof: Proof, wanted: &Wanted) -> Kind {
        Kind::Stream(Box::new(Stream::new(wire, self.speech(), proof, wanted.timeouts)))
    }

    /// A RELP session that is open.
    async fn session(
        &self,
        address: &Address,
        client: Option<&TlsClient>,
        timeouts: &Timeouts,
    ) -> Result<(Relp, Option<ProbedTls>), Failure> {
        let (wire, tls) = connect(address, client, timeouts).await?;
        Ok((Relp::open(wire, self.speech(), *timeouts).await?, tls))
    }

    fn speech(&self) -> Speech {
        Speech { tls: self.client().cloned() }
    }

    /// Tries it without sending anything: name, connection, handshake, and whether the connection
    /// outlives [`Timeouts::grace`]. For a file: whether it can be written to.
    pub(super) async fn probe(&self, timeouts: &Timeouts) -> Result<Probe, Failure> {
        match self {
            Self::Stream { address, tls } => {
                let (mut wire, tls) = connect(address, tls.as_ref(), timeouts).await?;
                if let Some(end) = wire.ended_within(timeouts.grace).await {
                    return Err(self.speech().failure(wire.heard(), end, true));
                }
                wire.finish();
                // The answer is not what is asked about here.
                let _farewell = wire.ended_within(timeouts.grace).await;
                Ok(Probe::Connected { tls })
            }
            Self::Relp { address, tls } => {
                let (relp, tls) = self.session(address, tls.as_ref(), timeouts).await?;
                // The answer is not what is asked about here.
                let _farewell = relp.farewell(timeouts.grace).await;
                Ok(Probe::Connected { tls })
            }
            Self::Udp { address } => {
                net::connect_udp(address, timeouts.connect).await?;
                Ok(Probe::Local)
            }
            Self::Unix { path, kind } => unix(path, *kind).await.map(|socket| match socket {
                Socket::Datagram(_) => Probe::Local,
                Socket::Stream(_) => Probe::Connected { tls: None },
            }),
            Self::Stdout => Ok(Probe::Local),
            Self::File { path } => match can_be_opened(path).await {
                Ok(()) => Ok(Probe::Local),
                Err(source) => Err(Failure::File { doing: "open", source }),
            },
        }
    }
}

/// What shows that something has arrived, what that is worth, and why it is not worth more.
fn proof(tls: Option<&ProbedTls>, wanted: &Wanted) -> (Proof, (Assurance, Option<&'static str>)) {
    let worth = Assurance::of_stream(tls.map(|tls| tls.version.as_str()), wanted.receipts);
    match worth.0 {
        Assurance::Flushed => (Proof::Flush, worth),
        Assurance::Read if wanted.mute => (Proof::End, (Assurance::ReadAtEnd, Some(MUTE))),
        Assurance::Read => (Proof::Answers, worth),
        _ => (Proof::End, worth),
    }
}

/// Why the receipts of a TLS 1.3 connection are not those of TLS 1.3.
pub(super) const MUTE: &str =
    "the receiver's TLS does not answer key updates, so it shows what it has read when a connection ends";

/// A connection with its handshake done, and what the handshake settled.
async fn connect(
    address: &Address,
    client: Option<&TlsClient>,
    timeouts: &Timeouts,
) -> Result<(Wire, Option<ProbedTls>), Failure> {
    let open = || async { net::connect(address, timeouts.connect).await.map_err(Failure::from) };
    let Some(client) = client else { return Ok((Wire::new(Io::Tcp(open().await?)), None)) };
    let mut tls = client.dial(async || open().await.map(Records::new), timeouts.handshake).await?;
    tls.get_mut().0.forget();
    let about = agreed(client, &tls);
    Ok((Wire::new(Io::Tls(Box::new(tls))), Some(about)))
}

fn agreed(client: &TlsClient, tls: &TlsStream<Records<TcpStream>>) -> ProbedTls {
    let session = tls.get_ref().1;
    ProbedTls {
        version: session.protocol_version().map_or_else(String::new, |version| words(version.as_str())),
        cipher: session
            .negotiated_cipher_suite()
            .map_or_else(String::new, |suite| words(suite.suite().as_str())),
        verification: client.verification(),
        chain: session.peer_certificates().unwrap_or_default().iter().map(Certificate::describe).collect(),
        client_certificate: client.has_certificate(),
    }
}

enum Socket {
    Datagram(UnixDatagram),
    Stream(UnixStream),
}

async fn unix(path: &std::path::Path, kind: UnixKind) -> Result<Socket, Failure> {
    let datagram = || -> std::io::Result<Socket> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(path)?;
        Ok(Socket::Datagram(socket))
    };
    let of = |source| Failure::Socket { source };
    if kind != UnixKind::Stream {
        match datagram() {
            // EPROTOTYPE: it is of the other kind.
            Err(fault) if kind == UnixKind::Any && fault.raw_os_error() == Some(PROTOTYPE) => {}
            connected => return connected.map_err(of),
        }
    }
    let connecting = timeout(CONNECT, UnixStream::connect(path)).await;
    let connected = connecting.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
    connected.map(Socket::Stream).map_err(of)
}

const PROTOTYPE: i32 = rustix::io::Errno::PROTOTYPE.raw_os_error();
/// A socket of this machine answers at once, or its owner is stuck.
const CONNECT: std::time::Duration = std::time::Duration::from_secs(5);

impl Speech {
    /// TLS is what the receiver first said, most likely an alert, and plaintext what it was spoken to.
    pub(super) fn is_tls_unasked(&self, heard: &[u8]) -> bool {
        self.tls.is_none() && matches!(heard, [0x15 | 0x16, 0x03, ..])
    }

    /// What the end of a connection means on which the receiver first said `heard`. `fresh`: nothing
    /// was confirmed on it.
    pub(super) fn failure(&self, heard: &[u8], end: End, fresh: bool) -> Failure {
        match (end, &self.tls) {
            _ if self.is_tls_unasked(heard) => Failure::WantsTls,
            (End::Closed | End::InOrder, _) => Failure::Closed { fresh },
            (End::Fault(source), None) => Failure::Broken { fresh, source },
            (End::Fault(fault), Some(client)) => match client.explain(fault) {
                Ok(tls) => Failure::Tls(tls),
                Err(source) => Failure::Broken { fresh, source },
            },
        }
    }
}

/// `TLS13_AES_256_GCM_SHA384` and `TLSv1_3` as people write them.
fn words(name: Option<&'static str>) -> String {
    name.unwrap_or("unknown").replace("TLSv1_", "TLS 1.").replace("TLS13_", "TLS_")
}
