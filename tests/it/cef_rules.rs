//! The rules that make a line read rightly everywhere, each by hand, to the byte.

use slackcef::cef::{Encoder, Event, HeaderText, Ipv6Labels, Key, Label, Severity, Since, Values};

const HEADER: &str = "CEF:0|Slack|Audit Logs|0.1.0|user_login|User logged in|3|";

fn event(fields: &[(&str, &str)]) -> Event {
    let text = |text: &str| HeaderText::new(text, 63).unwrap();
    let mut event = Event::new();
    event.set_device(&text("Slack"), &text("Audit Logs"), &text("0.1.0"));
    event.set_class_id("user_login");
    event.set_name(&text("User logged in"));
    event.set_severity(Severity::new(3).unwrap());
    for (key, value) in fields {
        let (key, label) = key.split_once('/').map_or((*key, None), |(key, label)| (key, Some(label)));
        let label = label.map(|label| Label::new(label).unwrap());
        event.push(&Key::new(key).unwrap(), label.as_ref(), value).unwrap();
    }
    event
}

/// The extension, all of it, as the encoder writes it.
fn extension_by(encoder: Encoder, fields: &[(&str, &str)]) -> String {
    let mut out = Vec::new();
    let cuts = encoder.encode(&event(fields), 8192, &mut out);
    assert!(cuts.is_empty(), "{cuts:?}");
    let line = String::from_utf8(out).unwrap();
    line.split_at_checked(HEADER.len()).unwrap().1.to_owned()
}

fn extension(fields: &[(&str, &str)]) -> String {
    extension_by(Encoder::default(), fields)
}

fn plain(value: &str) -> String {
    extension_by(Encoder { values: Values::Plain, ..Encoder::default() }, &[("suser", value)])
}

fn cut(fields: &[(&str, &str)], budget: usize) -> (String, Vec<(String, usize, usize)>) {
    let mut out = Vec::new();
    let cuts = Encoder::default().encode(&event(fields), budget, &mut out);
    assert!(out.len() <= budget.max(Encoder::LEAST_BUDGET));
    let cuts = cuts.iter().map(|cut| (cut.key.clone(), cut.had, cut.kept)).collect();
    (String::from_utf8(out).unwrap(), cuts)
}

#[test]
fn rule_1_the_header_has_seven_pipes_even_with_no_extension() {
    let mut out = b"before ".to_vec();
    assert!(Encoder::default().encode(&event(&[]), 8192, &mut out).is_empty());
    assert_eq!(String::from_utf8(out).unwrap(), format!("before {HEADER}"));

    let mut out = Vec::new();
    Encoder { version: Since::V1, ..Encoder::default() }.encode(&event(&[]), 8192, &mut out);
    assert_eq!(String::from_utf8(out).unwrap(), HEADER.replace("CEF:0", "CEF:1"));
}

#[test]
fn rule_1_no_part_of_the_header_is_empty_and_none_needs_an_escape() {
    let mut out = Vec::new();
    Encoder::default().encode(&Event::new(), 8192, &mut out);
    assert_eq!(String::from_utf8(out).unwrap(), "CEF:0|unknown|unknown|unknown|unknown|unknown|0|");

    let mut hostile = event(&[]);
    hostile.set_class_id("pref.a|b\\c=d-e \"é\n");
    hostile.set_name_from_class_id();
    let mut out = Vec::new();
    Encoder::default().encode(&hostile, 8192, &mut out);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "CEF:0|Slack|Audit Logs|0.1.0|pref.a_b_c_d-e____|Pref a b c d e|3|"
    );
}

#[test]
fn rule_2_line_breaks_tabs_and_controls_become_harmless() {
    assert_eq!(extension(&[("suser", "a\r\nb\rc\nd\n\re")]), r"suser=a\nb\nc\nd\n\ne");
    assert_eq!(extension(&[("suser", "a\tb\u{85}c\u{2028}d\u{2029}e")]), "suser=a b c d e");
    assert_eq!(extension(&[("suser", "a\0b\u{1b}c\u{7f}d\u{80}e\u{9f}f")]), "suser=abcdef");
    // Marks that are no control characters are what the user wrote.
    assert_eq!(
        extension(&[("suser", "a\u{202e}b\u{200b}c\u{fffd}\u{feff}")]),
        "suser=a\u{202e}b\u{200b}c\u{fffd}\u{feff}"
    );
}

