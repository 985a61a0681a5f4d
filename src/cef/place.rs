//! Where a field goes in a line: its key, the label after it, and how much room the key gives.
//!
//! **Invariant:** no name is given out that the event holds already.

use super::encode::{Encoder, Ipv6Labels, Values};
use super::event::{Event, Field};
use super::key::{Kind, Label, Since};
use super::text::{self, Room, Written};

/// The key and label that a field is written under.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'e> {
    pub(super) key: &'e str,
    /// The label's key and its text.
    label: Option<(&'e str, &'e str)>,
    /// The longest value as a reader has it.
    limit: usize,
    /// Whether a part of the value still tells something true: of an address it would not.
    divisible: bool,
}

/// A value shortened for the line's sake keeps at least so many bytes, or goes as a whole.
const LEAST_VALUE: usize = 16;

impl Place<'_> {
    /// Appends ` key=value labelKey=label`, in at most `room` bytes, or nothing. The space is left
    /// off at `first`, where the extension begins.
    pub(super) fn write(
        &self,
        values: Values,
        value: &str,
        first: usize,
        room: Option<usize>,
        out: &mut Vec<u8>,
    ) -> Written {
        let start = out.len();
        write_key(self.key, first, out);
        let label_len =
            self.label.map_or(0, |(key, label)| key.len().saturating_add(label.len()).saturating_add(2));
        let taken = out.len().saturating_sub(start).saturating_add(label_len);
        let room = room.map(|room| room.saturating_sub(taken));
        let written = if self.divisible {
            let least = if room.is_some() { LEAST_VALUE } else { 1 };
            let room = Room { read: self.limit, written: room.unwrap_or(usize::MAX) };
            match text::write(values, value, room, out) {
                Written::Cut(kept) if kept < least => Written::Cut(0),
                written => written,
            }
        } else if room.is_some_and(|room| room < value.len()) {
            Written::Cut(0)
        } else {
            // Digits, letters, `.`, `:` and `-`, as `typed` wrote them: nothing to escape.
            out.extend_from_slice(value.as_bytes());
            Written::Whole
        };
        if written == Written::Cut(0) {
            out.truncate(start);
        } else if let Some((key, label)) = self.label {
            write_key(key, first, out);
            out.extend_from_slice(label.as_bytes());
        }
        written
    }
}

/// Appends ` key=`; without the space where the extension begins.
pub(super) fn write_key(key: &str, first: usize, out: &mut Vec<u8>) {
    if out.len() > first {
        out.push(b' ');
    }
    out.extend_from_slice(key.as_bytes());
    out.push(b'=');
}

/// Gives each field of one event its place.
///
/// CEF:0 knows IPv4 in its address keys alone. An IPv6 address goes to the custom address that the
/// standard sets aside for its side, or to the fourth, or, where a field has that already, to a
/// custom key named after its own (`srcIPv6`): nothing that the mapping wrote is written over.
pub(super) struct Places<'e> {
    event: &'e Event,
    encoder: Encoder,
    /// Which of `c6a1` to `c6a4` are given out.
    given: [bool; 4],
}

impl<'e> Places<'e> {
    pub(super) fn new(encoder: Encoder, event: &'e Event) -> Self {
        Self { event, encoder, given: [false; 4] }
    }

    /// The field's place; `None` when its key cannot hold it and every other is taken.
    pub(super) fn place(&mut self, field: Field<'e>) -> Option<Place<'e>> {
        let moves = self.encoder.version == Since::V0
            && field.key.kind() == Kind::Address
            && field.value.contains(':');
        if moves {
            return self.place_ipv6(field.key.name());
        }
        let label = field.key.label_key().zip(field.label.map(Label::as_str));
        Some(Place {
            key: field.key.name(),
            label,
            limit: field.key.limit().unwrap_or(usize::MAX),
            divisible: field.key.kind() == Kind::Text,
        })
    }

    fn place_ipv6(&mut self, key: &str) -> Option<Place<'e>> {
        let home = IPV6_HOMES.iter().find(|home| home.of == key)?;
        let label = match self.encoder.ipv6_labels {
            Ipv6Labels::OneWord => home.one_word,
            Ipv6Labels::ArcSight => home.words,
        };
        let place = |key, label| Place { key, label, limit: usize::MAX, divisible: false };
        let given = self.given.get_mut(home.slot)?;
        let (slot, slot_label) = *SLOTS.get(home.slot)?;
        if !*given && !self.event.holds_name(slot) && !self.event.holds_name(home.one_word) {
            *given = true;
            return Some(place(slot, Some((slot_label, label))));
        }
        (!self.event.holds_name(home.spare)).then(|| place(home.spare, None))
    }
}

const SLOTS: [(&str, &str); 4] =
    [("c6a1", "c6a1Label"), ("c6a2", "c6a2Label"), ("c6a3", "c6a3Label"), ("c6a4", "c6a4Label")];

/// Where the IPv6 address of one address key goes in CEF:0.
pub(super) struct Ipv6Home {
    of: &'static str,
    slot: usize,
    pub(super) one_word: &'static str,
    /// For the first three ArcSight's own words, which it sets itself where they are missing.
    pub(super) words: &'static str,
    spare: &'static str,
}

const fn home(
    of: &'static str,
    slot: usize,
    one_word: &'static str,
    words: &'static str,
    spare: &'static str,
) -> Ipv6Home {
    Ipv6Home { of, slot, one_word, words, spare }
}

#[rustfmt::skip]
pub(super) static IPV6_HOMES: &[Ipv6Home] = &[
    home("dvc", 0, "DeviceIPv6Address", "Device IPv6 Address", "dvcIPv6"),
    home("src", 1, "SourceIPv6Address", "Source IPv6 Address", "srcIPv6"),
    home("dst", 2, "DestinationIPv6Address", "Destination IPv6 Address", "dstIPv6"),
    home("sourceTranslatedAddress", 3, "SourceTranslatedIPv6Address", "Source Translated IPv6 Address", "sourceTranslatedAddressIPv6"),
    home("destinationTranslatedAddress", 3, "DestinationTranslatedIPv6Address", "Destination Translated IPv6 Address", "destinationTranslatedAddressIPv6"),
    home("deviceTranslatedAddress", 3, "DeviceTranslatedIPv6Address", "Device Translated IPv6 Address", "deviceTranslatedAddressIPv6"),
];

#[cfg(test)]
mod tests {
    use super::super::key::{Key, Label, Side};
    use super::*;

    #[test]
    fn every_address_key_of_producers_has_a_home_for_ipv6() {
        let keys = Key::dictionary().iter().filter(|d| d.kind == Kind::Address && d.side != Side::Consumer);
        for key in keys {
            assert!(IPV6_HOMES.iter().any(|home| home.of == key.name), "{}", key.name);
        }
        for home in IPV6_HOMES {
            assert!(Key::new(home.spare).is_ok(), "{}", home.spare);
            assert!(Label::new(home.one_word).is_some(), "{}", home.one_word);
            assert_eq!(home.words.replace(' ', ""), home.one_word);
        }
    }
}
