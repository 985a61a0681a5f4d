//! Which entries a rule takes, and which events a destination: conditions from the file to the end.

use std::fs;
use std::net::SocketAddr;

use std::sync::Arc;

use bytes::Bytes;
use slackcef::cef::{self, Event};
use slackcef::event::{Entry, Log, UnixTime};
use slackcef::mapping::{self, Layer, MappingFile, Plans, Scratch, Trusted};
use slackcef::simulate::slack::{Plan, Slack};

use crate::support::forwarder::Forwarder;

const BASE: &str = r#"
version = 1
log = "audit"
[header]
vendor = "Slack"
product = "Audit Logs"
[unmapped]
severity = 4
[actions.user_login]
severity = 1
[actions.user_logout]
severity = 1
[actions.file_shared]
severity = 1
"#;

fn plans(rules: &str) -> Plans {
    let text = format!("{BASE}{rules}");
    mapping::compile(&[MappingFile::new("base.toml", Layer::Shipped, text)])
        .unwrap_or_else(|problems| panic!("{}", problems[0].render(false)))
}

/// The severity of the event of this entry.
fn severity(plans: &Plans, json: &str) -> u8 {
    let entry =
        Entry::from_raw(Log::Audit, Bytes::from(json.to_owned()), UnixTime::from_seconds(0), 0).unwrap();
    let mut event = Event::new();
    plans.plan(Log::Audit, entry.action().as_str()).apply(&entry, &mut Scratch::new(), &mut event);
    event.severity().get()
}

