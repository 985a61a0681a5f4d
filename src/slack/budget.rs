//! How many requests may be made: so many a minute, in turns, and none while Slack asks for silence.
//!
//! Slack counts the requests to the audit log for the whole organization (50 and more a minute, all
//! its apps together), and those to a list of the Web API by method (20 and more). Sources of one
//! organization that read the same log therefore share one [`Budget`].
//!
//! **Invariant:** no 60 seconds see more requests than are granted, however often the process begins
//! anew: they keep an even distance, and the first of a process keeps it from the process's asking,
//! which is after the last request of the process before. Nothing need be kept on disk for that.
//! **Invariant:** who asks first is served first; a source that asks again stands behind all others
//! that wait. Nobody waits for an answer that another one is given.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// One organization's budget of requests of one kind.
pub struct Budget {
    /// Held by the one whose turn it is, which the runtime gives in the order of asking.
    turn: tokio::sync::Mutex<()>,
    pace: Mutex<Pace>,
    silence: Mutex<Option<Instant>>,
}

impl Budget {
    /// So many requests a minute, at an even distance: 2 s with 30 of them. The first keeps that
    /// distance as well, from when it is asked for.
    pub fn per_minute(requests: NonZeroU32) -> Self {
        Self {
            turn: tokio::sync::Mutex::default(),
            pace: Mutex::new(Pace { per_minute: requests, last: None }),
            silence: Mutex::new(None),
        }
    }

    /// Grants so many requests a minute from now on, to those too that share it already.
    pub fn grant(&self, requests: NonZeroU32) {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner).per_minute = requests;
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
                Err(due) => tokio::time::sleep_until(due).await,
            }
        }
    }

    /// Counts a request, or says when there may be one.
    fn take(&self) -> Result<(), Instant> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner).take(Instant::now())
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

/// Requests at an even distance. Several at once after a rest would come on top of those that an
/// even pace makes within the same minute.
struct Pace {
    per_minute: NonZeroU32,
    /// The last request; at first the first asking, for the process before may have made one just then.
    last: Option<Instant>,
}

impl Pace {
    /// Counts a request made now, or says when there may be one.
    fn take(&mut self, now: Instant) -> Result<(), Instant> {
        let due = *self.last.get_or_insert(now) + self.distance();
        if now < due {
            return Err(due);
        }
        self.last = Some(now);
        Ok(())
    }

    /// Rounded up, or the last of a minute's requests would come early.
    fn distance(&self) -> Duration {
        const MINUTE: u64 = 60_000_000_000;
        Duration::from_nanos(MINUTE.div_ceil(u64::from(self.per_minute.get())))
    }
}

#[cfg(test)]
mod tests;
