//! Syslog: an event's line gets a header, lines become frames, frames reach a receiver.
//!
//! ```text
//! CEF line ─▶ Format (RFC 5424, RFC 3164 or none) ─▶ Frames (octet counting or newline) ─▶ Sink ─▶ lines (TLS, TCP, UDP, …)
//! ```
//!
//! A batch is written into one [`Frames`], whose buffer comes back when it is written. The
//! [`Sink`] has many batches under way and tells which of them the receiver has read; what that is
//! worth is the [`Assurance`].
//!
//! **Invariant:** a batch is sent whole on one connection or again whole on another: a frame is
//! never begun on one connection and ended on another.
//! **Invariant:** nothing here knows Slack or mappings, and nothing here keeps an event: what has to
//! be sent again is asked for again.

mod assurance;
mod endpoint;
mod failure;
mod format;
mod frames;
mod line;
mod message;
mod probe;
mod profile;
pub mod relp;
mod sink;

pub use assurance::Assurance;
pub use endpoint::{Endpoint, Link, UnixKind};
pub use failure::{Failure, Fault, SendError};
pub use format::{EventTime, Format, Header};
pub use frames::{Frames, Framing};
pub(crate) use line::File;
pub use line::LineId;
pub use message::{BadFacility, Facility, Severity};
pub use probe::{Probe, ProbedTls};
pub use profile::{BadProfile, HeaderKind, Profile};
pub use sink::{Event, Farewell, Settings, Sink, Strategy, Timeouts};
