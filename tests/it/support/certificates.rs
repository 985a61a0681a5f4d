//! An authority, its certificates in files, and clients that trust it.

use std::net::SocketAddr;
use std::path::PathBuf;

use slackcef::net::{ClientCertificate, ClientTls, Roots, TlsClient};
use slackcef::simulate::authority::{Authority, Identity, LOCAL, Term};
use slackcef::syslog::Endpoint;
use tempfile::TempDir;

/// The authority that client and receiver agree on, and a folder for its files.
pub(crate) struct Certificates {
    pub(crate) authority: Authority,
    dir: TempDir,
}

impl Certificates {
    pub(crate) fn new() -> Self {
        let this =
            Self { authority: Authority::new("slackcef test").unwrap(), dir: tempfile::tempdir().unwrap() };
        std::fs::write(this.ca(), this.authority.pem()).unwrap();
        this
    }

    /// The authority's certificate.
    pub(crate) fn ca(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// A good certificate for a server on this machine.
    pub(crate) fn server(&self) -> Identity {
        self.authority.server(&LOCAL, Term::Now).unwrap()
    }

    /// Writes an identity: certificate and key.
    pub(crate) fn write(&self, name: &str, identity: &Identity) -> (PathBuf, PathBuf) {
        identity.write(self.dir.path(), name).unwrap()
    }

    /// A receiver at `address` that has to show a certificate for `localhost`.
    pub(crate) fn endpoint(&self, address: SocketAddr) -> Endpoint {
        self.endpoint_named(address, "localhost", None)
    }

    /// The same with another name, and with a certificate of our own to show.
    pub(crate) fn endpoint_named(
        &self,
        address: SocketAddr,
        name: &str,
        client: Option<&Identity>,
    ) -> Endpoint {
        let client = client.map(|identity| {
            let (certificate, key) = self.write(&format!("client-{address}"), identity);
            ClientCertificate { certificate, key }
        });
        let tls = ClientTls::new(&Roots::File(self.ca()), client.as_ref()).unwrap();
        Endpoint::tls(address, TlsClient::new(tls, name).unwrap())
    }
}
