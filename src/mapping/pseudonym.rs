//! Pseudonyms: another name for a text, the same one every time, that leads back to nobody.
//!
//! HMAC-SHA-256 (RFC 2104) over the text, of which the first 16 bytes are written in hexadecimal.
//! Who does not have the key can neither undo it nor try names to see which one fits.
//!
//! **Invariant:** the key is in no error, no log line and no `Debug` output, and is wiped when it
//! is dropped.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The key that pseudonyms are made with.
///
/// Under one key the same text always has the same pseudonym; under another key it has another.
pub struct PseudonymKey(Hmac<Sha256>);

impl PseudonymKey {
    /// The shortest secret, in bytes.
    pub const SHORTEST: usize = 16;

    /// A key of that secret; `None` where it has fewer than [`Self::SHORTEST`] bytes.
    pub fn new(secret: &[u8]) -> Option<Self> {
        if secret.len() < Self::SHORTEST {
            return None;
        }
        // A key of any length will do: RFC 2104, section 2.
        Hmac::new_from_slice(secret).ok().map(Self)
    }

    /// A key that everybody knows: for tools that show what a mapping does, and send nothing. It never
    /// changes: customers' cases hold pseudonyms that were made with it.
    pub fn for_tests() -> Self {
        Self(Hmac::new(&[b't'; 64].into()))
    }

    /// Appends the text's pseudonym: 32 small hexadecimal digits.
    pub(super) fn write(&self, text: &str, out: &mut String) {
        let mut hash = self.0.clone();
        hash.update(text.as_bytes());
        for byte in hash.finalize().into_bytes().iter().take(16) {
            for half in [byte >> 4, byte & 15] {
                out.extend(char::from_digit(u32::from(half), 16));
            }
        }
    }
}

impl fmt::Debug for PseudonymKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PseudonymKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pseudonym(secret: &[u8], text: &str) -> String {
        let mut out = String::new();
        PseudonymKey::new(secret).unwrap().write(text, &mut out);
        out
    }

    #[test]
    fn is_hmac_sha_256() {
        // RFC 4231, test case 1 (a key of 20 bytes) and 6 (one longer than a block).
        assert_eq!(pseudonym(&[0x0b; 20], "Hi There"), "b0344c61d8db38535ca8afceaf0bf12b");
        let text = "Test Using Larger Than Block-Size Key - Hash Key First";
        assert_eq!(pseudonym(&[0xaa; 131], text), "60e431591ee0b67f0d8a26aacbf5b77f");
    }

    #[test]
    fn a_short_secret_is_refused_and_none_is_shown() {
        assert!(PseudonymKey::new(&[b'k'; 15]).is_none());
        assert_eq!(format!("{:?}", PseudonymKey::for_tests()), "PseudonymKey");
    }

    #[test]
    fn the_key_is_wiped_when_dropped() {
        // An `Hmac` is two states of the hash: this compiles only where those wipe themselves.
        fn wiped<T: hmac::digest::zeroize::ZeroizeOnDrop>() {}
        wiped::<Sha256>();
    }
}
