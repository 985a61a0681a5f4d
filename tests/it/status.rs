//! What the service shows of itself: its pages, `status`, and what it tells the SIEM of outages.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::process::Output;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use slackcef::cef::{self, Decoded};
use slackcef::simulate::authority::{LOCAL, Term};
use slackcef::simulate::receiver::{Receiver, Relp, ServerTls, Settings};
use slackcef::simulate::slack::{Generated, Pace, Plan, Slack};

use crate::support::certificates::Certificates;
use crate::support::daemon::{PATIENCE, tick};
use crate::support::forwarder::{Forwarder, Running, is_of_slack, slackcef};

const HERE: ([u8; 4], u16) = ([127, 0, 0, 1], 0);
const COUNT: usize = 50;
const SOURCE: &str = "start = \"1d\"\npoll_every = \"1s\"\nsettle = \"2s\"\nrequests_per_minute = 1000000";

async fn slack() -> Slack {
    let pace = Pace::Over(Duration::from_secs(3600));
    let generated = Generated { count: Some(COUNT as u64), pace, ..Generated::default() };
    Slack::start(SocketAddr::from(HERE), Plan { generated: Some(generated), ..Plan::default() })
        .await
        .unwrap()
}

/// A port of this machine that nobody listens on.
fn free() -> SocketAddr {
    TcpListener::bind(SocketAddr::from(HERE)).unwrap().local_addr().unwrap()
}

/// What a receiver was sent.
#[derive(Clone, Default)]
struct Received(Arc<Mutex<Vec<String>>>);

impl Received {
    fn by(mut receiver: Receiver) -> Self {
        let received = Self::default();
        let all = received.clone();
        tokio::spawn(async move {
            while let Some(message) = receiver.next_message().await {
                all.0.lock().unwrap().push(String::from_utf8(message.text.to_vec()).unwrap());
            }
        });
        received
    }

    fn of_slack(&self) -> usize {
        self.0.lock().unwrap().iter().filter(|message| is_of_slack(message)).count()
    }

    /// The forwarder's own events of that class.
    fn own(&self, class_id: &str) -> Vec<Decoded> {
        let all = self.0.lock().unwrap();
        let own = all.iter().filter(|message| !is_of_slack(message));
        let events = own.map(|message| cef::decode(message.split_once(" - - - ").unwrap().1).unwrap());
        events.filter(|event| event.class_id == class_id).collect()
    }
}

async fn until(running: &Running, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < 2 * PATIENCE, "it does not come: {}", running.log());
        tick().await;
    }
}

/// A page of the service: its status and its text.
async fn page(at: SocketAddr, path: &str) -> (u16, String) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let response = client.get(format!("http://{at}{path}")).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

async fn status(at: SocketAddr) -> Value {
    serde_json::from_str(&page(at, "/status").await.1).unwrap()
}

async fn until_status(running: &Running, at: SocketAddr, holds: impl Fn(&Value) -> bool) -> Value {
    let start = Instant::now();
    loop {
        let now = status(at).await;
        if holds(&now) {
            return now;
        }
        assert!(start.elapsed() < 2 * PATIENCE, "it does not come: {now:#}\n{}", running.log());
        tick().await;
    }
}

fn named<'v>(list: &'v Value, name: &str) -> &'v Value {
    list.as_array().unwrap().iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("{list:#}"))
}

