//! A real syslog-ng, whose sources know one framing each: `syslog()` counts octets, `network()` reads
//! lines.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use slackcef::syslog::Framing;

use super::certificates::Certificates;
use super::daemon::{Daemon, Listen, PATIENCE, Receiver, accepts, configuration, folder_of, tick};

/// syslog-ng on a free port of this machine.
///
/// `flags` as in `flags(...)` of the source: `network()` reads RFC 5424 headers only with
/// `syslog-protocol`.
pub(crate) async fn start(
    certificates: &Certificates,
    listen: Listen,
    framing: Framing,
    flags: &str,
) -> Receiver {
    // The port is free when it is asked for and may be taken a moment later: then the next one.
    for _ in 0..5 {
        let mut receiver = spawn(certificates, listen, framing, flags);
        let start = Instant::now();
        while !receiver.daemon.has_ended() {
            if accepts(receiver.address).await && !receiver.daemon.has_ended() {
                return receiver;
            }
            assert!(start.elapsed() < PATIENCE, "syslog-ng: {}", receiver.daemon.log());
            tick().await;
        }
        let log = receiver.daemon.log();
        assert!(log.contains("Address already in use"), "syslog-ng: {log}");
    }
    panic!("no port stays free");
}

fn spawn(certificates: &Certificates, listen: Listen, framing: Framing, flags: &str) -> Receiver {
    let dir = Daemon::folder(certificates);
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let at = dir.path().display().to_string();
    let text = configuration(
        "syslog-ng.conf",
        &[
            ("SOURCE", if framing == Framing::OctetCounting { "syslog" } else { "network" }),
            ("FLAGS", &format!(" {flags}")),
            ("TRANSPORT", if listen.tls { "tls" } else { "tcp" }),
            ("TLS", &tls(listen)),
            ("PORT", &address.port().to_string()),
            ("DIR", &at),
        ],
    );
    fs::write(dir.path().join("syslog-ng.conf"), text).unwrap();
    let daemon =
        Daemon::start("usr/sbin/syslog-ng", |command, dir| stays_in(command, dir, "syslog-ng.conf"), dir);
    Receiver { daemon, address }
}

/// Has it read that file of the folder, and keep there all that it writes for itself.
pub(super) fn stays_in(command: &mut Command, folder: &Path, configuration: &str) {
    command.args(["--foreground", "--no-caps", "--stderr"]);
    for (option, file) in [
        ("--cfgfile", configuration),
        ("--persist-file", "persist"),
        ("--control", "control"),
        ("--pidfile", "pid"),
    ] {
        command.arg(format!("{option}={}", folder.join(file).display()));
    }
    command.arg(format!("--module-path={}", folder_of("libafsocket.so").display()));
}

fn tls(listen: Listen) -> String {
    if !listen.tls {
        return String::new();
    }
    let whom = if listen.client_certificates { "required-trusted" } else { "optional-untrusted" };
    let versions = if listen.only_tls_1_2 { "no-tlsv13" } else { "no-sslv3" };
    format!(
        r#"tls(key-file("@DIR@/server.key") cert-file("@DIR@/server.pem") ca-file("@DIR@/ca.pem")
            peer-verify({whom}) ssl-options({versions}))"#
    )
}
