//! Why nothing arrives: whose fault, whether again, what to do.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use super::relp::{Refusal, RelpError};
use crate::net::{ConnectError, HandshakeError};

/// Why nothing arrives.
#[derive(Debug)]
pub struct SendError {
    failures: Vec<(String, Failure)>,
}

impl SendError {
    pub(super) fn one(place: impl Into<String>, failure: Failure) -> Self {
        Self::all(vec![(place.into(), failure)])
    }

    pub(super) fn all(failures: Vec<(String, Failure)>) -> Self {
        Self { failures }
    }

    /// What came of each place that was tried, in the order of trying; at least one.
    pub fn failures(&self) -> &[(String, Failure)] {
        &self.failures
    }

    /// Whose fault it is, by the place that was tried first.
    pub fn fault(&self) -> Fault {
        self.failures.first().map_or(Fault::Settings, |(_, failure)| failure.fault())
    }

    /// Trying again later can succeed.
    pub fn again(&self) -> bool {
        self.failures.iter().any(|(_, failure)| failure.again())
    }

    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        self.failures.iter().find_map(|(_, failure)| failure.help())
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.failures.is_empty() {
            return f.write_str("the destination names no receiver");
        }
        for (nth, (place, failure)) in self.failures.iter().enumerate() {
            write!(f, "{}{place}: {failure}", if nth == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl Error for SendError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.failures.first().and_then(|(_, failure)| failure.source())
    }
}

/// Where the cure lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// In the receiver, or in its certificate.
    Receiver,
    /// Between here and there.
    Network,
    /// In our settings.
    Settings,
    /// In this machine: its disk, its output.
    Machine,
}

