//! TLS on the server's side.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio_rustls::TlsAcceptor;

use crate::net;
use crate::simulate::authority::Identity;

/// TLS on the server's side.
#[derive(Debug, Clone)]
pub struct ServerTls {
    /// The certificate to show.
    pub identity: Identity,
    /// A client has to show a certificate of the authority in this PEM text.
    pub clients_of: Option<String>,
    /// The newest version to speak is TLS 1.2.
    pub only_tls_1_2: bool,
    /// A `KeyUpdate` that asks for an answer (RFC 8446 §4.6.3) gets none. Nor is anything else said after
    /// the handshake: the end is answered by a FIN without `close_notify`, as rsyslog's GnuTLS does it.
    pub ignores_key_updates: bool,
}

impl ServerTls {
    /// TLS 1.2 and 1.3, with no certificate asked of clients.
    pub fn new(identity: Identity) -> Self {
        Self { identity, clients_of: None, only_tls_1_2: false, ignores_key_updates: false }
    }

    pub(super) fn acceptor(&self) -> Result<TlsAcceptor, Box<dyn std::error::Error + Send + Sync>> {
        let provider = net::provider();
        let versions: &[&SupportedProtocolVersion] =
            if self.only_tls_1_2 { &[&rustls::version::TLS12] } else { rustls::DEFAULT_VERSIONS };
        let config =
            ServerConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(versions)?;
        let config = match &self.clients_of {
            None => config.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(CertificateDer::from_pem_slice(authority.as_bytes())?)?;
                let judge = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build()?;
                config.with_client_cert_verifier(judge)
            }
        };
        let chain: Result<Vec<_>, _> =
            CertificateDer::pem_slice_iter(self.identity.certificate.as_bytes()).collect();
        let key = PrivateKeyDer::from_pem_slice(self.identity.key.as_bytes())?;
        Ok(TlsAcceptor::from(Arc::new(config.with_single_cert(chain?, key)?)))
    }
}
