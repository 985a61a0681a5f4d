//! Stand-ins for the machines at both ends, for `demo`, `simulate` and tests.
//!
//! They are written from the standards and from what the real ones were seen to do, without any
//! code of the parts they are there to try.
//!
//! **Invariant:** nothing here is needed to forward an event; nothing listens beyond this machine
//! unless told to.

pub mod authority;
pub mod receiver;
//! Stand-ins for the two ends of the path, for `simulate`, `demo` and the tests.
//!
//! **Invariant:** a stand-in knows its protocol from its public description, never from the code
//! that it is the peer of: a misreading must not cancel itself out.

pub mod slack;
