//! How many requests may be made: so many a minute, and none while Slack asks for silence.
//!
//! Slack counts the requests to the audit log for the whole organization (50 and more a minute, all
//! its apps together). Sources of one organization therefore share one [`Budget`].

use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use governor::clock::Clock as GovernorClock;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::time::Instant;

/// One organization's budget of requests.
pub struct Budget {
    limiter: RateLimiter<NotKeyed, InMemoryState, Runtime, governor::middleware::NoOpMiddleware<Duration>>,
    clock: Runtime,
    silence: Mutex<Option<Instant>>,
}

impl Budget {
    /// Requests that may follow each other at once, after a rest.
    const BURST: NonZeroU32 = NonZeroU32::MIN.saturating_add(4);

    /// So many requests a minute, with a small burst.
    pub fn per_minute(requests: NonZeroU32) -> Self {
        let every = Duration::from_secs(60) / requests.get();
        let quota = Quota::with_period(every.max(Duration::from_nanos(1)))
            .unwrap_or_else(|| Quota::per_minute(requests))
            .allow_burst(Self::BURST.min(requests));
        let clock = Runtime { start: Instant::now() };
        Self {
            limiter: RateLimiter::direct_with_clock(quota, clock.clone()),
            clock,
            silence: Mutex::new(None),
        }
    }

    /// Waits until one more request may be made, and counts it.
    ///
    /// Dropped while it waits, it has counted nothing.
    pub async fn request(&self) {
        loop {
            if let Some(until) = self.silent_until() {
                tokio::time::sleep_until(until).await;
                continue;
            }
            match self.limiter.check() {
                Ok(()) => return,
                Err(not_yet) => tokio::time::sleep(not_yet.wait_time_from(self.clock.now())).await,
            }
        }
    }

    /// Makes no request for so long; a longer silence asked for before stays.
    pub fn pause(&self, how_long: Duration) {
        let until = Instant::now() + how_long;
        let mut silence = self.silence.lock().unwrap_or_else(PoisonError::into_inner);
        *silence = (*silence).max(Some(until));
    }

    fn silent_until(&self) -> Option<Instant> {
        let silence = *self.silence.lock().unwrap_or_else(PoisonError::into_inner);
        silence.filter(|until| *until > Instant::now())
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget").field("silent_until", &self.silent_until()).finish_non_exhaustive()
    }
}

/// The runtime's clock, so that waiting and counting go by the same one.
#[derive(Debug, Clone)]
struct Runtime {
    start: Instant,
}

impl GovernorClock for Runtime {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.start.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn a_minute(requests: u32) -> Budget {
        Budget::per_minute(NonZeroU32::new(requests).unwrap())
    }

    #[tokio::test]
    async fn after_the_burst_requests_keep_their_distance() {
        let budget = a_minute(60 * 50);
        let begun = Instant::now();
        for _ in 0..Budget::BURST.get() + 5 {
            budget.request().await;
        }
        assert!(begun.elapsed() >= Duration::from_millis(5 * 20), "{:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn a_pause_holds_for_all_and_the_longer_one_wins() {
        let budget = a_minute(6_000);
        let begun = Instant::now();
        budget.pause(Duration::from_millis(60));
        budget.pause(Duration::from_millis(1));
        tokio::join!(budget.request(), budget.request());
        assert!(begun.elapsed() >= Duration::from_millis(60));
    }

    #[tokio::test]
    async fn the_smallest_and_the_largest_budget_work() {
        for requests in [1, u32::MAX] {
            a_minute(requests).request().await;
        }
    }
}
