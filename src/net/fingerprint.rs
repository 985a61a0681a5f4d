//! Fingerprints of certificates: a hash of the whole certificate, as RFC 5425 §4.2.2 writes it.
//!
//! SHA-1 is among them because the RFC wants it and old receivers print nothing else: to pass for a
//! pinned certificate another one would have to be found for a *given* hash, which SHA-1 still
//! withstands.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use rustls::pki_types::CertificateDer;

/// The hash of one certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fingerprint {
    /// `sha-1:E1:2D:…`
    Sha1([u8; 20]),
    /// `sha-256:AB:CD:…`
    Sha256([u8; 32]),
}

impl Fingerprint {
    /// What is shown and advised: its SHA-256.
    pub fn of(certificate: &CertificateDer<'_>) -> Self {
        Self::Sha256(hashed(&SHA256, certificate))
    }

    /// It is the hash of this very certificate.
    pub fn is_of(&self, certificate: &CertificateDer<'_>) -> bool {
        match self {
            Self::Sha1(bytes) => *bytes == hashed(&SHA1_FOR_LEGACY_USE_ONLY, certificate),
            Self::Sha256(bytes) => *bytes == hashed(&SHA256, certificate),
        }
    }
}

fn hashed<const N: usize>(algorithm: &'static Algorithm, bytes: &[u8]) -> [u8; N] {
    let hash = digest(algorithm, bytes);
    let mut out = [0; N];
    // Both are as long as the algorithm's output; `zip` would stop at the shorter.
    out.iter_mut().zip(hash.as_ref()).for_each(|(out, byte)| *out = *byte);
    out
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, bytes): (_, &[u8]) = match self {
            Self::Sha1(bytes) => ("sha-1", bytes),
            Self::Sha256(bytes) => ("sha-256", bytes),
        };
        f.write_str(name)?;
        bytes.iter().try_for_each(|byte| write!(f, ":{byte:02X}"))
    }
}

impl FromStr for Fingerprint {
    type Err = BadFingerprint;

    /// The RFC's form, also in lower case, and with rsyslog's names of the hashes (`SHA256`, `SHA1`).
    fn from_str(text: &str) -> Result<Self, BadFingerprint> {
        let wrong = |why| BadFingerprint { why, meant: meant(text) };
        let (name, pairs) = text.split_once(':').ok_or_else(|| wrong(Why::NoHash))?;
        let name = name.to_ascii_lowercase();
        let bytes = bytes(pairs.split(':'));
        let length = |wanted| match &bytes {
            None => Why::NotPairs,
            Some(bytes) => Why::Length { wanted, found: bytes.len() },
        };
        match name.as_str() {
            "sha-256" | "sha256" => {
                array(bytes.as_deref()).map(Self::Sha256).ok_or_else(|| wrong(length(32)))
            }
            "sha-1" | "sha1" => array(bytes.as_deref()).map(Self::Sha1).ok_or_else(|| wrong(length(20))),
            pair if byte(pair).is_some() => Err(wrong(Why::NoHash)),
            _ => Err(wrong(Why::OtherHash(name))),
        }
    }
}

fn array<const N: usize>(bytes: Option<&[u8]>) -> Option<[u8; N]> {
    bytes?.try_into().ok()
}

fn bytes<'a>(pairs: impl Iterator<Item = &'a str>) -> Option<Vec<u8>> {
    pairs.map(byte).collect()
}

/// Two hexadecimal digits; `from_str_radix` alone would take `+f`.
fn byte(pair: &str) -> Option<u8> {
    let digits = pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit());
    if digits { u8::from_str_radix(pair, 16).ok() } else { None }
}

/// What a text of another form stands for, as far as its length tells the hash: bare digits, or the
/// line that `openssl x509 -fingerprint` prints.
fn meant(text: &str) -> Option<Fingerprint> {
    let behind = text.rsplit_once('=').map_or(text, |(_, behind)| behind);
    let behind = match behind.split_once(':') {
        Some((name, rest)) if byte(name).is_none() && !name.bytes().all(|b| b.is_ascii_hexdigit()) => rest,
        _ => behind,
    };
    let digits: String = behind.chars().filter(|c| !matches!(c, ':' | ' ' | '-')).collect();
    let pairs: Vec<&str> =
        (0..digits.len()).step_by(2).map_while(|at| digits.get(at..at.saturating_add(2))).collect();
    let bytes = bytes(pairs.into_iter()).filter(|bytes| bytes.len().saturating_mul(2) == digits.len())?;
    array(Some(&bytes)).map(Fingerprint::Sha256).or_else(|| array(Some(&bytes)).map(Fingerprint::Sha1))
}

