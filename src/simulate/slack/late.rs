//! Entries that can be read only some time after they were created.

use std::time::Duration;

/// Which entries come late, and how late.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Late {
    /// Which of them.
    pub pick: Pick,
    /// When they can be read.
    pub until: Until,
}

/// Chooses entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pick {
    /// One in so many, scattered.
    OneIn(u64),
    /// Those with these ids.
    Ids(Vec<String>),
}

/// When a late entry can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// So long after its `date_create`.
    Behind(Duration),
    /// So long after the simulator's start.
    AfterStart(Duration),
    /// Once so many requests for logs have been answered.
    AfterRequests(u64),
}

/// The moment from which an entry can be read: both must have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) time: i64,
    pub(super) requests: u64,
}

/// The moment of a request, against which a [`Due`] is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) now: i64,
    /// Requests for logs before this one.
    pub(super) requests: u64,
}

impl Due {
    /// When an entry created `at` is due, being late as `until` says, or not at all.
    pub(super) fn of(at: i64, until: Option<Until>, start: i64) -> Self {
        let after = |from: i64, wait: Duration| {
            from.saturating_add(i64::try_from(wait.as_secs()).unwrap_or(i64::MAX))
        };
        match until {
            None => Self { time: at, requests: 0 },
            Some(Until::Behind(wait)) => Self { time: after(at, wait), requests: 0 },
            Some(Until::AfterStart(wait)) => Self { time: at.max(after(start, wait)), requests: 0 },
            Some(Until::AfterRequests(requests)) => Self { time: at, requests },
        }
    }

    pub(super) fn has_come(self, moment: Moment) -> bool {
        self.time <= moment.now && self.requests <= moment.requests
    }
}
