//! One TLS connection: its handshake, and in plain words what went wrong when it goes wrong.
//!
//! **Invariant:** no connection without a receiver whose certificate is the right one: by a name
//! that it was verified against, by a fingerprint, or by both.
//! **Invariant:** a session is resumed only under the trust and the identity that it was made with,
//! and never beyond the end of the certificate that it was verified by.
//!
//! With TLS 1.3 the client's handshake is over *before* the server has looked at the client's
//! certificate: a refusal comes as an alert on a later read. [`TlsClient::explain`] therefore reads
//! the errors of a running connection as well.

mod error;

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rustls::client::Resumption;
use rustls::pki_types::{ServerName, UnixTime};
use rustls::{AlertDescription as Alert, CertificateError, ClientConfig, HandshakeKind};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub use self::error::{HandshakeError, Reason, Shown};
use super::address::ip;
use super::attempt::{Attempt, Sessions, observed};
use super::certificate::Certificate;
use super::judge::Judge;
use super::tls::{ClientTls, Material, Refreshed, TlsError, Trust};

/// A client that knows whom it wants to reach. Clones share their sessions.
#[derive(Debug, Clone)]
pub struct TlsClient {
    tls: ClientTls,
    /// The certificate must bear it.
    name: ServerName<'static>,
    /// What the connection is made with: a DNS name is sent as SNI, an IP address is not.
    sent: ServerName<'static>,
    session: Arc<Mutex<Option<Session>>>,
}

/// What connections are made with until something changes. Its sessions go when it goes.
struct Session {
    made_of: Arc<Material>,
    config: Arc<ClientConfig>,
    /// When to begin with another: the first end among the certificates of the receiver's chain, or
    /// the end of an hour in which none is resumed.
    ends: Option<Timestamp>,
}

const WITHOUT_SESSIONS: Duration = Duration::from_secs(60 * 60);

impl TlsClient {
    /// A client that accepts only a certificate for `name`: a DNS name, which is also sent as SNI,
    /// or an IP address, which has to stand in the certificate as an iPAddress. Where fingerprints
    /// alone decide, the name is only sent.
    ///
    /// # Errors
    /// [`TlsError::BadName`] when the text is neither.
    pub fn new(tls: ClientTls, name: &str) -> Result<Self, TlsError> {
        let name = server_name(name)?;
        Ok(Self { tls, sent: name.clone(), name, session: Arc::default() })
    }

    /// Sends another name as SNI than the one that the certificate must bear.
    ///
    /// # Errors
    /// [`TlsError::BadSni`] when it is no DNS name.
    pub fn with_sni(mut self, sni: &str) -> Result<Self, TlsError> {
        self.sent = sni_name(sni)?;
        self.session = Arc::default();
        Ok(self)
    }

    /// The name that the receiver's certificate has to bear, where fingerprints alone do not decide.
    pub fn name(&self) -> String {
        self.name.to_str().into_owned()
    }

    /// How a receiver that was connected to is known to be the right one, in words: `verified as
    /// siem.example.com`.
    pub fn verification(&self) -> String {
        match self.tls.trust() {
            Trust::Chain { pins, .. } if pins.is_empty() => format!("verified as {}", self.name()),
            Trust::Chain { .. } => format!("verified as {} and by its fingerprint", self.name()),
            Trust::Pinned(_) => "verified by its fingerprint".to_owned(),
        }
    }

    /// A certificate of our own is shown when the receiver asks for one.
    pub fn has_certificate(&self) -> bool {
        self.tls.has_certificate()
    }

    /// The certificate we show, then its chain, as they are in use now.
    pub fn own_certificates(&self) -> Vec<Certificate> {
        self.tls.own_certificates()
    }

    /// Looks whether the files of trust and identity have changed; cheap enough for every second.
    /// The clients of one destination share them, and the first who asks is told.
    pub fn refresh(&self) -> Refreshed {
        self.tls.refresh()
    }

    /// Forgets the sessions of this receiver and offers it none for an hour: it has ended a resumed
    /// connection at once, or the attempt to resume one, and would do so each time.
    pub fn forget_sessions(&self) {
        let mut session = self.session();
        if let Some(Session { made_of, .. }) = session.take() {
            let ends = Timestamp::now().saturating_add(WITHOUT_SESSIONS).ok();
            *session = Some(Session::new(made_of, self, Resumption::disabled(), ends));
        }
    }

