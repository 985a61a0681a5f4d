//! The shipped mapping: every action of Slack has a name, a severity and a category, what public
//! detections alert on stands high, and what correlation leans on never changes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::LazyLock;

use bytes::Bytes;
use slackcef::cef::Event;
use slackcef::event::{Entry, Log, UnixTime};
use slackcef::mapping::{self, MappingFile, Plans, Scratch};

static PLANS: LazyLock<Plans> = LazyLock::new(|| compiled(mapping::builtin()));

/// The severity from which somebody should look the same day, and from which `cat` has a topic.
const WORTH_A_LOOK: u8 = 6;

fn compiled(files: Vec<MappingFile>) -> Plans {
    mapping::compile(&files).unwrap_or_else(|problems| {
        let shown: Vec<_> = problems.iter().map(|problem| problem.render(false)).collect();
        panic!("{}", shown.join("\n\n"))
    })
}

/// What an entry becomes.
struct Mapped {
    severity: u8,
    fields: BTreeMap<String, String>,
}

impl Mapped {
    fn of(plans: &Plans, json: &str) -> Self {
        let json = Bytes::from(json.to_owned());
        let entry = Entry::from_raw(Log::Audit, json, UnixTime::from_seconds(0), 0).unwrap();
        let mut event = Event::new();
        let plan = plans.plan(entry.log(), entry.action().as_str());
        let applied = plan.apply(&entry, &mut Scratch::new(), &mut event);
        assert!(applied.misfits.is_empty(), "a value does not fit its key: {entry:?}");
        let mut fields = BTreeMap::new();
        for field in event.fields() {
            fields.insert(field.key.name().to_owned(), field.value.to_owned());
        }
        Self { severity: event.severity().to_string().parse().unwrap(), fields }
    }

