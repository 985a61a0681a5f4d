//! The poller against a simulated Slack, over HTTP.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use slackcef::event::UnixTime;
use slackcef::simulate::slack::{
    Clock as SlackClock, End, Fault, Generated, Late, Pace, Pages, Pick, Plan, Slack, Trouble, Until, When,
};
use slackcef::slack::Start;
use slackcef::slack::audit::{Only, Poller, Settings};
use slackcef::slack::{CannotPoll, CaughtUp, Class, Clock, Failed, Page, Pass, SlackError, Step, Token};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::support::polling::{self, start};

/// The present of these tests, until they move it.
const NOW: i64 = 1_790_000_000;
const DAY: i64 = 86_400;
/// How long seconds are left alone.
const SETTLE: i64 = 60;

fn plan() -> Plan {
    Plan { clock: SlackClock::Fixed(UnixTime::from_seconds(NOW)), ..Plan::default() }
}

fn entry(id: &str, at: i64) -> String {
    format!(r#"{{"id":"{id}","date_create":{at},"action":"user_login"}}"#)
}

/// Entries `e0`, `e1` … at these times.
fn given(times: impl IntoIterator<Item = i64>) -> Plan {
    let given = times.into_iter().enumerate().map(|(n, at)| entry(&format!("e{n}"), at)).collect();
    Plan { given, ..plan() }
}

fn generated(count: u64, days: i64) -> Plan {
    let pace = Pace::Over(Duration::from_secs(u64::try_from(days * DAY).unwrap()));
    Plan { generated: Some(Generated { count: Some(count), pace, ..Generated::default() }), ..plan() }
}

fn settings_for(base_url: &str, clock: Clock) -> Settings {
    Settings {
        account: polling::account(base_url, clock),
        start: Start::Ago(Duration::from_secs(30 * 86_400)),
        settle: Duration::from_secs(60),
        verify_after: None,
        poll_every: Duration::from_millis(1),
        only: Only::default(),
    }
}

/// Settings with a clock that shows Slack's time, and so many seconds more.
fn settings_ahead(slack: &Arc<Slack>, ahead: i64) -> Settings {
    settings_for(&slack.base_url(), polling::clock(slack, ahead))
}

fn settings(slack: &Arc<Slack>) -> Settings {
    settings_ahead(slack, 0)
}

/// What a store keeps: entries by id and time, and the bookmark of the last page.
#[derive(Debug, Default)]
struct Kept {
    ids: HashMap<(String, UnixTime), u32>,
    in_order: Vec<UnixTime>,
    bookmark: Option<Vec<u8>>,
    late: Vec<String>,
    pages: usize,
    failures: Vec<Failed>,
}

impl Kept {
    fn store(&mut self, page: Page) {
        self.pages += 1;
        for entry in &page.entries {
            let seen = self.ids.entry((entry.id().as_str().to_owned(), entry.at())).or_default();
            *seen += 1;
            if *seen == 1 {
                self.in_order.push(entry.at());
                if page.progress.unwrap().pass == Pass::Verify {
                    self.late.push(entry.id().as_str().to_owned());
                }
            }
        }
        self.bookmark = Some(page.bookmark);
    }

    async fn until_caught_up(&mut self, poller: &mut Poller) -> CaughtUp {
        loop {
            match poller.next().await {
                Step::Recall(keys) => panic!("the audit log has ids: {keys:?}"),
                Step::Page(page) => self.store(page),
                Step::CaughtUp(caught_up) => return caught_up,
                Step::Failed(failed) => self.failures.push(failed),
            }
        }
    }

    async fn until_failed(&mut self, poller: &mut Poller) -> Failed {
        loop {
            match poller.next().await {
                Step::Recall(keys) => panic!("the audit log has ids: {keys:?}"),
                Step::Page(page) => self.store(page),
                Step::Failed(failed) => return failed,
                Step::CaughtUp(caught_up) => panic!("nothing failed: {caught_up:?}"),
            }
        }
    }

    fn resume(&self, settings: &Settings) -> Poller {
        Poller::new(settings, self.bookmark.as_deref()).unwrap()
    }

    fn has(&self, id: &str) -> bool {
        self.ids.keys().any(|(known, _)| known == id)
    }

    /// Every settled entry of Slack is here.
    fn check_complete(&self, slack: &Slack) {
        let settled: Vec<_> = slack
            .entries()
            .into_iter()
            .filter_map(|raw| {
                let entry: serde_json::Value = serde_json::from_str(&raw).unwrap();
                let at = UnixTime::from_seconds(entry["date_create"].as_i64().unwrap());
                (at.seconds() <= slack.now() - SETTLE).then(|| (entry["id"].as_str().unwrap().to_owned(), at))
            })
            .collect();
        let missing: Vec<_> = settled.iter().filter(|key| !self.ids.contains_key(*key)).take(5).collect();
        assert!(missing.is_empty(), "missing of {}: {missing:?}", settled.len());
    }
}

/// Every request was one that Slack documents: all bounds on every page, none in the future.
fn check_requests(slack: &Slack) {
    let tally = slack.tally();
    assert_eq!((tally.without_oldest, tally.without_latest, tally.without_limit), (0, 0, 0));
    for request in slack.requests() {
        let number = |name| request.parameter(name).unwrap().parse::<i64>().unwrap();
        assert!(number("oldest") <= number("latest"), "{request:?}");
        assert!(request.gzip);
    }
}

#[tokio::test]
async fn a_backfill_runs_forward_in_time_and_misses_nothing() {
    let slack = start(generated(15_000, 30)).await;
    let mut poller = Poller::new(&settings(&slack), None).unwrap();
    let mut kept = Kept::default();
    let caught_up = kept.until_caught_up(&mut poller).await;
    assert_eq!(caught_up.up_to, UnixTime::from_seconds(NOW - SETTLE));
    assert_eq!((caught_up.slack_ahead, caught_up.clock_behind), (Some(0), Duration::ZERO));
    kept.check_complete(&slack);
    assert!(kept.in_order.is_sorted());
    assert!(kept.ids.values().all(|times| *times == 1));
    check_requests(&slack);
    assert!(slack.tally().requests <= 40, "{} requests for 15 pages", slack.tally().requests);
    assert!(slack.requests().iter().all(|request| request.parameter("limit") == Some("1000")));
}

#[tokio::test]
async fn the_beginning_is_told_before_anything_is_asked() {
    let slack = start(given([NOW - 10, NOW + 5])).await;
    let settings = Settings { start: Start::Now, ..settings(&slack) };
    let mut poller = Poller::new(&settings, None).unwrap();
    let Step::Page(page) = poller.next().await else { panic!("a page comes first") };
    assert!(page.entries.is_empty());
    assert_eq!(slack.tally().requests, 0);
    slack.advance(2 * SETTLE);
    let mut kept = Kept { bookmark: Some(page.bookmark), ..Kept::default() };
    let mut poller = kept.resume(&settings);
    kept.until_caught_up(&mut poller).await;
    assert!(kept.has("e1") && !kept.has("e0"), "from the second in which it was first run");
}

#[tokio::test]
async fn nothing_before_slacks_log_began_is_asked_for() {
    let slack = start(plan()).await;
    let ages = Start::Ago(Duration::from_secs(100 * 366 * 86_400));
    let mut poller = Poller::new(&Settings { start: ages, ..settings(&slack) }, None).unwrap();
    Kept::default().until_caught_up(&mut poller).await;
    assert_eq!(slack.requests()[0].parameter("oldest"), Some("1519862400"));
    assert!(slack.tally().requests <= 6);
}

#[tokio::test]
async fn another_beginning_can_be_chosen_until_something_was_read() {
    let slack = start(given([NOW - 10 * DAY, NOW - 5 * DAY])).await;
    let mut kept = Kept::default();
    let first = Settings { start: Start::At(UnixTime::from_seconds(0)), ..settings(&slack) };
    let mut poller = Poller::new(&first, None).unwrap();
    let Step::Page(page) = poller.next().await else { panic!() };
    kept.store(page);
    let later = Settings { start: Start::At(UnixTime::from_seconds(NOW - 7 * DAY)), ..settings(&slack) };
    kept.until_caught_up(&mut kept.resume(&later)).await;
    assert!(kept.has("e1") && !kept.has("e0"));
    kept.until_caught_up(&mut kept.resume(&first)).await;
    assert!(!kept.has("e0"), "what was read is not begun again");
}

#[tokio::test]
async fn each_answer_that_is_no_page_fails_as_what_it_is_and_costs_nothing() {
    let refused = |status, error: Option<&str>| Trouble::Refused {
        status,
        error: error.map(str::to_owned),
        retry_after: None,
    };
    let ok_false = |error: &str| Trouble::OkFalse { error: error.to_owned() };
    let cases = [
        (Trouble::Html { status: 500 }, Class::Retry),
        (Trouble::Html { status: 200 }, Class::Retry),
        (Trouble::Garbage, Class::Retry),
        (Trouble::HalfJson, Class::Retry),
        (Trouble::CutOff, Class::Retry),
        (refused(429, Some("ratelimited")), Class::Retry),
        (refused(503, None), Class::Retry),
        (ok_false("fatal_error"), Class::Retry),
        (refused(401, None), Class::Token),
        (refused(403, None), Class::Token),
        (ok_false("missing_scope"), Class::Token),
        (refused(403, Some("user_not_authorized")), Class::Token),
        (refused(403, Some("feature_not_enabled")), Class::Install),
        (refused(400, Some("team_not_authorized")), Class::Install),
        (refused(400, Some("invalid_action")), Class::Setting),
        (refused(404, None), Class::Setting),
    ];
    for (trouble, class) in cases {
        let fault = Fault { when: When::On(vec![1, 2]), trouble: trouble.clone() };
        let slack = start(Plan { faults: vec![fault], ..given([NOW - DAY, NOW - 100]) }).await;
        let settings = settings(&slack);
        let mut kept = Kept::default();
        let mut poller = Poller::new(&settings, None).unwrap();
        let failed = kept.until_failed(&mut poller).await;
        assert_eq!(failed.error.class(), class, "{trouble:?}: {:?}", failed.error);
        let slow = !matches!(class, Class::Retry);
        assert_eq!(failed.retry_in == Duration::from_secs(300), slow, "{trouble:?}");
        assert!(failed.retry_in <= Duration::from_secs(300) && !failed.error.help().is_empty());
        assert_eq!(slack.tally().requests, 1, "no storm: {trouble:?}");
        // The second request fails too, after a restart; the third brings all.
        let mut poller = kept.resume(&settings);
        kept.until_failed(&mut poller).await;
        kept.until_caught_up(&mut kept.resume(&settings)).await;
        kept.check_complete(&slack);
    }
}

#[tokio::test]
async fn a_poller_goes_on_by_itself_when_slack_works_again() {
    let fault = Fault { when: When::On(vec![1]), trouble: Trouble::Html { status: 502 } };
    let slack = start(Plan { faults: vec![fault], ..given([NOW - 100]) }).await;
    let mut poller = Poller::new(&settings(&slack), None).unwrap();
    let mut kept = Kept::default();
    kept.until_caught_up(&mut poller).await;
    kept.check_complete(&slack);
    assert!(matches!(kept.failures[0].error, SlackError::Server { status: 502, .. }));
    assert!(kept.failures[0].retry_in <= Duration::from_secs(1));
}

#[tokio::test]
async fn retry_after_is_obeyed_by_all_who_share_the_budget() {
    let trouble =
        Trouble::Refused { status: 429, error: Some("ratelimited".to_owned()), retry_after: Some(1) };
    let slack = start(Plan { faults: vec![Fault { when: When::On(vec![1]), trouble }], ..plan() }).await;
    let settings = settings(&slack);
    let (mut one, mut other) = (Poller::new(&settings, None).unwrap(), Poller::new(&settings, None).unwrap());
    let failed = Kept::default().until_failed(&mut one).await;
    let begun = Instant::now();
    assert_eq!(failed.retry_in, Duration::from_secs(1));
    let (mut first, mut second) = (Kept::default(), Kept::default());
    tokio::join!(first.until_caught_up(&mut one), second.until_caught_up(&mut other));
    assert!(begun.elapsed() >= Duration::from_millis(900), "{:?}", begun.elapsed());
    assert!(first.failures.is_empty() && second.failures.is_empty());
}

#[tokio::test]
async fn a_rejected_cursor_reads_the_window_again() {
    let fault = Fault { when: When::On(vec![4]), trouble: Trouble::CursorExpired };
    let pages = Pages { largest: 100, ..Pages::default() };
    let slack = start(Plan { faults: vec![fault], pages, ..given((0..700).map(|n| NOW - 100 - n)) }).await;
    let mut poller = Poller::new(&settings(&slack), None).unwrap();
    let mut kept = Kept::default();
    kept.until_caught_up(&mut poller).await;
    kept.check_complete(&slack);
    check_requests(&slack);
    assert_eq!(poller.counts().rejected_cursors, 1);
    assert!(kept.failures.is_empty());
    assert!(kept.ids.values().all(|times| *times == 1), "what was half read was not yielded");
}

#[tokio::test]
async fn small_pages_empty_pages_and_every_form_of_the_end() {
    let faults = vec![
        Fault { when: When::Every(3), trouble: Trouble::EmptyPage },
        Fault { when: When::Every(5), trouble: Trouble::ShortPage },
        Fault { when: When::Every(7), trouble: Trouble::NoMetadata },
    ];
    let pages = Pages { largest: 250, end: End::Mixed, ..Pages::default() };
    let slack = start(Plan { faults, pages, ..generated(5_000, 30) }).await;
    let mut poller = Poller::new(&settings(&slack), None).unwrap();
    let mut kept = Kept::default();
    kept.until_caught_up(&mut poller).await;
    kept.check_complete(&slack);
    check_requests(&slack);
    assert!(kept.in_order.is_sorted() && kept.failures.is_empty());
    assert!(poller.counts().empty_pages > 0);
}

#[tokio::test]
async fn a_second_fuller_than_a_page_is_taken_whole() {
    let slack = start(given(std::iter::repeat_n(NOW - 500, 2_500).chain([NOW - 400]))).await;
    let mut poller = Poller::new(&settings(&slack), None).unwrap();
    let mut kept = Kept::default();
    kept.until_caught_up(&mut poller).await;
    kept.check_complete(&slack);
    assert!(poller.counts().over_full_pages > 0);
    assert!(kept.in_order.is_sorted());
}

#[tokio::test]
async fn a_restart_after_any_page_loses_nothing_and_repeats_no_more_than_the_overlap() {
    let slack = start(generated(4_000, 30)).await;
    let settings = settings(&slack);
    let mut kept = Kept::default();
    'restarts: for _ in 0..1_000 {
        let mut poller = kept.resume(&settings);
        loop {
            match poller.next().await {
                Step::Page(page) if page.entries.is_empty() => kept.store(page),
                Step::Recall(keys) => panic!("the audit log has ids: {keys:?}"),
                Step::Page(page) => {
                    kept.store(page);
                    break;
                }
                Step::CaughtUp(_) => break 'restarts,
                Step::Failed(failed) => panic!("{failed:?}"),
            }
        }
    }
    kept.check_complete(&slack);
    assert!(kept.in_order.is_sorted());
}

