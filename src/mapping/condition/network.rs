//! Networks: `10.0.0.0/8`, `2001:db8::/32`, and single addresses.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

use crate::mapping::text::Slip;

/// Whether a text is an address of one of the networks.
pub(super) fn hold(networks: &[IpNet], text: &str) -> bool {
    // The longest address has 45 characters.
    if text.len() > 45 {
        return false;
    }
    let Ok(address) = text.parse::<IpAddr>() else { return false };
    let address = address.to_canonical();
    networks.iter().any(|network| network.contains(&address))
}

/// Reads a network, or an address, which is a network of one.
pub(super) fn read(text: &str) -> Result<IpNet, Slip> {
    let slip = |what: String| Slip::new(0..text.len(), "bad-cidr", what);
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address.to_canonical()));
    }
    let network = text.parse::<IpNet>().map_err(|_| {
        slip(format!("`{text}` is no network"))
            .help("write an address and the length of its prefix: `10.0.0.0/8`, `2001:db8::/32`; for the organization's own allow list `trusted.cidr`")
    })?;
    if network.trunc() != network {
        let meant = network.trunc();
        return Err(slip(format!("`{text}` names an address within a network")).help(format!(
            "for the whole network write `{meant}`, for the address alone `{}`",
            network.addr()
        )));
    }
    Ok(canonical(network))
}

/// A network of IPv4 addresses in IPv6's clothes as what it is.
fn canonical(network: IpNet) -> IpNet {
    if let IpNet::V6(clothed) = network
        && let Some(address) = clothed.addr().to_ipv4_mapped()
        && let Some(length) = clothed.prefix_len().checked_sub(96)
        && let Ok(bare) = Ipv4Net::new(address, length)
    {
        return bare.into();
    }
    network
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(network: &str, text: &str) -> bool {
        hold(&[read(network).unwrap()], text)
    }

    #[test]
    fn an_address_lies_within_or_without() {
        for (network, within, without) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("2001:db8::/32", "2001:DB8:1::1", "2001:db9::1"),
            ("::1", "::1", "::2"),
            ("0.0.0.0/0", "203.0.113.5", "::1"),
            ("::/0", "2001:db8::1", "203.0.113.5"),
        ] {
            assert!(holds(network, within), "{within} in {network}");
            assert!(!holds(network, without), "{without} in {network}");
        }
        for text in
            ["", "10.0.0", "10.0.0.1/32", "10.0.0.1:443", " 10.0.0.1", "fe80::1%eth0", "010.0.0.1", "x"]
        {
            assert!(!holds("0.0.0.0/0", text) && !holds("::/0", text), "{text}");
        }
    }

    #[test]
    fn an_ipv4_address_in_the_clothes_of_ipv6_is_one() {
        assert!(holds("10.0.0.0/8", "::ffff:10.1.2.3"));
        assert!(holds("::ffff:10.0.0.0/104", "10.1.2.3"));
        assert!(holds("::ffff:10.1.2.3", "10.1.2.3"));
        assert!(!holds("::ffff:10.0.0.0/104", "11.1.2.3"));
    }

    #[test]
    fn host_bits_are_a_mistake_with_both_ways_out() {
        let slip = read("10.1.2.3/8").unwrap_err();
        assert_eq!(
            slip.help.as_deref(),
            Some("for the whole network write `10.0.0.0/8`, for the address alone `10.1.2.3`")
        );
        for text in ["", "10.0.0.0/33", "10.0.0/8", "10.0.0.0/", "/8", "example.com", "::/129"] {
            assert_eq!(read(text).unwrap_err().code, "bad-cidr", "{text}");
        }
    }
}
