//! Extension keys: the dictionary's own, and custom ones in the form that every consumer takes.

use std::fmt;
use std::sync::{Arc, LazyLock};

use super::dictionary::DICTIONARY;

/// What the dictionary says of one key.
#[derive(Debug, PartialEq, Eq)]
pub struct Definition {
    /// The short name: the one that is written.
    pub name: &'static str,
    /// The full name: for people, and for "did you mean".
    pub full_name: &'static str,
    /// What a value must be.
    pub kind: Kind,
    /// The longest value in bytes, where the dictionary sets one.
    pub limit: Option<u16>,
    /// Who may write it.
    pub side: Side,
    /// The first CEF version that has it.
    pub since: Since,
}

/// What a key's values must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// UTF-8 text.
    Text,
    /// A whole number of 32 bits.
    Integer,
    /// A whole number of 64 bits.
    Long,
    /// A decimal number.
    Float,
    /// An IPv4 address; in CEF:1 an IPv6 address too.
    Address,
    /// An IPv6 address.
    Ipv6,
    /// A MAC address.
    Mac,
    /// Milliseconds since 1970.
    Time,
}

/// Who may write a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Devices: what we are.
    Producer,
    /// `SmartConnectors` and managers alone.
    Consumer,
    /// Either.
    Both,
}

/// The CEF version a key came with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Since {
    /// CEF:0, specification 0.1.
    V0,
    /// CEF:1, specification 1.2.
    V1,
}

/// A key that may be written: of the dictionary, or a custom one in safe form.
#[derive(Clone)]
pub struct Key {
    name: Name,
    hash: NameHash,
    labelled: Option<&'static Labelled>,
}

/// A key that wants a label, the key of that label, and what it says where a mapping says nothing.
struct Labelled {
    key: &'static str,
    label_key: &'static str,
    otherwise: Label,
}

/// Made once, so that a key stays cheap to clone: events clone theirs for each field.
static LABELLED: LazyLock<Vec<Labelled>> = LazyLock::new(|| {
    let keys = DICTIONARY.iter().filter_map(|known| {
        let label_key = DICTIONARY.iter().find(|d| d.name.strip_suffix("Label") == Some(known.name))?.name;
        let otherwise = Label::new(&format!("{}Value", known.full_name))?;
        Some(Labelled { key: known.name, label_key, otherwise })
    });
    keys.collect()
});

#[derive(Clone)]
enum Name {
    Known(&'static Definition),
    Custom(Arc<str>),
}

/// The longest custom key, in bytes.
const CUSTOM_LIMIT: usize = 64;

/// The key under which the encoder names what it cut; no mapping writes it.
pub(super) const CUT_KEY: &str = "slackcefCut";

/// Names that readers give to the header's fields, in one table with the extension's (pycef), and
/// the one that the encoder writes itself: none of them is a key or a label, in any case.
const RESERVED: &[&str] = &[
    "CEFVersion",
    "DeviceVendor",
    "DeviceProduct",
    "DeviceVersion",
    "DeviceEventClassID",
    "DeviceName",
    "DeviceSeverity",
    "Name",
    "Severity",
    CUT_KEY,
];

impl Key {
    /// The dictionary's key of that name, or a custom key.
    ///
    /// # Errors
    /// [`BadKey`] for a name that some consumer misreads or that producers must not write. A
    /// custom key is letters and digits, two to 64 of them, first a letter (Logstash and
    /// liblognorm refuse a message for a hyphen); it does not end in `Label` (SC4S and Graylog
    /// drop such a key), and it is no name of the dictionary or the header in another case
    /// (Elastic compares without regard to it).
    pub fn new(name: &str) -> Result<Self, BadKey> {
        if let Some(known) = Self::definition_of(name) {
            return match known.side {
                Side::Consumer => Err(BadKey::ConsumersOnly),
                Side::Producer | Side::Both if is_label(known.name) => Err(BadKey::Label),
                Side::Producer | Side::Both => Ok(Self::known(known)),
            };
        }
        if let Some(known) = DICTIONARY.iter().find(|d| d.full_name.eq_ignore_ascii_case(name)) {
            return Err(BadKey::FullName { short: known.name });
        }
        if let Some(known) = DICTIONARY.iter().find(|d| d.name.eq_ignore_ascii_case(name)) {
            return Err(BadKey::Case { known: known.name });
        }
        if is_reserved(name) {
            return Err(BadKey::Reserved);
        }
        if is_label(name) {
            return Err(BadKey::Label);
        }
        if !(2..=CUSTOM_LIMIT).contains(&name.len()) || !is_word(name) {
            return Err(BadKey::Form);
        }
        Ok(Self { name: Name::Custom(name.into()), hash: NameHash::of(name), labelled: None })
    }