#[tokio::test]
async fn a_dropped_call_loses_nothing() {
    let slow = Fault { when: When::Every(1), trouble: Trouble::Slow(Duration::from_millis(10)) };
    let slack = start(Plan { faults: vec![slow], ..generated(6_000, 30) }).await;
    let mut poller = Poller::new(&settings(&slack), None).unwrap();
    let mut kept = Kept::default();
    let (mut drops, mut patience) = (0, 1);
    loop {
        // Each call is dropped while it waits, at first, and given more time the next time.
        match tokio::time::timeout(Duration::from_millis(patience), poller.next()).await {
            Ok(Step::Recall(keys)) => panic!("the audit log has ids: {keys:?}"),
            Ok(Step::Page(page)) => {
                kept.store(page);
                patience = 1;
            }
            Ok(Step::CaughtUp(_)) => break,
            Ok(Step::Failed(failed)) => panic!("{failed:?}"),
            Err(_) => {
                drops += 1;
                patience *= 2;
            }
        }
    }
    assert!(drops > 10, "{drops}");
    kept.check_complete(&slack);
    assert!(kept.ids.values().all(|times| *times == 1) && kept.in_order.is_sorted());
}

#[tokio::test]
async fn a_long_life_with_restarts_and_lateness_misses_nothing() {
    for seed in 0..6_u64 {
        let mut dice = fastrand::Rng::with_seed(seed);
        let faults = vec![
            Fault { when: When::Chance(0.1), trouble: Trouble::EmptyPage },
            Fault { when: When::Chance(0.1), trouble: Trouble::ShortPage },
            Fault { when: When::Chance(0.1), trouble: Trouble::CursorExpired },
        ];
        // Less than twice `settle` late, each seventh entry.
        let late = vec![Late { pick: Pick::OneIn(7), until: Until::Behind(Duration::from_secs(115)) }];
        let series = Generated { count: None, pace: Pace::PerSecond(0.7), ..Generated::default() };
        let slack = start(Plan { seed, faults, late, generated: Some(series), ..plan() }).await;
        let settings = Settings { start: Start::Now, ..settings(&slack) };
        let mut kept = Kept::default();
        let mut poller = Poller::new(&settings, None).unwrap();
        for _ in 0..60 {
            slack.advance(dice.i64(1..200));
            loop {
                match poller.next().await {
                    Step::Recall(keys) => panic!("the audit log has ids: {keys:?}"),
                    Step::Page(page) => kept.store(page),
                    Step::CaughtUp(_) => break,
                    Step::Failed(failed) => panic!("{failed:?}"),
                }
                // Now and then reading takes so long that there is more to read already.
                if dice.f32() < 0.3 {
                    slack.advance(dice.i64(1..150));
                }
            }
            if dice.f32() < 0.2 {
                poller = kept.resume(&settings);
            }
        }
        slack.advance(2 * SETTLE);
        kept.until_caught_up(&mut poller).await;
        // The newest seconds wait for the next cycle.
        slack.advance(SETTLE);
        kept.until_caught_up(&mut poller).await;
        slack.advance(-SETTLE);
        kept.check_complete(&slack);
        check_requests(&slack);
    }
}

