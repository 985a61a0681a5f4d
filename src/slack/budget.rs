//! How many requests may be made: so many a minute, in turns, and none while Slack asks for silence.
//!
//! Slack counts the requests to the audit log for the whole organization (50 and more a minute, all
//! its apps together), and those to a list of the Web API by method (20 and more). Sources of one
//! organization that read the same log therefore share one [`Budget`].
//!
//! **Invariant:** who asks first is served first; a source that asks again stands behind all others
//! that wait. Nobody waits for an answer that another one is given.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use governor::clock::Clock as GovernorClock;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::time::Instant;

type Limiter = RateLimiter<NotKeyed, InMemoryState, Runtime, governor::middleware::NoOpMiddleware<Duration>>;

/// One organization's budget of requests of one kind.
pub struct Budget {
    /// Held by the one whose turn it is, which the runtime gives in the order of asking.
    turn: tokio::sync::Mutex<()>,
    share: Mutex<Share>,
    clock: Runtime,
    silence: Mutex<Option<Instant>>,
}

/// What is granted.
struct Share {
    per_minute: NonZeroU32,
    limiter: Limiter,
}

impl Budget {
    /// Requests that may follow each other at once, after a rest.
    const BURST: NonZeroU32 = NonZeroU32::MIN.saturating_add(4);

    /// So many requests a minute, with a small burst.
    pub fn per_minute(requests: NonZeroU32) -> Self {
        let clock = Runtime { start: Instant::now() };
        Self {
            turn: tokio::sync::Mutex::default(),
            share: Mutex::new(Share::new(requests, &clock)),
            clock,
            silence: Mutex::new(None),
        }
    }

    /// Grants so many requests a minute from now on, to those too that share it already.
    pub fn grant(&self, requests: NonZeroU32) {
        let mut share = self.share.lock().unwrap_or_else(PoisonError::into_inner);
        if share.per_minute != requests {
            let next = Share::new(requests, &self.clock);
            // No second burst on top of the one before.
            while next.limiter.check().is_ok() {}
            *share = next;
        }
    }

    /// Waits until one more request may be made, and counts it.
    ///
    /// Dropped while it waits, it has counted nothing, and stands in nobody's way.
    pub async fn request(&self) {
        let _turn = self.turn.lock().await;
        loop {
            if let Some(until) = self.silent_until() {
                tokio::time::sleep_until(until).await;
                continue;
            }
            match self.take() {
                Ok(()) => return,
                Err(wait) => tokio::time::sleep(wait).await,
            }
        }
    }

    /// Counts a request, or says when there may be one.
    fn take(&self) -> Result<(), Duration> {
        let share = self.share.lock().unwrap_or_else(PoisonError::into_inner);
        share.limiter.check().map_err(|not_yet| not_yet.wait_time_from(self.clock.now()))
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

impl Share {
    fn new(per_minute: NonZeroU32, clock: &Runtime) -> Self {
        let every = Duration::from_secs(60) / per_minute.get();
        let quota = Quota::with_period(every.max(Duration::from_nanos(1)))
            .unwrap_or_else(|| Quota::per_minute(per_minute))
            .allow_burst(Budget::BURST.min(per_minute));
        Self { per_minute, limiter: RateLimiter::direct_with_clock(quota, clock.clone()) }
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
    async fn those_who_wait_are_served_in_turns() {
        let budget = a_minute(60 * 100);
        for _ in 0..Budget::BURST.get() {
            budget.request().await;
        }
        let served = Mutex::new(Vec::new());
        let greedy = async |name: char| {
            for _ in 0..5 {
                budget.request().await;
                served.lock().unwrap().push(name);
            }
        };
        tokio::join!(greedy('a'), greedy('b'), greedy('c'));
        assert_eq!(String::from_iter(served.into_inner().unwrap()), "abcabcabcabcabc");
    }

    #[tokio::test]
    async fn who_goes_away_holds_nobody_up() {
        let budget = a_minute(60 * 100);
        budget.pause(Duration::from_millis(500));
        let gone = tokio::time::timeout(Duration::from_millis(5), budget.request()).await;
        assert!(gone.is_err());
        budget.request().await;
    }

    #[tokio::test]
    async fn another_grant_is_for_all_who_share_it() {
        let budget = a_minute(1);
        budget.request().await;
        budget.grant(NonZeroU32::new(6_000).unwrap());
        assert!(budget.take().is_err(), "no second burst");
        budget.request().await;
        budget.request().await;
        budget.pause(Duration::from_secs(60));
        budget.grant(NonZeroU32::new(600).unwrap());
        assert!(budget.silent_until().is_some(), "what Slack asked for stands");
    }

    #[tokio::test]
    async fn the_smallest_and_the_largest_budget_work() {
        for requests in [1, u32::MAX] {
            a_minute(requests).request().await;
        }
    }
}
