//! That an event says everything that its entry says.

use bytes::Bytes;
use serde_json::{Number, Value};
use slackcef::cef::Event;
use slackcef::event::{Entry, Log, UnixTime};
use slackcef::mapping::{Plans, Scratch};

/// The scalars of an entry that its event does not show: where they stand, and what they are.
///
/// A scalar is shown where a field's value holds its text, be it beside other text, in a list or in
/// JSON. As `true` or `1` may stand there for another reason, each is also changed to something that
/// stands nowhere else, and the event must follow.
pub(crate) fn lost(plans: &Plans, log: Log, entry: &str) -> Vec<String> {
    let entry: Value = serde_json::from_str(entry).unwrap();
    let mut lost = Vec::new();
    let shown = Shown::of(plans, log, &entry);
    for path in scalars(&entry) {
        let value = entry.pointer(&path).unwrap();
        let changed = changed(value);
        let mut other = entry.clone();
        *other.pointer_mut(&path).unwrap() = changed.clone();
        // Another action is another event.
        let followed = path == "/action" || {
            let other = Shown::of(plans, log, &other);
            other.holds(&changed) && other != shown
        };
        let said = SAID_BY_SILENCE.contains(&(&path, &value.to_string())) || shown.holds(value);
        if !followed || !said {
            lost.push(format!("{path} = {value}"));
        }
    }
    lost
}

/// What is told by leaving its key out: anything else would be in it.
const SAID_BY_SILENCE: [(&str, &str); 3] = [
    ("/actor/type", r#""user""#),
    ("/details/type", r#""JOINED""#),
    // The huddle goes on.
    ("/entity/huddle/date_end", "0"),
];

/// What an event shows.
#[derive(PartialEq)]
struct Shown(Vec<(String, String)>);

impl Shown {
    fn of(plans: &Plans, log: Log, entry: &Value) -> Self {
        let raw = Bytes::from(entry.to_string());
        let entry = Entry::from_raw(log, raw, UnixTime::from_seconds(0), 0).unwrap();
        let mut event = Event::new();
        plans.plan(log, entry.action().as_str()).apply(&entry, &mut Scratch::new(), &mut event);
        Self(event.fields().map(|f| (f.key.name().to_owned(), f.value.to_owned())).collect())
    }

    fn holds(&self, scalar: &Value) -> bool {
        let text = scalar.as_str().map_or_else(|| scalar.to_string(), str::to_owned);
        // A text inside JSON, with the escapes that it has there.
        let quoted = scalar.to_string();
        // A time may be in microseconds, which CEF has no room for.
        let milliseconds = text.get(..13).filter(|_| scalar.is_u64() && text.len() == 16);
        self.0.iter().any(|(_, value)| {
            value.contains(&text) || value.contains(&quoted) || milliseconds == Some(value.as_str())
        })
    }
}

/// Where the scalars stand that say something, as JSON pointers.
fn scalars(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut todo = vec![(String::new(), value)];
    while let Some((path, value)) = todo.pop() {
        match value {
            Value::Object(members) => todo.extend(members.iter().map(|(key, value)| {
                (format!("{path}/{}", key.replace('~', "~0").replace('/', "~1")), value)
            })),
            Value::Array(items) => {
                todo.extend(items.iter().enumerate().map(|(nth, item)| (format!("{path}/{nth}"), item)));
            }
            Value::Null => {}
            Value::String(text) if text.trim().is_empty() => {}
            _ => found.push(path),
        }
    }
    found.sort();
    found
}

/// Another value of the same type; a number keeps its length, so that a time stays one.
fn changed(value: &Value) -> Value {
    match value {
        Value::Bool(was) => Value::Bool(!was),
        Value::Number(number) => {
            let digits = number.to_string();
            let first = digits.chars().find(char::is_ascii_digit).unwrap();
            let changed = digits.replacen(first, if first == '2' { "3" } else { "2" }, 1);
            Value::Number(changed.parse::<Number>().unwrap())
        }
        _ => Value::String("found-nowhere-else".to_owned()),
    }
}
