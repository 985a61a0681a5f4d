//! What every connection needs, whoever is at its other end: addresses, TLS, rates, backoff.
//!
//! **Invariant:** nothing here knows Slack, syslog or CEF.
//! **Invariant:** one crypto provider, handed to every configuration; the process default is
//! neither set nor asked for.

mod address;
mod backoff;
mod certificate;
mod handshake;
pub mod kernel;
mod rate;
mod tls;

pub use address::{Address, BadAddress, ConnectError, connect, connect_udp};
pub use backoff::Backoff;
pub use certificate::Certificate;
pub use handshake::{HandshakeError, Reason, Shown, TlsClient};
pub use rate::{Limits, Rate};
pub use tls::{ClientCertificate, ClientTls, Instead, Roots, TlsError, provider};
