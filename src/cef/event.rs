//! An event before it is written: seven header fields and an ordered list of typed fields.

use std::ops::Range;

use super::header::{
    CLASS_ID_LIMIT, DEVICE_VERSION_LIMIT, HeaderText, NAME_LIMIT, PRODUCT_LIMIT, Severity, VENDOR_LIMIT,
};
use super::key::{Key, Label, NameHash};
use super::text;
use super::typed::{self, Misfit};

/// One event: what will be one line.
///
/// Made once and filled again and again: `clear`, the header, then `push` in the order in which
/// the fields shall be written.
///
/// **Invariant:** no two fields share a name, be it key or label, in any case: readers write the
/// later over the earlier (pycef and SC4S take labels for keys too). A field that would is kept
/// aside, see [`Event::clashes`].
#[derive(Debug, Default)]
pub struct Event {
    text: String,
    vendor: Range<usize>,
    product: Range<usize>,
    device_version: Range<usize>,
    class_id: Range<usize>,
    name: Range<usize>,
    severity: Severity,
    fields: Vec<Slot>,
    clashes: Vec<Slot>,
    /// The bits of every key and label in `fields`: most new names are told from all of them at once.
    names: [u128; 2],
}

#[derive(Debug)]
struct Slot {
    key: Key,
    label: Option<Label>,
    value: Range<usize>,
}

/// One field of an event, lent.
#[derive(Debug, Clone, Copy)]
pub struct Field<'a> {
    /// The key.
    pub key: &'a Key,
    /// The label that goes with it.
    pub label: Option<&'a Label>,
    /// The value: of the key's type, neither escaped nor cut.
    pub value: &'a str,
}

impl Event {
    /// An empty event.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets everything but the buffers.
    pub fn clear(&mut self) {
        self.text.clear();
        self.fields.clear();
        self.clashes.clear();
        self.names = [0; 2];
        self.severity = Severity::default();
        for part in [
            &mut self.vendor,
            &mut self.product,
            &mut self.device_version,
            &mut self.class_id,
            &mut self.name,
        ] {
            *part = 0..0;
        }
    }

    /// Vendor, product and device version; what is over CEF's length for each is left off.
    pub fn set_device(&mut self, vendor: &HeaderText, product: &HeaderText, version: &HeaderText) {
        self.vendor = self.keep(vendor, VENDOR_LIMIT);
        self.product = self.keep(product, PRODUCT_LIMIT);
        self.device_version = self.keep(version, DEVICE_VERSION_LIMIT);
    }

    /// The stable class id, from any text: what is not a letter, digit, `_`, `-` or `.` becomes `_`.
    pub fn set_class_id(&mut self, id: &str) {
        let start = self.text.len();
        let safe = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.') { c } else { '_' };
        self.text.extend(id.chars().take(CLASS_ID_LIMIT).map(safe));
        if self.text.len() == start {
            self.text.push_str("unknown");
        }
        self.class_id = start..self.text.len();
    }

    /// What happened, in words that hold no data of users.
    pub fn set_name(&mut self, name: &HeaderText) {
        self.name = self.keep(name, NAME_LIMIT);
    }

    /// A name made from a class id: `pref.sso_setting_changed` becomes `Pref sso setting changed`.
    pub fn set_name_from_class_id(&mut self) {
        let start = self.text.len();
        for at in self.class_id.clone() {
            let c = self.text.as_bytes().get(at).copied().map_or(' ', char::from);
            let c = if c.is_ascii_alphanumeric() { c } else { ' ' };
            match self.text.len() == start {
                true if c == ' ' => {}
                true => self.text.push(c.to_ascii_uppercase()),
                false if c == ' ' && self.text.ends_with(' ') => {}
                false if self.text.len().saturating_sub(start) < NAME_LIMIT => self.text.push(c),
                false => {}
            }
        }
        while self.text.len() > start && self.text.ends_with(' ') {
            self.text.pop();
        }
        if self.text.len() == start {
            self.text.push_str("Unknown");
        }
        self.name = start..self.text.len();
    }

    /// How grave it is.
    pub fn set_severity(&mut self, severity: Severity) {
        self.severity = severity;
    }

    /// Adds a field whose value is `value` brought into the key's type.
    ///
    /// A label on a key that takes none is left off. A custom field without one gets a label made
    /// from its full name (`deviceCustomString1Value`): some readers refuse a message without.
    ///
    /// # Errors
    /// [`Misfit`] when the text is no value of the key's type; the event is unchanged. A text with
    /// nothing to read in it (empty, or white space, control characters and pipes alone) adds
    /// nothing and is no error: a key is never sent empty.
    pub fn push(&mut self, key: &Key, label: Option<&Label>, value: &str) -> Result<(), Misfit> {
        if text::trimmed(value).is_empty() {
            return Ok(());
        }
        let start = self.text.len();
        if let Err(misfit) = typed::write(key.kind(), value, &mut self.text) {
            self.text.truncate(start);
            return Err(misfit);
        }
        let label = key.label_otherwise().map(|otherwise| label.unwrap_or(otherwise));
        let clashes = self.holds(key.name(), key.hash())
            || label.is_some_and(|label| self.holds(label.as_str(), label.hash()));
        let slot = Slot { key: key.clone(), label: label.cloned(), value: start..self.text.len() };
        if clashes {
            self.clashes.push(slot);
            return Ok(());
        }
        for hash in [Some(key.hash()), label.map(Label::hash)].into_iter().flatten() {
            for (taken, bit) in self.names.iter_mut().zip(hash.bits()) {
                *taken |= bit;
            }
        }
        self.fields.push(slot);
        Ok(())
    }