#[tokio::test]
async fn what_comes_late_is_caught_by_the_overlap() {
    let late =
        Late { pick: Pick::Ids(vec!["e1".to_owned()]), until: Until::Behind(Duration::from_secs(100)) };
    // `e1` can be read 100 s after it happened: after its second was first read, 60 s behind.
    let slack = start(Plan { late: vec![late], ..given([NOW - 200, NOW - 70, NOW - 10]) }).await;
    let mut poller = Poller::new(&settings(&slack), None).unwrap();
    let mut kept = Kept::default();
    kept.until_caught_up(&mut poller).await;
    assert!(kept.has("e0") && !kept.has("e1"));
    slack.advance(50);
    kept.until_caught_up(&mut poller).await;
    assert!(kept.has("e1") && kept.has("e2"));
    assert!(kept.late.is_empty(), "the overlap is part of the front");
}

#[tokio::test]
async fn a_clock_that_jumps_ahead_verifies_nothing_too_early() {
    let soon = Until::Behind(Duration::from_secs(3_000));
    let late = Late { pick: Pick::Ids(vec!["e1".to_owned()]), until: soon };
    let slack = start(Plan { late: vec![late], ..given([NOW - 1_800, NOW - 1_800]) }).await;
    let (theirs, ahead) = (Arc::clone(&slack), Arc::new(AtomicI64::new(0)));
    let clock = Clock::new({
        let ahead = Arc::clone(&ahead);
        move || UnixTime::from_seconds(theirs.now() + ahead.load(Ordering::SeqCst))
    });
    let settings = Settings {
        start: Start::At(UnixTime::from_seconds(NOW - 2_000)),
        verify_after: Some(Duration::from_secs(3_600)),
        ..settings_for(&slack.base_url(), clock)
    };
    let mut poller = Poller::new(&settings, None).unwrap();
    let mut kept = Kept::default();
    kept.until_caught_up(&mut poller).await;
    ahead.store(2 * 3_600, Ordering::SeqCst);
    kept.until_caught_up(&mut poller).await;
    ahead.store(0, Ordering::SeqCst);
    kept.until_caught_up(&mut poller).await;
    assert!(kept.has("e0") && !kept.has("e1"));
    slack.advance(2 * 3_600);
    while !kept.has("e1") {
        assert!(slack.tally().requests < 100, "it was verified before it could be read");
        kept.until_caught_up(&mut poller).await;
    }
    assert_eq!(kept.late, ["e1"]);
}