/// What came of one place.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// No TLS, or its end by an alert.
    #[error(transparent)]
    Tls(#[from] HandshakeError),
    /// A TLS answer on a plaintext connection.
    #[error("the port wants TLS, and was spoken to without")]
    WantsTls,
    /// The receiver ended the connection in order (FIN, with TLS `close_notify`).
    #[error("the receiver closed the connection{}", if *fresh { " at once" } else { "" })]
    Closed {
        /// Before a single batch was settled on it.
        fresh: bool,
    },
    /// The connection is gone: reset, timed out, no route.
    #[error("the connection to the receiver broke{}", if *fresh { " at once" } else { "" })]
    Broken {
        /// Before a single batch was settled on it.
        fresh: bool,
        /// What the socket said.
        source: io::Error,
    },
    /// RELP: it is not spoken, not wanted, or damaged.
    #[error(transparent)]
    Relp(#[from] RelpError),
    /// RELP: a message is refused, and so is it when it is sent again.
    #[error("the receiver refused a message: {0}")]
    Refused(Refusal),
    /// RELP: a new connection brings no session.
    #[error("the receiver has not opened a RELP session within {patience:?}")]
    NoAnswer {
        /// How long was waited.
        patience: Duration,
    },
    /// Nobody answers any more at the other end.
    #[error("the receiver's machine has not answered for {patience:?}")]
    Silent {
        /// How long was waited.
        patience: Duration,
    },
    /// It lives, and has not read to the end of what it was sent.
    #[error("the receiver has not read to the end of the connection within {patience:?}")]
    Unread {
        /// How long was waited.
        patience: Duration,
    },
    /// It lives and reads nothing, while there are other endpoints.
    #[error("the receiver has taken no byte for {patience:?}")]
    Stalled {
        /// How long was waited.
        patience: Duration,
    },
    /// It ended in order while another connection to the same receiver broke.
    #[error("the connection ended while another to the same receiver broke")]
    Doubtful,
    /// The line's task broke off.
    #[error("a bug of slackcef broke the connection off")]
    Bug,
    /// The kernel refuses a datagram.
    #[error("cannot send a datagram of {bytes} bytes")]
    Datagram {
        /// Its length.
        bytes: usize,
        /// Why not.
        source: io::Error,
    },
    /// The socket's path cannot be connected to.
    #[error("cannot connect to the socket")]
    Socket {
        /// Why not.
        source: io::Error,
    },
    /// Standard output cannot be written to.
    #[error("cannot write to standard output")]
    Stdout {
        /// Why not.
        source: io::Error,
    },
    /// The file cannot be opened, written or synced.
    #[error("cannot {doing} the file")]
    File {
        /// What was tried.
        doing: &'static str,
        /// Why not.
        source: io::Error,
    },
}

impl Failure {
    /// Where the cure lies.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Connect(_) | Self::Broken { .. } | Self::Silent { .. } => Fault::Network,
            Self::Tls(tls) if tls.is_ours() => Fault::Settings,
            Self::WantsTls
            | Self::NoAnswer { .. }
            | Self::Relp(RelpError::BadFrame(_) | RelpError::NoSyslog) => Fault::Settings,
            Self::Tls(_)
            | Self::Closed { .. }
            | Self::Unread { .. }
            | Self::Stalled { .. }
            | Self::Doubtful
            | Self::Relp(_)
            | Self::Refused(_) => Fault::Receiver,
            Self::Bug
            | Self::Stdout { .. }
            | Self::File { .. }
            | Self::Datagram { .. }
            | Self::Socket { .. } => Fault::Machine,
        }
    }

    /// It may lie in what was sent: the receiver ended the connection by itself, or said no.
    pub fn may_be_the_messages(&self) -> bool {
        match self {
            Self::Closed { .. } | Self::Broken { .. } | Self::Refused { .. } | Self::Datagram { .. } => true,
            Self::Tls(tls) => !tls.is_ours(),
            _ => false,
        }
    }

    /// Trying again later can succeed. A receiver may always come back, with another certificate
    /// too; a reader that closed its pipe does not.
    pub fn again(&self) -> bool {
        !matches!(self, Self::Stdout { source } if source.kind() == io::ErrorKind::BrokenPipe)
    }

    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Connect(connect) => Some(connect.help().to_owned()),
            Self::Tls(tls) => tls.help(),
            Self::WantsTls => Some(
                "set [destinations.NAME.tls] in place of `tcp`, or give [destinations.NAME.relp] a `tls`"
                    .to_owned(),
            ),
            Self::NoAnswer { .. } | Self::Relp(RelpError::BadFrame(_)) => Some(
                "a port that takes plain syslog does this: name the receiver's RELP port, or use `tls` or \
                 `tcp` in place of `relp`"
                    .to_owned(),
            ),
            Self::Relp(_) | Self::Refused(_) => Some("look into the receiver's log".to_owned()),
            Self::Closed { fresh: true } | Self::Broken { fresh: true, .. } => Some(
                "a receiver does this when it expects the other framing, allows other senders only, or has \
                 too many sessions: compare `framing` with its settings and look into its log"
                    .to_owned(),
            ),
            Self::Unread { .. } | Self::Stalled { .. } => Some(
                "the receiver is alive but does not read: look for a full disk or a full queue there"
                    .to_owned(),
            ),
            Self::Silent { .. } => {
                Some("the machine is down, or a firewall on the way drops packets without a word".to_owned())
            }
            Self::Socket { source } => match source.kind() {
                io::ErrorKind::NotFound => {
                    Some("nobody has made the socket: start the relay, or correct `path`".to_owned())
                }
                io::ErrorKind::PermissionDenied => {
                    Some("let this service's user write to the socket".to_owned())
                }
                io::ErrorKind::ConnectionRefused => Some("start the relay that listens there".to_owned()),
                _ => None,
            },
            Self::Bug => Some("please report it, with what stands before this in the log".to_owned()),
            Self::Datagram { .. } => Some("lower `max_message`, or use `tls`".to_owned()),
            Self::File { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => {
                    Some("let this service's user write there, or name another file".to_owned())
                }
                io::ErrorKind::StorageFull => Some("make room; nothing is lost meanwhile".to_owned()),
                io::ErrorKind::NotFound => Some("make the folder first".to_owned()),
                _ => None,
            },
            Self::Doubtful
            | Self::Closed { fresh: false }
            | Self::Broken { fresh: false, .. }
            | Self::Stdout { .. } => None,
        }
    }
}
