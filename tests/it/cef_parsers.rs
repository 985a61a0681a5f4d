//! Parsers that other people wrote read our lines as they are meant, whatever the values hold.

use proptest::collection::vec;
use proptest::prelude::Strategy;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use slackcef::cef::{Encoder, Ipv6Labels, Since, Values, decode};

use crate::support::cef_parsers::read_all;
use crate::support::events::{Pushed, encoder, event, field, meant};
use crate::support::hostile::PIECES;

#[test]
fn every_parser_reads_every_field_as_it_is_meant() {
    let cases = each_piece_everywhere().into_iter().chain(at_random(600));
    let mut lines = Vec::new();
    let mut expected = Vec::new();
    for (encoder, fields) in cases {
        let event = event("user_login", &fields);
        let mut line = Vec::new();
        let cuts = encoder.encode(&event, 8192, &mut line);
        let line = String::from_utf8(line).unwrap();
        // That a cut line says what it should is proven where the decoder is held to the model.
        expected.push(if cuts.is_empty() { meant(encoder, &event).0 } else { decode(&line).unwrap().fields });
        lines.push(line);
    }
    assert!(expected.iter().filter(|fields| fields.iter().any(|(key, _)| key == "slackcefCut")).count() > 50);

    for reading in read_all(&lines) {
        let line = &lines[reading.line];
        reading.assert_fields(line, &expected[reading.line]);
        let header = ["0", "Slack", "Audit Logs", "0.1.0", "user_login", "User login", "0"];
        assert_eq!(reading.header, header, "{:?} misreads {line}", reading.parser);
    }
}

/// Each hostile piece alone, at both ends and in the middle, between fields that must stay.
fn each_piece_everywhere() -> Vec<(Encoder, Vec<Pushed>)> {
    let mut cases = Vec::new();
    for piece in PIECES {
        for values in [Values::Escaped, Values::Plain] {
            for value in [
                (*piece).to_owned(),
                format!("{piece}x"),
                format!("x{piece}"),
                format!("x {piece} y{piece}z"),
            ] {
                let fields = vec![
                    ("externalId", None, "1".to_owned()),
                    ("duser", None, value.clone()),
                    ("src", None, "192.0.2.1".to_owned()),
                    ("cs1", Some("SlackActorName"), value.clone()),
                    ("SlackTeam", None, value.clone()),
                    ("act", None, "user_login".to_owned()),
                    ("msg", None, value),
                ];
                cases.push((Encoder { values, ..Encoder::default() }, fields));
            }
        }
    }
    cases
}

/// The same events in every run.
fn at_random(count: usize) -> Vec<(Encoder, Vec<Pushed>)> {
    let mut runner = TestRunner::deterministic();
    let cases = (encoder(), vec(field(), 0..14));
    (0..count)
        .map(|_| {
            let (encoder, fields) = cases.new_tree(&mut runner).unwrap().current();
            // Not every reader takes CEF:1.
            (Encoder { version: Since::V0, ..encoder }, fields)
        })
        .collect()
}

#[test]
fn every_parser_reads_the_hyphen_of_a_class_id() {
    let event = event("mapping-refused", &[("msg", None, "acme.toml:3".to_owned())]);
    let mut line = Vec::new();
    assert!(Encoder::default().encode(&event, 8192, &mut line).is_empty());
    let line = String::from_utf8(line).unwrap();
    for reading in read_all(std::slice::from_ref(&line)) {
        reading.assert_fields(&line, &meant(Encoder::default(), &event).0);
        let header = ["0", "Slack", "Audit Logs", "0.1.0", "mapping-refused", "Mapping refused", "0"];
        assert_eq!(reading.header, header, "{:?} misreads {line}", reading.parser);
    }
}

#[test]
fn every_parser_takes_the_words_of_arcsight() {
    let arcsight = Encoder { ipv6_labels: Ipv6Labels::ArcSight, ..Encoder::default() };
    let event =
        event("user_login", &[("suser", None, "ann".to_owned()), ("src", None, "2001:db8::1".to_owned())]);
    let mut line = Vec::new();
    assert!(arcsight.encode(&event, 8192, &mut line).is_empty());
    let line = String::from_utf8(line).unwrap();
    for reading in read_all(std::slice::from_ref(&line)) {
        reading.assert_fields(&line, &meant(arcsight, &event).0);
    }
}