#[tokio::test]
async fn what_comes_an_hour_late_is_caught_by_verification() {
    let late =
        Late { pick: Pick::Ids(vec!["e1".to_owned()]), until: Until::Behind(Duration::from_secs(3_000)) };
    let slack = start(Plan { late: vec![late], ..given([NOW - 200, NOW - 150, NOW + 10]) }).await;
    let settings = Settings { verify_after: Some(Duration::from_secs(3_600)), ..settings(&slack) };
    let mut poller = Poller::new(&settings, None).unwrap();
    let mut kept = Kept::default();
    kept.until_caught_up(&mut poller).await;
    let backfill = slack.tally().requests;
    assert!(!kept.has("e1"));
    // Half an hour later the seconds are not old enough yet.
    slack.advance(1_800);
    kept.until_caught_up(&mut poller).await;
    kept.until_caught_up(&mut poller).await;
    assert!(!kept.has("e1"));
    slack.advance(3_600);
    kept.until_caught_up(&mut poller).await;
    kept.until_caught_up(&mut poller).await;
    assert_eq!(kept.late, ["e1"]);
    assert!(slack.tally().requests <= backfill + 6, "{backfill}, {}", slack.tally().requests);
    // A restart knows what was verified.
    let before = slack.tally().requests;
    let mut poller = kept.resume(&settings);
    kept.until_caught_up(&mut poller).await;
    kept.until_caught_up(&mut poller).await;
    assert_eq!(slack.tally().requests, before + 2, "one request a cycle, and none to verify");
}

