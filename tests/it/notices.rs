//! Chosen events into a Slack channel: the program between a Slack and its webhooks, and a destination
//! that none of it may hold up.

use std::collections::BTreeSet;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use slackcef::cef;
use slackcef::simulate::slack::{Generated, Pace, Plan, Posted, Slack, Trouble};
use slackcef::store::Archive;
use tempfile::TempDir;

use crate::support::daemon::{PATIENCE, tick};
use crate::support::forwarder::{Forwarder, Running, is_of_slack, slackcef};

const HERE: ([u8; 4], u16) = ([127, 0, 0, 1], 0);
const SOURCE: &str = "start = \"3d\"\npoll_every = \"1s\"\nsettle = \"1s\"\nrequests_per_minute = 1000000";
/// The last part of every simulated webhook's address.
const SECRET: &str = "SimulatedWebhookSecret";

/// The program with a destination `witness`, a file, and a notice `security` to the webhook `B1`.
struct Stage {
    folder: TempDir,
    slack: Slack,
    forwarder: Forwarder,
    listen: SocketAddr,
    /// The configuration up to the notices.
    head: String,
}

impl Stage {
    async fn set(plan: Plan, notice: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let slack = Slack::start(SocketAddr::from(HERE), plan).await.unwrap();
        let listen = TcpListener::bind(SocketAddr::from(HERE)).unwrap().local_addr().unwrap();
        let witness = folder.path().join("witness");
        let tables =
            format!("[destinations.witness.file]\npath = {witness:?}\n[telemetry]\nlisten = \"{listen}\"\n");
        let forwarder = Forwarder::new(&slack, SOURCE, &tables);
        let head = fs::read_to_string(forwarder.config()).unwrap();
        let stage = Self { folder, slack, forwarder, listen, head };
        stage.point_to("B1");
        if !notice.is_empty() {
            stage.write(&stage.table(notice));
        }
        stage
    }

    fn table(&self, more: &str) -> String {
        format!("[notify.security]\nwebhook = {{ file = {:?} }}\n{more}\n", self.secret())
    }

    fn write(&self, tables: &str) {
        fs::write(self.forwarder.config(), self.head.clone() + tables).unwrap();
    }

    fn secret(&self) -> PathBuf {
        self.folder.path().join("webhook")
    }

    /// Puts the address of that webhook where the notice's is.
    fn point_to(&self, webhook: &str) {
        fs::write(self.secret(), self.slack.webhook_url(webhook)).unwrap();
        fs::set_permissions(self.secret(), fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn happens(&self, id: &str, actor: &str) {
        self.slack.push(&login(id, actor, self.slack.now())).unwrap();
    }

    /// The lines that the destination has.
    fn delivered(&self) -> Vec<String> {
        let text = fs::read_to_string(self.folder.path().join("witness")).unwrap_or_default();
        // The last line may still be on its way.
        let (whole, _) = text.rsplit_once('\n').unwrap_or_default();
        whole.lines().map(str::to_owned).collect()
    }

    fn delivered_of_slack(&self) -> usize {
        self.delivered().iter().filter(|line| is_of_slack(line)).count()
    }

    fn own(&self, class_id: &str) -> Vec<cef::Decoded> {
        let events = self.delivered().into_iter().map(|line| cef::decode(&line).unwrap());
        events.filter(|event| event.product == "slackcef" && event.class_id == class_id).collect()
    }

    /// The messages that Slack took.
    fn taken(&self) -> Vec<Posted> {
        self.slack.webhooks().posted().into_iter().filter(Posted::is_taken).collect()
    }

    /// What was told, less the foot of each message.
    fn told(&self) -> Vec<String> {
        let is_foot = |line: &String| line == "slackcef, notice security";
        self.taken().iter().flat_map(Posted::lines).filter(|line| !is_foot(line)).collect()
    }

    /// How many entries the store still holds back for a reader.
    fn backlog(&self, reader: &str) -> Option<u64> {
        let survey = Archive::open(&self.forwarder.dir().join("state")).ok()?.survey().ok()?;
        survey.readers.iter().find(|(name, _)| name.as_str() == reader).map(|(_, backlog)| backlog.entries)
    }

    async fn notice(&self) -> Value {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let Ok(response) = client.get(format!("http://{}/status", self.listen)).send().await else {
            return Value::Null;
        };
        let text = response.text().await.unwrap();
        assert!(!text.contains(SECRET), "{text}");
        let status: Value = serde_json::from_str(&text).unwrap();
        status["notices"][0].clone()
    }

    async fn until_notice(&self, running: &Running, holds: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let notice = self.notice().await;
            if holds(&notice) {
                return notice;
            }
            assert!(start.elapsed() < 2 * PATIENCE, "it does not come: {notice:#}\n{}", running.log());
            tick().await;
        }
    }

    async fn ends_well(&self, mut running: Running) -> String {
        running.ask_to_end();
        assert!(running.end().await.success(), "{}", running.log());
        let log = running.log();
        assert!(!log.contains(SECRET), "{log}");
        log
    }
}

async fn until(running: &Running, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < 2 * PATIENCE, "it does not come: {}", running.log());
        tick().await;
    }
}

