//! What is still to be told: grouped, the gravest first, within a bound.
//!
//! **Invariant:** an event that was added is told, or counted in what is told, or still here.
//! **Invariant:** at most [`MOST_GROUPS`] groups are kept; among them no graver one gives way to a
//! lesser one.

use std::cmp::Reverse;
use std::time::Duration;

use super::happening::{Happening, Kind};
use super::message;
use crate::cef::Severity;
use crate::event::UnixTime;

/// Events that are to be told.
#[derive(Debug)]
pub struct Pending {
    groups: Vec<Group>,
    counted: Vec<(Because, Counted)>,
    /// Groups so far: their order of coming.
    next: u64,
    /// Who tells them, for the foot of the messages.
    title: String,
    /// Seconds; what is older when it comes is counted alone.
    fresh: i64,
}

/// Events of one kind.
#[derive(Debug, Clone)]
pub(super) struct Group {
    nth: u64,
    /// The gravest of them, the first of those alike.
    pub(super) shown: Happening,
    pub(super) count: u64,
    pub(super) first: UnixTime,
    pub(super) last: UnixTime,
    pub(super) what: Several,
    pub(super) from: Several,
    pub(super) places: Several,
    pub(super) reasons: Several,
}

/// Some of the values that the events of a group have.
#[derive(Debug, Clone, Default)]
pub(super) struct Several {
    pub(super) shown: Vec<String>,
    pub(super) others: bool,
}

/// Events of which only the number is told.
#[derive(Debug, Clone)]
pub(super) struct Counted {
    pub(super) count: u64,
    /// How grave the gravest is, and its name.
    pub(super) gravest: Severity,
    pub(super) name: String,
    pub(super) first: UnixTime,
    pub(super) last: UnixTime,
}

/// Why only the number is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Because {
    /// They were too many at once.
    Many,
    /// They were old when they came.
    Old,
    /// Slack did not take the message that told them.
    Refused,
}

/// What one message tells.
#[derive(Debug, Default)]
pub struct Parcel {
    groups: Vec<Group>,
    counted: Vec<(Because, Counted)>,
    title: String,
}

/// Groups that are kept; each is some two kilobytes at most.
const MOST_GROUPS: usize = 100;
/// Values of one sort that a group shows.
const MOST_VALUES: usize = 3;

impl Pending {
    /// Nothing yet. `title` says at the foot of each message who tells it; what is older than `fresh`
    /// when it comes is counted alone: it is of a backfill, or of an outage that is over.
    pub fn new(title: impl Into<String>, fresh: Duration) -> Self {
        let fresh = i64::try_from(fresh.as_secs()).unwrap_or(i64::MAX);
        Self { groups: Vec::new(), counted: Vec::new(), next: 0, title: title.into(), fresh }
    }

    /// One more event is to be told.
    pub fn add(&mut self, happening: Happening, now: UnixTime) {
        if now.seconds().saturating_sub(happening.at.seconds()) > self.fresh {
            return self.count(Because::Old, Counted::of(&happening));
        }
        if let Some(group) = self.groups.iter_mut().find(|group| group.shown.kind == happening.kind) {
            return group.merge(Group::of(happening, 0));
        }
        let group = Group::of(happening, self.next);
        self.next = self.next.saturating_add(1);
        self.keep(group);
    }

