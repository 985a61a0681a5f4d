//! `{@rest}`: what no field took of an entry is in the event, and nothing is in it twice.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};
use slackcef::cef::Event;
use slackcef::event::{Entry, Log, UnixTime};
use slackcef::mapping::{self, Layer, MappingFile, Plans, Scratch};

const HEAD: &str = "version = 1\nlog = \"audit\"\nheader = { vendor = \"V\", product = \"P\" }\n\
    unmapped = { severity = 1 }\n";

fn plans(files: &[(Layer, &str)]) -> Plans {
    let files: Vec<_> = files
        .iter()
        .enumerate()
        .map(|(n, (layer, text))| {
            let head = if n == 0 { HEAD } else { "version = 1\nlog = \"audit\"\n" };
            MappingFile::new(format!("{n}.toml"), *layer, format!("{head}{text}"))
        })
        .collect();
    mapping::compile(&files).unwrap_or_else(|problems| {
        let shown: Vec<_> = problems.iter().map(|problem| problem.render(false)).collect();
        panic!("{}", shown.join("\n\n"))
    })
}

/// The event's fields; `SlackRest` among them holds what is left.
fn fields(plans: &Plans, json: &str) -> Vec<(String, String)> {
    let raw = Bytes::from(json.to_owned());
    let entry = Entry::from_raw(Log::Audit, raw, UnixTime::from_seconds(0), 0).unwrap();
    let mut event = Event::new();
    plans.plan(Log::Audit, entry.action().as_str()).apply(&entry, &mut Scratch::new(), &mut event);
    event.fields().map(|field| (field.key.name().to_owned(), field.value.to_owned())).collect()
}

fn rest(plans: &Plans, json: &str) -> Option<String> {
    fields(plans, json).into_iter().find(|(key, _)| key == "SlackRest").map(|(_, value)| value)
}

fn one(mapping: &str, json: &str) -> Option<String> {
    rest(&plans(&[(Layer::Shipped, &format!("[fields]\nSlackRest = \"{{@rest}}\"\n{mapping}"))]), json)
}

