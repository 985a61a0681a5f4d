//! The access log from a simulated Slack whose rows change while they are read: its poller over HTTP,
//! then the program itself.
//!
//! `cargo test --test it access` runs it with a list of 20,000 rows. With 200,000, which takes some minutes:
//!
//! ```sh
//! cargo test --release --test it -- --ignored --nocapture two_hundred_thousand_rows
//! ```

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use slackcef::cef::decode;
use slackcef::event::UnixTime;
use slackcef::simulate::slack::{
    AccessLog, Classic, Clock as SlackClock, Fault, Plan, Request, Slack, Trouble, When,
};
use slackcef::slack::access::Settings;
use slackcef::slack::{Class, Start};

use crate::support::daemon::{PATIENCE, tick};
use crate::support::forwarder::Forwarder;
use crate::support::polling::{self, Kept};

/// The present of these tests, until they move it.
const NOW: i64 = 1_790_000_000;
const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;

async fn slack(access: AccessLog) -> Arc<Slack> {
    let clock = SlackClock::Fixed(UnixTime::from_seconds(NOW));
    polling::start(Plan { clock, access, ..Plan::default() }).await
}

fn settings(slack: &Arc<Slack>) -> Settings {
    Settings {
        account: polling::account(&slack.base_url(), polling::clock(slack, 0)),
        start: Start::Ago(Duration::from_secs(365 * 86_400)),
        poll_every: Duration::from_millis(1),
        full_walk_every: Duration::from_secs(6 * 3_600),
        forget_after: Duration::from_secs(30 * 86_400),
        team_id: None,
    }
}

/// New uses by combination.
fn uses(kept: &Kept) -> BTreeMap<String, u64> {
    let mut uses = BTreeMap::new();
    for entry in &kept.entries {
        let row: serde_json::Value = serde_json::from_slice(entry.raw()).unwrap();
        *uses.entry(combination(&row)).or_default() += row["slackcef"]["uses"].as_u64().unwrap();
    }
    uses
}

fn combination(row: &serde_json::Value) -> String {
    of_user_at(row["user_id"].as_str().unwrap(), row["ip"].as_str().unwrap())
}

/// An address may be written in several ways.
fn of_user_at(user: &str, ip: &str) -> String {
    format!("{user} {}", ip.parse::<IpAddr>().unwrap())
}

/// What Slack counts for each combination by now.
fn counted(slack: &Slack) -> BTreeMap<String, u64> {
    let rows = slack.access_rows();
    let rows = rows.iter().map(|row| serde_json::from_str::<serde_json::Value>(row).unwrap());
    rows.map(|row| (combination(&row), row["count"].as_u64().unwrap())).collect()
}

#[track_caller]
fn assert_adds_up(uses: &BTreeMap<String, u64>, slack: &Slack) {
    let there = counted(slack);
    let wrong: Vec<_> = there.iter().filter(|(key, count)| uses.get(*key) != Some(count)).collect();
    assert!(wrong.is_empty(), "{} of {}, the first {:?}", wrong.len(), there.len(), wrong.first());
    assert_eq!(uses.len(), there.len());
}

#[tokio::test]
async fn what_is_new_is_told_and_nothing_else() {
    let slack = slack(AccessLog { rows: 3_500, ..AccessLog::default() }).await;
    let settings = Settings { start: Start::Now, ..settings(&slack) };
    let (mut kept, mut poller) = (Kept::default(), Kept::default().poller(&settings));
    let first = kept.step(&mut poller).await;
    assert!(first.is_none() && kept.bookmark.is_some(), "the beginning is stored before anything else");
    assert!(slack.access_requests().is_empty());
    let caught_up = kept.until_caught_up(&mut poller).await;
    assert_eq!(caught_up.up_to, UnixTime::from_seconds(NOW));
    assert_eq!(caught_up.forget_before, Some(UnixTime::from_seconds(NOW - 30 * DAY)));
    assert_eq!((kept.actions().len(), kept.memos.len()), (0, 3_500));

    slack.advance(60);
    slack.push_access();
    slack.use_access(3, 2);
    slack.use_access(3_400, 7);
    let walked = slack.access_requests().len();
    kept.until_caught_up(&mut poller).await;
    let told = BTreeMap::from([("access_first_seen", 1), ("access_seen_again", 1)]);
    assert_eq!(kept.actions(), told, "the row deep in the list is found by a walk");
    assert_eq!(slack.access_requests().len(), walked + 2, "a page with news, and one without");

    slack.advance(6 * HOUR);
    // The polls before the walk have nothing to tell.
    while kept.until_caught_up(&mut poller).await.forget_before.is_none() {}
    assert_eq!(kept.actions()["access_seen_again"], 2);
    assert_eq!(uses(&kept).values().sum::<u64>(), 1 + 2 + 7);
    assert!(kept.failures.is_empty(), "{:?}", kept.failures);
}

