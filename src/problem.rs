//! A mistake in a file that people write: where it is, what is wrong, what to do.
//!
//! Configuration and mapping files are read whole, every mistake becomes one [`Problem`], and all
//! of them are shown at once in file order, the way a good compiler does.

use std::ops::Range;
use std::sync::Arc;

/// One mistake in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// A stable word for the kind of mistake: `unknown-key`.
    pub code: &'static str,
    /// The file, as the reader knows it.
    pub file: Arc<str>,
    /// The file's whole text.
    pub text: Arc<str>,
    /// The bytes of `text` that are wrong.
    pub span: Range<usize>,
    /// What is wrong, in one sentence without a full stop.
    pub what: String,
    /// What to do about it.
    pub help: Option<String>,
}