fn login(id: &str, actor: &str, at: i64) -> String {
    json!({
        "id": id, "date_create": at, "action": "user_login",
        "actor": { "type": "user", "user": { "id": actor, "name": actor } },
        "entity": { "type": "user", "user": { "id": actor, "name": actor } },
        "context": { "ip_address": "203.0.113.5" },
    })
    .to_string()
}

/// Entries that happened a minute ago, one of each actor.
fn of(actors: impl IntoIterator<Item = String>) -> Plan {
    let now = jiff::Timestamp::now().as_second();
    let given =
        actors.into_iter().enumerate().map(|(nth, actor)| login(&format!("Ev{nth}"), &actor, now - 60));
    Plan { given: given.collect(), ..Plan::default() }
}

/// Every text of a JSON value.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(members) => members.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

const ALL_OF_SLACK: &str = "when = { log = \"audit\" }\nwindow = \"1s\"";

#[tokio::test(flavor = "multi_thread")]
async fn events_of_one_action_and_actor_are_one_line() {
    let stage = Stage::set(of(["ana", "eve", "ana", "ana"].map(str::to_owned)), ALL_OF_SLACK).await;
    let running = stage.forwarder.start(&[]);
    until(&running, || !stage.taken().is_empty()).await;
    let told = stage.told();
    assert_eq!(told.len(), 2, "{told:?}");
    let of = |who: &str| told.iter().find(|line| line.contains(&format!("\nby {who}\n"))).unwrap();
    assert!(of("ana").contains(", 3 times\nby ana\nfrom 203.0.113.5\n"), "{told:?}");
    assert!(of("ana").contains("source acme, one of the ids Ev") && !of("eve").contains("times"), "{told:?}");
    let notice =
        stage.until_notice(&running, |notice| notice["state"] == "idle" && notice["events"] == 4).await;
    assert_eq!((&notice["name"], &notice["host"]), (&"security".into(), &"127.0.0.1".into()));
    assert_eq!((&notice["messages"], &notice["pending"]), (&1.into(), &0.into()), "{notice:#}");
    let shown = slackcef(&["status", "--config", &stage.forwarder.config()]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("ok security  idle") && shown.contains("a webhook at 127.0.0.1\n"), "{shown}");
    stage.ends_well(running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_a_second_tells_many_and_loses_none() {
    let stage = Stage::set(of((0..60).map(|nth| format!("member-{nth}"))), ALL_OF_SLACK).await;
    let running = stage.forwarder.start(&[]);
    until(&running, || stage.told().len() >= 60).await;
    let posted = stage.slack.webhooks().posted();
    assert!(posted.len() > 2 && posted.iter().all(Posted::is_taken), "{posted:?}");
    // Ours waits for the answer and then for a second: no pace of this machine makes it less.
    assert!(posted.windows(2).all(|two| two[1].at.duration_since(two[0].at) >= Duration::from_secs(1)));
    let told = stage.told();
    let who: BTreeSet<_> =
        told.iter().filter_map(|line| line.lines().find(|part| part.starts_with("by "))).collect();
    assert_eq!((told.len(), who.len()), (60, 60));
    stage.ends_well(running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slacks_wish_for_silence_is_heeded_and_trouble_passes() {
    let stage = Stage::set(of(["ana".to_owned()]), ALL_OF_SLACK).await;
    let wait = Trouble::Refused { status: 429, error: Some("rate_limited".into()), retry_after: Some(3) };
    // The blocks of the last one are not taken, and its text is.
    stage.slack.webhooks().answer_next([
        wait,
        Trouble::refused(500, "rollup_error"),
        Trouble::refused(200, "<html>log in</html>"),
        Trouble::refused(400, "invalid_blocks"),
    ]);
    let running = stage.forwarder.start(&[]);
    until(&running, || !stage.taken().is_empty()).await;
    let posted = stage.slack.webhooks().posted();
    assert_eq!(posted.len(), 5, "{posted:?}");
    assert!(posted[1].at.duration_since(posted[0].at) >= Duration::from_secs(3));
    assert_eq!(posted[0].message, posted[3].message);
    let plain = &posted[4].message;
    assert!(plain.get("blocks").is_none() && plain["text"].as_str().unwrap().contains(" by ana "), "{plain}");
    let notice = stage.until_notice(&running, |notice| notice["state"] == "idle").await;
    assert_eq!(notice["fault"]["failures"], 4, "{notice:#}");
    stage.ends_well(running).await;
    assert!(stage.own("notice-refused").is_empty(), "what passes is no news");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_webhook_is_told_once_with_its_cure_and_a_new_one_gets_what_waits() {
    let stage = Stage::set(of(["ana".to_owned()]), "when = {}\nwindow = \"1s\"").await;
    stage.slack.webhooks().answer(Some(Trouble::refused(404, "no_service")));
    let running = stage.forwarder.start(&[]);
    until(&running, || stage.own("notice-refused").len() == 1).await;
    let refused = stage.own("notice-refused").remove(0);
    assert_eq!((refused.value("reason"), refused.value("SlackcefNotice")), (Some("gone"), Some("security")));
    assert!(
        refused.value("msg").unwrap().ends_with("the webhook is gone (`no_service`, status 404)"),
        "{refused:?}"
    );
    assert!(refused.value("cs5").unwrap().contains("add a new webhook"), "{refused:?}");
    stage.happens("later", "eve");
    // Its own events are told as well: the start, and that the webhook is gone.
    let waits = |notice: &Value| notice["pending"].as_u64().is_some_and(|pending| pending >= 4);
    let notice = stage.until_notice(&running, |notice| notice["state"] == "refused" && waits(notice)).await;
    assert!(notice["fault"]["help"].as_str().unwrap().contains("Incoming Webhooks"), "{notice:#}");
    assert_eq!(stage.slack.webhooks().posted().len(), 1, "it is tried again slowly");

    stage.slack.webhooks().answer(None);
    stage.point_to("B2");
    running.signal("HUP");
    let told_all = || {
        let told = stage.told();
        ["by ana\n", "by eve\n", "the webhook is gone"]
            .iter()
            .all(|part| told.iter().any(|line| line.contains(part)))
    };
    until(&running, told_all).await;
    assert!(stage.taken().iter().all(|posted| posted.webhook == "B2"));
    let log = stage.ends_well(running).await;
    assert_eq!(log.matches("the webhook takes no notice").count(), 1, "{log}");
    assert!(log.contains("changed notice security"), "{log}");
    assert_eq!(stage.own("notice-refused").len(), 1);
    assert!(stage.delivered().iter().all(|line| !line.contains(SECRET)));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_name_commands_slack() {
    let generated = Generated {
        count: Some(400),
        pace: Pace::Over(Duration::from_secs(500)),
        hostile: true,
        ..Generated::default()
    };
    let mut plan = Plan { generated: Some(generated), ..Plan::default() };
    let now = jiff::Timestamp::now().as_second();
    for (nth, name) in
        ["<!channel>", "@here <@U1> <#C1>", "<https://evil.example|ok>", "a\nby admin", "`*_~\u{202e}x"]
            .iter()
            .enumerate()
    {
        plan.given.push(login(&format!("Given{nth}"), name, now - 30));
    }
    let stage = Stage::set(plan, ALL_OF_SLACK).await;
    let running = stage.forwarder.start(&[]);
    stage
        .until_notice(&running, |notice| notice["events"].as_u64() >= Some(405) && notice["pending"] == 0)
        .await;
    let posted = stage.slack.webhooks().posted();
    assert!(posted.iter().all(Posted::is_taken), "{posted:?}");
    for text in posted.iter().flat_map(|posted| texts(&posted.message)) {
        assert!(!text.contains(['<', '>', '\u{202e}']) && !text.contains("://"), "{text:?}");
    }
    let told = stage.told();
    assert!(told.iter().any(|line| line.contains("\nby a by admin\n")), "{told:?}");
    assert!(told.iter().any(|line| line.contains("\nby ‹!channel›\n")), "{told:?}");
    stage.ends_well(running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_never_answers_holds_nothing_up() {
    const COUNT: usize = 20_000;
    let pace = Pace::Over(Duration::from_secs(600));
    let generated = Generated { count: Some(COUNT as u64), pace, ..Generated::default() };
    let stage =
        Stage::set(Plan { generated: Some(generated), ..Plan::default() }, "when = {}\nwindow = \"1s\"")
            .await;
    stage.slack.webhooks().answer(Some(Trouble::Slow(Duration::MAX)));
    let running = stage.forwarder.start(&[]);
    until(&running, || stage.delivered_of_slack() == COUNT).await;
    until(&running, || stage.backlog("witness") == Some(0) && stage.backlog("notify/security") == Some(0))
        .await;
    let notice = stage.notice().await;
    assert_eq!(notice["messages"], 0, "{notice:#}");
    assert!(notice["pending"].as_u64().unwrap() >= COUNT as u64, "none is forgotten: {notice:#}");
    stage.ends_well(running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_tells_what_was_gathered_and_a_restart_neither_repeats_nor_floods() {
    let stage = Stage::set(of(["ana".to_owned()]), "when = { log = \"audit\" }\nwindow = \"10m\"").await;
    let running = stage.forwarder.start(&[]);
    stage.until_notice(&running, |notice| notice["pending"] == 1).await;
    assert!(stage.taken().is_empty(), "it is still gathered");
    stage.ends_well(running).await;
    assert_eq!(stage.told().len(), 1);

    // While nobody read, a day went by.
    for nth in 0..340 {
        let at = stage.slack.now() - 86_400 + nth;
        stage.slack.push(&login(&format!("Old{nth}"), &format!("member-{nth}"), at)).unwrap();
    }
    stage.write(&stage.table("when = { log = \"audit\" }\nwindow = \"1s\""));
    // Another source, which has read nothing yet.
    let config = fs::read_to_string(stage.forwarder.config()).unwrap();
    fs::write(stage.forwarder.config(), config.replace("[sources.acme]", "[sources.emea]")).unwrap();
    stage.happens("now", "eve");
    let running = stage.forwarder.start(&[]);
    stage.until_notice(&running, |notice| notice["events"] == 342 && notice["pending"] == 0).await;
    let told = stage.told();
    assert!(told.len() <= 5, "it floods: {told:?}");
    assert!(told.iter().any(|line| line.contains(" old when they came, ")), "{told:?}");
    assert!(told.iter().any(|line| line.contains("\nby eve\n")), "{told:?}");
    assert_eq!(told.iter().filter(|line| line.contains("source acme, ")).count(), 1, "{told:?}");
    stage.ends_well(running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_pass_tells_what_it_read() {
    let stage = Stage::set(of(["ana".to_owned()]), "when = {}\nwindow = \"10m\"").await;
    let mut running = stage.forwarder.start(&["--once"]);
    assert!(running.end().await.success(), "{}", running.log());
    let told = stage.told();
    assert!(told.len() == 1 && told[0].contains("\nby ana\n"), "{told:?}");
    assert_eq!(stage.delivered_of_slack(), 1);
    assert_eq!(stage.backlog("notify/security"), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_comes_and_goes_with_the_configuration() {
    let stage = Stage::set(of(["ana".to_owned()]), "").await;
    let running = stage.forwarder.start(&[]);
    until(&running, || stage.delivered_of_slack() == 1).await;
    stage.write(&stage.table("when = { log = \"audit\", suid = \"eve\" }\nwindow = \"1s\""));
    running.signal("HUP");
    stage.until_notice(&running, |notice| notice["name"] == "security").await;
    stage.happens("one", "eve");
    stage.happens("two", "bob");
    until(&running, || stage.told().iter().any(|line| line.contains("\nby eve\n"))).await;
    stage.write("");
    running.signal("HUP");
    stage.until_notice(&running, Value::is_null).await;
    stage.happens("three", "eve");
    until(&running, || stage.delivered_of_slack() == 4).await;
    stage.ends_well(running).await;
    assert_eq!(stage.told().len(), 1, "{:?}", stage.told());
    assert_eq!(stage.backlog("notify/security"), None, "its position is forgotten");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_says_what_would_be_told_and_posts_nothing() {
    let stage = Stage::set(of([]), "when = { severity = { at_least = 8 } }\nsources = [\"acme\"]").await;
    let check = |arguments: &[&str]| {
        let output = slackcef(&[&["check", "--config", &stage.forwarder.config()], arguments].concat());
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    let shown = check(&["--offline"]);
    assert!(
        shown.contains("ok notice security: events of acme with `when = { severity = { at_least = 8 } }` would go to the webhook of the file "),
        "{shown}"
    );
    let shown = check(&[]);
    assert!(
        shown.contains("would go to a webhook at 127.0.0.1, gathered for 10 s; nothing was posted"),
        "{shown}"
    );
    assert!(!shown.contains(SECRET) && stage.slack.webhooks().posted().is_empty());
    fs::write(stage.secret(), format!("hooks.slack.com/services/T0/B0/{SECRET}")).unwrap();
    let shown = check(&[]);
    assert!(
        shown.contains("the webhook of notice security cannot be used") && !shown.contains(SECRET),
        "{shown}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_simulated_webhook_refuses_what_slack_refuses() {
    let slack = Slack::start(SocketAddr::from(HERE), Plan::default()).await.unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let post = async |url: String, body: String| {
        let response = client.post(url).body(body).send().await.unwrap();
        let (status, wait) = (response.status().as_u16(), response.headers().get("retry-after").cloned());
        (status, response.text().await.unwrap(), wait.is_some())
    };
    let url = |webhook: &str| slack.webhook_url(webhook);
    let section = |text: &str| json!({ "type": "section", "text": { "type": "plain_text", "text": text } });
    for (body, word) in [
        ("no JSON".to_owned(), "invalid_payload"),
        ("{}".to_owned(), "no_text"),
        (json!({ "text": "a", "attachments": vec![json!({}); 101] }).to_string(), "too_many_attachments"),
        (json!({ "blocks": vec![section("a"); 51] }).to_string(), "invalid_blocks"),
        (json!({ "blocks": [section(&"a".repeat(3_001))] }).to_string(), "invalid_blocks"),
        (json!({ "blocks": [section("")] }).to_string(), "invalid_blocks"),
        (json!({ "blocks": vec![section(&"a".repeat(2_999)); 5] }).to_string(), "msg_blocks_too_long"),
    ] {
        assert_eq!(post(url("B1"), body).await, (400, word.to_owned(), false));
    }
    let fine = json!({ "text": "a" }).to_string();
    assert_eq!(post(url("B1").replace("Secret", "Wrong"), fine.clone()).await.1, "no_service");
    assert_eq!(post(url("B1").replace("T0", "T1"), fine.clone()).await.1, "no_team");
    assert_eq!(post(url("B1"), fine.clone()).await, (200, "ok".to_owned(), false));
    // Each has a pace of its own.
    assert_eq!(post(url("B2"), fine.clone()).await.1, "ok");
    slack.webhooks().answer(Some(Trouble::refused(410, "channel_is_archived")));
    assert_eq!(post(url("B1"), fine).await, (410, "channel_is_archived".to_owned(), false));
    assert_eq!(slack.webhooks().posted().len(), 12);
}
