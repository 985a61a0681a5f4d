//! Values brought into the type that their key wants; what does not fit is refused, with the reason.

use std::fmt::{self, Display, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::key::Kind;

/// A text that is no value of its key's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not {}", .wanted.described())]
pub struct Misfit {
    /// What was wanted.
    pub wanted: Kind,
}

impl Kind {
    /// The kind in words: `a whole number of 32 bits`.
    pub fn described(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Integer => "a whole number of 32 bits",
            Self::Long => "a whole number of 64 bits",
            Self::Float => "a decimal number",
            Self::Address => "an IP address",
            Self::Ipv6 => "an IPv6 address",
            Self::Mac => "a MAC address",
            Self::Time => "a time",
        }
    }
}

/// Appends `text` to `out` in the form that `kind` is written in.
pub(super) fn write(kind: Kind, text: &str, out: &mut String) -> Result<(), Misfit> {
    let misfit = Misfit { wanted: kind };
    let plain = text.trim();
    let written = match kind {
        Kind::Text => {
            out.push_str(text);
            return Ok(());
        }
        Kind::Integer => whole(plain.parse::<i32>().map_err(|_| misfit)?, plain, out),
        Kind::Long => whole(plain.parse::<i64>().map_err(|_| misfit)?, plain, out),
        Kind::Float => match plain.parse::<f64>() {
            Ok(number) if number.is_finite() => write!(out, "{number}"),
            _ => return Err(misfit),
        },
        // The one form of an IPv4 address that is read is the one that it is written in.
        Kind::Address if plain.parse::<Ipv4Addr>().is_ok() => out.write_str(plain),
        Kind::Address => write!(out, "{}", plain.parse::<IpAddr>().map_err(|_| misfit)?.to_canonical()),
        Kind::Ipv6 => write!(out, "{}", plain.parse::<Ipv6Addr>().map_err(|_| misfit)?),
        Kind::Mac => return write_mac(plain, out).ok_or(misfit),
        // As Slack gives nearly all of them: seconds of this century.
        Kind::Time if plain.len() == 10 && plain.parse::<u32>().is_ok() && !plain.starts_with(['0', '+']) => {
            out.write_str(plain).and_then(|()| out.write_str("000"))
        }
        Kind::Time => write!(out, "{}", milliseconds(plain).ok_or(misfit)?),
    };
    written.map_err(|_| misfit)
}

/// Appends a whole number that was read from `text`: the text itself, if it has no more than it needs.
fn whole(number: impl Display, text: &str, out: &mut String) -> fmt::Result {
    if text.starts_with(|c: char| matches!(c, '1'..='9')) {
        out.write_str(text)
    } else {
        write!(out, "{number}")
    }
}

/// Twelve hexadecimal digits, in pairs by `:` or `-`, in fours by `.`, or bare, as
/// `00:11:22:AA:BB:CC`.
fn write_mac(text: &str, out: &mut String) -> Option<()> {
    let (parting, group) = match text.bytes().find(|b| !b.is_ascii_hexdigit()) {
        Some(parting @ (b':' | b'-')) => (parting, 2),
        Some(b'.') => (b'.', 4),
        Some(_) => return None,
        None => (b':', 12),
    };
    let mut groups = text.split(char::from(parting));
    if !groups.all(|part| part.len() == group && part.bytes().all(|b| b.is_ascii_hexdigit())) {
        return None;
    }
    let mut digits = 0_usize;
    for digit in text.chars().filter(char::is_ascii_hexdigit) {
        if digits > 0 && digits.is_multiple_of(2) {
            out.push(':');
        }
        out.push(digit.to_ascii_uppercase());
        digits = digits.saturating_add(1);
    }
    (digits == 12).then_some(())
}

/// Milliseconds from 1970 to the year 9999, from seconds, milli- or microseconds (the magnitude
/// tells which) or from RFC 3339.
fn milliseconds(text: &str) -> Option<i64> {
    let milliseconds = if let Ok(number) = text.parse::<i64>() {
        match number {
            ..100_000_000_000 => number.checked_mul(1_000)?,
            100_000_000_000..100_000_000_000_000 => number,
            _ => number.div_euclid(1_000),
        }
    } else if let Some((whole, fraction)) = text.split_once('.')
        && let Ok(seconds) = whole.parse::<i64>()
        && !fraction.is_empty()
        && fraction.bytes().all(|b| b.is_ascii_digit())
    {
        // `seconds.micros`, as message timestamps are written.
        let millis =
            fraction.bytes().chain("000".bytes()).take(3).fold(0_i64, |n, b| n * 10 + i64::from(b - b'0'));
        seconds.checked_mul(1_000)?.checked_add(millis)?
    } else {
        text.parse::<jiff::Timestamp>().ok()?.as_millisecond()
    };
    (0..=LAST_MILLISECOND).contains(&milliseconds).then_some(milliseconds)
}

/// The last of the year 9999: what is later was no time.
const LAST_MILLISECOND: i64 = 253_402_300_799_999;

#[cfg(test)]
mod tests {
    use super::*;

    fn written(kind: Kind, text: &str) -> Option<String> {
        let mut out = String::new();
        write(kind, text, &mut out).ok().map(|()| out)
    }

    #[test]
    fn times_come_out_in_milliseconds() {
        for text in
            ["1787680154", "1787680154000", "1787680154000000", "2026-08-25T17:49:14Z", "1787680154.000700"]
        {
            assert_eq!(written(Kind::Time, text).as_deref(), Some("1787680154000"), "{text}");
        }
        for none in
            ["soon", "-1", "1787680154000000000", "1787680154000.5", "1969-12-31T23:59:59Z", "1787680154."]
        {
            assert_eq!(written(Kind::Time, none), None, "{none}");
        }
        assert_eq!(written(Kind::Time, " 0 ").as_deref(), Some("0"));
    }

    #[test]
    fn addresses_are_parsed_never_trusted() {
        assert_eq!(written(Kind::Address, "192.0.2.1").as_deref(), Some("192.0.2.1"));
        assert_eq!(written(Kind::Address, "2001:DB8::0:1").as_deref(), Some("2001:db8::1"));
        assert_eq!(written(Kind::Address, "::ffff:192.0.2.1").as_deref(), Some("192.0.2.1"));
        assert_eq!(written(Kind::Address, "1.23.45.678"), None);
    }

    #[test]
    fn numbers_keep_to_their_range() {
        assert_eq!(written(Kind::Integer, "2147483647").as_deref(), Some("2147483647"));
        assert_eq!(written(Kind::Integer, "2147483648"), None);
        assert_eq!(written(Kind::Long, "10137226569043").as_deref(), Some("10137226569043"));
        assert_eq!(written(Kind::Float, "inf"), None);
        assert_eq!(written(Kind::Float, "-0.50").as_deref(), Some("-0.5"));
    }

    #[test]
    fn mac_addresses_come_out_in_one_form() {
        for text in ["00-1b-63-84-45-e6", "00:1B:63:84:45:E6", "001b.6384.45e6", "001B638445E6"] {
            assert_eq!(written(Kind::Mac, text).as_deref(), Some("00:1B:63:84:45:E6"), "{text}");
        }
        for none in [
            "",
            ":",
            "00:1b:63:84:45",
            "00:1b:63:84:45:e6:00",
            "0:01b:63:84:45:e6",
            "001b:6384:45e6",
            "00:1b-63:84:45:e6",
            "g01b638445e6",
        ] {
            assert_eq!(written(Kind::Mac, none), None, "{none}");
        }
    }
}
