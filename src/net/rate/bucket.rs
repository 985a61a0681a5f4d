//! So many a second, with a burst, paid for in parts.
//!
//! **Invariant:** rounding makes it slower than its rate, by less than one in a thousand, and never
//! faster.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::time::Instant;

/// What refills with time and is paid from.
pub(super) struct Bucket {
    limiter: RateLimiter<NotKeyed, InMemoryState, Hands, NoOpMiddleware<Nanos>>,
    hands: Hands,
    /// So many are paid for as one: intervals are whole nanoseconds, too coarse for millions a second.
    unit: u32,
    /// In units, as what follows.
    burst: NonZeroU32,
    interval: Duration,
    /// Taken out, for what may not go yet.
    paid: u64,
}

/// What is still to be paid.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owed {
    /// Until the next part can be.
    pub(super) next: Duration,
    /// Until everything can be.
    pub(super) all: Duration,
}

/// Units a second are no more than about this.
const FINEST: u32 = 1_000_000;

impl Bucket {
    pub(super) fn new(per_second: NonZeroU32, burst: NonZeroU32, clock: &Clock) -> Self {
        let unit = (per_second.get() / FINEST).max(1);
        let nanos = (u64::from(unit) * 1_000_000_000).div_ceil(u64::from(per_second.get()));
        let interval = Duration::from_nanos(nanos);
        let burst = NonZeroU32::new(burst.get() / unit).unwrap_or(NonZeroU32::MIN);
        let quota =
            Quota::with_period(interval).unwrap_or_else(|| Quota::per_second(per_second)).allow_burst(burst);
        let hands = clock.hands.clone();
        let limiter = RateLimiter::direct_with_clock(quota, hands.clone());
        Self { limiter, hands, unit, burst, interval, paid: 0 }
    }

    /// Pays as much of the cost as can be paid now.
    pub(super) fn pay(&mut self, cost: usize) -> Option<Owed> {
        let cost = self.in_units(cost);
        loop {
            let owed = cost.saturating_sub(self.paid);
            // Half a burst: a full bucket would lose what comes in while its owner is busy.
            let at_most = self.burst.get().div_ceil(2);
            let part = NonZeroU32::new(u32::try_from(owed).unwrap_or(u32::MAX).min(at_most))?;
            if let Ok(Err(not_yet)) = self.limiter.check_n(part) {
                let next = not_yet.wait_time_from(self.hands.now());
                let rest = u32::try_from(owed).unwrap_or(u32::MAX).saturating_sub(part.get());
                return Some(Owed { next, all: next.saturating_add(self.interval.saturating_mul(rest)) });
            }
            // A part is never larger than the burst, the one thing that could be refused for good.
            self.paid = self.paid.saturating_add(u64::from(part.get()));
        }
    }

    /// What was paid for goes.
    pub(super) fn spend(&mut self, cost: usize) {
        self.paid = self.paid.saturating_sub(self.in_units(cost));
    }

    fn in_units(&self, cost: usize) -> u64 {
        u64::try_from(cost).unwrap_or(u64::MAX).div_ceil(u64::from(self.unit))
    }
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bucket")
            .field("unit", &self.unit)
            .field("burst", &self.burst)
            .field("interval", &self.interval)
            .field("paid", &self.paid)
            .finish_non_exhaustive()
    }
}

/// The time that buckets go by: it is set from outside, and begins when it is first set.
#[derive(Debug, Default)]
pub(super) struct Clock {
    begun: Option<Instant>,
    hands: Hands,
}

impl Clock {
    pub(super) fn set(&mut self, now: Instant) {
        let since = now.saturating_duration_since(*self.begun.get_or_insert(now));
        let nanos = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        self.hands.0.fetch_max(nanos, Ordering::Relaxed);
    }
}

/// Nanoseconds since the beginning; every limiter holds them by itself.
#[derive(Debug, Clone, Default)]
struct Hands(Arc<AtomicU64>);

impl governor::clock::Clock for Hands {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.load(Ordering::Relaxed).into()
    }
}
