//! Extension keys: the dictionary's own, and custom ones in the form that every consumer takes.

use std::fmt;
use std::sync::Arc;

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
pub struct Key(Name);

#[derive(Clone)]
enum Name {
    Known(&'static Definition),
    Custom(Arc<str>),
}

impl Key {
    /// The dictionary's key of that name, or a custom key.
    ///
    /// # Errors
    /// [`BadKey`] for a name that some consumer misreads (`reference` rule 7: letters and digits,
    /// at least two, first a letter, none of our own ending in `Label`, none that differs from a
    /// dictionary key in case alone) or that producers must not write.
    pub fn new(name: &str) -> Result<Self, BadKey> {
        if let Some(known) = Self::definition_of(name) {
            return match known.side {
                Side::Consumer => Err(BadKey::ConsumersOnly),
                Side::Producer | Side::Both if is_label(known.name) => Err(BadKey::Label),
                Side::Producer | Side::Both => Ok(Self(Name::Known(known))),
            };
        }
        if let Some(known) = DICTIONARY.iter().find(|d| d.full_name == name) {
            return Err(BadKey::FullName { short: known.name });
        }
        if let Some(known) = DICTIONARY.iter().find(|d| d.name.eq_ignore_ascii_case(name)) {
            return Err(BadKey::Case { known: known.name });
        }
        if is_label(name) {
            return Err(BadKey::Label);
        }
        let letters = name.bytes().all(|b| b.is_ascii_alphanumeric());
        if name.len() < 2 || !letters || !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return Err(BadKey::Form);
        }
        Ok(Self(Name::Custom(name.into())))
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
        match &self.0 {
            Name::Known(known) => known.name,
            Name::Custom(name) => name,
        }
    }

    /// What the dictionary says of it; `None` for a custom key.
    pub fn definition(&self) -> Option<&'static Definition> {
        match self.0 {
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
        let Name::Known(known) = &self.0 else { return false };
        // `<name>Label` follows its key at once in the sorted dictionary.
        DICTIONARY
            .binary_search_by(|d| d.name.cmp(known.name))
            .ok()
            .and_then(|at| DICTIONARY.get(at.saturating_add(1)))
            .is_some_and(|next| next.name.strip_suffix("Label") == Some(known.name))
    }
}

fn is_label(name: &str) -> bool {
    name.len() > "Label".len() && name.ends_with("Label")
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
    #[error("a key is letters and digits, at least two, beginning with a letter")]
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
            assert!(Key::new(name).unwrap().wants_label(), "{name}");
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
    }
}
