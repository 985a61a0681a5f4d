use std::sync::Arc;

use super::super::lookup::Table;
use super::super::pick::Picked;
use super::super::pseudonym::PseudonymKey;
use super::super::tree::Tree;
use super::*;

const ENTRY: &str = r#"{"s":"Tor Exit","e":"","n":12,"b":false,"l":["a","","B"],"o":{ "k" : [1, 2] },
    "x":"\u00c9\/t\ud800","d":"acme","nothing":[null],"lo":[{"a": 1},"b"],
    "mail":"Ada@Example.com","mails":["ada@example.com","bob",null,"eve@x.example"],"ip":"192.0.2.77",
    "ips":["192.0.2.77","2001:db8:1:2::3"],"url":"https:\/\/a.example:1\/x","why":["tor","asn","?"]}"#;

fn value(template: &str) -> Result<String, String> {
    value_under(template, Some(PseudonymKey::for_tests()))
}

fn value_under(template: &str, key: Option<PseudonymKey>) -> Result<String, String> {
    let (mut paths, mut tables) = (Paths::default(), Tables::default());
    tables.named("why");
    let why = [("tor", "9"), ("asn", "5"), ("Ada", "*"), ("true", "yes"), ("12", "a dozen")];
    let kit = Kit { tables: [Arc::new(Table::of(&why))].into(), key };
    let template = Template::parse(template, &mut paths, &mut tables).unwrap();
    let wanted: Vec<PathId> = template.paths().collect();
    let tree = Tree::new(wanted.iter().map(|&id| (id, paths.path(id).unwrap())));
    let mut picked = Picked::default();
    tree.pick(ENTRY, &mut picked, None, paths.len());
    let mut buffers = Buffers::default();
    template
        .value(Values::new("e-1", ENTRY, &picked).with_kit(&kit), &mut buffers)
        .map(str::to_owned)
        .map_err(|placeholder| placeholder.written().to_owned())
}

