//! Walks over a Slack that lives in memory, with all its habits of paging.

use std::collections::{BTreeMap, HashMap};
use std::iter::repeat_n;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::event::Text;

const START: i64 = 1_700_000_000;

/// Entries in newest-first order, handed out in pages.
#[derive(Debug, Clone, Default)]
struct Log {
    /// Seconds and texts, newest first.
    entries: Vec<(i64, Bytes)>,
    habits: Habits,
    /// Requests so far.
    asked: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Habits {
    /// A page ends with a whole second, even if it then holds more than the limit.
    whole_seconds: bool,
    /// Each so-manieth page is empty, with a cursor.
    empty_every: u64,
    /// Each so-manieth page is a short one.
    short_every: u64,
    /// One in so many cursors is rejected, scattered.
    reject_one_in: u64,
}

impl Log {
    fn of(times: impl IntoIterator<Item = i64>) -> Self {
        let entries = times
            .into_iter()
            .enumerate()
            .map(|(n, at)| (at, Bytes::from(format!(r#"{{"id":"e{n}","date_create":{at}}}"#))))
            .collect();
        Self { entries, ..Self::default() }.sorted()
    }

    fn sorted(mut self) -> Self {
        self.entries.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        self
    }

    /// Slack's answer; nothing when it rejects the cursor.
    fn answer(&mut self, query: &Query) -> Option<Reply> {
        self.asked += 1;
        assert!(query.window.oldest <= query.window.latest && (1..=PAGE).contains(&query.limit), "{query:?}");
        let every = |n: u64| n > 0 && self.asked.is_multiple_of(n);
        let scattered = self.asked.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let rejected = self.habits.reject_one_in > 0 && scattered.is_multiple_of(self.habits.reject_one_in);
        let from: usize = match &query.cursor {
            Some(_) if rejected => return None,
            Some(cursor) => cursor.as_str().split('.').next().unwrap().parse().unwrap(),
            None => self.entries.partition_point(|(at, _)| *at > query.window.latest.seconds()),
        };
        let end = self.entries.partition_point(|(at, _)| *at >= query.window.oldest.seconds());
        let mut to = match () {
            () if every(self.habits.empty_every) => from,
            () if every(self.habits.short_every) => from + query.limit / 7,
            () => from + query.limit,
        };
        if self.habits.whole_seconds && to > from {
            while to < end && self.entries[to].0 == self.entries[to - 1].0 {
                to += 1;
            }
        }
        let to = to.min(end);
        let cursor = (to < end).then(|| Text::from(format!("{to}.{}", self.asked)));
        Some(Reply {
            elements: self.entries[from..to].iter().map(|(_, raw)| raw.clone()).collect(),
            cursor,
            paging: None,
        })
    }

    /// The fewest requests that could have read all of it, oldest first, a page at a time.
    fn fewest(&self) -> u64 {
        let mut seconds = BTreeMap::<i64, usize>::new();
        for (at, _) in &self.entries {
            *seconds.entry(*at).or_default() += 1;
        }
        let (mut requests, mut filled) = (1, 0);
        for count in seconds.into_values() {
            if filled + count > PAGE {
                requests += count.div_ceil(PAGE) as u64;
                filled = 0;
            }
            filled += count % PAGE;
        }
        requests
    }
}

#[derive(Debug, Default)]
struct Walked {
    parts: Vec<Part>,
    most_held: usize,
    stuck: u64,
}

impl Walked {
    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.parts.iter().flat_map(|part| &part.entries)
    }

    fn ids(&self) -> Vec<&str> {
        let mut ids: Vec<_> = self.entries().map(|entry| entry.id().as_str()).collect();
        ids.sort_unstable();
        ids
    }
}

fn second(at: i64) -> UnixTime {
    UnixTime::from_seconds(at)
}

fn walk(log: &mut Log, walker: &mut Walker, goal: i64) -> Walked {
    let mut way = Walked::default();
    while let Some(query) = walker.ask(second(goal), second(goal)) {
        assert!(query.window.latest <= second(goal));
        assert!(log.asked < 2_000, "does not come to an end");
        let taken = match log.answer(&query) {
            Some(reply) => walker.take(reply),
            None => walker.reject_cursor().map(|()| None),
        };
        way.most_held = way.most_held.max(walker.reading.as_ref().map_or(0, |reading| reading.held.len()));
        match taken {
            Ok(part) => way.parts.extend(part),
            Err(Stuck { .. }) => way.stuck += 1,
        }
    }
    way
}

fn walk_all(log: &mut Log, goal: i64) -> Walked {
    walk(log, &mut Walker::new(second(START)), goal)
}

/// Windows that touch, time that runs forward, and each entry once.
fn check_contiguous(log: &Log, walked: &Walked, goal: i64) {
    let mut next = second(START);
    for part in &walked.parts {
        assert_eq!(part.window.oldest, next);
        assert!(part.entries.is_sorted_by_key(Entry::at));
        assert!(part.entries.iter().all(|entry| part.window.contains(entry.at())));
        if part.complete {
            next = part.window.latest.plus(1);
        }
    }
    assert_eq!(next, second(goal + 1));
    let mut ids: Vec<_> = (0..log.entries.len()).map(|n| format!("e{n}")).collect();
    ids.sort_unstable();
    assert_eq!(walked.ids(), ids);
}

#[test]
fn a_quiet_decade_is_crossed_in_a_few_requests() {
    let mut log = Log::default();
    let goal = START + 10 * 365 * 86_400;
    let walked = walk_all(&mut log, goal);
    check_contiguous(&log, &walked, goal);
    assert!(log.asked <= 6, "{}", log.asked);
}

#[test]
fn a_short_way_is_one_request() {
    let mut log = Log::of([START, START + 59]);
    let walked = walk_all(&mut log, START + 59);
    check_contiguous(&log, &walked, START + 59);
    assert_eq!(log.asked, 1);
}

#[test]
fn a_busy_month_costs_little_more_than_its_pages() {
    let (count, goal) = (60_000, START + 30 * 86_400);
    let mut log = Log::of((0..count).map(|n| START + n * (30 * 86_400) / count));
    let walked = walk_all(&mut log, goal);
    check_contiguous(&log, &walked, goal);
    assert!(log.asked <= 125, "{} requests for {} pages", log.asked, count / 1_000);
}

#[test]
fn one_second_of_many_pages_is_handed_over_page_by_page() {
    let mut log = Log::of([START + 5].into_iter().chain(repeat_n(START + 10, 4_500)).chain([START + 11]));
    let walked = walk_all(&mut log, START + 20);
    check_contiguous(&log, &walked, START + 20);
    assert!(walked.most_held <= 2 * PAGE);
    let parts = walked.parts.iter().filter(|part| part.window.seconds() == 1 && !part.complete).count();
    assert!(parts >= 3, "{parts}");
}

#[test]
fn an_over_full_page_is_taken_whole() {
    let habits = Habits { whole_seconds: true, ..Habits::default() };
    let mut log = Log { habits, ..Log::of(repeat_n(START + 10, 4_500)) };
    let walked = walk_all(&mut log, START + 20);
    check_contiguous(&log, &walked, START + 20);
    assert!(walked.parts.iter().any(|part| part.entries.len() == 4_500));
}

#[test]
fn a_cursor_that_leads_to_itself_comes_to_an_end() {
    for seconds in [1, 60] {
        let mut walker = Walker::new(second(START));
        let goal = second(START + seconds - 1);
        let mut asked = 0;
        let stuck = loop {
            asked += 1;
            assert!(asked < 100, "does not come to an end");
            walker.ask(goal, goal).unwrap();
            let reply = Reply { elements: Vec::new(), cursor: Some(Text::from("MTI=")), paging: None };
            match walker.take(reply) {
                Ok(part) => assert_eq!(part, None),
                Err(stuck) => break stuck,
            }
        };
        assert_eq!(stuck.window.seconds(), 1);
        assert!(walker.counts().rejected_cursors > 0);
    }
}

#[test]
fn pages_without_end_come_to_an_end() {
    let mut walker = Walker::new(second(START));
    for n in 0..=2 * MOST_PAGES_OF_A_SECOND {
        walker.ask(second(START + 60), second(START + 60)).unwrap();
        let reply = Reply { elements: Vec::new(), cursor: Some(Text::from(n.to_string())), paging: None };
        if walker.take(reply)
            == Err(Stuck { window: Window { oldest: second(START), latest: second(START) } })
        {
            return;
        }
    }
    panic!("does not come to an end");
}

#[test]
fn what_is_too_large_is_asked_for_in_smaller_pieces() {
    let mut walker = Walker::new(second(START));
    let goal = second(START + 100);
    let mut before = i64::MAX;
    loop {
        let seconds = walker.ask(goal, goal).unwrap().window.seconds();
        assert!(seconds < before);
        before = seconds;
        if !walker.narrow() {
            break;
        }
    }
    assert_eq!(before, 1);
    assert!(walker.ask_for_fewer());
    assert_eq!(walker.ask(goal, goal).unwrap().limit, PAGE / 4);
    while walker.ask_for_fewer() {}
    assert_eq!(walker.ask(goal, goal).unwrap().limit, 3);
    walker.take(Reply::default()).unwrap().unwrap();
    assert_eq!(walker.ask(goal, goal).unwrap().limit, PAGE, "the next second is a new one");
}

#[test]
fn large_entries_count_by_their_bytes() {
    let text = "x".repeat(MOST_HELD / 4);
    let entries = (0..12)
        .map(|n| {
            (START + n, Bytes::from(format!(r#"{{"id":"e{n}","date_create":{},"t":"{text}"}}"#, START + n)))
        })
        .collect();
    let habits = Habits { short_every: 1, ..Habits::default() };
    let mut log = Log { entries, habits, ..Log::default() }.sorted();
    let mut walker = Walker::new(second(START));
    walker.limit = 7;
    let mut held = 0;
    while let Some(query) = walker.ask(second(START + 12), second(START + 12)) {
        walker.take(log.answer(&query).unwrap()).unwrap();
        walker.limit = 7;
        held = held.max(walker.reading.as_ref().map_or(0, |reading| reading.held_bytes));
    }
    assert!(held <= MOST_HELD + text.len(), "{held}");
}

#[test]
fn entries_without_id_keep_their_ids_when_read_again_in_another_order() {
    let twins = |order: &[usize]| {
        let texts =
            [r#"{"action":"a","date_create":1700000003}"#, r#"{"action":"b","date_create":1700000003}"#];
        Log {
            entries: order.iter().map(|n| (START + 3, Bytes::from_static(texts[*n].as_bytes()))).collect(),
            ..Log::default()
        }
    };
    let one = walk_all(&mut twins(&[0, 0, 1, 0]), START + 9);
    let short = Habits { short_every: 1, ..Habits::default() };
    let mut walker = Walker::new(second(START + 2));
    walker.limit = 7;
    let other = walk(&mut Log { habits: short, ..twins(&[0, 1, 0, 0]) }, &mut walker, START + 30);
    assert_eq!(one.ids(), other.ids());
    let mut ids = one.ids();
    ids.dedup();
    assert_eq!(ids.len(), 4, "neither of two alike is taken for the other");
}

#[test]
fn an_id_that_slack_gave_twice_stays_one_id() {
    let raw = Bytes::from_static(br#"{"id":"0123456789abcdef0123456789abcdef-0","date_create":1700000000}"#);
    let mut log = Log { entries: vec![(START, raw.clone()), (START, raw)], ..Log::default() };
    let walked = walk_all(&mut log, START);
    assert_eq!(walked.ids(), ["0123456789abcdef0123456789abcdef-0"; 2]);
}

#[test]
fn elements_that_are_no_entries_are_counted_and_an_undated_one_is_kept() {
    let elements =
        ["3", "[]", "null", r#"{"id":"x"}"#].map(|text| Bytes::from_static(text.as_bytes())).to_vec();
    let mut walker = Walker::new(second(START));
    walker.ask(second(START + 9), second(START + 9)).unwrap();
    let part = walker.take(Reply { elements, cursor: None, paging: None }).unwrap().unwrap();
    assert_eq!(part.not_entries, 3);
    assert_eq!(
        part.entries[0].at(),
        second(START + 9),
        "as late as can be, so that it is not before its time"
    );
}

#[test]
fn a_window_that_has_not_settled_is_cut_before_it_is_taken() {
    let mut walker = Walker::new(second(START));
    walker.ask(second(START + 100), second(START + 100)).unwrap();
    assert!(!walker.cut(second(START + 100)));
    assert!(walker.cut(second(START + 40)));
    let query = walker.ask(second(START + 40), second(START + 40)).unwrap();
    assert_eq!(query.window.latest, second(START + 40));
}

/// Stretches of a log: seconds of silence, then so many entries within so many seconds.
fn layout() -> impl Strategy<Value = Vec<i64>> {
    let silence = prop_oneof![Just(0_i64), 1..60_i64, 1..100_000_i64, 1_000_000..20_000_000_i64];
    let length = prop_oneof![Just(1_i64), 1..10_i64, 1..5_000_i64, 10_000..3_000_000_i64];
    let count = prop_oneof![0..5_i64, 0..900_i64, 900..4_000_i64];
    prop::collection::vec((silence, length, count), 0..8).prop_map(|stretches| {
        let mut times = Vec::new();
        let mut at = START;
        for (silence, length, count) in stretches {
            at += silence;
            times.extend((0..count).map(|n| at + n * length / count.max(1)));
            at += length;
        }
        times
    })
}

fn habits() -> impl Strategy<Value = Habits> {
    let sometimes = || prop_oneof![Just(0_u64), 2..9_u64];
    let seldom = prop_oneof![Just(0_u64), 5..20_u64];
    (any::<bool>(), sometimes(), sometimes(), seldom).prop_map(
        |(whole_seconds, empty_every, short_every, reject_one_in)| Habits {
            whole_seconds,
            empty_every,
            short_every,
            reject_one_in,
        },
    )
}

fn end_of(times: &[i64]) -> i64 {
    times.iter().max().map_or(START, |at| *at) + 100
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn every_entry_is_read_once_in_order_with_few_requests(times in layout(), whole_seconds: bool) {
        let goal = end_of(&times);
        let habits = Habits { whole_seconds, ..Habits::default() };
        let mut log = Log { habits, ..Log::of(times.iter().copied()) };
        let walked = walk_all(&mut log, goal);
        check_contiguous(&log, &walked, goal);
        let largest_second = log.entries.chunk_by(|a, b| a.0 == b.0).map(<[_]>::len).max().unwrap_or(0);
        prop_assert!(walked.most_held <= PAGE + largest_second);
        let fewest = log.fewest();
        prop_assert!(log.asked <= 3 * fewest + 12, "{} requests, {fewest} would have done", log.asked);
    }

    #[test]
    fn no_habit_of_slack_loses_an_entry(times in layout(), habits in habits()) {
        let goal = end_of(&times);
        let mut log = Log { habits, ..Log::of(times.iter().copied()) };
        let walked = walk_all(&mut log, goal);
        let mut seen = HashMap::<&str, u64>::new();
        for entry in walked.entries() {
            *seen.entry(entry.id().as_str()).or_default() += 1;
        }
        prop_assert_eq!(seen.len(), log.entries.len());
        if habits.reject_one_in == 0 {
            prop_assert!(seen.values().all(|times| *times == 1));
            check_contiguous(&log, &walked, goal);
        }
    }
}
