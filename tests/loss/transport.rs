//! The transports under test: each with a receiver that speaks it.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// One row of the table.
#[derive(Debug)]
pub(crate) struct Transport {
    pub(crate) name: &'static str,
    /// What receives.
    pub(crate) about: &'static str,
    pub(crate) wire: Wire,
    pub(crate) server: Server,
    pub(crate) framing: Framing,
}

/// What is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    Tls(Version),
    Tcp,
    Relp { tls: bool },
    Unix,
    Udp,
}

/// The newest version of TLS that the receiver speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    V1_2,
    V1_3,
}

/// Who receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Server {
    /// rsyslog, its TLS by this driver.
    Rsyslog(Driver),
    SyslogNg,
    /// The simulated receiver of our own.
    Own,
}

/// What does TLS for rsyslog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Driver {
    OpenSsl,
    GnuTls,
}

/// How messages are told apart on a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    Counted,
    Lines,
    /// The transport does it.
    None,
}

use Driver::{GnuTls, OpenSsl};
use Framing::{Counted, Lines};
use Version::{V1_2, V1_3};

/// Every transport, in the order of the table.
#[rustfmt::skip]
pub(crate) const TRANSPORTS: &[Transport] = &[
    row("tls13", "TLS 1.3, rsyslog imtcp (OpenSSL), octet counting", Wire::Tls(V1_3), Server::Rsyslog(OpenSsl), Counted),
    row("tls13-gtls", "TLS 1.3, rsyslog imtcp (GnuTLS), octet counting", Wire::Tls(V1_3), Server::Rsyslog(GnuTls), Counted),
    row("tls13-ng", "TLS 1.3, syslog-ng network(), newline", Wire::Tls(V1_3), Server::SyslogNg, Lines),
    row("tls13-own", "TLS 1.3, our own receiver, octet counting", Wire::Tls(V1_3), Server::Own, Counted),
    row("tls12", "TLS 1.2, rsyslog imtcp (GnuTLS), octet counting", Wire::Tls(V1_2), Server::Rsyslog(GnuTls), Counted),
    row("tls12-ng", "TLS 1.2, syslog-ng syslog(), octet counting", Wire::Tls(V1_2), Server::SyslogNg, Counted),
    row("tls12-own", "TLS 1.2, our own receiver, newline", Wire::Tls(V1_2), Server::Own, Lines),
    row("tcp", "TCP, rsyslog imtcp, octet counting", Wire::Tcp, Server::Rsyslog(OpenSsl), Counted),
    row("tcp-ng", "TCP, syslog-ng network(), newline", Wire::Tcp, Server::SyslogNg, Lines),
    row("relp", "RELP, rsyslog imrelp", Wire::Relp { tls: false }, Server::Rsyslog(OpenSsl), Framing::None),
    row("relp-tls", "RELP over TLS, rsyslog imrelp", Wire::Relp { tls: true }, Server::Rsyslog(OpenSsl), Framing::None),
    row("unix", "Unix stream, syslog-ng unix-stream(), newline", Wire::Unix, Server::SyslogNg, Lines),
    row("udp", "UDP, rsyslog imudp", Wire::Udp, Server::Rsyslog(OpenSsl), Framing::None),
];

const fn row(
    name: &'static str,
    about: &'static str,
    wire: Wire,
    server: Server,
    framing: Framing,
) -> Transport {
    Transport { name, about, wire, server, framing }
}

impl Transport {
    pub(crate) fn is_tls(&self) -> bool {
        matches!(self.wire, Wire::Tls(_) | Wire::Relp { tls: true })
    }

    /// A destination's table for this transport; `client` shows a certificate of its own.
    ///
    /// In `files` lie `ca.pem` and, for a client, `client.pem` and `client.key`.
    pub(crate) fn destination(&self, to: &Place, files: &Path, client: bool) -> String {
        let at = |name: &str| format!("{:?}", files.join(name).display().to_string());
        let mut trust = format!("ca = {}", at("ca.pem"));
        if client {
            let _written = write!(trust, ", certificate = {}, key = {}", at("client.pem"), at("client.key"));
        }
        let framing = match self.framing {
            Framing::Counted => ", framing = \"octet-counting\"",
            Framing::Lines => ", framing = \"newline\"",
            Framing::None => "",
        };
        match self.wire {
            Wire::Tls(_) => format!("tls = {{ to = [\"{}\"], {trust}{framing} }}\n", to.address()),
            Wire::Tcp => format!("tcp = {{ to = [\"{}\"]{framing} }}\n", to.address()),
            Wire::Relp { tls: false } => format!("relp = {{ to = [\"{}\"] }}\n", to.address()),
            Wire::Relp { tls: true } => {
                format!("relp = {{ to = [\"{}\"], tls = {{ {trust} }} }}\n", to.address())
            }
            Wire::Unix => {
                format!(
                    "unix = {{ path = {:?}, kind = \"stream\"{framing} }}\n",
                    to.path().display().to_string()
                )
            }
            Wire::Udp => format!("udp = {{ to = [\"{}\"] }}\n", to.address()),
        }
    }
}

/// Where a receiver listens.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    Port(u16),
    Path(PathBuf),
}

impl Place {
    /// On this machine.
    pub(crate) fn address(&self) -> SocketAddr {
        let Self::Port(port) = self else { panic!("{self:?} has no address") };
        SocketAddr::from((Ipv4Addr::LOCALHOST, *port))
    }

    pub(crate) fn path(&self) -> &Path {
        let Self::Path(path) = self else { panic!("{self:?} has no path") };
        path
    }
}
