//! Mappings that change while the program runs, and what it tells the SIEM of itself.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use slackcef::cef::Decoded;
use slackcef::simulate::slack::{Generated, Pace, Plan, Slack};
use tempfile::TempDir;

use crate::support::forwarder::{Forwarder, Running, is_of_slack, until};
use crate::support::reload::{SOURCE, edition, login, of_slack, own, slack};

/// The program with a mapping folder, and a file that takes its events.
struct Stage {
    folder: TempDir,
    slack: Slack,
    forwarder: Forwarder,
}

impl Stage {
    async fn set(plan: Plan, destination: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let slack = slack(plan).await;
        let tables = format!(
            "[destinations.siem]\nmapping = \"acme\"\n{destination}\n[destinations.siem.file]\npath = {:?}\n\
             [mappings.acme]\ndir = {:?}\n",
            folder.path().join("events"),
            folder.path().join("acme"),
        );
        fs::create_dir(folder.path().join("acme")).unwrap();
        let forwarder = Forwarder::new(&slack, SOURCE, &tables);
        Self { folder, slack, forwarder }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("acme/acme.toml")
    }

    fn events(&self) -> PathBuf {
        self.folder.path().join("events")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.events()).unwrap_or_default()
    }

    /// The events of Slack's entries.
    fn of_slack(&self) -> Vec<Decoded> {
        of_slack(&self.events())
    }

    /// The forwarder's own events of that class.
    fn own(&self, class_id: &str) -> Vec<Decoded> {
        own(&self.events(), class_id)
    }

    /// Something happens at Slack; gives back what becomes of it.
    async fn login(&self, running: &Running, id: &str) -> Decoded {
        login(&self.slack, id);
        let is_it = |event: &Decoded| event.value("externalId") == Some(id);
        until(running, || self.of_slack().iter().any(is_it)).await;
        self.of_slack().into_iter().find(is_it).unwrap()
    }
}

