//! Why there is no TLS connection, in words that name the certificate, the name and the date.

use std::fmt;
use std::io;
use std::time::Duration;

use jiff::Timestamp;
use rustls::AlertDescription as Alert;

use super::super::certificate::{Certificate, day};

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
    /// It is none of those whose fingerprints are set.
    #[error("the receiver's certificate for {name} is not a pinned one{}{leaf}", leaf.printed())]
    NotPinned {
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
        /// What was shown.
        leaf: Shown,
    },
    /// X.509 version 1, which webpki does not read even for its key alone.
    #[error("the receiver's certificate for {name} is of X.509 version 1 and cannot be verified{leaf}")]
    FirstVersion {
        /// The name asked for.
        name: String,
        /// What was shown.
        leaf: Shown,
    },
    /// The right certificate, and a handshake that another key signed.
    #[error("the receiver shows a certificate for {name} and does not hold its key{leaf}")]
    WithoutItsKey {
        /// The name asked for.
        name: String,
        /// What was shown.
        leaf: Shown,
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
    /// The receiver ended a handshake in which a session was offered to be resumed. The session is
    /// forgotten: another try can succeed at once.
    #[error(transparent)]
    NotResumed {
        /// How it ended.
        cause: Box<HandshakeError>,
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
            Self::NotPinned { leaf, .. } => {
                return Some(format!(
                    "if the receiver has a new certificate, compare this with what \
                     `openssl x509 -noout -fingerprint -sha256` prints of it there, and only then set \
                     {}; otherwise somebody else answers",
                    leaf.pin()
                ));
            }
            Self::UnknownIssuer { leaf, .. } if leaf.self_issued() => {
                return Some(format!(
                    "the certificate is self-signed: compare its fingerprint with what the receiver says it \
                     is, then name a copy of it as `ca`, or leave `ca` out and set {}",
                    leaf.pin()
                ));
            }
            Self::AuthorityItself { leaf, .. } => {
                return Some(format!(
                    "give the receiver a certificate without CA:TRUE \
                     (openssl req -x509 -addext basicConstraints=critical,CA:FALSE); or compare its \
                     fingerprint with what the receiver says it is, leave `ca` out and set {}",
                    leaf.pin()
                ));
            }
            Self::NotResumed { cause } => return cause.help(),
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
            Self::UnknownIssuer { .. } => {
                "name the file with the authority's certificate as `ca`; if an intermediate issued it, \
                 the receiver should send that too"
            }
            Self::OtherKey { .. } => {
                "the authority was made anew under its old name, or somebody poses as it: compare `ca` with \
                 the receiver's copy"
            }
            Self::FirstVersion { .. } => "make it anew: openssl req -x509 makes version 3",
            Self::WithoutItsKey { .. } => {
                "the receiver's certificate and key do not belong together, or somebody poses as it"
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
                "the receiver serves no such name: set `sni` to the one it expects"
            }
            Self::Alert { .. } => "the receiver's log says more",
        };
        Some(help.to_owned())
    }

    /// The settings on this side have to change, not the receiver.
    pub fn is_ours(&self) -> bool {
        if let Self::NotResumed { cause } = self {
            return cause.is_ours();
        }
        matches!(
            self,
            Self::CertificateWanted
                | Self::CertificateRefused { .. }
                | Self::UnknownIssuer { .. }
                | Self::OtherKey { .. }
                | Self::NotPinned { .. }
                | Self::NotTls
        )
    }

    /// The receiver has ended the handshake, and not we, over its certificate or its silence.
    pub(super) fn is_of_the_receivers_making(&self) -> bool {
        matches!(
            self,
            Self::Cut { .. }
                | Self::CertificateWanted
                | Self::CertificateRefused { .. }
                | Self::Alert { .. }
                | Self::Protocol { .. }
        )
    }
}

/// What the receiver showed, where it showed anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown(Option<Box<Certificate>>);

impl From<Option<Certificate>> for Shown {
    fn from(leaf: Option<Certificate>) -> Self {
        Self(leaf.map(Box::new))
    }
}

impl Shown {
    fn printed(&self) -> String {
        self.0.as_ref().map(|leaf| format!(": its fingerprint is {}", leaf.fingerprint)).unwrap_or_default()
    }

    /// What to set to pin it.
    fn pin(&self) -> String {
        self.0.as_ref().map_or_else(
            || "`fingerprints`".to_owned(),
            |leaf| format!("fingerprints = [\"{}\"]", leaf.fingerprint),
        )
    }

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

impl From<Alert> for Reason {
    fn from(alert: Alert) -> Self {
        Self(alert)
    }
}

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