    fn known(known: &'static Definition) -> Self {
        let labelled = LABELLED.iter().find(|labelled| labelled.key == known.name);
        Self { name: Name::Known(known), hash: NameHash::of(known.name), labelled }
    }

    /// The dictionary's entry of that short name.
    pub fn definition_of(name: &str) -> Option<&'static Definition> {
        let at = DICTIONARY.binary_search_by(|d| d.name.cmp(name)).ok()?;
        DICTIONARY.get(at)
    }

    /// Every entry of the dictionary, sorted by name.
    pub fn dictionary() -> &'static [Definition] {
        DICTIONARY
    }

    /// The name as it is written.
    pub fn name(&self) -> &str {
        match &self.name {
            Name::Known(known) => known.name,
            Name::Custom(name) => name,
        }
    }

    /// What the dictionary says of it; `None` for a custom key.
    pub fn definition(&self) -> Option<&'static Definition> {
        match self.name {
            Name::Known(known) => Some(known),
            Name::Custom(_) => None,
        }
    }

    /// What its values must be; custom keys hold text.
    pub fn kind(&self) -> Kind {
        self.definition().map_or(Kind::Text, |d| d.kind)
    }

    /// The longest value in bytes, where the dictionary sets one.
    pub fn limit(&self) -> Option<usize> {
        self.definition()?.limit.map(usize::from)
    }

    /// Whether the key wants a label beside it (`cs1`, `cn1`, `c6a2`, `deviceCustomDate1` …).
    pub fn wants_label(&self) -> bool {
        self.labelled.is_some()
    }

    /// The key of the label that goes with this key: `cs1Label` for `cs1`.
    pub(super) fn label_key(&self) -> Option<&'static str> {
        self.labelled.map(|labelled| labelled.label_key)
    }

    /// The label of a field that was given none: its full name and `Value`, for a label must not
    /// be the name of any key.
    pub(super) fn label_otherwise(&self) -> Option<&Label> {
        self.labelled.map(|labelled| &labelled.otherwise)
    }

    pub(super) fn hash(&self) -> NameHash {
        self.hash
    }
}

/// A name's fingerprint without regard to case: two names that differ in it are two names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NameHash(u32);

impl NameHash {
    /// The fingerprint's own bits, one of 128 in each half: of forty names few share both.
    pub(super) fn bits(self) -> [u128; 2] {
        [1 << (self.0 % 128), 1 << ((self.0 >> 16) % 128)]
    }

    /// FNV-1a over the lower-case letters.
    pub(super) fn of(name: &str) -> Self {
        Self(name.bytes().fold(0x811c_9dc5, |hash, b| {
            (hash ^ u32::from(b.to_ascii_lowercase())).wrapping_mul(0x0100_0193)
        }))
    }
}

/// The label of a custom field.
///
/// Letters and digits, for SC4S, pycef and VRL use it as the field's name, and Graylog drops a
/// field whose name holds a space. So it is no key of the dictionary either: those readers would
/// write the field over that key.
#[derive(Clone, PartialEq, Eq)]
pub struct Label {
    text: Arc<str>,
    hash: NameHash,
}

impl Label {
    /// The label, where it is letters and digits, begins with a letter, has at most 128 bytes (the
    /// least limit of all label keys), and is neither a name of the dictionary nor of the header.
    pub fn new(text: &str) -> Option<Self> {
        let names_a_key =
            |d: &Definition| d.name.eq_ignore_ascii_case(text) || d.full_name.eq_ignore_ascii_case(text);
        let fits = text.len() <= LABEL_LIMIT
            && is_word(text)
            && !is_reserved(text)
            && !DICTIONARY.iter().any(names_a_key);
        fits.then(|| Self { text: text.into(), hash: NameHash::of(text) })
    }

