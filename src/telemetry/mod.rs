//! What the forwarder says of itself: the log on standard error.
//!
//! **Invariant:** standard output is for data alone; nothing here writes to it.

mod causes;
mod log;

pub use causes::{causes, chain};
pub use log::{LogForm, bars, start_log};
