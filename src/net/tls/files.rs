//! The PEM files that trust and identity come from, read whole.
//!
//! **Invariant:** a private key is only read, and only from a file that others cannot read.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use aws_lc_rs::digest::{Context, Digest, SHA256};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::error::{Instead, TlsError};
use super::{ClientCertificate, Roots, Trust};

/// Which files there are.
#[derive(Debug)]
pub(super) struct Files {
    ca: Option<PathBuf>,
    client: Option<ClientCertificate>,
}

/// What they held at one moment.
pub(super) struct Contents {
    ca: Option<Vec<u8>>,
    client: Option<(Vec<u8>, Vec<u8>)>,
}

/// By what a file is seen to have changed without being read. The change time is among it because
/// another mode of a key's file can be the cure.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    modified: Option<SystemTime>,
    size: u64,
    #[cfg(unix)]
    inode: (u64, u64, i64, i64),
}

impl Files {
    pub(super) fn new(trust: &Trust, client: Option<&ClientCertificate>) -> Self {
        let ca = match trust {
            Trust::Chain { roots: Roots::File(path) | Roots::SystemAnd(path), .. } => Some(path.clone()),
            Trust::Chain { roots: Roots::System, .. } | Trust::Pinned(_) => None,
        };
        Self { ca, client: client.cloned() }
    }

    pub(super) fn has_client(&self) -> bool {
        self.client.is_some()
    }

    /// One a file; none for a file that is not there.
    pub(super) fn stamps(&self) -> Vec<Option<Stamp>> {
        let client = self.client.iter().flat_map(|client| [&client.certificate, &client.key]);
        self.ca.iter().chain(client).map(|path| Stamp::of(path)).collect()
    }

    pub(super) fn read(&self) -> Result<Contents, TlsError> {
        let ca = self.ca.as_deref().map(|path| read(path, |_| Ok(()))).transpose()?;
        let client = match &self.client {
            None => None,
            Some(ClientCertificate { certificate, key }) => {
                let certificate = read(certificate, |_| Ok(()))?;
                Some((certificate, read(key, |file| for_us_alone(key, file))?))
            }
        };
        Ok(Contents { ca, client })
    }

    /// The authorities of `ca`; none where there is no such file.
    pub(super) fn roots(&self, contents: &Contents) -> Result<Option<RootCertStore>, TlsError> {
        let (Some(path), Some(text)) = (&self.ca, &contents.ca) else { return Ok(None) };
        let mut roots = RootCertStore::empty();
        for certificate in certificates_in(path, text)? {
            roots
                .add(certificate)
                .map_err(|source| TlsError::BadCertificate { path: path.clone(), source })?;
        }
        Ok(Some(roots))
    }

    /// Our certificate with its chain, and its key; none where none is named.
    pub(super) fn client(&self, contents: &Contents) -> Result<Option<Pair>, TlsError> {
        let (Some(files), Some((certificate, key))) = (&self.client, &contents.client) else {
            return Ok(None);
        };
        let chain = certificates_in(&files.certificate, certificate)?;
        Ok(Some(Pair { chain, key: key_in(&files.key, key)?, files: files.clone() }))
    }
}

/// A certificate and a key, not yet seen to belong together.
pub(super) struct Pair {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
    pub(super) files: ClientCertificate,
}

impl ClientCertificate {
    /// What the library has against the pair, by the file that it is about.
    pub(super) fn refused(self, source: rustls::Error) -> TlsError {
        let Self { certificate, key } = self;
        match source {
            rustls::Error::InconsistentKeys(_) => TlsError::KeyMismatch { certificate, key },
            rustls::Error::InvalidCertificate(_) => TlsError::BadCertificate { path: certificate, source },
            _ => TlsError::BadKey { path: key, source },
        }
    }
}

impl Contents {
    /// Two with the same digest are the same.
    pub(super) fn digest(&self) -> Digest {
        let mut context = Context::new(&SHA256);
        let client = self.client.iter().flat_map(|(certificate, key)| [certificate, key]);
        for text in self.ca.iter().chain(client) {
            context.update(&text.len().to_be_bytes());
            context.update(text);
        }
        context.finish()
    }
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let meta = fs::metadata(path).ok()?;
        Some(Self {
            modified: meta.modified().ok(),
            size: meta.len(),
            #[cfg(unix)]
            inode: {
                use std::os::unix::fs::MetadataExt;
                (meta.dev(), meta.ino(), meta.ctime(), meta.ctime_nsec())
            },
        })
    }
}

fn certificates_in(path: &Path, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    match found {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(TlsError::NoCertificate { path: path.into(), instead: Instead::of(text) }),
        Err(_) => Err(TlsError::NotPem { path: path.into() }),
    }
}

fn key_in(path: &Path, text: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(text).map_err(|fault| match fault {
        rustls::pki_types::pem::Error::NoItemsFound => {
            TlsError::NoKey { path: path.into(), instead: Instead::of(text) }
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
