//! A closed range of whole seconds.

use std::fmt;

use crate::event::UnixTime;

/// The seconds from `oldest` to `latest`, both included, as Slack's parameters of that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// The first second.
    pub oldest: UnixTime,
    /// The last second.
    pub latest: UnixTime,
}

impl Window {
    /// How many seconds it holds; none when its end lies before its beginning.
    pub fn seconds(&self) -> i64 {
        self.latest.seconds().saturating_sub(self.oldest.seconds()).saturating_add(1).max(0)
    }

    /// Whether that second is one of its own.
    pub fn contains(&self, at: UnixTime) -> bool {
        self.oldest <= at && at <= self.latest
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.oldest, self.latest)
    }
}
