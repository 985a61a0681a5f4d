//! The dictionary in the code against the table of facts that it was written from.

use std::path::Path;

use slackcef::cef::{Definition, Key, Kind, Side, Since};

#[test]
fn the_dictionary_is_the_table_of_facts() {
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/cef-dictionary.csv");
    let Ok(table) = std::fs::read_to_string(&table) else {
        println!("skipped: {} is not there, so there is nothing to compare with", table.display());
        return;
    };
    let rows: Vec<Vec<String>> = table.lines().skip(1).map(columns).collect();
    assert!(rows.len() > 100);
    for row in &rows {
        let known = Key::definition_of(&row[0]).unwrap_or_else(|| panic!("`{}` is missing", row[0]));
        assert_eq!(described(known), row[1..7], "{}", row[0]);
    }
    for known in Key::dictionary() {
        assert!(rows.iter().any(|row| row[0] == known.name), "`{}` is in no table", known.name);
    }
}

/// Full name, type, length, side, version and specification, as the table writes them.
fn described(known: &Definition) -> [String; 6] {
    let kind = match known.kind {
        Kind::Text => "String",
        Kind::Integer => "Integer",
        Kind::Long => "Long",
        Kind::Float => "Floating Point (double)",
        Kind::Address => "IPv4 or IPv6 Address",
        Kind::Ipv6 => "IPv6 Address",
        Kind::Mac => "MAC Address",
        Kind::Time => "Time Stamp",
    };
    let side = match known.side {
        Side::Producer => "producer",
        Side::Consumer => "consumer",
        Side::Both => "both",
    };
    let (version, since) = match known.since {
        Since::V0 => ("0", "0.1"),
        Since::V1 => ("1", "1.2"),
    };
    let limit = known.limit.map(|limit| limit.to_string()).unwrap_or_default();
    [known.full_name, kind, &limit, side, version, since].map(str::to_owned)
}

/// The first seven columns, the remarks taken out of the types; a specification that is not given
/// is the first.
fn columns(line: &str) -> Vec<String> {
    let mut columns: Vec<String> = line.split(',').take(7).map(str::to_owned).collect();
    if columns[2].starts_with("IPv4 Address (IPv4 or IPv6") {
        "IPv4 or IPv6 Address".clone_into(&mut columns[2]);
    } else if columns[2].starts_with("Integer (") {
        "Integer".clone_into(&mut columns[2]);
    }
    if columns[6].is_empty() {
        "0.1".clone_into(&mut columns[6]);
    }
    columns
}
