//! A range of time, in windows that begin with it.

use std::time::Duration;

use crate::config::duration;
use crate::event::UnixTime;

/// A moment as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    At(UnixTime),
    Ago(Duration),
}

/// The seconds from one moment, included, to another, not included, in windows; the last one may be
/// shorter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: UnixTime,
    pub(super) to: UnixTime,
    /// Seconds of a window.
    pub(super) window: u64,
}

/// A table of more rows is read by nobody.
const MOST_WINDOWS: u64 = 10_000;

impl Moment {
    /// Reads `2026-11-20T08:00:00Z`, `2026-11-20` (its midnight, UTC), `36h` (ago) or `now`.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        if text == "now" {
            return Ok(Self::Ago(Duration::ZERO));
        }
        if let Ok(ago) = duration(text) {
            return Ok(Self::Ago(ago));
        }
        let midnight = || format!("{text}T00:00:00Z").parse::<jiff::Timestamp>();
        let at = text.parse::<jiff::Timestamp>().or_else(|_| midnight());
        at.map(|at| Self::At(UnixTime::from_seconds(at.as_second()))).map_err(|_| {
            "write a time (2026-11-20T08:00:00Z), a day (2026-11-20, by UTC), how long ago (36h), or now"
                .to_owned()
        })
    }

    fn at(self, now: UnixTime) -> UnixTime {
        match self {
            Self::At(at) => at,
            Self::Ago(ago) => now.plus(-i64::try_from(ago.as_secs()).unwrap_or(i64::MAX)),
        }
    }
}

impl Span {
    /// The span between two moments.
    ///
    /// # Errors
    /// What to type instead.
    pub(super) fn new(from: Moment, to: Moment, window: Duration, now: UnixTime) -> Result<Self, String> {
        let (from, to, window) = (from.at(now), to.at(now), window.as_secs());
        if from >= to {
            return Err(format!("--from is {from}, and that is not before {to}"));
        }
        let seconds = to.seconds().abs_diff(from.seconds());
        if window == 0 {
            return Err("a --window has at least 1s".to_owned());
        }
        if seconds.div_ceil(window) > MOST_WINDOWS {
            let least = seconds.div_ceil(MOST_WINDOWS);
            return Err(format!(
                "that is more than {MOST_WINDOWS} windows: write --window {least}s, or longer"
            ));
        }
        Ok(Self { from, to, window })
    }

    /// How many windows there are.
    pub(super) fn windows(&self) -> usize {
        let seconds = self.to.seconds().abs_diff(self.from.seconds());
        usize::try_from(seconds.div_ceil(self.window)).unwrap_or(usize::MAX)
    }

    /// The first second of a window, and the first one behind it.
    pub(super) fn bounds(&self, window: usize) -> (UnixTime, UnixTime) {
        let begin = |window: usize| {
            let seconds = (window as u64).saturating_mul(self.window);
            self.from.plus(i64::try_from(seconds).unwrap_or(i64::MAX)).min(self.to)
        };
        (begin(window), begin(window.saturating_add(1)))
    }

    /// The window that a second lies in.
    pub(super) fn window_of(&self, at: UnixTime) -> Option<usize> {
        let is_within = self.from <= at && at < self.to;
        let seconds = is_within.then(|| at.seconds().abs_diff(self.from.seconds()))?;
        usize::try_from(seconds.checked_div(self.window)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime::from_seconds(1_787_680_154);

    #[test]
    fn moments_are_read_as_people_write_them() {
        let at = |text| Moment::read(text).unwrap().at(NOW).to_string();
        assert_eq!(at("2026-11-20T08:00:00+01:00"), "2026-11-20T07:00:00Z");
        assert_eq!(at("2026-11-20"), "2026-11-20T00:00:00Z");
        assert_eq!(at("2h"), "2026-08-25T15:49:14Z");
        assert_eq!(at("now"), NOW.to_string());
        for bad in ["", "yesterday", "2026-13-01", "2", "2026-11-20T08:00"] {
            assert!(Moment::read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn windows_touch_and_cover_all() {
        let span = |from, to, window| {
            let [from, to] = [from, to].map(|at| Moment::At(UnixTime::from_seconds(at)));
            Span::new(from, to, Duration::from_secs(window), NOW)
        };
        let three = span(100, 350, 100).unwrap();
        assert_eq!(three.windows(), 3);
        let bounds: Vec<_> =
            (0..3).map(|n| three.bounds(n)).map(|(a, b)| (a.seconds(), b.seconds())).collect();
        assert_eq!(bounds, [(100, 200), (200, 300), (300, 350)]);
        for (at, window) in
            [(99, None), (100, Some(0)), (199, Some(0)), (200, Some(1)), (349, Some(2)), (350, None)]
        {
            assert_eq!(three.window_of(UnixTime::from_seconds(at)), window, "{at}");
        }
        assert!(span(100, 100, 100).is_err() && span(0, 1, 0).is_err());
        assert_eq!(
            span(0, 10_001, 1).unwrap_err(),
            "that is more than 10000 windows: write --window 2s, or longer"
        );
        assert_eq!(span(0, 10_001, 2).unwrap().windows(), 5_001);
    }
}
