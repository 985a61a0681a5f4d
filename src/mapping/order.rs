//! The order in which an event's fields are written.
//!
//! Identities and addresses first, long and free text last: for receivers that read with regular
//! expressions, and because a line that a relay cuts loses its end.

use crate::cef::Key;

/// A key's place among the fields: smaller is earlier, equals by name.
pub(super) fn place(key: &Key) -> usize {
    let name = key.name();
    if key.definition().is_none() {
        AFTER_OTHERS
    } else if let Some(place) = FIRST.iter().position(|&known| known == name) {
        place
    } else if let Some(place) = LAST.iter().position(|&known| known == name) {
        AFTER_OTHERS + 1 + place
    } else {
        FIRST.len()
    }
}

/// Behind the dictionary's keys that have no place of their own, before the last ones.
const AFTER_OTHERS: usize = FIRST.len() + 1;

const FIRST: [&str; 37] = [
    "externalId",
    "rt",
    "end",
    "start",
    "act",
    "cat",
    "outcome",
    "suser",
    "suid",
    "spriv",
    "src",
    "c6a2",
    "duser",
    "duid",
    "dpriv",
    "dvchost",
    "deviceExternalId",
    "requestClientApplication",
    "cn1",
    "cn2",
    "cn3",
    "cs1",
    "cs2",
    "cs3",
    "cs4",
    "cs5",
    "fname",
    "fileId",
    "fileType",
    "fileHash",
    "fsize",
    "filePath",
    "filePermission",
    "fileCreateTime",
    "fileModificationTime",
    "reason",
    "request",
];

const LAST: [&str; 2] = ["msg", "cs6"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_their_places() {
        let order = [
            "externalId",
            "rt",
            "end",
            "start",
            "suser",
            "src",
            "cn1",
            "cs1",
            "cs5",
            "fname",
            "reason",
            "request",
            "app",
            "dhost",
            "SlackAuditA",
            "SlackAuditB",
            "msg",
            "cs6",
        ];
        let mut keys: Vec<Key> = order.iter().rev().map(|name| Key::new(name).unwrap()).collect();
        keys.sort_by_key(|key| (place(key), key.name().to_owned()));
        assert_eq!(keys.iter().map(Key::name).collect::<Vec<_>>(), order);
    }

    #[test]
    fn every_place_is_a_key_of_the_dictionary() {
        for name in FIRST.iter().chain(&LAST) {
            assert!(Key::definition_of(name).is_some(), "{name}");
        }
    }
}
