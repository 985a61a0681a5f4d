//! A real rsyslog: imtcp, plaintext or TLS by its OpenSSL driver. It tells the framing and the header
//! of each message by itself.

use std::fs;
use std::net::SocketAddr;
use std::time::Instant;

use super::certificates::Certificates;
use super::daemon::{Daemon, Listen, PATIENCE, Receiver, accepts, configuration, folder_of, tick};

/// rsyslog on a free port of this machine.
pub(crate) async fn start(certificates: &Certificates, listen: Listen) -> Receiver {
    let dir = Daemon::folder(certificates);
    let at = dir.path().display().to_string();
    let text = configuration("rsyslog.conf", &[("DIR", &at), ("DRIVER", &driver(listen))]);
    fs::write(dir.path().join("rsyslog.conf"), text).unwrap();
    let modules = folder_of("imtcp.so");
    let mut daemon = Daemon::start(
        "usr/sbin/rsyslogd",
        |command, dir| {
            command.args(["-n", "-iNONE"]).arg("-f").arg(dir.join("rsyslog.conf")).arg("-M").arg(&modules);
        },
        dir,
    );
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
