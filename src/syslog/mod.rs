//! Syslog: an event's line gets a header, lines become frames, frames reach a receiver.
//!
//! ```text
//! CEF line ─▶ Format (RFC 5424, RFC 3164 or none) ─▶ Frames (octet counting or newline) ─▶ Sink (TLS, TCP, file, stdout)
//! ```
//!
//! A batch is written into one [`Frames`], whose buffer is used again for the next batch, and goes
//! out with one [`Sink::send`].
//!
//! **Invariant:** a batch is sent whole on one connection or again whole on the next: a frame is
//! never begun on one connection and ended on another.
//! **Invariant:** `Ok` from [`Sink::send`] means at least that the receiver's side was seen healthy
//! *after* the last byte had left; what it is worth is the [`Assurance`].
//! **Invariant:** nothing here knows Slack or mappings, and nothing waits between tries: backoff,
//! rates and logs are the caller's.

mod assurance;
mod format;
mod frames;
mod message;
mod profile;
mod sink;

pub use assurance::Assurance;
pub use format::{EventTime, Format, Header};
pub use frames::{Frames, Framing};
pub use message::{BadFacility, Facility, Severity};
pub use profile::{BadProfile, HeaderKind, Profile};
pub use sink::{
    Endpoint, Failure, Farewell, Fault, File, Probe, ProbedTls, SendError, Sink, Stdout, Stream, Timeouts,
};