#[test]
fn placeholders_are_filled() {
    for (template, meant) in [
        ("text", "text"),
        ("{s}", "Tor Exit"),
        ("{n}", "12"),
        ("{b}", "false"),
        ("{l}", "a,B"),
        ("{o}", r#"{"k":[1,2]}"#),
        ("{x}", "É/t\u{fffd}"),
        ("{d}.slack.com", "acme.slack.com"),
        ("{{{d}}}", "{acme}"),
        ("{e ?? nothing ?? s}", "Tor Exit"),
        ("{ e ?? \"none\" }", "none"),
        ("{e ?? 'a \"b\"'}", "a \"b\""),
        ("{s ?? 'x' | lower}", "tor exit"),
        ("{x|lower}", "é/t\u{fffd}"),
        ("{s | lower | upper}", "TOR EXIT"),
        ("{l | join(\"; \")}", "a; B"),
        ("{s | join(\", \")}", "Tor Exit"),
        ("{lo | join(' ')}", r#"{"a":1} b"#),
        ("{lo}", r#"[{"a":1},"b"]"#),
        ("{l | first | upper}", "A"),
        ("{lo | first}", r#"{"a":1}"#),
        ("{s | first}", "Tor Exit"),
        ("{l | count}", "2"),
        ("{o | count}", "1"),
        ("{s | count}", "1"),
        ("{o | json}", r#"{"k":[1,2]}"#),
        ("{x | json}", "\"É/t\u{fffd}\""),
        ("{l | json}", r#"["a","","B"]"#),
        ("{l[2]}", "B"),
        ("{\"o\".k[1]}", "2"),
        ("{e ?? 'a\"' | json}", r#""a\"""#),
        ("{e ?? 'a\\b\u{1}é' | json}", "\"a\\\\b\\u0001é\""),
        ("{e ?? 'Abc' | first | count}", "1"),
        ("{e ?? 'Abc' | join('-') | lower}", "abc"),
        ("{s} and {n}", "Tor Exit and 12"),
        ("{@id}", "e-1"),
        ("{e ?? @id | upper}", "E-1"),
    ] {
        assert_eq!(value(template).as_deref(), Ok(meant), "{template}");
    }
}

#[test]
fn filters_change_texts_in_any_order() {
    for (template, meant) in [
        ("{mail | domain}", "example.com"),
        ("{url | domain | upper}", "A.EXAMPLE"),
        ("{mail | mask}", "A***@Example.com"),
        ("{mail | lower | mask}", "a***@example.com"),
        ("{mail | mask | lower}", "a***@example.com"),
        ("{mail | mask | domain}", "example.com"),
        ("{ip | mask}", "192.0.2.0"),
        ("from {ip | mask} by {mail | mask}", "from 192.0.2.0 by A***@Example.com"),
        ("{n | mask}", "1***"),
        ("{e ?? 'nobody' | mask}", "n***"),
        ("{n | table(why)}", "a dozen"),
        ("{why[0] | table(why)}", "9"),
        ("{why[0] | upper | lower | table( 'why' ) | mask}", "9***"),
        ("{e ?? 'Ada' | table(why)}", "*"),
    ] {
        assert_eq!(value(template).as_deref(), Ok(meant), "{template}");
    }
}

#[test]
fn filters_work_on_each_element_of_a_list() {
    for (template, meant) in [
        ("{mails | mask}", "a***@example.com,b***,e***@x.example"),
        ("{mails | domain}", "example.com,x.example"),
        ("{mails | join('; ') | domain | upper}", "EXAMPLE.COM; X.EXAMPLE"),
        ("{ips | mask}", "192.0.2.0,2001:db8:1::"),
        ("{why | table(why)}", "9,5"),
        ("<{why | join(' ') | table(why)}>", "<9 5>"),
        ("{l | join(' and ') | upper}", "A and B"),
        ("{mails | first | mask}", "a***@example.com"),
        ("{mails | count | mask}", "3***"),
        // What is not joined is one text.
        ("{lo | mask}", "[***"),
        ("{lo | join(' ') | mask}", "{*** b***"),
        ("{mails | json | mask}", "[***"),
        ("{o | mask}", "{***"),
    ] {
        assert_eq!(value(template).as_deref(), Ok(meant), "{template}");
    }
    for none in ["{l | domain}", "{l | table(why)}", "{s} {l | join('-') | domain}", "{s | domain}"] {
        assert!(value(none).is_err(), "{none}");
    }
}

#[test]
fn pseudonyms_stay_the_same_and_never_fall_back_to_the_clear_text() {
    let ada = value("{mails[0] | pseudonym}").unwrap();
    assert_eq!(ada.len(), 32);
    assert!(ada.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)), "{ada}");
    assert_eq!(value("{mail | lower | pseudonym}"), Ok(ada.clone()));
    assert_ne!(value("{mail | pseudonym}"), Ok(ada.clone()));
    assert_eq!(value("{mails | pseudonym}").unwrap().split(',').next(), Some(ada.as_str()));
    let other = PseudonymKey::new(b"another key of ours").unwrap();
    assert_ne!(value_under("{mails[0] | pseudonym}", Some(other)), Ok(ada));
    for template in ["{mail | pseudonym}", "{mails | pseudonym}", "{mails | join(' ') | pseudonym | upper}"] {
        assert_eq!(value_under(template, None), Err(template.to_owned()));
    }
}

#[test]
fn a_placeholder_knows_whether_it_hides() {
    for (template, hides) in [
        ("{a}", false),
        ("{a | lower | table(t)}", false),
        ("{a | join(' ') | mask}", true),
        ("{a | domain | upper}", true),
        ("{a | pseudonym}", true),
    ] {
        let template = Template::parse(template, &mut Paths::default(), &mut Tables::default()).unwrap();
        assert_eq!(template.placeholders().next().unwrap().hides(), hides, "{template:?}");
    }
}

#[test]
fn one_placeholder_without_a_value_leaves_none() {
    assert_eq!(value("{absent}"), Err("{absent}".into()));
    assert_eq!(value("{s} {e ?? nothing} {absent}"), Err("{e ?? nothing}".into()));
    assert_eq!(value("{nothing | count}"), Err("{nothing | count}".into()));
}

#[test]
fn constants_are_known_beforehand() {
    let constants = |text| {
        let template = Template::parse(text, &mut Paths::default(), &mut Tables::default()).unwrap();
        template.constants().into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(constants("text"), ["text"]);
    assert_eq!(constants(""), [""]);
    assert_eq!(constants("{a ?? 'x'}"), ["x"]);
    assert!(constants("{a ?? 'x' | upper}").is_empty());
    assert!(constants("{a ?? 'x'} y").is_empty());
}

#[test]
fn every_mistake_is_found_and_placed() {
    let slips = |text: &str| -> Vec<(&'static str, std::ops::Range<usize>)> {
        let slips = Template::parse(text, &mut Paths::default(), &mut Tables::default()).unwrap_err();
        slips.into_iter().map(|slip| (slip.code, slip.at)).collect()
    };
    assert_eq!(slips("a {b"), [("unclosed-brace", 2..3)]);
    assert_eq!(slips("{b | lower"), [("unclosed-brace", 0..1)]);
    assert_eq!(slips("{b ?? \"x}"), [("unclosed-quote", 6..9)]);
    assert_eq!(slips("a}"), [("stray-brace", 1..2)]);
    assert_eq!(slips("{}"), [("bad-template", 0..2)]);
    assert_eq!(slips("{a b}"), [("bad-template", 3..4)]);
    assert_eq!(
        slips("{a | lowr} {b..c} {d | table}"),
        [("unknown-filter", 5..9), ("bad-path", 14..15), ("bad-filter", 23..28)]
    );
    assert_eq!(slips("{a | lower | join(',')}"), [("bad-filter", 13..22)]);
    assert_eq!(slips("{a | join}"), [("bad-filter", 5..9)]);
    assert_eq!(slips("{a | lower(1)}"), [("bad-filter", 11..12)]);
    assert_eq!(slips("{a | table()}"), [("bad-filter", 5..12)]);
    assert_eq!(slips("{a | table('t'}"), [("bad-filter", 11..14)]);
    assert_eq!(slips("{a | mask(1)}"), [("bad-filter", 10..11)]);
    assert_eq!(slips("{a | pseudonym | first}"), [("bad-filter", 17..22)]);
    assert_eq!(slips("{a | }"), [("bad-filter", 5..6)]);
    assert_eq!(slips("{a ?? 'x' ?? b}"), [("unreachable", 13..14)]);
    assert_eq!(slips("{@id ?? b}"), [("unreachable", 8..9)]);
    assert_eq!(slips("{@time}"), [("bad-template", 1..6)]);
}
