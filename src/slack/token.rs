//! The token that requests bear.
//!
//! **Invariant:** it is in no error, no log line and no `Debug` output.

use std::fmt;

use reqwest::header::HeaderValue;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};

use super::settings::BadSettings;

/// A handle to the token that is in force now; clones share it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(HeaderValue);

impl Token {
    /// A token that stays what it is.
    ///
    /// # Errors
    /// [`BadSettings::Token`] when it holds what no token holds.
    pub fn fixed(token: &SecretString) -> Result<Self, BadSettings> {
        bearer(token).map(Self)
    }

    /// The value of the header `Authorization`, marked sensitive.
    pub(super) fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

fn bearer(token: &SecretString) -> Result<HeaderValue, BadSettings> {
    let token = token.expose_secret();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(BadSettings::Token);
    }
    let line = Zeroizing::new(format!("Bearer {token}"));
    let mut value = HeaderValue::from_str(&line).map_err(|_| BadSettings::Token)?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_one_word_and_never_shown() {
        for bad in ["", "xoxp-1 ", "xoxp-1\n", "xoxp\u{e9}", "\u{0}"] {
            assert!(matches!(bearer(&SecretString::from(bad)), Err(BadSettings::Token)), "{bad:?}");
        }
        let value = bearer(&SecretString::from("xoxp-secret")).unwrap();
        assert!(!format!("{value:?}").contains("secret"));
    }
}
