//! Many sources in one process: each is read, those of an organization share its budget in turns, and
//! none stands in another's way.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use slackcef::config::Config;
use slackcef::simulate::slack::{Fault, Pages, Plan, RateLimit, Request, Slack, TOKEN, Trouble, When};
use slackcef::slack::Proxy;
use tempfile::TempDir;

use crate::support::daemon::{PATIENCE, tick};
use crate::support::forwarder::{self, Running};

/// A folder for a configuration with a file as its destination.
struct Scene {
    dir: TempDir,
    sources: String,
}

impl Scene {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), sources: String::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A source with the token in the file of that name, which asks for what `name` has done.
    fn source(&mut self, name: &str, slack: &str, token: &str, more: &str) {
        let file = self.path(token);
        if !file.exists() {
            fs::write(&file, TOKEN).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        }
        write!(
            self.sources,
            "[sources.{name}]\nlog = \"audit\"\ntoken = {{ file = {file:?} }}\nbase_url = {slack:?}\n\
             only = {{ actor = {name:?} }}\n{more}\n"
        )
        .unwrap();
    }

    fn write(&self, more: &str) {
        let text = format!(
            "version = 1\n[state]\ndir = {:?}\n[telemetry]\nlisten = \"off\"\n{}\n{more}\n[destinations.out]\nage = \"0s\"\nfile = {{ path = {:?} }}\n",
            self.path("state"),
            self.sources,
            self.path("out")
        );
        fs::write(self.path("slackcef.toml"), text).unwrap();
    }

    fn start(&self) -> Running {
        self.write("");
        let mut command = forwarder::command();
        command.args(["run", "--config", self.path("slackcef.toml").to_str().unwrap()]);
        forwarder::begin(&mut command, &self.path("log"))
    }

    fn delivered(&self) -> String {
        fs::read_to_string(self.path("out")).unwrap_or_default()
    }
}

async fn slack(plan: Plan) -> Slack {
    Slack::start(([127, 0, 0, 1], 0).into(), plan).await.unwrap()
}

async fn until(running: &Running, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < 4 * PATIENCE, "{}", running.log());
        tick().await;
    }
}

fn actor(request: &Request) -> &str {
    request.parameter("actor").unwrap()
}

/// How often each source has asked.
fn by_source(slack: &Slack) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for request in slack.requests() {
        *counts.entry(actor(&request).to_owned()).or_default() += 1;
    }
    counts
}

/// A Slack with an entry for each of these actors.
fn entries<'a>(actors: impl IntoIterator<Item = &'a str>, of_each: usize) -> Vec<String> {
    let now = jiff::Timestamp::now().as_second();
    let entry = |actor: &str, nth: usize| {
        let at = now - 3_600 - i64::try_from(nth).unwrap() * 100;
        format!(
            r#"{{"id":"of-{actor}-{nth}","date_create":{at},"action":"user_login","actor":{{"type":"user","user":{{"id":"{actor}"}}}}}}"#
        )
    };
    actors.into_iter().flat_map(|actor| (0..of_each).map(move |nth| entry(actor, nth))).collect()
}

#[tokio::test]
async fn a_thousand_sources_are_all_read_and_delivered() {
    const COUNT: usize = 1_000;
    let names: Vec<_> = (0..COUNT).map(|nth| format!("s{nth}")).collect();
    let given = entries(names.iter().map(String::as_str), 1);
    let slack = slack(Plan { given, ..Plan::default() }).await;
    let mut scene = Scene::new();
    for name in &names {
        let token = format!("token-{name}");
        scene.source(name, &slack.base_url(), &token, "start = \"2h\"\npoll_every = \"20s\"");
    }
    let mut running = scene.start();
    until(&running, || scene.delivered().matches("externalId=of-s").count() >= COUNT).await;
    running.ask_to_end();
    assert!(running.end().await.success());
    let delivered = scene.delivered();
    let ids = delivered.lines().filter_map(|line| line.split("externalId=of-").nth(1)?.split(' ').next());
    assert_eq!(ids.collect::<BTreeSet<_>>().len(), COUNT);
    assert_eq!(by_source(&slack).len(), COUNT);
    assert_eq!(slack.tally().troubled, 0);
}

/// A Slack that has far more than can be read, an entry a page, and grants no more than a burst of 6
/// and 240 requests a minute.
fn limited(actors: &[&str]) -> Plan {
    Plan {
        given: entries(actors.iter().copied(), 300),
        pages: Pages { largest: 1, ..Pages::default() },
        rate_limit: Some(RateLimit { per_minute: 240, burst: 6 }),
        ..Plan::default()
    }
}

#[tokio::test]
async fn sources_of_one_organization_share_its_budget_in_turns() {
    let slack = slack(limited(&["a", "b", "c"])).await;
    let mut scene = Scene::new();
    let url = slack.base_url();
    scene.source("a", &url, "one", "start = \"1d\"\nrequests_per_minute = 200\norganization = \"acme\"");
    scene.source("b", &url, "one", "start = \"1d\"");
    scene.source("c", &url, "two", "start = \"1d\"\norganization = \"acme\"");
    let mut running = scene.start();
    until(&running, || slack.tally().requests >= 33).await;
    assert_eq!(slack.tally().troubled, 0, "{}", running.log());
    running.ask_to_end();
    assert!(running.end().await.success());
    // The first belong to who began first.
    let mut counts = BTreeMap::new();
    for request in slack.requests().get(12..33).unwrap() {
        *counts.entry(actor(request).to_owned()).or_insert(0) += 1;
    }
    let turns = |count: &i32| (6..=8).contains(count);
    assert!(counts.len() == 3 && counts.values().all(turns), "{counts:?}");
}

