//! Stand-ins for the two ends of the path, for `simulate`, `demo` and the tests.
//!
//! **Invariant:** a stand-in knows its protocol from its public description, never from the code
//! that it is the peer of: a misreading must not cancel itself out.

pub mod slack;