#[tokio::test]
async fn a_clock_ahead_of_slacks_asks_nothing_of_the_future_and_misses_nothing() {
    let slack = start(plan()).await;
    let settings = Settings { start: Start::Now, ..settings_ahead(&slack, 600) };
    let mut poller = Poller::new(&settings, None).unwrap();
    let mut kept = Kept::default();
    slack.advance(100);
    slack.push(&entry("soon", NOW + 50)).unwrap();
    for n in 0..20 {
        slack.advance(60);
        slack.push(&entry(&format!("e{n}"), slack.now() - 5)).unwrap();
        kept.until_caught_up(&mut poller).await;
    }
    slack.advance(120);
    let caught_up = kept.until_caught_up(&mut poller).await;
    assert_eq!(caught_up.slack_ahead, Some(-600));
    assert_eq!(caught_up.up_to.seconds(), slack.now() - SETTLE);
    kept.check_complete(&slack);
    assert!(kept.has("soon"), "the beginning is now by Slack's clock");
    assert!(kept.failures.is_empty());
    let future: Vec<_> =
        slack.requests().iter().filter(|seen| seen.status != 200).map(|seen| seen.number).collect();
    assert_eq!(future, [1], "only before Slack's clock was seen");
}

#[tokio::test]
async fn a_backfill_by_a_clock_far_ahead_is_cut_to_slacks_present() {
    let slack = start(given([NOW - 100, NOW - 61])).await;
    let settings = settings_ahead(&slack, 40 * DAY);
    let mut poller = Poller::new(&settings, None).unwrap();
    let mut kept = Kept::default();
    let caught_up = kept.until_caught_up(&mut poller).await;
    assert_eq!(caught_up.up_to.seconds(), NOW - SETTLE);
    kept.check_complete(&slack);
}

