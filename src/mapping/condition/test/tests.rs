use super::super::{network, pattern};
use super::*;
use crate::mapping::path::{Path, Paths};
use crate::mapping::pick::{Picked, Values};
use crate::mapping::tree::Tree;

/// Whether the test holds for the value of `v` in an entry that is `{"v":value}`, or `{}`.
fn holds(test: &Test, value: &str) -> bool {
    let text = if value.is_empty() { "{}".to_owned() } else { format!(r#"{{"x":0,"v":{value},"y":[]}}"#) };
    let mut paths = Paths::default();
    let path = paths.number(Path::parse("v").unwrap());
    let tree = Tree::new([(path, paths.path(path).unwrap())]);
    let mut picked = Picked::default();
    tree.pick(&text, &mut picked, None, paths.len());
    test.holds(Values::new("", &text, &picked).at(path), &mut "left over".to_owned(), &trusted::NOTHING)
}

#[track_caller]
fn check(test: &Test, within: &[&str]) {
    for value in VALUES {
        assert_eq!(holds(test, value), within.contains(value), "{test:?} for {value:?}");
    }
    assert!(within.iter().all(|value| VALUES.contains(value)), "{within:?}");
}

/// One of every kind, the absent one first.
const VALUES: &[&str] = &[
    "",
    "null",
    r#""""#,
    "7",
    "-7.5",
    "7e2",
    "18446744073709551615",
    "true",
    "false",
    r#""7""#,
    r#""ab""#,
    r#""a\u0062""#,
    r#""a\/b""#,
    r#""a\nb""#,
    r#""AB""#,
    r#""10.1.2.3""#,
    r#""::ffff:10.1.2.3""#,
    r#""2001:db8::1""#,
    "[]",
    "[null,\"\"]",
    r#"["ab"]"#,
    r#"["x","a\u0062"]"#,
    r#"[null,"",7,true]"#,
    r#"["10.1.2.3","x"]"#,
    r#"[["ab","7"]]"#,
    r#"[{"v":"ab"}]"#,
    "{}",
    r#"{"ab":"ab","7":7}"#,
];
const NOTHING: [&str; 6] = ["", "null", r#""""#, "[]", "[null,\"\"]", "{}"];

fn texts(texts: &[&str]) -> Vec<Box<str>> {
    texts.iter().map(|&text| text.into()).collect()
}

#[test]
fn equality_is_with_the_value_or_its_only_element() {
    check(&Test::OneOf(texts(&["ab"])), &[r#""ab""#, r#""a\u0062""#, r#"["ab"]"#]);
    check(&Test::OneOf(texts(&["7", "true"])), &["7", r#""7""#, "true"]);
    check(&Test::OneOf(texts(&["a/b", "a\nb"])), &[r#""a\/b""#, r#""a\nb""#]);
}

#[test]
fn any_is_in_a_list_too_and_none_is_its_opposite() {
    let within = [r#""ab""#, r#""a\u0062""#, r#"["ab"]"#, r#"["x","a\u0062"]"#];
    check(&Test::AnyOf(texts(&["ab"])), &within);
    let without: Vec<_> = VALUES.iter().copied().filter(|value| !within.contains(value)).collect();
    check(&Test::NoneOf(texts(&["ab"])), &without);
    check(&Test::AnyOf(texts(&["7", "true"])), &["7", r#""7""#, "true", r#"[null,"",7,true]"#]);
}

#[test]
fn what_says_nothing_does_not_exist() {
    check(&Test::Exists(false), &NOTHING);
    let rest: Vec<_> = VALUES.iter().copied().filter(|value| !NOTHING.contains(value)).collect();
    check(&Test::Exists(true), &rest);
}

#[test]
fn a_pattern_is_asked_of_texts_numbers_and_elements() {
    let glob = |text| Test::Like(vec![pattern::glob(text).unwrap()]);
    let ab = [r#""ab""#, r#""a\u0062""#, r#"["ab"]"#, r#"["x","a\u0062"]"#];
    check(&glob("ab"), &ab);
    check(&glob("a?b"), &[r#""a\/b""#, r#""a\nb""#]);
    check(&glob("7*"), &["7", "7e2", r#""7""#, r#"[null,"",7,true]"#]);
    check(&glob("?"), &["7", r#""7""#, r#"["x","a\u0062"]"#, r#"[null,"",7,true]"#, r#"["10.1.2.3","x"]"#]);
    check(&glob("t*e"), &["true", r#"[null,"",7,true]"#]);
    let regex = |text| Test::Like(vec![pattern::regex(text).unwrap()]);
    check(&regex("^ab$"), &ab);
    check(&regex("(?i)^ab"), &[ab.as_slice(), &[r#""AB""#]].concat());
    check(&regex(r"a\sb"), &[r#""a\nb""#]);
    check(&regex("null|[{]|\\\\"), &[]);
    let both = Test::Like(vec![pattern::glob("x").unwrap(), pattern::glob("A*").unwrap()]);
    check(&both, &[r#""AB""#, r#"["x","a\u0062"]"#, r#"["10.1.2.3","x"]"#]);
}

#[test]
fn a_network_is_asked_of_addresses() {
    let cidr = |networks: &[&str]| {
        Test::Within(Named::new(networks.iter().map(|network| network::read(network).ok()).collect()))
    };
    let ten = [r#""10.1.2.3""#, r#""::ffff:10.1.2.3""#, r#"["10.1.2.3","x"]"#];
    check(&cidr(&["10.0.0.0/8"]), &ten);
    check(&cidr(&["192.0.2.0/24", "10.1.2.3"]), &ten);
    check(&cidr(&["2001:db8::/32"]), &[r#""2001:db8::1""#]);
}

#[test]
fn bounds_are_asked_of_numbers_and_of_texts_that_are_numbers() {
    let between = |least: Option<&str>, most: Option<&str>| {
        let number = |text: &str| Number::of_text(text).unwrap();
        Test::Between(least.map(number), most.map(number))
    };
    let seven = ["7", r#""7""#, r#"[null,"",7,true]"#];
    check(&between(Some("7"), Some("7.0")), &seven);
    check(&between(None, Some("-7")), &["-7.5"]);
    check(&between(Some("18446744073709551615"), None), &["18446744073709551615"]);
    check(&between(Some("699.5"), Some("18446744073709551614")), &["7e2"]);
    // One element has to lie between the two: neither -7.5 nor 700 does.
    assert!(!holds(&between(Some("0"), Some("10")), "[-7.5,700]"));
}

#[test]
fn what_is_known_of_an_action_is_not_asked_again() {
    let like = Test::Like(vec![pattern::glob("user_*").unwrap()]);
    let named = |test: &Test| test.settled(Some("user_login"));
    assert_eq!(named(&like), Some(true));
    assert_eq!(like.settled(Some("file_shared")), Some(false));
    assert_eq!(named(&Test::NoneOf(texts(&["user_login"]))), Some(false));
    assert_eq!(named(&Test::OneOf(texts(&["user_login"]))), Some(true));
    assert_eq!(named(&Test::Exists(true)), None);
    for (test, settled) in [
        (like, None),
        (Test::OneOf(texts(&["a"])), Some(false)),
        (Test::AnyOf(texts(&["a"])), Some(false)),
        (Test::NoneOf(texts(&["a"])), Some(true)),
        (Test::Exists(true), None),
        (Test::Between(None, None), None),
    ] {
        assert_eq!(test.settled(None), settled, "{test:?}");
    }
}
