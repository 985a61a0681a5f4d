//! Through which HTTP proxy Slack is reached.
//!
//! **Invariant:** no password is part of a proxy's address.

use std::fmt;
use std::str::FromStr;

use reqwest::Url;

/// The proxy on the way to Slack. This machine itself is never asked through one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Proxy {
    /// As `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` of the environment say, in capitals or small.
    #[default]
    Environment,
    /// None, whatever the environment says.
    Off,
    /// This one, for all of Slack's addresses.
    At(ProxyAddress),
}

/// The address of a proxy: `http://proxy:3128`, or `https://` where the way to it is TLS too; a user
/// may stand before the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyAddress(Url);

impl ProxyAddress {
    /// The name to give to the proxy.
    pub fn user(&self) -> Option<&str> {
        Some(self.0.username()).filter(|user| !user.is_empty())
    }

    /// The address, the user in it and no password.
    pub(super) fn url(&self) -> &Url {
        &self.0
    }
}

impl FromStr for Proxy {
    type Err = BadProxy;

    fn from_str(text: &str) -> Result<Self, BadProxy> {
        if text == "off" {
            return Ok(Self::Off);
        }
        let url: Url = text.parse().map_err(|_| BadProxy::NotAUrl)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(BadProxy::Scheme);
        }
        if url.password().is_some() {
            return Err(BadProxy::Password);
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(BadProxy::NotARoot);
        }
        Ok(Self::At(ProxyAddress(url)))
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment => f.write_str("what the environment says"),
            Self::Off => f.write_str("off"),
            Self::At(ProxyAddress(url)) => fmt::Display::fmt(url, f),
        }
    }
}

/// No address of a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadProxy {
    /// It is not an address with a scheme and a host.
    #[error("write an address such as `http://proxy.example.com:3128`, or \"off\"")]
    NotAUrl,
    /// SOCKS, or something else.
    #[error(
        "the address must begin with http:// or https://, which is how the proxy itself is spoken to; SOCKS is not supported"
    )]
    Scheme,
    /// A password in a file that many read.
    #[error(
        "leave the password out: it belongs into `proxy_password = {{ file = \"…\" }}`, `{{ env = … }}` or `{{ credential = … }}`"
    )]
    Password,
    /// It goes on after the port.
    #[error("the address must end with the port")]
    NotARoot,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_an_address_without_a_password() {
        for (fine, user) in [
            ("http://proxy.example.com:3128", None),
            ("https://proxy/", None),
            ("http://alice@10.0.0.1:8080", Some("alice")),
        ] {
            let Ok(Proxy::At(at)) = fine.parse() else { panic!("{fine}") };
            assert_eq!(at.user(), user, "{fine}");
        }
        assert_eq!("off".parse(), Ok(Proxy::Off));
        for (bad, why) in [
            ("", BadProxy::NotAUrl),
            ("proxy", BadProxy::NotAUrl),
            ("proxy:3128", BadProxy::Scheme),
            ("socks5://proxy:1080", BadProxy::Scheme),
            ("http://alice:secret@proxy:3128", BadProxy::Password),
            ("http://proxy:3128/path", BadProxy::NotARoot),
        ] {
            assert_eq!(bad.parse::<Proxy>(), Err(why), "{bad}");
        }
    }
}
