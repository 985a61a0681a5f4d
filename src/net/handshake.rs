//! One TLS connection: its handshake, and in plain words what went wrong when it goes wrong.
//!
//! **Invariant:** no connection without a name that the receiver's certificate was verified against.
//!
//! With TLS 1.3 the client's handshake is over *before* the server has looked at the client's
//! certificate: a refusal comes as an alert on a later read. [`TlsClient::explain`] therefore reads
//! the errors of a running connection as well.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    AlertDescription as Alert, CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::address::ip;
use super::certificate::{Certificate, day};
use super::tls::{ClientTls, TlsError};

/// A client that knows whom it wants to reach.
#[derive(Debug, Clone)]
pub struct TlsClient {
    tls: ClientTls,
    name: ServerName<'static>,
}

impl TlsClient {
    /// A client that accepts only a certificate for `name`: a DNS name, which is also sent as SNI,
    /// or an IP address, which has to stand in the certificate as an iPAddress.
    ///
    /// # Errors
    /// [`TlsError::BadName`] when the text is neither.
    pub fn new(tls: ClientTls, name: &str) -> Result<Self, TlsError> {
        let name = match ip(name) {
            Some(address) => ServerName::from(address),
            None => ServerName::try_from(name.to_owned())
                .map_err(|_| TlsError::BadName { name: name.to_owned() })?,
        };
        Ok(Self { tls, name })
    }

    /// The name that the receiver's certificate has to hold.
    pub fn name(&self) -> String {
        self.name.to_str().into_owned()
    }

    /// A certificate of our own is shown when the receiver asks for one.
    pub fn has_certificate(&self) -> bool {
        self.tls.has_certificate
    }

