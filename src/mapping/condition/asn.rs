//! Autonomous systems: `AS64500`, `64500`, and their names behind them.

use crate::mapping::text::Slip;

/// Whether a text names one of the systems: its number, with or without `AS` before it and a name
/// behind it (`AS64500 Example Net`).
pub(super) fn hold(numbers: &[u32], text: &str) -> bool {
    number_of(text.split(' ').next().unwrap_or_default()).is_some_and(|number| numbers.contains(&number))
}

/// Reads the number of a system.
pub(super) fn read(text: &str) -> Result<u32, Slip> {
    number_of(text).ok_or_else(|| {
        Slip::new(0..text.len(), "bad-asn", format!("`{text}` is no number of an autonomous system"))
            .help("write `64500` or `AS64500`; for the organization's own allow list `trusted.asn`")
    })
}

fn number_of(text: &str) -> Option<u32> {
    let digits = text
        .get(..2)
        .filter(|start| start.eq_ignore_ascii_case("as"))
        .map_or(text, |_| text.get(2..).unwrap_or_default());
    // Rust reads `+1` too.
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|number| is_number && *number > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_is_known_by_its_number() {
        assert_eq!([read("AS64500").ok(), read("as64500").ok(), read("64500").ok()], [Some(64_500); 3]);
        assert_eq!(read("4294967295").ok(), Some(u32::MAX));
        for text in ["", "AS", "AS0", "0", "-1", "+1", "1.5", "AS AS1", "4294967296", "AS64500 Example", "é1"]
        {
            assert_eq!(read(text).unwrap_err().code, "bad-asn", "{text}");
        }
        for text in ["64500", "AS64500", "AS64500 Example Net", "as64500"] {
            assert!(hold(&[1, 64_500], text), "{text}");
        }
        for text in ["", "6450", "AS645000", "Example AS64500", "64500-1", "é"] {
            assert!(!hold(&[1, 64_500], text), "{text}");
        }
    }
}
