//! Whatever stands in a mapping file or an entry: no panic, always an event, and the short cuts of
//! a plan make nothing of an entry that its account does not say.

use std::path::Path;
use std::sync::LazyLock;

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Map, Value};
use slackcef::cef::Event;
use slackcef::event::{Action, Entry, EntryId, Log, Text, UnixTime};
use slackcef::mapping::{self, Layer, MappingFile, Outcome, Plans, PseudonymKey, Scratch};

/// A mapping with a bit of everything, to map with and to mutilate.
const EVERYTHING: &str = r#"
version = 1
log = "audit"
category = "user"
unset = ["spriv"]

[header]
vendor = "Slack"
product = "Audit Logs"

[unmapped]
severity = 4

[fields]
externalId = "{id}"
rt = "{date_create}"
src = "{context.ip_address}"
suser = "{actor.user.email ?? actor.user.name ?? actor.name ?? id ?? action}"
suid = "{actor.user.id ?? 'nobody'}"
dvchost = "{context.location.domain}.slack.com"
cn1 = { label = "SlackSessionId", value = "{context.session_id}" }
cs2 = { label = "SlackEntityType", value = "{entity.type | upper}" }
cs3 = { label = "SlackEntityId", value = "{entity.*.id ?? entity.user.name}" }
cs4 = { label = "SlackEntityName", value = "{entity.*.name}" }
reason = "{details.reason}"
msg = "{details.reason[0]} {{of}} {details.reason | count}"
cs6 = { label = "SlackDetails", value = "{details | json}" }
AcmeList = "{details.list | join('; ')}"
AcmeFirst = "{details.list | first | lower}"
AcmeActor = { value = "{actor.type}", means = "what kind of thing acted" }
AcmeDomain = "{actor.user.email ?? details.list | domain}"
AcmeMask = "{details.list | mask}, {context.ip_address ?? id | mask | upper}"
AcmePseudonym = "{details.reason | join(' ') | lower | pseudonym}"
duser = "{details | json | pseudonym}"
AcmeRole = "{details.list | table(roles) | mask}"
c6a3 = { label = "AcmeNetwork", value = "{details.list | first | mask}", means = "a network" }
cn2 = { label = "AcmeRisk", value = "{details.reason | first | table('risks')}" }

[tables.roles]
user = "User"
"U1" = true
"*" = "Someone"

[tables.risks]
tor = 9
"ada@example.com" = 3
1766105755 = "0"

[actions.user_login]
name = "User logged in"
severity = 2
fields = { outcome = "success", suid = "{actor.user.id}" }

[[rules]]
when = { action = ["anomaly", "user_login"], "details.reason" = { any = ["tor", "asn"] } }
severity = 8
fields = { reason = "{details.reason | join(' ')}", suser = "{actor.user.name}" }

[[rules]]
when = { any = [{ "actor.type" = "user" }, { "details.list" = { exists = false } }] }
unset = ["AcmeActor"]
name = "Seen"

[[rules]]
when = { action = { glob = ["*a*", "user_[!x]*"], none = ["quiet"] }, "details.reason" = { regex = "(?i)^T|o+r$" } }
severity = 9

[[rules]]
when = { any = [{ "context.ip_address" = { cidr = ["10.0.0.0/8", "::1"] } }, { "details.n" = { at_least = -1, at_most = 9.5 } }] }
fields = { AcmeNear = "near" }

[[rules]]
when = { "details.noise" = true }
drop = true

[actions.anomaly]
severity = "{details.risk ?? actor.user | table(risks)}"

[[rules]]
when = { "actor.type" = "user" }
severity = { of = "details.list", table = "risks" }

[[rules]]
when = { "context.session_id" = { exists = true } }
severity = "{context.session_id ?? details.noise}"

[[rules]]
when = { action = "other" }
severity = { of = "details.*.id", otherwise = 7 }
"#;

static PLANS: LazyLock<Plans> = LazyLock::new(|| {
    let plans = mapping::compile(&[MappingFile::new("everything.toml", Layer::Shipped, EVERYTHING)]);
    plans.unwrap().keyed(PseudonymKey::for_tests())
});

/// Follows the entry's plan twice, with short cuts and with somebody looking on.
fn follow(plans: &Plans, entry: &Entry, scratch: &mut Scratch, event: &mut Event) {
    let plan = plans.plan(entry.log(), entry.action().as_str());
    let applied = plan.apply(entry, scratch, event);
    let account = plan.explain(entry);
    let [vendor, _, _, class, name] = event.header();
    assert!(!vendor.is_empty() && !class.is_empty() && !name.is_empty());
    assert_eq!(applied.dropped.is_some(), account.iter().any(|said| said.key == "drop"));
    let said: Vec<(&str, &str)> = account
        .iter()
        .filter_map(|said| match &said.outcome {
            Outcome::Value(value) => Some((said.key.as_str(), value.as_str())),
            _ => None,
        })
        .collect();
    let severity = event.severity().to_string();
    let mut done = vec![("name", name), ("severity", &severity)];
    done.extend(event.fields().map(|field| (field.key.name(), field.value)));
    done.extend(applied.dropped.map(|_| ("drop", "true")));
    assert_eq!(done, said);
    let misfits: Vec<&str> = applied.misfits.iter().map(|misfit| misfit.key).collect();
    let said: Vec<&str> = account
        .iter()
        .filter(|said| matches!(said.outcome, Outcome::Misfit { .. }))
        .map(|said| said.key.as_str())
        .collect();
    assert_eq!(misfits, said);
}