    /// Opens a stream by `open` and shakes hands over it, and does so once more when the receiver
    /// does not take it that a session was offered to be resumed: OpenSSL servers that ask for client
    /// certificates without a session id context do not.
    pub async fn dial<IO, E, F>(&self, open: impl Fn() -> F, patience: Duration) -> Result<TlsStream<IO>, E>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
        F: Future<Output = Result<IO, E>>,
        E: From<HandshakeError>,
    {
        let mut once_more = true;
        loop {
            match self.connect(open().await?, patience).await {
                Err(HandshakeError::NotResumed { .. }) if once_more => once_more = false,
                outcome => return Ok(outcome?),
            }
        }
    }

    /// Shakes hands over `stream`, with a look at the files first.
    ///
    /// # Errors
    /// [`HandshakeError`]. After [`HandshakeError::NotResumed`] it is worth trying again at once.
    pub async fn connect<IO: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: IO,
        patience: Duration,
    ) -> Result<TlsStream<IO>, HandshakeError> {
        let config = self.config(Timestamp::now());
        let connector = TlsConnector::from(Arc::clone(&config));
        // A connection is some kilobytes large: not in the future of everybody who awaits this.
        let handshake = Box::pin(async { connector.connect(self.sent.clone(), stream).await });
        let (outcome, attempt) = observed(timeout(patience, handshake)).await;
        match outcome {
            Ok(Ok(stream)) => {
                self.note_end(&config, &stream);
                Ok(stream)
            }
            Ok(Err(fault)) => Err(self.failed(fault, attempt)),
            Err(_) => Err(HandshakeError::TimedOut { patience }),
        }
    }

    fn config(&self, now: Timestamp) -> Arc<ClientConfig> {
        let material = self.tls.material();
        let mut session = self.session();
        match &*session {
            Some(session) if session.holds(&material, now) => Arc::clone(&session.config),
            _ => {
                let new = Session::new(material, self, Resumption::store(Arc::new(Sessions::new())), None);
                let config = Arc::clone(&new.config);
                *session = Some(new);
                config
            }
        }
    }

    /// A resumed session shows no certificate: the end of the one it stands on is kept with it.
    fn note_end<IO>(&self, config: &Arc<ClientConfig>, stream: &TlsStream<IO>) {
        let connection = stream.get_ref().1;
        if connection.handshake_kind() == Some(HandshakeKind::Resumed) {
            return;
        }
        let chain = connection.peer_certificates().unwrap_or_default();
        let ends = chain.iter().filter_map(|certificate| Certificate::describe(certificate).not_after).min();
        if let Some(session) = &mut *self.session()
            && Arc::ptr_eq(&session.config, config)
        {
            session.ends = session.ends.into_iter().chain(ends).min();
        }
    }

    fn failed(&self, fault: io::Error, attempt: Attempt) -> HandshakeError {
        let offered_session = attempt.offered_session;
        let error = self.read(fault, attempt);
        if offered_session && error.is_of_the_receivers_making() {
            self.forget_sessions();
            return HandshakeError::NotResumed { cause: Box::new(error) };
        }
        error
    }

    fn session(&self) -> MutexGuard<'_, Option<Session>> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What an error on a running connection means, where it is about TLS; otherwise it comes back.
    ///
    /// # Errors
    /// The error itself, when it is the socket's own.
    pub fn explain(&self, fault: io::Error) -> Result<HandshakeError, io::Error> {
        if rustls_error(&fault).is_some() { Ok(self.read(fault, Attempt::default())) } else { Err(fault) }
    }

    fn read(&self, fault: io::Error, attempt: Attempt) -> HandshakeError {
        let Some(error) = rustls_error(&fault) else { return HandshakeError::Cut { source: fault } };
        match error {
            rustls::Error::InvalidCertificate(wrong) => self.misjudged(wrong.clone(), attempt),
            rustls::Error::AlertReceived(alert) => self.alerted(*alert),
            rustls::Error::InvalidMessage(_) => HandshakeError::NotTls,
            rustls::Error::PeerIncompatible(_) => HandshakeError::NothingInCommon { source: error.clone() },
            other => HandshakeError::Protocol { source: other.clone() },
        }
    }

    fn misjudged(&self, wrong: CertificateError, attempt: Attempt) -> HandshakeError {
        let name = self.name();
        let Attempt { leaf, accepted, .. } = attempt;
        match wrong {
            CertificateError::ExpiredContext { not_after, .. } => {
                HandshakeError::Expired { name, leaf: leaf.into(), on: moment(not_after) }
            }
            CertificateError::NotValidYetContext { not_before, .. } => {
                HandshakeError::NotYetValid { name, leaf: leaf.into(), from: moment(not_before) }
            }
            CertificateError::NotValidForNameContext { presented, .. } => HandshakeError::WrongName {
                wanted: name,
                presented: presented.iter().map(|n| plain(n)).collect(),
            },
            CertificateError::BadSignature if accepted => {
                HandshakeError::WithoutItsKey { name, leaf: leaf.into() }
            }
            CertificateError::BadSignature => HandshakeError::OtherKey { name, leaf: leaf.into() },
            CertificateError::UnknownIssuer => HandshakeError::UnknownIssuer { name, leaf: leaf.into() },
            CertificateError::ApplicationVerificationFailure => {
                HandshakeError::NotPinned { name, leaf: leaf.into() }
            }
            CertificateError::Other(_) if leaf.as_ref().is_some_and(|leaf| leaf.first_version) => {
                HandshakeError::FirstVersion { name, leaf: leaf.into() }
            }
            CertificateError::Other(_) if leaf.as_ref().is_some_and(|leaf| leaf.self_issued) => {
                HandshakeError::AuthorityItself { name, leaf: leaf.into() }
            }
            wrong => {
                let source = rustls::Error::InvalidCertificate(wrong);
                HandshakeError::BadCertificate { name, leaf: leaf.into(), source }
            }
        }
    }

    fn alerted(&self, alert: Alert) -> HandshakeError {
        match alert {
            Alert::CertificateRequired => HandshakeError::CertificateWanted,
            Alert::BadCertificate
            | Alert::NoCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
                if self.has_certificate() =>
            {
                HandshakeError::CertificateRefused { alert: Reason::from(alert) }
            }
            alert => {
                HandshakeError::Alert { alert: Reason::from(alert), with_certificate: self.has_certificate() }
            }
        }
    }
}