fn printed(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_is_down_is_shown_with_cause_and_cure_and_told_to_the_others() {
    let certificates = Certificates::new();
    let slack = slack().await;
    let tls = Some(ServerTls::new(certificates.server()));
    let receiver = Receiver::start(Settings { tls, ..Settings::default() }).await.unwrap();
    let (away, listen) = (free(), free());
    let forwarder = Forwarder::new(
        &slack,
        SOURCE,
        &format!(
            "[destinations.up.tls]\nto = [\"{}\"]\nca = {:?}\n[destinations.away.tcp]\nto = [\"{away}\"]\n\
             [telemetry]\nlisten = \"{listen}\"\n",
            receiver.address(),
            certificates.ca(),
        ),
    );
    let received = Received::by(receiver);
    let mut running = forwarder.start(&[]);
    until(&running, || received.of_slack() == COUNT && !received.own("destination-down").is_empty()).await;

    let down = received.own("destination-down").remove(0);
    assert_eq!(down.value("cs2"), Some("away"));
    assert_eq!(down.value("reason"), Some("down"));
    assert!(down.value("msg").unwrap().contains(&away.to_string()), "{down:?}");
    assert!(down.value("cs5").is_some_and(|help| !help.is_empty()), "{down:?}");
    assert!(down.value("cs6").unwrap().contains(&format!("\"endpoint\":\"{away}\"")), "{down:?}");
    assert!(down.value("cn2").unwrap().parse::<u32>().unwrap() >= 3, "{down:?}");

    // The standing follows the store a quarter of a second later.
    let shown = until_status(&running, listen, |status| {
        let up = named(&status["destinations"], "up");
        status["sources"][0]["phase"] == "caught-up"
            && up["backlog"]["entries"] == 0
            && up["counts"]["delivered"].as_u64() >= Some(COUNT as u64)
    })
    .await;
    assert_eq!(shown["running"], true);
    assert_eq!(shown["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(shown["not_ready"], serde_json::json!([]));
    for time in [&shown["started_at"], &shown["at"], &shown["sources"][0]["answered_at"]] {
        time.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    }
    let source = named(&shown["sources"], "acme");
    assert_eq!(source["polled"]["fresh"], COUNT);
    assert!(source["lag_seconds"].as_i64().unwrap() < 60, "{source:#}");
    let link = &named(&shown["destinations"], "up")["connections"][0];
    assert_eq!((&link["assurance"], &link["because"]), (&"read".into(), &Value::Null), "{link:#}");
    assert!(link["tls"].as_str().unwrap().starts_with("TLS 1.3"), "{link:#}");
    assert!(link["certificates"][0]["not_after"].is_string(), "{link:#}");
    let (up, down) = (named(&shown["destinations"], "up"), named(&shown["destinations"], "away"));
    assert!(["idle", "delivering"].contains(&up["state"].as_str().unwrap()), "{up:#}");
    assert_eq!((&down["state"], &down["transport"]), (&"down".into(), &"tcp".into()));
    assert!(down["fault"]["what"].as_str().unwrap().contains(&away.to_string()), "{down:#}");
    assert!(down["fault"]["help"].is_string(), "{down:#}");
    assert!(down["backlog"]["entries"].as_u64().unwrap() >= COUNT as u64, "{down:#}");
    assert!(shown["store"]["entries"].as_u64().unwrap() >= COUNT as u64, "{shown:#}");
    assert_eq!(page(listen, "/healthz").await.0, 200);
    assert_eq!(page(listen, "/readyz").await, (200, "ready\n".to_owned()), "what is down may come back");
    assert_eq!(page(listen, "/metrics").await.0, 404);
    let text = page(listen, "/status").await.1;
    assert!(!text.contains(slack.token()), "no secret is shown");

    let asked = slackcef(&["status", "--config", &forwarder.config()]);
    let (text, notes) = printed(&asked);
    assert!(asked.status.success() && notes.is_empty(), "{notes}");
    let line = |begin: &str| {
        let found = text.lines().find(|line| line.starts_with(begin));
        found.unwrap_or_else(|| panic!("{begin:?} begins no line of\n{text}")).to_owned()
    };
    assert!(line("ok acme ").contains("caught up"), "{text}");
    assert!(line("no away ").contains(" down "), "{text}");
    line("ok up ");
    assert!(line("     last fault ").contains(&away.to_string()), "{text}");
    line("     help: ");
    assert!(text.contains("the receiver's program has read it (TLS 1.3 receipts), plus 5 s\n"), "{text}");
    assert!(line("STORE ").contains("entries kept"), "{text}");
    assert!(!text.contains('\u{1b}'), "no colour where there is no terminal");

    let at = format!("http://{listen}");
    let (json, _) = printed(&slackcef(&["status", "--json", "--at", &at]));
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["destinations"].as_array().unwrap().len(), 2);
    assert_eq!(named(&json["destinations"], "away")["state"], "down");

    let back = Received::by(Receiver::start(Settings { listen: away, ..Settings::default() }).await.unwrap());
    until(&running, || !received.own("destination-recovered").is_empty()).await;
    let recovered = received.own("destination-recovered").remove(0);
    assert_eq!(recovered.value("cs2"), Some("away"));
    assert!(recovered.value("msg").unwrap().contains("takes events again"), "{recovered:?}");
    assert_eq!(back.of_slack(), COUNT);
    until(&running, || !back.own("destination-recovered").is_empty()).await;
    assert_eq!(back.own("destination-down").len(), 1, "it is told of its own outage, once");
    running.ask_to_end();
    assert!(running.end().await.success(), "{}", running.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_service_answers_the_store_is_asked() {
    let slack = slack().await;
    let file = tempfile::tempdir().unwrap();
    let (away, listen) = (free(), free());
    let forwarder = Forwarder::new(
        &slack,
        SOURCE,
        &format!(
            "[destinations.kept.file]\npath = {:?}\n[destinations.away.tcp]\nto = [\"{away}\"]\n\
             [telemetry]\nlisten = \"{listen}\"\n",
            file.path().join("events"),
        ),
    );
    let config = forwarder.config();
    let asked = slackcef(&["status", "--config", &config]);
    let (text, notes) = printed(&asked);
    assert_eq!((asked.status.code(), text.as_str()), (Some(69), ""), "there is nothing yet to show");
    assert!(notes.contains("no service answers") && notes.contains("there is no store"), "{notes}");

    let mut running = forwarder.start(&["--once"]);
    assert_eq!(running.end().await.code(), Some(75), "{}", running.log());
    let asked = slackcef(&["status", "--config", &config]);
    let (text, notes) = printed(&asked);
    assert_eq!(asked.status.code(), Some(69));
    assert!(notes.contains(&format!("no service answers at http://{listen}/status")), "{notes}");
    assert!(notes.contains("help: start it"), "{notes}");
    let row = |name: &str| {
        let line = text.lines().find(|line| line.trim_start().starts_with(name));
        let line = line.unwrap_or_else(|| panic!("{name} has no line in\n{text}"));
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(row("away")[1], COUNT.to_string(), "{text}");
    assert_eq!(row("kept")[1], "0", "{text}");
    row("acme")[1].parse::<jiff::Timestamp>().unwrap();

    let asked = slackcef(&["status", "--json", "--config", &config]);
    assert_eq!(asked.status.code(), Some(69));
    let json: Value = serde_json::from_str(&printed(&asked).0).unwrap();
    assert_eq!(json["running"], false);
    assert_eq!(named(&json["destinations"], "away")["backlog"]["entries"], COUNT);
    assert!(named(&json["sources"], "acme")["lag_seconds"].is_i64(), "{json:#}");
    assert_eq!(json["store"]["entries"], COUNT);

    let asked = slackcef(&["status", "--at", &listen.to_string()]);
    let (text, notes) = printed(&asked);
    assert_eq!((asked.status.code(), text.as_str()), (Some(69), ""));
    assert!(notes.contains("no service answers"), "{notes}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_keeps_nothing_from_being_delivered() {
    let slack = slack().await;
    let file = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind(SocketAddr::from(HERE)).unwrap();
    let tables = format!(
        "[destinations.kept.file]\npath = {:?}\n[telemetry]\nlisten = \"{}\"\n",
        file.path().join("events"),
        taken.local_addr().unwrap()
    );
    let forwarder = Forwarder::new(&slack, SOURCE, &tables);
    let mut running = forwarder.start(&[]);
    let delivered = || {
        let text = fs::read_to_string(file.path().join("events")).unwrap_or_default();
        text.lines().filter(|line| is_of_slack(line)).count()
    };
    until(&running, || delivered() == COUNT && running.log().contains("nobody can ask how it is")).await;
    running.ask_to_end();
    assert!(running.end().await.success(), "{}", running.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_refused_makes_it_unready_and_is_shown_with_its_cure() {
    let slack = slack().await;
    let file = tempfile::tempdir().unwrap();
    let listen = free();
    let tables = format!(
        "[destinations.kept.file]\npath = {:?}\n[telemetry]\nlisten = \"{listen}\"\n",
        file.path().join("events"),
    );
    let forwarder = Forwarder::new(&slack, SOURCE, &tables);
    fs::write(forwarder.dir().join("token"), "xoxp-of-nobody").unwrap();
    let running = forwarder.start(&[]);
    until(&running, || running.log().contains("status is shown at")).await;
    let shown = until_status(&running, listen, |status| status["sources"][0]["phase"] == "refused").await;
    let fault = &shown["sources"][0]["fault"];
    assert!(fault["help"].is_string(), "{fault:#}");
    assert_eq!(shown["sources"][0]["answered_at"], Value::Null);
    let (code, reasons) = page(listen, "/readyz").await;
    assert_eq!(code, 503);
    assert!(reasons.starts_with("source acme: Slack refuses it: "), "{reasons}");
    assert_eq!(shown["not_ready"][0], reasons.trim_end());
    assert_eq!(page(listen, "/healthz").await.0, 200);
    let (text, _) = printed(&slackcef(&["status", "--config", &forwarder.config()]));
    assert!(text.lines().any(|line| line.starts_with("no acme ") && line.contains(" refused ")), "{text}");
    assert!(text.contains("     help: "), "{text}");
    assert!(!text.contains("xoxp-of-nobody"), "no secret is shown");
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_that_end_soon_are_told_of_ours_and_the_receivers() {
    let certificates = Certificates::new();
    let slack = slack().await;
    let server = certificates.authority.server(&LOCAL, Term::Ending).unwrap();
    let tls = Some(ServerTls::new(server));
    let receiver = Receiver::start(Settings { tls, ..Settings::default() }).await.unwrap();
    let endpoint = receiver.address().to_string();
    let client = certificates.authority.client("relay-1", Term::Past).unwrap();
    let (certificate, key) = certificates.write("client", &client);
    let forwarder = Forwarder::new(
        &slack,
        SOURCE,
        &format!(
            "[destinations.siem.tls]\nto = [\"{endpoint}\"]\nca = {:?}\ncertificate = {certificate:?}\nkey = {key:?}\n",
            certificates.ca(),
        ),
    );
    let received = Received::by(receiver);
    let mut running = forwarder.start(&[]);
    until(&running, || received.own("certificate-expiring").len() == 2).await;
    let mut told = received.own("certificate-expiring");
    told.sort_by_key(|event| event.value("reason").map(str::to_owned));
    let [ours, receivers] = told.as_slice() else { panic!("{told:?}") };
    let said = |event: &Decoded, key| event.value(key).unwrap_or_default().to_owned();
    assert!(said(ours, "msg").starts_with("our certificate relay-1 "), "{ours:?}");
    assert_eq!((said(ours, "reason"), ours.severity.get()), ("expired".to_owned(), 8));
    assert!(said(receivers, "msg").contains(&endpoint), "{receivers:?}");
    assert!(said(receivers, "msg").contains("expires within 5 days"), "{receivers:?}");
    assert_eq!((said(receivers, "cs2"), receivers.severity.get()), ("siem".to_owned(), 6));
    assert!(running.log().contains("expires within 5 days"), "{}", running.log());
    running.ask_to_end();
    assert!(running.end().await.success(), "{}", running.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn check_says_what_a_delivery_will_be_worth_and_why_not_more() {
    let certificates = Certificates::new();
    let slack = slack().await;
    let served = async |only_tls_1_2| {
        let tls = ServerTls { only_tls_1_2, ..ServerTls::new(certificates.server()) };
        Receiver::start(Settings { tls: Some(tls), ..Settings::default() }).await.unwrap()
    };
    let (new, old) = (served(false).await, served(true).await);
    let plain = Receiver::start(Settings::default()).await.unwrap();
    let relp = Settings { relp: Some(Relp::default()), ..Settings::default() };
    let relp = Receiver::start(relp).await.unwrap();
    let file = tempfile::tempdir().unwrap();
    let ca = certificates.ca();
    let forwarder = Forwarder::new(
        &slack,
        SOURCE,
        &format!(
            "[destinations.new.tls]\nto = [\"{}\"]\nca = {ca:?}\n[destinations.old.tls]\nto = [\"{}\"]\nca = {ca:?}\n\
             [destinations.plain.tcp]\nto = [\"{}\"]\n[destinations.relp.relp]\nto = [\"{}\"]\n[destinations.file.file]\npath = {:?}\n[destinations.out.stdout]\n",
            new.address(),
            old.address(),
            plain.address(),
            relp.address(),
            file.path().join("events"),
        ),
    );
    let (text, notes) = printed(&slackcef(&["check", "--config", &forwarder.config()]));
    let line = |name: &str| {
        let begin = format!("ok destination {name}, ");
        let found = text.lines().find(|line| line.starts_with(&begin));
        found.unwrap_or_else(|| panic!("{name} has no line in\n{text}{notes}")).to_owned()
    };
    assert!(
        line("new").ends_with("the receiver's program has read it (TLS 1.3 receipts), plus 5 s"),
        "{text}"
    );
    assert!(line("old").contains("less than it could be: the receiver speaks TLS 1.2 only"), "{text}");
    assert!(line("plain").contains("less than it could be: without TLS 1.3"), "{text}");
    assert!(line("relp").contains("the receiver has acknowledged it (RELP)"), "{text}");
    assert!(!line("relp").contains("less than"), "{text}");
    assert!(line("file").ends_with("when it is on the disk"), "{text}");
    assert!(line("out").contains("handed over: nobody says"), "{text}");
}
