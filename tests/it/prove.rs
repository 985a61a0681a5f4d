//! Nothing is missed, and `prove` says so: a Slack with all its habits at once, a poller's machine whose
//! clock jumps, a service that is killed every few seconds; then what `prove` has to say.
//!
//! `cargo test --test it prove` runs it with 30,000 entries. With a million, which takes some minutes:
//!
//! ```sh
//! cargo test --release --test it -- --ignored --nocapture a_million_entries
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use slackcef::config::Config;
use slackcef::event::UnixTime;
use slackcef::pipeline::{App, Finished, Lateness, Mode, Reading, RunError, SetupError};
use slackcef::simulate::receiver::{Receiver, ServerTls, Settings};
use slackcef::simulate::slack::{
    Clock as SlackClock, End, Fault, Generated, Late, Pace, Pages, Pick, Plan, Request, Slack, Trouble,
    Until, When,
};
use slackcef::slack::Clock;
use slackcef::slack::audit::{self, Marks};
use slackcef::store::{Archive, OpenError, SourceId};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::support::arrived::Arrived;
use crate::support::certificates::Certificates;
use crate::support::daemon::{PATIENCE, tick};
use crate::support::forwarder::{Forwarder, is_of_slack, slackcef};

const HERE: ([u8; 4], u16) = ([127, 0, 0, 1], 0);
/// When the first entry happens.
const BEGIN: i64 = 1_790_000_000;
const HOUR: i64 = 3_600;
const MINUTE: Duration = Duration::from_secs(60);

/// A run of it.
struct Scene {
    count: u64,
    /// How long the entries take to happen.
    seconds: i64,
    requests_per_minute: u32,
    /// The most entries of a page.
    page: usize,
    /// How long it takes, at most.
    patience: Duration,
}

const USUAL: Scene = Scene {
    count: 30_000,
    seconds: 2 * HOUR,
    requests_per_minute: 1_200,
    page: 500,
    patience: PATIENCE.saturating_mul(6),
};

const FULL: Scene = Scene {
    count: 1_000_000,
    seconds: 6 * HOUR,
    requests_per_minute: 1_200,
    page: 1_000,
    patience: Duration::from_secs(3_600),
};

/// Two in a hundred come late, some of them by nearly an hour.
fn late() -> Vec<Late> {
    let rule = |one_in, minutes: u64| Late {
        pick: Pick::OneIn(one_in),
        until: Until::Behind(Duration::from_secs(minutes * 60)),
    };
    // What one in 2,000 holds of, one in 1,000 holds of as well: the first rule counts.
    vec![rule(2_000, 59), rule(1_000, 40), rule(400, 20), rule(200, 5), rule(100, 3), rule(50, 2)]
}

fn faults() -> Vec<Fault> {
    let every = |nth, trouble| Fault { when: When::Every(nth), trouble };
    let chance = |chance, trouble| Fault { when: When::Chance(chance), trouble };
    let busy = Trouble::Refused { status: 429, error: Some("ratelimited".to_owned()), retry_after: Some(1) };
    vec![
        every(251, busy),
        every(293, Trouble::Html { status: 503 }),
        every(331, Trouble::CutOff),
        every(397, Trouble::HalfJson),
        chance(0.1, Trouble::CursorExpired),
        chance(0.03, Trouble::EmptyPage),
        chance(0.03, Trouble::ShortPage),
    ]
}

/// Every request, by when it came.
#[derive(Debug, Default)]
struct Requests(Vec<Instant>);

impl Requests {
    /// Takes in those that came since; the simulator remembers the last 10,000.
    fn follow(&mut self, slack: &Slack) {
        let all = slack.requests();
        let known = self.0.len() as u64;
        assert!(all.first().is_none_or(|first: &Request| first.number <= known + 1), "some were forgotten");
        self.0.extend(all.iter().filter(|request| request.number > known).map(|request| request.received));
    }

    /// The most within any time of that length.
    fn most_within(&self, length: Duration) -> usize {
        let within = |(nth, from): (usize, &Instant)| {
            self.0[nth..].partition_point(|at| at.duration_since(*from) < length)
        };
        self.0.iter().enumerate().map(within).max().unwrap_or(0)
    }
}

