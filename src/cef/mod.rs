//! Common Event Format: an event as typed fields, and the one encoder that turns it into a line.
//!
//! `mapping` fills an [`Event`]; only [`Encoder`] writes it, in the form that every reader we know
//! of takes as it is meant, and [`decode()`] reads it back. An event owns one buffer that is cleared
//! and filled again, so that a stream of events allocates nothing once it runs.
//!
//! **Invariant:** a value of the wrong type never enters an event: [`Event::push`] refuses it.
//! **Invariant:** a written line holds no line break, and no key but those that were pushed, their
//! labels, those that CEF:0 moves an IPv6 address to, and the mark of what was cut.
//! **Invariant:** nothing is left out in silence: the mark and the [`Cuts`] name it.
//! **Invariant:** nothing here knows Slack, mappings or transports.

mod cuts;
mod decode;
mod dictionary;
mod encode;
mod event;
mod header;
mod key;
mod place;
mod text;
mod typed;

pub use cuts::{Cut, Cuts};
pub use decode::{DecodeError, Decoded, decode};
pub use encode::{Encoder, Ipv6Labels, Values};
pub use event::{Event, Field};
pub use header::{
    CLASS_ID_LIMIT, DEVICE_VERSION_LIMIT, HeaderText, NAME_LIMIT, PRODUCT_LIMIT, Severity, VENDOR_LIMIT,
};
pub use key::{BadKey, Definition, Key, Kind, Label, Side, Since};
pub use typed::Misfit;
