//! What can be wrong with the files and the settings of TLS, and what to do about it.

use std::io;
use std::path::PathBuf;

/// What a PEM file holds that does not hold what was looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instead {
    /// A private key where a certificate belongs.
    Key,
    /// A certificate where a private key belongs.
    Certificate,
    /// A private key under a passphrase.
    EncryptedKey,
    /// A request for a certificate.
    Request,
    /// No PEM at all.
    Nothing,
}

impl Instead {
    pub(super) fn of(text: &[u8]) -> Self {
        let text = String::from_utf8_lossy(text);
        let begins = |what: &str| text.contains(&format!("-----BEGIN {what}"));
        if begins("ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED") {
            Self::EncryptedKey
        } else if text.contains("PRIVATE KEY-----") {
            Self::Key
        } else if begins("CERTIFICATE REQUEST") || begins("NEW CERTIFICATE REQUEST") {
            Self::Request
        } else if begins("CERTIFICATE") || begins("TRUSTED CERTIFICATE") || begins("X509 CERTIFICATE") {
            Self::Certificate
        } else {
            Self::Nothing
        }
    }
}

/// Trust or identity cannot be had from what the settings name.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file is missing or closed to us.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Broken PEM.
    #[error("{} is not PEM", path.display())]
    NotPem {
        /// The file.
        path: PathBuf,
    },
    /// No `BEGIN CERTIFICATE`.
    #[error("{} holds no certificate", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
        /// What it holds.
        instead: Instead,
    },
    /// A certificate that is none inside.
    #[error("{} holds a certificate that cannot be used", path.display())]
    BadCertificate {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: rustls::Error,
    },
    /// No key in a form we read (PKCS #8, PKCS #1, SEC 1).
    #[error("{} holds no private key that can be read", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
        /// What it holds.
        instead: Instead,
    },
    /// Others can read the key.
    #[error("the private key {} is open to every user of this machine (mode {mode:o})", path.display())]
    KeyExposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A key of an unknown kind, or broken inside.
    #[error("the private key {} cannot be used", path.display())]
    BadKey {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: rustls::Error,
    },
    /// Two files that do not belong together.
    #[error("the key {} does not belong to the certificate {}", key.display(), certificate.display())]
    KeyMismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// Not one authority of the system's could be read.
    #[error("no usable authority among the system's roots{}", reasons(warnings))]
    NoSystemRoots {
        /// What came of each place.
        warnings: Vec<String>,
    },
    /// The name to verify is neither a DNS name nor an IP address.
    #[error("{name:?} is no name that a certificate can be verified against")]
    BadName {
        /// The name.
        name: String,
    },
    /// The name to send is no DNS name.
    #[error("{name:?} cannot be sent as SNI")]
    BadSni {
        /// The name.
        name: String,
    },
    /// The TLS library refuses the settings.
    #[error("TLS cannot be set up")]
    Setup {
        /// Why not.
        source: rustls::Error,
    },
}

impl TlsError {
    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        Some(match self {
            Self::Read { path, source } => match source.kind() {
                io::ErrorKind::NotFound => "check the path".to_owned(),
                io::ErrorKind::PermissionDenied => format!(
                    "let this service's user read it, but nobody else: chgrp and chmod 640 {}",
                    path.display()
                ),
                _ => return None,
            },
            Self::NotPem { path } => format!(
                "PEM begins with -----BEGIN; convert DER with: openssl x509 -inform der -in {0} -out {0}.pem",
                path.display()
            ),
            Self::NoCertificate { instead, .. } => match instead {
                Instead::Key | Instead::EncryptedKey => MIXED_UP_KEY,
                Instead::Request => "it holds a request; put here what the authority answered",
                Instead::Certificate => "export it again in plain PEM: openssl x509 -in OLD -out NEW",
                Instead::Nothing => "a certificate begins with -----BEGIN CERTIFICATE-----",
            }
            .to_owned(),
            Self::NoKey { instead: Instead::EncryptedKey, path } => format!(
                "it is under a passphrase; write it without one: (umask 077; openssl pkey -in {0} -out {0}.plain)",
                path.display()
            ),
            Self::NoKey { instead: Instead::Certificate, .. } => MIXED_UP_CERTIFICATE.to_owned(),
            Self::NoKey { .. } => "a private key begins with -----BEGIN PRIVATE KEY-----".to_owned(),
            Self::KeyExposed { path, .. } => {
                format!("chmod 600 {} and, if others may have read it, replace the key", path.display())
            }
            Self::KeyMismatch { certificate, key } => format!(
                "these two must print the same: openssl x509 -pubkey -noout -in {}, openssl pkey -pubout -in {}",
                certificate.display(),
                key.display()
            ),
            Self::NoSystemRoots { .. } => {
                "install the package ca-certificates, or name the authority's file in `ca`".to_owned()
            }
            Self::BadName { .. } => {
                "set `server_name` to a name that the receiver's certificate bears".to_owned()
            }
            Self::BadSni { .. } => "set `sni` to a host name; for an IP address none is sent".to_owned(),
            Self::BadCertificate { .. } | Self::BadKey { .. } | Self::Setup { .. } => return None,
        })
    }
}

const MIXED_UP_KEY: &str = "it holds a private key: were certificate and key mixed up?";
const MIXED_UP_CERTIFICATE: &str = "it holds a certificate: were certificate and key mixed up?";

fn reasons(warnings: &[String]) -> String {
    if warnings.is_empty() { String::new() } else { format!(" ({})", warnings.join("; ")) }
}
