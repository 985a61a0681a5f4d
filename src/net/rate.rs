//! What a receiver can take, and its owner has paid for: events and bytes a second, events that
//! happened long ago, bytes a day.
//!
//! A sender asks with [`Rate::take`] whether a batch may go, and asks again after the wait it is
//! given. What has been paid for a batch by then stays paid, however often it asks and whatever it
//! does in between, so that asking can be one branch of a `select!`.
//!
//! **Invariant:** asking never fails and never drops, however large the batch: one that exceeds
//! a burst is let through once its whole cost has been paid in bursts, and one that exceeds a day's
//! budget has a day of its own.
//! **Invariant:** however batches are cut, no more passes than the burst and the rate since then;
//! the bytes of a day are no more than its budget, or one batch.

mod bucket;
mod day;

use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use bucket::{Bucket, Clock};
use day::Day;
pub use day::Spent;

/// What a receiver can take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Events a second; none: no limit.
    pub events_per_second: Option<NonZeroU32>,
    /// Events at once; none: a tenth of a second's worth.
    pub burst: Option<NonZeroU32>,
    /// Bytes a second on the wire, before encryption; none: no limit.
    pub bytes_per_second: Option<NonZeroU32>,
    /// Bytes a day of UTC, counted in the same way; none: no limit.
    pub bytes_per_day: Option<NonZeroU64>,
    /// Events a second of those that are late (see [`Moment::is_late`]); none: no limit of their own.
    pub catch_up: Option<NonZeroU32>,
    /// The largest message, in bytes: what must be able to pass at once.
    pub largest_message: u32,
}

/// What a batch costs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// Its events.
    pub events: usize,
    /// Their bytes, framing included.
    pub bytes: usize,
    /// Those of the events that are late; see [`Moment::is_late`].
    pub late: usize,
}

/// The time by the two clocks that budgets go by.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// For rates: it never jumps.
    pub steady: Instant,
    /// For days.
    pub utc: SystemTime,
}

impl Moment {
    /// The time now.
    pub fn now() -> Self {
        Self { steady: Instant::now(), utc: SystemTime::now() }
    }

    /// Whether what happened then, in seconds since 1970, is late: it waited for an outage to end,
    /// or for a backfill to reach it, and is caught up on.
    pub fn is_late(&self, happened: i64) -> bool {
        let now = self.utc.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        i64::try_from(now).unwrap_or(i64::MAX).saturating_sub(happened) > LATE
    }
}

/// Seconds after which an event is late.
const LATE: i64 = 600;

/// A batch may not go yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// When to ask again. More than one wait may follow: batches are paid for in parts, and a day's
    /// end is looked for every minute, for clocks are set.
    pub wait: Duration,
    /// Which budget holds it back; of several the one that will for longest.
    pub why: Why,
}

/// Which budget holds a batch back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    /// Events a second.
    Events,
    /// Bytes a second.
    Bytes,
    /// Late events a second.
    CatchUp,
    /// Bytes a day.
    Day,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Events => "held back by `events_per_second`",
            Self::Bytes => "held back by `bytes_per_second`",
            Self::CatchUp => "held back by `catch_up`, for these events happened more than ten minutes ago",
            Self::Day => "held back by `bytes_per_day` until 00:00 UTC",
        })
    }
}

/// The budget of one destination.
#[derive(Debug)]
pub struct Rate {
    clock: Clock,
    events: Option<Bucket>,
    bytes: Option<Bucket>,
    late: Option<Bucket>,
    day: Option<Day>,
    most_events: usize,
}

impl Rate {
    /// A budget within `limits`.
    pub fn new(limits: &Limits) -> Self {
        let clock = Clock::default();
        let bucket = |rate, burst| Bucket::new(rate, burst, &clock);
        let events =
            limits.events_per_second.map(|rate| bucket(rate, limits.burst.unwrap_or_else(|| tenth(rate, 1))));
        // A larger burst would let the first seconds run well above the rate.
        let bytes = limits.bytes_per_second.map(|rate| bucket(rate, tenth(rate, limits.largest_message)));
        let late = limits.catch_up.map(|rate| bucket(rate, tenth(rate, 1)));
        let day = limits.bytes_per_day.map(Day::new);
        Self { clock, events, bytes, late, day, most_events: most_events(limits) }
    }

    /// How many events may go at once: a batch should not be larger. No more than the burst, a
    /// second's worth of late ones, or what is sure to fit into a day.
    pub fn most_events(&self) -> usize {
        self.most_events
    }

    /// Takes what a batch costs out of the budget, so that it may be sent now.
    ///
    /// Ask again with the same load after the wait, or at any time. A batch that is sent again is
    /// paid for again. What was paid for a batch that is given up counts for the next.
    ///
    /// # Errors
    /// [`Hold`] when it may not go yet.
    pub fn take(&mut self, load: &Load, now: Moment) -> Result<(), Hold> {
        if let Some(day) = &mut self.day {
            // It comes first, and is spent last: nothing is paid in advance for another day.
            day.turn(now.utc);
            if let Some(wait) = day.hold(load.bytes, now.utc) {
                return Err(Hold { wait, why: Why::Day });
            }
        }
        self.clock.set(now.steady);
        let mut buckets = [
            (Why::Events, &mut self.events, load.events),
            (Why::Bytes, &mut self.bytes, load.bytes),
            (Why::CatchUp, &mut self.late, load.late),
        ];
        // All are asked each time, for each refills only up to its burst.
        let owed = buckets.iter_mut().filter_map(|(why, bucket, cost)| {
            let owed = bucket.as_mut()?.pay(*cost)?;
            Some((*why, owed))
        });
        let hold = owed.fold(None::<(Hold, Duration)>, |hold, (why, owed)| {
            let new = (Hold { wait: owed.next, why }, owed.all);
            let Some((old, all)) = hold else { return Some(new) };
            let (why, all) = if owed.all > all { (why, owed.all) } else { (old.why, all) };
            Some((Hold { wait: old.wait.min(owed.next), why }, all))
        });
        if let Some((hold, _)) = hold {
            return Err(hold);
        }
        for (_, bucket, cost) in buckets {
            if let Some(bucket) = bucket {
                bucket.spend(cost);
            }
        }
        if let Some(day) = &mut self.day {
            day.spend(load.bytes);
        }
        Ok(())
    }

    /// What was spent of the day's budget, to be kept across a restart; none without such a budget.
    pub fn spent(&self) -> Option<Spent> {
        self.day.as_ref().map(Day::spent)
    }

    /// Goes on from what was spent before a restart.
    pub fn resume(&mut self, spent: Spent) {
        if let Some(day) = &mut self.day {
            day.resume(spent);
        }
    }
}

/// A tenth of a second's worth, but at least `least`.
fn tenth(rate: NonZeroU32, least: u32) -> NonZeroU32 {
    NonZeroU32::new((rate.get() / 10).max(least)).unwrap_or(NonZeroU32::MIN)
}

fn most_events(limits: &Limits) -> usize {
    let burst = limits.events_per_second.map(|rate| limits.burst.unwrap_or_else(|| tenth(rate, 1)));
    let wide = |events: NonZeroU32| u64::from(events.get());
    let within_day = limits.bytes_per_day.map(|bytes| bytes.get() / u64::from(limits.largest_message.max(1)));
    [burst.map(wide), limits.catch_up.map(wide), within_day]
        .into_iter()
        .flatten()
        .min()
        .map_or(usize::MAX, |most| usize::try_from(most.max(1)).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests;