#[tokio::test]
async fn a_clock_that_steps_back_waits_and_says_so() {
    let slack = start(given([NOW - 100])).await;
    let settings = settings(&slack);
    let mut poller = Poller::new(&settings, None).unwrap();
    let mut kept = Kept::default();
    kept.until_caught_up(&mut poller).await;
    let before = slack.tally().requests;
    slack.advance(-3_600);
    let caught_up = kept.until_caught_up(&mut poller).await;
    assert_eq!(caught_up.clock_behind, Duration::from_secs(3_600));
    assert_eq!(slack.tally().requests, before);
    slack.advance(3_700);
    slack.push(&entry("later", NOW + 20)).unwrap();
    let caught_up = kept.until_caught_up(&mut poller).await;
    assert_eq!(caught_up.clock_behind, Duration::ZERO);
    assert!(kept.has("later"));
}

#[tokio::test]
async fn a_clock_that_was_never_set_is_refused() {
    let slack = start(plan()).await;
    let mut settings = settings(&slack);
    settings.account.clock = Clock::new(|| UnixTime::from_seconds(7));
    assert!(matches!(Poller::new(&settings, None), Err(CannotPoll::ClockUnset(_))));
}

#[tokio::test]
async fn filters_are_asked_of_slack() {
    let slack = start(plan()).await;
    let only = Only {
        actions: vec!["user_login".to_owned(), "user_logout".to_owned()],
        actor: Some("W012".to_owned()),
        entity: Some("C34".to_owned()),
    };
    let mut poller = Poller::new(&Settings { only, ..settings(&slack) }, None).unwrap();
    Kept::default().until_caught_up(&mut poller).await;
    for request in slack.requests() {
        assert_eq!(request.parameter("action"), Some("user_login,user_logout"));
        assert_eq!(request.parameter("actor"), Some("W012"));
        assert_eq!(request.parameter("entity"), Some("C34"));
    }
}

