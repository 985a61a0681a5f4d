//! What it means that an event counts as delivered, in words, and why it is not more.
//!
//! **Invariant:** the words stand here alone: `check`, `status` and the log say the same.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What it means here that an event counts as delivered, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Assurance {
    /// Given away; nobody will say whether it arrived: UDP, datagram sockets, standard output.
    HandedOver,
    /// Left this machine's program on a connection that was healthy afterwards: receipts are off.
    Flushed,
    /// The receiver's program has read it, which shows when a connection is ended: TLS 1.2, TCP,
    /// Unix streams.
    ReadAtEnd,
    /// The receiver's program has read it, which shows within the connection: TLS 1.3.
    Read,
    /// The receiver itself said so: RELP.
    Acknowledged,
    /// It is on the disk: files.
    Durable,
}

impl Assurance {
    /// What a stream can give by the version of TLS that its receiver speaks (`TLS 1.3`; none:
    /// plaintext), and why that is not more.
    pub fn of_stream(tls: Option<&str>) -> (Self, Option<&'static str>) {
        match tls {
            Some("TLS 1.3") => (Self::Read, None),
            Some(_) => (
                Self::ReadAtEnd,
                Some("the receiver speaks TLS 1.2 only: receipts come at the end of each connection"),
            ),
            None => (
                Self::ReadAtEnd,
                Some("this is no TLS 1.3 connection: receipts come at the end of each connection"),
            ),
        }
    }
}

/// `each event is counted as delivered when …`.
impl fmt::Display for Assurance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("each event is counted as delivered when ")?;
        f.write_str(match self {
            Self::HandedOver => "it is handed over: nobody says whether it arrived",
            Self::Flushed => "it has left on a connection that was healthy afterwards",
            Self::ReadAtEnd => {
                "the receiver's program has read it, which shows when its connection is ended in order"
            }
            Self::Read => "the receiver's program has read it (TLS 1.3 receipts)",
            Self::Acknowledged => "the receiver has acknowledged it (RELP)",
            Self::Durable => "it is on the disk",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_gives_less_without_tls_1_3_and_says_why() {
        let (best, because) = Assurance::of_stream(Some("TLS 1.3"));
        assert_eq!((best, because), (Assurance::Read, None));
        for tls in [Some("TLS 1.2"), None] {
            let (less, because) = Assurance::of_stream(tls);
            assert!(less < best && because.is_some(), "{tls:?}");
        }
        let (_, because) = Assurance::of_stream(Some("TLS 1.2"));
        assert!(because.unwrap().contains("TLS 1.2 only"));
    }

    #[test]
    fn its_name_in_json_is_that_of_the_documents() {
        assert_eq!(serde_json::to_string(&Assurance::ReadAtEnd).unwrap(), "\"read-at-end\"");
        assert_eq!(serde_json::from_str::<Assurance>("\"read\"").unwrap(), Assurance::Read);
    }
}