#[tokio::test]
async fn a_check_asks_for_each_source_once_within_the_budget_of_all() {
    let slack = slack(limited(&[])).await;
    let mut scene = Scene::new();
    let names: Vec<_> = (10..22).map(|nth| format!("s{nth}")).collect();
    scene.source(&names[0], &slack.base_url(), "one", "requests_per_minute = 200");
    for name in &names[1..] {
        scene.source(name, &slack.base_url(), "one", "");
    }
    scene.write("");
    let config = scene.path("slackcef.toml");
    let check = move || forwarder::slackcef(&["check", "--json", "--config", config.to_str().unwrap()]);
    let output = tokio::task::spawn_blocking(check).await.unwrap();
    assert!(output.status.success(), "{output:?}");
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let found = found.as_array().unwrap().iter().filter_map(|finding| finding["what"].as_str());
    let told: Vec<_> = found.filter_map(|what| what.strip_prefix("source ")).collect();
    assert_eq!(told, names, "in their order");
    assert!(by_source(&slack).values().eq(&[1; 12]));
    assert_eq!(slack.tally().troubled, 0);
}

#[tokio::test]
async fn a_reload_leaves_an_organization_with_one_budget() {
    let slack = slack(limited(&["a", "b"])).await;
    let mut scene = Scene::new();
    scene.source("a", &slack.base_url(), "one", "start = \"1d\"");
    scene.source("c", &slack.base_url(), "one", "start = \"now\"\nrequests_per_minute = 120");
    let mut running = scene.start();
    until(&running, || slack.tally().requests >= 8).await;
    // Nothing of `a` changes but what it shares.
    scene.source("b", &slack.base_url(), "one", "start = \"1d\"");
    scene.sources = scene.sources.replace("requests_per_minute = 120", "requests_per_minute = 200");
    scene.write("");
    running.signal("HUP");
    until(&running, || by_source(&slack).get("b").is_some_and(|count| *count >= 20)).await;
    assert_eq!(slack.tally().troubled, 0, "{}", running.log());
    let log = running.log();
    assert!(log.contains("the source ends") && !log.contains("source=a stored"), "{log}");
    running.ask_to_end();
    assert!(running.end().await.success());
}

#[tokio::test]
async fn a_source_that_fails_delays_no_other() {
    let always = |trouble| vec![Fault { when: When::Every(1), trouble }];
    let long = Duration::from_secs(600);
    let stalling = slack(Plan { faults: always(Trouble::Stalled(long)), ..Plan::default() }).await;
    let slow = slack(Plan { faults: always(Trouble::Slow(long)), ..Plan::default() }).await;
    let refused = Trouble::Refused { status: 429, error: None, retry_after: Some(600) };
    let limited = slack(Plan { faults: always(refused), ..Plan::default() }).await;
    let well = slack(Plan::default()).await;
    let mut scene = Scene::new();
    let often = "poll_every = \"1s\"\nstart = \"1d\"\n";
    for (name, other) in [("stalling", &stalling), ("slow", &slow), ("limited", &limited)] {
        scene.source(name, &other.base_url(), name, &format!("{often}organization = {name:?}"));
    }
    scene.source("gone", "http://127.0.0.1:1", "gone", often);
    scene.source("well", &well.base_url(), "well", &format!("{often}requests_per_minute = 600"));
    // Of one organization with one whose Slack does not answer: it waits for no answer of another's.
    let beside = format!("{often}organization = \"slow\"\nrequests_per_minute = 600");
    scene.source("beside", &well.base_url(), "well", &beside);
    let mut running = scene.start();
    until(&running, || {
        let counts = by_source(&well);
        ["well", "beside"].iter().all(|name| counts.get(*name).is_some_and(|count| *count >= 8))
    })
    .await;
    for (name, other) in [("stalling", &stalling), ("slow", &slow), ("limited", &limited)] {
        let asked = other.tally().requests;
        assert!((1..=5).contains(&asked), "{name} is asked with patience: {asked}");
    }
    running.ask_to_end();
    assert!(running.end().await.success());
}

#[test]
fn the_readmes_examples_are_read() {
    let readme = include_str!("../../README.md");
    let (_, section) = readme.split_once("## Reaching Slack").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let blocks: Vec<_> =
        section.split("```toml\n").skip(1).map(|block| block.split("```").next().unwrap()).collect();
    assert_eq!(blocks.len(), 3);
    let text = format!("version = 1\n{}\n[destinations.out]\nstdout = {{}}\n", blocks.concat());
    let config = Config::parse("README.md", &text).unwrap();
    let sources = &config.sources;
    assert_eq!(sources["acme-audit"].organization, sources["acme-security"].organization);
    assert_eq!(sources["acme-security"].requests_per_minute.get(), 40);
    assert_eq!(sources["acme-gov"].reach.proxy, Proxy::Off);
    assert!(config.trace.is_some());
}
