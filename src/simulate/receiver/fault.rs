//! What can be wrong with a connection.

use std::time::Duration;

/// What goes wrong with one connection.
///
/// A bad certificate is no fault but another [`ServerTls::identity`](super::ServerTls::identity), and
/// a client's certificate that is refused after a TLS 1.3 handshake another
/// [`ServerTls::clients_of`](super::ServerTls::clients_of). With datagrams, of which a socket has one
/// stream alone, [`Fault::StallAfter`] works and the others do nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// It is closed as soon as it is accepted.
    CloseAtOnce,
    /// It is accepted, and nothing is ever read from it or said to it: no handshake either.
    Deaf,
    /// It is answered in plaintext, whatever was spoken to it.
    Plaintext,
    /// It is closed in order after so many messages; after none, that is, as soon as the handshake is
    /// done.
    HangUpAfter(u64),
    /// It is reset after so many bytes of text, mid-frame or not. A Unix socket knows no reset: there it
    /// is closed without more being read.
    ResetAfter(u64),
    /// Nothing is read any more after so many messages, and it stays open.
    StallAfter(u64),
    /// Nothing is read any more after so many messages, for so long; then it goes on.
    PauseAfter(u64, Duration),
    /// So many bytes of text a second are read, evenly.
    Slow(u32),
    /// It is sent a line of text again and again, with this pause: 1 ms is all the time.
    Talk(Duration),
    /// All is read and stored, but its end is answered by nothing: no `close_notify`, no FIN.
    NeverClose,
    /// After so many messages on it the whole receiver is gone, as if killed: every connection closed,
    /// new ones refused for so long. Then it is back.
    GoAwayAfter(u64, Duration),
    /// RELP: so many messages are answered, and nothing after them, not even `close`; all are taken.
    SilentAfter(u64),
    /// RELP: `serverclose` follows the answer to so many messages, and the end of the connection.
    ServerCloseAfter(u64),
    /// RELP: the answer to the message behind so many breaks off, and so does the connection.
    CutAnswerAfter(u64),
}

impl Fault {
    /// After so many messages the connection does not go on as it should.
    pub(super) fn messages(self) -> Option<u64> {
        match self {
            Self::HangUpAfter(n) | Self::StallAfter(n) | Self::PauseAfter(n, _) | Self::GoAwayAfter(n, _) => {
                Some(n)
            }
            _ => None,
        }
    }
}
