//! Where a new source begins, and by whose clock.

use std::time::Duration;

use super::clock::seconds;
use super::poller::CannotPoll;
use crate::event::UnixTime;

/// Before it there was no Slack, and no clock that shows it was ever set: 2013-01-01T00:00:00Z.
pub(super) const FIRST_SECOND: UnixTime = UnixTime::from_seconds(1_356_998_400);

/// A beginning by our clock is corrected by Slack's when they differ by more seconds than this.
pub(super) const TOLERATED_SKEW: u64 = 5;

/// How far the first run reaches back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// From the present second on.
    Now,
    /// From so long ago on.
    Ago(Duration),
    /// From that second on.
    At(UnixTime),
}

impl Start {
    /// Where a source begins that was never read, `now`; a clock that shows a time before
    /// `first_second` was never set.
    pub(super) fn begin(self, now: UnixTime, first_second: UnixTime) -> Result<UnixTime, CannotPoll> {
        match self {
            Self::At(at) => Ok(at),
            Self::Now | Self::Ago(_) if now < first_second => Err(CannotPoll::ClockUnset(now)),
            Self::Now => Ok(now),
            Self::Ago(ago) => Ok(now.plus(-seconds(ago))),
        }
    }

    /// Whether the beginning is as wrong as our clock.
    pub(super) fn is_by_our_clock(self) -> bool {
        !matches!(self, Self::At(_))
    }
}