#[tokio::test]
async fn only_what_was_used_since_the_start_is_told_of_an_old_list() {
    let slack =
        slack(AccessLog { rows: 2_500, over: Duration::from_secs(60 * 86_400), ..AccessLog::default() })
            .await;
    let month = Duration::from_secs(30 * 86_400);
    let settings = Settings { start: Start::Ago(month), ..settings(&slack) };
    let (mut kept, mut poller) = (Kept::default(), Kept::default().poller(&settings));
    kept.until_caught_up(&mut poller).await;
    let since = NOW - 30 * DAY;
    let rows = slack.access_rows();
    let rows: Vec<serde_json::Value> = rows.iter().map(|row| serde_json::from_str(row).unwrap()).collect();
    let used: Vec<_> = rows.iter().filter(|row| row["date_last"].as_i64().unwrap() >= since).collect();
    assert!(used.len() > 1_000 && used.len() < 2_400, "{}", used.len());
    assert_eq!(uses(&kept).keys().cloned().collect::<Vec<_>>(), {
        let mut keys: Vec<_> = used.iter().map(|row| combination(row)).collect();
        keys.sort();
        keys
    });
    let new = used.iter().filter(|row| row["date_first"].as_i64().unwrap() >= since).count();
    assert_eq!(kept.actions()["access_first_seen"] as usize, new, "what is older than the start is not new");
}

#[tokio::test]
async fn a_list_that_changes_and_a_slack_that_falters_add_up() {
    let cases = [
        (Classic::Works, 1, vec![]),
        (Classic::Status500, 4, vec![]),
        (Classic::FatalError, 1, vec![]),
        (
            Classic::FatalError,
            2,
            vec![
                Fault { when: When::Every(7), trouble: Trouble::CursorExpired },
                Fault { when: When::On(vec![5, 11]), trouble: Trouble::EmptyPage },
            ],
        ),
        (
            Classic::Works,
            1,
            vec![
                Fault { when: When::On(vec![3]), trouble: Trouble::CutOff },
                Fault { when: When::On(vec![6]), trouble: Trouble::HalfJson },
                Fault { when: When::On(vec![9]), trouble: Trouble::Html { status: 200 } },
                Fault {
                    when: When::On(vec![12]),
                    trouble: Trouble::Refused { status: 429, error: None, retry_after: Some(1) },
                },
            ],
        ),
    ];
    for (classic, classic_from, faults) in cases {
        let of = format!("{classic:?} from {classic_from}, {faults:?}");
        let failing = faults.iter().any(|fault| matches!(fault.trouble, Trouble::CutOff));
        let access = AccessLog {
            rows: 1_500,
            largest: 100,
            used: 40,
            new: 2,
            changing: Some(60),
            classic,
            classic_from,
            faults,
            ..AccessLog::default()
        };
        let slack = slack(access).await;
        let settings = settings(&slack);
        let mut kept = Kept::default();
        let mut poller = kept.poller(&settings);
        while slack.access_requests().len() < 90 {
            let pages = kept.pages;
            while kept.pages < pages + 7 {
                kept.step(&mut poller).await;
                slack.advance(20);
            }
            // The process dies and begins again.
            poller = kept.poller(&settings);
        }
        slack.advance(6 * HOUR);
        while kept.until_caught_up(&mut poller).await.forget_before.is_none() {}
        slack.advance(6 * HOUR);
        while kept.until_caught_up(&mut poller).await.forget_before.is_none() {}
        assert_adds_up(&uses(&kept), &slack);
        let by_cursor = slack.access_requests().iter().any(|request| request.parameter("cursor").is_some());
        assert_eq!(by_cursor, classic != Classic::Works, "{of}");
        assert_eq!(!kept.failures.is_empty(), failing, "{of}: {:?}", kept.failures);
    }
}

