use bytes::Bytes;
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::event::Text;

fn text(raw: &str) -> String {
    let mut out = String::new();
    write_text(raw, ",", &mut out);
    out
}

fn compact(raw: &str) -> String {
    let mut out = String::new();
    write_compact(raw, &mut out);
    out
}

#[test]
fn values_become_text() {
    for (raw, meant) in [
        (r#""a\/b\n\u00e9\ud83d\ude00""#, "a/b\né😀"),
        (r#""\ud800x\udc00""#, "\u{fffd}x\u{fffd}"),
        (r#""\ud800\ud83d\ude00""#, "\u{fffd}😀"),
        ("12.50", "12.50"),
        ("true", "true"),
        ("null", ""),
        (r#"[ "a" , 1, null, "", false ]"#, "a,1,false"),
        ("[]", ""),
        (r#"[ {"a" : 1} , [ ] ]"#, r#"[{"a":1},[]]"#),
        (r#"{ "a b" : "c  d\/" , "e" : [ 1 , 2 ] }"#, r#"{"a b":"c  d/","e":[1,2]}"#),
    ] {
        assert_eq!(text(raw), meant, "{raw}");
    }
}

#[test]
fn lists_give_up_their_elements() {
    let all: Vec<&str> = elements(r#" [ 1 , "a,]" , [2,3] , {"x":[4]} ] "#).collect();
    assert_eq!(all, ["1", r#""a,]""#, "[2,3]", r#"{"x":[4]}"#]);
    assert_eq!(elements("[ ]").count(), 0);
    assert_eq!(elements("\"x\"").count(), 0);
    let mut out = String::new();
    write_list(r#"["a",{"b": 1},null]"#, "; ", &mut out);
    assert_eq!(out, r#"a; {"b":1}"#);
    assert_eq!(members(r#"{"a":1,"b":{"c":2}}"#), 2);
    assert_eq!(members("{}"), 0);
}

#[test]
fn knows_what_says_nothing() {
    for raw in ["null", "\"\"", "[]", "{ }", "[\"\"]", "[ null , [ ] , \"\" ]"] {
        assert!(is_nothing(raw), "{raw}");
    }
    for raw in ["0", "false", "\" \"", "[0]", "{\"a\":null}", "[\"\",\"x\"]"] {
        assert!(!is_nothing(raw), "{raw}");
    }
}

#[test]
fn scalars_compare_by_their_text() {
    assert!(scalar_is(r#""t\u006fr""#, "tor"));
    assert!(!scalar_is(r#""t\u006fr""#, "to"));
    assert!(!scalar_is(r#""t\u006fr""#, "torx"));
    assert!(scalar_is("true", "true"));
    assert!(scalar_is("12", "12"));
    assert!(!scalar_is("null", "null"));
    assert!(!scalar_is("[1]", "[1]"));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_filter_map("finite", |f| f.is_finite().then(|| Value::from(f))),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 50, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::hash_map(any::<String>(), inner, 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// The inside of a string, with escapes of every kind, whole and lone surrogates among them.
fn escaped() -> impl Strategy<Value = String> {
    let unit = prop_oneof![
        "[a-zé😀 ]{1,9}",
        Just("\\n".to_owned()),
        Just("\\/".to_owned()),
        Just("\\\"".to_owned()),
        Just("\\\\".to_owned()),
        any::<u16>().prop_map(|unit| format!("\\u{unit:04x}")),
        (0xd800_u16..0xe000).prop_map(|unit| format!("\\u{unit:04X}")),
    ];
    prop::collection::vec(unit, 0..12).prop_map(|units| units.concat())
}

proptest! {
    #[test]
    fn compact_json_is_what_serde_json_writes(value in any_json()) {
        prop_assert_eq!(compact(&format!("{value:#}")), value.to_string());
        prop_assert_eq!(compact(&value.to_string()), value.to_string());
    }

    #[test]
    fn skipping_ends_where_the_value_ends(value in any_json(), after in "[ ,}\\]]{0,3}") {
        let json = format!("{value:#}");
        let mut scan = Scanner::new(&json);
        prop_assert_eq!(scan.skip(), Some(0..json.len()));
        let followed = format!("{json}{after}");
        let mut scan = Scanner::new(&followed);
        if value.is_string() || value.is_array() || value.is_object() {
            prop_assert_eq!(scan.skip(), Some(0..json.len()));
        }
    }

    #[test]
    fn strings_are_unescaped_as_entries_do_it(inner in escaped()) {
        let raw = format!("\"{inner}\"");
        let bytes = Bytes::from(raw.clone());
        let meant = Text::of_json(&bytes, std::str::from_utf8(&bytes).unwrap()).unwrap();
        prop_assert_eq!(text(&raw), meant.as_str());
        prop_assert!(string_is(&inner, meant.as_str()));
    }

    #[test]
    fn no_text_makes_anything_panic(raw in any::<String>(), json in "[\\[\\]{}\",:\\\\a1 nu]{0,40}") {
        for raw in [&raw, &json] {
            text(raw);
            compact(raw);
            is_nothing(raw);
            members(raw);
            elements(raw).count();
            scalar_is(raw, "a");
        }
    }
}

#[test]
fn strings_in_json_can_be_read_and_are_still_json() {
    let mut out = String::new();
    let raw = r#"{ "u" : "https:\/\/a\/b", "v": "\\/ \" \u0022\u005c\n\u0009", "w":"\u4f50\ud83d\ude00\u200d" ,
        "\u00e9": "\u0007\u202e\u2028", "x":"\ud800z" }"#;
    write_compact(raw, &mut out);
    assert_eq!(
        out,
        r#"{"u":"https://a/b","v":"\\/ \" \"\\\n\t","w":"佐😀@","é":"\u0007\u202e\u2028","x":"?z"}"#
            .replace('@', "\u{200d}")
            .replace('?', "\u{fffd}")
    );
    let meant: Value = serde_json::from_str(&raw.replace("\\ud800z", "\\ufffdz")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), meant);
}