#[test]
fn rule_2_the_ends_are_trimmed_until_nothing_changes() {
    assert_eq!(extension(&[("suser", "\u{a0} \t a b \u{3000}\n")]), "suser=a b");
    assert_eq!(extension(&[("suser", "a | \0| \u{2028}|\r\n")]), "suser=a");
    assert_eq!(extension(&[("suser", "|a")]), "suser=|a");
}

#[test]
fn rule_3_backslash_equals_and_line_feed_are_escaped_in_one_pass() {
    assert_eq!(extension(&[("suser", r"\n=\=")]), r"suser=\\n\=\\\=");
    assert_eq!(extension(&[("suser", "a|b\nc"), ("duser", r"c\")]), r"suser=a|b\nc duser=c\\");
}

#[test]
fn rule_4_quotes_at_both_ends_become_single() {
    assert_eq!(extension(&[("suser", "\"a\"b\"")]), "suser='a\"b'");
    assert_eq!(extension(&[("suser", " \"a\"| ")]), "suser='a'");
    assert_eq!(extension(&[("suser", "\"")]), "suser='");
    assert_eq!(extension(&[("suser", "\"a"), ("duser", "b\"")]), "suser=\"a duser=b\"");
}

#[test]
fn rule_5_empty_values_are_left_out_with_their_labels() {
    assert_eq!(extension(&[("suser", ""), ("cs1/SlackName", "\0 |"), ("duser", "b")]), "duser=b");
}

#[test]
fn rule_6_typed_values_are_of_their_type_or_refused() {
    assert_eq!(
        extension(&[
            ("rt", "1787680154"),
            ("src", "::ffff:192.0.2.1"),
            ("cnt", "007"),
            ("cn1/SlackId", " 12 ")
        ]),
        "rt=1787680154000 src=192.0.2.1 cnt=7 cn1=12 cn1Label=SlackId"
    );
    let mut event = Event::new();
    for (key, value) in [("src", "eve suser=eve"), ("cnt", "1 suser=eve"), ("rt", "now"), ("cn1", "1e3")] {
        event.push(&Key::new(key).unwrap(), None, value).unwrap_err();
    }
    assert_eq!(event.fields().len(), 0);
}

#[test]
fn rule_7_no_name_stands_twice_and_what_would_is_named() {
    let (line, cuts) =
        cut(&[("suser", "ann"), ("SlackTeam", "a"), ("suser", "eve"), ("slackteam", "bc")], 8192);
    assert_eq!(line, format!("{HEADER}suser=ann SlackTeam=a slackcefCut=suser:3,slackteam:2"));
    assert_eq!(cuts, [("suser".to_owned(), 3, 0), ("slackteam".to_owned(), 2, 0)]);
}

#[test]
fn rule_8_each_custom_field_has_its_label_right_after_it() {
    assert_eq!(
        extension(&[("cs1/SlackActorName", "a b"), ("cn1/SlackSession", "1"), ("cs2", "c")]),
        "cs1=a b cs1Label=SlackActorName cn1=1 cn1Label=SlackSession cs2=c cs2Label=deviceCustomString2Value"
    );
}

#[test]
fn rule_9_a_second_header_is_broken() {
    assert_eq!(
        extension(&[("suser", "CEF:0|a|b|c|d|e|9|suser=eve")]),
        r"suser=CEF%3A0|a|b|c|d|e|9|suser\=eve"
    );
    assert_eq!(extension(&[("suser", "xCE\0F:\rCEF:CEF:")]), r"suser=xCEF%3A\nCEF%3ACEF%3A");
    // An address in a text stays an address.
    assert_eq!(
        extension(&[("msg", "2001:cef::1"), ("c6a4/Other", "2001:CEF::1")]),
        "msg=2001:cef::1 c6a4=2001:cef::1 c6a4Label=Other"
    );
}

#[test]
fn rule_10_the_order_of_the_fields_is_the_events() {
    let fields = [("rt", "1"), ("msg", "m"), ("act", "a"), ("SlackZ", "z"), ("SlackA", "a")];
    assert_eq!(extension(&fields), "rt=1000 msg=m act=a SlackZ=z SlackA=a");
}

#[test]
fn plain_values_hold_nothing_that_needs_an_escape() {
    assert_eq!(plain("a=b|c\\d\r\ne\tf|"), "suser=a%3Db%7Cc/d e f");
    assert_eq!(plain("\\n suser=eve"), "suser=/n suser%3Deve");
    // The `C` of `%7C` and what comes after it must not make a header either.
    assert_eq!(plain("|EF:0"), "suser=%7CEF%3A0");
    assert_eq!(plain("\"a=\""), "suser='a%3D'");
}

#[test]
fn an_ipv6_address_goes_where_cef_0_wants_it() {
    let six = "2001:db8::1";
    assert_eq!(
        extension(&[("src", six), ("dst", six), ("dvc", six)]),
        "c6a2=2001:db8::1 c6a2Label=SourceIPv6Address c6a3=2001:db8::1 c6a3Label=DestinationIPv6Address \
         c6a1=2001:db8::1 c6a1Label=DeviceIPv6Address"
    );
    assert_eq!(
        extension(&[("sourceTranslatedAddress", six), ("destinationTranslatedAddress", six)]),
        "c6a4=2001:db8::1 c6a4Label=SourceTranslatedIPv6Address destinationTranslatedAddressIPv6=2001:db8::1"
    );
    let arcsight = Encoder { ipv6_labels: Ipv6Labels::ArcSight, ..Encoder::default() };
    assert_eq!(extension_by(arcsight, &[("src", six)]), "c6a2=2001:db8::1 c6a2Label=Source IPv6 Address");
    let newer = Encoder { version: Since::V1, ..Encoder::default() };
    assert_eq!(extension_by(newer, &[("src", six)]), "src=2001:db8::1");
    assert_eq!(extension(&[("src", "192.0.2.1")]), "src=192.0.2.1");
}

#[test]
fn an_ipv6_address_never_takes_what_the_mapping_wrote() {
    let six = "2001:db8::1";
    assert_eq!(
        extension(&[("src", six), ("c6a2/Mine", "2001:db8::2")]),
        "srcIPv6=2001:db8::1 c6a2=2001:db8::2 c6a2Label=Mine"
    );
    assert_eq!(
        extension(&[("src", six), ("cs1/SourceIPv6Address", "x")]),
        "srcIPv6=2001:db8::1 cs1=x cs1Label=SourceIPv6Address"
    );
    let (line, cuts) = cut(&[("src", six), ("c6a2/Mine", "2001:db8::2"), ("srcIPv6", "x")], 8192);
    assert_eq!(line, format!("{HEADER}c6a2=2001:db8::2 c6a2Label=Mine srcIPv6=x slackcefCut=src:11"));
    assert_eq!(cuts, [("src".to_owned(), 11, 0)]);
}

#[test]
fn keys_of_a_later_version_are_written_in_the_earlier() {
    assert_eq!(extension(&[("threatActor", "eve")]), "threatActor=eve");
}

#[test]
fn a_value_is_cut_to_its_keys_length_in_bytes_as_read() {
    // 63 bytes for `act`: the escapes do not count, a character is not split.
    let (line, cuts) = cut(&[("act", &"=".repeat(70)), ("suser", "ann")], 8192);
    assert_eq!(line, format!("{HEADER}act={} suser=ann slackcefCut=act:70", r"\=".repeat(63)));
    assert_eq!(cuts, [("act".to_owned(), 70, 63)]);
    let (line, _) = cut(&[("act", &"é".repeat(40))], 8192);
    assert_eq!(line, format!("{HEADER}act={} slackcefCut=act:80", "é".repeat(31)));
    let (line, cuts) = cut(&[("act", &"a".repeat(63))], 8192);
    assert_eq!((line, cuts), (format!("{HEADER}act={}", "a".repeat(63)), vec![]));
}

#[test]
fn a_cut_makes_no_end_that_readers_change() {
    let (line, _) = cut(&[("act", &format!("{}| \"\n{}", "a".repeat(59), "b".repeat(20)))], 8192);
    assert_eq!(line, format!("{HEADER}act={} slackcefCut=act:83", "a".repeat(59)));
    let (line, _) = cut(&[("act", &format!("\"{}\"", "b".repeat(70)))], 8192);
    assert_eq!(line, format!("{HEADER}act='{} slackcefCut=act:72", "b".repeat(62)));
}

#[test]
fn a_line_over_its_budget_gives_way_from_its_end() {
    let long = "x".repeat(400);
    let fields =
        [("suser", "ann"), ("cs1/SlackOne", &long), ("cn1/SlackId", "123456"), ("cs6/SlackDetails", &long)];
    let (line, cuts) = cut(&fields, 600);
    assert_eq!(line.len(), 600);
    assert!(line.ends_with("x cs6Label=SlackDetails slackcefCut=cs6:400"), "{line}");
    assert!(line.contains(" cn1=123456 cn1Label=SlackId cs6=xxx"));
    let kept = line.len()
        - HEADER.len()
        - "suser=ann cs1= cs1Label=SlackOne cn1=123456 cn1Label=SlackId ".len()
        - 400
        - "cs6= cs6Label=SlackDetails slackcefCut=cs6:400".len();
    assert_eq!(cuts, [("cs6".to_owned(), 400, kept)]);

    let (line, cuts) = cut(&fields, 480);
    assert_eq!(line.len(), 480);
    assert!(line.ends_with("x cs1Label=SlackOne slackcefCut=cs6:400,cn1:6,cs1:400"), "{line}");
    assert_eq!(cuts.iter().map(|cut| cut.2 == 0).collect::<Vec<_>>(), [true, true, false]);
    // A budget that no receiver may set counts as the least.
    assert_eq!(cut(&fields, 0), (line, cuts));
}

#[test]
fn a_shortened_value_keeps_enough_to_read_or_goes() {
    let filler = "x".repeat(375);
    let mut kept = std::collections::BTreeSet::new();
    for budget in 480..505 {
        let (line, cuts) = cut(&[("msg", &filler), ("cs1/SlackOne", &"y".repeat(64))], budget);
        kept.insert(cuts[0].2);
        assert_eq!(line.contains("cs1Label"), cuts[0].2 > 0, "{line}");
    }
    assert_eq!(kept.iter().take(3).copied().collect::<Vec<_>>(), [0, 16, 17]);
}

#[test]
fn a_typed_value_is_whole_or_not_there() {
    let filler = "x".repeat(360);
    for budget in 480..540 {
        let (line, _) = cut(&[("msg", &filler), ("rt", "1787680154000"), ("src", "192.0.2.100")], budget);
        let extension = line.get(HEADER.len()..).unwrap();
        assert!(!extension.contains(" rt=") || extension.contains(" rt=1787680154000"), "{line}");
        assert!(!extension.contains(" src=") || extension.contains(" src=192.0.2.100"), "{line}");
    }
}

#[test]
fn more_cuts_than_can_be_named_are_counted() {
    let long = "x".repeat(100);
    let keys: Vec<String> = (0..200).map(|n| format!("SlackCustomKey{n}")).collect();
    let fields: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), long.as_str())).collect();
    let (line, cuts) = cut(&fields, 2048);
    let note = line.split_once(" slackcefCut=").unwrap().1;
    let (named, more) = note.rsplit_once(",+").unwrap();
    assert_eq!(named.split(',').count() + more.parse::<usize>().unwrap(), cuts.len());
    assert!(note.len() <= 256);
    assert!(line.len() > 2048 - 150);
}

#[test]
fn a_header_too_long_for_the_budget_loses_of_its_name_first() {
    let mut event = event(&[("suser", "ann")]);
    event.set_class_id(&"c".repeat(100));
    event.set_name(&HeaderText::new(&"n".repeat(512), 512).unwrap());
    let mut out = Vec::new();
    let cuts = Encoder::default().encode(&event, 480, &mut out);
    let line = String::from_utf8(out).unwrap();
    assert!(line.len() <= 480 && line.contains(&format!("|{}|n", "c".repeat(100))), "{line}");
    assert_eq!(cuts.iter().map(|cut| cut.key.as_str()).collect::<Vec<_>>(), ["name"]);
    assert!(line.ends_with("|3|suser=ann slackcefCut=name:512"), "{line}");

    event.set_class_id(&"c".repeat(1023));
    let mut out = Vec::new();
    let cuts = Encoder::default().encode(&event, 480, &mut out);
    let line = String::from_utf8(out).unwrap();
    assert!(line.len() <= 480 && line.contains("c|nnnnnnnnnnnnnnnn|3|"), "{line}");
    assert_eq!(cuts.iter().map(|cut| cut.key.as_str()).collect::<Vec<_>>(), ["name", "deviceEventClassId"]);
}