#[tokio::test]
async fn beyond_a_hundred_pages_it_goes_on_with_an_upper_bound() {
    let slack = slack(AccessLog { rows: 1_200, largest: 5, ..AccessLog::default() }).await;
    let (mut kept, settings) = (Kept::default(), settings(&slack));
    kept.until_caught_up(&mut kept.poller(&settings)).await;
    assert_adds_up(&uses(&kept), &slack);
    let requests = slack.access_requests();
    assert!(requests.iter().all(|request| request.status == 200 && request.parameter("cursor").is_none()));
    let bounds: std::collections::BTreeSet<_> =
        requests.iter().filter_map(|r| r.parameter("before")).collect();
    assert_eq!(bounds.len(), 2);
}

#[tokio::test]
async fn a_workspace_is_asked_for_where_it_is_set() {
    let slack = slack(AccessLog { rows: 10, team: Some("T1".to_owned()), ..AccessLog::default() }).await;
    let mut kept = Kept::default();
    kept.until_caught_up(&mut kept.poller(&settings(&slack))).await;
    assert!(slack.access_requests().iter().all(|request| request.parameter("team_id").is_none()));
    let ours = Settings { team_id: Some("T1".to_owned()), ..settings(&slack) };
    assert!(works(&ours).await);
    Kept::default().until_caught_up(&mut Kept::default().poller(&ours)).await;
    assert_eq!(slack.access_requests().last().unwrap().parameter("team_id"), Some("T1"));
    let others = Settings { team_id: Some("T2".to_owned()), ..settings(&slack) };
    assert!(!works(&others).await);
}

async fn works(settings: &Settings) -> bool {
    Kept::default().poller(settings).probe().await.outcome.is_ok()
}

#[tokio::test]
async fn a_refusal_is_told_and_not_tried_in_a_hurry() {
    let faults = ["missing_scope", "paid_only", "token_revoked"].into_iter().zip(1..);
    let faults = faults.map(|(error, nth)| Fault {
        when: When::On(vec![nth]),
        trouble: Trouble::OkFalse { error: error.to_owned() },
    });
    let slack = slack(AccessLog { rows: 10, faults: faults.collect(), ..AccessLog::default() }).await;
    for class in [Class::Token, Class::Install, Class::Token] {
        let mut kept = Kept::default();
        let mut poller = kept.poller(&settings(&slack));
        while kept.failures.is_empty() {
            assert!(kept.step(&mut poller).await.is_none());
        }
        assert_eq!(kept.failures[0].error.class(), class);
        assert_eq!(kept.failures[0].retry_in, Duration::from_secs(300));
    }
}

/// The events in the file that the forwarder writes, read on from where the last look ended.
#[derive(Debug, Default)]
struct Written {
    read: u64,
    ids: HashSet<String>,
    /// New uses by combination.
    uses: BTreeMap<String, u64>,
    repeats: u64,
}

