//! What a try without events found out.

use std::fmt;

use crate::net::Certificate;

/// A place that would take a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// A file or standard output.
    Local,
    /// A receiver that took the connection and kept it.
    Connected {
        /// What the handshake settled; none: plaintext.
        tls: Option<ProbedTls>,
    },
}

/// What a handshake settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbedTls {
    /// `TLS 1.3`
    pub version: String,
    /// `TLS_AES_256_GCM_SHA384`
    pub cipher: String,
    /// What its certificate was verified by: `verified as siem.example.com`.
    pub verification: String,
    /// What the receiver showed, its own certificate first.
    pub chain: Vec<Certificate>,
    /// We had a certificate to show.
    pub client_certificate: bool,
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("can be written to"),
            Self::Connected { tls: None } => f.write_str("connected, in plaintext"),
            Self::Connected { tls: Some(tls) } => {
                write!(f, "connected, {} {}, {}", tls.version, tls.cipher, tls.verification)?;
                tls.chain.iter().try_for_each(|certificate| write!(f, "; {certificate}"))
            }
        }
    }
}
