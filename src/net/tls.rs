//! TLS as a client: whom to trust, who to be, and with whose cryptography.
//!
//! TLS 1.2 and 1.3 with rustls' suites: ECDHE and an AEAD throughout, which is what RFC 9662 leaves
//! of RFC 5425's list. There is no way to verify nothing: a [`TlsClient`](super::TlsClient) needs a
//! name, and the only verifier is webpki's.
//!
//! **Invariant:** a private key is only read, and only from a file that others cannot read.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

/// The one crypto provider: aws-lc, which the HTTP client brings as well.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// Whose signature makes a receiver's certificate believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Roots {
    /// The system's authorities (`SSL_CERT_FILE` and `SSL_CERT_DIR` are honoured).
    System,
    /// The authorities in this PEM file, and no others.
    File(PathBuf),
}

/// Who we are: a certificate, with its chain, and the key that goes with it, both in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate, then its intermediates.
    pub certificate: PathBuf,
    /// Its private key, unencrypted, readable for us (and our group) alone.
    pub key: PathBuf,
}

/// Trust and identity, read and checked once, ready for any number of connections.
#[derive(Debug, Clone)]
pub struct ClientTls {
    pub(super) config: Arc<ClientConfig>,
    pub(super) verifier: Arc<WebPkiServerVerifier>,
    pub(super) has_certificate: bool,
    warnings: Arc<[String]>,
}

impl ClientTls {
    /// Reads roots and certificate.
    ///
    /// # Errors
    /// [`TlsError`], naming the file and what is wrong with it. Single system roots that cannot be
    /// read are no error but [`ClientTls::warnings`].
    pub fn new(roots: &Roots, client: Option<&ClientCertificate>) -> Result<Self, TlsError> {
        let provider = provider();
        let (roots, warnings) = match roots {
            Roots::System => system_roots()?,
            Roots::File(path) => (roots_in(path)?, Vec::new()),
        };
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .map_err(|fault| TlsError::Setup { source: rustls::Error::General(fault.to_string()) })?;
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|source| TlsError::Setup { source })?
            .with_webpki_verifier(Arc::clone(&verifier));
        let mut config = match client {
            None => config.with_no_client_auth(),
            Some(files) => {
                let chain = certificates_in(&files.certificate)?;
                let key = key_in(&files.key)?;
                config.with_client_auth_cert(chain, key).map_err(|source| files.refused(source))?
            }
        };
        // A resumed session is verified by neither side, and some OpenSSL receivers that ask for
        // client certificates refuse to resume. It would save one round trip a connection.
        config.resumption = Resumption::disabled();
        Ok(Self {
            config: Arc::new(config),
            verifier,
            has_certificate: client.is_some(),
            warnings: warnings.into(),
        })
    }

    /// System roots that could not be read, each with the reason.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The same trust and identity for the HTTP client (`reqwest`'s `tls_backend_preconfigured`):
    /// with HTTP's protocols to choose from, and sessions resumed.
    pub fn for_http(&self) -> ClientConfig {
        let mut config = ClientConfig::clone(&self.config);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.resumption = Resumption::default();
        config
    }
}

impl ClientCertificate {
    fn refused(&self, source: rustls::Error) -> TlsError {
        match source {
            rustls::Error::InconsistentKeys(_) => {
                TlsError::KeyMismatch { certificate: self.certificate.clone(), key: self.key.clone() }
            }
            rustls::Error::InvalidCertificate(_) => {
                TlsError::BadCertificate { path: self.certificate.clone(), source }
            }
            _ => TlsError::BadKey { path: self.key.clone(), source },
        }
    }
}

fn system_roots() -> Result<(RootCertStore, Vec<String>), TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut warnings: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
    let mut roots = RootCertStore::empty();
    for certificate in found.certs {
        let about = super::Certificate::describe(&certificate);
        if let Err(fault) = roots.add(certificate) {
            warnings.push(format!("{about}: {fault}"));
        }
    }
    if roots.is_empty() { Err(TlsError::NoSystemRoots { warnings }) } else { Ok((roots, warnings)) }
}

fn roots_in(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates_in(path)? {
        roots.add(certificate).map_err(|source| TlsError::BadCertificate { path: path.into(), source })?;
    }
    Ok(roots)
}

fn certificates_in(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(path, |_| Ok(()))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(TlsError::NoCertificate { path: path.into(), instead: Instead::of(&text) }),
        Err(_) => Err(TlsError::NotPem { path: path.into() }),
    }
}

fn key_in(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let text = read(path, |file| for_us_alone(path, file))?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|fault| match fault {
        rustls::pki_types::pem::Error::NoItemsFound => {
            TlsError::NoKey { path: path.into(), instead: Instead::of(&text) }
        }
        _ => TlsError::NotPem { path: path.into() },
    })
}

/// The file's bytes, once `check` has seen the open file.
fn read(path: &Path, check: impl FnOnce(&File) -> Result<(), TlsError>) -> Result<Vec<u8>, TlsError> {
    let unreadable = |source| TlsError::Read { path: path.into(), source };
    let file = File::open(path).map_err(unreadable)?;
    check(&file)?;
    let mut text = Vec::new();
    file.take(MOST).read_to_end(&mut text).map_err(unreadable)?;
    Ok(text)
}

/// No bundle of authorities comes near; a device file has no end.
const MOST: u64 = 16 << 20;

#[cfg(unix)]
fn for_us_alone(path: &Path, key: &File) -> Result<(), TlsError> {
    use std::os::unix::fs::PermissionsExt;
    let meta = key.metadata().map_err(|source| TlsError::Read { path: path.into(), source })?;
    let mode = meta.permissions().mode() & 0o777;
    let others = mode % 8;
    if others == 0 { Ok(()) } else { Err(TlsError::KeyExposed { path: path.into(), mode }) }
}

#[cfg(not(unix))]
fn for_us_alone(_: &Path, _: &File) -> Result<(), TlsError> {
    Ok(())
}

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
    fn of(text: &[u8]) -> Self {
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
                "set `server_name` to a name that the receiver's certificate holds".to_owned()
            }
            Self::BadCertificate { .. } | Self::BadKey { .. } | Self::Setup { .. } => return None,
        })
    }
}

const MIXED_UP_KEY: &str = "it holds a private key: were certificate and key mixed up?";
const MIXED_UP_CERTIFICATE: &str = "it holds a certificate: were certificate and key mixed up?";

fn reasons(warnings: &[String]) -> String {
    if warnings.is_empty() { String::new() } else { format!(" ({})", warnings.join("; ")) }
}

#[cfg(test)]
mod tests;
