//! Text filters: what is done to a text once it is one, step by step.
//!
//! **Invariant:** each is linear in the text's length, and allocates nothing once the buffers have
//! grown.
//! **Invariant:** what shall hide a text and cannot leaves nothing of it, never the clear text.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use super::Buffers;
use crate::cef::Kind;
use crate::mapping::kit::Kit;
use crate::mapping::lookup::TableId;

/// One step of what is done to a text.
#[derive(Debug)]
pub(in crate::mapping) struct Step {
    pub(in crate::mapping) filter: Filter,
    /// Where it stands in the template; of a table its name.
    pub(in crate::mapping) at: Range<usize>,
}

#[derive(Debug)]
pub(in crate::mapping) enum Filter {
    Lower,
    Upper,
    Domain,
    Mask,
    Pseudonym,
    Table(TableId),
}

impl Filter {
    /// Changes the text from `start` on. `None` where it leaves nothing of it.
    pub(super) fn apply(&self, start: usize, kit: Option<&Kit>, buffers: &mut Buffers) -> Option<()> {
        let Buffers { text, spare } = buffers;
        let given = text.get(start..)?;
        spare.clear();
        match self {
            Self::Lower => spare.extend(given.chars().flat_map(char::to_lowercase)),
            Self::Upper => spare.extend(given.chars().flat_map(char::to_uppercase)),
            Self::Domain => spare.extend(domain(given)?.chars().flat_map(char::to_lowercase)),
            Self::Mask => mask(given, spare),
            Self::Pseudonym => kit?.key.as_ref()?.write(given, spare),
            Self::Table(table) => spare.push_str(kit?.table(*table)?.find(given)?),
        }
        text.truncate(start);
        text.push_str(spare);
        Some(())
    }

    /// Whether less can be told from what it leaves than from what it was given.
    pub(super) fn hides(&self) -> bool {
        match self {
            Self::Domain | Self::Mask | Self::Pseudonym => true,
            Self::Lower | Self::Upper | Self::Table(_) => false,
        }
    }

    /// What it leaves, in words, where that is never a value of this kind.
    pub(in crate::mapping) fn never(&self, kind: Kind) -> Option<&'static str> {
        match (self, kind) {
            (_, Kind::Text)
            | (Self::Mask, Kind::Address | Kind::Ipv6)
            | (Self::Lower | Self::Upper | Self::Table(_), _) => None,
            (Self::Domain, _) => Some("a domain"),
            (Self::Mask, _) => Some("a masked text"),
            (Self::Pseudonym, _) => Some("a pseudonym"),
        }
    }
}

/// The domain of an e-mail address or of a URL; an IP address is none.
fn domain(text: &str) -> Option<&str> {
    let text = text.trim();
    let host = match text.split_once("://") {
        Some((scheme, rest)) if is_scheme(scheme) => host(rest),
        _ => email(text)?.1,
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    is_domain(host).then_some(host)
}

/// The host of what follows a URL's `//`, without user and port.
fn host(rest: &str) -> &str {
    // Browsers take `\` for `/`.
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    match host.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => host,
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
}

/// The two sides of an e-mail address.
fn email(text: &str) -> Option<(&str, &str)> {
    let (local, domain) = text.rsplit_once('@')?;
    let strange = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '@' | '<' | '>' | ',' | '"');
    let fine = !local.is_empty() && !local.contains(strange) && is_domain(domain);
    fine.then_some((local, domain))
}

/// Names parted by dots, in any script.
fn is_domain(text: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_'))
    };
    text.len() <= LONGEST_DOMAIN && text.split('.').all(is_label) && text.parse::<Ipv4Addr>().is_err()
}

/// In bytes, of any script.
const LONGEST_DOMAIN: usize = 253 * 4;

/// Appends what may be seen of a text: an address's network, an e-mail address's domain, and of
/// anything else its first character.
fn mask(text: &str, out: &mut String) {
    use std::fmt::Write as _;
    let text = text.trim();
    // Writing into a String cannot fail.
    match text.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V4(address)) => {
            let [a, b, c, _] = address.octets();
            write!(out, "{}", Ipv4Addr::new(a, b, c, 0)).unwrap_or_default();
        }
        Ok(IpAddr::V6(address)) => {
            let [a, b, c, ..] = address.segments();
            write!(out, "{}", Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0)).unwrap_or_default();
        }
        Err(_) => {
            out.extend(text.chars().next());
            out.push_str("***");
            if let Some((_, domain)) = email(text) {
                out.extend(['@']);
                out.push_str(domain);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_those_of_addresses_and_urls() {
        for (text, meant) in [
            ("ada@Example.com", "Example.com"),
            (" a.b+c@mail.example.co.uk ", "mail.example.co.uk"),
            ("ada@localhost", "localhost"),
            ("ada@bücher.example", "bücher.example"),
            ("https://example.com", "example.com"),
            ("https://user:pa@ss@www.example.com:8443/a@b?c://d", "www.example.com"),
            ("https://example.com.\\@evil.example/", "example.com"),
            ("custom+scheme://host?x=1", "host"),
        ] {
            assert_eq!(domain(text), Some(meant), "{text}");
        }
        for none in [
            "",
            "ada",
            "example.com",
            "@example.com",
            "ada@",
            "ada@exa mple.com",
            "a b@example.com",
            "Ada <ada@example.com>",
            "a@x.example,b@y.example",
            "ada@192.0.2.1",
            "https://192.0.2.1/x",
            "https://[2001:db8::1]/x",
            "https:///path",
            "://example.com",
            "ada@a..b",
            "ada@\u{202e}moc.elpmaxe",
        ] {
            assert_eq!(domain(none), None, "{none}");
        }
        assert_eq!(domain(&format!("a@{}.example", "x".repeat(2000))), None);
    }

    #[test]
    fn masks_keep_the_network_the_domain_or_one_character() {
        let masked = |text: &str| {
            let mut out = String::new();
            mask(text, &mut out);
            out
        };
        for (text, meant) in [
            ("jane@example.com", "j***@example.com"),
            ("é@Example.com", "é***@Example.com"),
            ("a@b@example.com", "a***"),
            ("192.0.2.77", "192.0.2.0"),
            ("::ffff:192.0.2.77", "192.0.2.0"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1::"),
            ("fe80::1%eth0", "f***"),
            ("192.0.2.77:443", "1***"),
            ("Ada Lovelace", "A***"),
            ("x", "x***"),
            (" ", "***"),
            ("{\"a\":1}", "{***"),
        ] {
            assert_eq!(masked(text), meant, "{text}");
        }
    }
}
