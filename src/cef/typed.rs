//! Values brought into the type that their key wants; what does not fit is refused, with the reason.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv6Addr};

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
        Kind::Integer => write!(out, "{}", plain.parse::<i32>().map_err(|_| misfit)?),
        Kind::Long => write!(out, "{}", plain.parse::<i64>().map_err(|_| misfit)?),
        Kind::Float => match plain.parse::<f64>() {
            Ok(number) if number.is_finite() => write!(out, "{number}"),
            _ => return Err(misfit),
        },
        Kind::Address => write!(out, "{}", plain.parse::<IpAddr>().map_err(|_| misfit)?.to_canonical()),
        Kind::Ipv6 => write!(out, "{}", plain.parse::<Ipv6Addr>().map_err(|_| misfit)?),
        Kind::Mac => return write_mac(plain, out).ok_or(misfit),
        Kind::Time => write!(out, "{}", milliseconds(plain).ok_or(misfit)?),
    };
    written.map_err(|_| misfit)
}

/// Six pairs of hexadecimal digits, whatever parted them, as `00:11:22:AA:BB:CC`.
fn write_mac(text: &str, out: &mut String) -> Option<()> {
    let digits = || text.chars().filter(|c| !matches!(c, ':' | '-' | '.'));
    if digits().count() != 12 || !digits().all(|c| c.is_ascii_hexdigit()) {
        return None;
    }
    for (n, digit) in digits().enumerate() {
        if n > 0 && n % 2 == 0 {
            out.push(':');
        }
        out.push(digit.to_ascii_uppercase());
    }
    Some(())
}

/// Milliseconds since 1970 from seconds, milli- or microseconds (the magnitude tells which) or
/// from RFC 3339.
fn milliseconds(text: &str) -> Option<i64> {
    if let Ok(number) = text.parse::<i64>() {
        return match number.unsigned_abs() {
            0..100_000_000_000 => number.checked_mul(1_000),
            100_000_000_000..100_000_000_000_000 => Some(number),
            _ => Some(number.div_euclid(1_000)),
        };
    }
    if let Some((whole, fraction)) = text.split_once('.')
        && let Ok(seconds) = whole.parse::<i64>()
        && !fraction.is_empty()
        && fraction.bytes().all(|b| b.is_ascii_digit())
    {
        // `seconds.micros`, as message timestamps are written.
        let millis =
            fraction.bytes().chain("000".bytes()).take(3).fold(0_i64, |n, b| n * 10 + i64::from(b - b'0'));
        return seconds.checked_mul(1_000)?.checked_add(millis);
    }
    Some(text.parse::<jiff::Timestamp>().ok()?.as_millisecond())
}

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
        assert_eq!(written(Kind::Time, "soon"), None);
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
        assert_eq!(written(Kind::Mac, "00-1b-63-84-45-e6").as_deref(), Some("00:1B:63:84:45:E6"));
    }
}
