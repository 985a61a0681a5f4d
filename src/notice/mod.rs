//! Notices: what people in a Slack channel are told of an event, and in which form.
//!
//! ```text
//!  Event ──▶ Happening ──add──▶ Pending: grouped, bounded ──take──▶ Parcel ──▶ a message of Block Kit
//!                                   ▲───────── not sent: give back ────┘
//! ```
//!
//! Events of one action and one actor are one line with a count. What there is no room for, and what
//! is too old for a notice of its own, is counted in one line.
//!
//! **Invariant:** whatever an event holds, nobody is called, nothing is a link, and no text begins a
//! line of its own: values are plain text in elements of their own, and harmless by themselves (`text`).
//! **Invariant:** memory is bounded, however many events come.
//! **Invariant:** no clock, no network: only what is to be said.

mod happening;
mod message;
mod pending;
mod text;

pub use happening::Happening;
pub use pending::{Parcel, Pending};
