use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::slack::step::Page;

const NOW: i64 = 1_790_000_000;

/// A list in memory, that hands out a few rows a page whatever is asked for.
struct List {
    now: i64,
    rows: Vec<Listed>,
    page: usize,
}

#[derive(Clone, Copy)]
struct Listed {
    user: u64,
    first: i64,
    last: i64,
    count: u64,
}

impl List {
    fn new(page: usize) -> Self {
        Self { now: NOW, rows: Vec::new(), page }
    }

    fn add(&mut self, user: u64, first: i64, count: u64) {
        self.rows.insert(0, Listed { user, first, last: self.now, count });
        self.rows.sort_by_key(|row| std::cmp::Reverse(row.first));
    }

    fn answer(&self, arguments: &[(&'static str, String)]) -> Reply {
        let number = |name| {
            let found = arguments.iter().find(|(argument, _)| *argument == name)?;
            found.1.parse::<i64>().ok()
        };
        let within: Vec<_> = self
            .rows
            .iter()
            .filter(|row| number("before").is_none_or(|before| row.first <= before))
            .collect();
        let pages = within.len().div_ceil(self.page).max(1);
        let page = match number("page") {
            Some(page) => usize::try_from(page).unwrap(),
            None => usize::try_from(number("cursor").unwrap_or(1)).unwrap(),
        };
        assert!(number("page").is_none_or(|page| page <= 100), "Slack would refuse");
        let elements = within.chunks(self.page).nth(page - 1).unwrap_or_default();
        let classic = number("page").is_some();
        let json = |row: &&Listed| {
            let Listed { user, first, last, count } = row;
            Bytes::from(format!(
                r#"{{"user_id":"U{user}","ip":"192.0.2.1","user_agent":null,"date_first":{first},"date_last":{last},"count":{count}}}"#
            ))
        };
        Reply {
            elements: elements.iter().map(json).collect(),
            cursor: (!classic && page < pages).then(|| (page + 1).to_string().into()),
            paging: classic.then_some(Paging { page: page as u64, pages: pages as u64, total: None }),
        }
    }
}

/// What a store keeps.
#[derive(Default)]
struct Kept {
    memos: HashMap<RowKey, Vec<u8>>,
    bookmark: Vec<u8>,
    ids: BTreeSet<String>,
    entries: Vec<serde_json::Value>,
    /// New uses by user.
    uses: BTreeMap<String, u64>,
}

impl Kept {
    fn store(&mut self, page: Page) {
        self.bookmark = page.bookmark;
        self.memos.extend(page.memos.into_iter().map(|memo| (memo.key, memo.value)));
        for entry in &page.entries {
            assert!(self.ids.insert(entry.id().as_str().to_owned()), "told twice: {entry}");
            let json: serde_json::Value = serde_json::from_slice(entry.raw()).unwrap();
            let user = json["user_id"].as_str().unwrap().to_owned();
            *self.uses.entry(user).or_default() += json["slackcef"]["uses"].as_u64().unwrap();
            self.entries.push(json);
        }
    }

    /// Reads one page of the reading whose turn it is.
    fn read(&mut self, reader: &mut Reader, list: &List) {
        let which = reader.under_way().unwrap();
        let arguments = reader.arguments(which);
        reader.take(which, list.answer(&arguments));
        let remembered = reader.pending().unwrap().iter().map(|key| self.memos.get(key).cloned()).collect();
        self.store(reader.compare(remembered, UnixTime::from_seconds(list.now)));
    }

    fn poll(&mut self, reader: &mut Reader, list: &List) -> usize {
        reader.begin_poll(UnixTime::from_seconds(list.now));
        let mut pages = 0;
        while reader.under_way() == Some(Which::Poll) {
            self.read(reader, list);
            pages += 1;
        }
        pages
    }

    fn walk(&mut self, reader: &mut Reader, list: &List) -> usize {
        reader.begin_walk(UnixTime::from_seconds(list.now));
        self.finish(reader, list)
    }

    fn finish(&mut self, reader: &mut Reader, list: &List) -> usize {
        let pages = (0..10_000).find(|_| {
            if reader.under_way().is_none() {
                return true;
            }
            self.read(reader, list);
            false
        });
        pages.expect("it goes on for ever")
    }
}

fn from(start: i64) -> Reader {
    Reader::new(Bookmark::at(UnixTime::from_seconds(start)), None)
}

/// All that Slack ever counted.
fn totals(list: &List) -> BTreeMap<String, u64> {
    let mut totals = BTreeMap::new();
    for row in &list.rows {
        *totals.entry(format!("U{}", row.user)).or_default() += row.count;
    }
    totals
}

#[test]
fn a_start_of_now_remembers_in_silence_and_then_tells_what_is_new() {
    let mut list = List::new(10);
    for user in 0..35 {
        list.now = NOW - 1_000 + user;
        list.add(user.cast_unsigned(), list.now, 1);
    }
    list.now = NOW;
    let (mut reader, mut kept) = (from(NOW), Kept::default());
    assert_eq!(kept.walk(&mut reader, &list), 4);
    assert_eq!((kept.entries.len(), kept.memos.len()), (0, 35));
    list.now += 60;
    list.add(99, NOW + 50, 2);
    (list.rows[5].last, list.rows[5].count) = (list.now, 4);
    (list.rows[34].last, list.rows[34].count) = (list.now, 6);
    assert_eq!(kept.poll(&mut reader, &list), 2, "a new row and a changed one, then an unchanged page");
    let told: Vec<_> =
        kept.entries.iter().map(|entry| (&entry["slackcef"]["action"], &entry["slackcef"]["uses"])).collect();
    assert_eq!(told.len(), 2);
    assert!(told.contains(&(&"access_first_seen".into(), &2.into())), "{told:?}");
    assert!(told.contains(&(&"access_seen_again".into(), &3.into())), "{told:?}");
    kept.walk(&mut reader, &list);
    assert_eq!(kept.entries.len(), 3, "deep in the list only a walk finds it");
    assert_eq!(kept.entries[2]["slackcef"]["uses"], 5);
    assert_eq!(kept.entries[2]["slackcef"]["previous_count"], 1);
    assert_eq!(reader.bookmark().read_up_to(), Some(UnixTime::from_seconds(NOW + 60)));
}

#[test]
fn a_poll_does_not_become_a_walk_where_everything_is_in_use() {
    let mut list = List::new(10);
    for user in 0..200 {
        list.add(user, NOW - 10_000 + user.cast_signed(), 1);
    }
    let (mut reader, mut kept) = (from(0), Kept::default());
    kept.walk(&mut reader, &list);
    list.now += 60;
    list.rows.iter_mut().for_each(|row| (row.last, row.count) = (NOW + 60, 2));
    assert_eq!(kept.poll(&mut reader, &list), 3);
    kept.walk(&mut reader, &list);
    assert_eq!(kept.uses, totals(&list));
}

#[test]
fn beyond_a_hundred_pages_the_oldest_first_use_leads_on() {
    let mut list = List::new(3);
    for user in 0..1_000 {
        // Seconds that hold several rows, at the edges too.
        list.add(user, NOW - 10_000 + user.cast_signed() / 7, 1);
    }
    let (mut reader, mut kept) = (from(0), Kept::default());
    let pages = kept.walk(&mut reader, &list);
    assert_eq!(kept.uses, totals(&list));
    assert!(pages < 350, "{pages}");
}

#[test]
fn a_second_that_fills_more_than_all_pages_is_read_by_cursors() {
    let mut list = List::new(3);
    for user in 0..1_000 {
        list.add(user, NOW - 10_000 + user.cast_signed() / 700, 1);
    }
    let (mut reader, mut kept) = (from(0), Kept::default());
    kept.walk(&mut reader, &list);
    assert_eq!(kept.uses, totals(&list));
}

#[test]
fn a_slack_that_goes_round_in_circles_is_left() {
    let mut list = List::new(3);
    for user in 0..9 {
        list.add(user, NOW - user.cast_signed(), 1);
    }
    let (mut reader, mut kept) = (from(0), Kept::default());
    reader.begin_walk(UnixTime::from_seconds(NOW));
    reader.fail_over(Which::Walk);
    let mut told = None;
    for page in 0..3_000 {
        let arguments = reader.arguments(Which::Walk);
        let by_cursor = arguments.iter().any(|(name, _)| *name == "limit");
        let mut reply = list.answer(&arguments);
        if by_cursor {
            // Two cursors that lead to each other, over the same rows.
            reply = list.answer(&[("limit", "3".to_owned())]);
            reply.cursor = Some(format!("c{}", page % 2).into());
        }
        reader.take(Which::Walk, reply);
        kept.memos.extend(
            reader
                .compare(Vec::new(), UnixTime::from_seconds(NOW))
                .memos
                .into_iter()
                .map(|memo| (memo.key, memo.value)),
        );
        told = told.or_else(|| reader.take_circle());
        if reader.under_way().is_none() {
            break;
        }
    }
    assert_eq!(told, Some(Circle { at: UnixTime::from_seconds(NOW - 2) }));
    assert_eq!(reader.under_way(), None);
}

#[test]
fn refusals_lead_to_cursors_and_back_again() {
    let mut list = List::new(3);
    for user in 0..30 {
        list.add(user, NOW - 1_000 + user.cast_signed(), 1);
    }
    let (mut reader, mut kept) = (from(0), Kept::default());
    let by = |reader: &mut Reader| reader.arguments(Which::Walk)[0].0;
    reader.begin_walk(UnixTime::from_seconds(NOW));
    kept.read(&mut reader, &list);
    assert_eq!(by(&mut reader), "count");
    assert!(reader.fail_over(Which::Walk), "it is asked at once by a cursor");
    assert_eq!(
        reader.arguments(Which::Walk),
        [("limit", "999".to_owned()), ("before", (NOW - 973).to_string())]
    );
    assert!(!reader.fail_over(Which::Walk), "then no more in a hurry");
    kept.read(&mut reader, &list);
    kept.read(&mut reader, &list);
    assert!(reader.arguments(Which::Walk).iter().any(|(name, _)| *name == "cursor"));
    for _ in 0..3 {
        assert!(reader.reject_cursor(Which::Walk));
    }
    assert!(!reader.reject_cursor(Which::Walk), "then no more in a hurry");
    assert_eq!(by(&mut reader), "limit");
    for _ in 0..4 {
        assert_eq!(by(&mut reader), "limit");
        reader.fail_over(Which::Walk);
    }
    assert_eq!(by(&mut reader), "count");
    kept.finish(&mut reader, &list);
    assert_eq!(kept.uses, totals(&list));
    // The next poll begins with pages: the trouble lay deep in the list.
    list.now += 60;
    reader.begin_poll(UnixTime::from_seconds(list.now));
    assert_eq!(reader.arguments(Which::Poll)[0].0, "count");
    reader.fail_over(Which::Poll);
    kept.read(&mut reader, &list);
    assert_eq!(reader.under_way(), None);
    reader.begin_poll(UnixTime::from_seconds(list.now));
    assert_eq!(reader.arguments(Which::Poll)[0].0, "limit", "it lay at the top");
    kept.finish(&mut reader, &list);
    kept.walk(&mut reader, &list);
    reader.begin_poll(UnixTime::from_seconds(list.now));
    assert_eq!(reader.arguments(Which::Poll)[0].0, "count", "a walk has tried it again");
}

#[test]
fn what_is_remembered_is_refreshed_once_a_day() {
    let mut list = List::new(10);
    list.add(1, NOW - 5, 1);
    let (mut reader, mut kept) = (from(0), Kept::default());
    kept.walk(&mut reader, &list);
    let mut written = 0;
    for hour in 1..=48 {
        list.now = NOW + hour * 3_600;
        let before = kept.memos.clone();
        kept.walk(&mut reader, &list);
        written += usize::from(kept.memos != before);
    }
    assert_eq!((written, kept.entries.len()), (2, 1));
}

#[test]
fn what_is_no_row_is_counted_and_a_page_may_hold_a_row_twice() {
    let mut reader = from(0);
    reader.begin_walk(UnixTime::from_seconds(NOW));
    let row = r#"{"user_id":"U1","count":1,"date_first":1790000000,"date_last":1790000000}"#;
    let again = r#"{"user_id":"U1","count":3,"date_first":1790000000,"date_last":1790000009}"#;
    let elements = [row, "null", again, "7", row].map(|json| Bytes::from_static(json.as_bytes())).to_vec();
    reader.take(Which::Walk, Reply { elements, ..Reply::default() });
    assert_eq!(reader.pending().unwrap().len(), 3);
    let page = reader.compare(vec![None, None, None], UnixTime::from_seconds(NOW + 10));
    assert_eq!(page.not_entries, 2);
    let uses: Vec<_> = page
        .entries
        .iter()
        .map(|entry| {
            serde_json::from_slice::<serde_json::Value>(entry.raw()).unwrap()["slackcef"]["uses"].clone()
        })
        .collect();
    assert_eq!(uses, [1, 2]);
    assert_eq!(page.entries[1].at(), UnixTime::from_seconds(NOW + 9));
}

/// Something that happens while the list is read.
#[derive(Debug, Clone)]
enum Happening {
    /// A new combination, some seconds old.
    New {
        age: u8,
    },
    /// Some row is used so many times more.
    Used {
        which: u16,
        times: u8,
    },
    /// A combination is begun anew, beside its old row.
    Anew {
        which: u16,
    },
    Poll,
    Walk,
    /// So many pages are read.
    Read {
        pages: u8,
    },
    /// The process dies, and begins again from what is stored.
    Restart,
    FailOver,
    RejectCursor,
    Seconds(u8),
}

fn happening() -> impl Strategy<Value = Happening> {
    use Happening::*;
    prop_oneof![
        4 => (0..20_u8).prop_map(|age| New { age }),
        6 => (any::<u16>(), 0..5_u8).prop_map(|(which, times)| Used { which, times }),
        1 => any::<u16>().prop_map(|which| Anew { which }),
        2 => Just(Poll),
        1 => Just(Walk),
        6 => (1..6_u8).prop_map(|pages| Read { pages }),
        1 => Just(Restart),
        1 => Just(FailOver),
        1 => Just(RejectCursor),
        3 => (0..100_u8).prop_map(Seconds),
    ]
}

proptest! {
    #[test]
    fn the_sum_of_what_is_told_is_what_slack_counts(
        old in 0..300_u64,
        page in 2..6_usize,
        happenings in prop::collection::vec(happening(), 0..150),
    ) {
        let mut list = List::new(page);
        for user in 0..old {
            list.now = NOW - 1_000 + user.cast_signed() / 3;
            list.add(user, list.now, 1 + user % 3);
        }
        list.now = NOW;
        let (mut reader, mut kept) = (from(0), Kept::default());
        let mut users = old;
        for happening in happenings {
            match happening {
                Happening::New { age } => {
                    list.add(users, list.now - i64::from(age), 1);
                    users += 1;
                }
                Happening::Used { which, times } if !list.rows.is_empty() => {
                    let (at, now) = (usize::from(which) % list.rows.len(), list.now);
                    list.rows[at].count += u64::from(times);
                    list.rows[at].last = now;
                }
                Happening::Anew { which } if !list.rows.is_empty() => {
                    let user = list.rows[usize::from(which) % list.rows.len()].user;
                    list.now += 1;
                    let is_new = |row: &&Listed| row.user == user;
                    if list.rows.iter().filter(is_new).count() < 10 {
                        list.add(user, list.now, 1);
                    }
                }
                Happening::Poll if reader.under_way() != Some(Which::Poll) => {
                    reader.begin_poll(UnixTime::from_seconds(list.now));
                }
                Happening::Walk if reader.under_way().is_none() => {
                    reader.begin_walk(UnixTime::from_seconds(list.now));
                }
                Happening::Read { pages } => {
                    for _ in 0..pages {
                        if reader.under_way().is_some() {
                            kept.read(&mut reader, &list);
                        }
                    }
                }
                Happening::Restart if !kept.bookmark.is_empty() => {
                    reader = Reader::new(Bookmark::from_bytes(&kept.bookmark).unwrap(), None);
                }
                Happening::FailOver => {
                    reader.under_way().map(|which| reader.fail_over(which));
                }
                Happening::RejectCursor => {
                    reader.under_way().map(|which| reader.reject_cursor(which));
                }
                Happening::Seconds(seconds) => list.now += i64::from(seconds),
                _ => {}
            }
        }
        kept.finish(&mut reader, &list);
        kept.walk(&mut reader, &list);
        prop_assert_eq!(&kept.uses, &totals(&list));
        let told = kept.entries.len();
        kept.walk(&mut reader, &list);
        kept.poll(&mut reader, &list);
        prop_assert_eq!(kept.entries.len(), told, "nothing changed, and something was told");
    }
}
