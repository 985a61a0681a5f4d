//! Names of keys and labels, and what to say of one that cannot be.
//!
//! A key that begins with a small letter is one of CEF's; one of the mapping's own begins with a
//! capital, so that a slip of the pen is never taken for a new key.

use crate::cef::{BadKey, Definition, Key, Label, Side};
use crate::problem::closest;

/// A name that cannot be: what is wrong with it and what to do.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) code: &'static str,
    pub(super) what: String,
    pub(super) help: String,
}

impl Refused {
    fn new(code: &'static str, what: String, help: impl Into<String>) -> Self {
        Self { code, what, help: help.into() }
    }
}

/// The key of that name.
pub(super) fn key(name: &str) -> Result<Key, Refused> {
    let made = Key::new(name);
    let own = name.starts_with(|c: char| c.is_ascii_uppercase());
    match made {
        Ok(key) if key.definition().is_some() || own => Ok(key),
        Ok(_) => Err(unknown(name)),
        Err(_) if BESIDE.contains(&name) => Err(unknown(name)),
        Err(bad) => Err(refused(name, bad)),
    }
}

/// The label of that text.
pub(super) fn label(text: &str) -> Result<Label, Refused> {
    let names_it =
        |d: &&Definition| d.name.eq_ignore_ascii_case(text) || d.full_name.eq_ignore_ascii_case(text);
    if let Some(known) = Key::dictionary().iter().find(names_it) {
        let what = format!("the label `{text}` is the CEF key `{}` to receivers", known.name);
        let help = format!("choose another, such as `Slack{}`", capitalized(text));
        return Err(Refused::new("label-is-key", what, help));
    }
    Label::new(text).ok_or_else(|| {
        let help = "a label is letters and digits in one word, beginning with a letter: `SlackActorName`";
        Refused::new("bad-label", format!("`{text}` can't be a label"), help)
    })
}

/// What tables hold beside their fields.
const BESIDE: [&str; 6] = ["name", "severity", "drop", "when", "unset", "category"];

/// A name of no key, in the form of CEF's own.
fn unknown(name: &str) -> Refused {
    let written = |d: &&Definition| d.side != Side::Consumer && !d.name.ends_with("Label");
    let names = Key::dictionary().iter().filter(written).flat_map(|d| [d.name, d.full_name]);
    let help = match closest(name, names.chain(BESIDE)) {
        Some(meant) if meant == name => {
            format!("`{name}` stands beside `fields`, in [actions.NAME] or [[rules]]")
        }
        Some(meant) if BESIDE.contains(&meant) => {
            format!("did you mean `{meant}`? It stands beside `fields`, not in it")
        }
        Some(meant) => {
            let known = Key::dictionary().iter().find(|d| d.name == meant || d.full_name == meant);
            let (short, full) = known.map_or((meant, meant), |d| (d.name, d.full_name));
            format!("did you mean `{short}` ({full})?")
        }
        None => format!("a key of your own begins with a capital: `{}`", capitalized(name)),
    };
    Refused::new("unknown-key", format!("`{name}` is not a CEF key"), help)
}

fn refused(name: &str, bad: BadKey) -> Refused {
    let (what, help) = match bad {
        BadKey::Label if Key::definition_of(name).is_some() => {
            let key = name.strip_suffix("Label").unwrap_or(name);
            let help = format!("write `{key} = {{ label = \"…\", value = \"…\" }}`");
            (format!("`{name}` is written by `{key}` itself"), help)
        }
        BadKey::Label => (
            format!("`{name}` ends in `Label`, which receivers take for the label of another key"),
            "choose another name".into(),
        ),
        BadKey::ConsumersOnly => (
            format!("`{name}` is reserved for receivers of CEF"),
            "a key of your own begins with a capital: `AcmeTicket`".into(),
        ),
        BadKey::FullName { short } => (
            format!("`{name}` is a key's full name, which not every receiver knows"),
            format!("write `{short}`"),
        ),
        BadKey::Case { known } => (
            format!("`{name}` differs from CEF's `{known}` in case alone"),
            format!("write `{known}`, or choose another name"),
        ),
        BadKey::Reserved => (
            format!("`{name}` is the name of a part of the header, or the mark of what was cut"),
            "choose another name".into(),
        ),
        BadKey::Form => (
            format!("`{name}` can't be a key"),
            "a key is letters and digits, at least two, beginning with a letter".into(),
        ),
    };
    Refused::new("bad-key", what, help)
}

fn capitalized(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + chars.as_str())
}
