use proptest::prelude::*;
use serde_json::Value;

use super::super::text::tests::hostile;
use super::*;
use crate::cef::{Event, HeaderText, Key, Label};
use crate::event::{Entry, Log};

const NOW: UnixTime = UnixTime::from_seconds(1_787_680_154);

fn nothing() -> Pending {
    Pending::new("slackcef, notice security", Duration::from_secs(900))
}

/// An event of these fields, as the mapping makes it.
fn happening(
    action: &str,
    severity: u8,
    id: &str,
    at: UnixTime,
    fields: &[(&str, Option<&str>, &str)],
) -> Happening {
    let raw = serde_json::json!({ "id": id, "action": action, "date_create": at.seconds() }).to_string();
    let entry = Entry::from_raw(Log::Audit, raw.into(), at, 0).unwrap();
    let mut event = Event::new();
    event.set_class_id(action);
    event.set_name(&HeaderText::new("Owner rights given", 512).unwrap());
    event.set_severity(Severity::new(severity).unwrap());
    for (key, label, value) in fields {
        let label = label.map(|label| Label::new(label).unwrap());
        // A value of the wrong type is refused.
        event.push(&Key::new(key).unwrap(), label.as_ref(), value).unwrap_or_default();
    }
    Happening::of(&event, &entry, "acme")
}

fn by(actor: &str, severity: u8) -> Happening {
    happening("role_given", severity, "Ev1", NOW, &[("suser", None, actor)])
}

/// The lines of a message, as a reader sees them.
fn seen(message: &str) -> Vec<String> {
    let message: Value = serde_json::from_str(message).unwrap();
    let blocks = message["blocks"].as_array().unwrap();
    assert!(blocks.len() <= 50);
    let lines = blocks.iter().filter(|block| block["type"] == "rich_text").map(|block| {
        let elements = block["elements"][0]["elements"].as_array().unwrap();
        elements.iter().map(|element| element["text"].as_str().unwrap()).collect()
    });
    lines.collect()
}

fn told(pending: &mut Pending) -> Vec<String> {
    seen(&pending.take().message())
}

#[test]
fn a_message_says_who_did_what_to_what_from_where_and_when() {
    let mut pending = nothing();
    pending.add(
        happening(
            "role_given",
            9,
            "Ev1",
            NOW,
            &[
                ("suser", None, "ana@example.com"),
                ("suid", None, "U1"),
                ("src", None, "203.0.113.5"),
                ("cs2", Some("SlackEntityType"), "user"),
                ("duser", None, "bob@example.com"),
                ("cs3", Some("SlackEntityId"), "U2"),
                ("SlackAuditLocationName", None, "Acme R&D"),
            ],
        ),
        NOW,
    );
    let parcel = pending.take();
    assert_eq!(
        seen(&parcel.message()),
        [
            "Owner rights given (severity 9)\nby ana@example.com (U1)\non user bob@example.com (U2)\nfrom 203.0.113.5\n\
          in Acme R&D\nat 2026-08-25T17:49:14Z, source acme, id Ev1"
        ]
    );
    let message: Value = serde_json::from_str(&parcel.message()).unwrap();
    assert_eq!(
        message["text"],
        "Owner rights given (severity 9) by ana@example.com (U1) on user bob@example.com (U2) from 203.0.113.5 \
         in Acme R&amp;D at 2026-08-25T17:49:14Z, source acme, id Ev1"
    );
    assert!(pending.is_empty() && parcel.events() == 1);
}

#[test]
fn events_of_one_action_and_actor_are_one_line_with_a_count() {
    let mut pending = nothing();
    for nth in 0..12 {
        let address = format!("203.0.113.{}", nth % 5);
        let at = NOW.plus(nth);
        pending.add(
            happening(
                "role_given",
                8,
                &format!("Ev{nth}"),
                at,
                &[("suser", None, "ana"), ("src", None, &address)],
            ),
            NOW,
        );
    }
    pending.add(by("eve", 8), NOW);
    // A sign-in of one's own acts on nobody else.
    pending.add(
        happening("user_login", 3, "Ev9", NOW, &[("suid", None, "U1"), ("cs3", Some("SlackEntityId"), "U1")]),
        NOW,
    );
    assert_eq!(pending.events(), 14);
    assert_eq!(
        told(&mut pending),
        [
            "Owner rights given (severity 8), 12 times\nby ana\nfrom 203.0.113.0, 203.0.113.1, 203.0.113.2 and others\n\
             from 2026-08-25T17:49:14Z to 2026-08-25T17:49:25Z, source acme, one of the ids Ev0",
            "Owner rights given (severity 8)\nby eve\nat 2026-08-25T17:49:14Z, source acme, id Ev1",
            "Owner rights given (severity 3)\nby U1\nat 2026-08-25T17:49:14Z, source acme, id Ev9",
        ]
    );
}

#[test]
fn what_there_is_no_room_for_is_counted_and_never_the_gravest() {
    let mut pending = nothing();
    for nth in 0..100_000 {
        pending.add(by(&format!("member {nth}"), 7), NOW);
    }
    pending.add(by("intruder", 10), NOW);
    assert_eq!((pending.groups.len(), pending.events()), (MOST_GROUPS, 100_001));
    let parcel = pending.take();
    let lines = seen(&parcel.message());
    assert!(lines[0].contains("(severity 10)") && lines[0].contains("intruder"), "{lines:?}");
    assert!(
        lines.last().unwrap().starts_with("and 99901 more events of 2026-08-25T17:49:14Z: too many at once"),
        "{lines:?}"
    );
    // The rest of the groups comes with the next messages.
    let mut events = parcel.events();
    let mut messages = 1;
    while !pending.is_empty() {
        events += pending.take().events();
        messages += 1;
    }
    assert_eq!(events, 100_001);
    assert!(messages > 1 && messages < 20, "{messages}");
}

