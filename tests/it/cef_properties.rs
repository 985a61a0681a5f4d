//! Whatever a value holds: what is read back is what was meant, or its marked beginning.

use proptest::collection::vec;
use proptest::prelude::*;
use slackcef::cef::{Cuts, Encoder, Event, Values, decode};

use crate::support::events::{encoder, event, field, meant, value};

/// Holds a line against what was meant, with what the encoder says it cut.
fn check(encoder: Encoder, event: &Event, line: &[u8], cuts: &Cuts) -> Result<(), TestCaseError> {
    let line = std::str::from_utf8(line).unwrap();
    prop_assert!(!line.contains(['\n', '\r']));
    let decoded = decode(line).map_err(|error| TestCaseError::fail(format!("{error}: {line}")))?;
    prop_assert_eq!(decoded.version, encoder.version);
    let [vendor, product, device_version, class_id, name] = event.header();
    prop_assert_eq!(
        [&decoded.vendor, &decoded.product, &decoded.device_version],
        [vendor, product, device_version]
    );
    for (read, meant, key) in
        [(&decoded.class_id, class_id, "deviceEventClassId"), (&decoded.name, name, "name")]
    {
        let cut = cuts.iter().find(|cut| cut.key == key);
        prop_assert!(
            cut.map_or(read == meant, |cut| meant.starts_with(read.as_str()) && read.len() == cut.kept)
        );
    }
    if encoder.values == Values::Plain {
        prop_assert!(!decoded.fields.iter().any(|(_, value)| value.contains(['\\', '|', '='])));
    }

    let (meant, lost) = meant(encoder, event);
    // Of the cuts those of the fields that have a place.
    let mut placed: Vec<_> = cuts.iter().collect();
    for key in &lost {
        let at = placed.iter().position(|cut| cut.key == *key && cut.is_dropped());
        placed.remove(at.ok_or_else(|| TestCaseError::fail(format!("{key} is lost in silence")))?);
    }
    let mut read = decoded.fields.iter().filter(|(key, _)| key != "slackcefCut");
    for (key, whole) in &meant {
        let field = key.strip_suffix("Label").unwrap_or(key);
        let cut = placed.iter().find(|cut| cut.key == field);
        if cut.is_some_and(|cut| cut.kept == 0) {
            continue;
        }
        let (read_key, text) =
            read.next().ok_or_else(|| TestCaseError::fail(format!("{key} is lost: {line}")))?;
        prop_assert_eq!(read_key, key);
        match cut {
            Some(cut) if field == key => {
                prop_assert!(whole.starts_with(text.as_str()) && text.len() < whole.len(), "{}", text);
                prop_assert_eq!(text.len(), cut.kept);
            }
            _ => prop_assert_eq!(text, whole),
        }
    }
    prop_assert_eq!(read.next(), None, "a key that nobody wrote");

    // Every cut is named with the bytes it had, or counted.
    let note = decoded.value("slackcefCut").map(|note| note.replace("%3A", ":"));
    prop_assert_eq!(note.is_some(), !cuts.is_empty());
    let mut left = cuts.iter();
    for piece in note.iter().flat_map(|note| note.split(',')) {
        if let Some(more) = piece.strip_prefix('+') {
            prop_assert_eq!(more.parse::<usize>().unwrap(), left.by_ref().count());
        } else {
            let cut = left.next().unwrap();
            prop_assert_eq!(piece, format!("{}:{}", cut.key, cut.had));
        }
    }
    prop_assert_eq!(left.next(), None);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_read_is_what_was_meant_or_its_marked_beginning(
        encoder in encoder(),
        class_id in prop_oneof![Just("user_login".to_owned()), value()],
        fields in vec(field(), 0..14),
        budget in prop_oneof![Just(8192_usize), 0_usize..600, 480_usize..3000, Just(usize::MAX)],
    ) {
        let event = event(&class_id, &fields);
        let mut out = b"<134>1 prefix ".to_vec();
        let start = out.len();
        let cuts = encoder.encode(&event, budget, &mut out);
        prop_assert_eq!(&out[..start], b"<134>1 prefix ");
        let line = &out[start..];
        prop_assert!(line.len() <= budget.max(Encoder::LEAST_BUDGET), "{} of {}", line.len(), budget);
        check(encoder, &event, line, &cuts)?;

        // Nothing is cut for want of room while there is room; only a header so long that the mark
        // might find none gives way before it must.
        let header_cut = cuts.iter().any(|cut| cut.key == "name");
        let mut whole = Vec::new();
        let unlimited = encoder.encode(&event, usize::MAX, &mut whole);
        if whole.len() <= budget && !header_cut {
            prop_assert_eq!(&cuts, &unlimited);
            prop_assert_eq!(line, &whole[..]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 80, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_budget_is_kept(fields in vec(field(), 0..14), class_id in value(), from in 480_usize..900) {
        let event = event(&class_id, &fields);
        for budget in (from..from + 200).step_by(7) {
            let mut out = Vec::new();
            let cuts = Encoder::default().encode(&event, budget, &mut out);
            prop_assert!(out.len() <= budget);
            check(Encoder::default(), &event, &out, &cuts)?;
        }
    }
}

#[test]
fn sixty_four_kibibytes_of_one_character_are_cut_and_marked() {
    for piece in ["x", "=", "\\", "\n", "|", " ", "\"", "\0", "\t", "é", "🦀", "\u{a0}", "\u{2028}", "CEF:"]
    {
        let long = piece.repeat(65_536 / piece.len());
        let event = event("user_login", &[("SlackTeam", None, long.clone()), ("suser", None, long)]);
        for values in [Values::Escaped, Values::Plain] {
            let encoder = Encoder { values, ..Encoder::default() };
            let mut out = Vec::new();
            let cuts = encoder.encode(&event, 8192, &mut out);
            assert!(out.len() <= 8192);
            check(encoder, &event, &out, &cuts).unwrap_or_else(|error| panic!("{piece:?}: {error}"));
        }
    }
}
