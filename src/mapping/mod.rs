//! Mapping files: which part of an entry goes into which CEF key, compiled once and followed for
//! every entry.
//!
//! ```toml
//! version = 1
//! log = "audit"
//! category = "user"                            # the key `cat` of this file's actions
//!
//! [header]
//! vendor = "Slack"
//! product = "Audit Logs"
//!
//! [fields]                                     # for every entry of this log
//! suser = "{actor.user.email ?? actor.user.name}"
//! duser = "{entity.user.email | mask}"
//! cs1 = { label = "SlackActorName", value = "{actor.user.name}", means = "who acted, as people see it" }
//!
//! [tables.risks]                               # for the filter `table(risks)`, and for severities
//! tor = 9
//! "*" = 5                                      # every other text
//!
//! [unmapped]                                   # the catch-all: actions that no file names
//! severity = 4
//!
//! [actions.user_login]                         # name, severity, category, drop, fields, unset
//! name = "User logged in"
//! severity = 2
//! fields = { outcome = "success" }
//!
//! [actions.anomaly]
//! severity = { of = "details.reason", table = "risks", otherwise = 6 }
//!
//! [[rules]]                                    # the same, where a condition holds; the later wins
//! when = { action = "anomaly", "details.reason" = { any = ["tor"] } }
//! severity = 9
//! unset = ["cs5"]
//! ```
//!
//! **Paths** (`{actor.user.id}`): names parted by dots; `[0]` is an element of a list, counted
//! from 0; a name with anything but letters, digits, `_` and `-` is written in quotes; `*` is the
//! first member that is an object and has what the rest of the path asks for, so that
//! `entity.*.id` is the id of an entity of whatever type.
//!
//! **Values**: texts as they are, unescaped; numbers and booleans as Slack wrote them; a list of
//! these joined by commas, less what is null or empty; anything else as compact JSON. A field in
//! which one placeholder finds nothing (absent, null, empty) is left out, and so is one whose
//! value is not of its key's type, which is reported. `{@id}` is the entry's id, which the
//! forwarder makes of the entry's text where Slack gave none: it is there for every entry. See
//! `template` for `??` and filters, `condition` for `when`, and `selection` for the `when` of a
//! destination. What a key `means` is for people who read events, and changes none.
//!
//! **Tables** are known by their names in all files. A text that a table does not name yields
//! nothing, unless the table has the row `"*"`; of a list each element is looked up. See `lookup`.
//!
//! **Severity** is a whole number from 0 to 10, a template that yields one, or a table's word for
//! what is at a path; of a list the highest counts. Where the entry has none, what is weaker
//! counts; something else than a severity is reported too. See `severity`.
//!
//! **Pseudonyms** are made with a key that is no part of the files, see [`Plans::keyed`]. Without
//! one their fields are left out.
//!
//! **What is left over** (`{@rest}`) is what no field took of an entry, in the entry's own shape. See
//! `outline`.
//!
//! **Who wins**: `[fields]` is weaker than an action's fields, and these are weaker than rules, of
//! which the later wins. Within each of the three the customer's file wins over the shipped one,
//! key by key, and within a table row by row. One layer saying the same thing twice is a mistake.
//!
//! **Invariant:** a file with a mistake never yields plans; all mistakes are reported at once.
//! **Invariant:** an event's class id is the action's own name, whatever a file says.
//! **Invariant:** nothing here knows what an action means: that stands in `mappings/`.

mod bind;
mod book;
mod builtin;
pub mod cases;
mod change;
mod compile;
mod condition;
mod explain;
mod field;
mod fields;
mod file;
mod json;
mod kit;
mod load;
mod lookup;
mod names;
mod naming;
mod order;
mod outline;
mod path;
mod pick;
mod plan;
mod plans;
mod pseudonym;
mod said;
mod samples;
pub mod schema;
mod selection;
mod severity;
mod slot;
mod stratum;
mod table;
mod template;
mod text;
mod tree;
mod trusted;

use std::fmt;
use std::sync::Arc;

pub use builtin::builtin;
pub use change::{Change, Changed, changes};
pub use compile::compile;
pub use explain::{Explained, Outcome};
pub use fields::{FieldInfo, FieldOf};
pub use load::{LoadError, load};
pub use plan::{Applied, Plan, Scratch, Unfit};
pub use plans::{Mapped, Plans};
pub use pseudonym::PseudonymKey;
pub use samples::{Sample, samples};
pub use selection::When;
pub use trusted::Trusted;

/// One mapping file, not yet understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappingFile {
    /// Its name, as people know it.
    pub name: Arc<str>,
    /// Whose it is.
    pub layer: Layer,
    /// Its text.
    pub text: Arc<str>,
}

impl MappingFile {
    /// A file of that name and text.
    pub fn new(name: impl Into<Arc<str>>, layer: Layer, text: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), layer, text: text.into() }
    }
}

/// Whose a mapping file is: the later lies over the earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// Part of the program.
    Shipped,
    /// The customer's.
    Customer,
}

/// Where something is said: a file and a line of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The file.
    pub file: Arc<str>,
    /// The line, counted from 1.
    pub line: u32,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}