    /// Shakes hands over `stream`.
    pub async fn connect<IO: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: IO,
        patience: Duration,
    ) -> Result<TlsStream<IO>, HandshakeError> {
        let witness = Arc::new(Witness { judge: Arc::clone(&self.tls.verifier), leaf: Mutex::default() });
        let mut config = ClientConfig::clone(&self.tls.config);
        config.dangerous().set_certificate_verifier(Arc::clone(&witness) as Arc<_>);
        let handshake = TlsConnector::from(Arc::new(config)).connect(self.name.clone(), stream);
        match timeout(patience, handshake).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(fault)) => Err(self.read(fault, witness.leaf())),
            Err(_) => Err(HandshakeError::TimedOut { patience }),
        }
    }

    /// What an error on a running connection means, where it is about TLS; otherwise it comes back.
    ///
    /// # Errors
    /// The error itself, when it is the socket's own.
    pub fn explain(&self, fault: io::Error) -> Result<HandshakeError, io::Error> {
        if rustls_error(&fault).is_some() { Ok(self.read(fault, None)) } else { Err(fault) }
    }

    fn read(&self, fault: io::Error, leaf: Option<Certificate>) -> HandshakeError {
        let Some(error) = rustls_error(&fault) else { return HandshakeError::Cut { source: fault } };
        match error {
            rustls::Error::InvalidCertificate(wrong) => self.misjudged(wrong.clone(), leaf),
            rustls::Error::AlertReceived(alert) => self.alerted(*alert),
            rustls::Error::InvalidMessage(_) => HandshakeError::NotTls,
            rustls::Error::PeerIncompatible(_) => HandshakeError::NothingInCommon { source: error.clone() },
            other => HandshakeError::Protocol { source: other.clone() },
        }
    }

    fn misjudged(&self, wrong: CertificateError, leaf: Option<Certificate>) -> HandshakeError {
        let name = self.name();
        match wrong {
            CertificateError::ExpiredContext { not_after, .. } => {
                HandshakeError::Expired { name, leaf: Shown(leaf), on: moment(not_after) }
            }
            CertificateError::NotValidYetContext { not_before, .. } => {
                HandshakeError::NotYetValid { name, leaf: Shown(leaf), from: moment(not_before) }
            }
            CertificateError::NotValidForNameContext { presented, .. } => HandshakeError::WrongName {
                wanted: name,
                presented: presented.iter().map(|n| plain(n)).collect(),
            },
            CertificateError::BadSignature => HandshakeError::OtherKey { name, leaf: Shown(leaf) },
            CertificateError::UnknownIssuer => HandshakeError::UnknownIssuer { name, leaf: Shown(leaf) },
            CertificateError::Other(_) if leaf.as_ref().is_some_and(|leaf| leaf.self_issued) => {
                HandshakeError::AuthorityItself { name }
            }
            wrong => {
                let source = rustls::Error::InvalidCertificate(wrong);
                HandshakeError::BadCertificate { name, leaf: Shown(leaf), source }
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
                HandshakeError::CertificateRefused { alert: Reason(alert) }
            }
            alert => HandshakeError::Alert { alert: Reason(alert), with_certificate: self.has_certificate() },
        }
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

/// Lets webpki judge and remembers what was shown, so that an error can name it.
#[derive(Debug)]
struct Witness {
    judge: Arc<WebPkiServerVerifier>,
    leaf: Mutex<Option<Certificate>>,
}

impl Witness {
    fn leaf(&self) -> Option<Certificate> {
        self.leaf.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        *self.leaf.lock().unwrap_or_else(PoisonError::into_inner) = Some(Certificate::describe(end_entity));
        self.judge.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.judge.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.judge.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.judge.supported_verify_schemes()
    }
}

/// No TLS connection, or one that the receiver ended over its terms.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// Silence after our greeting.
    #[error("the port takes connections but does not answer TLS within {patience:?}")]
    TimedOut {
        /// How long was waited.
        patience: Duration,
    },
    /// Bytes that are no TLS record.
    #[error("the port answered without TLS")]
    NotTls,
    /// The connection ended inside the handshake.
    #[error("the receiver cut the connection during the TLS handshake")]
    Cut {
        /// What the socket said.
        source: io::Error,
    },
    /// The receiver's certificate, or one of its chain, is past its end.
    #[error("the receiver's certificate for {name} expired{}{leaf}", on_day(*on))]
    Expired {
        /// The name asked for.
        name: String,
        /// What was shown.
        leaf: Shown,
        /// When it expired.
        on: Option<Timestamp>,
    },
    /// The receiver's certificate, or one of its chain, holds only from later on.
    #[error("the receiver's certificate for {name} is not valid yet: it begins{}{leaf}", on_day(*from))]
    NotYetValid {
        /// The name asked for.
        name: String,
        /// What was shown.
        leaf: Shown,
        /// From when on it holds.
        from: Option<Timestamp>,
    },
    /// A certificate for somebody else.
    #[error("wanted {wanted}, but the receiver's certificate is for {}", names(presented))]
    WrongName {
        /// The name asked for.
        wanted: String,
        /// The names in the certificate.
        presented: Vec<String>,
    },
    /// No authority we trust has issued it.
    #[error("the receiver's certificate for {name} comes from an authority that is not trusted here{leaf}")]
    UnknownIssuer {
        /// The name asked for.
        name: String,
        /// What was shown.
        leaf: Shown,
    },
    /// The authority it names is trusted, but another key signed it.
    #[error(
        "the receiver's certificate for {name} was not signed by the authority of that name that is trusted here{leaf}"
    )]
    OtherKey {
        /// The name asked for.
        name: String,
        /// What was shown.
        leaf: Shown,
    },
    /// A self-signed authority (`CA:TRUE`) used as a server's certificate, which no RFC 5280
    /// verifier accepts.
    #[error("the receiver shows a self-signed authority as its certificate for {name}")]
    AuthorityItself {
        /// The name asked for.
        name: String,
    },
    /// Anything else that is wrong with it.
    #[error("the receiver's certificate for {name} is refused{leaf}")]
    BadCertificate {
        /// The name asked for.
        name: String,
        /// What was shown.
        leaf: Shown,
        /// Why.
        source: rustls::Error,
    },
    /// The receiver wants a client certificate and there is none in the settings.
    #[error("the receiver asks for a client certificate and got none")]
    CertificateWanted,
    /// The receiver looked at our certificate and did not like it.
    #[error("the receiver refused our certificate: {alert}")]
    CertificateRefused {
        /// Its reason, in the words of RFC 8446 §6.2.
        alert: Reason,
    },
    /// Another fatal alert.
    #[error("the receiver ended the TLS connection: {alert}")]
    Alert {
        /// Its reason, in the words of RFC 8446 §6.2.
        alert: Reason,
        /// Whether we had a certificate to show.
        with_certificate: bool,
    },
    /// No version or cipher that both sides know.
    #[error("the receiver and this machine have no TLS version or cipher in common")]
    NothingInCommon {
        /// What is missing.
        source: rustls::Error,
    },
    /// The receiver's TLS does not keep to the protocol.
    #[error("the TLS connection failed")]
    Protocol {
        /// What was seen.
        source: rustls::Error,
    },
}

