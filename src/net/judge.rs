//! The one verifier of receivers: a chain by webpki, a fingerprint, or both.
//!
//! **Invariant:** without a chain to verify and without a pin that fits, the answer is no.
//! **Invariant:** the handshake's signature is verified whatever made the certificate believed: a
//! certificate is public, its key is not.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, SignatureScheme};

use super::attempt;
use super::fingerprint::Fingerprint;

/// Judges the receiver of one client.
#[derive(Debug)]
pub(super) struct Judge {
    /// With the name that the certificate must bear, whatever name the connection sends.
    pub(super) chain: Option<(Arc<WebPkiServerVerifier>, ServerName<'static>)>,
    pub(super) pins: Vec<Fingerprint>,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _sent: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        attempt::shown(end_entity);
        if let Some((chain, name)) = &self.chain {
            let _verified = chain.verify_server_cert(end_entity, intermediates, name, ocsp_response, now)?;
        }
        let pinned = self.pins.iter().any(|pin| pin.is_of(end_entity));
        let chain_suffices = self.chain.is_some() && self.pins.is_empty();
        if pinned || chain_suffices {
            attempt::accepted();
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
