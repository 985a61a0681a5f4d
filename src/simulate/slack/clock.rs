//! The simulated Slack's own time.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::event::UnixTime;

/// What the simulated Slack takes for the present.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Clock {
    /// The machine's clock.
    #[default]
    Real,
    /// The machine's clock, so many seconds ahead (or behind, where negative).
    Shifted(i64),
    /// A time that stands still until [`Slack::advance`](super::Slack::advance) moves it.
    Fixed(UnixTime),
}

/// A [`Clock`] that runs and can be moved.
#[derive(Debug)]
pub(super) struct Running {
    real: bool,
    seconds: AtomicI64,
}

impl Running {
    pub(super) fn new(clock: Clock) -> Self {
        let (real, seconds) = match clock {
            Clock::Real => (true, 0),
            Clock::Shifted(by) => (true, by),
            Clock::Fixed(at) => (false, at.seconds()),
        };
        Self { real, seconds: AtomicI64::new(seconds) }
    }

    /// The present in Unix seconds.
    pub(super) fn now(&self) -> i64 {
        let base = if self.real { jiff::Timestamp::now().as_second() } else { 0 };
        base.saturating_add(self.seconds.load(Ordering::SeqCst))
    }

    pub(super) fn advance(&self, seconds: i64) {
        self.seconds.fetch_add(seconds, Ordering::SeqCst);
    }
}