#[test]
fn what_no_field_took_keeps_the_entrys_shape() {
    let json = r#"{"id":"e","a":{"b":1,"c":{"d":"x\/y","e":null,"f":[1, {"g":[ ]}]},"h":""},"n":-1.5e3 }"#;
    assert_eq!(
        one("externalId = \"{@id}\"\ncs1 = { label = \"B\", value = \"{a.b}\" }", json).as_deref(),
        Some(r#"{"a":{"c":{"d":"x/y","e":null,"f":[1,{"g":[]}]},"h":""},"n":-1.5e3}"#)
    );
    // A container that a field took as a whole is gone, with all that other fields asked for in it.
    let taken = "AcmeC = \"{a.c | json}\"\nAcmeD = \"{a.c.zz}\"\nAcmeB = \"{a.b} {n} {id}\"";
    assert_eq!(one(taken, json).as_deref(), Some(r#"{"a":{"h":""}}"#));
    // What a field would leave out is not left over; what no field asks for stays as it was sent.
    let json = r#"{"a":{"b":[null,""],"x":{ }},"c":{},"d":null}"#;
    assert_eq!(one("Acme = \"{a.b} {a.x.y} {c} {d}\"", json), None);
    assert_eq!(one("", json).as_deref(), Some(r#"{"a":{"b":[null,""],"x":{}},"c":{},"d":null}"#));
}

#[test]
fn a_value_counts_as_taken_where_the_event_shows_all_of_it() {
    for (field, left) in [
        ("{x}", None),
        ("{x | lower}", None),
        ("{x | json}", None),
        ("{x | join(' ')}", None),
        ("is {x}", None),
        ("{y ?? x}", None),
        ("{x | count}", Some(r#"{"x":["A","b"]}"#)),
        ("{x | first}", Some(r#"{"x":["A","b"]}"#)),
        ("{x[0]}", Some(r#"{"x":["A","b"]}"#)),
        ("{x} {y}", Some(r#"{"x":["A","b"]}"#)),
        ("{x | table(t)}", Some(r#"{"x":["A","b"]}"#)),
        ("{x | mask}", None),
        ("{x[0] | mask}", None),
        ("{z ?? x | mask | lower}", None),
    ] {
        assert_eq!(
            one(&format!("Acme = \"{field}\"\n[tables.t]\nA = \"a\""), r#"{"x":["A","b"]}"#).as_deref(),
            left,
            "{field}"
        );
    }
    assert_eq!(one("Acme = \"{a ?? b}\"", r#"{"a":1,"b":2}"#).as_deref(), Some(r#"{"b":2}"#));
    // What is to be hidden is hidden, be there a value for it or not, a key for it or not.
    for field in [
        "src = \"{a | mask}\"",
        "Acme = \"{a | domain}\"",
        "Acme = \"{a | pseudonym} {b}\"",
        "Acme = \"{a | pseudonym}\"",
    ] {
        assert_eq!(one(field, r#"{"a":"x","c":1}"#).as_deref(), Some(r#"{"c":1}"#), "{field}");
    }
    // What is hidden is hidden with all that might have stood in its place, and with its list.
    assert_eq!(
        one("Acme = \"{a ?? b[0].c | mask}\"", r#"{"a":"x","b":[{"c":2}],"d":1}"#).as_deref(),
        Some(r#"{"d":1}"#)
    );
}

#[test]
fn a_value_that_is_none_of_its_keys_type_is_left_over() {
    assert_eq!(
        one("src = \"{ip}\"\nspid = \"{s}\"", r#"{"ip":"1.23.45.678","s":"12a"}"#).as_deref(),
        Some(r#"{"ip":"1.23.45.678","s":"12a"}"#)
    );
}

#[test]
fn what_is_unset_is_withheld_and_not_left_over() {
    let base = "[fields]\nSlackRest = \"{@rest}\"\nsuser = \"{a.mail ?? a.name}\"\nsuid = \"{a.id}\"";
    let json = r#"{"a":{"mail":"m","name":"n","id":"i","list":[{"x":1}]}}"#;
    let with = |customer: &str| rest(&plans(&[(Layer::Shipped, base), (Layer::Customer, customer)]), json);
    assert_eq!(with("").as_deref(), Some(r#"{"a":{"name":"n","list":[{"x":1}]}}"#));
    assert_eq!(with("unset = [\"suser\"]").as_deref(), Some(r#"{"a":{"list":[{"x":1}]}}"#));
    let rule = "[[rules]]\nwhen = { \"a.id\" = \"i\" }\nunset = [\"suser\", \"suid\"]";
    assert_eq!(with(rule).as_deref(), Some(r#"{"a":{"list":[{"x":1}]}}"#));
    let other = "[[rules]]\nwhen = { \"a.id\" = \"j\" }\nunset = [\"suser\", \"suid\"]";
    assert_eq!(with(other).as_deref(), Some(r#"{"a":{"name":"n","list":[{"x":1}]}}"#));
    // A field that another takes the place of gives its value back.
    assert_eq!(
        with("[fields]\nsuser = \"x\"").as_deref(),
        Some(r#"{"a":{"mail":"m","name":"n","list":[{"x":1}]}}"#)
    );
    // Part of a list, taken away: the list is one value.
    let part = "[fields]\nAcme = \"{a.list[0].x}\"\n[[rules]]\nwhen = {}\nunset = [\"Acme\"]";
    assert_eq!(with(part).as_deref(), Some(r#"{"a":{"name":"n"}}"#));
}

#[test]
fn of_twins_the_earlier_is_left_over() {
    assert_eq!(one("Acme = \"{a}\"", r#"{"a":1,"a":2}"#).as_deref(), Some(r#"{"a":1}"#));
    assert_eq!(
        one("Acme = \"{a.b}\"", r#"{"a":{"b":1},"a":{"c":2}}"#).as_deref(),
        Some(r#"{"a":{"b":1},"a":{"c":2}}"#)
    );
}

#[test]
fn the_rest_stands_behind_all_other_fields() {
    let file = "[fields]\nexternalId = \"{@rest}\"\nmsg = \"{m}\"\ncs6 = { label = \"L\", value = \"rest: {@rest | upper}\" }";
    assert_eq!(
        fields(&plans(&[(Layer::Shipped, file)]), r#"{"m":"m","x":"y"}"#),
        [("msg", "m"), ("externalId", r#"{"x":"y"}"#), ("cs6", r#"rest: {"X":"Y"}"#)]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
    );
}

#[test]
fn depth_costs_no_stack() {
    let deep = format!("{}1{}", "{\"a\":".repeat(50_000), "}".repeat(50_000));
    assert_eq!(one("Acme = \"{b}\"", &deep), Some(deep));
}

fn tree() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[ab\"\\\\{}\\[\\],:é/]{0,5}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 30, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::hash_map("[abc]", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// What should be left of a value that lies at `at` when `taken` are taken and the plan asks for
/// `known`.
fn without(value: &Value, at: &str, taken: &[&str], known: &[&str]) -> Option<Value> {
    let leads_on = |path: &&&str| path.starts_with(&format!("{at}."));
    if taken.contains(&at) {
        return None;
    }
    match value {
        Value::Object(members) if at.is_empty() || known.iter().any(|path| leads_on(&path)) => {
            let left: serde_json::Map<_, _> = members
                .iter()
                .filter_map(|(key, value)| {
                    let at = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
                    Some((key.clone(), without(value, &at, taken, known)?))
                })
                .collect();
            (!left.is_empty()).then(|| json!(left))
        }
        _ if !known.iter().any(|path| *path == at || leads_on(&path)) => Some(value.clone()),
        other => says_something(other).then(|| other.clone()),
    }
}

/// Whether there is a key in it, or a scalar that is neither null nor empty.
fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => list.iter().any(says_something),
        Value::Object(members) => !members.is_empty(),
        _ => true,
    }
}

proptest! {
    #[test]
    fn an_entry_is_its_fields_and_its_rest(value in prop::collection::hash_map("[abc]", tree(), 0..4), pretty: bool) {
        let entry = Value::Object(value.into_iter().collect());
        let text = if pretty { format!("{entry:#}") } else { entry.to_string() };
        let rest = one("AcmeA = \"{a.a}\"\nAcmeB = \"{a.b.c}\"\nAcmeC = \"{b}\"\nAcmeD = \"{c.a.a} {c.zz}\"", &text);
        let rest = rest.map(|rest| serde_json::from_str::<Value>(&rest).unwrap());
        let known = ["a.a", "a.b.c", "b", "c.a.a", "c.zz"];
        prop_assert_eq!(rest, without(&entry, "", &["a.a", "a.b.c", "b"], &known));
    }
}
