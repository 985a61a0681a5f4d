//! `{@rest}`: what an entry holds that no field took.
//!
//! While an entry is walked for the paths of its plan, every member that is passed is noted: where
//! its key and its value lie, and which members lie inside it, as far as the walk went down. A
//! field that takes a value marks that member. What is left unmarked is then written as one JSON
//! object of the entry's own shape, without a second look at the entry.
//!
//! A list is one value: it is taken as a whole or not at all. A member that the plan asks for and
//! that says nothing (null, empty) is left out here as it is in its field; what the plan knows
//! nothing of is written as Slack sent it, nulls and all.
//!
//! **Invariant:** a member that says something is either taken or written. Of a key that stands
//! twice in one object only the last can be taken.

use std::ops::Range;

use super::json;

/// Where something lies in an entry. Half the size of a `Range<usize>`: there is one for every
/// value, and an entry of four gibibytes there is not; behind them nothing is found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Extent {
    start: u32,
    end: u32,
}

impl Extent {
    pub(super) fn new(at: Range<usize>) -> Self {
        let short = |at| u32::try_from(at).unwrap_or(u32::MAX);
        Self { start: short(at.start), end: short(at.end) }
    }

    pub(super) fn of(self, text: &str) -> Option<&str> {
        text.get(self.start as usize..self.end as usize)
    }
}

/// The members of one entry, each before those that lie inside it.
#[derive(Debug, Default)]
pub(super) struct Outline {
    members: Vec<Member>,
}

#[derive(Debug)]
struct Member {
    /// The key with its quotes.
    key: Extent,
    value: Extent,
    /// The number of the first member that does not lie inside this one.
    after: u32,
    /// Whether a path of the plan leads to it, or into it.
    known: bool,
    taken: bool,
}

/// The number of a member.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct MemberId(u32);

impl Outline {
    pub(super) fn clear(&mut self) {
        self.members.clear();
    }

    /// Notes a member whose value is still to be read; `known`: a path of the plan leads there.
    pub(super) fn begin(&mut self, key: Range<usize>, known: bool) -> MemberId {
        let number = self.count();
        // Until it ends it has no value, and so it stays where the entry breaks off.
        let (key, value, after) = (Extent::new(key), Extent::default(), number.saturating_add(1));
        self.members.push(Member { key, value, after, known, taken: false });
        MemberId(number)
    }

    /// Notes a member all at once, in which nothing lies.
    pub(super) fn leaf(&mut self, key: Range<usize>, value: Range<usize>, known: bool) {
        let (key, value, after) = (Extent::new(key), Extent::new(value), self.count().saturating_add(1));
        self.members.push(Member { key, value, after, known, taken: false });
    }

    /// The member that will be noted next.
    pub(super) fn next(&self) -> MemberId {
        MemberId(self.count())
    }

    /// Notes where a member's value lies. What was begun since then lies inside it.
    pub(super) fn end(&mut self, member: MemberId, value: Range<usize>) {
        let after = self.count();
        if let Some(member) = self.members.get_mut(member.0 as usize) {
            member.value = Extent::new(value);
            member.after = after;
        }
    }

    /// Marks a member, and thereby all that lies inside it.
    pub(super) fn take(&mut self, member: MemberId) {
        if let Some(member) = self.members.get_mut(member.0 as usize) {
            member.taken = true;
        }
    }

    /// An entry has fewer members than bytes.
    fn count(&self) -> u32 {
        u32::try_from(self.members.len()).unwrap_or(u32::MAX)
    }

    /// Writes the members that nothing took, as a JSON object; writes nothing where none is left.
    ///
    /// `text` is the entry that was walked.
    pub(super) fn write_rest(&self, text: &str, out: &mut String) {
        self.write_object(0..self.members.len(), text, out);
    }

    /// Recurses as deep as the longest path of a plan, and no deeper.
    fn write_object(&self, numbers: Range<usize>, text: &str, out: &mut String) {
        let begin = out.len();
        let mut next = numbers.start;
        while let Some(member) = self.members.get(next).filter(|_| next < numbers.end) {
            let inside = next + 1..member.after as usize;
            next = inside.end;
            if member.taken {
                continue;
            }
            let before = out.len();
            out.push(if before == begin { '{' } else { ',' });
            json::write_compact(member.key.of(text).unwrap_or_default(), out);
            out.push(':');
            let value = out.len();
            if inside.is_empty() {
                let raw = member.value.of(text).unwrap_or_default();
                if !member.known || !json::is_nothing(raw) {
                    json::write_compact(raw, out);
                }
            } else {
                self.write_object(inside, text, out);
            }
            if out.len() == value {
                out.truncate(before);
            }
        }
        if out.len() > begin {
            out.push('}');
        }
    }
}