impl Written {
    fn look(&mut self, file: &std::path::Path) {
        let Ok(mut file) = File::open(file) else { return };
        let mut new = Vec::new();
        file.seek(SeekFrom::Start(self.read)).unwrap();
        file.read_to_end(&mut new).unwrap();
        new.truncate(new.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1));
        self.read += new.len() as u64;
        for line in str::from_utf8(&new).unwrap().lines().filter(|line| line.contains("|Access Logs|")) {
            let event =
                decode(line.split_once("CEF:").map(|(_, cef)| format!("CEF:{cef}")).unwrap().as_str())
                    .unwrap();
            let field =
                |name: &str| event.fields.iter().find(|field| field.0 == name).map(|field| field.1.clone());
            // At least once: repeats bear the same id.
            if self.ids.insert(field("externalId").unwrap()) {
                let ip = field("src").or_else(|| field("c6a2")).unwrap();
                let uses: u64 = field("cnt").unwrap().parse().unwrap();
                *self.uses.entry(of_user_at(&field("suid").unwrap(), &ip)).or_default() += uses;
            } else {
                self.repeats += 1;
            }
        }
    }
}

/// The sum of what is told is what Slack counts, of a list of so many rows that changes while it is
/// read by a program that is killed in a walk, three times.
async fn it_adds_up(rows: u64, patience: Duration) {
    let begun = Instant::now();
    let walk = rows / 1_000;
    let access = AccessLog { rows, used: 50, new: 3, changing: Some(walk * 3), ..AccessLog::default() };
    let plan = Plan { access, ..Plan::default() };
    let slack = Slack::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), plan).await.unwrap();
    let forwarder = Forwarder::of_log(
        "access",
        &slack,
        "start = \"365d\"\npoll_every = \"1s\"\nfull_walk_every = \"1s\"\nrequests_per_minute = 1000000",
        "[destinations.file.file]\npath = \"FILE\"",
    );
    let file = forwarder.dir().join("events.cef");
    let config = std::fs::read_to_string(forwarder.config()).unwrap();
    std::fs::write(forwarder.config(), config.replace("FILE", file.to_str().unwrap())).unwrap();

    for kill in 0..3 {
        let running = forwarder.start(&[]);
        let pages = walk * kill + walk * 3 / 5;
        handed_out(&slack, pages, patience).await;
        running.kill();
    }
    let requests = slack.access_requests();
    assert!(goes_on(&requests), "no walk went on where it was: {requests:?}");

    let running = forwarder.start(&[]);
    handed_out(&slack, walk * 5, patience).await;
    let (mut written, there, start) = (Written::default(), counted(&slack), Instant::now());
    while written.uses != there {
        assert!(start.elapsed() < patience, "{} of {}: {}", written.uses.len(), there.len(), running.log());
        tick().await;
        written.look(&file);
    }
    running.ask_to_end();
    println!(
        "{rows} rows, {} at the end: {} events add up to {} uses, {} repeated, in {:.0?}; {} requests, 3 kills",
        there.len(),
        written.ids.len(),
        there.values().sum::<u64>(),
        written.repeats,
        begun.elapsed(),
        slack.access_requests().len(),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sum_of_what_is_told_is_what_slack_counts_also_when_killed_in_a_walk() {
    it_adds_up(20_000, PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: see the head of this file"]
async fn two_hundred_thousand_rows_add_up_also_when_killed_in_a_walk() {
    it_adds_up(200_000, Duration::from_secs(1_200)).await;
}

/// Waits until so many pages were handed out.
async fn handed_out(slack: &Slack, pages: u64, patience: Duration) {
    let asked = slack.until_access(|tally| tally.pages >= pages);
    tokio::time::timeout(patience, asked).await.unwrap_or_else(|_| panic!("{:?}", slack.access_requests()));
}

/// Whether, after one of the restarts, a walk went on in the middle: its page follows on those of the
/// first poll, and is none that a poll comes to.
fn goes_on(requests: &[Request]) -> bool {
    let page = |request: &Request| request.parameter("page").and_then(|page| page.parse::<u64>().ok());
    // Each start asks for one row first.
    let starts = requests.split(|request| request.parameter("count") == Some("1")).skip(2);
    starts.into_iter().any(|requests| {
        let pages: Vec<_> = requests.iter().filter_map(page).collect();
        let first_poll = pages.iter().skip(1).position(|page| *page == 1).map_or(pages.len(), |end| end + 1);
        pages[..first_poll].windows(2).any(|pair| pair[1] > pair[0] + 1)
    })
}
