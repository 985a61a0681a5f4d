//! Events with hostile values, and what their lines must say by a model of its own.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use slackcef::cef::{Encoder, Event, HeaderText, Ipv6Labels, Key, Kind, Label, Since, Values};

use super::hostile::{PIECES, sanitised};

/// A field as a test pushes it: key, label, value.
pub(crate) type Pushed = (&'static str, Option<&'static str>, String);

const TEXT_KEYS: &[&str] = &[
    "suser",
    "duser",
    "act",
    "externalId",
    "msg",
    "reason",
    "request",
    "cat",
    "outcome",
    "dvchost",
    "fname",
    "proto",
    "SlackTeam",
    "slackteam",
    "SlackCEF",
    "XCEF",
    "srcIPv6",
    "dstIPv6",
    "SlackActorName",
];
const LABELLED_KEYS: &[&str] = &["cs1", "cs2", "cs3", "cs6", "flexString1"];
const ADDRESS_KEYS: &[&str] =
    &["src", "dst", "dvc", "sourceTranslatedAddress", "destinationTranslatedAddress"];
const ADDRESSES: &[&str] =
    &["192.0.2.1", "2001:db8::1", "2001:cef::cef", "::ffff:192.0.2.9", "::1", "not an address"];
const LABELS: &[&str] =
    &["SlackActorName", "SlackDetails", "SlackTeam", "slackdetails", "SourceIPv6Address", "SlackCEF", "X"];

/// A value made of hostile pieces, of anything, or of one piece over and over.
pub(crate) fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => vec(select(PIECES), 0..6).prop_map(|pieces| pieces.concat()),
        2 => any::<String>(),
        1 => (select(PIECES), 1_usize..900).prop_map(|(piece, times)| piece.repeat(times)),
        1 => (vec(select(PIECES), 20..300)).prop_map(|pieces| pieces.concat()),
    ]
}

/// A field of any type; some clash with others, some are refused.
pub(crate) fn field() -> impl Strategy<Value = Pushed> {
    prop_oneof![
        6 => (select(TEXT_KEYS), value()).prop_map(|(key, value)| (key, None, value)),
        3 => (select(LABELLED_KEYS), proptest::option::of(select(LABELS)), value()),
        2 => (select(ADDRESS_KEYS), select(ADDRESSES)).prop_map(|(key, value)| (key, None, value.to_owned())),
        1 => (select(&["c6a1", "c6a2", "c6a4"][..]), select(LABELS), select(ADDRESSES))
            .prop_map(|(key, label, value)| (key, Some(label), value.to_owned())),
        1 => (select(&["rt", "end", "cnt", "spt"][..]), 0_u32..70_000).prop_map(|(key, n)| (key, None, n.to_string())),
        1 => (select(&["cn1", "cn2"][..]), select(LABELS), any::<i64>()).prop_map(|(key, label, n)| (key, Some(label), n.to_string())),
    ]
}

/// An encoder with any settings.
pub(crate) fn encoder() -> impl Strategy<Value = Encoder> {
    let version = select(&[Since::V0, Since::V1][..]);
    let values = select(&[Values::Escaped, Values::Plain][..]);
    let labels = select(&[Ipv6Labels::OneWord, Ipv6Labels::ArcSight][..]);
    (version, values, labels).prop_map(|(version, values, ipv6_labels)| Encoder {
        version,
        values,
        ipv6_labels,
    })
}

/// The event with these fields.
pub(crate) fn event(class_id: &str, fields: &[Pushed]) -> Event {
    let text = |text: &str| HeaderText::new(text, 63).unwrap();
    let mut event = Event::new();
    event.set_device(&text("Slack"), &text("Audit Logs"), &text("0.1.0"));
    event.set_class_id(class_id);
    event.set_name_from_class_id();
    for (key, label, value) in fields {
        let label = label.map(|label| Label::new(label).unwrap());
        // A value of the wrong type is refused, and that is that.
        let _refused = event.push(&Key::new(key).unwrap(), label.as_ref(), value);
    }
    event
}

/// What a whole line must say, and the keys of fields that have no place in it.
pub(crate) fn meant(encoder: Encoder, event: &Event) -> (Vec<(String, String)>, Vec<String>) {
    let taken: Vec<String> = event
        .fields()
        .flat_map(|field| [Some(field.key.name()), field.label.map(Label::as_str)])
        .flatten()
        .map(str::to_ascii_lowercase)
        .collect();
    let free = |name: &str| !taken.contains(&name.to_ascii_lowercase());
    let (mut pairs, mut lost) = (Vec::<(String, String)>::new(), Vec::new());
    for field in event.fields() {
        let (name, value) = (field.key.name(), field.value);
        let (slot, words) = match name {
            _ if encoder.version == Since::V1 || !value.contains(':') => ("", ""),
            "dvc" => ("c6a1", "Device IPv6 Address"),
            "src" => ("c6a2", "Source IPv6 Address"),
            "dst" => ("c6a3", "Destination IPv6 Address"),
            "sourceTranslatedAddress" => ("c6a4", "Source Translated IPv6 Address"),
            "destinationTranslatedAddress" => ("c6a4", "Destination Translated IPv6 Address"),
            _ => ("", ""),
        };
        let one_word = words.replace(' ', "");
        let spare = format!("{name}IPv6");
        let given = pairs.iter().any(|(key, _)| key == slot);
        if slot.is_empty() {
            let is_text = field.key.kind() == Kind::Text;
            let text = if is_text { sanitised(value, encoder.values) } else { value.to_owned() };
            pairs.push((name.to_owned(), text));
            if let Some(label) = field.label {
                pairs.push((format!("{name}Label"), label.as_str().to_owned()));
            }
        } else if free(slot) && free(&one_word) && !given {
            let words = if encoder.ipv6_labels == Ipv6Labels::ArcSight { words } else { &one_word };
            pairs.push((slot.to_owned(), value.to_owned()));
            pairs.push((format!("{slot}Label"), words.to_owned()));
        } else if free(&spare) {
            pairs.push((spare, value.to_owned()));
        } else {
            lost.push(name.to_owned());
        }
    }
    lost.extend(event.clashes().map(|field| field.key.name().to_owned()));
    (pairs, lost)
}
