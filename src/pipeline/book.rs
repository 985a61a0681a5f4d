//! What is under way to a destination, and what became of it.
//!
//! ```text
//!  add ─▶ waiting ─next─▶ out on a line ─receipt─▶ read ─age, with no line failed─▶ safe: settle it
//!            ▲──────────────── the line failed ──────┴──────┘
//! ```
//!
//! A receipt says that the receiver's program has read something, not that it would survive that
//! program's end. So what was read waits until it is old enough, while another connection watches
//! that the receiver lives; a failure in that time sends it again, with all that the failed line
//! carried.
//!
//! A receiver that hangs up on one event hangs up on it each time it is sent again. After a few lines
//! in a row that failed, with nothing made safe in between, parts go out one at a time and are halved until single
//! entries are left; what fails alone three times, and again after another entry was confirmed, is
//! dead: it is not the receiver that takes nothing.
//!
//! **Invariant:** no sockets, no store, and no clock of its own: only what is where.
//! **Invariant:** a batch is given back once, when all of its parts are safe or dead.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::Range;
use std::time::{Duration, Instant};

use crate::syslog::LineId;

/// Batches of `B` under way.
#[derive(Debug)]
pub(super) struct Book<B> {
    batches: BTreeMap<u64, Batch<B>>,
    next_batch: u64,
    parts: BTreeMap<Key, Part>,
    waiting: BTreeSet<Key>,
    out: HashMap<LineId, VecDeque<(u64, Key)>>,
    /// By lane.
    read: HashMap<usize, VecDeque<(Instant, Key)>>,
    /// Single entries that were refused alone, while it is not known whether others are taken.
    aside: BTreeSet<Key>,
    dead: BTreeSet<Key>,
    isolation: Option<Isolation>,
    /// Lines that failed in a row, with nothing made safe in between.
    fruitless: u32,
    /// Entries out or read.
    unconfirmed: u64,
}

#[derive(Debug)]
struct Batch<B> {
    what: B,
    /// Parts that are neither safe nor dead.
    open: usize,
}

/// A part of a batch: its batch, and where it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    batch: u64,
    first: usize,
}

#[derive(Debug)]
struct Part {
    end: usize,
    /// It was sent before.
    again: bool,
    /// Lines that failed with nothing but this on them.
    blamed: u32,
    /// It was blamed, or is a half of what was.
    is_suspect: bool,
    /// How often it was refused alone while others were taken.
    rounds: u32,
}

/// Looking for what the receiver hangs up on.
#[derive(Debug, Default)]
struct Isolation {
    /// Something was confirmed since it began.
    proven: bool,
}

/// What a part is made of.
pub(super) struct Taken<'b, B> {
    pub(super) key: Key,
    pub(super) batch: &'b mut B,
    /// Its entries within the batch.
    pub(super) entries: Range<usize>,
    /// It was sent before.
    pub(super) again: bool,
}

/// Lines that may fail in a row, with nothing made safe in between, until it is looked for what they
/// break on.
const SUSPICIOUS: u32 = 3;
/// So often a single entry has to fail alone.
const TRIES: u32 = 3;
/// And that so often, with others confirmed in between.
const ROUNDS: u32 = 2;
/// So many entries in a row, each refused alone, are not to blame: the receiver takes nothing.
const MOST_ASIDE: usize = 8;

impl<B> Book<B> {
    pub(super) fn new() -> Self {
        Self {
            batches: BTreeMap::new(),
            next_batch: 0,
            parts: BTreeMap::new(),
            waiting: BTreeSet::new(),
            out: HashMap::new(),
            read: HashMap::new(),
            aside: BTreeSet::new(),
            dead: BTreeSet::new(),
            isolation: None,
            fruitless: 0,
            unconfirmed: 0,
        }
    }

    /// Nothing is under way.
    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Batches that are not given back yet.
    pub(super) fn batches(&self) -> u64 {
        u64::try_from(self.batches.len()).unwrap_or(u64::MAX)
    }

    /// Entries sent and not yet safe.
    pub(super) fn unconfirmed(&self) -> u64 {
        self.unconfirmed
    }

    /// A batch of so many entries is to be sent; at least one.
    pub(super) fn add(&mut self, what: B, entries: usize) {
        let key = Key { batch: self.next_batch, first: 0 };
        self.next_batch = self.next_batch.saturating_add(1);
        self.batches.insert(key.batch, Batch { what, open: 1 });
        self.parts.insert(key, Part { end: entries, again: false, blamed: 0, is_suspect: false, rounds: 0 });
        self.waiting.insert(key);
    }