/// The text is no fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct BadFingerprint {
    why: Why,
    meant: Option<Fingerprint>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Why {
    #[error("a fingerprint begins with the name of its hash")]
    NoHash,
    #[error("fingerprints are made by sha-256 or sha-1, not by `{0}`")]
    OtherHash(String),
    #[error("a fingerprint is written as pairs of hexadecimal digits with colons between them")]
    NotPairs,
    #[error("a fingerprint by this hash has {wanted} bytes, not {found}")]
    Length { wanted: usize, found: usize },
}

impl BadFingerprint {
    /// What to write instead.
    pub fn help(&self) -> String {
        match self.meant {
            Some(meant) => format!("write `{meant}`"),
            None => "write `sha-256:` and what this prints behind the `=`: \
                     openssl x509 -noout -fingerprint -sha256 -in CERTIFICATE.pem"
                .to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the three bytes `abc`: FIPS 180-2, appendices A.1 and B.1.
    const SHA_256: &str =
        "BA:78:16:BF:8F:01:CF:EA:41:41:40:DE:5D:AE:22:23:B0:03:61:A3:96:17:7A:9C:B4:10:FF:61:F2:00:15:AD";
    const SHA_1: &str = "A9:99:3E:36:47:06:81:6A:BA:3E:25:71:78:50:C2:6C:9C:D0:D8:9D";

    fn abc() -> CertificateDer<'static> {
        CertificateDer::from(b"abc".as_slice())
    }

    #[test]
    fn reads_the_spellings_in_use_and_writes_the_rfcs() {
        for (text, written) in [
            (format!("sha-256:{SHA_256}"), format!("sha-256:{SHA_256}")),
            (format!("SHA256:{SHA_256}"), format!("sha-256:{SHA_256}")),
            (format!("sha256:{}", SHA_256.to_lowercase()), format!("sha-256:{SHA_256}")),
            (format!("sha-1:{SHA_1}"), format!("sha-1:{SHA_1}")),
            (format!("SHA1:{}", SHA_1.to_lowercase()), format!("sha-1:{SHA_1}")),
        ] {
            let read: Fingerprint = text.parse().unwrap();
            assert_eq!(read.to_string(), written);
            assert!(read.is_of(&abc()), "{text}");
            assert!(!read.is_of(&CertificateDer::from(b"abd".as_slice())), "{text}");
        }
        assert_eq!(Fingerprint::of(&abc()).to_string(), format!("sha-256:{SHA_256}"));
    }

    #[test]
    fn says_what_was_meant_wherever_that_can_be_told() {
        let bare = SHA_256.replace(':', "");
        let (sha256, sha1) = (format!("write `sha-256:{SHA_256}`"), format!("write `sha-1:{SHA_1}`"));
        for (text, what, help) in [
            (SHA_256.to_owned(), "begins with the name of its hash", &sha256),
            (bare.clone(), "begins with the name of its hash", &sha256),
            (format!("sha256:{bare}"), "pairs of hexadecimal digits", &sha256),
            (format!("sha-256: {SHA_256}"), "pairs of hexadecimal digits", &sha256),
            (format!("sha256 Fingerprint={SHA_256}"), "not by `sha256 fingerprint=ba`", &sha256),
            (SHA_1.to_lowercase(), "begins with the name of its hash", &sha1),
            (format!("sha-256:{SHA_1}"), "has 32 bytes, not 20", &sha1),
        ] {
            let bad = text.parse::<Fingerprint>().unwrap_err();
            assert!(bad.to_string().contains(what), "{text}: {bad}");
            assert_eq!(bad.help(), *help, "{text}");
        }
    }

    #[test]
    fn refuses_everything_else() {
        for text in [
            "",
            ":",
            "sha-256",
            "sha-256:",
            "md5:900150983CD24FB0D6963F7D28E17F72",
            "sha-512:AB",
            "sha-1:+f:AB",
            "SHA256:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0",
            "sha-1:é",
            "AB:C",
            "=",
            "a=é",
        ] {
            let bad = text.parse::<Fingerprint>().unwrap_err();
            assert!(bad.help().contains("openssl x509"), "{text}: {bad}");
        }
    }
}
