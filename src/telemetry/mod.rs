//! What the forwarder says of itself: the log on standard error, and pages for those who ask.
//!
//! **Invariant:** standard output is for data alone; nothing here writes to it.

mod causes;
mod http;
mod log;
mod plain;
mod span;

pub use causes::{causes, chain};
pub use http::{Pages, Window};
pub use log::{LogForm, bars, start_log};
pub use plain::plain;
pub use span::span;
