//! The whole path, as it is deployed: the program between a Slack full of habits and real receivers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use slackcef::cef::{self, Encoder};
use slackcef::event::{Entry, Log, UnixTime};
use slackcef::mapping::{Scratch, builtin, compile};
use slackcef::simulate::slack::{End, Fault, Late, Pages, Pick, Plan, Slack, Trouble, Until, When};
use slackcef::syslog::Framing;

use crate::support::cef_parsers::read_all;
use crate::support::certificates::Certificates;
use crate::support::daemon::{Listen, PATIENCE, Stored, tick};
use crate::support::entries;
use crate::support::events::meant;
use crate::support::forwarder::{Forwarder, is_of_slack};
use crate::support::{rsyslog, syslog_ng};

#[tokio::test(flavor = "multi_thread")]
async fn our_own_entries_reach_rsyslog_and_syslog_ng_each_once_and_as_meant() {
    forwarded_as_meant(entries::own()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn real_entries_reach_rsyslog_and_syslog_ng_each_once_and_as_meant() {
    if let Some(entries) = entries::real() {
        forwarded_as_meant(entries).await;
    }
}

/// Serves the entries with late ones, empty pages, a 429, an error page and a cut-off answer, and
/// compares what both daemons stored with what the mapping says of each entry.
async fn forwarded_as_meant(entries: Vec<String>) {
    let count = entries.len();
    let certificates = Certificates::new();
    let rsyslog = rsyslog::start(&certificates, Listen::TLS).await;
    let syslog_ng = syslog_ng::start(&certificates, Listen::TLS, Framing::OctetCounting, "").await;
    let slack =
        Slack::start("127.0.0.1:0".parse().unwrap(), Plan { given: now_and_then(entries), ..nasty() })
            .await
            .unwrap();
    let served = slack.entries();
    let forwarder = Forwarder::new(
        &slack,
        "start = \"2018-03-01T00:00:00Z\"\npoll_every = \"1s\"\nsettle = \"2s\"\nverify_after = \"6s\"\nrequests_per_minute = 6000\nquiet_after = \"off\"",
        &format!(
            "[destinations.rsyslog.tls]\nto = [\"{}\"]\nca = {ca:?}\n[destinations.syslog-ng.tls]\nto = [\"{}\"]\nca = {ca:?}\n",
            rsyslog.address(),
            syslog_ng.address(),
            ca = certificates.ca().to_str().unwrap(),
        ),
    );
    let mut running = forwarder.start(&[]);
    let start = Instant::now();
    while of_slack(rsyslog.stored()).len() < count || of_slack(syslog_ng.stored()).len() < count {
        assert!(
            start.elapsed() < PATIENCE && running.ended().is_none(),
            "rsyslog has {}, syslog-ng {} of {count}: {}",
            rsyslog.stored().len(),
            syslog_ng.stored().len(),
            running.log()
        );
        tick().await;
    }
    running.ask_to_end();
    assert!(running.end().await.success(), "{}", running.log());
    let stopped =
        |stored: Vec<Stored>| stored.iter().any(|stored| stored.raw.contains("|forwarder-stopped|"));
    while !stopped(rsyslog.stored()) || !stopped(syslog_ng.stored()) {
        assert!(start.elapsed() < 2 * PATIENCE, "it does not say that it stopped: {}", running.log());
        tick().await;
    }
    assert!(served.len() < count, "some entries came late");
    let served = slack.entries();
    assert_eq!(served.len(), count);
    let tally = slack.tally();
    assert_eq!((tally.without_oldest, tally.without_latest, tally.without_limit), (0, 0, 0));
    assert!(tally.troubled >= 4, "{tally:?}");

    let served = numbered(&served);
    let expected = expected(&served);
    for (daemon, stored) in
        [("rsyslog", rsyslog.finish(count).await), ("syslog-ng", syslog_ng.finish(count).await)]
    {
        let (stored, mut own): (Vec<_>, Vec<_>) =
            stored.into_iter().partition(|stored| is_of_slack(&stored.raw));
        // That of the late entries comes before the end, or with the next start.
        own.retain(|stored| !stored.raw.contains("|source-late|"));
        assert_eq!(stored.len(), count, "{daemon}: each exactly once");
        assert_eq!(own.len(), OF_ITS_OWN + unmapped(&served), "{daemon}: {own:?}");
        let (stored, meant) = (counted(lines(&stored)), counted(expected.clone()));
        let unlike: Vec<_> = stored.iter().filter(|(line, times)| meant.get(*line) != Some(*times)).collect();
        assert!(unlike.is_empty(), "{daemon}: not meant so: {unlike:?}");
    }
    read_by_others(&served, &expected);
}

/// That it started, and that it stopped.
const OF_ITS_OWN: usize = 2;

/// The actions that no mapping names, each of which is told once.
fn unmapped(served: &[Entry]) -> usize {
    let plans = compile(&builtin()).unwrap();
    let actions: BTreeSet<_> = served.iter().map(|entry| entry.action().as_str()).collect();
    actions.into_iter().filter(|action| plans.plan(Log::Audit, action).is_unmapped()).count()
}

fn of_slack(mut stored: Vec<Stored>) -> Vec<Stored> {
    stored.retain(|stored| is_of_slack(&stored.raw));
    stored
}

/// Slack on a bad day. Everything that can be told by number is, so that no run differs from another.
fn nasty() -> Plan {
    let fault = |on, trouble| Fault { when: When::On(on), trouble };
    Plan {
        pages: Pages { end: End::Mixed, ..Pages::default() },
        late: vec![Late {
            pick: Pick::Ids(LATE.map(str::to_owned).to_vec()),
            until: Until::Behind(Duration::from_secs(5)),
        }],
        faults: vec![
            fault(
                vec![2],
                Trouble::Refused { status: 429, error: Some("ratelimited".into()), retry_after: Some(1) },
            ),
            fault(vec![4], Trouble::Html { status: 500 }),
            fault(vec![6, 9], Trouble::CutOff),
            fault(vec![3, 5, 8], Trouble::EmptyPage),
        ],
        ..Plan::default()
    }
}

const LATE: [&str; 2] = ["late-0000-0001", "late-0000-0002"];

/// The entries at their own times, and two that happen now and can be read five seconds later: the
/// overlap of two settle times does not reach them, verification does.
fn now_and_then(mut entries: Vec<String>) -> Vec<String> {
    let now = jiff::Timestamp::now().as_second();
    for (entry, id) in entries.iter_mut().rev().filter(|entry| has_id(entry)).zip(LATE) {
        let mut value: serde_json::Value = serde_json::from_str(entry).unwrap();
        value["id"] = id.into();
        value["date_create"] = now.into();
        *entry = value.to_string();
    }
    entries
}

fn has_id(entry: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(entry).is_ok_and(|value| value["id"].is_string())
}

/// What each entry becomes, by the mapping and the encoder, without the path between.
fn expected(served: &[Entry]) -> Vec<String> {
    let plans = compile(&builtin()).unwrap();
    let (mut scratch, mut event) = (Scratch::new(), cef::Event::new());
    served
        .iter()
        .map(|entry| {
            plans.plan(Log::Audit, entry.action().as_str()).apply(entry, &mut scratch, &mut event);
            let mut line = Vec::new();
            Encoder::default().encode(&event, 8000 - header(entry).len(), &mut line);
            let line = String::from_utf8(line).unwrap();
            cef::decode(&line).unwrap();
            line
        })
        .collect()
}

/// The entries; of those alike to the byte each has its number, which their derived ids bear.
fn numbered(served: &[String]) -> Vec<Entry> {
    let mut alike: BTreeMap<&str, u32> = BTreeMap::new();
    let numbered = served.iter().map(|raw| {
        let nth = alike.entry(raw).or_default();
        *nth += 1;
        Entry::from_raw(Log::Audit, raw.clone().into(), UnixTime::from_seconds(0), *nth - 1).unwrap()
    });
    numbered.collect()
}

/// The header that the program writes, but for the host's name and the priority's digits.
fn header(entry: &Entry) -> String {
    let host = hostname::get().unwrap();
    format!("<134>1 {} {} CEF - - - ", entry.at(), host.to_str().unwrap())
}

/// The CEF part of each message; each message is one line with an RFC 5424 header before it.
fn lines(stored: &[Stored]) -> Vec<String> {
    stored
        .iter()
        .map(|stored| {
            let (before, cef) = stored.raw.split_once("CEF:0|").unwrap_or_else(|| panic!("{stored:?}"));
            assert!(before.starts_with('<') && before.ends_with(" CEF - - - "), "{before}");
            format!("CEF:0|{cef}")
        })
        .collect()
}

fn counted(lines: Vec<String>) -> BTreeMap<String, usize> {
    let mut counted = BTreeMap::new();
    for line in lines {
        *counted.entry(line).or_default() += 1;
    }
    counted
}

/// Other people's parsers read every line as the mapping meant it.
fn read_by_others(served: &[Entry], lines: &[String]) {
    let plans = compile(&builtin()).unwrap();
    let (mut scratch, mut event) = (Scratch::new(), cef::Event::new());
    for reading in read_all(lines) {
        let line = &lines[reading.line];
        let entry = &served[reading.line];
        plans.plan(Log::Audit, entry.action().as_str()).apply(entry, &mut scratch, &mut event);
        let fields = if line.contains(" slackcefCut=") {
            cef::decode(line).unwrap().fields
        } else {
            meant(Encoder::default(), &event).0
        };
        reading.assert_fields(line, &fields);
    }
}
