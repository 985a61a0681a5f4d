//! Events and bytes a second: a sender waits until its budget allows the next batch.
//!
//! **Invariant:** asking never fails and never drops, however large the batch: one that exceeds
//! the burst is let through once its whole cost has been paid in bursts.

use std::num::NonZeroU32;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

/// What a receiver can take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Events a second; none: no limit.
    pub events_per_second: Option<NonZeroU32>,
    /// Events at once; none: a tenth of a second's worth.
    pub burst: Option<NonZeroU32>,
    /// Bytes a second on the wire, before encryption; none: no limit.
    pub bytes_per_second: Option<NonZeroU32>,
    /// The largest message, in bytes: what must be able to pass at once.
    pub largest_message: u32,
}

/// The budget of one destination. One sender uses it: waiters are not served in their order.
#[derive(Debug)]
pub struct Rate {
    events: Option<Budget>,
    bytes: Option<Budget>,
}

impl Rate {
    /// A budget within `limits`.
    pub fn new(limits: &Limits) -> Self {
        let events = limits
            .events_per_second
            .map(|rate| Budget::new(rate, limits.burst.unwrap_or_else(|| tenth(rate, 1))));
        // A larger burst would let the first seconds run well above the rate.
        let bytes =
            limits.bytes_per_second.map(|rate| Budget::new(rate, tenth(rate, limits.largest_message)));
        Self { events, bytes }
    }

    /// A budget without limits.
    pub const fn unlimited() -> Self {
        Self { events: None, bytes: None }
    }

    /// How many events may go at once: a batch should not be larger.
    pub fn most_events(&self) -> usize {
        self.events
            .as_ref()
            .map_or(usize::MAX, |budget| usize::try_from(budget.burst.get()).unwrap_or(usize::MAX))
    }

    /// Waits until `events` events of `bytes` bytes together may be sent.
    pub async fn ready(&self, events: usize, bytes: usize) {
        if let Some(budget) = &self.events {
            budget.spend(events).await;
        }
        if let Some(budget) = &self.bytes {
            budget.spend(bytes).await;
        }
    }
}

/// A tenth of a second's worth, but at least `least`.
fn tenth(rate: NonZeroU32, least: u32) -> NonZeroU32 {
    NonZeroU32::new((rate.get() / 10).max(least)).unwrap_or(NonZeroU32::MIN)
}

#[derive(Debug)]
struct Budget {
    limiter: DefaultDirectRateLimiter,
    clock: DefaultClock,
    burst: NonZeroU32,
}

impl Budget {
    fn new(per_second: NonZeroU32, burst: NonZeroU32) -> Self {
        let clock = DefaultClock::default();
        let quota = Quota::per_second(per_second).allow_burst(burst);
        Self { limiter: RateLimiter::direct_with_clock(quota, clock.clone()), clock, burst }
    }

    async fn spend(&self, cells: usize) {
        let mut owed = cells;
        while let Some(part) = NonZeroU32::new(u32::try_from(owed).unwrap_or(u32::MAX).min(self.burst.get()))
        {
            self.wait_for(part).await;
            owed = owed.saturating_sub(usize::try_from(part.get()).unwrap_or(usize::MAX));
        }
    }

    /// Waits on the runtime's timer; governor's own would start a thread.
    async fn wait_for(&self, part: NonZeroU32) {
        while let Ok(Err(not_yet)) = self.limiter.check_n(part) {
            tokio::time::sleep(not_yet.wait_time_from(self.clock.now())).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    const fn at(n: u32) -> Option<NonZeroU32> {
        NonZeroU32::new(n)
    }

    #[tokio::test]
    async fn a_batch_above_the_burst_is_paid_for_whole() {
        let rate = Rate::new(&Limits { events_per_second: at(1000), burst: at(10), ..Limits::default() });
        assert_eq!(rate.most_events(), 10);
        let start = Instant::now();
        rate.ready(110, usize::MAX).await;
        assert!(start.elapsed() >= Duration::from_millis(95), "{:?}", start.elapsed());
    }

    #[tokio::test]
    async fn bytes_hold_back_as_well() {
        let limits = Limits { bytes_per_second: at(100_000), largest_message: 8000, ..Limits::default() };
        let rate = Rate::new(&limits);
        let start = Instant::now();
        rate.ready(1, 10_000).await;
        assert!(start.elapsed() < Duration::from_secs(1), "a tenth of a second passes at once");
        rate.ready(1, 10_000).await;
        assert!(start.elapsed() >= Duration::from_millis(95), "{:?}", start.elapsed());
    }

    #[tokio::test]
    async fn without_limits_nothing_waits() {
        Rate::unlimited().ready(usize::MAX, usize::MAX).await;
        Rate::new(&Limits::default()).ready(usize::MAX, usize::MAX).await;
        assert_eq!(Rate::unlimited().most_events(), usize::MAX);
    }

    #[tokio::test]
    async fn nothing_costs_nothing() {
        Rate::new(&Limits { events_per_second: at(1), burst: at(1), ..Limits::default() }).ready(0, 0).await;
    }
}
