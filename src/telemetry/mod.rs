//! What the forwarder says of itself: the log on standard error.
//!
//! **Invariant:** standard output is for data alone; nothing here writes to it.

mod log;

pub use log::{LogForm, start_log};
