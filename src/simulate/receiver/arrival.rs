//! What a receiver tells of what happens to it.

use std::io;

use bytes::Bytes;

/// What happens at the receiver, in the order in which it happens on each connection; with
/// [`Settings::holds`](super::Settings::holds) its messages come later than the rest.
#[derive(Debug)]
pub enum Arrival {
    /// A connection, its handshake done.
    Connected {
        /// Its number, from 0.
        connection: u64,
        /// `TLSv1_3`; none: plaintext.
        tls: Option<String>,
    },
    /// No connection: the handshake failed.
    Refused {
        /// Its number, from 0.
        connection: u64,
        /// Why.
        reason: io::Error,
    },
    /// One message, stored.
    Message(Message),
    /// The end of a connection.
    Ended {
        /// Its number, from 0.
        connection: u64,
        /// What was there of a frame that never became whole.
        torn: Bytes,
        /// How it ended.
        how: Ended,
    },
}

/// One message, without its frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The number of its connection, from 0; datagrams have none but 0.
    pub connection: u64,
    /// The connection counts octets, as RELP does too; otherwise it ends messages with line feeds, or
    /// is none.
    pub counted: bool,
    /// The text.
    pub text: Bytes,
}

/// How a connection ended.
#[derive(Debug)]
pub enum Ended {
    /// The sender closed it.
    BySender,
    /// Our own doing, by [`Fault`](super::Fault).
    ByFault,
    /// Our own doing: the message that follows is poison.
    ByPoison,
    /// A length that is none, or above [`Settings::largest_frame`](super::Settings::largest_frame).
    BadFrame,
    /// A message could not be stored.
    Unstored(io::Error),
    /// It broke.
    Broken(io::Error),
}
