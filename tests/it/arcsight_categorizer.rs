//! ArcSight's categorizer file: every action of Slack once, in ArcSight's words, in agreement with
//! the shipped mapping.

use std::collections::BTreeMap;

use slackcef::cef::Event;
use slackcef::event::{Entry, Log, UnixTime};
use slackcef::mapping::{self, Scratch};

const FILE: &str = include_str!("../../deploy/receivers/arcsight/slack/audit_logs.csv");

const COLUMNS: [&str; 7] = [
    "event.deviceEventClassId",
    "set.event.categoryObject",
    "set.event.categoryBehavior",
    "set.event.categoryOutcome",
    "set.event.categoryTechnique",
    "set.event.categoryDeviceGroup",
    "set.event.categorySignificance",
];

/// The words of each column after the first: a slip of the pen would make a category of its own.
const WORDS: [&[&str]; 6] = [
    &[
        "/Actor/Group",
        "/Actor/User",
        "/Host/Application",
        "/Host/Application/Service",
        "/Host/Resource",
        "/Host/Resource/File",
    ],
    &[
        "/Access",
        "/Access/Start",
        "/Access/Stop",
        "/Authentication/Add",
        "/Authentication/Delete",
        "/Authentication/Modify",
        "/Authentication/Verify",
        "/Authorization/Add",
        "/Authorization/Delete",
        "/Authorization/Modify",
        "/Authorization/Verify",
        "/Communicate",
        "/Communicate/Query",
        "/Communicate/Response",
        "/Create",
        "/Delete",
        "/Execute",
        "/Execute/Start",
        "/Execute/Stop",
        "/Found",
        "/Modify",
        "/Modify/Attribute",
        "/Modify/Configuration",
        "/Modify/Content",
    ],
    &["/Attempt", "/Failure", "/Success"],
    &["", "/Information Leak", "/Policy/Breach", "/Traffic Anomaly/Application Layer"],
    &["/Application", "/Identity Management"],
    &[
        "/Hostile",
        "/Informational",
        "/Informational/Alert",
        "/Informational/Error",
        "/Informational/Warning",
        "/Suspicious",
    ],
];

/// The lines by class id.
fn lines() -> BTreeMap<&'static str, [&'static str; 6]> {
    let mut lines = FILE.lines();
    assert_eq!(lines.next().unwrap().split(',').collect::<Vec<_>>(), COLUMNS);
    let mut by_class = BTreeMap::new();
    for line in lines {
        let cells: [&str; 7] = line.split(',').collect::<Vec<_>>().try_into().expect(line);
        let [class, words @ ..] = cells;
        assert!(by_class.insert(class, words).is_none(), "`{class}` has two lines");
    }
    by_class
}

#[test]
fn every_action_of_slack_has_one_line() {
    let listed = include_str!("../../mappings/actions.tsv");
    let listed: Vec<_> = listed.lines().skip(1).filter_map(|line| line.split('\t').next()).collect();
    assert_eq!(lines().into_keys().collect::<Vec<_>>(), listed, "one line an action, sorted as they are");
}

#[test]
fn every_word_is_one_of_arcsights() {
    for (class, words) in lines() {
        for (column, (word, known)) in words.iter().zip(WORDS).enumerate() {
            assert!(known.contains(word), "`{class}`: {} is {word:?}", COLUMNS[column + 1]);
        }
    }
}

#[test]
fn the_outcome_is_the_one_that_is_sent() {
    let plans = mapping::compile(&mapping::builtin()).unwrap();
    for (class, [_, _, outcome, _, _, significance]) in lines() {
        let json = format!(r#"{{"id":"e","action":"{class}","context":{{"ua":"Slack"}}}}"#);
        let entry = Entry::from_raw(Log::Audit, json.into(), UnixTime::from_seconds(0), 0).unwrap();
        let mut event = Event::new();
        plans.plan(Log::Audit, class).apply(&entry, &mut Scratch::new(), &mut event);
        assert_eq!(event.header()[3], class);
        let sent = event.fields().find(|field| field.key.name() == "outcome").map(|field| field.value);
        let meant = match sent {
            Some("success") => "/Success",
            Some("failure") => "/Failure",
            _ => "/Attempt",
        };
        assert_eq!(outcome, meant, "`{class}`");
        let severity: u8 = event.severity().to_string().parse().unwrap();
        match significance {
            "/Informational" => assert!(severity <= 3, "`{class}` has severity {severity}"),
            "/Informational/Warning" => {
                assert!((4..=7).contains(&severity), "`{class}` has severity {severity}");
            }
            "/Informational/Alert" => assert!(severity >= 8, "`{class}` has severity {severity}"),
            "/Informational/Error" => assert_eq!(outcome, "/Failure", "`{class}`"),
            _ => assert!(severity >= 4, "`{class}` has severity {severity}"),
        }
    }
}