    /// Nothing is to be told.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.counted.is_empty()
    }

    /// Events that are to be told, those that are counted alone included.
    pub fn events(&self) -> u64 {
        events(&self.groups, &self.counted)
    }

    /// Takes out what the next message tells: the gravest first, as far as a message reaches.
    pub fn take(&mut self) -> Parcel {
        self.groups.sort_by_key(|group| (Reverse(group.shown.severity), group.nth));
        let counted = std::mem::take(&mut self.counted);
        let fits = message::fitting(&self.groups, &counted);
        Parcel { groups: self.groups.drain(..fits).collect(), counted, title: self.title.clone() }
    }

    /// Takes back what could not be told.
    pub fn give_back(&mut self, parcel: Parcel) {
        for group in parcel.groups {
            match self.groups.iter_mut().find(|known| known.shown.kind == group.shown.kind) {
                Some(known) => known.merge(group),
                None => self.keep(group),
            }
        }
        for (because, counted) in parcel.counted {
            self.count(because, counted);
        }
    }

    /// Takes back the number alone of what Slack would never take.
    pub fn give_up(&mut self, parcel: Parcel) {
        for group in &parcel.groups {
            self.count(Because::Refused, Counted::of_group(group));
        }
        for (because, counted) in parcel.counted {
            self.count(because, counted);
        }
    }

    fn keep(&mut self, group: Group) {
        self.groups.push(group);
        if self.groups.len() <= MOST_GROUPS {
            return;
        }
        // The least grave gives way, the last that came among those alike.
        let least = self
            .groups
            .iter()
            .enumerate()
            .min_by_key(|(_, group)| (group.shown.severity, Reverse(group.nth)));
        if let Some((at, _)) = least {
            let group = self.groups.swap_remove(at);
            self.count(Because::Many, Counted::of_group(&group));
        }
    }

    fn count(&mut self, because: Because, more: Counted) {
        match self.counted.iter_mut().find(|(known, _)| *known == because) {
            Some((_, counted)) => counted.merge(more),
            None => self.counted.push((because, more)),
        }
    }
}

impl Parcel {
    /// Events that it tells, those that are counted alone included.
    pub fn events(&self) -> u64 {
        events(&self.groups, &self.counted)
    }

    /// The message for a webhook, in blocks.
    pub fn message(&self) -> String {
        message::in_blocks(&self.groups, &self.counted, &self.title)
    }

    /// The same as text alone, for where blocks are not taken.
    pub fn plain_message(&self) -> String {
        message::plain(&self.groups, &self.counted, &self.title)
    }
}

fn events(groups: &[Group], counted: &[(Because, Counted)]) -> u64 {
    let counts =
        groups.iter().map(|group| group.count).chain(counted.iter().map(|(_, counted)| counted.count));
    counts.fold(0, u64::saturating_add)
}

impl Group {
    fn of(shown: Happening, nth: u64) -> Self {
        let one = |value: &Option<String>| Several { shown: value.iter().cloned().collect(), others: false };
        Self {
            nth,
            count: 1,
            first: shown.at,
            last: shown.at,
            what: one(&shown.what),
            from: one(&shown.from),
            places: one(&shown.place),
            reasons: one(&shown.reason),
            shown,
        }
    }

    fn merge(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.what.merge(other.what);
        self.from.merge(other.from);
        self.places.merge(other.places);
        self.reasons.merge(other.reasons);
        if other.shown.severity > self.shown.severity {
            self.shown = other.shown;
        }
    }
}

impl Several {
    fn merge(&mut self, other: Self) {
        self.others |= other.others;
        for value in other.shown {
            if self.shown.contains(&value) {
                continue;
            }
            if self.shown.len() < MOST_VALUES {
                self.shown.push(value);
            } else {
                self.others = true;
            }
        }
    }
}

impl Counted {
    fn of(happening: &Happening) -> Self {
        Self {
            count: 1,
            gravest: happening.severity,
            name: happening.kind.name.clone(),
            first: happening.at,
            last: happening.at,
        }
    }

    fn of_group(group: &Group) -> Self {
        Self { count: group.count, first: group.first, last: group.last, ..Self::of(&group.shown) }
    }

    fn merge(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        if other.gravest > self.gravest {
            (self.gravest, self.name) = (other.gravest, other.name);
        }
    }
}

impl Kind {
    /// Who acted, in words; nobody where the forwarder speaks for itself.
    pub(super) fn who(&self) -> Option<String> {
        match (&self.actor, &self.actor_id) {
            (Some(actor), Some(id)) if actor != id => Some(format!("{actor} ({id})")),
            (actor, id) => actor.clone().or_else(|| id.clone()),
        }
    }
}

#[cfg(test)]
mod tests;
