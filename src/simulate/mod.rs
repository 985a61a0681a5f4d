//! Stand-ins for the two ends of the path, for `simulate`, `demo` and the tests.
//!
//! **Invariant:** a stand-in knows its protocol from its public description, never from the code
//! that it is the peer of: a misreading must not cancel itself out.
//! **Invariant:** nothing listens beyond this machine unless told to.

pub mod authority;
pub mod receiver;
pub mod slack;
