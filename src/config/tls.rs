//! The keys about TLS, of whichever table a destination has them in.
//!
//! Without `ca` a fingerprint alone decides; with it the chain and the name have to be right as well.

use super::reader::{Section, Word};
use crate::net::{self, ClientCertificate, Fingerprint, Roots, TlsError, TlsSettings, Trust};

/// Reads `ca`, `certificate`, `key`, `fingerprints`, `server_name` and `sni`; the section's other keys,
/// and its end, are the caller's.
pub(super) fn read(section: &Section<'_, '_>) -> TlsSettings {
    TlsSettings {
        trust: read_trust(section),
        client: read_client(section),
        server_name: section.parsed("server_name", |name| checked(name, net::check_server_name)),
        sni: section.parsed("sni", |name| checked(name, net::check_sni)),
    }
}

fn checked(name: &str, check: impl Fn(&str) -> Result<(), TlsError>) -> Result<String, String> {
    check(name).map_err(|error| error.help().unwrap_or_else(|| error.to_string()))?;
    Ok(name.to_owned())
}

fn read_trust(section: &Section<'_, '_>) -> Trust {
    let ca = section.text("ca").map(|word| Roots::File(word.text.into()));
    let pins = read_fingerprints(section);
    match (ca, pins) {
        (None, Some(pins)) => {
            if let Some(place) = section.place("server_name") {
                let what = "without `ca` the fingerprint alone decides, and no name is verified";
                let help = "add `ca`, or call it `sni` if it is only to be sent";
                section.problem(&place, "unverified-name", what, help);
            }
            Trust::Pinned(pins)
        }
        (ca, pins) => Trust::Chain { roots: ca.unwrap_or(Roots::System), pins: pins.unwrap_or_default() },
    }
}

/// Whoever means to pin gets pins or a problem, never a connection without.
fn read_fingerprints(section: &Section<'_, '_>) -> Option<Vec<Fingerprint>> {
    let words = section.texts("fingerprints")?;
    if words.is_empty() {
        let what = "`fingerprints` names none: no certificate would ever be right";
        section.problem(&section.place("fingerprints")?, "missing", what, "add one, or leave it out");
    }
    let read = |word: &Word<'_>| {
        word.text
            .parse::<Fingerprint>()
            .map_err(|error| section.problem(&word.span, "bad-fingerprint", error.to_string(), error.help()))
            .ok()
    };
    Some(words.iter().filter_map(read).collect())
}

fn read_client(section: &Section<'_, '_>) -> Option<ClientCertificate> {
    let (certificate, key) = (section.text("certificate"), section.text("key"));
    let (alone, what, help) = match (certificate, key) {
        (Some(certificate), Some(key)) => {
            return Some(ClientCertificate { certificate: certificate.text.into(), key: key.text.into() });
        }
        (None, None) => return None,
        (Some(alone), None) => (alone, "a certificate without its `key`", "add `key = \"…\"`"),
        (None, Some(alone)) => (alone, "a key without its `certificate`", "add `certificate = \"…\"`"),
    };
    section.problem(&alone.span, "missing", what, help);
    None
}