#[tokio::test]
async fn a_range_that_slack_never_accepts_is_reported_and_not_skipped() {
    let trouble =
        Trouble::Refused { status: 400, error: Some("invalid_range".to_owned()), retry_after: None };
    let slack = start(Plan { faults: vec![Fault { when: When::Every(1), trouble }], ..plan() }).await;
    let settings = settings(&slack);
    let mut kept = Kept::default();
    let failed = kept.until_failed(&mut Poller::new(&settings, None).unwrap()).await;
    assert_eq!((failed.error.class(), failed.retry_in), (Class::Narrow, Duration::from_secs(300)));
    let last = slack.requests().pop().unwrap();
    let start = (NOW - 30 * DAY).to_string();
    assert_eq!((last.parameter("oldest"), last.parameter("latest")), (Some(&*start), Some(&*start)));
    assert!(slack.tally().requests < 15);
    kept.until_failed(&mut kept.resume(&settings)).await;
    assert_eq!(slack.requests().pop().unwrap().parameter("oldest"), Some(&*start));
}

#[tokio::test]
async fn a_probe_tells_a_good_token_from_a_bad_one() {
    let slack = start(plan()).await;
    let mut settings = settings_ahead(&slack, 30);
    let probed = Poller::new(&settings, None).unwrap().probe().await;
    assert!(probed.outcome.is_ok());
    assert_eq!(probed.slack_ahead, Some(-30));
    settings.account.token = Token::fixed(&"xoxp-another".into()).unwrap();
    let refused = Poller::new(&settings, None).unwrap().probe().await.outcome.unwrap_err();
    assert_eq!(refused.class(), Class::Token);
    assert!(!format!("{refused} {refused:?}").contains("xoxp-another"));
    assert_eq!(slack.tally().requests, 2);
}

