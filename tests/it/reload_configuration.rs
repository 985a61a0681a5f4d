//! A configuration that changes while the program runs: nothing lost, nothing repeated, and what did
//! not change is not touched.

use std::collections::BTreeSet;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use slackcef::cef::{self, Decoded};
use slackcef::simulate::receiver::{self, Arrival, Fault, Receiver};
use slackcef::simulate::slack::{Generated, Pace, Plan, Slack};
use tempfile::TempDir;

use crate::support::forwarder::{Forwarder, Running, is_of_slack, until};
use crate::support::reload::{SOURCE, edition, lines, login, of_slack, own, slack};

/// The program, its configuration to be changed, and a file `witness` that takes all of its events.
struct Stage {
    folder: TempDir,
    slack: Slack,
    forwarder: Forwarder,
    /// The configuration up to the destinations.
    head: String,
}

impl Stage {
    /// Begins with those tables beside the witness's.
    async fn set(plan: Plan, tables: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let slack = slack(plan).await;
        let forwarder = Forwarder::new(&slack, SOURCE, "");
        let head = fs::read_to_string(forwarder.config()).unwrap();
        let witness = folder.path().join("witness");
        let head = format!("{head}[destinations.witness.file]\npath = {witness:?}\n");
        let stage = Self { folder, slack, forwarder, head };
        stage.write(tables);
        stage
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, tables: &str) -> String {
        format!("{}{tables}", self.head)
    }

    /// Writes the configuration with those tables where it is.
    fn write(&self, tables: &str) {
        fs::write(self.forwarder.config(), self.text(tables)).unwrap();
    }

    /// Puts another file in its place, as careful editors do.
    #[expect(
        clippy::disallowed_methods,
        reason = "a configuration for the moment; no crash is survived here"
    )]
    fn replace(&self, tables: &str) {
        let beside = self.path("new.toml");
        fs::write(&beside, self.text(tables)).unwrap();
        // Over the same file system: both are temporary folders.
        fs::rename(beside, self.forwarder.config()).unwrap();
    }

    /// The forwarder's own events of that class, as the witness has them.
    fn own(&self, class_id: &str) -> Vec<Decoded> {
        own(&self.path("witness"), class_id)
    }

    fn own_messages(&self, class_id: &str) -> Vec<String> {
        self.own(class_id).iter().map(|event| event.value("msg").unwrap().to_owned()).collect()
    }

    /// Something happens at Slack, and comes to that file; gives the line.
    async fn login(&self, running: &Running, id: &str, to: &Path) -> String {
        login(&self.slack, id);
        let id = format!("externalId={id} ");
        until(running, || lines(to).iter().any(|line| line.contains(&id))).await;
        lines(to).into_iter().find(|line| line.contains(&id)).unwrap()
    }
}

/// Ids of Slack's entries, in the order in which they came.
fn ids(path: &Path) -> Vec<String> {
    of_slack(path).iter().map(|event| event.value("externalId").unwrap().to_owned()).collect()
}

/// A receiver over TCP, and what came to it.
struct Collector {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    connections: usize,
    /// Each with the number of its connection.
    messages: Vec<(u64, String)>,
}

impl Collector {
    async fn start() -> Self {
        Self::troubled(Vec::new()).await
    }

    async fn troubled(faults: Vec<Fault>) -> Self {
        let settings = receiver::Settings { faults, ..receiver::Settings::default() };
        let mut receiver = Receiver::start(settings).await.unwrap();
        let (address, seen) = (receiver.address(), Arc::<Mutex<Seen>>::default());
        let to = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Some(arrival) = receiver.next().await {
                let mut seen = to.lock().unwrap();
                match arrival {
                    Arrival::Connected { .. } => seen.connections += 1,
                    Arrival::Message(message) => {
                        let text = String::from_utf8(message.text.to_vec()).unwrap();
                        seen.messages.push((message.connection, text));
                    }
                    _ => {}
                }
            }
        });
        Self { address, seen }
    }

    fn table(&self, name: &str, more: &str) -> String {
        format!("[destinations.{name}]\n{more}\n[destinations.{name}.tcp]\nto = [\"{}\"]\n", self.address)
    }

    fn count(&self, what: &str) -> usize {
        self.seen.lock().unwrap().messages.iter().filter(|(_, message)| message.contains(what)).count()
    }

    fn connections(&self) -> usize {
        self.seen.lock().unwrap().connections
    }

    /// All messages in the order in which they were sent.
    fn messages(&self) -> Vec<String> {
        let mut messages = self.seen.lock().unwrap().messages.clone();
        // What came over a later connection was sent later.
        messages.sort_by_key(|(connection, _)| *connection);
        messages.into_iter().map(|(_, message)| message).collect()
    }
}

