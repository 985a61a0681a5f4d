//! Common Event Format: an event as typed fields, and the one encoder that turns it into a line.
//!
//! `mapping` fills an [`Event`]; only [`Encoder`] writes it, in the form that every consumer we
//! know of reads rightly. An event owns one buffer that is cleared and filled again, so that a
//! stream of events allocates nothing once it runs.
//!
//! **Invariant:** a value of the wrong type never enters an event: [`Event::push`] refuses it.
//! **Invariant:** a written line holds no raw line break and no key that was not pushed.
//! **Invariant:** nothing here knows Slack, mappings or transports.

mod dictionary;
mod event;
mod key;
mod typed;

pub use event::{Event, Field, HeaderText, Label, Severity};
pub use key::{BadKey, Definition, Key, Kind, Side, Since};
pub use typed::Misfit;
