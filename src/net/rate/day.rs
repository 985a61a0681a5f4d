//! So many bytes a day of UTC.
//!
//! **Invariant:** clocks that are set back and forth around midnight do not make two budgets of one.

use std::num::NonZeroU64;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What was spent of a day's budget.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// Days since 1970-01-01, UTC.
    pub day: u64,
    /// Bytes.
    pub bytes: u64,
}

/// A budget of bytes for each day.
#[derive(Debug)]
pub(super) struct Day {
    budget: NonZeroU64,
    spent: Spent,
}

const SECONDS: u64 = 86_400;

/// Midnight is looked for so often: the clock may be set, and a machine sleep, while a timer waits.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

impl Day {
    pub(super) fn new(budget: NonZeroU64) -> Self {
        Self { budget, spent: Spent::default() }
    }

    pub(super) fn spent(&self) -> Spent {
        self.spent
    }

    pub(super) fn resume(&mut self, spent: Spent) {
        self.spent = spent;
    }

    /// Begins a new budget with a new day.
    pub(super) fn turn(&mut self, utc: SystemTime) {
        let today = since_1970(utc).as_secs() / SECONDS;
        if today > self.spent.day {
            self.spent = Spent { day: today, bytes: 0 };
        } else if today.saturating_add(1) < self.spent.day {
            // The clock had been wrong by days. What it let pass was let pass all the same.
            self.spent.day = today;
        }
    }

    /// How long to wait with so many bytes, if they do not fit into what is left.
    pub(super) fn hold(&self, bytes: usize, utc: SystemTime) -> Option<Duration> {
        let after = self.spent.bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        if bytes == 0 || self.spent.bytes == 0 || after <= self.budget.get() {
            return None;
        }
        let midnight = Duration::from_secs(self.spent.day.saturating_add(1).saturating_mul(SECONDS));
        Some(midnight.saturating_sub(since_1970(utc)).min(LOOK_AGAIN))
    }

    pub(super) fn spend(&mut self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.spent.bytes = self.spent.bytes.saturating_add(bytes);
    }
}

fn since_1970(utc: SystemTime) -> Duration {
    utc.duration_since(UNIX_EPOCH).unwrap_or_default()
}