fn index(message: &str) -> u64 {
    let event = cef::decode(message.get(message.find("CEF:").unwrap()..).unwrap()).unwrap();
    Generated::index_of(event.value("externalId").unwrap()).unwrap()
}

async fn ends_well(mut running: Running) -> String {
    running.ask_to_end();
    assert!(running.end().await.success(), "{}", running.log());
    running.log()
}

fn stream(per_second: f64) -> Plan {
    let generated = Generated { count: None, pace: Pace::PerSecond(per_second), ..Generated::default() };
    Plan { generated: Some(generated), ..Plan::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_changes_under_load_loses_and_repeats_nothing() {
    let (changing, staying) = (Collector::start().await, Collector::start().await);
    // Without receipts a connection has no reason to be replaced by another.
    let stay = staying.table("staying", "hostname = \"zero\"\nreceipts = \"off\"");
    let tables = |more: &str| stay.clone() + &changing.table("changing", more);
    let one = tables("hostname = \"one\"");
    let stage = Stage::set(stream(500.0), &one).await;
    let running = stage.forwarder.start(&[]);
    until(&running, || changing.count(" one ") >= 1000).await;
    stage.write(&tables("hostname = \"two\"\nheader = \"rfc3164\""));
    until(&running, || changing.count(" two ") >= 1000).await;
    // From here on it wants none of the forwarder's own events.
    stage.replace(&tables("hostname = \"three\"\nwhen = { source = \"acme\" }"));
    until(&running, || changing.count(" three ") >= 1000 && staying.count(" zero ") >= 3000).await;
    let log = ends_well(running).await;

    for (who, collector) in [("changing", &changing), ("staying", &staying)] {
        let messages = collector.messages();
        let mut indices: Vec<_> =
            messages.iter().filter(|message| is_of_slack(message)).map(|message| index(message)).collect();
        indices.sort_unstable();
        let expected: Vec<_> = (0..indices.len() as u64).collect();
        assert!(indices == expected, "{who}: {} arrived, the last is {:?}", indices.len(), indices.last());
    }
    let names = [" one ", " two ", " three "];
    let form = |message: &String| names.iter().position(|name| message.contains(name)).unwrap();
    let messages = changing.messages();
    assert!(messages.iter().map(form).is_sorted(), "one form, then the next");
    assert!(messages.iter().all(|message| (form(message) == 1) != message.contains(">1 ")));
    let own = |of: usize, class: &str| {
        messages.iter().filter(|message| form(message) == of && message.contains(class)).count()
    };
    assert_eq!(own(1, "|configuration-reloaded|"), 1);
    assert_eq!(own(2, "|slackcef|slackcef|"), 0);

    assert_eq!(staying.connections(), 1, "{log}");
    assert_eq!(log.matches("the configuration has changed").count(), 2, "one that changed, twice: {log}");
    let told = "the configuration was read again: changed destination changing";
    assert_eq!(stage.own_messages("configuration-reloaded"), [told, told]);
    assert_eq!(stage.own("configuration-refused").len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_receiver_never_confirmed_goes_to_the_next_one() {
    const COUNT: usize = 100;
    let stalled = Collector::troubled(vec![Fault::StallAfter(3); 1000]).await;
    let good = Collector::start().await;
    let pace = Pace::Over(Duration::from_secs(3600));
    let generated = Generated { count: Some(COUNT as u64), pace, ..Generated::default() };
    let plan = Plan { generated: Some(generated), ..Plan::default() };
    let stage = Stage::set(plan, &stalled.table("siem", "age = \"1s\"")).await;
    let running = stage.forwarder.start(&[]);
    until(&running, || stalled.count("CEF:0|") >= 3 && ids(&stage.path("witness")).len() == COUNT).await;
    stage.write(&good.table("siem", "age = \"1s\""));
    until(&running, || good.count("CEF:0|Slack|") >= COUNT).await;
    let log = ends_well(running).await;
    let messages = good.messages();
    let indices: Vec<_> =
        messages.iter().filter(|message| is_of_slack(message)).map(|message| index(message)).collect();
    assert_eq!((indices.len(), BTreeSet::from_iter(indices).len()), (COUNT, COUNT), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn destinations_come_and_go() {
    // A port that nobody listens on.
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let dead = format!("[destinations.dead.tcp]\nto = [\"{dead}\"]\n");
    let stage = Stage::set(Plan::default(), &dead).await;
    let running = stage.forwarder.start(&[]);
    let witness = stage.path("witness");
    for id in ["a", "b", "c"] {
        stage.login(&running, id, &witness).await;
    }
    // A new one gets what is kept.
    let late = stage.path("late");
    let table = format!("[destinations.late.file]\npath = {late:?}\n");
    stage.replace(&(dead.clone() + &table));
    until(&running, || ids(&late) == ["a", "b", "c"]).await;
    stage.login(&running, "d", &late).await;
    // One that is gone leaves what it was not given, and is told of.
    stage.write(&table);
    until(&running, || stage.own("configuration-reloaded").len() == 2).await;
    let told = stage.own_messages("configuration-reloaded");
    assert_eq!(told[0], "the configuration was read again: added destination late");
    let gone = "the configuration was read again: removed destination dead; dead leaves up to ";
    let entries =
        told[1].strip_prefix(gone).and_then(|rest| rest.strip_suffix(" entries that it was not given"));
    // Four of Slack's, and two or more of our own.
    assert!(entries.unwrap().parse::<u64>().unwrap() >= 6, "{told:?}");
    assert!(running.log().contains("its position with it"), "{}", running.log());
    stage.login(&running, "e", &late).await;
    let log = ends_well(running).await;
    for file in [&late, &witness] {
        assert_eq!(ids(file), ["a", "b", "c", "d", "e"], "{log}");
    }
    // It would begin anew: the store knows nothing of it.
    stage.write(&(table + &format!("[destinations.dead.file]\npath = {:?}\n", stage.path("alive"))));
    let running = stage.forwarder.start(&[]);
    until(&running, || ids(&stage.path("alive")) == ["a", "b", "c", "d", "e"]).await;
    ends_well(running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_come_change_and_go() {
    let stage = Stage::set(Plan::default(), "").await;
    let other = slack(Plan::default()).await;
    login(&other, "x");
    let witness = stage.path("witness");
    let running = stage.forwarder.start(&[]);
    stage.login(&running, "a", &witness).await;
    let table = |more: &str| {
        format!(
            "[sources.other]\nlog = \"audit\"\ntoken = {{ file = {:?} }}\nbase_url = {:?}\n{SOURCE}\n{more}",
            stage.forwarder.dir().join("token"),
            other.base_url()
        )
    };
    stage.write(&table(""));
    until(&running, || ids(&witness) == ["a", "x"]).await;
    // It goes on at its bookmark.
    stage.write(&table("verify_after = \"2h\""));
    until(&running, || stage.own("configuration-reloaded").len() == 2).await;
    login(&other, "y");
    until(&running, || ids(&witness) == ["a", "x", "y"]).await;
    stage.write("");
    until(&running, || stage.own("configuration-reloaded").len() == 3).await;
    let asked = other.tally().requests;
    for id in ["b", "c"] {
        stage.login(&running, id, &witness).await;
    }
    assert_eq!(other.tally().requests, asked, "nobody asks it any more");
    let log = ends_well(running).await;
    assert_eq!(ids(&witness), ["a", "x", "y", "b", "c"], "{log}");
    let told = ["added source other", "changed source other", "removed source other"];
    let told = told.map(|what| format!("the configuration was read again: {what}"));
    assert_eq!(stage.own_messages("configuration-reloaded"), told);
    assert!(!log.contains("the configuration has changed source=acme"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_file_leaves_all_in_force_and_is_told_once() {
    let stage = Stage::set(Plan::default(), "").await;
    let (file, witness) = (stage.path("other"), stage.path("witness"));
    let table =
        |more: &str| format!("[destinations.other]\n{more}\n[destinations.other.file]\npath = {file:?}\n");
    stage.write(&table(""));
    let running = stage.forwarder.start(&[]);
    assert!(stage.login(&running, "a", &file).await.starts_with("CEF:0|"));

    // One good change, two mistakes.
    stage.write(&table("header = \"rfc5424\"\nfacilty = \"local0\"\nmax_message = \"7\""));
    until(&running, || stage.own("configuration-refused").len() == 1).await;
    let refused = stage.own("configuration-refused").remove(0);
    let path = stage.forwarder.config();
    let text = fs::read_to_string(&path).unwrap();
    let line = 1 + text.lines().position(|line| line.starts_with("facilty")).unwrap();
    let message = refused.value("msg").unwrap();
    assert!(
        message.starts_with(&format!("{path}:{line}: ")) && message.contains("1 mistake more"),
        "{message}"
    );
    assert_eq!((refused.value("filePath"), refused.value("outcome")), (Some(&*path), Some("failure")));
    assert!(refused.value("cs5").unwrap().contains("`facility`"), "{refused:?}");
    let log = running.log();
    assert!(
        log.contains(&format!("{path}:{line}:1")) && log.contains("^^^^") && log.contains("max_message"),
        "{log}"
    );
    assert!(stage.login(&running, "b", &file).await.starts_with("CEF:0|"));

    // Asked, it says it again, in the log alone.
    let said = || running.log().matches("the configuration is refused").count();
    assert_eq!(said(), 1);
    running.signal("HUP");
    until(&running, || said() == 2).await;

    // Mended by going back, then broken again and mended by going on.
    stage.write(&table(""));
    until(&running, || stage.own("configuration-reloaded").len() == 1).await;
    stage.write(&table("header = \"rfc5424\"\nfacilty = \"local0\""));
    until(&running, || stage.own("configuration-refused").len() == 2).await;
    stage.write(&table("header = \"rfc5424\""));
    until(&running, || stage.own("configuration-reloaded").len() == 2).await;
    assert!(stage.login(&running, "c", &file).await.contains(" CEF - - - CEF:0|"));
    let told = [
        "the configuration in force is what its file says again",
        "the configuration was read again: changed destination other",
    ];
    assert_eq!(stage.own_messages("configuration-reloaded"), told);
    // The file itself is gone, and comes back as it was.
    let aside = stage.path("aside");
    fs::copy(&path, &aside).unwrap();
    fs::remove_file(&path).unwrap();
    until(&running, || stage.own("configuration-refused").len() == 3).await;
    fs::copy(&aside, &path).unwrap();
    until(&running, || stage.own("configuration-reloaded").len() == 3).await;
    let log = ends_well(running).await;
    assert_eq!((ids(&witness).len(), stage.own("configuration-refused").len()), (3, 3), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_had_refuses_the_whole() {
    let stage = Stage::set(Plan::default(), "").await;
    let (file, ca) = (stage.path("other"), stage.path("ca.pem"));
    let table = |header: &str| {
        format!("[destinations.other]\nheader = \"{header}\"\n[destinations.other.file]\npath = {file:?}\n")
    };
    stage.write(&table("none"));
    let running = stage.forwarder.start(&[]);
    stage.login(&running, "a", &file).await;
    let secured = format!("[destinations.new.tls]\nto = [\"127.0.0.1:1\"]\nca = {ca:?}\n");
    stage.write(&(table("rfc5424") + &secured));
    until(&running, || stage.own("configuration-refused").len() == 1).await;
    let [told] = &stage.own_messages("configuration-refused")[..] else { panic!("told once") };
    assert!(told.contains("destination new") && told.contains("ca.pem"), "{told}");
    assert!(stage.login(&running, "b", &file).await.starts_with("CEF:0|"), "the other change is not taken");
    // It is no matter of the configuration's text, and nobody asks: it is tried again by itself.
    fs::copy(crate::support::certificates::Certificates::new().ca(), &ca).unwrap();
    until(&running, || stage.own("configuration-reloaded").len() == 1).await;
    assert!(stage.login(&running, "c", &file).await.contains(" CEF - - - CEF:0|"));
    let told = "the configuration was read again: changed destination other; added destination new";
    assert_eq!(stage.own_messages("configuration-reloaded"), [told]);
    let log = ends_well(running).await;
    assert_eq!(stage.own("configuration-refused").len(), 1, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_written_file_is_let_alone() {
    let stage = Stage::set(Plan::default(), "").await;
    let files = ["one", "two"].map(|name| stage.path(name));
    let table = |n: usize| format!("[destinations.n{n}.file]\npath = {:?}\n", files[n]);
    stage.write(&(table(0) + &table(1)));
    let running = stage.forwarder.start_talkative();
    stage.login(&running, "a", &files[1]).await;
    let waits = || running.log().matches("once it has settled").count();
    // Whole as far as it goes: it would be a destination less. Then one that ends within a key.
    for (n, half) in [table(0), table(0) + "[destinations.n1.fi"].into_iter().enumerate() {
        let seen = waits();
        stage.write(&half);
        until(&running, || waits() > seen).await;
        stage.write(&format!("{}{}# edition {n}\n", table(0), table(1)));
        until(&running, || running.log().matches("nothing in the configuration has changed").count() > n)
            .await;
    }
    stage.login(&running, "b", &files[1]).await;
    let log = ends_well(running).await;
    assert!(!log.contains("refused") && !log.contains("the configuration has changed\n"), "{log}");
    assert_eq!(stage.own("configuration-reloaded").len(), 0);
    for file in &files {
        assert_eq!(ids(file), ["a", "b"], "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn asked_it_takes_other_tokens_too_and_says_what_waits_for_a_restart() {
    let stage = Stage::set(Plan::default(), "").await;
    let (witness, token) = (stage.path("witness"), stage.forwarder.dir().join("token"));
    let running = stage.forwarder.start(&[]);
    stage.login(&running, "a", &witness).await;
    running.signal("HUP");
    until(&running, || running.log().contains("nothing in the configuration has changed")).await;

    let right = fs::read_to_string(&token).unwrap();
    fs::write(&token, "another-token").unwrap();
    running.signal("HUP");
    until(&running, || running.log().contains("Slack refuses the source")).await;
    fs::write(&token, "").unwrap();
    running.signal("HUP");
    until(&running, || stage.own("configuration-refused").len() == 1).await;
    fs::write(&token, right).unwrap();
    running.signal("HUP");
    stage.login(&running, "b", &witness).await;
    let changed = "the configuration was read again: changed source acme";
    let told = stage.own_messages("configuration-reloaded");
    // A source that Slack refuses looks at its token's file by itself, and may have been the first.
    let mended = "the configuration in force is what its file says again";
    assert!(told.len() == 2 && told[0] == changed, "{told:?}");
    assert!([changed, mended].contains(&told[1].as_str()), "{told:?}");

    let text = stage.text("").replace("[state]", "[state]\nretention = \"9d\"");
    fs::write(stage.forwarder.config(), text).unwrap();
    running.signal("HUP");
    until(&running, || stage.own("configuration-reloaded").len() == 3).await;
    assert!(running.log().contains("[state] has changed since the start"), "{}", running.log());
    let told = "the configuration was read again: [state] waits for a restart";
    assert_eq!(stage.own_messages("configuration-reloaded").last().unwrap(), told);
    let log = ends_well(running).await;
    assert!(!log.contains("another-token"), "{log}");
    assert_eq!(ids(&witness), ["a", "b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_of_another_folder_is_followed() {
    let stage = Stage::set(Plan::default(), "").await;
    for name in ["one", "two", "three"] {
        fs::create_dir(stage.path(name)).unwrap();
        fs::write(stage.path(name).join("acme.toml"), edition(name)).unwrap();
    }
    let file = stage.path("other");
    let tables = |dir: &str| {
        format!(
            "[destinations.other]\nmapping = \"acme\"\n[destinations.other.file]\npath = {file:?}\n[mappings.acme]\ndir = {:?}\n",
            stage.path(dir)
        )
    };
    stage.write(&tables("one"));
    let running = stage.forwarder.start(&[]);
    assert!(stage.login(&running, "a", &file).await.contains("AcmeEdition=one"));
    stage.write(&tables("two"));
    until(&running, || stage.own("configuration-reloaded").len() == 1).await;
    assert!(stage.login(&running, "b", &file).await.contains("AcmeEdition=two"));
    // The folder is looked at, as the one before it was.
    fs::copy(stage.path("three/acme.toml"), stage.path("two/acme.toml")).unwrap();
    until(&running, || stage.own("mapping-reloaded").len() == 1).await;
    assert!(stage.login(&running, "c", &file).await.contains("AcmeEdition=three"));
    let told = "the configuration was read again: changed mapping acme";
    assert_eq!(stage.own_messages("configuration-reloaded"), [told]);
    let log = ends_well(running).await;
    assert!(!log.contains("the destination ends"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_on_the_way_to_the_end_loses_and_repeats_nothing() {
    let stage = Stage::set(stream(500.0), "").await;
    let file = stage.path("other");
    let table = |host: &str| {
        format!(
            "[destinations.other]\nhostname = \"{host}\"\nheader = \"rfc5424\"\n[destinations.other.file]\npath = {file:?}\n"
        )
    };
    let arrived = || lines(&file).iter().filter(|line| is_of_slack(line)).count();
    for round in 0..4 {
        stage.write(&table(&format!("host-{round}")));
        let running = stage.forwarder.start(&[]);
        let seen = arrived();
        until(&running, || arrived() > seen + 200).await;
        stage.write(&table(&format!("other-{round}")));
        running.signal("HUP");
        // Whether it has begun, is done, or was never heard of.
        if round % 2 == 0 {
            until(&running, || running.log().matches("SIGHUP").count() > round).await;
        }
        ends_well(running).await;
    }
    let indices: Vec<_> =
        lines(&file).iter().filter(|line| is_of_slack(line)).map(|line| index(line)).collect();
    let different: BTreeSet<_> = indices.iter().copied().collect();
    assert_eq!(different.len(), indices.len(), "none twice");
    assert_eq!(different.last().copied(), Some(indices.len() as u64 - 1), "none lost");
}
