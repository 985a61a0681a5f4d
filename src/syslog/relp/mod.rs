//! RELP, the protocol in which a receiver acknowledges each message: rsyslog's imrelp, Logstash's
//! relp input, and others.
//!
//! ```text
//! TXNR SP COMMAND SP DATALEN [SP DATA] LF          TXNR 1..999999999, one after the other, then 1 again
//!
//! client                                           server
//! 1 open 61 relp_version=0⏎relp_software=…⏎commands=syslog
//!                                                  1 rsp 93 200 OK⏎relp_version=0⏎…⏎commands=syslog
//! 2 syslog 24 <134>Nov 20 …
//!                                                  2 rsp 6 200 OK
//! 3 close 0
//!                                                  3 rsp 0
//!                                                  0 serverclose 0
//! ```
//!
//! The source is librelp, which rsyslog speaks: version 0 on the wire, although its paper says 1.
//!
//! [`Session`] is the client's side of one connection, without the connection: it writes frames into
//! a buffer and hears the bytes that came in. What is not acknowledged when a connection ends is
//! sent again in the session of the next, which counts from 1 again.
//!
//! **Invariant:** no sockets, no clocks, no tasks.
//! **Invariant:** a message is acknowledged once, by the answer with its own number, in order. Any
//! other answer ends the session.
//! **Invariant:** whatever is heard, memory is bounded by [`MOST_DATA`], and nothing depends on where
//! the stream of bytes was cut.

mod answer;
mod frame;
mod session;

pub use answer::{Offers, Refusal};
pub use frame::{BadFrame, MOST_DATA};
pub use session::{Heard, RelpError, Session, WINDOW};
