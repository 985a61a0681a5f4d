//! Whole organizations from outside: simulated Slacks and the forwarder, each a process of its own.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use jiff::Timestamp;
use serde_json::Value;
use slackcef::cef::{self, Decoded};
use slackcef::simulate::slack::OAuth;
use tempfile::TempDir;

use crate::support::daemon::until;
use crate::support::forwarder::{self, Running, is_of_slack};
use crate::support::login::{Login, allowed};
use crate::support::simulator::Simulator;

/// The forwarder's folder and its configuration.
struct Place {
    folder: TempDir,
    config: String,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "version = 1\n[state]\ndir = {:?}\n[telemetry]\nlisten = \"off\"\n",
            folder.path().join("state")
        );
        Self { folder, config }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts a secret into a file of its own.
    fn secret(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// Adds a login of the app of that Slack.
    fn login(&mut self, name: &str, slack: &Simulator) {
        let OAuth { client_id, client_secret, .. } = OAuth::default();
        let secret = self.secret("client-secret", &client_secret);
        self.add(&format!(
            "[oauth.{name}]\nclient_id = {client_id:?}\nclient_secret = {{ file = {secret:?} }}\nbase_url = {:?}\n",
            slack.base_url
        ));
    }

    /// Adds a source of that log with that login.
    fn source(&mut self, name: &str, log: &str, login: &str, slack: &Simulator, more: &str) {
        self.add(&format!(
            "[sources.{name}]\nlog = {log:?}\ntoken = {{ oauth = {login:?} }}\nbase_url = {:?}\nstart = \"30d\"\n\
             poll_every = \"1s\"\nrequests_per_minute = 1000000\n{more}\n",
            slack.base_url
        ));
    }

    /// Adds a file for what comes of that source.
    fn file(&mut self, source: &str) {
        let path = self.path(source);
        self.add(&format!(
            "[destinations.{source}]\nsources = [{source:?}]\n[destinations.{source}.file]\npath = {path:?}\n"
        ));
    }

    fn add(&mut self, tables: &str) {
        self.config.write_str(tables).unwrap();
        fs::write(self.path("slackcef.toml"), &self.config).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = forwarder::command();
        command.env("SLACKCEF_CONFIG", self.path("slackcef.toml")).args(arguments).stdin(Stdio::null());
        command
    }

    async fn log_in(&self, login: &str) {
        let mut under_way = Login::start(self.command(&["auth", "login", login, "--paste"]));
        let back = allowed(&under_way.url()).await;
        under_way.paste(&back);
        let output = under_way.end();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn run(&self) -> Running {
        forwarder::begin(self.command(&["run"]).stdout(Stdio::null()), &self.path("log"))
    }

    /// The events of that source's file.
    fn events(&self, source: &str) -> Vec<String> {
        let text = fs::read_to_string(self.path(source)).unwrap_or_default();
        // The last line may still be on its way.
        let (whole, _) = text.rsplit_once('\n').unwrap_or_default();
        whole.lines().map(str::to_owned).collect()
    }

    /// The ids of a source's entries that have arrived.
    fn ids(&self, source: &str) -> BTreeSet<String> {
        let entries = self.events(source).into_iter().filter(|line| is_of_slack(line));
        entries.map(|line| decoded(&line).value("externalId").unwrap().to_owned()).collect()
    }

    /// The forwarder's own events of that class.
    fn own(&self, class_id: &str, file: &str) -> Vec<Decoded> {
        let own = self.events(file).into_iter().filter(|line| !is_of_slack(line));
        own.map(|line| decoded(&line)).filter(|event| event.class_id == class_id).collect()
    }
}

fn decoded(line: &str) -> Decoded {
    cef::decode(line.get(line.find("CEF:").unwrap()..).unwrap()).unwrap()
}

/// A bad day of an organization, but its forwarder can do its work.
const BAD_DAY: &str = r#"
    version = 1
    generated = { count = 400, over = "2h" }
    pages = { largest = 100 }

    [[faults]]
    fault = "429"
    retry_after = 1
    on = 2
    [[faults]]
    fault = "cut-off"
    on = 4

    [allowlist]
    ranges = ["192.0.2.0/24"]
    [[allowlist.faults]]
    fault = "slow"
    length = "100ms"
    on = 1

    [access]
    rows = 230
    largest = 100
    [[access.faults]]
    fault = "500-html"
    on = 2

    [integration]
    count = 120
    largest = 50
    [[integration.faults]]
    fault = "429"
    on = 2
    [[integration.faults]]
    fault = "half-json"
    on = 3

    [[webhooks.faults]]
    fault = "429"
    retry_after = 1
    on = 1

    [oauth]
    token_life = "6s"
"#;

/// No token of a life of six seconds is refreshed sooner after its birth than this: it is due a second
/// before its end, and times are whole seconds.
const LEAST_OF_A_LIFE_MS: i64 = 4_000;

#[tokio::test(flavor = "multi_thread")]
async fn three_logs_share_a_login_that_is_refreshed_once_in_each_life_of_its_token() {
    let slack = Simulator::start(BAD_DAY).await;
    let mut place = Place::new();
    place.login("acme", &slack);
    place.source("audit", "audit", "acme", &slack, "settle = \"2s\"\ntrusted = true");
    place.source("access", "access", "acme", &slack, "");
    place.source("integration", "integration", "acme", &slack, "");
    let logs = [("audit", 400), ("access", 230), ("integration", 120)];
    for (log, _) in logs {
        place.file(log);
    }
    let webhook = place.secret("webhook", &slack.webhook);
    place.add(&format!(
        "[notify.security]\nwebhook = {{ file = {webhook:?} }}\nwhen = {{}}\nwindow = \"1s\"\n"
    ));
    place.log_in("acme").await;
    let mut running = place.run();

    for (log, count) in logs {
        until(|| place.ids(log).len() >= count, || format!("{log}: {}", running.log())).await;
    }
    until(|| slack.seen().iter().any(is_told), || running.log()).await;
    let refreshes = || {
        let asked = slack.seen_at("/api/oauth.v2.access").into_iter();
        asked.filter(|seen| seen["parameters"]["grant_type"] == "refresh_token").collect::<Vec<_>>()
    };
    until(|| refreshes().len() >= 3 && all_are_asked_after(&slack, &refreshes()[2]), || running.log()).await;
    running.ask_to_end();
    assert!(running.end().await.success(), "{}", running.log());

    for (log, count) in logs {
        assert_eq!(place.ids(log).len(), count, "{log}");
    }
    assert!(running.log().contains("was read from Slack's allow list"), "{}", running.log());
    let posts = slack.seen().into_iter().filter(|seen| seen["path"].as_str().unwrap().contains("/services/"));
    let statuses: Vec<_> = posts.map(|seen| seen["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses[..2], [429, 200]);

    for secret in ["xoxe", "simulated-client-secret", "SimulatedWebhookSecret"] {
        assert!(!slack.read("seen").contains(secret), "{secret}");
    }

    let refreshes = refreshes();
    assert!(refreshes.iter().all(|seen| seen["status"] == 200 && seen["error"].is_null()), "{refreshes:#?}");
    let times: Vec<_> = refreshes.iter().map(at).collect();
    let lives: Vec<_> =
        times.windows(2).map(|two| two[1].as_millisecond() - two[0].as_millisecond()).collect();
    assert!(lives.iter().all(|life| *life >= LEAST_OF_A_LIFE_MS), "{lives:?}: {}", running.log());
}

fn at(seen: &Value) -> Timestamp {
    seen["at"].as_str().unwrap().parse().unwrap()
}

fn is_told(seen: &Value) -> bool {
    seen["path"].as_str().unwrap().starts_with("/services/") && seen["status"] == 200
}

/// Each log has given a page since then.
fn all_are_asked_after(slack: &Simulator, then: &Value) -> bool {
    ["/audit/v1/logs", "/api/team.accessLogs", "/api/team.integrationLogs"]
        .iter()
        .all(|path| slack.seen_at(path).iter().any(|seen| at(seen) > at(then) && !seen["rows"].is_null()))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_to_four_organizations_is_told_apart_with_its_cure() {
    // What happens, the cause in a word, and what the cure names.
    let all = [
        ("login-revoked", "", "login", "slackcef auth login"),
        ("scope-removed", "scope = \"auditlogs:read\"", "scope", "`auditlogs:read`"),
        ("downgraded", "", "plan", "Enterprise"),
        ("app-deleted", "", "app", "api.slack.com/apps"),
    ];
    let mut place = Place::new();
    let mut slacks = Vec::new();
    for (change, more, ..) in all {
        let plan = format!(
            "version = 1\ngenerated = {{ count = 20, over = \"1h\" }}\noauth = {{ token_life = \"12h\" }}\n\
             [[changes]]\nchange = {change:?}\n{more}\nafter_requests = 3\n"
        );
        let slack = Simulator::start(&plan).await;
        place.login(change, &slack);
        place.source(change, "audit", change, &slack, "settle = \"2s\"");
        slacks.push(slack);
    }
    let path = place.path("all");
    place.add(&format!("[destinations.all.file]\npath = {path:?}\n"));
    for (change, ..) in all {
        place.log_in(change).await;
    }
    let mut running = place.run();
    until(|| place.own("source-refused", "all").len() >= all.len(), || running.log()).await;
    running.ask_to_end();
    assert!(running.end().await.success(), "{}", running.log());

    let events = place.own("source-refused", "all");
    let (mut whats, mut cures) = (BTreeSet::new(), BTreeSet::new());
    for (change, _, reason, cure) in all {
        let event = events.iter().find(|event| event.value("cs1") == Some(change)).unwrap();
        assert_eq!(event.value("reason"), Some(reason), "{event:#?}");
        assert!(event.value("cs5").unwrap().contains(cure), "{event:#?}");
        // Each by its own words, not by its name alone.
        whats.insert(event.value("msg").unwrap().replace(change, "NAME"));
        cures.insert(event.value("cs5").unwrap().replace(change, "NAME"));
    }
    assert_eq!((events.len(), whats.len(), cures.len()), (4, 4, 4), "{whats:#?}\n{cures:#?}");
    assert_eq!(place.events("all").iter().filter(|line| is_of_slack(line)).count(), 4 * 20);
}
