//! Waiting longer after each failure, within bounds, never in step with others.

use std::time::Duration;

/// The waits between tries: doubling from the first to the longest, each with jitter.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// Waits from `first`, doubling up to `longest`.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, failures: 0 }
    }

    /// How long to wait after one more failure: between half and all of the doubled bound.
    pub fn after_failure(&mut self) -> Duration {
        let bound =
            self.first.saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX)).min(self.longest);
        self.failures = self.failures.saturating_add(1).min(31);
        bound.mul_f64(0.5 + fastrand::f64() / 2.0)
    }

    /// Something worked: start over.
    pub const fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_their_bound_and_start_over() {
        let (first, longest) = (Duration::from_millis(100), Duration::from_secs(30));
        let mut backoff = Backoff::new(first, longest);
        assert!(backoff.after_failure() <= first);
        for _ in 0..40 {
            assert!(backoff.after_failure() <= longest);
        }
        assert!(backoff.after_failure() >= longest / 2);
        backoff.reset();
        assert!(backoff.after_failure() <= first);
    }
}