/// A forwarder whose clock is Slack's, but for its jumps.
struct Machine {
    slack: Arc<Slack>,
    config: Config,
    ahead: Arc<AtomicI64>,
}

impl Machine {
    /// Begins, as soon as the process before has let go of the store.
    async fn start(&self) -> Life {
        loop {
            let (slack, ahead) = (Arc::clone(&self.slack), Arc::clone(&self.ahead));
            let clock =
                Clock::new(move || UnixTime::from_seconds(slack.now() + ahead.load(Ordering::SeqCst)));
            let config = self.config.clone();
            let life = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            let built = life.spawn(async move { App::build_by(&config, &clock).await }).await.unwrap();
            let life = Process(Some(life));
            match built {
                Ok(app) => return Life::of(app, life),
                Err(SetupError::Open(OpenError::Held { .. })) => tick().await,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// What stands for a process: all that it does is done on a runtime of its own, and ends with it,
/// wherever it is.
struct Process(Option<Runtime>);

impl Drop for Process {
    fn drop(&mut self) {
        self.0.take().unwrap().shutdown_background();
    }
}

/// A service that runs; dropped, it is killed.
struct Life {
    readings: watch::Receiver<Vec<(SourceId, watch::Receiver<Reading>)>>,
    stop: Box<dyn Fn() + Send>,
    ended: JoinHandle<Result<Finished, RunError>>,
    _process: Process,
}

impl Life {
    fn of(app: App, process: Process) -> Self {
        let runtime = process.0.as_ref().unwrap();
        let running = {
            let _within = runtime.enter();
            app.start(Mode::Forever)
        };
        let (readings, stop) = (running.readings(), Box::new(running.stopper()));
        Self { readings, stop, ended: runtime.spawn(running.finish()), _process: process }
    }

    fn reading(&self) -> watch::Receiver<Reading> {
        self.readings.borrow()[0].1.clone()
    }

    /// Ends it in order.
    async fn end(self) {
        (self.stop)();
        self.ended.await.unwrap().unwrap();
    }
}

/// What is read, and what is verified, as the store has it.
fn marks(forwarder: &Forwarder) -> Option<Marks> {
    let survey = Archive::open(&forwarder.dir().join("state")).ok()?.survey().unwrap();
    let (_, bookmark) = survey.sources.iter().find(|(name, _)| name.as_str() == "acme")?;
    audit::marks(bookmark.as_bytes()).ok()
}

fn prove(forwarder: &Forwarder, from: i64, to: i64, more: &[&str]) -> (i32, Value, Output) {
    let [from, to] = [from, to].map(|at| UnixTime::from_seconds(at).to_string());
    let config = forwarder.config();
    let given = ["prove", "--config", &config, "--from", &from, "--to", &to, "--json"];
    let output = slackcef(&[&given, more].concat());
    let json = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output.status.code().unwrap(), json, output)
}

fn sum(proof: &Value, key: impl Fn(&Value) -> u64) -> u64 {
    proof["sources"][0]["windows"].as_array().unwrap().iter().map(key).sum()
}

fn plan(scene: &Scene) -> Plan {
    Plan {
        clock: SlackClock::Fixed(UnixTime::from_seconds(BEGIN)),
        pages: Pages {
            largest: scene.page,
            end: End::Mixed,
            cursor_life: Some(Duration::from_secs(150)),
            ..Pages::default()
        },
        generated: Some(Generated {
            count: Some(scene.count),
            pace: Pace::Over(Duration::from_secs(scene.seconds.unsigned_abs())),
            start: Some(UnixTime::from_seconds(BEGIN)),
            ..Generated::default()
        }),
        late: late(),
        faults: faults(),
        ..Plan::default()
    }
}

async fn nothing_is_missed(scene: Scene) {
    let Scene { count, seconds, requests_per_minute, patience, .. } = scene;
    let begun = Instant::now();
    let slack = Arc::new(Slack::start(SocketAddr::from(HERE), plan(&scene)).await.unwrap());
    let certificates = Certificates::new();
    let tls = Some(ServerTls::new(certificates.server()));
    let receiver = Receiver::start(Settings { tls, ..Settings::default() }).await.unwrap();
    let forwarder = Forwarder::new(
        &slack,
        &format!(
            "start = \"{}\"\npoll_every = \"1s\"\nrequests_per_minute = {requests_per_minute}",
            UnixTime::from_seconds(BEGIN)
        ),
        &format!(
            "[destinations.siem]\nage = \"100ms\"\n[destinations.siem.tls]\nto = [\"{}\"]\nca = {:?}\n",
            receiver.address(),
            certificates.ca(),
        ),
    );
    let arrived = Arrived::at(receiver);
    let missing = || count - arrived.different();
    let config = Config::load(forwarder.config().as_ref()).unwrap();
    let machine = Machine { slack: Arc::clone(&slack), config, ahead: Arc::default() };

    let (end, over) = (BEGIN + seconds, BEGIN + seconds + HOUR + 1_000);
    let mut dice = fastrand::Rng::with_seed(2);
    let (mut requests, mut restarts, mut steps, mut lateness) = (Requests::default(), 0, 0, None::<Lateness>);
    let mut between = Duration::ZERO;
    while marks(&forwarder).is_none_or(|marks| marks.verified.seconds() < end) || missing() > 0 {
        let starting = Instant::now();
        let life = machine.start().await;
        between += starting.elapsed();
        restarts += 1;
        // Now it is close behind Slack, now far.
        let lag = dice.choice([200, 900, 2_500]).unwrap();
        let reading = life.reading();
        let until = Instant::now() + Duration::from_millis(dice.u64(1_000..4_000));
        while Instant::now() < until {
            let there = || format!("{} of {count} are missing: {:?}", missing(), marks(&forwarder));
            assert!(begun.elapsed() < patience, "{}", there());
            // Time goes by as fast as it can be followed, and no faster: cursors are good for a while.
            let read = reading.borrow().read_up_to.map_or(BEGIN, UnixTime::seconds);
            let follows = slack.now() - read < lag;
            if slack.now() < over && follows {
                slack.advance(dice.i64(1..20));
            }
            if dice.u8(0..20) == 0 {
                steps += 1;
                let jumps = [0, 0, 30, -45, 700, -700, 2 * HOUR, -2 * HOUR];
                machine.ahead.store(dice.choice(jumps).unwrap(), Ordering::SeqCst);
            }
            tick().await;
        }
        machine.ahead.store(0, Ordering::SeqCst);
        lateness = reading.borrow().lateness.clone();
        drop(life);
        requests.follow(&slack);
    }
    // The last one ends in order: what was broken off before it was confirmed is confirmed now.
    machine.start().await.end().await;
    requests.follow(&slack);
    let (took, tally) = (begun.elapsed(), slack.tally());
    let (most, at_once) = (requests.most_within(MINUTE), requests.most_within(MINUTE / 50));

    // Every id arrived; `prove` says so, by the store and by Slack.
    let day = ["--window", "30m", "--against-slack"];
    let asked = Instant::now();
    let (exit, proof, output) = prove(&forwarder, BEGIN, end, &day);
    let asked = asked.elapsed();
    assert_eq!(exit, 0, "{}\n{proof:#}", String::from_utf8_lossy(&output.stderr));
    let of = |key: &'static str| sum(&proof, move |window| window[key].as_u64().unwrap());
    let at_siem =
        |key: &'static str| sum(&proof, move |window| window["destinations"][0][key].as_u64().unwrap());
    assert_eq!((of("read"), of("ids")), (count, count));
    assert_eq!((at_siem("delivered"), at_siem("waiting"), at_siem("mapped")), (count, 0, count));
    let against = &proof["sources"][0]["against_slack"];
    assert_eq!((&against["equal"], &against["missed"]["count"]), (&count.into(), &0.into()));
    assert_eq!(against["forgotten"]["count"], 0);
    let lateness = lateness.unwrap();
    assert!(of("late") > 0 && lateness.late() > 0, "{lateness:?}");

    println!(
        "{count} entries over {} h, 2 % late: 0 missing, {} repeated, {} late (longest {} s), in {took:.0?}\n\
         {restarts} restarts, which took {between:.0?} of it, {steps} clock steps, {} entries in {} answers\n\
         {} requests, {} of them struck by faults, at most {most} in a minute of {requests_per_minute}, at most {at_once} in 1.2 s\n\
         prove --against-slack: {asked:.1?}",
        seconds / HOUR,
        arrived.repeats(),
        of("late"),
        lateness.longest_seconds,
        tally.entries,
        tally.pages,
        tally.requests,
        tally.troubled,
    );
    assert!(most <= requests_per_minute as usize, "{most} requests in a minute");
    // Nor do many come at once, be it after a restart; of two that keep their distance the first may be
    // late on its way, and the one before as well when its process was broken off.
    assert!(at_once <= requests_per_minute as usize / 50 + 2, "{at_once} requests in 1.2 s");

    if count <= USUAL.count {
        the_digests_are_those_of_slack(&slack, &proof);
        what_comes_later_than_it_was_looked_for_is_named(&slack, &forwarder);
    }
}

fn the_digests_are_those_of_slack(slack: &Slack, proof: &Value) {
    let mut windows: BTreeMap<i64, BTreeSet<String>> = BTreeMap::new();
    for raw in slack.entries() {
        let entry: Value = serde_json::from_str(&raw).unwrap();
        let window = (entry["date_create"].as_i64().unwrap() - BEGIN) / 1_800;
        windows.entry(window).or_default().insert(entry["id"].as_str().unwrap().to_owned());
    }
    let digest = |ids: &BTreeSet<String>| {
        let mut digest = Sha256::new();
        for id in ids {
            digest.update(id);
            digest.update("\n");
        }
        let bytes = digest.finalize();
        bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
    };
    let expected: Vec<_> = windows.values().map(digest).collect();
    let said = proof["sources"][0]["windows"].as_array().unwrap();
    assert_eq!(said.iter().map(|window| window["digest"].as_str().unwrap()).collect::<Vec<_>>(), expected);
}

fn what_comes_later_than_it_was_looked_for_is_named(slack: &Slack, forwarder: &Forwarder) {
    let (at, end) = (BEGIN + 100, BEGIN + 1_800);
    slack.push(&format!(r#"{{"id":"too-late","date_create":{at},"action":"user_login"}}"#)).unwrap();
    let (exit, proof, _) = prove(forwarder, BEGIN, end, &[]);
    assert_eq!((exit, &proof["proven"]), (0, &true.into()), "the store knows nothing of it");
    let (exit, proof, output) = prove(forwarder, BEGIN, end, &["--against-slack"]);
    assert_eq!(exit, 1);
    let missed = &proof["sources"][0]["against_slack"]["missed"];
    assert_eq!((&missed["count"], &missed["first"][0]["id"]), (&1.into(), &"too-late".into()));
    assert_eq!(missed["first"][0]["at"], UnixTime::from_seconds(at).to_string());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("1 entries of acme are in Slack and not in the store"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_thousand_entries_late_shuffled_and_through_faults_are_all_delivered_and_proven() {
    nothing_is_missed(USUAL).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: see the head of this file"]
async fn a_million_entries_late_shuffled_and_through_faults_are_all_delivered_and_proven() {
    nothing_is_missed(FULL).await;
}

/// A store of 300 entries of the last hour, read by `run --once`, and a source that no destination of
/// those that can be reached wants whole.
async fn some() -> (Slack, Forwarder, TempDir) {
    let pace = Pace::Over(Duration::from_secs(3_600));
    let generated = Generated { count: Some(300), pace, ..Generated::default() };
    let plan = Plan { generated: Some(generated), ..Plan::default() };
    let slack = Slack::start(SocketAddr::from(HERE), plan).await.unwrap();
    let files = tempfile::tempdir().unwrap();
    let drops = "version = 1\nlog = \"audit\"\n[[rules]]\nwhen = { action = \"user_login\" }\ndrop = true\n";
    fs::write(files.path().join("drops.toml"), drops).unwrap();
    let forwarder = Forwarder::new(
        &slack,
        "start = \"1h\"\nsettle = \"2s\"\nrequests_per_minute = 1000000",
        &format!(
            "[mappings.quiet]\ndir = {:?}\n\
             [destinations.archive]\nmapping = \"quiet\"\nwhen = {{ severity = {{ at_least = 3 }} }}\n\
             [destinations.archive.file]\npath = {:?}\n\
             [destinations.nobody.tcp]\nto = [\"127.0.0.1:1\"]\n",
            files.path(),
            files.path().join("archive.cef"),
        ),
    );
    let status = forwarder.command(&["--once"]).status().unwrap();
    assert_eq!(status.code(), Some(75), "one destination is not there");
    (slack, forwarder, files)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_dropped_is_told_from_what_waits_and_what_was_not_wanted() {
    let (slack, forwarder, files) = some().await;
    let (from, to) = (slack.now() - 3_500, slack.now() - 60);
    let (exit, proof, output) = prove(&forwarder, from, to, &["--window", "10m"]);
    assert_eq!(exit, 75, "{proof:#}");
    let read = sum(&proof, |window| window["read"].as_u64().unwrap());
    assert!((200..=300).contains(&read), "{read}");
    let at = |nth: usize, key: &str| sum(&proof, |window| window["destinations"][nth][key].as_u64().unwrap());
    let [mapped, dropped, unwanted, delivered, waiting] =
        ["mapped", "dropped", "unwanted", "delivered", "waiting"].map(|key| at(0, key));
    assert!(dropped > 0 && unwanted > 0 && delivered > 0, "{proof:#}");
    assert_eq!((mapped + dropped, unwanted + delivered, waiting), (read, mapped, 0));
    assert_eq!((at(1, "mapped"), at(1, "waiting")), (read, read));
    // What is an hour old would be verified by now; the last hour is not.
    assert_eq!(proof["sources"][0]["windows"][5]["coverage"], "not-verified");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(&format!("{read} entries of acme wait for nobody")), "{said}");

    // What lies among dead letters was not delivered.
    let archive = fs::read_to_string(files.path().join("archive.cef")).unwrap();
    let sent: Vec<_> = archive.lines().filter(|line| is_of_slack(line)).collect();
    let dead = sent[sent.len() / 2];
    let id = dead.split_once("externalId=").unwrap().1.split(' ').next().unwrap();
    let folder = forwarder.dir().join("state/dead-letters");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("archive.ndjson"), format!("{{\"entry\":\"{id}\"}}\n{{\"cut")).unwrap();
    let (exit, proof, _) = prove(&forwarder, from, to, &[]);
    assert_eq!(exit, 69);
    let now = |key: &str| sum(&proof, |window| window["destinations"][0][key].as_u64().unwrap());
    assert_eq!((now("dead_letters"), now("delivered")), (1, delivered - 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_read_is_no_proof() {
    let (slack, forwarder, _files) = some().await;
    let now = slack.now();
    let only = |from, to, more: &[&str]| {
        let (exit, proof, output) = prove(&forwarder, from, to, more);
        (exit, proof, String::from_utf8(output.stderr).unwrap())
    };
    let (exit, proof, said) = only(now - 600, now + 600, &[]);
    assert_eq!((exit, &proof["sources"][0]["windows"][0]["coverage"]), (75, &"not-read".into()));
    assert!(said.contains("acme is read up to 20"), "{said}");
    let (exit, proof, said) = only(now - 2 * HOUR, now - 600, &[]);
    assert_eq!((exit, &proof["sources"][0]["windows"][0]["coverage"]), (69, &"before-start".into()));
    assert!(said.contains("acme is read from 20"), "{said}");
    let (exit, _, said) = only(now - 600, now - 60, &["--source", "acne"]);
    assert_eq!(exit, 64);
    assert!(said.contains("neither store nor configuration know a source acne"), "{said}");
    let (exit, _, said) = only(now - 60, now - 600, &[]);
    assert_eq!(exit, 64, "{said}");
    // The forwarder's own events are no log of seconds.
    let (_, proof, _) = only(now - 600, now + 600, &["--source", "slackcef"]);
    assert_eq!(proof["sources"][0]["windows"][0]["coverage"], "stored");

    let table = slackcef(&[
        "prove",
        "--config",
        &forwarder.config(),
        "--from",
        "50m",
        "--to",
        "10m",
        "--window",
        "20m",
    ]);
    let table = String::from_utf8(table.stdout).unwrap();
    let rows: Vec<_> = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).collect();
    let heading = [
        "WINDOW",
        "READ",
        "LATE",
        "SECONDS",
        "IDS",
        "DESTINATION",
        "DROPPED",
        "NOT",
        "WANTED",
        "DELIVERED",
        "WAITING",
        "DEAD",
    ];
    assert_eq!(rows[3], heading, "{table}");
    assert_eq!((rows[4][0], rows[5][0], rows.len()), ("--", "nobody", 8), "{table}");
}
