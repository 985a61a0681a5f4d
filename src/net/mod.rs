//! What every connection needs, whoever is at its other end: addresses, TLS, rates, backoff.
//!
//! **Invariant:** nothing here knows Slack, syslog or CEF.
//! **Invariant:** one crypto provider, handed to every configuration; the process default is
//! neither set nor asked for.

mod address;
mod attempt;
mod backoff;
mod certificate;
pub mod expiry;
mod fingerprint;
mod handshake;
mod judge;
pub mod kernel;
mod rate;
mod tls;

pub use address::{Address, BadAddress, ConnectError, connect, connect_udp};
pub use backoff::Backoff;
pub use certificate::Certificate;
pub use fingerprint::{BadFingerprint, Fingerprint};
pub use handshake::{HandshakeError, Reason, Shown, TlsClient, check_server_name, check_sni};
pub use rate::{Hold, Limits, Load, Moment, Rate, Spent, Why};
pub use tls::{
    ClientCertificate, ClientTls, Instead, Refreshed, Roots, TlsError, TlsSettings, Trust, http_tls, provider,
};
