use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// A list as Slack has it, in pages of three, with an order that nobody promised.
#[derive(Debug)]
struct List {
    rows: Vec<String>,
    order: Order,
    /// Rows made so far.
    made: u32,
    says_total: bool,
}

#[derive(Debug, Clone, Copy)]
enum Order {
    NewestFirst,
    OldestFirst,
    Any,
}

const PAGE: usize = 3;

impl List {
    fn new(order: Order) -> Self {
        Self { rows: Vec::new(), order, made: 0, says_total: true }
    }

    fn of(order: Order, count: u32) -> Self {
        let mut list = Self::new(order);
        (0..count).for_each(|_| list.add(0));
        list
    }

    /// A new row; where it goes when there is no order, `dice` says.
    fn add(&mut self, dice: usize) {
        self.made += 1;
        let row = format!(r#"{{"app_id":"A{}","date":"{}","change_type":"added"}}"#, self.made, self.made);
        self.insert(row, dice);
    }

    /// A row like the newest.
    fn add_twin(&mut self, dice: usize) {
        let newest = match self.order {
            Order::NewestFirst | Order::Any => self.rows.first(),
            Order::OldestFirst => self.rows.last(),
        };
        if let Some(newest) = newest.cloned() {
            self.insert(newest, dice);
        }
    }

    fn insert(&mut self, row: String, dice: usize) {
        let place = match self.order {
            Order::NewestFirst => 0,
            Order::OldestFirst => self.rows.len(),
            Order::Any => dice % (self.rows.len() + 1),
        };
        self.rows.insert(place, row);
    }

    /// The oldest row is kept no longer.
    fn retire(&mut self) {
        match self.order {
            Order::NewestFirst | Order::Any => drop(self.rows.pop()),
            Order::OldestFirst => drop(self.rows.drain(..1.min(self.rows.len()))),
        }
    }

    fn answer(&self, walk: Walk) -> Reply {
        let of_type = |row: &&String| walk.change_type().is_none_or(|change| row.contains(change));
        let rows: Vec<_> = self.rows.iter().filter(of_type).collect();
        let page = usize::try_from(walk.page).unwrap();
        assert!((1..=100).contains(&page), "page {page} is refused");
        let paging = Paging {
            page: walk.page,
            pages: rows.len().div_ceil(PAGE) as u64,
            total: self.says_total.then_some(rows.len() as u64),
        };
        let of_page = rows.into_iter().skip((page - 1) * PAGE).take(PAGE);
        let elements = of_page.map(|row| row.clone().into()).collect();
        Reply { elements, cursor: None, paging: Some(paging) }
    }
}

/// What has been stored.
#[derive(Debug)]
struct Stored {
    memos: BTreeMap<RowKey, Vec<u8>>,
    bookmark: Vec<u8>,
    /// How often each row was told.
    told: BTreeMap<String, usize>,
    ids: BTreeMap<String, usize>,
}

impl Stored {
    fn new(start: i64) -> Self {
        let bookmark = Bookmark::at(UnixTime::from_seconds(start), String::new()).to_bytes();
        Self { memos: BTreeMap::new(), bookmark, told: BTreeMap::new(), ids: BTreeMap::new() }
    }

    /// A process that goes on from what is stored.
    fn walker(&self) -> Walker {
        Walker::new(Bookmark::from_bytes(&self.bookmark).unwrap(), true)
    }

    /// Reads one page, beginning a walk where none is under way; true at a walk's end.
    fn read_page(&mut self, walker: &mut Walker, list: &List, now: i64) -> bool {
        let now = UnixTime::from_seconds(now);
        let walk = match walker.walk() {
            Some(walk) => walk,
            None => walker.begin(now, DAY),
        };
        let keys = walker.take(list.answer(walk));
        let remembered: Vec<_> = keys.iter().map(|key| self.memos.get(key).cloned()).collect();
        let part = walker.compare(remembered, now).unwrap();
        self.memos.extend(part.memos.into_iter().map(|memo| (memo.key, memo.value)));
        for entry in part.entries {
            let raw = String::from_utf8(entry.raw().to_vec()).unwrap();
            *self.told.entry(raw).or_default() += 1;
            *self.ids.entry(entry.id().as_str().to_owned()).or_default() += 1;
        }
        self.bookmark = walker.bookmark().to_bytes();
        part.last
    }