const BROKEN: &str = "version = 1\nlog = \"audit\"\n[fields]\nsuserr = \"x\"\ncs1 = \"no label\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_that_changes_under_load_loses_and_repeats_nothing() {
    let generated = Generated { count: None, pace: Pace::PerSecond(200.0), ..Generated::default() };
    let stage = Stage::set(Plan { generated: Some(generated), ..Plan::default() }, "").await;
    fs::write(stage.file(), edition("one")).unwrap();
    let mut running = stage.forwarder.start(&[]);
    let arrived = |what: &str| stage.text().matches(what).count();
    until(&running, || arrived(" AcmeEdition=one") >= 300).await;
    fs::write(stage.file(), edition("two")).unwrap();
    until(&running, || arrived(" AcmeEdition=two") >= 300 && arrived("|mapping-reloaded|") > 0).await;
    running.ask_to_end();
    assert!(running.end().await.success(), "{}", running.log());

    let events = stage.of_slack();
    let indices: BTreeSet<_> =
        events.iter().map(|event| Generated::index_of(event.value("externalId").unwrap()).unwrap()).collect();
    assert_eq!(indices.len(), events.len(), "none twice");
    assert_eq!(indices.last(), Some(&(events.len() as u64 - 1)), "none lost");
    let editions: Vec<_> = events.iter().map(|event| event.value("AcmeEdition").unwrap()).collect();
    let ones = editions.iter().take_while(|edition| **edition == "one").count();
    assert!(editions[ones..].iter().all(|edition| *edition == "two"), "one plan, then the other");

    let [reloaded] = &stage.own("mapping-reloaded")[..] else {
        panic!("{:?}", stage.own("mapping-reloaded"))
    };
    assert_eq!(reloaded.value("msg"), Some("the mapping acme was read again: changed acme.toml"));
    assert_eq!((reloaded.value("cs3"), reloaded.value("outcome")), (Some("acme"), Some("success")));
    assert_eq!((stage.own("forwarder-started").len(), stage.own("forwarder-stopped").len()), (1, 1));
    assert_eq!(stage.own("mapping-refused").len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_file_leaves_the_old_plan_in_force_and_is_told_once() {
    let stage = Stage::set(Plan::default(), "").await;
    fs::write(stage.file(), edition("one")).unwrap();
    let mut running = stage.forwarder.start(&[]);
    assert_eq!(stage.login(&running, "a").await.value("AcmeEdition"), Some("one"));

    fs::write(stage.file(), BROKEN).unwrap();
    until(&running, || stage.own("mapping-refused").len() == 1).await;
    let refused = stage.own("mapping-refused").remove(0);
    let path = stage.file().display().to_string();
    let message = refused.value("msg").unwrap();
    assert!(message.starts_with(&format!("{path}:4: `suserr` is not a CEF key")), "{message}");
    assert!(message.contains("1 mistake more"), "{message}");
    assert_eq!((refused.value("filePath"), refused.value("cn1")), (Some(&*path), Some("4")));
    let log = running.log();
    assert!(log.contains(&format!("{path}:4:1")) && log.contains("^^^^^^") && log.contains("cs1"), "{log}");
    assert_eq!(stage.login(&running, "b").await.value("AcmeEdition"), Some("one"));

    // Mended by going back to what runs: that is told too.
    fs::write(stage.file(), edition("one")).unwrap();
    until(&running, || stage.own("mapping-reloaded").len() == 1).await;
    let back = stage.own("mapping-reloaded").remove(0);
    assert_eq!(back.value("msg"), Some("the mapping acme is what it was before its mistakes"));

    fs::write(stage.file(), BROKEN).unwrap();
    until(&running, || stage.own("mapping-refused").len() == 2).await;
    fs::write(stage.file(), edition("two")).unwrap();
    until(&running, || stage.own("mapping-reloaded").len() == 2).await;
    assert_eq!(stage.login(&running, "c").await.value("AcmeEdition"), Some("two"));
    running.ask_to_end();
    assert!(running.end().await.success(), "{}", running.log());
    assert_eq!((stage.own("mapping-refused").len(), stage.own("mapping-reloaded").len()), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_has_the_folder_looked_at_at_once() {
    let stage = Stage::set(Plan::default(), "").await;
    fs::write(stage.file(), edition("one")).unwrap();
    let mut running = stage.forwarder.start(&[]);
    // Before it listens, the signal would end it.
    assert_eq!(stage.login(&running, "a").await.value("AcmeEdition"), Some("one"));
    running.signal("HUP");
    until(&running, || running.log().contains("nothing in the mapping folder has changed")).await;

    fs::write(stage.file(), edition("two")).unwrap();
    running.signal("HUP");
    // Not by two looks: it was asked.
    until(&running, || running.log().contains("was read again: changed acme.toml")).await;
    let log = running.log();
    assert!(log.lines().any(|line| line.contains("was read again") && line.contains("asked=true")), "{log}");
    assert_eq!(stage.login(&running, "b").await.value("AcmeEdition"), Some("two"));

    running.ask_to_end();
    assert!(running.end().await.success(), "{}", running.log());
    assert_eq!(stage.own("mapping-reloaded").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_written_file_is_let_alone() {
    let stage = Stage::set(Plan::default(), "").await;
    fs::write(stage.file(), edition("one")).unwrap();
    let mut running = stage.forwarder.start_talkative();
    assert_eq!(stage.login(&running, "a").await.value("AcmeEdition"), Some("one"));
    let waits = || running.log().matches("once it has settled").count();
    for (n, name) in ["two", "three"].into_iter().enumerate() {
        let (text, seen) = (edition(name), waits());
        fs::write(stage.file(), text.split_at(text.len() / 2).0).unwrap();
        until(&running, || waits() > seen).await;
        fs::write(stage.file(), &text).unwrap();
        until(&running, || stage.own("mapping-reloaded").len() == n + 1).await;
        assert_eq!(stage.login(&running, name).await.value("AcmeEdition"), Some(name));
    }
    assert!(!running.log().contains("refused"), "{}", running.log());
    running.ask_to_end();
    assert!(running.end().await.success(), "{}", running.log());
    assert_eq!(stage.own("mapping-refused").len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_pass_delivers_its_own_events_to_every_destination() {
    let now = jiff::Timestamp::now().as_second() - 60;
    let given = (0..4)
        .map(|n| format!(r#"{{"id":"e-{n}","date_create":{now},"action":"quantum_widget_entangled"}}"#))
        .collect();
    let plan = Plan { given, ..Plan::default() };
    // One of them is done long before the other, and both take the sources they are told alone.
    let folder = tempfile::tempdir().unwrap();
    let slack = slack(plan).await;
    let files = ["fast", "slow"].map(|name| folder.path().join(name));
    let tables = format!(
        "[destinations.fast]\nsources = [\"acme\"]\n[destinations.fast.file]\npath = {:?}\n[destinations.slow]\n\
         sources = [\"acme\"]\nrate = {{ events_per_second = 2, burst = 1 }}\n[destinations.slow.file]\npath = {:?}\n",
        files[0], files[1]
    );
    let forwarder = Forwarder::new(&slack, SOURCE, &tables);
    let mut running = forwarder.start(&["--once"]);
    assert!(running.end().await.success(), "{}", running.log());
    for file in &files {
        let text = fs::read_to_string(file).unwrap();
        let (of_slack, own): (Vec<_>, Vec<_>) = text.lines().partition(|line| is_of_slack(line));
        assert_eq!(of_slack.len(), 4, "{text}");
        let [own] = own[..] else { panic!("not one own event: {text}") };
        assert!(own.contains("|action-unmapped|") && own.contains("cs4=quantum_widget_entangled "), "{own}");
    }
}
