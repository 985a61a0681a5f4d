//! A real rsyslog: imtcp, which tells the framing of each message by itself, or imrelp. Both in
//! plaintext or over TLS by OpenSSL.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::time::Instant;

use tempfile::TempDir;

use super::certificates::Certificates;
use super::daemon::{Daemon, Listen, PATIENCE, Receiver, accepts, configuration, folder_of, tick};

/// rsyslog's imtcp on a free port of this machine.
pub(crate) async fn start(certificates: &Certificates, listen: Listen) -> Receiver {
    let dir = Daemon::folder(certificates);
    let at = dir.path().display().to_string();
    let text = configuration("rsyslog.conf", &[("DIR", &at), ("DRIVER", &driver(listen))]);
    fs::write(dir.path().join("rsyslog.conf"), text).unwrap();
    let mut daemon = spawn(dir);
    let start = Instant::now();
    let address = loop {
        assert!(start.elapsed() < PATIENCE && !daemon.has_ended(), "rsyslog: {}", daemon.log());
        let port =
            fs::read_to_string(daemon.dir().join("port")).ok().and_then(|port| port.trim().parse().ok());
        if let Some(port) = port {
            let address = SocketAddr::from(([127, 0, 0, 1], port));
            if accepts(address).await {
                break address;
            }
        }
        tick().await;
    };
    Receiver { daemon, address }
}

fn driver(listen: Listen) -> String {
    if !listen.tls {
        return String::new();
    }
    let whom = if listen.client_certificates { "x509/certvalid" } else { "anon" };
    let versions = if listen.only_tls_1_2 { r#" gnutlsPriorityString="MaxProtocol=TLSv1.2""# } else { "" };
    format!(r#"StreamDriver.Name="ossl" StreamDriver.Mode="1" StreamDriver.AuthMode="{whom}"{versions}"#)
}

/// The one client that imrelp lets in where it asks for certificates.
pub(crate) const RELP_CLIENT: &str = "forwarder.example.com";

/// rsyslog's imrelp on a free port of this machine.
pub(crate) async fn start_relp(certificates: &Certificates, listen: Listen) -> Receiver {
    // It cannot say which port it was given, and one that is free now may be taken a moment later.
    for _ in 0..5 {
        let dir = Daemon::folder(certificates);
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let at = dir.path().display().to_string();
        let port = address.port().to_string();
        let text =
            configuration("rsyslog-relp.conf", &[("TLS", &relp_tls(listen)), ("DIR", &at), ("PORT", &port)]);
        fs::write(dir.path().join("rsyslog.conf"), text).unwrap();
        let mut receiver = Receiver { daemon: spawn(dir), address };
        let start = Instant::now();
        while !receiver.daemon.log().contains("could not activate relp listener") {
            assert!(
                start.elapsed() < PATIENCE && !receiver.daemon.has_ended(),
                "rsyslog: {}",
                receiver.daemon.log()
            );
            if accepts(address).await {
                return receiver;
            }
            tick().await;
        }
    }
    panic!("no port stays free");
}

fn relp_tls(listen: Listen) -> String {
    if !listen.tls {
        return String::new();
    }
    let whom = if listen.client_certificates {
        format!(r#" tls.authMode="name" tls.permittedPeer=["{RELP_CLIENT}"]"#)
    } else {
        String::new()
    };
    let versions = if listen.only_tls_1_2 { r#" tls.tlscfgcmd="MaxProtocol=TLSv1.2""# } else { "" };
    format!(
        r#"tls="on" tls.caCert="@DIR@/ca.pem" tls.myCert="@DIR@/server.pem" tls.myPrivKey="@DIR@/server.key"{whom}{versions}"#
    )
}

/// Starts it with the `rsyslog.conf` in `dir`.
fn spawn(dir: TempDir) -> Daemon {
    let modules = folder_of("imtcp.so");
    Daemon::start(
        "usr/sbin/rsyslogd",
        |command, dir| {
            command.args(["-n", "-iNONE"]).arg("-f").arg(dir.join("rsyslog.conf")).arg("-M").arg(&modules);
        },
        dir,
    )
}