    /// Goes a walk to its end; how many pages it took.
    fn walk(&mut self, walker: &mut Walker, list: &List, now: i64) -> u32 {
        (1..10_000).find(|_| self.read_page(walker, list, now)).expect("a walk has an end")
    }

    fn told(&self) -> usize {
        self.told.values().sum()
    }
}

const DAY: i64 = 86_400;

fn counted(rows: &[String]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for row in rows {
        *counts.entry(row.clone()).or_default() += 1;
    }
    counts
}

#[test]
fn the_first_walk_tells_what_is_dated_after_the_start_and_remembers_all() {
    let mut list = List::of(Order::NewestFirst, 10);
    let mut stored = Stored::new(8);
    let mut walker = stored.walker();
    assert_eq!(stored.walk(&mut walker, &list, 20), 4);
    assert_eq!((stored.told(), stored.memos.len()), (3, 10));
    // A row that comes in later is new whatever it is dated.
    list.rows.insert(0, r#"{"app_id":"A99","date":"1","change_type":"added"}"#.to_owned());
    stored.walk(&mut walker, &list, 21);
    assert_eq!(stored.told(), 4);
}

#[test]
fn news_are_found_at_either_end_without_reading_what_lies_between() {
    for order in [Order::NewestFirst, Order::OldestFirst] {
        let mut list = List::of(order, 60);
        let mut stored = Stored::new(0);
        let mut walker = stored.walker();
        assert_eq!(stored.walk(&mut walker, &list, 1), 20);
        assert_eq!(stored.told(), 60);
        assert_eq!(stored.walk(&mut walker, &list, 2), 2, "nothing new");
        (0..7).for_each(|_| list.add(0));
        let pages = stored.walk(&mut walker, &list, 3);
        assert!(pages <= 5, "{order:?} took {pages} pages");
        assert_eq!(stored.told, counted(&list.rows), "{order:?}");
    }
}

#[test]
fn a_full_walk_finds_what_stands_in_the_middle_and_comes_once_a_day() {
    let mut list = List::of(Order::NewestFirst, 30);
    let mut stored = Stored::new(0);
    let mut walker = stored.walker();
    stored.walk(&mut walker, &list, 1_000);
    list.rows.insert(15, r#"{"app_id":"A99","date":"99"}"#.to_owned());
    assert_eq!(stored.walk(&mut walker, &list, 1_000 + DAY - 1), 2);
    assert_eq!(stored.told(), 30);
    assert_eq!(stored.walk(&mut walker, &list, 1_000 + DAY), 11);
    assert_eq!(stored.told(), 31);
    assert_eq!(walker.bookmark().full_at, Some(UnixTime::from_seconds(1_000 + DAY)));
}

#[test]
fn twins_are_two_events_with_an_id_each() {
    let row = r#"{"app_id":"A1","date":"1"}"#.to_owned();
    let mut list = List { rows: vec![row.clone(), row.clone()], ..List::new(Order::NewestFirst) };
    let mut stored = Stored::new(0);
    let mut walker = stored.walker();
    stored.walk(&mut walker, &list, 1);
    assert_eq!((stored.told(), stored.ids.len()), (2, 2));
    list.rows.push(row);
    stored.walk(&mut walker, &list, 2);
    stored.walk(&mut walker, &list, 3);
    assert_eq!((stored.told(), stored.ids.len()), (3, 3));
}

#[test]
fn twins_on_two_pages_are_two_while_the_list_stands_still_and_one_where_it_moves() {
    let rows = |count: u32| List::of(Order::NewestFirst, count).rows;
    let mut list = List { rows: [rows(3), rows(3)].concat(), ..List::new(Order::NewestFirst) };
    let mut stored = Stored::new(0);
    let mut walker = stored.walker();
    stored.walk(&mut walker, &list, 1);
    assert_eq!((stored.told(), stored.ids.len()), (6, 6));

    let mut moving = List::of(Order::NewestFirst, 6);
    let mut stored = Stored::new(0);
    let mut walker = stored.walker();
    stored.read_page(&mut walker, &moving, 1);
    moving.add(0);
    stored.walk(&mut walker, &moving, 1);
    assert_eq!(stored.told(), 6, "no row twice, and the new one not yet");

    list.says_total = false;
    let mut stored = Stored::new(0);
    let mut walker = stored.walker();
    stored.walk(&mut walker, &list, 1);
    assert_eq!(stored.told(), 3, "nobody says whether it stands still");
}

#[test]
fn a_page_without_rows_in_the_middle_is_no_known_ground() {
    let list = List::of(Order::NewestFirst, 12);
    let mut stored = Stored::new(0);
    stored.bookmark = Bookmark {
        quiet: false,
        full_at: Some(UnixTime::from_seconds(1)),
        ..Bookmark::from_bytes(&stored.bookmark).unwrap()
    }
    .to_bytes();
    let mut walker = stored.walker();
    stored.read_page(&mut walker, &list, 2);
    let walk = walker.walk().unwrap();
    walker.take(Reply { elements: Vec::new(), ..list.answer(walk) });
    walker.compare(Vec::new(), UnixTime::from_seconds(2)).unwrap();
    assert_eq!(walker.walk().unwrap().page, 3);
}

#[test]
fn what_slack_does_not_hand_out_is_asked_for_by_type_of_change_and_the_rest_is_counted() {
    let mut list = List::of(Order::OldestFirst, 290);
    (0..40)
        .for_each(|n| list.rows.push(format!(r#"{{"app_id":"R{n}","date":"999","change_type":"removed"}}"#)));
    let mut stored = Stored::new(0);
    let mut walker = stored.walker();
    stored.walk(&mut walker, &list, 1);
    assert_eq!((stored.told(), walker.out_of_reach()), (330, 0));
    assert_eq!(stored.told, counted(&list.rows));

    list.rows.push(r#"{"app_id":"X","date":"999","change_type":"exploded"}"#.to_owned());
    stored.walk(&mut walker, &list, 2);
    assert_eq!((stored.told(), walker.out_of_reach()), (330, 1));

    let mut stored = Stored::new(0);
    let mut walker = Walker::new(Bookmark::from_bytes(&stored.bookmark).unwrap(), false);
    stored.walk(&mut walker, &list, 1);
    assert_eq!((stored.told(), walker.out_of_reach()), (300, 31));
}

#[test]
fn rows_that_are_met_are_noted_once_a_day() {
    let list = List::of(Order::NewestFirst, 6);
    let mut stored = Stored::new(0);
    let mut walker = stored.walker();
    stored.walk(&mut walker, &list, 1_000);
    let at = |stored: &Stored| -> Vec<_> {
        stored.memos.values().map(|value| Told::from_bytes(value).unwrap().at.seconds()).collect()
    };
    stored.walk(&mut walker, &list, 1_000 + DAY - 1);
    assert_eq!(at(&stored), [1_000; 6]);
    stored.walk(&mut walker, &list, 1_000 + DAY);
    assert_eq!(at(&stored), [1_000 + DAY; 6]);
    assert_eq!(stored.told(), 6);
}

#[test]
fn a_damaged_memo_tells_a_row_again_under_the_same_id() {
    let list = List::of(Order::NewestFirst, 1);
    let mut stored = Stored::new(0);
    let mut walker = stored.walker();
    stored.walk(&mut walker, &list, 1);
    stored.memos.values_mut().for_each(|value| *value = b"?".to_vec());
    stored.walk(&mut walker, &list, 2);
    assert_eq!(stored.ids.values().collect::<Vec<_>>(), [&2]);
}

/// What happens to a list and to those who read it.
#[derive(Debug, Clone)]
enum Happening {
    Adds(usize),
    AddsTwin(usize),
    Retires,
    Reads,
    /// The process is killed after it has asked, and started again.
    Restarts,
}

fn happenings(twins: u32) -> impl Strategy<Value = Vec<Happening>> {
    let happening = prop_oneof![
        4 => (0_usize..100).prop_map(Happening::Adds),
        twins => (0_usize..100).prop_map(Happening::AddsTwin),
        8 => Just(Happening::Reads),
        1 => Just(Happening::Restarts),
    ];
    prop::collection::vec(happening, 0..200)
}

fn orders() -> impl Strategy<Value = Order> {
    prop_oneof![Just(Order::NewestFirst), Just(Order::OldestFirst), Just(Order::Any)]
}

/// Lets all of it happen, a second apart.
fn let_happen(happenings: Vec<Happening>, list: &mut List, stored: &mut Stored) -> Walker {
    let mut walker = stored.walker();
    for (now, happening) in (1_000..).zip(happenings) {
        match happening {
            Happening::Adds(dice) => list.add(dice),
            Happening::AddsTwin(dice) => list.add_twin(dice),
            Happening::Retires => list.retire(),
            Happening::Reads => drop(stored.read_page(&mut walker, list, now)),
            Happening::Restarts => {
                let walk = walker.walk().unwrap_or(Walk::new(now, false));
                walker.take(list.answer(walk));
                walker = stored.walker();
            }
        }
    }
    walker
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// Whatever the order and whatever happens in between, each row is told exactly once, twins as
    /// often as they stand there.
    #[test]
    fn each_row_is_told_exactly_once(order in orders(), happenings in happenings(2)) {
        let mut list = List::new(order);
        let mut stored = Stored::new(0);
        let mut walker = let_happen(happenings, &mut list, &mut stored);
        for (row, told) in &stored.told {
            prop_assert!(*told <= counted(&list.rows)[row], "{row} was told {told} times");
        }
        // What is under way ends; then all is read once more, and nothing happens meanwhile.
        for days in [0, 2] {
            stored.walk(&mut walker, &list, 2_000 + days * DAY);
        }
        prop_assert_eq!(&stored.told, &counted(&list.rows));
        prop_assert!(stored.ids.values().all(|times| *times == 1));
        let told = stored.told();
        stored.walk(&mut walker, &list, 2_000 + 4 * DAY);
        prop_assert_eq!(stored.told(), told);
    }

    /// In a list with an order no row has to wait for the full walk, whatever is added meanwhile and
    /// however often the process is killed.
    #[test]
    fn news_walks_alone_find_all_rows_of_a_list_in_order(
        order in prop_oneof![Just(Order::NewestFirst), Just(Order::OldestFirst)],
        happenings in happenings(0),
    ) {
        let mut list = List::of(order, 20);
        let mut stored = Stored::new(0);
        let mut walker = stored.walker();
        stored.walk(&mut walker, &list, 1_000);
        let mut walker = let_happen(happenings, &mut list, &mut stored);
        if walker.walk().is_some() {
            stored.walk(&mut walker, &list, 2_000);
        }
        stored.walk(&mut walker, &list, 2_000);
        prop_assert!(walker.bookmark().full_at == Some(UnixTime::from_seconds(1_000)));
        prop_assert_eq!(&stored.told, &counted(&list.rows));
    }

    /// Nor is one lost where old rows leave the list meanwhile.
    #[test]
    fn rows_that_leave_the_list_take_no_others_with_them(
        order in prop_oneof![Just(Order::NewestFirst), Just(Order::OldestFirst)],
        happenings in happenings(0),
        retirements in prop::collection::vec(0_usize..200, 0..15),
    ) {
        let mut happenings = happenings;
        for place in retirements {
            happenings.insert(place.min(happenings.len()), Happening::Retires);
        }
        let mut list = List::of(order, 30);
        let mut stored = Stored::new(0);
        let mut walker = stored.walker();
        stored.walk(&mut walker, &list, 1_000);
        let mut walker = let_happen(happenings, &mut list, &mut stored);
        for _ in 0..2 {
            stored.walk(&mut walker, &list, 2_000);
        }
        prop_assert!(walker.bookmark().full_at == Some(UnixTime::from_seconds(1_000)));
        for row in &list.rows {
            prop_assert!(stored.told.contains_key(row), "{row} was never told");
        }
    }
}
