//! Stand-ins for the two ends of the path, for `simulate`, `demo` and the tests.
//!
//! They are written from the standards, Slack's pages and what the real ones were seen to do.
//!
//! **Invariant:** a stand-in knows its protocol from its public description, never from the code
//! that it is the peer of: a misreading must not cancel itself out.
//! **Invariant:** nothing here is needed to forward an event; nothing listens beyond this machine
//! unless told to.

pub mod authority;
pub mod receiver;
pub mod slack;
