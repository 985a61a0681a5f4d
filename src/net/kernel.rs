//! What this machine's kernel knows of the other end of a TCP connection: whether it still lives.
//!
//! Neither a socket's error nor `TCP_USER_TIMEOUT` tells a receiver that is gone from one that is
//! behind and keeps its window shut: the latter answers every probe, for hours if need be. The
//! kernel's table of connections does (`/proc/net/tcp`, proc(5)); it is text, and is read only while
//! nothing moves.
//!
//! **Invariant:** where the table cannot be read, nothing is claimed.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// How the other end answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// All that was sent is acknowledged, or about to be.
    Answering,
    /// Its window is shut, and it answers the probes: its program does not read.
    Shut,
    /// What was sent, or a probe, goes unanswered.
    Silent,
}

/// Looks a connection up by its two ends.
pub fn peer(local: SocketAddr, remote: SocketAddr) -> Option<Peer> {
    ["/proc/self/net/tcp", "/proc/self/net/tcp6"]
        .into_iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .find_map(|table| table.lines().skip(1).find_map(|line| read(line, local, remote)))
}

/// A line of the table, if it is the one: `sl local remote st tx:rx tr:when retrnsmt uid timeout …`,
/// numbers in hexadecimal.
fn read(line: &str, local: SocketAddr, remote: SocketAddr) -> Option<Peer> {
    let mut columns = line.split_ascii_whitespace().skip(1);
    if address(columns.next()?)? != canonical(local) || address(columns.next()?)? != canonical(remote) {
        return None;
    }
    let (_queues, timer) = (columns.nth(1)?, columns.next()?.split(':').next()?);
    let retransmits = u32::from_str_radix(columns.next()?, 16).ok()?;
    let unanswered_probes: u32 = columns.nth(1)?.parse().ok()?;
    Some(match timer {
        // One resend is everyday life; the second comes after more than half a second of silence.
        "01" if retransmits > 1 => Peer::Silent,
        "04" if unanswered_probes > 1 => Peer::Silent,
        "04" => Peer::Shut,
        _ => Peer::Answering,
    })
}

/// `0100007F:1A2B`: each four bytes in the machine's order.
fn address(text: &str) -> Option<(IpAddr, u16)> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let mut bytes = Vec::with_capacity(16);
    let mut rest = ip;
    while let Some((word, behind)) = rest.split_at_checked(8) {
        bytes.extend(u32::from_str_radix(word, 16).ok()?.to_ne_bytes());
        rest = behind;
    }
    let ip = match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(v4) => IpAddr::from(Ipv4Addr::from(v4)),
        Err(_) => IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(bytes.as_slice()).ok()?)).to_canonical(),
    };
    Some((ip, port))
}

fn canonical(address: SocketAddr) -> (IpAddr, u16) {
    (address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "  5: 0100007F:1A2B 0200007F:01BB 01 00000010:00000000";

    #[test]
    fn a_line_tells_how_the_other_end_answers() {
        let (local, remote) = ("127.0.0.1:6699".parse().unwrap(), "127.0.0.2:443".parse().unwrap());
        let told = |rest: &str| read(&format!("{HEAD} {rest} 0 1234 1 0"), local, remote);
        if cfg!(target_endian = "little") {
            assert_eq!(told("00:00000000 00000000 0 0"), Some(Peer::Answering));
            assert_eq!(told("01:00000014 00000001 0 0"), Some(Peer::Answering));
            assert_eq!(told("01:00000014 00000004 0 0"), Some(Peer::Silent));
            assert_eq!(told("04:00000014 00000000 0 0"), Some(Peer::Shut));
            assert_eq!(told("04:00000014 00000000 0 7"), Some(Peer::Silent));
            assert_eq!(read(HEAD, local, remote), None);
            assert_eq!(read(&format!("{HEAD} 00:0 0 0 0"), remote, local), None);
        }
    }

    #[test]
    fn an_open_connection_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let found = peer(stream.local_addr().unwrap(), stream.peer_addr().unwrap());
        if fs::metadata("/proc/self/net/tcp").is_ok() {
            assert_eq!(found, Some(Peer::Answering));
        }
        assert_eq!(peer(stream.peer_addr().unwrap(), "192.0.2.1:9".parse().unwrap()), None);
    }
}
