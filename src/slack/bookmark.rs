//! What the bookmarks of all logs have in common: JSON with a version, and the log that they are of.
//!
//! A version is never changed, only followed by another; each has its test.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::event::Log;

/// A bookmark that this program can't read.
#[derive(Debug, thiserror::Error)]
pub enum BadBookmark {
    /// It is not what any version writes.
    #[error("the source's bookmark is damaged")]
    Damaged(#[source] serde_json::Error),
    /// It is of a version that came later.
    #[error(
        "the source's bookmark is of version {found}, this program knows version 1: run the slackcef that \
         wrote it, or a newer one"
    )]
    Unknown {
        /// Its version.
        found: u64,
    },
    /// The source was of another log when it was written.
    #[error(
        "the source was read as `log = \"{found}\"` before, and is of `log = \"{wanted}\"` now: give a source \
         of another log another name"
    )]
    OtherLog {
        /// The log it is of.
        found: Log,
        /// The log that the source is of now.
        wanted: Log,
    },
}

/// Reads version 1 of the bookmark of that log.
pub(super) fn read<V1: DeserializeOwned>(log: Log, bytes: &[u8]) -> Result<V1, BadBookmark> {
    let Head { v, log: found } = serde_json::from_slice(bytes).map_err(BadBookmark::Damaged)?;
    // The audit log was the only one when its bookmark was made.
    let found = found.as_deref().map_or(Some(Log::Audit), Log::from_name);
    match found {
        Some(found) if found != log => Err(BadBookmark::OtherLog { found, wanted: log }),
        None => Err(BadBookmark::Unknown { found: v }),
        Some(_) if v != 1 => Err(BadBookmark::Unknown { found: v }),
        Some(_) => serde_json::from_slice(bytes).map_err(BadBookmark::Damaged),
    }
}

#[derive(Deserialize)]
struct Head {
    v: u64,
    log: Option<String>,
}
