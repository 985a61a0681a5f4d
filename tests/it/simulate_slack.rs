//! The simulated Slack, asked over HTTP: one test for each habit of the real one.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use serde_json::Value;
use slackcef::event::UnixTime;
use slackcef::simulate::slack::{
    Clock, End, Fault, Generated, Late, Pace, Pages, Pick, Plan, RateLimit, Slack, Trouble, Until, When,
};

/// The present in these tests.
const NOW: i64 = 1_790_000_000;

type Query<'a> = &'a [(&'a str, &'a str)];

async fn start(plan: Plan) -> Slack {
    Slack::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), plan).await.unwrap()
}

/// A plan whose clock stands still.
fn plan() -> Plan {
    Plan { clock: Clock::Fixed(UnixTime::from_seconds(NOW)), ..Plan::default() }
}

/// So many entries `0`, `1` … a second apart, the newest at [`NOW`].
fn entries(count: i64) -> Vec<String> {
    (0..count).rev().map(|age| entry(&age.to_string(), NOW - age)).collect()
}

fn entry(id: &str, at: i64) -> String {
    format!(r#"{{"id":"{id}","date_create":{at},"action":"user_login"}}"#)
}

fn given(entries: impl IntoIterator<Item = String>) -> Plan {
    Plan { given: entries.into_iter().collect(), ..plan() }
}

fn fault(when: When, trouble: Trouble) -> Fault {
    Fault { when, trouble }
}

/// A client that leaves everything to the test. It keeps no connections, which would not outlive
/// the test that opened them.
static CLIENT: LazyLock<reqwest::Client> =
    LazyLock::new(|| reqwest::Client::builder().no_gzip().pool_max_idle_per_host(0).build().unwrap());

async fn send(slack: &Slack, query: Query<'_>) -> reqwest::Response {
    let url = format!("{}/audit/v1/logs", slack.base_url());
    CLIENT.get(url).bearer_auth(slack.token()).query(query).send().await.unwrap()
}

async fn text(slack: &Slack, query: Query<'_>) -> (u16, String) {
    let response = send(slack, query).await;
    (response.status().as_u16(), response.text().await.unwrap())
}

async fn page(slack: &Slack, query: Query<'_>) -> Value {
    let (status, text) = text(slack, query).await;
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).unwrap()
}

fn ids(page: &Value) -> Vec<String> {
    let entries = page["entries"].as_array().unwrap();
    entries.iter().map(|entry| entry["id"].as_str().unwrap().to_owned()).collect()
}

fn cursor(page: &Value) -> Option<String> {
    let cursor = page.get("response_metadata")?.get("next_cursor")?.as_str()?;
    (!cursor.is_empty()).then(|| cursor.to_owned())
}

/// Pages through a window as a careful client does.
async fn walk(slack: &Slack, oldest: i64, limit: usize) -> Vec<String> {
    let (oldest, latest, limit) = (oldest.to_string(), slack.now().to_string(), limit.to_string());
    let bounds = [("oldest", oldest.as_str()), ("latest", &latest), ("limit", &limit)];
    let mut all = Vec::new();
    let mut last = page(slack, &bounds).await;
    loop {
        all.extend(ids(&last));
        let Some(cursor) = cursor(&last) else { return all };
        last = page(slack, &[bounds.as_slice(), &[("cursor", &cursor)]].concat()).await;
    }
}

#[tokio::test]
async fn pages_run_newest_first_between_bounds_that_both_count() {
    let slack = start(given(entries(10))).await;
    let (oldest, latest) = ((NOW - 7).to_string(), (NOW - 2).to_string());
    let bounds = [("oldest", oldest.as_str()), ("latest", &latest), ("limit", "4")];
    let first = page(&slack, &bounds).await;
    assert_eq!(ids(&first), ["2", "3", "4", "5"]);
    let second = page(&slack, &[bounds.as_slice(), &[("cursor", &cursor(&first).unwrap())]].concat()).await;
    assert_eq!(ids(&second), ["6", "7"]);
    assert_eq!(cursor(&second), None);
}

