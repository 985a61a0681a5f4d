//! Entries made up on the fly: the nth of them follows from the seed and n alone, so that a
//! million take no memory and a test can tell which of them arrived.

mod actions;
pub(super) mod names;
mod write;

use std::ops::Range;
use std::time::Duration;

use crate::event::UnixTime;

/// A series of made-up entries: the common actions in about their shares, among them unknown
/// actions, entity types and keys, numeric and null session ids, empty addresses and user agents.
#[derive(Debug, Clone, PartialEq)]
pub struct Generated {
    /// Decides what the entries say.
    pub seed: u64,
    /// How many there are; `None` for a series that goes on with time.
    pub count: Option<u64>,
    /// When they come.
    pub pace: Pace,
    /// The time of the first; by default the pace decides.
    pub start: Option<UnixTime>,
    /// Of each so many entries …
    pub burst_every: u64,
    /// … so many fall into one second.
    pub burst: u64,
    /// Names that try to forge lines, frames and fields.
    pub hostile: bool,
}

/// When made-up entries come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// So many a second, from the simulator's start on unless another start is given.
    PerSecond(f64),
    /// Spread over so long a time, which ends at the simulator's start unless its beginning is
    /// given. Without a count there is nothing to spread, and 1,000 are taken.
    Over(Duration),
}

impl Default for Generated {
    fn default() -> Self {
        Self {
            seed: 1,
            count: Some(1_000),
            pace: Pace::Over(Duration::from_secs(86_400)),
            start: None,
            burst_every: 64,
            burst: 12,
            hostile: false,
        }
    }
}

impl Generated {
    /// The place in the series of the entry with this id, counted from 0.
    pub fn index_of(id: &str) -> Option<u64> {
        let (head, index) = id.rsplit_once('-')?;
        (head.get(8..)? == ID_MARK && index.len() == 12).then(|| u64::from_str_radix(index, 16).ok())?
    }

    /// The id of the entry at that place.
    pub fn id_of(&self, index: u64) -> String {
        id(self.seed, index)
    }
}

/// What marks an id as made up, after its eight digits of seed.
const ID_MARK: &str = "-51ac-4cef-8000";

/// The form of a UUID, version 4, that ends in the entry's place.
fn id(seed: u64, index: u64) -> String {
    format!("{:08x}{ID_MARK}-{index:012x}", seed & 0xffff_ffff)
}

/// A [`Generated`] whose start is settled.
#[derive(Debug)]
pub(super) struct Series {
    seed: u64,
    count: u64,
    start: i64,
    gap: Duration,
    burst_every: u64,
    burst: u64,
    hostile: bool,
}

/// As many entries as an id has room for.
const ENDLESS: u64 = 1 << 48;

impl Series {
    pub(super) fn new(of: &Generated, now: i64) -> Self {
        let (count, start, gap) = match of.pace {
            Pace::PerSecond(rate) => {
                let gap = Duration::try_from_secs_f64(1.0 / rate).unwrap_or(Duration::MAX);
                (of.count.unwrap_or(ENDLESS), now, gap)
            }
            Pace::Over(span) => {
                let count = of.count.unwrap_or(1_000);
                let begin = now.saturating_sub(i64::try_from(span.as_secs()).unwrap_or(i64::MAX));
                let nanos = span.as_nanos().checked_div(u128::from(count)).unwrap_or(0);
                (count, begin, Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
            }
        };
        Self {
            seed: of.seed,
            count: count.min(ENDLESS),
            start: of.start.map_or(start, UnixTime::seconds),
            gap,
            burst_every: of.burst_every.max(1),
            burst: of.burst.min(of.burst_every),
            hostile: of.hostile,
        }
    }

    pub(super) fn index_of(&self, id: &str) -> Option<u64> {
        Generated::index_of(id).filter(|&index| index < self.count && self::id(self.seed, index) == id)
    }

    /// The second of an entry: the first of a burst share theirs.
    fn at(&self, index: u64) -> i64 {
        let within = index % self.burst_every;
        let place = if within < self.burst { index - within } else { index };
        let seconds = self.gap.as_nanos().saturating_mul(u128::from(place)) / 1_000_000_000;
        self.start.saturating_add(i64::try_from(seconds).unwrap_or(i64::MAX))
    }

    /// How many entries lie before `second`.
    fn before(&self, second: i64) -> u64 {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = u64::midpoint(low, high);
            if self.at(middle) < second {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    pub(super) fn second_at_or_before(&self, second: i64) -> Option<i64> {
        self.before(second.saturating_add(1)).checked_sub(1).map(|last| self.at(last))
    }

    pub(super) fn of_second(&self, second: i64) -> Range<u64> {
        self.before(second)..self.before(second.saturating_add(1))
    }

    /// Appends the entry's JSON text.
    pub(super) fn write(&self, index: u64, out: &mut String) {
        write::entry(self.seed, index, self.at(index), self.hostile, out);
    }
}

/// Every action of the made-up entries, for the simulated list of actions.
pub(super) fn actions() -> impl Iterator<Item = (&'static str, &'static str)> {
    actions::ACTIONS.iter().map(|action| (action.group(), action.name))
}
