//! Numbers as they are compared: whole ones to the last digit, others as far as a double goes.

use std::cmp::Ordering;

/// A number that is one: neither infinite nor not a number where a file says it.
#[derive(Debug, Clone, Copy)]
pub(in crate::mapping) enum Number {
    Whole(i128),
    Real(f64),
}

impl Number {
    /// The number that a text is: digits, a sign, a point, an exponent, and nothing beside.
    pub(super) fn of_text(text: &str) -> Option<Self> {
        // Rust reads `inf` and `nan` too.
        if !text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E')) {
            return None;
        }
        text.parse().map(Self::Whole).or_else(|_| text.parse().map(Self::Real)).ok()
    }

    #[expect(clippy::cast_precision_loss, reason = "what is compared with a double is as good as one")]
    fn as_real(self) -> f64 {
        match self {
            Self::Whole(whole) => whole as f64,
            Self::Real(real) => real,
        }
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Whole(one), Self::Whole(other)) => Some(one.cmp(other)),
            _ => self.as_real().partial_cmp(&other.as_real()),
        }
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.partial_cmp(other) == Some(Ordering::Equal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_a_number_or_it_is_none() {
        for text in
            ["0", "-1", "+7", "1.5", "1e3", "-2.5E-3", "18446744073709551615", "9".repeat(400).as_str()]
        {
            assert!(Number::of_text(text).is_some(), "{text}");
        }
        for text in ["", " 1", "1 ", "0x10", "1_000", "inf", "NaN", "-", "e", "1.2.3", "true", "１"] {
            assert!(Number::of_text(text).is_none(), "{text}");
        }
    }

    #[test]
    fn whole_numbers_are_compared_to_the_last_digit() {
        let number = |text| Number::of_text(text).unwrap();
        assert!(number("9007199254740993") > number("9007199254740992"));
        assert!(number("18446744073709551615") > number("18446744073709551614"));
        assert!(number("5") == number("5.0") && number("5") < number("5.1") && number("-6") < number("-5.5"));
        assert!(number("1e400") > number("170141183460469231731687303715884105727"));
    }
}
