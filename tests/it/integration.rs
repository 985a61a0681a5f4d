//! The integration log from a simulated Slack: its poller over HTTP, then the program itself.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use slackcef::event::UnixTime;
use slackcef::simulate::receiver::{self, Receiver};
use slackcef::simulate::slack::{
    Clock as SlackClock, Fault, IntegrationLog, Order, Plan, Slack, Trouble, When, integration_row,
};
use slackcef::slack::integration::{Only, Settings};
use slackcef::slack::{Class, Start, Step};

use crate::support::forwarder::{Forwarder, Running};
use crate::support::polling::{self, Kept};
use crate::support::{arrived, daemon};

/// The present of these tests, until they move it.
const NOW: i64 = 1_790_000_000;
const DAY: i64 = 86_400;
const ORDERS: [Order; 3] = [Order::NewestFirst, Order::OldestFirst, Order::Shuffled];

async fn slack(integration: IntegrationLog) -> Arc<Slack> {
    let clock = SlackClock::Fixed(UnixTime::from_seconds(NOW));
    polling::start(Plan { clock, integration, ..Plan::default() }).await
}

fn settings(slack: &Arc<Slack>) -> Settings {
    Settings {
        account: polling::account(&slack.base_url(), polling::clock(slack, 0)),
        start: Start::Ago(Duration::from_secs(30 * 86_400)),
        poll_every: Duration::from_millis(1),
        full_walk_every: Duration::from_secs(86_400),
        forget_after: Duration::from_secs(30 * 86_400),
        only: Only::default(),
        team_id: None,
    }
}

/// How often each id was told.
fn ids(kept: &Kept) -> BTreeMap<&str, u32> {
    let mut ids = BTreeMap::new();
    for entry in &kept.entries {
        *ids.entry(entry.id().as_str()).or_default() += 1;
    }
    ids
}

/// Rows told, as they were told.
fn rows(kept: &Kept) -> Vec<String> {
    kept.entries.iter().map(|entry| String::from_utf8(entry.raw().to_vec()).unwrap()).collect()
}

/// A row's id may be a number or a text.
fn plain(row: &str) -> String {
    let Some((before, after)) = row.split_once(r#""service_id":"#) else { return row.to_owned() };
    let (id, rest) = after.split_once(',').unwrap();
    format!(r#"{before}"service_id":"{}",{rest}"#, id.trim_matches('"'))
}

fn counted<'a>(rows: impl IntoIterator<Item = &'a String>) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for row in rows {
        *counts.entry(plain(row)).or_default() += 1;
    }
    counts
}

#[track_caller]
fn assert_each_told_once(kept: &Kept, slack: &Slack) {
    let (told, there) = (counted(&rows(kept)), counted(&slack.integration_rows()));
    let wrong: Vec<_> = there.iter().filter(|(row, count)| told.get(*row) != Some(count)).collect();
    assert!(wrong.is_empty(), "{} of {} rows, the first {:?}", wrong.len(), there.len(), wrong.first());
    assert_eq!(told.len(), there.len());
    assert!(ids(kept).values().all(|times| *times == 1), "an id was told twice");
}