#[tokio::test]
async fn entries_are_served_byte_for_byte() {
    let raw = r#"{ "x":[1.50, "\/\u00e9é\ud800"],"date_create":1789999999 , "id" :"a","id":"b"}"#;
    let slack = start(given([raw.to_owned()])).await;
    let (_, answer) = text(&slack, &[]).await;
    assert_eq!(answer, format!(r#"{{"entries":[{raw}],"response_metadata":{{"next_cursor":""}}}}"#));
    assert_eq!(slack.entries(), [raw]);
}

#[tokio::test]
async fn an_entry_without_time_is_given_one_and_one_without_id_is_not() {
    let slack = start(given([r#"{"action":"a"}"#.to_owned(), r#"{"action":"b"}"#.to_owned()])).await;
    let hour_ago = NOW - 3_600;
    let expected = [
        format!(r#"{{"date_create":{},"action":"b"}}"#, hour_ago + 1),
        format!(r#"{{"date_create":{hour_ago},"action":"a"}}"#),
    ];
    assert_eq!(slack.entries(), expected);
}

#[tokio::test]
async fn a_cursor_forgets_oldest() {
    let slack = start(given(entries(10))).await;
    let oldest = (NOW - 3).to_string();
    let mut last = page(&slack, &[("oldest", &oldest), ("limit", "2")]).await;
    let mut all = ids(&last);
    while let Some(cursor) = cursor(&last) {
        last = page(&slack, &[("cursor", &cursor), ("limit", "2")]).await;
        all.extend(ids(&last));
    }
    assert_eq!(all.len(), 10, "walked on through the whole history");
    assert_eq!(walk(&slack, NOW - 3, 2).await.len(), 4, "and not where oldest was repeated");
}

#[tokio::test]
async fn a_cursor_ends_in_an_equals_sign_that_must_be_escaped() {
    let slack = start(given(entries(3))).await;
    let cursor = cursor(&page(&slack, &[("limit", "1")]).await).unwrap();
    assert!(cursor.ends_with('='), "{cursor}");
    let url = format!("{}/audit/v1/logs?cursor=", slack.base_url());
    let ask = async |cursor: &str| {
        CLIENT.get(format!("{url}{cursor}")).bearer_auth(slack.token()).send().await.unwrap().status()
    };
    assert_eq!(ask(&cursor).await, 400);
    assert_eq!(ask(&cursor.replace('=', "%3D")).await, 200);
}

#[tokio::test]
async fn a_cursor_expires_and_a_strange_one_is_refused() {
    let pages = Pages { cursor_life: Some(Duration::from_secs(600)), ..Pages::default() };
    let slack = start(Plan { pages, ..given(entries(9)) }).await;
    let cursor = cursor(&page(&slack, &[("limit", "2")]).await).unwrap();
    slack.advance(600);
    assert_eq!(text(&slack, &[("cursor", &cursor)]).await.0, 200);
    slack.advance(1);
    let refused = (400, r#"{"ok":false,"error":"invalid_cursor"}"#.to_owned());
    for cursor in [cursor.as_str(), "dXNlcjpVMEc5V0ZYTlo=", "x"] {
        assert_eq!(text(&slack, &[("cursor", cursor)]).await, refused, "{cursor}");
    }
}

#[tokio::test]
async fn a_page_overflows_where_one_second_holds_more_than_the_limit() {
    let burst = (0..7).map(|nth| entry(&format!("burst-{nth}"), NOW - 1));
    let slack = start(given(entries(1).into_iter().chain(burst).chain([entry("old", NOW - 2)]))).await;
    let first = page(&slack, &[("limit", "3")]).await;
    assert_eq!(ids(&first).len(), 8);
    let second = page(&slack, &[("limit", "3"), ("cursor", &cursor(&first).unwrap())]).await;
    assert_eq!(ids(&second), ["old"]);
}

#[tokio::test]
async fn a_second_has_no_order() {
    let burst = (0..50).map(|nth| entry(&nth.to_string(), NOW));
    let slack = start(given(burst)).await;
    let (one, other) = (ids(&page(&slack, &[]).await), ids(&page(&slack, &[]).await));
    assert_ne!(one, other);
    assert_eq!(one.into_iter().collect::<BTreeSet<_>>(), other.into_iter().collect());
}

#[tokio::test]
async fn empty_and_short_pages_come_with_a_cursor_and_lose_nothing() {
    let faults =
        vec![fault(When::On(vec![1, 3]), Trouble::EmptyPage), fault(When::On(vec![4]), Trouble::ShortPage)];
    let slack = start(Plan { faults, ..given(entries(12)) }).await;
    let expected: Vec<String> = (0..12).map(|id| id.to_string()).collect();
    assert_eq!(walk(&slack, 0, 5).await, expected);
    let counts: Vec<usize> = slack.requests().iter().map(|request| request.entries).collect();
    assert_eq!(counts, [0, 5, 0, 1, 5, 1]);
}

#[tokio::test]
async fn the_last_page_ends_in_every_way() {
    for (end, tail) in [
        (End::Empty, r#"],"response_metadata":{"next_cursor":""}}"#),
        (End::Null, r#"],"response_metadata":{"next_cursor":null}}"#),
        (End::Absent, r#"],"response_metadata":{}}"#),
        (End::NoMetadata, "]}"),
    ] {
        let slack = start(Plan { pages: Pages { end, ..Pages::default() }, ..given(entries(2)) }).await;
        let (_, answer) = text(&slack, &[]).await;
        assert!(answer.starts_with(r#"{"entries":[{"#) && answer.ends_with(tail), "{answer}");
    }
    let slack =
        start(Plan { pages: Pages { end: End::Mixed, ..Pages::default() }, ..given(entries(0)) }).await;
    let mut ends = BTreeSet::new();
    for _ in 0..4 {
        ends.insert(text(&slack, &[]).await.1);
    }
    assert_eq!(ends.len(), 4);
}

#[tokio::test]
async fn only_a_last_page_can_lack_its_metadata() {
    let faults = vec![fault(When::Every(1), Trouble::NoMetadata)];
    let slack = start(Plan { faults, ..given(entries(4)) }).await;
    assert!(cursor(&page(&slack, &[("limit", "3")]).await).is_some());
    assert_eq!(page(&slack, &[]).await.get("response_metadata"), None);
}

#[tokio::test]
async fn the_limit_has_a_default_and_a_largest() {
    let slack = start(given(entries(300))).await;
    assert_eq!(ids(&page(&slack, &[]).await).len(), 100);
    assert_eq!(ids(&page(&slack, &[("limit", "9999")]).await).len(), 300);
    let pages = Pages { default_limit: 7, largest: 20, ..Pages::default() };
    let slack = start(Plan { pages, ..given(entries(300)) }).await;
    assert_eq!(ids(&page(&slack, &[]).await).len(), 7);
    assert_eq!(ids(&page(&slack, &[("limit", "200")]).await).len(), 20);
}

#[tokio::test]
async fn entries_come_late_below_seconds_already_read() {
    let late = |id: &str, until| Late { pick: Pick::Ids(vec![id.to_owned()]), until };
    let generated = Generated { count: Some(10), pace: Pace::PerSecond(1.0), ..Generated::default() };
    let rules = vec![
        late("1", Until::Behind(Duration::from_secs(31))),
        late("2", Until::Behind(Duration::from_secs(302))),
        late("3", Until::Behind(Duration::from_secs(3_603))),
        late("4", Until::AfterStart(Duration::from_secs(10))),
        late("5", Until::AfterRequests(2)),
        late(&generated.id_of(4), Until::Behind(Duration::from_secs(60))),
    ];
    let start_at = Some(UnixTime::from_seconds(NOW - 100));
    let made_up = Generated { start: start_at, ..generated.clone() };
    let slack = start(Plan { late: rules, generated: Some(made_up), ..given(entries(6)) }).await;
    let read = async |slack: &Slack| -> Vec<String> {
        ids(&page(slack, &[]).await).into_iter().filter(|id| id.len() == 1).collect()
    };
    assert_eq!(read(&slack).await, ["0"]);
    slack.advance(10);
    assert_eq!(read(&slack).await, ["0", "4"]);
    assert_eq!(read(&slack).await, ["0", "4", "5"], "two requests came before this one");
    slack.advance(20);
    assert_eq!(read(&slack).await, ["0", "1", "4", "5"]);
    slack.advance(270);
    assert_eq!(read(&slack).await, ["0", "1", "2", "4", "5"]);
    slack.advance(3_300);
    assert_eq!(read(&slack).await, ["0", "1", "2", "3", "4", "5"]);

    let late_one = Late { pick: Pick::Ids(vec![generated.id_of(4)]), until: Until::AfterRequests(1) };
    let slack = start(Plan {
        late: vec![late_one],
        generated: Some(Generated { start: start_at, ..generated.clone() }),
        ..plan()
    })
    .await;
    assert!(!ids(&page(&slack, &[]).await).contains(&generated.id_of(4)));
    assert!(ids(&page(&slack, &[]).await).contains(&generated.id_of(4)));
}

#[tokio::test]
async fn one_in_so_many_comes_late() {
    let late = vec![Late { pick: Pick::OneIn(10), until: Until::AfterRequests(1) }];
    let slack = start(Plan { late, generated: Some(Generated::default()), ..given(entries(1_000)) }).await;
    let limit = [("limit", "9999")];
    let (before, after) = (ids(&page(&slack, &limit).await), ids(&page(&slack, &limit).await));
    assert_eq!(after.len(), 2_000);
    assert!((1_700..1_900).contains(&before.len()), "{}", before.len());
}

#[tokio::test]
async fn an_entry_pushed_later_lies_where_its_time_says() {
    let slack = start(given(entries(3))).await;
    slack.push(&entry("late", NOW - 1)).unwrap();
    slack.push(&entry("tomorrow", NOW + 86_400)).unwrap();
    slack.push(r#"{"id":"timeless"}"#).unwrap();
    slack.push("[]").unwrap_err();
    let read = ids(&page(&slack, &[]).await);
    assert_eq!(read.iter().cloned().collect::<HashSet<_>>().len(), 5);
    assert_eq!(read.last().unwrap(), "2");
    assert!(read.iter().take(2).any(|id| id == "timeless"));
    slack.advance(86_400);
    assert_eq!(ids(&page(&slack, &[]).await).first().unwrap(), "tomorrow");
}

#[tokio::test]
async fn a_wrong_token_is_refused_without_a_word() {
    let slack = start(given(entries(1))).await;
    let url = format!("{}/audit/v1/logs", slack.base_url());
    let missing = r#"{"ok":false,"error":"missing_authentication"}"#;
    for (authorization, body) in [
        (Some("Bearer xoxp-other".to_owned()), ""),
        (Some(format!("bearer {}", slack.token())), missing),
        (Some(slack.token().to_owned()), missing),
        (None, missing),
    ] {
        let request = CLIENT.get(&url);
        let request = match &authorization {
            Some(value) => request.header("authorization", value),
            None => request,
        };
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 401, "{authorization:?}");
        assert_eq!(response.text().await.unwrap(), body, "{authorization:?}");
    }
}

#[tokio::test]
async fn senseless_requests_are_refused() {
    let actions = Some(vec!["user_login".to_owned(), "user_logout".to_owned()]);
    let slack = start(Plan { actions, ..given(entries(1)) }).await;
    let (future, now, past) = ((NOW + 1).to_string(), NOW.to_string(), (NOW - 1).to_string());
    let many = ["user_login"; 31].join(",");
    let enough = ["user_login"; 30].join(",");
    let cases: [(Query<'_>, Option<&str>); 16] = [
        (&[("latest", &future)], Some("invalid_range")),
        (&[("latest", &now)], None),
        (&[("oldest", &now), ("latest", &past)], Some("invalid_range")),
        (&[("oldest", "1.566e+09")], Some("invalid_range")),
        (&[("oldest", "-1")], Some("invalid_range")),
        (&[("oldest", "")], Some("invalid_range")),
        (&[("latest", "99999999999999999999")], Some("invalid_range")),
        (&[("limit", "0")], Some("invalid_range")),
        (&[("limit", "10000")], Some("invalid_range")),
        (&[("limit", "9999")], None),
        (&[("limit", "ten")], Some("invalid_range")),
        (&[("action", &many)], Some("invalid_action")),
        (&[("action", &enough)], None),
        (&[("action", "user_login,made_up")], Some("invalid_action")),
        (&[("action", "user_login,")], Some("invalid_action")),
        (&[("state_of_mine", "x"), ("cursor", "")], None),
    ];
    for (query, error) in cases {
        let (status, body) = text(&slack, query).await;
        match error {
            None => assert_eq!(status, 200, "{query:?}: {body}"),
            Some(error) => {
                assert_eq!(
                    (status, body),
                    (400, format!(r#"{{"ok":false,"error":"{error}"}}"#)),
                    "{query:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn filters_narrow_what_comes() {
    let entry = |id: &str, action: &str, actor: &str, kind: &str, age: i64| {
        let at = NOW - age;
        format!(
            r#"{{"id":"{id}","date_create":{at},"action":"{action}","actor":{{"type":"user","user":{{"id":"{actor}"}}}},"entity":{{"type":"{kind}","{kind}":{{"id":{}}}}}}}"#,
            if kind == "account_type_role" { "1006" } else { r#""X1""# },
        )
    };
    let slack = start(given([
        entry("a", "user_login", "U1", "user", 1),
        entry("b", "user_logout", "U1", "user", 2),
        entry("c", "user_login", "U2", "user", 3),
        entry("d", "permissions_assigned", "U2", "account_type_role", 4),
        r#"{"id":"e","action":["user_login"],"actor":null}"#.to_owned(),
    ]))
    .await;
    let cases: [(Query<'_>, &[&str]); 7] = [
        (&[], &["a", "b", "c", "d", "e"]),
        (&[("action", "user_login")], &["a", "c"]),
        (&[("action", "user_login,user_logout"), ("actor", "U1")], &["a", "b"]),
        (&[("actor", "U2")], &["c", "d"]),
        (&[("entity", "1006")], &["d"]),
        (&[("entity", "X1"), ("actor", "U2")], &["c"]),
        (&[("action", "never_heard_of")], &[]),
    ];
    for (query, expected) in cases {
        assert_eq!(ids(&page(&slack, query).await), expected, "{query:?}");
    }
}

#[tokio::test]
async fn a_rare_action_makes_pages_without_entries() {
    let count = Some(45_000);
    let slack = start(Plan { generated: Some(Generated { count, ..Generated::default() }), ..plan() }).await;
    let query = [("action", "never_heard_of"), ("limit", "10")];
    let mut last = page(&slack, &query).await;
    let mut empty_pages = 0;
    while let Some(cursor) = cursor(&last) {
        assert!(ids(&last).is_empty());
        empty_pages += 1;
        last = page(&slack, &[query.as_slice(), &[("cursor", &cursor)]].concat()).await;
    }
    assert_eq!(empty_pages, 2);
}

#[tokio::test]
async fn faults_strike_the_requests_they_are_meant_for() {
    let refused = |status, error: Option<&str>, retry_after| Trouble::Refused {
        status,
        error: error.map(str::to_owned),
        retry_after,
    };
    let faults = vec![
        fault(When::On(vec![1]), refused(429, Some("ratelimited"), Some(7))),
        fault(When::On(vec![2]), Trouble::Html { status: 500 }),
        fault(When::Between(3, 4), refused(403, Some("user_not_authorized"), None)),
        fault(When::On(vec![5]), Trouble::OkFalse { error: "fatal_error".to_owned() }),
        fault(When::On(vec![6]), Trouble::Garbage),
        fault(When::On(vec![7]), Trouble::HalfJson),
        fault(When::Every(8), refused(503, None, None)),
    ];
    let slack = start(Plan { faults, ..given(entries(3)) }).await;
    let mut answers = Vec::new();
    for _ in 1..=8 {
        let response = send(&slack, &[]).await;
        let header = |name| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let (kind, retry_after) = (header("content-type").unwrap(), header("retry-after"));
        answers.push((response.status().as_u16(), kind, retry_after, response.text().await.unwrap()));
    }
    let json = "application/json; charset=utf-8";
    let expected = [
        (429, json, Some("7"), r#"{"ok":false,"error":"ratelimited"}"#),
        (500, "text/html; charset=utf-8", None, "<!DOCTYPE html>"),
        (403, json, None, r#"{"ok":false,"error":"user_not_authorized"}"#),
        (403, json, None, r#"{"ok":false,"error":"user_not_authorized"}"#),
        (200, json, None, r#"{"ok":false,"error":"fatal_error"}"#),
        (200, json, None, "upstream connect error"),
        (200, json, None, r#"{"entries":[{"#),
        (503, json, None, ""),
    ];
    for ((status, kind, retry_after, body), expected) in answers.iter().zip(expected) {
        let seen = (*status, kind.as_str(), retry_after.as_deref());
        assert_eq!(seen, (expected.0, expected.1, expected.2));
        assert!(body.starts_with(expected.3), "{body}");
        assert!(serde_json::from_str::<Value>(body).is_err() || body.contains("\"ok\":false"), "{body}");
    }
    assert!(answers.last().unwrap().3.is_empty());
    assert_eq!(slack.tally().troubled, 8);
}

#[tokio::test]
async fn faults_by_chance_follow_from_the_seed() {
    let struck = async |seed: u64| -> Vec<u64> {
        let faults = vec![fault(When::Chance(0.25), Trouble::Garbage)];
        let slack = start(Plan { faults, seed, ..plan() }).await;
        for _ in 0..80 {
            send(&slack, &[]).await;
        }
        slack.requests().iter().filter(|request| request.troubled).map(|request| request.number).collect()
    };
    let (one, again, other) = (struck(1).await, struck(1).await, struck(2).await);
    assert_eq!(one, again);
    assert_ne!(one, other);
    assert!((8..32).contains(&one.len()), "{one:?}");
}

#[tokio::test]
async fn a_cursor_is_refused_only_where_one_is_sent() {
    let faults = vec![fault(When::Every(1), Trouble::CursorExpired)];
    let slack = start(Plan { faults, ..given(entries(3)) }).await;
    let cursor = cursor(&page(&slack, &[("limit", "1")]).await).unwrap();
    let (status, body) = text(&slack, &[("cursor", &cursor)]).await;
    assert_eq!((status, body.as_str()), (400, r#"{"ok":false,"error":"invalid_cursor"}"#));
}

#[tokio::test]
async fn an_answer_breaks_off_under_gzip_too() {
    let faults = vec![fault(When::Every(1), Trouble::CutOff)];
    let slack = start(Plan { faults, ..given(entries(90)) }).await;
    for gzip in [false, true] {
        let client = reqwest::Client::builder().gzip(gzip).build().unwrap();
        let url = format!("{}/audit/v1/logs", slack.base_url());
        let response = client.get(url).bearer_auth(slack.token()).send().await.unwrap();
        assert_eq!(response.status(), 200);
        response.bytes().await.unwrap_err();
    }
    let gzip: Vec<bool> = slack.requests().iter().map(|request| request.gzip).collect();
    assert_eq!(gzip, [false, true]);
}

#[tokio::test]
async fn an_answer_comes_slowly_or_stalls_half_way() {
    let (long, short) = (Duration::from_secs(600), Duration::from_millis(50));
    let faults = vec![
        fault(When::On(vec![1]), Trouble::Slow(long)),
        fault(When::On(vec![2]), Trouble::Stalled(long)),
        fault(When::On(vec![3]), Trouble::Slow(short)),
        fault(When::On(vec![4]), Trouble::Stalled(short)),
    ];
    let slack = start(Plan { faults, ..given(entries(90)) }).await;
    let client = reqwest::Client::builder().read_timeout(Duration::from_millis(500)).build().unwrap();
    let ask = async || {
        let url = format!("{}/audit/v1/logs", slack.base_url());
        client.get(url).bearer_auth(slack.token()).send().await
    };
    assert!(ask().await.unwrap_err().is_timeout(), "no head");
    let stalled = ask().await.unwrap().bytes().await.unwrap_err();
    assert!(stalled.is_timeout() || stalled.is_body() || stalled.is_decode(), "{stalled:?}");
    for _ in 3..=4 {
        let begun = std::time::Instant::now();
        let page: Value = serde_json::from_slice(&ask().await.unwrap().bytes().await.unwrap()).unwrap();
        assert_eq!(ids(&page).len(), 90);
        assert!(begun.elapsed() >= short);
    }
    slack.stop().await.unwrap();
}

#[tokio::test]
async fn gzip_is_for_those_who_ask() {
    let slack = start(given(entries(90))).await;
    let url = format!("{}/audit/v1/logs", slack.base_url());
    let (_, plain) = text(&slack, &[]).await;
    for (accepted, gzipped) in [("gzip", true), ("br, gzip;q=0.5", true), ("gzip;q=0", false), ("br", false)]
    {
        let request = CLIENT.get(&url).bearer_auth(slack.token()).header("accept-encoding", accepted);
        let response = request.send().await.unwrap();
        assert_eq!(response.headers().contains_key("content-encoding"), gzipped, "{accepted}");
        let body = response.bytes().await.unwrap();
        if gzipped {
            let mut text = String::new();
            flate2::read::GzDecoder::new(body.as_ref()).read_to_string(&mut text).unwrap();
            assert_eq!(text, plain);
        }
    }
}

#[tokio::test]
async fn whoever_asks_too_often_must_wait() {
    let rate_limit = Some(RateLimit { per_minute: 1, burst: 3 });
    let slack = start(Plan { rate_limit, ..given(entries(1)) }).await;
    for _ in 0..3 {
        assert_eq!(text(&slack, &[]).await.0, 200);
    }
    let response = send(&slack, &[]).await;
    assert_eq!(response.status(), 429);
    let wait: u64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(response.text().await.unwrap(), r#"{"ok":false,"error":"ratelimited"}"#);
}

#[tokio::test]
async fn other_paths_and_methods_are_refused() {
    let slack = start(plan()).await;
    for path in ["/", "/api/audit/v1/logs", "/audit/v1/logs/", "/audit/v1/log"] {
        let response = CLIENT.get(format!("{}{path}", slack.base_url())).send().await.unwrap();
        assert_eq!(response.status(), 404, "{path}");
        assert!(response.text().await.unwrap().starts_with("<!DOCTYPE html>"));
    }
    let post = CLIENT.post(format!("{}/audit/v1/logs", slack.base_url())).send().await.unwrap();
    assert_eq!(post.status(), 405);
    assert_eq!(post.text().await.unwrap(), r#"{"ok":false,"error":"method_not_allowed"}"#);
    assert_eq!(slack.tally().requests, 0);
}

#[tokio::test]
async fn actions_and_schemas_need_no_token() {
    let slack = start(plan()).await;
    for (path, key) in [("actions", "/actions/user/0"), ("schemas", "/schemas/0/type")] {
        let url = format!("{}/audit/v1/{path}", slack.base_url());
        let body = CLIENT.get(url).send().await.unwrap().bytes().await.unwrap();
        let json: Value = serde_json::from_slice(&body).unwrap();
        assert!(json.pointer(key).is_some_and(Value::is_string), "{json}");
    }
}

#[tokio::test]
async fn every_answer_bears_the_simulated_date() {
    let slack = start(plan()).await;
    let date = async || send(&slack, &[]).await.headers()["date"].to_str().unwrap().to_owned();
    assert_eq!(date().await, "Mon, 21 Sep 2026 14:13:20 GMT");
    slack.advance(-3_600);
    assert_eq!(date().await, "Mon, 21 Sep 2026 13:13:20 GMT");
}

#[tokio::test]
async fn requests_are_remembered_and_counted() {
    let slack = start(given(entries(5))).await;
    page(&slack, &[("oldest", "1"), ("latest", "1790000000"), ("limit", "2")]).await;
    page(&slack, &[("oldest", "1"), ("action", "a b&c")]).await;
    let tally = slack.until(|tally| tally.requests == 2).await;
    assert_eq!((tally.pages, tally.entries, tally.troubled), (2, 2, 0));
    assert_eq!((tally.without_oldest, tally.without_latest, tally.without_limit), (0, 1, 1));
    let requests = slack.requests();
    assert_eq!(requests.iter().map(|request| request.number).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(requests[1].parameter("action"), Some("a b&c"));
    assert_eq!(requests[1].parameter("latest"), None);
    assert_eq!((requests[0].status, requests[0].entries), (200, 2));
}

#[tokio::test]
async fn it_listens_on_loopback_until_it_is_stopped() {
    let slack = start(plan()).await;
    let url = format!("{}/audit/v1/actions", slack.base_url());
    assert!(CLIENT.get(&url).send().await.is_ok());
    slack.stop().await.unwrap();
    assert!(CLIENT.get(&url).send().await.unwrap_err().is_connect());
    let refused = Slack::start(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)), plan()).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::InvalidInput);
}

#[tokio::test]
async fn every_made_up_entry_comes_once() {
    let generated = Generated { count: Some(5_000), ..Generated::default() };
    let slack = start(Plan { generated: Some(generated), ..plan() }).await;
    let all = walk(&slack, 0, 200).await;
    assert_eq!(all.len(), 5_000);
    let places: BTreeSet<u64> = all.iter().map(|id| Generated::index_of(id).unwrap()).collect();
    assert_eq!(places, (0..5_000).collect());
}

#[tokio::test]
async fn made_up_entries_follow_from_their_seed() {
    let read = async |seed: u64, clock: i64| {
        let generated = Some(Generated {
            seed,
            start: Some(UnixTime::from_seconds(1_789_000_000)),
            ..Generated::default()
        });
        let clock = Clock::Fixed(UnixTime::from_seconds(clock));
        start(Plan { generated, clock, ..plan() }).await.entries().into_iter().collect::<BTreeSet<_>>()
    };
    let one = read(1, NOW).await;
    assert_eq!(one.len(), 1_000);
    assert_eq!(one, read(1, NOW + 5).await);
    assert!(one.is_disjoint(&read(2, NOW).await));
}

#[tokio::test]
async fn made_up_entries_can_come_live() {
    let generated = Generated { count: None, pace: Pace::PerSecond(5.0), burst: 0, ..Generated::default() };
    let slack = start(Plan { generated: Some(generated), ..plan() }).await;
    assert_eq!(slack.entries().len(), 5, "those of the present second");
    slack.advance(99);
    assert_eq!(slack.entries().len(), 500);
    slack.advance(1_000_000_000);
    let last = page(&slack, &[("limit", "1")]).await;
    assert_eq!(Generated::index_of(&ids(&last)[0]).unwrap() / 5, 1_000_000_099);
}

#[tokio::test]
async fn made_up_entries_come_in_every_shape() {
    let generated = Generated { count: Some(20_000), ..Generated::default() };
    let slack = start(Plan { generated: Some(generated), ..plan() }).await;
    let raw = slack.entries();
    let bytes: usize = raw.iter().map(String::len).sum();
    assert!((750..950).contains(&(bytes / raw.len())), "{} bytes an entry", bytes / raw.len());
    let mut seconds = BTreeMap::<i64, usize>::new();
    let (mut sessions, mut kinds, mut actions) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let (mut no_address, mut no_agent, mut unknown_key, mut odd) = (0, 0, 0, 0);
    for raw in &raw {
        let entry: Value = serde_json::from_str(raw).unwrap();
        let context = &entry["context"];
        let at = entry["date_create"].as_i64().unwrap();
        *seconds.entry(at).or_default() += 1;
        sessions.insert(match &context["session_id"] {
            Value::Null => "null",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            other => panic!("{other}"),
        });
        let kind = entry["entity"]["type"].as_str().unwrap().to_owned();
        assert!(entry["entity"][&kind].is_object(), "{entry}");
        kinds.insert(kind);
        actions.insert(entry["action"].as_str().unwrap().to_owned());
        no_address += usize::from(context["ip_address"] == "");
        no_agent += usize::from(context["ua"] == "");
        unknown_key += usize::from(entry.get("x_future").is_some());
        if entry["action"] == "anomaly" {
            let acted = entry["details"]["action_timestamp"].as_i64().unwrap() / 1_000_000;
            assert!((1..=52).contains(&(at - acted)), "{entry}");
            odd += 1;
        }
    }
    assert_eq!(sessions, BTreeSet::from(["null", "number", "string"]));
    assert!(kinds.len() == 17 && kinds.contains("holo_board"), "{kinds:?}");
    assert!(actions.len() >= 60 && actions.contains("holo_board.pinned"), "{actions:?}");
    for count in [no_address, no_agent, unknown_key, odd] {
        assert!((50..2_000).contains(&count), "{count}");
    }
    assert!(seconds.values().any(|count| *count >= 12), "no bursts");
    assert!(raw.iter().any(|raw| !raw.is_ascii()) && raw.iter().any(|raw| raw.contains("\\/")));
}

#[tokio::test]
async fn hostile_names_come_on_request() {
    let generated = Generated { count: Some(3_000), hostile: true, ..Generated::default() };
    let slack = start(Plan { generated: Some(generated), ..plan() }).await;
    let all = slack.entries().concat();
    for name in [
        r"two\nlines",
        r"\r\n",
        "CEF:0|Evil",
        "<134>1 ",
        r"\u0000",
        r"\ud800 ",
        "\u{202e}",
        "cs1Label=x",
        r"a\\=b",
        "|pipe",
    ] {
        assert!(all.contains(name), "{name}");
    }
    assert!(all.contains(&"w".repeat(65_536)));
}

/// A client that never gives up: asks again whatever goes wrong, begins anew without its cursor.
async fn stubborn(slack: &Slack, client: &reqwest::Client, limit: &str) -> BTreeSet<String> {
    let (latest, mut next, mut all) = (slack.now().to_string(), None::<String>, BTreeSet::new());
    loop {
        let cursor = next.iter().map(|cursor| ("cursor", cursor.as_str()));
        let query: Vec<_> =
            [("oldest", "0"), ("latest", &latest), ("limit", limit)].into_iter().chain(cursor).collect();
        let url = format!("{}/audit/v1/logs", slack.base_url());
        let Ok(response) = client.get(url).bearer_auth(slack.token()).query(&query).send().await else {
            continue;
        };
        let (status, Ok(body)) = (response.status(), response.bytes().await) else { continue };
        if status == 400 && body.as_ref() == br#"{"ok":false,"error":"invalid_cursor"}"# {
            next = None;
            continue;
        }
        // Ids by hand: a name may hold what no string can.
        let text = String::from_utf8(body.to_vec()).unwrap();
        if status != 200 || !text.starts_with(r#"{"entries":["#) || !text.ends_with('}') {
            continue;
        }
        let Some(tail) = text.rfind(r#""response_metadata""#).or(text.ends_with("]}").then_some(text.len()))
        else {
            continue;
        };
        all.extend(
            text.match_indices("-51ac-4cef-8000-")
                .filter_map(|(at, _)| text.get(at - 8..at + 28))
                .map(str::to_owned),
        );
        match text.get(tail..).unwrap().split('"').find(|part| part.ends_with('=')) {
            Some(cursor) => next = Some(cursor.replace("\\/", "/")),
            None => return all,
        }
    }
}

#[tokio::test]
async fn the_sample_plan_is_nasty_and_loses_nothing() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans/nasty.toml");
    let loaded = Plan::load(&path).unwrap();
    let slack = start(Plan { clock: plan().clock, ..loaded }).await;
    let client = reqwest::Client::builder().gzip(true).build().unwrap();
    let mut all = stubborn(&slack, &client, "1000").await;
    assert!((9_500..10_000).contains(&all.len()), "some must be late: {}", all.len());
    slack.advance(3_600);
    while slack.tally().requests < 100 {
        send(&slack, &[]).await;
    }
    all.extend(stubborn(&slack, &client, "1000").await);
    let places: BTreeSet<u64> = all.iter().map(|id| Generated::index_of(id).unwrap()).collect();
    assert_eq!(places, (0..10_000).collect());
    assert!(slack.tally().troubled > 10);
    assert_eq!(slack.tally().without_oldest, slack.tally().without_limit);
}

#[tokio::test]
async fn captured_entries_come_back_byte_for_byte() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/events");
    let Ok(files) = std::fs::read_dir(&folder) else {
        eprintln!("skipped: {} is not there", folder.display());
        return;
    };
    let mut plan = plan();
    for file in files.map(|file| file.unwrap().path()) {
        if file.file_name().unwrap().to_str().unwrap().starts_with("audit-") {
            plan.load_events(&file).unwrap();
        }
    }
    let expected = plan.given.clone();
    assert!(expected.len() > 100);
    let slack = start(plan).await;
    let served = slack.entries();
    for raw in &expected {
        let whole = served.contains(raw);
        let dated = served.iter().any(|served| {
            served.ends_with(raw.trim_start_matches('{')) && served.starts_with("{\"date_create\":")
        });
        assert!(whole || dated, "{raw}");
    }
    assert_eq!(served.len(), expected.len());
}
