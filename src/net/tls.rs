//! TLS as a client: whom to trust, who to be, and with whose cryptography.
//!
//! TLS 1.2 and 1.3 with rustls' suites: ECDHE and an AEAD throughout, which is what RFC 9662 leaves
//! of RFC 5425's list. There is no way to verify nothing: either webpki verifies a chain for a
//! name, or the certificate is one whose fingerprint is known, or both.
//!
//! The files are looked at again while connections come and go: who renews a certificate puts the
//! new files in place of the old, and that is all.
//!
//! **Invariant:** what cannot be used never takes the place of what is in use.

mod error;
mod files;
mod followed;
mod system;
#[cfg(test)]
mod tests;

use std::fmt;
use std::mem;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::digest::Digest;
use rustls::client::{ResolvesClientCert, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore};

pub use self::error::{Instead, TlsError};
use self::files::{Contents, Files, Pair, Stamp};
use self::followed::Followed;
use super::address::Address;
use super::certificate::Certificate;
use super::fingerprint::Fingerprint;
use super::handshake::TlsClient;

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
    /// The system's authorities, where there are any, and those in this PEM file.
    SystemAnd(PathBuf),
}

/// What makes a receiver's certificate the right one (RFC 5425 §5.1, §5.2). Whatever it is, the
/// receiver has to prove that it holds the certificate's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// An authority has issued it for the name asked for; and where pins are given, it is one of
    /// them besides.
    Chain {
        /// The authorities.
        roots: Roots,
        /// Empty: any certificate for the name.
        pins: Vec<Fingerprint>,
    },
    /// It is one of these, whatever it says of itself and whoever issued it: the certificates that
    /// appliances make for themselves bear no name that could be verified.
    Pinned(Vec<Fingerprint>),
}

impl Trust {
    pub(super) fn pins(&self) -> &[Fingerprint] {
        match self {
            Self::Chain { pins, .. } | Self::Pinned(pins) => pins,
        }
    }
}

impl From<&Roots> for Trust {
    fn from(roots: &Roots) -> Self {
        Self::Chain { roots: roots.clone(), pins: Vec::new() }
    }
}

/// Who we are: a certificate, with its chain, and the key that goes with it, both in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate, then its intermediates.
    pub certificate: PathBuf,
    /// Its private key, unencrypted, readable for us (and our group) alone.
    pub key: PathBuf,
}

/// All that is set about the TLS of one destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSettings {
    /// What makes a receiver's certificate the right one.
    pub trust: Trust,
    /// Who we are, where the receiver asks.
    pub client: Option<ClientCertificate>,
    /// The name that the receiver's certificate must bear; none: the host that is connected to.
    pub server_name: Option<String>,
    /// The name to send as SNI; none: the one above, unless it is an IP address.
    pub sni: Option<String>,
}

impl TlsSettings {
    /// A client for each receiver of a destination, all with one trust and one identity.
    ///
    /// # Errors
    /// [`TlsError`], naming the file or the name and what is wrong with it.
    pub fn clients(&self, to: &[Address]) -> Result<Vec<TlsClient>, TlsError> {
        let tls = ClientTls::new(self.trust.clone(), self.client.as_ref())?;
        let client = |to: &Address| {
            let name = self.server_name.as_deref().unwrap_or_else(|| to.host());
            let client = TlsClient::new(tls.clone(), name)?;
            match &self.sni {
                Some(sni) => client.with_sni(sni),
                None => Ok(client),
            }
        };
        to.iter().map(client).collect()
    }
}

/// Trust and identity for any number of connections, as the files have them. Clones are the same.
#[derive(Clone)]
pub struct ClientTls(Arc<Shared>);

struct Shared {
    trust: Trust,
    files: Files,
    watch: Mutex<Watch>,
}

/// What is in use, and what is known of the files.
struct Watch {
    current: Arc<Material>,
    /// Of what `current` was made.
    digest: Digest,
    stamps: Vec<Option<Stamp>>,
    /// When the stamps were last seen to be others.
    changed: Instant,
    /// The files have been read after they had come to rest: nothing is new until a stamp is.
    at_rest: bool,
    /// What nobody has been told of yet.
    news: Refreshed,
}

/// What one reading of the files is made into.
pub(super) struct Material {
    /// Everything but the verifier and the sessions, which each [`TlsClient`] has for itself.
    pub(super) config: ClientConfig,
    /// Verifies chains; none: fingerprints alone decide.
    pub(super) chain: Option<Arc<WebPkiServerVerifier>>,
    own: Vec<Certificate>,
    warnings: Vec<String>,
}

/// What a look at the files has brought.
#[derive(Debug)]
#[must_use]
pub enum Refreshed {
    /// Nothing.
    Same,
    /// The next connection is made with what is in the files now.
    New,
    /// What is in the files now cannot be used, and what was in them before stays in use. Told once
    /// for each change of the files.
    Kept(TlsError),
}

/// For so long the files have to be left alone until what is wrong with them counts, and until they
/// are no longer read at every look: certificate and key are seldom replaced in one moment, and
/// two writes in one tick of the file system's clock leave the same stamp.
const REST: Duration = Duration::from_secs(2);

impl ClientTls {
    /// Reads roots and certificate.
    ///
    /// # Errors
    /// [`TlsError`], naming the file and what is wrong with it. Single system roots that cannot be
    /// read are no error but [`ClientTls::warnings`].
    pub fn new(trust: impl Into<Trust>, client: Option<&ClientCertificate>) -> Result<Self, TlsError> {
        let trust = trust.into();
        let files = Files::new(&trust, client);
        let stamps = files.stamps();
        let contents = files.read()?;
        let watch = Watch {
            current: Arc::new(Material::new(&trust, &files, &contents)?),
            digest: contents.digest(),
            stamps,
            changed: Instant::now(),
            at_rest: false,
            news: Refreshed::Same,
        };
        Ok(Self(Arc::new(Shared { trust, files, watch: Mutex::new(watch) })))
    }

