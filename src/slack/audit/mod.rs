//! Slack's audit log, polled: forward in time, gently, and without a gap.
//!
//! A [`Poller`] asks for closed windows of whole seconds. A window's end is frozen and lies `settle`
//! behind the earlier of our clock and Slack's; the windows of a catch-up touch each other; a new
//! cycle begins `settle` seconds before the point that the last one reached, and `verify_after` later
//! all seconds are read once more, for Slack makes no promise on when an entry becomes readable.
//! Entries that come twice are dropped by the store, by their ids.
//!
//! ```text
//!  settings ─▶ poller ──▶ walk ──▶ client ──▶ Slack         poller   which request next, what it means
//!  bookmark ─▶   │          windows                         walk     windows, pages, oldest first
//!                ▼                                          client   the requests
//!              Step::{Page, CaughtUp, Failed}
//! ```
//!
//! **Invariant:** a bookmark leaves here only with the entries that it covers.
//! **Invariant:** an entry is never left out: not for its shape, its id, its time or its action.

mod actions;
mod bookmark;
mod client;
mod poller;
mod range;
mod settings;
mod track;
mod walk;
mod window;

pub use actions::ActionList;
pub(super) use bookmark::read_up_to;
pub use bookmark::{Marks, marks};
pub use poller::Poller;
pub use range::{Range, RangeStep};
pub use settings::{Only, Settings};
pub use walk::Counts;
pub use window::Window;