#[test]
fn what_is_old_when_it_comes_is_counted_in_one_line() {
    let mut pending = nothing();
    for nth in 0..340 {
        pending
            .add(happening("role_given", 8, "Ev1", NOW.plus(-86_400 + nth), &[("suser", None, "ana")]), NOW);
    }
    pending.add(by("ana", 8), NOW);
    let lines = told(&mut pending);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!(
        lines[1],
        "and 340 more events of 2026-08-24T17:49:14Z to 2026-08-24T17:54:53Z: old when they came, and so not told one \
         by one. The gravest, severity 8: Owner rights given"
    );
}

#[test]
fn what_could_not_be_told_is_told_with_what_came_meanwhile() {
    let mut pending = nothing();
    pending.add(by("ana", 8), NOW);
    let parcel = pending.take();
    pending.add(by("ana", 9), NOW.plus(5));
    pending.give_back(parcel);
    let lines = told(&mut pending);
    assert!(lines[0].starts_with("Owner rights given (severity 9), 2 times\nby ana\n"), "{lines:?}");
    // What Slack would never take stays a number.
    pending.add(by("ana", 8), NOW);
    let parcel = pending.take();
    pending.give_up(parcel);
    let lines = told(&mut pending);
    assert!(
        lines[0].starts_with("and 1 more event of 2026-08-25T17:49:14Z: Slack did not take"),
        "{lines:?}"
    );
}

#[test]
fn an_event_of_the_forwarders_own_is_told_with_its_cure() {
    let mut pending = nothing();
    let fields = [
        ("msg", None, "the destination siem takes no events"),
        ("cs5", Some("SlackcefHelp"), "start the receiver"),
    ];
    pending.add(happening("destination-down", 8, "slackcef-1", NOW, &fields), NOW);
    // Another destination is another matter.
    let fields = [
        ("msg", None, "the destination archive takes no events"),
        ("cs2", Some("SlackcefDestination"), "archive"),
    ];
    pending.add(happening("destination-down", 8, "slackcef-2", NOW, &fields), NOW);
    let lines = told(&mut pending);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].contains("\nthe destination siem takes no events\nstart the receiver\n"), "{lines:?}");
}

/// Every text of a JSON value.
fn texts<'v>(value: &'v Value, out: &mut Vec<&'v str>) {
    match value {
        Value::String(text) => out.push(text),
        Value::Array(items) => items.iter().for_each(|item| texts(item, out)),
        Value::Object(members) => members.values().for_each(|member| texts(member, out)),
        _ => {}
    }
}

proptest! {
    #[test]
    fn no_name_calls_links_or_begins_a_line(
        names in proptest::collection::vec(hostile(), 12),
        times in 1_usize..4,
    ) {
        let keys = [
            ("suser", None), ("suid", None), ("cs2", Some("SlackEntityType")), ("cs3", Some("SlackEntityId")),
            ("duser", None), ("SlackAuditLocationName", None), ("reason", None), ("msg", None), ("cs5", Some("SlackcefHelp")),
        ];
        let mut pending = nothing();
        let mut plain = nothing();
        for nth in 0..times {
            let fields: Vec<_> = keys.iter().zip(names.iter().skip(nth)).map(|((key, label), name)| (*key, *label, name.as_str())).collect();
            let one = || happening(&names[nth], 9, &names[nth + 1], NOW, &fields);
            pending.add(one(), NOW);
            plain.add(one(), NOW);
            pending.add(Happening { at: NOW.plus(-86_400), ..one() }, NOW);
        }
        let ours = [
            "\nby ", "\non ", "\nfrom ", "\nin ", "\nreason ", "\nat ", "\n",
        ];
        for message in [pending.take().message(), plain.take().plain_message()] {
            let message: Value = serde_json::from_str(&message).unwrap();
            let mut all = Vec::new();
            texts(&message, &mut all);
            for text in &all {
                prop_assert!(!text.contains(['<', '>']) && !text.contains("://"), "{text:?}");
            }
            let blocks = message["blocks"].as_array().cloned().unwrap_or_default();
            for element in blocks.iter().filter(|b| b["type"] == "rich_text").flat_map(|b| b["elements"][0]["elements"].as_array().unwrap()) {
                prop_assert_eq!(&element["type"], "text");
                let text = element["text"].as_str().unwrap();
                prop_assert!(!text.is_empty());
                // Lines begin with words of ours alone.
                let is_value = element["style"]["code"] == true;
                prop_assert!(!is_value || !text.contains('\n'), "{text:?}");
                prop_assert!(!text.contains('\n') || ours.iter().any(|word| text.starts_with(word)), "{text:?}");
            }
            for block in blocks.iter().filter(|b| b["type"] == "rich_text") {
                let mut all = Vec::new();
                texts(block, &mut all);
                prop_assert!(all.iter().map(|text| text.chars().count()).sum::<usize>() <= 3_000 + 200);
            }
            // The one of each kind, a line for the rest, and the foot.
            let text = message["text"].as_str().unwrap();
            prop_assert!(text.lines().count() <= times + 2, "{text:?}");
            prop_assert!(!text.contains(['*', '`', '~']), "{text:?}");
        }
    }
}