impl HandshakeError {
    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        let help = match self {
            Self::WrongName { wanted, .. } => {
                return Some(format!(
                    "connect by one of those names, set `server_name` to one of them, \
                     or put {wanted} into the certificate's subjectAltName"
                ));
            }
            Self::Protocol { .. } => return None,
            Self::BadCertificate { .. } => "the receiver needs a certificate that is in order",
            Self::TimedOut { .. } => {
                "a plaintext port keeps silent like this: check that the port is the receiver's TLS port \
                 (6514 is usual)"
            }
            Self::NotTls => "use the receiver's TLS port, or send in plaintext with [destinations.NAME.tcp]",
            Self::Cut { .. } => {
                "the receiver gave no reason, its log may: a missing server certificate or a plaintext port \
                 does this"
            }
            Self::Expired { .. } => {
                "renew the certificate on the receiver; if its date is right, check this machine's clock"
            }
            Self::NotYetValid { .. } => "check the clocks of both machines",
            Self::UnknownIssuer { leaf, .. } if leaf.self_issued() => {
                "the certificate is self-signed: name a copy of it as `ca`, after comparing fingerprints"
            }
            Self::UnknownIssuer { .. } => {
                "name the file with the authority's certificate as `ca`; if an intermediate issued it, \
                 the receiver should send that too"
            }
            Self::OtherKey { .. } => {
                "the authority was made anew under its old name, or somebody poses as it: compare `ca` with \
                 the receiver's copy"
            }
            Self::AuthorityItself { .. } => {
                "give the receiver a certificate without CA:TRUE \
                 (openssl req -x509 -addext basicConstraints=critical,CA:FALSE)"
            }
            Self::CertificateWanted => {
                "set `certificate` and `key` to a pair that the receiver's authority issued"
            }
            Self::CertificateRefused { .. } => {
                "the receiver has to trust the issuer of `certificate`, which must be unexpired and allowed \
                 for client authentication; its log says more"
            }
            Self::Alert { alert: Reason(Alert::HandshakeFailure), with_certificate: false } => {
                "the receiver wants a client certificate (set `certificate` and `key`), or knows none of our \
                 ciphers (ECDHE with AES-GCM or ChaCha20)"
            }
            Self::Alert {
                alert: Reason(Alert::ProtocolVersion | Alert::HandshakeFailure | Alert::InsufficientSecurity),
                ..
            }
            | Self::NothingInCommon { .. } => {
                "TLS 1.2 and 1.3 with ECDHE and AES-GCM or ChaCha20 are spoken here: allow one on the receiver"
            }
            Self::Alert { alert: Reason(Alert::UnrecognisedName), .. } => {
                "the receiver serves no such name: set `server_name` to the one it expects"
            }
            Self::Alert { .. } => "the receiver's log says more",
        };
        Some(help.to_owned())
    }

    /// The settings on this side have to change, not the receiver.
    pub fn is_ours(&self) -> bool {
        matches!(
            self,
            Self::CertificateWanted
                | Self::CertificateRefused { .. }
                | Self::UnknownIssuer { .. }
                | Self::OtherKey { .. }
                | Self::NotTls
        )
    }
}

/// What the receiver showed, where it showed anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown(Option<Certificate>);

impl Shown {
    fn self_issued(&self) -> bool {
        self.0.as_ref().is_some_and(|leaf| leaf.self_issued)
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |leaf| write!(f, " (it shows: {leaf})"))
    }
}

/// An alert in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reason(Alert);

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Alert::UnknownCA => "unknown authority",
            Alert::BadCertificate => "bad certificate",
            Alert::NoCertificate | Alert::CertificateRequired => "certificate required",
            Alert::UnsupportedCertificate => "unsupported kind of certificate",
            Alert::CertificateRevoked => "certificate revoked",
            Alert::CertificateExpired => "certificate expired",
            Alert::CertificateUnknown => "certificate not acceptable",
            Alert::AccessDenied => "access denied",
            Alert::HandshakeFailure => "handshake failure",
            Alert::ProtocolVersion => "TLS version not supported",
            Alert::InsufficientSecurity => "insufficient security",
            Alert::UnrecognisedName => "unrecognised name",
            Alert::InternalError => "internal error of the receiver",
            other => return write!(f, "alert {}", u8::from(other)),
        })
    }
}

fn on_day(at: Option<Timestamp>) -> String {
    at.map(|at| format!(" on {}", day(at))).unwrap_or_default()
}

fn names(presented: &[String]) -> String {
    if presented.is_empty() {
        "no name at all (subjectAltName is missing)".to_owned()
    } else {
        presented.join(", ")
    }
}