impl Session {
    fn new(
        made_of: Arc<Material>,
        client: &TlsClient,
        resumption: Resumption,
        ends: Option<Timestamp>,
    ) -> Self {
        let mut config = made_of.config.clone();
        let algorithms = config.crypto_provider().signature_verification_algorithms;
        let judge = Judge {
            chain: made_of.chain.clone().map(|chain| (chain, client.name.clone())),
            pins: client.tls.trust().pins().to_vec(),
            algorithms,
        };
        config.dangerous().set_certificate_verifier(Arc::new(judge));
        config.resumption = resumption;
        Self { made_of, config: Arc::new(config), ends }
    }

    fn holds(&self, material: &Arc<Material>, now: Timestamp) -> bool {
        Arc::ptr_eq(&self.made_of, material) && self.ends.is_none_or(|ends| now <= ends)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("ends", &self.ends).finish_non_exhaustive()
    }
}

/// Whether `name` is one that a certificate can be verified against: a DNS name or an IP address.
///
/// # Errors
/// [`TlsError::BadName`]
pub fn check_server_name(name: &str) -> Result<(), TlsError> {
    server_name(name).map(drop)
}

/// Whether `name` can be sent as SNI (RFC 6066 §3): a DNS name.
///
/// # Errors
/// [`TlsError::BadSni`]
pub fn check_sni(name: &str) -> Result<(), TlsError> {
    sni_name(name).map(drop)
}

fn server_name(name: &str) -> Result<ServerName<'static>, TlsError> {
    match ip(name) {
        Some(address) => Ok(ServerName::from(address)),
        None => {
            ServerName::try_from(name.to_owned()).map_err(|_| TlsError::BadName { name: name.to_owned() })
        }
    }
}

fn sni_name(name: &str) -> Result<ServerName<'static>, TlsError> {
    match server_name(name) {
        Ok(sent @ ServerName::DnsName(_)) => Ok(sent),
        _ => Err(TlsError::BadSni { name: name.to_owned() }),
    }
}

fn rustls_error(fault: &io::Error) -> Option<&rustls::Error> {
    fault.get_ref()?.downcast_ref()
}

fn moment(at: UnixTime) -> Option<Timestamp> {
    Timestamp::from_second(i64::try_from(at.as_secs()).ok()?).ok()
}

/// `DnsName("siem.example.com")` and `IpAddress(10.0.0.1)`, as rustls prints them, bare.
fn plain(presented: &str) -> String {
    let inside = presented.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inside.unwrap_or(presented).trim_matches('"').to_owned()
}
