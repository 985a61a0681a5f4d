//! What is usual for each hour of the week: learned from what was read, and asked when nothing comes.
//!
//! Counted are *minutes in which something happened*, not entries: one import of ten thousand
//! files says no more of tomorrow than one login does. Of each of the 168 hours of a week (UTC) the last
//! five weeks are kept, and their lower median is what that hour usually has: one week of holidays,
//! or one busy Sunday, changes nothing. What counts as usual *now* is the least of the hour itself,
//! the one before and the one after: when summer time begins, or people come late, nothing is unusual yet.
//!
//! A silence is unusual when, going by that, at least [`UNUSUAL`] minutes with entries were to be expected in
//! it. If minutes came independently of each other, silence would then have a chance of e⁻²⁰; on a
//! day with half as much going on as usual still one of e⁻¹⁰, less than one in 20,000.
//!
//! Time is that of the entries, so that a backfill teaches as much as the weeks themselves would.
//!
//! **Invariant:** an hour that was not read from its first second to its last teaches nothing.
//! **Invariant:** an hour known of fewer than two weeks is expected to have nothing.

use serde::{Deserialize, Serialize};

use crate::event::UnixTime;

/// So many minutes with entries, expected and not come, are unusual.
const UNUSUAL: i64 = 20;
/// No silence is unusual before it has lasted so many seconds.
const SHORTEST: i64 = 15 * 60;
/// Weeks kept of each hour.
const WEEKS: usize = 5;
/// Weeks of an hour before anything is expected of it.
const LEAST_WEEKS: usize = 2;
const HOUR: i64 = 3_600;
const HOURS_OF_WEEK: usize = 168;

/// What was learned of one source.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Habit {
    /// The hour that is being read; none before anything was.
    present: Option<Hour>,
    /// Of each hour of the week, Thursday 00:00 first as in Unix time: its last weeks, the newest last.
    weeks: Vec<Vec<u8>>,
}

/// An hour of which not all is read yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Hour {
    /// Hours since 1970.
    number: i64,
    /// The minutes that have entries, a bit each.
    minutes: u64,
    /// It was read from its first second on.
    whole: bool,
}

impl Habit {
    /// Reading begins, or goes on, at that second, and what lies between is not known.
    pub(super) fn begin(&mut self, at: UnixTime) {
        let number = at.seconds().div_euclid(HOUR);
        let whole = at.seconds().rem_euclid(HOUR) == 0;
        self.present = Some(Hour { number, minutes: 0, whole });
    }

    /// The hour that is being read, counted from 1970.
    pub(super) fn hour(&self) -> Option<i64> {
        self.present.map(|present| present.number)
    }

    /// Whether it can be what this program wrote.
    pub(super) fn is_sound(&self) -> bool {
        let is_hour = |weeks: &Vec<u8>| weeks.len() <= WEEKS && weeks.iter().all(|minutes| *minutes <= 60);
        matches!(self.weeks.len(), 0 | HOURS_OF_WEEK) && self.weeks.iter().all(is_hour)
    }

    /// An entry of that time was read; all before its hour had been.
    pub(super) fn entry(&mut self, at: UnixTime) {
        self.advance(at.seconds().div_euclid(HOUR));
        if let Some(present) = self.present.as_mut()
            && present.number == at.seconds().div_euclid(HOUR)
        {
            present.minutes |= 1 << (at.seconds().rem_euclid(HOUR) / 60);
        }
    }

    /// All was read up to, and with, that second.
    pub(super) fn read_up_to(&mut self, at: UnixTime) {
        self.advance(at.plus(1).seconds().div_euclid(HOUR));
    }

    /// Whether it is unusual that nothing happened after `last`, up to and with `up_to`.
    pub(super) fn is_unusual(&self, last: UnixTime, up_to: UnixTime) -> bool {
        up_to.seconds().saturating_sub(last.seconds()) >= SHORTEST
            && self.expected(last, up_to) >= UNUSUAL * HOUR
    }

    /// How many minutes with entries were to be expected in that time, a week of it at most.
    pub(super) fn expected_minutes(&self, last: UnixTime, up_to: UnixTime) -> i64 {
        self.expected(last, up_to) / HOUR
    }

    /// The same, times the seconds of an hour.
    fn expected(&self, last: UnixTime, up_to: UnixTime) -> i64 {
        let mut at = last.plus(1).max(up_to.plus(-WEEK)).seconds();
        let end = up_to.plus(1).seconds();
        let mut expected = 0;
        while at < end {
            let hour = at.div_euclid(HOUR);
            let next = (hour + 1).saturating_mul(HOUR).min(end);
            expected += self.usual_around(hour) * (next - at);
            at = next;
        }
        expected
    }

    /// What that hour can be relied on to have.
    fn usual_around(&self, hour: i64) -> i64 {
        [-1, 0, 1].map(|beside| self.usual(hour + beside)).into_iter().min().unwrap_or(0)
    }

    /// What that hour of the week has in most weeks.
    fn usual(&self, hour: i64) -> i64 {
        let Some(weeks) = self.weeks.get(of_week(hour)).filter(|weeks| weeks.len() >= LEAST_WEEKS) else {
            return 0;
        };
        // Absent weeks sort behind all others.
        let mut sorted = [u8::MAX; WEEKS];
        for (place, minutes) in sorted.iter_mut().zip(weeks) {
            *place = *minutes;
        }
        sorted.sort_unstable();
        sorted.get((weeks.len() - 1) / 2).copied().unwrap_or(0).into()
    }

    /// Takes the hours before that one as read.
    fn advance(&mut self, to: i64) {
        let Some(present) = self.present.filter(|present| present.number < to) else { return };
        if present.whole {
            self.learn(present.number, present.minutes.count_ones());
        }
        // Of more than all the weeks that are kept, the last ones are enough.
        let kept = i64::try_from(HOURS_OF_WEEK * WEEKS).unwrap_or(i64::MAX);
        for hour in (present.number + 1).max(to.saturating_sub(kept))..to {
            self.learn(hour, 0);
        }
        self.present = Some(Hour { number: to, minutes: 0, whole: true });
    }

    fn learn(&mut self, hour: i64, minutes: u32) {
        self.weeks.resize(HOURS_OF_WEEK, Vec::new());
        if let Some(weeks) = self.weeks.get_mut(of_week(hour)) {
            weeks.push(u8::try_from(minutes).unwrap_or(u8::MAX));
            let many = weeks.len().saturating_sub(WEEKS);
            weeks.drain(..many);
        }
    }
}

const WEEK: i64 = 7 * 24 * HOUR;

fn of_week(hour: i64) -> usize {
    usize::try_from(hour.rem_euclid(168)).unwrap_or(0)
}

#[cfg(test)]
mod tests;