    /// System roots that could not be read, each with the reason.
    pub fn warnings(&self) -> Vec<String> {
        self.watch().current.warnings.clone()
    }

    /// Looks whether the files have changed: a few `stat`s as long as they have not. What each
    /// connection finds by itself is told here too, to the first who asks.
    pub fn refresh(&self) -> Refreshed {
        let mut watch = self.watch();
        self.0.look(&mut watch, Instant::now());
        mem::replace(&mut watch.news, Refreshed::Same)
    }

    /// The certificate we show, then its chain; empty where we have none.
    pub fn own_certificates(&self) -> Vec<Certificate> {
        self.watch().current.own.clone()
    }

    /// What a connection that is opened now is made with.
    pub(super) fn material(&self) -> Arc<Material> {
        let mut watch = self.watch();
        self.0.look(&mut watch, Instant::now());
        Arc::clone(&watch.current)
    }

    pub(super) fn trust(&self) -> &Trust {
        &self.0.trust
    }

    /// A certificate of our own is shown when the receiver asks for one.
    pub(super) fn has_certificate(&self) -> bool {
        self.0.files.has_client()
    }

    fn watch(&self) -> MutexGuard<'_, Watch> {
        self.0.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ClientTls").field(&self.0.trust).field(&self.0.files).finish()
    }
}

impl Shared {
    fn look(&self, watch: &mut Watch, now: Instant) {
        let stamps = self.files.stamps();
        if stamps != watch.stamps {
            watch.stamps = stamps;
            watch.changed = now;
            watch.at_rest = false;
        }
        if watch.at_rest {
            return;
        }
        watch.at_rest = now.saturating_duration_since(watch.changed) >= REST;
        match self.read(&watch.digest) {
            Ok(None) => {
                // Whatever was wrong with them meanwhile: they are again what is in use.
                if let Refreshed::Kept(_) = watch.news {
                    watch.news = Refreshed::Same;
                }
            }
            Ok(Some((digest, material))) => {
                watch.digest = digest;
                watch.current = Arc::new(material);
                watch.news = Refreshed::New;
            }
            Err(wrong) if watch.at_rest => watch.news = Refreshed::Kept(wrong),
            Err(_) => {}
        }
    }

    /// What the files hold, unless it is what is in use.
    fn read(&self, in_use: &Digest) -> Result<Option<(Digest, Material)>, TlsError> {
        let contents = self.files.read()?;
        let digest = contents.digest();
        if digest.as_ref() == in_use.as_ref() {
            return Ok(None);
        }
        Ok(Some((digest, Material::new(&self.trust, &self.files, &contents)?)))
    }
}

impl Material {
    fn new(trust: &Trust, files: &Files, contents: &Contents) -> Result<Self, TlsError> {
        let provider = provider();
        let (roots, warnings) = match trust {
            Trust::Pinned(_) => (None, Vec::new()),
            Trust::Chain { roots: Roots::File(_), .. } => (files.roots(contents)?.map(Arc::new), Vec::new()),
            Trust::Chain { roots: Roots::System, .. } => {
                let (roots, warnings) = system::roots()?;
                (Some(roots), warnings)
            }
            Trust::Chain { roots: Roots::SystemAnd(_), .. } => {
                let mut roots = files.roots(contents)?.unwrap_or_else(RootCertStore::empty);
                let warnings = match system::roots() {
                    Ok((system, warnings)) => {
                        roots.extend(system.roots.iter().cloned());
                        warnings
                    }
                    Err(none) => vec![none.to_string()],
                };
                (Some(Arc::new(roots)), warnings)
            }
        };
        let chain = roots.map(|roots| verifier(roots, &provider)).transpose()?;
        let (client, own) = match files.client(contents)? {
            None => (None, Vec::new()),
            Some(pair) => {
                let own = pair.chain.iter().map(Certificate::describe).collect();
                (Some(certified(pair, &provider)?), own)
            }
        };
        // A client verifies by what it puts here in place of it: no root, no trust.
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|source| TlsError::Setup { source })?
            .with_root_certificates(RootCertStore::empty());
        let config = match client {
            None => builder.with_no_client_auth(),
            Some(client) => builder.with_client_cert_resolver(client),
        };
        Ok(Self { config, chain, own, warnings })
    }
}

/// A client for HTTP (`reqwest`'s `tls_backend_preconfigured`): the chain verified for the name of
/// each URL, HTTP's protocols to choose from, and no certificate of our own. A file of authorities
/// is looked at again while connections come and go.
///
/// # Errors
/// [`TlsError`]: there is no root, or the file cannot be used.
pub fn http_tls(roots: &Roots) -> Result<ClientConfig, TlsError> {
    let tls = ClientTls::new(roots, None)?;
    let mut config = tls.material().config.clone();
    config.dangerous().set_certificate_verifier(Arc::new(Followed::new(tls)));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn verifier(
    roots: Arc<RootCertStore>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, TlsError> {
    WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider))
        .build()
        .map_err(|fault| TlsError::Setup { source: rustls::Error::General(fault.to_string()) })
}

fn certified(pair: Pair, provider: &CryptoProvider) -> Result<Arc<dyn ResolvesClientCert>, TlsError> {
    let Pair { chain, key, files } = pair;
    let certified = CertifiedKey::from_der(chain, key, provider).map_err(|source| files.refused(source))?;
    Ok(Arc::new(SingleCertAndKey::from(certified)))
}
