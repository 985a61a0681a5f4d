//! Cases: entries beside a mapping, each with what shall become of it.
//!
//! ```toml
//! version = 1
//!
//! [[cases]]
//! name = "a login from the office"
//! entry = '''{"action":"user_login","actor":{"user":{"name":"Ann"}},"context":{"ua":"Slack"}}'''
//! expect = { name = "User logged in", severity = 2, SlackActorName = "Ann" }
//! absent = ["src"]
//!
//! [[cases]]
//! name = "somebody joins a channel"
//! file = "entries/join.json"                   # one entry, relative to this file
//! dropped = true
//! ```
//!
//! `expect` holds CEF keys, `name` and `severity`; a labelled key goes by its key or by its label,
//! and its value is the one that the event has: of the key's type, neither escaped nor cut. `exact`
//! allows no key beyond those. A case that says none of `expect`, `absent` and `dropped` is a
//! missing expectation, which [`blessed`] writes.
//!
//! **Invariant:** a case that can say nothing (a key that no file sets, an entry that is none) is a
//! mistake with a place, not a case that passes.
//! **Invariant:** [`blessed`] touches no case that expects something.

mod bless;
mod entry;
mod read;
mod run;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::load::{self, LoadError};
use super::{Explained, Origin};
use crate::event::Entry;

pub use bless::{NotBlessed, blessed};
pub use read::read;
pub use run::run;

/// The folder of a mapping's cases, within the mapping's own.
pub const FOLDER: &str = "tests";

/// A file of cases, not yet understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseFile {
    /// Where it lies: the files that its cases name are looked for beside it.
    pub path: PathBuf,
    /// Its text.
    pub text: Arc<str>,
}

/// An entry, and what shall become of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// What it is about, in words.
    pub name: String,
    /// The file it stands in, and its line.
    pub origin: Origin,
    /// The number of that file among those that were read.
    pub file: usize,
    /// Its number among the cases of that file.
    pub number: usize,
    /// The entry.
    pub entry: Entry,
    /// What is expected; `None`: nothing is said yet.
    pub expectation: Option<Expectation>,
}

/// What shall become of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expectation {
    /// It is not sent.
    Dropped,
    /// It is sent.
    Event {
        /// Keys or labels, `name` and `severity`, with their values.
        fields: Vec<(String, String)>,
        /// Keys or labels that must not be there.
        absent: Vec<String>,
        /// No key may be there beyond those of `fields`.
        exact: bool,
    },
}

/// How it went with a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// All is as expected.
    Passed,
    /// Nothing is expected yet.
    Missing,
    /// Something differs.
    Failed(Vec<Difference>),
}

/// What is not as expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// The entry is dropped, by this rule or action.
    Dropped {
        /// Who says so.
        by: Option<Origin>,
    },
    /// The entry is sent although it shall be dropped.
    Sent,
    /// A field has another value, or none, or is there although it shall not be.
    Field {
        /// The key or label as the case names it.
        name: String,
        /// The value that it shall have; `None`: it shall not be there.
        expected: Option<String>,
        /// What came of it; `None`: nothing sets it for this entry.
        got: Option<Explained>,
    },
}

/// Reads the files of cases of a mapping's folder, in the order of their names; none where it has
/// no folder of them.
///
/// # Errors
/// The first file or folder that can't be read.
pub fn load(dir: &Path) -> Result<Vec<CaseFile>, LoadError> {
    let folder = dir.join(FOLDER);
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let file = |path: PathBuf| Ok(CaseFile { text: load::text(&path)?.into(), path });
    load::toml_files(&folder, &[])?.into_iter().map(file).collect()
}
