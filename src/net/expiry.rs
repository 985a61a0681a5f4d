//! When to warn that a certificate is about to expire: 30, 14 and 7 days before its end, on each of
//! the days that are left then, and once it is over.
//!
//! **Invariant:** pure; whoever warns keeps the time of its last warning, and that is all there is
//! to keep: a renewed certificate is far from its end again, whenever the old one was warned of.

use std::fmt;

use jiff::Timestamp;

/// How near the end is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Expiry {
    /// At most so many days are left.
    Within {
        /// 30, 14, or 7 and below.
        days: u8,
    },
    /// It is over.
    Past,
}

/// The warning that is due at `now` about a certificate that holds until `not_after`; none while
/// there is time, and none twice.
///
/// `warned` is when this was last warned of, of this certificate or of the one before it.
pub fn due(not_after: Timestamp, now: Timestamp, warned: Option<Timestamp>) -> Option<Expiry> {
    let stage = stage(not_after, now)?;
    match warned.and_then(|warned| self::stage(not_after, warned)) {
        Some(told) if told.left() <= stage.left() => None,
        _ => Some(stage),
    }
}

fn stage(not_after: Timestamp, at: Timestamp) -> Option<Expiry> {
    let seconds = not_after.as_second().saturating_sub(at.as_second());
    if seconds < 0 {
        return Some(Expiry::Past);
    }
    let left = seconds.saturating_add(DAY - 1).checked_div(DAY)?;
    let days = STAGES.into_iter().find(|&stage| left <= i64::from(stage))?;
    Some(Expiry::Within { days })
}

const DAY: i64 = 24 * 60 * 60;
const STAGES: [u8; 9] = [1, 2, 3, 4, 5, 6, 7, 14, 30];

impl Expiry {
    const fn left(self) -> u8 {
        match self {
            Self::Within { days } => days,
            Self::Past => 0,
        }
    }
}

impl fmt::Display for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Past => f.write_str("has expired"),
            Self::Within { days: 1 } => f.write_str("expires within a day"),
            Self::Within { days } => write!(f, "expires within {days} days"),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan;

    use super::*;

    fn end() -> Timestamp {
        "2026-12-24T18:00:00Z".parse().unwrap()
    }

    /// Every warning that an hourly look earns, with the days before the end at which it came.
    fn hourly(renewed: Option<Timestamp>) -> Vec<(i64, Expiry)> {
        let (mut warned, mut found) = (None, Vec::new());
        for hour in -40 * 24..=48_i64 {
            let now = end().checked_add(hour.hours()).unwrap();
            let not_after = renewed.filter(|_| hour >= -8 * 24).unwrap_or_else(end);
            if let Some(warning) = due(not_after, now, warned) {
                warned = Some(now);
                found.push((hour.div_euclid(24), warning));
            }
        }
        found
    }

    #[test]
    fn warns_at_each_stage_once() {
        let days: Vec<_> = hourly(None);
        let expected: Vec<_> = [30, 14, 7, 6, 5, 4, 3, 2, 1]
            .map(|days| (-i64::from(days), Expiry::Within { days }))
            .into_iter()
            .chain([(0, Expiry::Past)])
            .collect();
        assert_eq!(days, expected);
    }

    #[test]
    fn falls_silent_when_renewed_and_warns_of_the_new_end() {
        let far = end().checked_add((24 * 400).hours()).unwrap();
        assert_eq!(hourly(Some(far)).len(), 2, "30 and 14 days, before it was renewed");
        let near = end().checked_add((24 * 4).hours()).unwrap();
        let stages: Vec<_> = hourly(Some(near)).into_iter().map(|(_, stage)| stage.left()).collect();
        assert_eq!(
            stages,
            [30, 14, 14, 7, 6, 5, 4, 3, 2],
            "renewed for four days only, eight before the end"
        );
    }

    #[test]
    fn what_was_slept_through_is_told_as_it_stands_now() {
        let at = |days: i64| end().checked_sub((24 * days).hours()).unwrap();
        assert_eq!(due(end(), at(31), None), None);
        assert_eq!(due(end(), at(3), None), Some(Expiry::Within { days: 3 }));
        assert_eq!(due(end(), at(-9), Some(at(20))), Some(Expiry::Past));
        assert_eq!(due(end(), at(-9), Some(at(-1))), None);
    }

    #[test]
    fn no_time_is_out_of_bounds() {
        for (not_after, now) in [(Timestamp::MIN, Timestamp::MAX), (Timestamp::MAX, Timestamp::MIN)] {
            let _warning = due(not_after, now, Some(now));
        }
        assert_eq!(Expiry::Past.to_string(), "has expired");
        assert_eq!(Expiry::Within { days: 1 }.to_string(), "expires within a day");
        assert_eq!(Expiry::Within { days: 14 }.to_string(), "expires within 14 days");
    }
}