/// Answers every request with the same bytes.
async fn answering(answer: Vec<u8>) -> (String, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (mut request, mut chunk) = (Vec::new(), [0; 4_096]);
            while !request.ends_with(b"\r\n\r\n") {
                match stream.read(&mut chunk).await {
                    Ok(0) | Err(_) => break,
                    Ok(length) => request.extend_from_slice(&chunk[..length]),
                }
            }
            stream.write_all(&answer).await.ok();
        }
    });
    (url, task)
}

async fn first_failure(url: &str, start: Start) -> Failed {
    let clock = Clock::new(|| UnixTime::from_seconds(NOW));
    let settings = Settings { start, settle: Duration::from_secs(2), ..settings_for(url, clock) };
    Kept::default().until_failed(&mut Poller::new(&settings, None).unwrap()).await
}

#[tokio::test]
async fn a_redirect_is_not_followed_with_the_token() {
    let slack = start(plan()).await;
    let target = format!("{}/audit/v1/logs", slack.base_url());
    let answer =
        format!("HTTP/1.1 302 Found\r\nlocation: {target}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    let (url, server) = answering(answer.into_bytes()).await;
    let failed = first_failure(&url, Start::At(UnixTime::from_seconds(NOW - 60))).await;
    assert_eq!(failed.error.class(), Class::Setting);
    assert_eq!(slack.tally().requests, 0);
    server.abort();
}

#[tokio::test]
async fn a_small_body_that_unpacks_without_end_is_given_up() {
    use std::io::Write as _;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for _ in 0..70 {
        gzip.write_all(&vec![b' '; 1 << 20]).unwrap();
    }
    let body = gzip.finish().unwrap();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let (url, server) = answering([head.into_bytes(), body].concat()).await;
    let failed = first_failure(&url, Start::At(UnixTime::from_seconds(NOW - 5))).await;
    assert!(matches!(failed.error, SlackError::TooLarge { .. }), "{:?}", failed.error);
    assert_eq!(failed.retry_in, Duration::from_secs(300));
    server.abort();
}

#[tokio::test]
async fn a_slack_that_answers_for_the_future_is_not_believed() {
    let date = jiff::Timestamp::from_second(NOW).unwrap();
    let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&date).unwrap();
    let answer = format!(
        "HTTP/1.1 200 OK\r\ndate: {date}\r\ncontent-length: 14\r\nconnection: close\r\n\r\n{{\"entries\":[]}}"
    );
    let (url, server) = answering(answer.into_bytes()).await;
    for ahead in [3, 30, 600] {
        let clock = Clock::new(move || UnixTime::from_seconds(NOW + ahead));
        let start = Start::At(UnixTime::from_seconds(NOW - 3_600));
        let settings = Settings { start, ..settings_for(&url, clock) };
        let mut kept = Kept::default();
        let caught_up = kept.until_caught_up(&mut Poller::new(&settings, None).unwrap()).await;
        assert_eq!(caught_up.up_to.seconds(), NOW - SETTLE);
        assert_eq!(caught_up.slack_ahead, Some(-ahead));
    }
    server.abort();
}

#[tokio::test]
async fn no_connection_is_an_error_without_address_or_token() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let failed = first_failure(&url, Start::At(UnixTime::from_seconds(NOW - 60))).await;
    assert!(matches!(failed.error, SlackError::Connect(_)));
    let shown = format!("{:?} {}", failed.error, failed.error);
    assert!(!shown.contains("oldest") && !shown.contains("xoxp"), "{shown}");
}
