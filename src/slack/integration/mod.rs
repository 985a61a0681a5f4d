//! Slack's integration log (`team.integrationLogs`), polled: a list of rows without ids, without
//! bounds, in an order that Slack does not promise.
//!
//! A [`Poller`] remembers each row by a hash of what it says, with a count of those alike, and tells
//! the rows that it did not know. It reads the list from both its ends, as far as there is a row that
//! was not known before (a *news walk*), and every `full_walk_every` all of it (a *full walk*), which
//! finds what came to stand in the middle. Of a list of more pages than Slack hands out, it asks once
//! more for each type of change.
//!
//! ```text
//!  settings ─▶ poller ──▶ walker ──▶ walk       poller   when to ask, and what an error means
//!  bookmark ─▶   │                   rows       walker   which rows are new
//!                ▼                              walk     which page comes next
//!   Step::{Page, Recall, CaughtUp, Failed}      told     what is remembered of a row
//! ```
//!
//! **Invariant:** a row is remembered only together with the entry that tells it.
//! **Invariant:** a row is never left out: not for its shape, its time or the type of its change.

mod bookmark;
mod poller;
mod settings;
mod told;
mod walk;
mod walker;

pub(super) use bookmark::read_up_to;
pub use poller::Poller;
pub use settings::{Only, Settings};
