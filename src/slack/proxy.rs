//! Through which HTTP proxy Slack is reached.
//!
//! **Invariant:** no password is part of a proxy's address.

use std::error::Error;
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

/// What the proxy made of our wish to be let through to Slack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProxyTrouble {
    /// It wants a name and a password, or others than those it was given.
    WantsLogin,
    /// It does not let us through to Slack.
    Refuses,
    /// It cannot be connected to.
    Unreachable,
    /// It broke off before it answered.
    BrokeOff,
}

impl ProxyTrouble {
    /// What became of the tunnel, where one was tried; the client's libraries say it in words alone.
    pub(super) fn of(error: &reqwest::Error) -> Option<Self> {
        let what = causes(error).find_map(|text| text.strip_prefix("tunnel error: ").map(str::to_owned))?;
        Some(match what.as_str() {
            "proxy authorization required" => Self::WantsLogin,
            "failed to create underlying connection" => Self::Unreachable,
            "unexpected end of file" | "io error establishing tunnel" => Self::BrokeOff,
            _ => Self::Refuses,
        })
    }

    /// What to do about it, in a sentence or two.
    pub fn help(self) -> &'static str {
        match self {
            Self::WantsLogin => {
                "give it its name and password: `proxy = \"http://USER@HOST:PORT\"` with `proxy_password`, or \
                 HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT in the environment; basic authentication alone is spoken"
            }
            Self::Refuses => {
                "have the proxy allow CONNECT to port 443 of api.slack.com and slack.com (GovSlack: \
                 api.slack-gov.com and slack-gov.com)"
            }
            Self::Unreachable => {
                "check the proxy's address in `proxy` or HTTPS_PROXY, and that it runs; `proxy = \"off\"` goes \
                 without; it is tried again by itself"
            }
            Self::BrokeOff => "it is tried again by itself; if it goes on, look into the proxy's log",
        }
    }
}

impl fmt::Display for ProxyTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WantsLogin => {
                "the proxy wants a name and a password, or others than those it was given (407)"
            }
            Self::Refuses => "the proxy does not let us through to Slack",
            Self::Unreachable => "no connection to the proxy",
            Self::BrokeOff => "the proxy broke off before it answered",
        })
    }
}

/// Whether the certificate that was shown for Slack has an issuer whom nobody here trusts.
pub(super) fn is_unknown_issuer(error: &reqwest::Error) -> bool {
    causes(error).any(|text| text.ends_with("UnknownIssuer"))
}

/// The error in words, then each of its causes.
fn causes(error: &reqwest::Error) -> impl Iterator<Item = String> {
    let mut next: Option<&dyn Error> = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        next = error.source();
        Some(error.to_string())
    })
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
