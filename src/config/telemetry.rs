//! `[telemetry]`: where the forwarder shows how it is.

use std::net::{Ipv4Addr, SocketAddr};

use super::quiet::{self, Quiet};
use super::reader::Section;

/// `[telemetry]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Telemetry {
    /// Where `/status`, `/healthz` and `/readyz` are served; `None`: nowhere.
    pub listen: Option<SocketAddr>,
    /// When a source that does not say it itself counts as gone quiet.
    pub quiet: Quiet,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self { listen: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 9464))), quiet: Quiet::default() }
    }
}

/// Reads the table, and adds to `remarks` what is to be known of it.
pub(super) fn read(section: &Section<'_, '_>, remarks: &mut Vec<String>) -> Telemetry {
    let listen = section.parsed("listen", address).unwrap_or(Telemetry::default().listen);
    if let Some(open) = listen.filter(|listen| !listen.ip().is_loopback()) {
        remarks.push(format!(
            "[telemetry] listens on {open}: other machines can read there, without a password, how sources and \
             destinations are called and how they are; secrets are never shown"
        ));
    }
    if section.skip("heartbeat") {
        remarks.push("[telemetry] `heartbeat` is not acted on: this version has no heartbeat yet".to_owned());
    }
    let quiet = quiet::read(section, Quiet::default());
    section.finish();
    Telemetry { listen, quiet }
}

fn address(text: &str) -> Result<Option<SocketAddr>, String> {
    if text == "off" {
        return Ok(None);
    }
    match text.parse::<SocketAddr>() {
        Ok(address) if address.port() > 0 => Ok(Some(address)),
        _ => Err("write an IP address and a port, such as `127.0.0.1:9464`, or `off`".to_owned()),
    }
}