#[tokio::test]
async fn whatever_the_order_each_row_is_told_once_however_its_ids_are_typed() {
    for order in ORDERS {
        let slack = slack(IntegrationLog {
            order,
            count: 700,
            twin_every: 9,
            hostile: true,
            largest: 50,
            ..IntegrationLog::default()
        })
        .await;
        let settings = settings(&slack);
        let mut kept = Kept::default();
        let mut poller = kept.poller(&settings);
        for _ in 0..4 {
            kept.until_caught_up(&mut poller).await;
            slack.advance(DAY / 2);
        }
        assert!(kept.failures.is_empty(), "{:?}", kept.failures);
        assert_each_told_once(&kept, &slack);
        for action in ["added", "removed", "enabled", "disabled", "updated", "reticulated"] {
            assert!(
                kept.actions().contains_key(format!("integration_{action}").as_str()),
                "{:?}",
                kept.actions()
            );
        }
        let rows = rows(&kept);
        let numbers = rows.iter().filter(|row| row.contains(r#""service_id":4"#)).count();
        let texts = rows.iter().filter(|row| row.contains(r#""service_id":"4"#)).count();
        assert!(numbers > 20 && texts > 20, "{numbers} numbers, {texts} texts");
    }
}

#[tokio::test]
async fn rows_that_come_in_between_restarts_and_faults_are_told_once() {
    for order in ORDERS {
        let trouble = [
            (3, Trouble::Refused { status: 429, error: Some("ratelimited".into()), retry_after: Some(1) }),
            (7, Trouble::Html { status: 500 }),
            (12, Trouble::OkFalse { error: "internal_error".into() }),
            (19, Trouble::HalfJson),
            (26, Trouble::CutOff),
            (31, Trouble::Garbage),
            (40, Trouble::NoMetadata),
            (45, Trouble::EmptyPage),
        ];
        let faults = trouble.map(|(number, trouble)| Fault { when: When::On(vec![number]), trouble });
        let slack = slack(IntegrationLog {
            order,
            count: 200,
            largest: 10,
            faults: faults.to_vec(),
            ..IntegrationLog::default()
        })
        .await;
        let settings = settings(&slack);
        let mut kept = Kept::default();
        let mut poller = kept.poller(&settings);
        let mut dice = fastrand::Rng::with_seed(7);
        for nth in 0..150 {
            if dice.u8(0..3) == 0 {
                slack.push_integration(&integration_row(1_000 + nth, UnixTime::from_seconds(NOW))).unwrap();
            }
            if dice.u8(0..12) == 0 {
                poller = kept.poller(&settings);
            }
            kept.step(&mut poller).await;
        }
        assert!(kept.failures.len() >= 5, "{:?}", kept.failures);
        // The walk that is under way ends, and another reads it all.
        kept.until_caught_up(&mut poller).await;
        slack.advance(2 * DAY);
        kept.until_caught_up(&mut poller).await;
        assert_each_told_once(&kept, &slack);
    }
}

#[tokio::test]
async fn in_a_list_with_an_order_news_are_told_without_a_full_walk() {
    for order in [Order::NewestFirst, Order::OldestFirst] {
        let log = IntegrationLog { order, count: 400, largest: 20, ..IntegrationLog::default() };
        let slack = slack(log).await;
        let settings = settings(&slack);
        let mut kept = Kept::default();
        let mut poller = kept.poller(&settings);
        kept.until_caught_up(&mut poller).await;
        let asked = slack.integration_requests().len();
        assert_eq!(asked, 20, "a full walk asks for each page once");
        kept.until_caught_up(&mut poller).await;
        assert_eq!(slack.integration_requests().len(), asked + 2, "the two ends, and no more");
        for nth in 0..50 {
            slack.push_integration(&integration_row(1_000 + nth, UnixTime::from_seconds(NOW))).unwrap();
        }
        kept.until_caught_up(&mut poller).await;
        assert!(slack.integration_requests().len() <= asked + 2 + 5);
        assert_each_told_once(&kept, &slack);
    }
}

#[tokio::test]
async fn from_now_on_what_was_there_is_remembered_and_not_told() {
    let slack = slack(IntegrationLog { count: 300, largest: 100, ..IntegrationLog::default() }).await;
    let settings = Settings { start: Start::Now, ..settings(&slack) };
    slack.advance(60);
    let mut kept = Kept::default();
    let mut poller = kept.poller(&settings);
    kept.until_caught_up(&mut poller).await;
    assert_eq!((ids(&kept).len(), kept.memos.len()), (0, 294), "with twins once");
    // What is late is news as well: it was not there.
    slack.push_integration(&integration_row(1_000, UnixTime::from_seconds(NOW - 9))).unwrap();
    slack.push_integration(r#"{"change_type":"added","date":null,"channel":"C1"}"#).unwrap();
    let mut poller = kept.poller(&settings);
    kept.until_caught_up(&mut poller).await;
    assert_eq!(ids(&kept).len(), 2);
}

#[tokio::test]
async fn the_first_now_is_slacks() {
    for (ahead, told) in [(0, 1), (3_600, 1), (-3_600, 1)] {
        let slack = slack(IntegrationLog::default()).await;
        let mut settings = Settings { start: Start::Now, ..settings(&slack) };
        settings.account.clock = polling::clock(&slack, ahead);
        slack.push_integration(&integration_row(1, UnixTime::from_seconds(NOW - 30))).unwrap();
        slack.push_integration(&integration_row(2, UnixTime::from_seconds(NOW + 1))).unwrap();
        let mut kept = Kept::default();
        let mut poller = kept.poller(&settings);
        kept.until_caught_up(&mut poller).await;
        assert_eq!(ids(&kept).len(), told, "{ahead}");
    }
}

#[tokio::test]
async fn filters_and_workspace_are_asked_for_and_another_choice_does_not_tell_old_rows() {
    let log =
        IntegrationLog { count: 200, largest: 50, team: Some("T1".into()), ..IntegrationLog::default() };
    let slack = slack(log).await;
    let team = |only| Settings { only, team_id: Some("T1".into()), ..settings(&slack) };
    let only = Only { change_type: Some("removed".into()), ..Only::default() };
    let mut kept = Kept::default();
    let mut poller = kept.poller(&team(only));
    kept.until_caught_up(&mut poller).await;
    let removed = kept.actions()["integration_removed"];
    assert_eq!((kept.actions().len(), ids(&kept).len()), (1, usize::try_from(removed).unwrap()));
    let asked = slack.integration_requests();
    assert!(asked.iter().all(|request| request.parameter("team_id") == Some("T1")));
    assert!(asked.iter().all(|request| request.parameter("change_type") == Some("removed")));

    slack.advance(60);
    let mut poller = kept.poller(&team(Only::default()));
    kept.until_caught_up(&mut poller).await;
    assert_eq!(kept.actions().len(), 1, "what happened before the other choice");
    slack.push_integration(&integration_row(1_000, UnixTime::from_seconds(slack.now()))).unwrap();
    kept.until_caught_up(&mut poller).await;
    assert_eq!(ids(&kept).len(), usize::try_from(removed).unwrap() + 1);
}

#[tokio::test]
async fn a_missing_scope_and_a_wrong_workspace_are_told_apart() {
    let failure = async |log: IntegrationLog| {
        let slack = slack(log).await;
        let mut poller = Kept::default().poller(&settings(&slack));
        loop {
            if let Step::Failed(failed) = poller.next().await {
                return failed;
            }
        }
    };
    let scope =
        failure(IntegrationLog { scopes: "identify,users:read".into(), ..IntegrationLog::default() }).await;
    assert_eq!(scope.error.class(), Class::Token);
    assert!(scope.error.to_string().contains("`admin`"), "{}", scope.error);
    assert!(scope.retry_in >= Duration::from_secs(60), "no storm of requests");
    let team = failure(IntegrationLog { team: Some("T1".into()), ..IntegrationLog::default() }).await;
    assert!(team.error.to_string().contains("missing_argument"), "{}", team.error);
}

#[tokio::test]
async fn what_is_not_handed_out_is_asked_for_by_type_of_change_and_the_rest_is_said() {
    let mut log = IntegrationLog { order: Order::OldestFirst, largest: 2, ..IntegrationLog::default() };
    let row = |nth: u32, change| format!(r#"{{"app_id":"A{nth}","date":"{NOW}","change_type":"{change}"}}"#);
    log.given.extend((0..190).map(|nth| row(nth, "added")));
    log.given.extend((190..260).map(|nth| row(nth, "removed")));
    log.given.extend((260..263).map(|nth| row(nth, "exploded")));
    let slack = slack(log).await;
    let mut kept = Kept::default();
    let mut poller = kept.poller(&settings(&slack));
    let caught_up = kept.until_caught_up(&mut poller).await;
    assert_eq!((ids(&kept).len(), caught_up.out_of_reach), (260, 3));
    let pages = slack.integration_requests();
    let pages = pages.iter().map(|request| request.parameter("page").unwrap().parse::<u32>().unwrap());
    assert_eq!(pages.max(), Some(100));
}

#[tokio::test]
async fn only_a_full_walk_lets_memos_be_forgotten_and_it_has_met_the_rest() {
    let slack = slack(IntegrationLog { count: 20, twin_every: 0, ..IntegrationLog::default() }).await;
    let settings = settings(&slack);
    let mut kept = Kept::default();
    let mut poller = kept.poller(&settings);
    let forget = kept.until_caught_up(&mut poller).await.forget_before.unwrap();
    assert_eq!(forget, UnixTime::from_seconds(NOW - 30 * DAY));
    assert_eq!(kept.until_caught_up(&mut poller).await.forget_before, None);
    // For two months nobody looked.
    slack.advance(60 * DAY);
    let mut poller = kept.poller(&settings);
    let forget = kept.until_caught_up(&mut poller).await.forget_before.unwrap();
    assert!(kept.memos.values().all(|(_, at)| *at >= forget), "what is still there is remembered");
    assert_eq!(ids(&kept).len(), 20);
}

/// A poll must not wait for a lookup that never came.
#[tokio::test]
async fn a_page_whose_rows_were_not_looked_up_is_asked_for_again() {
    let slack = slack(IntegrationLog { count: 30, ..IntegrationLog::default() }).await;
    let mut kept = Kept::default();
    let mut poller = kept.poller(&settings(&slack));
    for _ in 0..3 {
        let (Step::Page(_) | Step::Recall(_)) = poller.next().await else { panic!("nothing was stored") };
    }
    kept.until_caught_up(&mut poller).await;
    assert_each_told_once(&kept, &slack);
}

// ---- The program itself -----------------------------------------------------------------------

/// The messages of Slack's rows that a receiver got: how often each id came, and each row by `x_row`.
#[derive(Debug, Default, Clone)]
struct Received(Arc<Mutex<ByIdAndRow>>);

type ByIdAndRow = (BTreeMap<String, u32>, BTreeMap<u64, BTreeSet<String>>);

impl Received {
    fn at(receiver: Receiver) -> Self {
        let received = Self::default();
        let to = Arc::clone(&received.0);
        arrived::watch(receiver, move |id, text| {
            assert!(text.contains("|Slack|Integration Logs|"), "{text}");
            let row = text.split_once("\"x_row\":").unwrap_or_else(|| panic!("no row in {text}")).1;
            let row = row.split(|c: char| !c.is_ascii_digit()).next().unwrap();
            let mut received = to.lock().unwrap();
            *received.0.entry(id.to_owned()).or_default() += 1;
            received.1.entry(row.parse().unwrap()).or_default().insert(id.to_owned());
        });
        received
    }

    fn different(&self) -> usize {
        self.0.lock().unwrap().0.len()
    }

    async fn until(&self, count: usize, running: &Running) {
        let there = || format!("{} of {count}: {}", self.different(), running.log());
        daemon::until(|| self.different() >= count, there).await;
    }
}

async fn receiving() -> (Received, SocketAddr) {
    let receiver = Receiver::start(receiver::Settings::default()).await.unwrap();
    let address = receiver.address();
    (Received::at(receiver), address)
}

async fn live(integration: IntegrationLog) -> Slack {
    let plan = Plan { integration, ..Plan::default() };
    Slack::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), plan).await.unwrap()
}

fn forwarder(slack: &Slack, receiver: SocketAddr, source: &str) -> Forwarder {
    let source = format!("poll_every = \"1s\"\nrequests_per_minute = 1000000\n{source}");
    let destination = format!("[destinations.siem]\nage = \"100ms\"\ntcp = {{ to = [\"{receiver}\"] }}\n");
    Forwarder::of_log("integration", slack, &source, &destination)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_tells_each_row_whatever_happens_while_it_polls() {
    for order in [Order::NewestFirst, Order::OldestFirst] {
        let faults = [
            (4, Trouble::Html { status: 502 }),
            (9, Trouble::CutOff),
            (14, Trouble::Refused { status: 429, error: None, retry_after: Some(1) }),
        ];
        let faults = faults.map(|(number, trouble)| Fault { when: When::On(vec![number]), trouble });
        let slack = live(IntegrationLog {
            order,
            count: 300,
            twin_every: 10,
            largest: 20,
            faults: faults.to_vec(),
            ..IntegrationLog::default()
        })
        .await;
        let (received, address) = receiving().await;
        let forwarder = forwarder(&slack, address, "start = \"30d\"\nfull_walk_every = \"2s\"");
        let now = || UnixTime::from_seconds(slack.now());

        // Killed while it reads the list for the first time, and while rows come in.
        for kill in 1..=3 {
            let running = forwarder.start(&[]);
            slack.until_integration(|tally| tally.pages >= kill * 6).await;
            for nth in 0..10 {
                slack.push_integration(&integration_row(1_000 * kill + nth, now())).unwrap();
            }
            running.kill();
        }
        let mut running = forwarder.start(&[]);
        slack.push_integration(&integration_row(9_000, now())).unwrap();
        received.until(331, &running).await;
        slack.push_integration(&integration_row(9_001, now())).unwrap();
        received.until(332, &running).await;
        running.ask_to_end();
        assert!(running.end().await.success(), "{}", running.log());

        let received = received.0.lock().unwrap().clone();
        let rows = slack.integration_rows();
        assert_eq!((received.0.len(), rows.len()), (332, 332));
        // Of a row and its twin each has an id of its own; of all others there is one.
        let told: BTreeMap<_, _> = received.1.iter().map(|(row, ids)| (*row, ids.len())).collect();
        let mut there: BTreeMap<u64, usize> = BTreeMap::new();
        for row in &rows {
            let nth = row.split_once("\"x_row\":").unwrap().1.trim_end_matches('}').parse().unwrap();
            *there.entry(nth).or_default() += 1;
        }
        assert_eq!(told, there);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn run_once_goes_on_where_the_run_before_has_ended() {
    let slack = live(IntegrationLog { count: 60, twin_every: 0, ..IntegrationLog::default() }).await;
    let (received, address) = receiving().await;
    let forwarder = forwarder(&slack, address, "start = \"30d\"\nonly = { change_type = \"added\" }");
    for more in [0, 1, 0] {
        for nth in 0..more {
            let row = format!(
                r#"{{"user_id":"U1","date":"{}","change_type":"added","app_id":"A1","x_row":{}}}"#,
                slack.now(),
                5_000 + nth
            );
            slack.push_integration(&row).unwrap();
        }
        let mut running = forwarder.start(&["--once"]);
        assert!(running.end().await.success(), "{}", running.log());
    }
    let added =
        slack.integration_rows().iter().filter(|row| row.contains(r#""change_type":"added""#)).count();
    let received = received.0.lock().unwrap().clone();
    assert!(added > 5);
    assert_eq!(received.0.len(), added);
    assert!(received.0.values().all(|times| *times == 1), "a row was told by two runs");
}

#[tokio::test]
async fn a_missing_scope_ends_a_single_run_with_its_cure() {
    let slack = live(IntegrationLog { scopes: "users:read".into(), ..IntegrationLog::default() }).await;
    let (_, address) = receiving().await;
    let forwarder = forwarder(&slack, address, "");
    let mut running = forwarder.start(&["--once"]);
    assert!(!running.end().await.success());
    let log = running.log();
    assert!(log.contains("missing_scope") && log.contains("`admin`"), "{log}");
}
