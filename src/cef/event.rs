//! An event before it is written: seven header fields and an ordered list of typed fields.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::key::Key;
use super::typed::{self, Misfit};

/// One event: what will be one line.
///
/// Made once and filled again and again: `clear`, the header, then `push` in the order in which
/// the fields shall be written.
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

    /// Vendor, product and device version.
    pub fn set_device(&mut self, vendor: &HeaderText, product: &HeaderText, version: &HeaderText) {
        self.vendor = self.keep(vendor.as_str());
        self.product = self.keep(product.as_str());
        self.device_version = self.keep(version.as_str());
    }

    /// The stable class id, from any text: what is not a letter, digit, `_` or `.` becomes `_`.
    pub fn set_class_id(&mut self, id: &str) {
        let start = self.text.len();
        let safe = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '.') { c } else { '_' };
        self.text.extend(id.chars().take(CLASS_ID_LIMIT).map(safe));
        if self.text.len() == start {
            self.text.push_str("unknown");
        }
        self.class_id = start..self.text.len();
    }

    /// What happened, in words that hold no data of users.
    pub fn set_name(&mut self, name: &HeaderText) {
        self.name = self.keep(name.as_str());
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
            self.text.truncate(self.text.len().saturating_sub(1));
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
    /// # Errors
    /// [`Misfit`] when the text is no value of the key's type; the event is unchanged. An empty
    /// text adds nothing and is no error: a key is never sent empty.
    pub fn push(&mut self, key: &Key, label: Option<&Label>, value: &str) -> Result<(), Misfit> {
        if value.is_empty() {
            return Ok(());
        }
        let start = self.text.len();
        if let Err(misfit) = typed::write(key.kind(), value, &mut self.text) {
            self.text.truncate(start);
            return Err(misfit);
        }
        let value = start..self.text.len();
        self.fields.push(Slot { key: key.clone(), label: label.cloned(), value });
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
        self.fields.iter().map(|slot| Field {
            key: &slot.key,
            label: slot.label.as_ref(),
            value: self.text.get(slot.value.clone()).unwrap_or_default(),
        })
    }

    fn keep(&mut self, text: &str) -> Range<usize> {
        let start = self.text.len();
        self.text.push_str(text);
        start..self.text.len()
    }
}

const CLASS_ID_LIMIT: usize = 1023;
const NAME_LIMIT: usize = 512;

/// CEF's severity: 0 (least) to 10. Low to 3, Medium to 6, High to 8, then Very-High.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Severity(u8);

impl Severity {
    /// A severity, where it is within 0 to 10.
    pub const fn new(severity: u8) -> Option<Self> {
        if severity <= 10 { Some(Self(severity)) } else { None }
    }

    /// 0 to 10.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Text that may stand in a header: ASCII letters, digits, space, `.`, `_`, `-`, `/`, `,`, `(`,
/// `)`, not empty, no space at either end. No consumer needs an escape for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderText(Arc<str>);

impl HeaderText {
    /// The text, where it keeps to the rule and to `limit` bytes.
    pub fn new(text: &str, limit: usize) -> Option<Self> {
        let fits = !text.is_empty() && text.len() <= limit && text.trim() == text;
        let safe = |b: u8| b.is_ascii_alphanumeric() || b" ._-/,()".contains(&b);
        (fits && text.bytes().all(safe)).then(|| Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The label of a custom field: letters and digits, for SC4S, pycef and Graylog use it as a name.
#[derive(Clone, PartialEq, Eq)]
pub struct Label(Arc<str>);

impl Label {
    /// The label, where it is letters and digits, at most 1023, and begins with a letter.
    pub fn new(text: &str) -> Option<Self> {
        let fits = (1..=1023).contains(&text.len()) && text.starts_with(|c: char| c.is_ascii_alphabetic());
        (fits && text.bytes().all(|b| b.is_ascii_alphanumeric())).then(|| Self(text.into()))
    }

    /// The label.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