    /// The label.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn hash(&self) -> NameHash {
        self.hash
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

const LABEL_LIMIT: usize = 128;

fn is_label(name: &str) -> bool {
    name.len() > "Label".len() && name.ends_with("Label")
}

fn is_reserved(name: &str) -> bool {
    RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(name))
}

/// ASCII letters and digits, first a letter.
fn is_word(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.bytes().all(|b| b.is_ascii_alphanumeric())
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Key {}

/// Why a name cannot be a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// Characters that some consumer refuses.
    #[error("a key is two to 64 letters and digits, beginning with a letter")]
    Form,
    /// A label is written by its field alone.
    #[error("labels are not written by hand: give the field a `label`")]
    Label,
    /// The dictionary keeps the key for consumers.
    #[error("the key is reserved for consumers of CEF")]
    ConsumersOnly,
    /// The long form of a known key.
    #[error("full names are not understood everywhere: write `{short}`")]
    FullName {
        /// The short name to write in its place.
        short: &'static str,
    },
    /// A name that readers give to a part of the header, or that marks what was cut.
    #[error("the name is reserved for CEF's header and for the mark of what was cut")]
    Reserved,
    /// Some consumers compare keys without regard to case.
    #[error("the key differs from CEF's `{known}` in case alone")]
    Case {
        /// The dictionary's key.
        known: &'static str,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dictionary_is_sorted_and_without_twins() {
        assert!(DICTIONARY.is_sorted_by(|a, b| a.name < b.name));
    }

    #[test]
    fn knows_which_keys_want_labels() {
        for name in ["cs1", "cn3", "c6a2", "cfp4", "flexString1", "flexDate1", "deviceCustomDate2"] {
            let key = Key::new(name).unwrap();
            assert!(key.wants_label(), "{name}");
            assert_eq!(key.label_key().unwrap(), format!("{name}Label"));
        }
        for name in ["suser", "rt", "src", "SlackAuditActorTeam"] {
            assert!(!Key::new(name).unwrap().wants_label(), "{name}");
        }
    }

    #[test]
    fn refuses_names_that_some_consumer_misreads() {
        assert_eq!(Key::new("Suser"), Err(BadKey::Case { known: "suser" }));
        assert_eq!(Key::new("sourceUserName"), Err(BadKey::FullName { short: "suser" }));
        assert_eq!(Key::new("my-key"), Err(BadKey::Form));
        assert_eq!(Key::new("x"), Err(BadKey::Form));
        assert_eq!(Key::new("cs1Label"), Err(BadKey::Label));
        assert_eq!(Key::new("MyLabel"), Err(BadKey::Label));
        assert_eq!(Key::new("agt"), Err(BadKey::ConsumersOnly));
        assert_eq!(Key::new("sourceusername"), Err(BadKey::FullName { short: "suser" }));
        assert_eq!(Key::new("SlackCefCut"), Err(BadKey::Reserved));
        assert_eq!(Key::new("severity"), Err(BadKey::Reserved));
        assert_eq!(Key::new(&"k".repeat(65)), Err(BadKey::Form));
        assert_eq!(Key::new("1st"), Err(BadKey::Form));
        assert_eq!(Key::new("naïve"), Err(BadKey::Form));
        assert!(Key::new(&"k".repeat(64)).is_ok());
    }

    #[test]
    fn labels_are_words_that_name_no_key() {
        for good in ["SlackActorName", "S", "x9"] {
            assert_eq!(Label::new(good).unwrap().as_str(), good);
        }
        for bad in
            ["", "9x", "Slack Name", "a_b", "ä", "suser", "SUSER", "sourceUserName", "slackcefcut", "Name"]
        {
            assert!(Label::new(bad).is_none(), "{bad}");
        }
        assert!(Label::new(&"l".repeat(128)).is_some());
        assert!(Label::new(&"l".repeat(129)).is_none());
    }

    #[test]
    fn every_label_key_is_long_enough_for_any_label_and_belongs_to_a_key() {
        for label in DICTIONARY.iter().filter(|d| is_label(d.name)) {
            assert!(Key::new(label.name.strip_suffix("Label").unwrap()).unwrap().wants_label());
            assert!(usize::from(label.limit.unwrap()) >= LABEL_LIMIT, "{}", label.name);
        }
    }
}
