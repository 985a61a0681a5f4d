//! What is known of a source's entries and its silence, and what follows from it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::habit::Habit;
use super::{Because, Quiet};
use crate::config;
use crate::event::UnixTime;

/// All that is remembered of one source.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Record {
    /// What the source is asked for: what was learned of something else is of no use.
    pub(super) reads: String,
    /// Where reading began, as far as that is known.
    begun: Option<UnixTime>,
    /// The last second that was read.
    read_up_to: Option<UnixTime>,
    /// The newest entry.
    newest: Option<UnixTime>,
    /// The silence that was told and is not over.
    quiet: Option<Quiet>,
    habit: Habit,
}

/// Where a source stands in the store.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::pipeline) struct Standpoint {
    /// The newest entry.
    pub(in crate::pipeline) newest: Option<UnixTime>,
    /// The last second that was read.
    pub(in crate::pipeline) read_up_to: Option<UnixTime>,
}

/// What there is to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    /// Nothing has come for so many seconds, in which so many minutes with entries were to be expected.
    Quiet { quiet: Quiet, seconds: i64, expected: i64 },
    /// Something came, so many seconds after the last entry before it.
    Recovered { quiet: Quiet, seconds: i64 },
}

impl Record {
    /// Nothing is known of a source that is asked for this.
    pub(super) fn new(reads: &str) -> Self {
        Self { reads: reads.to_owned(), ..Self::default() }
    }

    /// Whether it can be what this program wrote.
    pub(super) fn is_sound(&self) -> bool {
        self.habit.is_sound()
    }

    pub(super) fn quiet(&self) -> Option<Quiet> {
        self.quiet
    }

    /// The hour that is being read, counted from 1970.
    pub(super) fn hour(&self) -> Option<i64> {
        self.habit.hour()
    }

    /// Reading goes on where the store has it. The store may know more, after a crash.
    pub(super) fn resume(&mut self, at: Standpoint, now: UnixTime) {
        self.newest = self.newest.max(at.newest.filter(|newest| *newest <= now));
        if at.read_up_to > self.read_up_to
            && let Some(read_up_to) = at.read_up_to
        {
            self.habit.begin(read_up_to.plus(1));
            self.begun.get_or_insert(read_up_to.plus(1));
            self.read_up_to = Some(read_up_to);
        }
    }

    /// Reading begins at that second, unless it has begun before.
    pub(super) fn begin(&mut self, at: UnixTime) {
        if self.begun.is_none() {
            self.begun = Some(at);
            self.habit.begin(at);
        }
    }

    /// Entries of these times were read, the oldest first; the last `fresh` of them for the first time.
    pub(super) fn read(&mut self, times: &[UnixTime], fresh: usize, now: UnixTime) {
        // One that lies in the future would be the newest for a long time.
        let happened = |at: &&UnixTime| **at <= now;
        let known = times.len().saturating_sub(fresh);
        for at in times.iter().skip(known).filter(happened) {
            self.habit.entry(*at);
        }
        self.newest = self.newest.max(times.iter().filter(happened).max().copied());
    }

    /// All was read up to, and with, that second: is there anything to tell?
    pub(super) fn look(
        &mut self,
        read_up_to: UnixTime,
        settings: config::Quiet,
        now: UnixTime,
    ) -> Option<News> {
        self.begin(read_up_to.plus(1));
        self.habit.read_up_to(read_up_to);
        self.read_up_to = self.read_up_to.max(Some(read_up_to));
        if let Some(quiet) = self.quiet {
            let newest = self.newest.filter(|newest| *newest > quiet.since)?;
            self.quiet = None;
            return Some(News::Recovered { quiet, seconds: seconds_between(quiet.since, newest) });
        }
        let since = self.newest.or(self.begun)?;
        let seconds = seconds_between(since, read_up_to);
        let because = if Duration::from_secs(seconds.unsigned_abs()) >= settings.after? {
            Because::QuietAfter
        } else if settings.learned && self.habit.is_unusual(since, read_up_to) {
            Because::Unusual
        } else {
            return None;
        };
        let quiet = Quiet { since, because, told_at: now };
        self.quiet = Some(quiet);
        Some(News::Quiet { quiet, seconds, expected: self.habit.expected_minutes(since, read_up_to) })
    }
}

fn seconds_between(earlier: UnixTime, later: UnixTime) -> i64 {
    later.seconds().saturating_sub(earlier.seconds()).max(0)
}

#[cfg(test)]
mod tests;