    /// Something waits, and may go out now.
    pub(super) fn has_next(&self) -> bool {
        !self.waiting.is_empty() && (self.isolation.is_none() || self.out.values().all(VecDeque::is_empty))
    }

    /// Parts go out one at a time, and each is to be confirmed at once.
    pub(super) fn is_isolating(&self) -> bool {
        self.isolation.is_some()
    }

    /// The oldest part that may go out now. It stays where it is until [`Self::sent`] or
    /// [`Self::nothing_to_send`].
    pub(super) fn next(&mut self) -> Option<Taken<'_, B>> {
        if !self.has_next() {
            return None;
        }
        let key = *self.waiting.first()?;
        let part = self.parts.get(&key)?;
        let batch = &mut self.batches.get_mut(&key.batch)?.what;
        Some(Taken { key, batch, entries: key.first..part.end, again: part.again })
    }

    /// The batch of a part.
    pub(super) fn batch(&mut self, key: Key) -> Option<&mut B> {
        self.batches.get_mut(&key.batch).map(|batch| &mut batch.what)
    }

    /// A part went out on a line, under a number larger than that of any before on that line.
    pub(super) fn sent(&mut self, key: Key, line: LineId, number: u64) {
        if self.waiting.remove(&key) {
            self.unconfirmed = self.unconfirmed.saturating_add(self.length(key));
            self.out.entry(line).or_default().push_back((number, key));
        }
    }

    /// There is nothing of a part that has to be sent; its batch, when that was the last of it.
    pub(super) fn nothing_to_send(&mut self, key: Key) -> Option<B> {
        self.waiting.remove(&key);
        let whole = self.done(key);
        self.look_at_aside();
        whole
    }

    /// The receiver has read what the line carried up to that number.
    pub(super) fn read(&mut self, line: LineId, lane: usize, through: u64, now: Instant) {
        let Some(out) = self.out.get_mut(&line) else { return };
        let read = self.read.entry(lane).or_default();
        let covered = out.iter().take_while(|(number, _)| *number <= through).count();
        read.extend(out.drain(..covered).map(|(_, key)| (now, key)));
        if covered > 0 && self.isolation.is_some() {
            self.weigh_aside();
        }
    }

    /// The receiver takes something, and so what lies aside was refused for itself. A receiver that
    /// comes and goes could refuse anything once: it is tried another time.
    fn weigh_aside(&mut self) {
        if let Some(isolation) = &mut self.isolation {
            isolation.proven = true;
        }
        for key in std::mem::take(&mut self.aside) {
            let Some(part) = self.parts.get_mut(&key) else { continue };
            part.rounds = part.rounds.saturating_add(1);
            part.blamed = 0;
            if part.rounds >= ROUNDS {
                self.dead.insert(key);
            } else {
                self.waiting.insert(key);
            }
        }
    }

    /// The line is over, in order; whether that was news of something.
    pub(super) fn ended(&mut self, line: LineId, lane: usize, now: Instant) -> bool {
        let news = self.out.get(&line).is_some_and(|out| !out.is_empty());
        self.read(line, lane, u64::MAX, now);
        self.out.remove(&line);
        news
    }

    /// The line failed: what it carried waits again, and so does what its lane had read and what is not
    /// old enough. How many entries that are. `blames`: the receiver may have disliked what it was sent.
    pub(super) fn failed(&mut self, line: LineId, lane: usize, blames: bool) -> u64 {
        let out = self.out.remove(&line).unwrap_or_default();
        let read = self.read.remove(&lane).unwrap_or_default();
        if !out.is_empty() {
            self.fruitless = self.fruitless.saturating_add(u32::from(blames));
        }
        let blamed = if blames { self.blame(&out) } else { None };
        let mut again = 0_u64;
        for key in out.into_iter().map(|(_, key)| key).chain(read.into_iter().map(|(_, key)| key)) {
            again = again.saturating_add(self.length(key));
            if let Some(part) = self.parts.get_mut(&key) {
                part.again = true;
            }
            if !self.aside.contains(&key) {
                self.waiting.insert(key);
            }
        }
        self.unconfirmed = self.unconfirmed.saturating_sub(again);
        if self.fruitless >= SUSPICIOUS {
            self.isolation.get_or_insert_default();
        }
        if let Some(key) = blamed {
            self.halve(key);
        }
        self.look_at_aside();
        again
    }

    /// A line broke while a single part was on its way: that part, if it was looked for.
    fn blame(&mut self, out: &VecDeque<(u64, Key)>) -> Option<Key> {
        let (Some(_), Some(&(_, key)), 1) = (&self.isolation, out.front(), out.len()) else { return None };
        let part = self.parts.get_mut(&key)?;
        part.blamed = part.blamed.saturating_add(1);
        part.is_suspect = true;
        if part.blamed >= TRIES && part.end.saturating_sub(key.first) == 1 {
            self.aside.insert(key);
        }
        Some(key)
    }

    /// A part that was blamed is made two, where it can be made smaller.
    fn halve(&mut self, key: Key) {
        let Some(part) = self.parts.get_mut(&key) else { return };
        let length = part.end.saturating_sub(key.first);
        if length < 2 {
            return;
        }
        let middle = key.first.saturating_add(length / 2);
        let second = Key { first: middle, ..key };
        let end = std::mem::replace(&mut part.end, middle);
        // What is smaller is as suspicious; a single entry is tried anew.
        part.blamed = 0;
        self.parts.insert(second, Part { end, again: true, blamed: 0, is_suspect: true, rounds: 0 });
        self.waiting.insert(second);
        if let Some(batch) = self.batches.get_mut(&key.batch) {
            batch.open = batch.open.saturating_add(1);
        }
    }

    /// With nothing else to send, nothing would ever be proven of what lies aside; and so many are not to
    /// blame.
    fn look_at_aside(&mut self) {
        let is_alone = self.waiting.is_empty() && self.out.values().all(VecDeque::is_empty);
        if self.aside.len() >= MOST_ASIDE || (is_alone && !self.aside.is_empty()) {
            self.give_up_isolation();
        }
    }

    /// It is not single entries: all that was set aside waits again.
    fn give_up_isolation(&mut self) {
        self.isolation = None;
        self.fruitless = 0;
        for key in std::mem::take(&mut self.aside) {
            if let Some(part) = self.parts.get_mut(&key) {
                part.blamed = 0;
            }
            self.waiting.insert(key);
        }
        for part in self.parts.values_mut() {
            part.is_suspect = false;
        }
    }

    /// The next entry that the receiver has proven not to take, while it takes others: where it is in
    /// its batch. It is to be kept elsewhere, and then to be [buried](Self::buried).
    pub(super) fn dead(&self) -> Option<(Key, usize)> {
        self.dead.first().map(|key| (*key, key.first))
    }

    /// A dead entry is kept elsewhere; its batch, when that was the last of it.
    pub(super) fn buried(&mut self, key: Key) -> Option<B> {
        self.dead.remove(&key);
        self.done(key)
    }

    /// Takes out what was read and is old enough; the batches that are safe by it.
    pub(super) fn outlived(&mut self, age: Duration, now: Instant) -> Vec<B> {
        let mut safe = Vec::new();
        let mut keys = Vec::new();
        for read in self.read.values_mut() {
            let old = read.iter().take_while(|(at, _)| now.duration_since(*at) >= age).count();
            keys.extend(read.drain(..old).map(|(_, key)| key));
        }
        if !keys.is_empty() {
            self.fruitless = 0;
        }
        for key in keys {
            self.unconfirmed = self.unconfirmed.saturating_sub(self.length(key));
            safe.extend(self.done(key));
        }
        self.end_isolation();
        safe
    }

    /// When [`Self::outlived`] has something next.
    pub(super) fn due(&self, age: Duration) -> Option<Instant> {
        self.read.values().filter_map(|read| read.front()?.0.checked_add(age)).min()
    }

    /// Nothing is on its way, and nothing waits to be old enough.
    pub(super) fn is_still(&self) -> bool {
        self.unconfirmed == 0
    }

    /// Nothing waits to be sent.
    pub(super) fn is_sent(&self) -> bool {
        self.waiting.is_empty() && self.aside.is_empty() && self.dead.is_empty()
    }

    /// Ends it when something was made safe since the last failure, and nothing is left that was suspected.
    fn end_isolation(&mut self) {
        let Some(isolation) = &self.isolation else { return };
        let suspected = self.parts.values().any(|part| part.is_suspect);
        if isolation.proven
            && self.fruitless == 0
            && self.aside.is_empty()
            && self.dead.is_empty()
            && !suspected
        {
            self.isolation = None;
        }
    }

    fn done(&mut self, key: Key) -> Option<B> {
        self.parts.remove(&key)?;
        let batch = self.batches.get_mut(&key.batch)?;
        batch.open = batch.open.saturating_sub(1);
        if batch.open > 0 {
            return None;
        }
        self.batches.remove(&key.batch).map(|batch| batch.what)
    }

    fn length(&self, key: Key) -> u64 {
        self.parts.get(&key).map_or(0, |part| u64::try_from(part.end.saturating_sub(key.first)).unwrap_or(0))
    }

    /// Forgets all of it: the batches are dropped.
    pub(super) fn clear(&mut self) {
        *self = Self { next_batch: self.next_batch, ..Self::new() };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const AGE: Duration = Duration::from_secs(5);

    fn line(nth: u64) -> LineId {
        LineId::test(nth)
    }

    /// A receiver as a model: it stores what it has read, or hangs up on one entry.
    struct World {
        book: Book<u64>,
        now: Instant,
        number: u64,
        line: u64,
        given_back: Vec<u64>,
        dead: Vec<(u64, usize)>,
    }

    impl World {
        fn with(batches: u64, entries: usize) -> Self {
            let mut book = Book::new();
            for batch in 0..batches {
                book.add(batch, entries);
            }
            Self { book, now: Instant::now(), number: 0, line: 0, given_back: Vec::new(), dead: Vec::new() }
        }

        /// Sends the next part; its batch and its entries.
        fn send(&mut self) -> Option<(u64, Range<usize>)> {
            let taken = self.book.next()?;
            let (key, sent) = (taken.key, (*taken.batch, taken.entries));
            self.number += 1;
            self.book.sent(key, line(self.line), self.number);
            Some(sent)
        }

        fn pass(&mut self, time: Duration) {
            self.now += time;
            self.given_back.extend(self.book.outlived(AGE, self.now));
        }

        fn bury(&mut self) {
            while let Some((key, nth)) = self.book.dead() {
                self.dead.push((*self.book.batch(key).unwrap(), nth));
                self.given_back.extend(self.book.buried(key));
            }
        }
    }

    #[test]
    fn what_was_read_is_safe_when_it_is_old_enough() {
        let mut world = World::with(3, 10);
        while world.send().is_some() {}
        assert_eq!(world.book.unconfirmed(), 30);
        world.book.read(line(0), 0, 2, world.now);
        world.pass(AGE / 2);
        assert_eq!(world.given_back, [] as [u64; 0]);
        world.pass(AGE / 2);
        assert_eq!(world.given_back, [0, 1]);
        assert_eq!((world.book.unconfirmed(), world.book.is_empty()), (10, false));
        assert!(world.book.ended(line(0), 0, world.now));
        world.pass(AGE);
        assert_eq!(world.given_back, [0, 1, 2]);
        assert!(world.book.is_empty() && world.book.is_still() && world.book.is_sent());
    }

    #[test]
    fn a_failure_sends_again_what_is_not_old_enough_and_nothing_else() {
        let mut world = World::with(4, 10);
        world.send();
        world.book.read(line(0), 0, 1, world.now);
        world.pass(AGE);
        world.send();
        world.book.read(line(0), 0, 2, world.now);
        world.send();
        world.pass(Duration::from_secs(1));
        assert_eq!(world.book.failed(line(0), 0, true), 20);
        world.line = 1;
        assert_eq!(world.send(), Some((1, 0..10)));
        assert_eq!(world.send(), Some((2, 0..10)));
        assert_eq!(world.send(), Some((3, 0..10)));
        // A receipt of the line that failed comes too late to count.
        world.book.read(line(0), 0, 99, world.now);
        world.pass(AGE);
        assert_eq!(world.given_back, [0]);
    }

    #[test]
    fn a_failure_in_one_lane_leaves_what_another_has_read() {
        let mut world = World::with(2, 10);
        world.send();
        world.line = 1;
        world.send();
        world.book.read(line(0), 0, 1, world.now);
        world.book.read(line(1), 1, 2, world.now);
        assert_eq!(world.book.failed(line(1), 1, true), 10);
        world.pass(AGE);
        assert_eq!(world.given_back, [0]);
    }

    /// A line that carries what is sent until the receiver hangs up, or has read all of it.
    fn carry(world: &mut World, is_poison: impl Fn(u64, usize) -> bool, proves_late: bool) {
        world.line += 1;
        let (mut poisoned, mut read) = (false, 0);
        while let Some((batch, entries)) = world.send() {
            poisoned = entries.into_iter().any(|nth| is_poison(batch, nth));
            if poisoned {
                break;
            }
            read = world.number;
        }
        let confirms = read > 0 && !proves_late;
        if confirms {
            world.book.read(line(world.line), 0, read, world.now);
        }
        if poisoned {
            world.book.failed(line(world.line), 0, true);
        } else {
            world.book.ended(line(world.line), 0, world.now);
        }
        world.bury();
        // Two lines within the age, so that a failure takes back what the one before has read.
        world.pass(AGE * 2 / 3);
        world.bury();
    }

    #[test]
    fn an_event_that_the_receiver_hangs_up_on_is_found_and_all_others_arrive() {
        for proves_late in [false, true] {
            for poison in [0, 7, 499] {
                let mut world = World::with(3, 500);
                for turn in 0..200 {
                    // Without others that are taken nothing would be proven.
                    if turn == 150 {
                        world.book.add(3, 1);
                    }
                    carry(&mut world, |batch, nth| (batch, nth) == (1, poison), proves_late);
                }
                assert_eq!(world.dead, [(1, poison)], "{proves_late}");
                world.given_back.sort_unstable();
                assert_eq!(world.given_back, [0, 1, 2, 3]);
                assert!(world.book.is_empty() && !world.book.is_isolating());
            }
        }
    }

    #[test]
    fn a_receiver_that_hangs_up_on_everything_makes_no_dead_letters() {
        let mut world = World::with(3, 500);
        for _ in 0..2_000 {
            carry(&mut world, |_, _| true, true);
        }
        assert_eq!((world.dead.len(), world.given_back.len()), (0, 0));
        for _ in 0..2_000 {
            carry(&mut world, |_, _| false, true);
        }
        assert_eq!(world.dead, []);
        assert!(world.book.is_empty());
    }

    proptest! {
        /// Whatever happens, each batch is given back exactly once, and only when every entry of it was
        /// read on a line that did not fail in the time after.
        #[test]
        fn nothing_is_given_back_before_it_is_safe(steps in prop::collection::vec(0_u8..6, 1..200)) {
            let mut world = World::with(20, 7);
            // Each batch's entries, with when they were last read and by which line.
            let mut sent: Vec<(u64, u64, u64, Range<usize>)> = Vec::new();
            let mut read: BTreeMap<(u64, usize), Instant> = BTreeMap::new();
            for step in steps {
                match step {
                    0 | 1 => {
                        if let Some((batch, entries)) = world.send() {
                            sent.push((world.line, world.number, batch, entries));
                        }
                    }
                    2 => {
                        let through = world.number.saturating_sub(1);
                        world.book.read(line(world.line), 0, through, world.now);
                        for (_, _, batch, entries) in
                            sent.iter().filter(|(on, number, ..)| *on == world.line && *number <= through)
                        {
                            for nth in entries.clone() {
                                read.entry((*batch, nth)).or_insert(world.now);
                            }
                        }
                    }
                    3 => {
                        world.book.failed(line(world.line), 0, true);
                        sent.clear();
                        let given_back = world.given_back.clone();
                        read.retain(|(batch, _), _| given_back.contains(batch));
                        world.line += 1;
                    }
                    4 => world.pass(Duration::from_secs(2)),
                    _ => world.pass(AGE),
                }
                for batch in &world.given_back {
                    for nth in 0..7 {
                        prop_assert!(read.contains_key(&(*batch, nth)), "{batch}/{nth} is not safe");
                    }
                }
            }
            world.book.failed(line(world.line), 0, true);
            for _ in 0..500 {
                carry(&mut world, |_, _| false, true);
            }
            world.given_back.sort_unstable();
            prop_assert_eq!(&world.given_back, &(0..20).collect::<Vec<_>>());
            prop_assert_eq!(world.dead.len(), 0);
            prop_assert!(world.book.is_empty());
        }
    }
}