    /// Vendor, product, device version, class id and name, in their order.
    pub fn header(&self) -> [&str; 5] {
        [&self.vendor, &self.product, &self.device_version, &self.class_id, &self.name]
            .map(|part| self.text.get(part.clone()).unwrap_or_default())
    }

    /// How grave it is.
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// The fields in the order in which they were pushed.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = Field<'_>> + DoubleEndedIterator {
        self.fields.iter().map(|slot| self.lend(slot))
    }

    /// The fields that are not written, because an earlier one has their key or label: the first
    /// stays. The encoder reports them as cut.
    pub fn clashes(&self) -> impl ExactSizeIterator<Item = Field<'_>> + DoubleEndedIterator {
        self.clashes.iter().map(|slot| self.lend(slot))
    }

    /// Whether a field has that key or label, in any case.
    pub(super) fn holds_name(&self, name: &str) -> bool {
        self.holds(name, NameHash::of(name))
    }

    fn holds(&self, name: &str, hash: NameHash) -> bool {
        let is_it = |taken: &str, taken_hash| taken_hash == hash && taken.eq_ignore_ascii_case(name);
        self.names.iter().zip(hash.bits()).all(|(taken, bit)| taken & bit != 0)
            && self.fields.iter().any(|Slot { key, label, .. }| {
                is_it(key.name(), key.hash())
                    || label.as_ref().is_some_and(|label| is_it(label.as_str(), label.hash()))
            })
    }

    fn lend<'a>(&'a self, slot: &'a Slot) -> Field<'a> {
        Field {
            key: &slot.key,
            label: slot.label.as_ref(),
            value: self.text.get(slot.value.clone()).unwrap_or_default(),
        }
    }

    fn keep(&mut self, text: &HeaderText, limit: usize) -> Range<usize> {
        let start = self.text.len();
        // ASCII alone, so that every byte is a character's edge.
        self.text.push_str(text.as_str().get(..limit).map_or(text.as_str(), str::trim_end));
        start..self.text.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pushed(fields: &[(&str, Option<&str>, &str)]) -> Event {
        let mut event = Event::new();
        for (key, label, value) in fields {
            let label = label.map(|label| Label::new(label).unwrap());
            event.push(&Key::new(key).unwrap(), label.as_ref(), value).unwrap();
        }
        event
    }

    fn keys<'a>(fields: impl Iterator<Item = Field<'a>>) -> Vec<String> {
        fields.map(|field| field.key.name().to_owned()).collect()
    }

    #[test]
    fn a_value_with_nothing_to_read_is_no_field() {
        for nothing in ["", " ", "\u{a0}\t", "\0\u{7f}", "| |", "\u{2028}\r\n", " \u{85}|\u{3000}"] {
            assert_eq!(pushed(&[("suser", None, nothing)]).fields().len(), 0, "{nothing:?}");
        }
        assert_eq!(pushed(&[("src", None, " ")]).fields().len(), 0);
    }

    #[test]
    fn a_name_is_taken_once_by_key_or_label_in_any_case() {
        let event = pushed(&[
            ("suser", None, "first"),
            ("suser", None, "second"),
            ("cs1", Some("SlackActorName"), "a"),
            ("cs2", Some("slackactorNAME"), "b"),
            ("SlackActorname", None, "c"),
            ("SlackTeam", None, "d"),
            ("cs3", Some("SlackTeam"), "e"),
            ("slackTEAM", None, "f"),
        ]);
        assert_eq!(keys(event.fields()), ["suser", "cs1", "SlackTeam"]);
        assert_eq!(keys(event.clashes()), ["suser", "cs2", "SlackActorname", "cs3", "slackTEAM"]);
        assert_eq!(event.fields().next().unwrap().value, "first");
    }

    #[test]
    fn an_empty_value_does_not_take_its_key() {
        let event = pushed(&[("suser", None, " "), ("suser", None, "ann")]);
        assert_eq!(event.fields().map(|field| field.value).collect::<Vec<_>>(), ["ann"]);
        assert_eq!(event.clashes().len(), 0);
    }

    #[test]
    fn a_cleared_event_has_no_names() {
        let mut event = pushed(&[("suser", None, "ann"), ("suser", None, "eve")]);
        event.clear();
        event.push(&Key::new("suser").unwrap(), None, "bob").unwrap();
        assert_eq!((event.fields().len(), event.clashes().len()), (1, 0));
    }

    #[test]
    fn only_custom_fields_keep_a_label() {
        let event = pushed(&[("suser", Some("Who"), "ann"), ("SlackTeam", Some("Team"), "t")]);
        assert!(event.fields().all(|field| field.label.is_none()));
    }

    #[test]
    fn header_parts_keep_to_their_lengths() {
        let mut event = Event::new();
        let long = HeaderText::new(&format!("{} b", "a".repeat(62)), 1000).unwrap();
        event.set_device(&long, &long, &long);
        event.set_class_id(&"ü|".repeat(600));
        event.set_name_from_class_id();
        let [vendor, product, version, class_id, name] = event.header();
        assert_eq!((vendor.len(), product.len(), version.len()), (62, 62, 31));
        assert_eq!((class_id.len(), name), (1023, "Unknown"));
    }
}