/// Whatever the text is: as an entry where it is one, else as one whose text went bad later.
fn entry(text: &str, action: &str) -> Entry {
    let raw = Bytes::from(text.to_owned());
    let time = UnixTime::from_seconds(0);
    Entry::from_raw(Log::Audit, raw.clone(), time, 0).unwrap_or_else(|_| {
        let id = EntryId::derived(&raw, 0);
        Entry::from_parts(Log::Audit, id, Action::new(Text::from(action.to_owned())), time, raw)
    })
}

/// JSON of the words that the mapping looks for.
fn json() -> impl Strategy<Value = Value> {
    let words = "(id|action|actor|user|type|name|email|entity|context|location|domain|ip_address|details|reason|list|noise|session_id|risk)";
    let leaf = prop_oneof![
        2 => Just(Value::Null),
        2 => any::<bool>().prop_map(Value::from),
        3 => any::<i64>().prop_map(Value::from),
        3 => Just(Value::from("")),
        6 => "(tor|asn|user|U1|ada@example\\.com|192\\.0\\.2\\.1|2001:db8::1|1766105755|user_login|anomaly)".prop_map(Value::from),
        4 => any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 80, 8, move |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            4 => prop::collection::vec((words, inner), 0..10)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// An entry's shape with anything in it.
fn shaped() -> impl Strategy<Value = String> {
    (json(), json(), json(), json(), "(user_login|anomaly|other)", any::<bool>()).prop_map(
        |(actor, entity, context, details, action, pretty)| {
            let entry = serde_json::json!({
                "id": "e", "action": action, "date_create": 1_766_105_755,
                "actor": {"type": "user", "user": actor}, "entity": {"type": "user", "user": entity, "x": {"id": 1}},
                "context": context, "details": details,
            });
            if pretty { format!("{entry:#}") } else { entry.to_string() }
        },
    )
}

/// Cuts pieces out of a text and puts others in.
fn mutilated(text: &str, cuts: &[(usize, usize, String)]) -> String {
    let mut text = text.to_owned();
    for (at, len, piece) in cuts {
        let floor = |mut at: usize| {
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let start = floor(at % (text.len() + 1));
        let end = floor((start + len).min(text.len()));
        text.replace_range(start..end, piece);
    }
    text
}

fn cuts(piece: &'static str) -> impl Strategy<Value = Vec<(usize, usize, String)>> {
    let piece = prop_oneof![4 => piece.prop_map(String::from), 1 => any::<String>()];
    prop::collection::vec((0_usize..4000, 0_usize..12, piece), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn short_cuts_and_account_agree(entries in prop::collection::vec(shaped(), 1..4)) {
        // One scratch for all, so that what one leaves behind would show in the next.
        let (mut scratch, mut event) = (Scratch::new(), Event::new());
        for text in &entries {
            follow(&PLANS, &entry(text, "unknown"), &mut scratch, &mut event);
        }
    }

    #[test]
    fn no_text_is_too_broken_to_become_an_event(
        text in shaped(),
        cuts in cuts(r#"["{}\[\]:,\\ ]|\\ud800|\\u00|"user"|null|-"#),
        action in any::<String>(),
    ) {
        let text = mutilated(&text, &cuts);
        follow(&PLANS, &entry(&text, &action), &mut Scratch::new(), &mut Event::new());
    }

    #[test]
    fn no_file_is_too_broken_for_a_message(
        cuts in cuts(r#"[\[\]{}="'|?.,#\n() ]| \| (mask|domain|pseudonym|table\(r[a-z]{0,4}\))|otherwise|\{a|\?\?|[0-9]|cs[1-6]|label|any|"""|\[\[rules\]\]|[a-z]{1,6} = |é"#),
    ) {
        let text = mutilated(EVERYTHING, &cuts);
        let files = [
            MappingFile::new("shipped.toml", Layer::Shipped, EVERYTHING),
            MappingFile::new("acme.toml", Layer::Customer, text.as_str()),
        ];
        if let Err(problems) = mapping::compile(&files) {
            prop_assert!(!problems.is_empty());
            prop_assert!(problems.is_sorted_by_key(|problem| problem.span.start));
            for problem in problems {
                prop_assert!(problem.span.end <= text.len(), "{problem:?}");
                prop_assert!(!problem.what.is_empty() && !problem.what.ends_with('.'), "{problem:?}");
                problem.render(true);
            }
        }
    }
}

#[test]
fn the_shipped_mapping_maps_what_slack_sent() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/events");
    if !folder.is_dir() {
        eprintln!("skipped: there are no samples in {}", folder.display());
        return;
    }
    let plans = mapping::compile(&mapping::builtin()).unwrap();
    let (mut scratch, mut event) = (Scratch::new(), Event::new());
    let mut seen = 0;
    for file in std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()) {
        let is_audit = file.file_name().unwrap().to_string_lossy().starts_with("audit-");
        let text = if is_audit { std::fs::read_to_string(&file).unwrap() } else { continue };
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let entry = entry(line, "unreadable");
            follow(&plans, &entry, &mut scratch, &mut event);
            assert_eq!(event.header()[3], entry.action().as_str());
            let id = event.fields().find(|field| field.key.name() == "externalId").unwrap();
            assert_eq!(id.value, entry.id().as_str());
            seen += 1;
        }
    }
    assert!(seen > 100, "only {seen} entries");
}
