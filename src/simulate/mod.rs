//! Stand-ins for the machines at both ends, for `demo`, `simulate` and tests.
//!
//! They are written from the standards and from what the real ones were seen to do, without any
//! code of the parts they are there to try.
//!
//! **Invariant:** nothing here is needed to forward an event; nothing listens beyond this machine
//! unless told to.

pub mod authority;
pub mod receiver;
