//! `host:port`, and a TCP connection to it.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpSocket, TcpStream, UdpSocket, lookup_host};
use tokio::time::timeout;

/// Where to connect to: a name or an IP address, and a port. An IPv6 address stands in brackets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    host: Arc<str>,
    port: u16,
}

impl Address {
    /// The name or the IP address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, never 0.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let (host, port) = text.rsplit_once(':').ok_or(BadAddress::NoPort)?;
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = match bracketed {
            Some(host) if host.parse::<std::net::Ipv6Addr>().is_ok() => host,
            Some(_) => return Err(BadAddress::NotIpv6),
            None if host.contains(':') => return Err(BadAddress::Unbracketed),
            None => host,
        };
        let of_a_name = |b: u8| b.is_ascii_alphanumeric() || b".-_:".contains(&b);
        if host.is_empty() || !host.bytes().all(of_a_name) {
            return Err(BadAddress::BadHost);
        }
        match port.parse() {
            Ok(port) if port > 0 => Ok(Self { host: host.into(), port }),
            _ => Err(BadAddress::BadPort),
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self { host: address.ip().to_string().into(), port: address.port() }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// The text is no `host:port`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// Nothing behind a colon.
    #[error("the port is missing: write host:port")]
    NoPort,
    /// Not 1 to 65535.
    #[error("the port is not a number from 1 to 65535")]
    BadPort,
    /// Characters that no host name has, or none at all.
    #[error("this is no host name and no IP address")]
    BadHost,
    /// Brackets around something else.
    #[error("only an IPv6 address stands in brackets")]
    NotIpv6,
    /// An IPv6 address without brackets: its last group would be taken for the port.
    #[error("an IPv6 address is written in brackets: [2001:db8::7]:6514")]
    Unbracketed,
}

/// Connects to the first of the name's addresses that answers.
///
/// The name is resolved anew each time and `patience` is given to the resolver and to each
/// address. The connection sends without delay (`TCP_NODELAY`: batches are ours to make) and has
/// keepalive 60/10/6, so that a receiver that died in silence is noticed before the next event.
pub async fn connect(address: &Address, patience: Duration) -> Result<TcpStream, ConnectError> {
    let mut tried = Vec::new();
    for at in resolve(address, patience).await? {
        match timeout(patience, open(at)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(fault)) => tried.push((at, fault)),
            Err(_) => tried.push((at, io::ErrorKind::TimedOut.into())),
        }
    }
    Err(ConnectError::Unreachable { tried })
}

/// A UDP socket that sends to the first of the name's addresses.
pub async fn connect_udp(address: &Address, patience: Duration) -> Result<UdpSocket, ConnectError> {
    let mut tried = Vec::new();
    for at in resolve(address, patience).await? {
        let any: SocketAddr =
            if at.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
        let connected = async {
            let socket = UdpSocket::bind(any).await?;
            socket.connect(at).await?;
            Ok(socket)
        };
        match connected.await {
            Ok(socket) => return Ok(socket),
            Err(fault) => tried.push((at, fault)),
        }
    }
    Err(ConnectError::Unreachable { tried })
}

async fn resolve(
    address: &Address,
    patience: Duration,
) -> Result<impl Iterator<Item = SocketAddr> + use<>, ConnectError> {
    match timeout(patience, lookup_host((address.host(), address.port()))).await {
        Ok(Ok(found)) => Ok(found.collect::<Vec<_>>().into_iter()),
        Ok(Err(source)) => Err(ConnectError::Unresolved { host: address.host.clone(), source }),
        Err(_) => Err(ConnectError::ResolverSilent { host: address.host.clone(), patience }),
    }
}

async fn open(at: SocketAddr) -> io::Result<TcpStream> {
    let socket = if at.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    let stream = socket.connect(at).await?;
    stream.set_nodelay(true)?;
    SockRef::from(&stream).set_tcp_keepalive(&KEEPALIVE)?;
    Ok(stream)
}

const KEEPALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(60))
    .with_interval(Duration::from_secs(10))
    .with_retries(6);

/// No connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The resolver knows no such name.
    #[error("the name {host} cannot be resolved")]
    Unresolved {
        /// The name.
        host: Arc<str>,
        /// What the resolver said.
        source: io::Error,
    },
    /// The resolver did not answer.
    #[error("no answer about the name {host} within {patience:?}")]
    ResolverSilent {
        /// The name.
        host: Arc<str>,
        /// How long was waited.
        patience: Duration,
    },
    /// Each address of the name was tried; none is left out of the message.
    #[error("{}", Tried(tried))]
    Unreachable {
        /// The addresses and what came of each.
        tried: Vec<(SocketAddr, io::Error)>,
    },
}

impl ConnectError {
    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Unresolved { .. } => "check the name in `to`, and this machine's resolver",
            Self::ResolverSilent { .. } => "check this machine's resolver (/etc/resolv.conf)",
            Self::Unreachable { tried } if tried.iter().any(refused) => {
                "the machine is there but nothing listens on this port: check the port, and that the receiver runs"
            }
            Self::Unreachable { .. } => {
                "check the address in `to`, the route to it, and firewalls between here and there"
            }
        }
    }
}

fn refused((_, fault): &(SocketAddr, io::Error)) -> bool {
    fault.kind() == io::ErrorKind::ConnectionRefused
}

struct Tried<'a>(&'a [(SocketAddr, io::Error)]);

impl fmt::Display for Tried<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "the name has no address" } else { "cannot connect" })?;
        for (nth, (at, fault)) in self.0.iter().enumerate() {
            let join = if nth == 0 { ": " } else { ", " };
            // Behind an address the operating system's number only repeats its words.
            match fault.kind() {
                io::ErrorKind::TimedOut => write!(f, "{join}{at} does not answer")?,
                io::ErrorKind::ConnectionRefused => write!(f, "{join}{at} refuses the connection")?,
                _ => write!(f, "{join}{fault} at {at}")?,
            }
        }
        Ok(())
    }
}

/// The IP address, where the text is one.
pub(super) fn ip(host: &str) -> Option<IpAddr> {
    host.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names_and_addresses_and_writes_them_back() {
        for text in ["siem-a.example.com:6514", "10.0.0.1:514", "[2001:db8::7]:6514", "localhost:1"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        assert_eq!("[2001:db8::7]:6514".parse::<Address>().unwrap().host(), "2001:db8::7");
    }

    #[test]
    fn refuses_what_cannot_be_connected_to() {
        for (text, why) in [
            ("siem", BadAddress::NoPort),
            ("siem:", BadAddress::BadPort),
            ("siem:0", BadAddress::BadPort),
            ("siem:65536", BadAddress::BadPort),
            (":514", BadAddress::BadHost),
            ("https://siem:514", BadAddress::Unbracketed),
            ("si em:514", BadAddress::BadHost),
            ("2001:db8::7:6514", BadAddress::Unbracketed),
            ("[siem]:514", BadAddress::NotIpv6),
        ] {
            assert_eq!(text.parse::<Address>().unwrap_err(), why, "{text}");
        }
    }

    #[tokio::test]
    async fn says_what_came_of_each_address() {
        // Bound but not listening: a port that nothing else can take meanwhile refuses.
        let held = TcpSocket::new_v4().unwrap();
        held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let at = held.local_addr().unwrap();
        let refused = connect(&at.into(), Duration::from_secs(5)).await.unwrap_err();
        assert_eq!(refused.to_string(), format!("cannot connect: {at} refuses the connection"));
        assert!(refused.help().contains("nothing listens"));
    }
}