/// Those of the actions that a rule takes whose `when` is this.
fn taken<'a>(when: &str, actions: &[&'a str]) -> Vec<&'a str> {
    let plans = plans(&format!("[[rules]]\nwhen = {when}\nseverity = 10\n"));
    let is_taken = |action: &&&str| severity(&plans, &format!(r#"{{"action":"{action}"}}"#)) == 10;
    actions.iter().filter(is_taken).copied().collect()
}

/// Some that a file names, some that none does.
const ACTIONS: [&str; 5] = ["user_login", "user_logout", "file_shared", "user_new_thing", "pref.new_thing"];

#[test]
fn a_rule_takes_actions_by_pattern_whether_a_file_names_them_or_not() {
    for (when, meant) in [
        ("{ action = { glob = 'user_*' } }", vec!["user_login", "user_logout", "user_new_thing"]),
        ("{ action = { glob = ['*_log?n', 'pref.*'] } }", vec!["user_login", "pref.new_thing"]),
        ("{ action = { regex = 'new|shared$' } }", vec!["file_shared", "user_new_thing", "pref.new_thing"]),
        (
            "{ action = { none = ['user_login', 'user_new_thing'] } }",
            vec!["user_logout", "file_shared", "pref.new_thing"],
        ),
        ("{ action = { glob = 'user_*', none = 'user_login' } }", vec!["user_logout", "user_new_thing"]),
        (
            "{ any = [{ action = { glob = 'file_*' } }, { action = { regex = '^pref' } }] }",
            vec!["file_shared", "pref.new_thing"],
        ),
        ("{ action = { at_least = 1 } }", vec![]),
    ] {
        assert_eq!(taken(when, &ACTIONS), meant, "{when}");
    }
}

#[test]
fn an_action_is_taken_by_what_its_text_means() {
    let plans = plans("[[rules]]\nwhen = { action = { glob = 'pref.*/x' } }\nseverity = 10\n");
    assert_eq!(severity(&plans, r#"{"action":"pref.\u0061\/x"}"#), 10);
    assert_eq!(severity(&plans, r#"{"action":"pref.a\\/y"}"#), 4);
    assert_eq!(severity(&plans, "{}"), 4);
}

#[test]
fn conditions_of_an_entry_are_asked_of_each() {
    let plans = plans(
        r"
        [[rules]]
        when = { 'context.ip_address' = { cidr = ['10.0.0.0/8', '2001:db8::/32'] } }
        severity = 0
        [[rules]]
        when = { 'details.count' = { at_least = 100, at_most = 199 }, action = { glob = 'file_*' } }
        severity = 8
        [[rules]]
        when = { 'entity.*.name' = { regex = '(?i)\.(exe|scr)$' }, 'actor.user.email' = { none = ['scanner@example.com'] } }
        severity = 9
        ",
    );
    for (json, meant) in [
        (r#"{"action":"file_shared"}"#, 1),
        (r#"{"action":"file_shared","context":{"ip_address":"10.1.2.3"}}"#, 0),
        (r#"{"action":"file_shared","context":{"ip_address":"2001:DB8::1"}}"#, 0),
        (r#"{"action":"file_shared","context":{"ip_address":"11.1.2.3"}}"#, 1),
        (r#"{"action":"file_shared","details":{"count":100}}"#, 8),
        (r#"{"action":"file_shared","details":{"count":"199.0"}}"#, 8),
        (r#"{"action":"file_shared","details":{"count":200}}"#, 1),
        (r#"{"action":"user_login","details":{"count":100}}"#, 1),
        (r#"{"action":"file_shared","entity":{"type":"file","file":{"name":"a\nb.EX\u0065"}}}"#, 9),
        (
            r#"{"action":"x","entity":{"file":{"name":"b.exe"}},"actor":{"user":{"email":"scanner@example.com"}}}"#,
            4,
        ),
        (r#"{"action":"x","entity":{"file":{"name":"b.exe"}},"actor":{"user":{"email":null}}}"#, 9),
    ] {
        assert_eq!(severity(&plans, json), meant, "{json}");
    }
}

/// The destination's classes, in the order in which they arrived.
fn classes(path: &std::path::Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().map(|line| cef::decode(line).unwrap().class_id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_is_sent_what_its_when_wants() {
    let now = jiff::Timestamp::now().as_second();
    let given =
        [("zoo_opened", 0), ("zoo_burnt", 1), ("zoo_closed", 2), ("zoo_fed", 3)].map(|(action, n)| {
            format!(r#"{{"id":"{action}","date_create":{},"action":"{action}"}}"#, now - 600 + n)
        });
    let plan = Plan { given: given.to_vec(), ..Plan::default() };
    let slack = Slack::start(SocketAddr::from(([127, 0, 0, 1], 0)), plan).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    fs::create_dir(path("mapping")).unwrap();
    fs::write(
        path("mapping/zoo.toml"),
        "version = 1\nlog = \"audit\"\n[actions.zoo_burnt]\nseverity = 9\n[actions.zoo_closed]\nseverity = 7\n\
         [actions.zoo_opened]\nseverity = 2\n[[rules]]\nwhen = { action = \"zoo_fed\" }\ndrop = true\n",
    )
    .unwrap();
    let destination = |name: &str, when: &str| {
        format!(
            "[destinations.{name}]\nmapping = \"zoo\"\n{when}\n[destinations.{name}.file]\npath = {:?}\n",
            path(name).to_str().unwrap()
        )
    };
    let destinations = [
        format!("[mappings.zoo]\ndir = {:?}\n", path("mapping").to_str().unwrap()),
        destination("all", ""),
        destination("grave", "when = { severity = { at_least = 7 } }"),
        destination(
            "none",
            "when = { action = { none = ['zoo_burnt', 'zoo_closed'] }, severity = { at_least = 3 } }",
        ),
        destination(
            "acme",
            "when = { source = 'acme', externalId = { glob = '*ed' }, any = [{ severity = 2 }, { severity = 7 }] }",
        ),
    ];
    let forwarder = Forwarder::new(
        &slack,
        "start = \"1d\"\nsettle = \"2s\"\nverify_after = \"off\"",
        &destinations.concat(),
    );
    let mut running = forwarder.start(&["--once"]);
    assert!(running.end().await.success(), "{}", running.log());
    assert_eq!(classes(&path("all")), ["zoo_opened", "zoo_burnt", "zoo_closed"]);
    assert_eq!(classes(&path("grave")), ["zoo_burnt", "zoo_closed"]);
    assert_eq!(classes(&path("acme")), ["zoo_opened", "zoo_closed"]);
    assert!(!path("none").exists(), "nothing was ever sent there");
    let log = running.log();
    let counted = |destination: &str, counts: &str| {
        let ended = |line: &&str| {
            line.contains("destination ended") && line.contains(&format!("destination={destination} "))
        };
        let line = log.lines().find(ended).unwrap_or_else(|| panic!("{log}"));
        assert!(line.contains(counts), "{line}");
    };
    counted("all", "dropped_by_rule=1 unwanted=0");
    counted("grave", "dropped_by_rule=1 unwanted=1");
    counted("none", "dropped_by_rule=1 unwanted=3");
    // What is not wanted is settled: a second run has nothing left, and sends nothing again.
    let mut again = forwarder.start(&["--once"]);
    assert!(again.end().await.success(), "{}", again.log());
    assert_eq!(classes(&path("all")).len() + classes(&path("grave")).len() + classes(&path("acme")).len(), 7);
    assert!(!log.contains("not wanted") && !path("none").exists());
}

#[test]
fn what_the_organization_trusts_is_asked_of_each_entry_as_it_is_then() {
    let plans = plans(
        r"
        [[rules]]
        when = { 'context.ip_address' = { cidr = ['trusted.cidr', '10.0.0.0/8'] } }
        severity = 0
        [[rules]]
        when = { 'details.asn' = { asn = ['trusted.asn', 64500, 'AS64501'] } }
        severity = 9
        [[rules]]
        when = { action = { cidr = 'trusted.cidr' } }
        severity = 8
        ",
    );
    assert!(plans.asks_trusted().is_some());
    let mut scratch = Scratch::new();
    let mut severity = |json: &str, trusted: &Arc<Trusted>| {
        let json = Bytes::from(json.to_owned());
        let entry = Entry::from_raw(Log::Audit, json, UnixTime::from_seconds(0), 0).unwrap();
        let mut event = Event::new();
        scratch.trust(trusted);
        plans.plan(Log::Audit, entry.action().as_str()).apply(&entry, &mut scratch, &mut event);
        event.severity().get()
    };
    let office = Arc::new(Trusted::new(vec!["192.0.2.0/24".parse().unwrap()], vec![64_502]));
    let other = Arc::new(Trusted::new(vec!["198.51.100.0/24".parse().unwrap()], vec![]));
    let from =
        |address: &str| format!(r#"{{"action":"file_shared","context":{{"ip_address":"{address}"}}}}"#);
    for (json, by_office, by_other, by_none) in [
        (from("192.0.2.7"), 0, 1, 1),
        (from("::ffff:192.0.2.7"), 0, 1, 1),
        (from("198.51.100.7"), 1, 0, 1),
        (from("10.1.2.3"), 0, 0, 0),
        (r#"{"action":"file_shared","details":{"asn":64502}}"#.to_owned(), 9, 1, 1),
        (r#"{"action":"file_shared","details":{"asn":["AS1","AS64502 Example Net"]}}"#.to_owned(), 9, 1, 1),
        (r#"{"action":"file_shared","details":{"asn":"as64501"}}"#.to_owned(), 9, 9, 9),
        (r#"{"action":"file_shared","details":{"asn":"64503"}}"#.to_owned(), 1, 1, 1),
        // Of an action it is not settled beforehand either.
        (r#"{"action":"192.0.2.1"}"#.to_owned(), 8, 4, 4),
    ] {
        assert_eq!(severity(&json, &office), by_office, "{json}");
        assert_eq!(severity(&json, &other), by_other, "{json}");
        assert_eq!(severity(&json, &Arc::default()), by_none, "{json}");
        assert_eq!(severity(&json, &office), by_office, "{json}");
    }
}