    /// The event of an entry that has nothing but its action and what every entry has.
    fn bare(action: &str) -> Self {
        Self::of(&PLANS, &format!(r#"{{"id":"e","action":"{action}","context":{{"ua":"Slack"}}}}"#))
    }

    fn get(&self, key: &str) -> &str {
        self.fields.get(key).map_or("", String::as_str)
    }
}

/// A line of our list of Slack's actions.
struct Action {
    name: &'static str,
    groups: Vec<&'static str>,
    entities: &'static str,
}

fn actions() -> Vec<Action> {
    let list = include_str!("../../mappings/actions.tsv");
    let mut lines = list.lines();
    assert_eq!(lines.next(), Some("action\tgroup\tentities"));
    let action = |line: &'static str| {
        let [name, groups, entities] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        Action { name, groups: groups.split('|').collect(), entities }
    };
    let actions: Vec<_> = lines.map(action).collect();
    assert!(actions.is_sorted_by(|a, b| a.name < b.name), "sort mappings/actions.tsv by action");
    actions
}

#[test]
fn every_action_of_slack_is_mapped_by_name() {
    let mapped: BTreeMap<_, _> = PLANS.actions(Log::Audit).into_iter().map(|m| (m.action, m)).collect();
    let mut names = BTreeMap::new();
    for Action { name: action, .. } in actions() {
        let known = mapped.get(action).unwrap_or_else(|| panic!("no file names `{action}`"));
        let name = known.name.unwrap_or_else(|| panic!("`{action}` has no name"));
        if let Some(other) = names.insert(name, action) {
            panic!("`{action}` and `{other}` are both called `{name}`");
        }
    }
}

#[test]
fn the_list_of_actions_is_the_one_gathered() {
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/slack-audit-actions.csv");
    let Ok(table) = std::fs::read_to_string(&table) else {
        eprintln!("skipped: there is no {}", table.display());
        return;
    };
    let mut rows = table.lines();
    let head: Vec<_> = rows.next().unwrap().split(',').collect();
    assert_eq!(head[..3], ["action", "entity_types", "group"]);
    // The first three columns never hold a comma.
    let gathered: BTreeSet<_> = rows
        .map(|row| row.splitn(4, ',').collect::<Vec<_>>())
        .map(|row| (row[0].to_owned(), row[2].to_owned(), row[1].to_owned()))
        .collect();
    let ours: BTreeSet<_> =
        actions().iter().map(|a| (a.name.to_owned(), a.groups.join("|"), a.entities.to_owned())).collect();
    assert_eq!(ours.difference(&gathered).collect::<Vec<_>>(), Vec::<&(String, String, String)>::new());
    assert_eq!(gathered.difference(&ours).collect::<Vec<_>>(), Vec::<&(String, String, String)>::new());
}

#[test]
fn a_category_begins_with_slacks_group_and_has_a_topic_from_severity_six() {
    for Action { name: action, groups, .. } in actions() {
        let event = Mapped::bare(action);
        let (group, topic) = match event.get("cat").split_once('/') {
            Some((group, topic)) => (group, Some(topic)),
            None => (event.get("cat"), None),
        };
        assert!(groups.contains(&group), "`{action}` has the category {group}, Slack has it in {groups:?}");
        assert_eq!(
            topic.is_some(),
            event.severity >= WORTH_A_LOOK,
            "`{action}` has severity {} and category {}",
            event.severity,
            event.get("cat")
        );
        let plain = |topic: &str| topic.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
        assert!(topic.is_none_or(plain), "{}", event.get("cat"));
    }
}

// ---- What public detections alert on ----------------------------------------------------------

/// See the head of that file.
const DETECTIONS: &str = include_str!("../data/detections.tsv");

#[test]
fn what_public_detections_alert_on_stands_high_and_is_told_by_its_category() {
    let (mut told, mut excepted) = (BTreeSet::new(), BTreeMap::new());
    for line in DETECTIONS.lines().filter(|line| !line.starts_with('#')) {
        let [_, _, entry, category] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let event = Mapped::of(&PLANS, &with_agent(entry));
        if category.starts_with("not: ") {
            assert!(event.severity < WORTH_A_LOOK, "no longer an exception: {line}");
            excepted.insert(event.get("cat").to_owned(), line);
        } else {
            assert!(event.severity >= WORTH_A_LOOK, "severity {}: {line}", event.severity);
            assert_eq!(event.get("cat"), category, "{line}");
            assert!(category.contains('/'), "{line}");
            told.insert(category);
        }
    }
    assert!(told.len() > 30 && excepted.len() > 2);
    for category in told {
        assert_eq!(excepted.get(category), None, "an exception has the category of a detection");
    }
    // That no action below bears one of these categories is asked of all actions above.
}

/// A whole entry, with a user agent where it does not say.
fn with_agent(entry: &str) -> String {
    let context = if entry.contains("\"context\"") { "" } else { r#","context":{"ua":"Slack"}"# };
    format!(r#"{{"id":"e",{entry}{context}}}"#)
}

// ---- What correlation leans on ----------------------------------------------------------------

const LEDGER: &str = "tests/data/ledger.tsv";

/// The event's class id is the action itself; with `cat` and `outcome` it is what rules of a SIEM
/// are written on. What was shipped once is never taken back: see the head of the ledger.
#[test]
fn what_was_shipped_for_correlation_never_changes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(LEDGER);
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let head: String =
        text.lines().take_while(|line| line.starts_with('#')).map(|l| format!("{l}\n")).collect();
    let shipped: BTreeMap<_, _> =
        text.lines().filter(|l| !l.starts_with('#')).map(split_off_action).collect();
    let mut now = BTreeMap::new();
    for mapped in PLANS.actions(Log::Audit) {
        let event = Mapped::bare(mapped.action);
        now.insert(mapped.action, format!("{}\t{}", event.get("cat"), event.get("outcome")));
    }
    let mut wrong = String::new();
    for (action, promised) in &shipped {
        match now.get(action) {
            None => writeln!(wrong, "`{action}` was shipped and is gone: give it its entry back").unwrap(),
            Some(kept) if kept != promised => {
                writeln!(
                    wrong,
                    "`{action}` was shipped with cat and outcome {promised:?}, and now has {kept:?}"
                )
                .unwrap();
            }
            Some(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{wrong}Rules of customers lean on these: put back what was.");
    let new: Vec<_> = now.iter().filter(|(action, _)| !shipped.contains_key(*action)).collect();
    if std::env::var_os("BLESS").is_some() && !new.is_empty() {
        let lines = now.iter().map(|(action, promise)| format!("{action}\t{promise}\n"));
        std::fs::write(&path, head + &lines.collect::<String>()).unwrap();
        return;
    }
    let new: Vec<_> = new.iter().map(|(action, _)| **action).collect();
    assert!(new.is_empty(), "not in {LEDGER}: {new:?}\nBLESS=1 adds them; what is in it, it never changes");
}

fn split_off_action(line: &str) -> (&str, String) {
    let (action, rest) = line.split_once('\t').unwrap_or_else(|| panic!("{LEDGER}: {line}"));
    (action, rest.to_owned())
}
