//! What it means that an event counts as delivered, in words, and why it is not more.
//!
//! **Invariant:** the words stand here alone: `check`, `status` and the log say the same.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What it means here that an event counts as delivered, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Assurance {
    /// Given away; nobody will say whether it arrived: UDP, datagram sockets, standard output.
    HandedOver,
    /// Left this machine's program on a connection that stayed healthy for the time of `age`:
    /// receipts are off.
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
    /// plaintext) and whether receipts are asked for, and why that is not more.
    pub fn of_stream(tls: Option<&str>, receipts: bool) -> (Self, Option<&'static str>) {
        match tls {
            _ if !receipts => (Self::Flushed, Some("`receipts` is off")),
            Some("TLS 1.3") => (Self::Read, None),
            Some(_) => (
                Self::ReadAtEnd,
                Some("the receiver speaks TLS 1.2 only, and shows what it has read when a connection ends"),
            ),
            None => (
                Self::ReadAtEnd,
                Some("without TLS 1.3 a receiver shows what it has read only when a connection ends"),
            ),
        }
    }

    /// The same as text, with the time for which a receiver may keep in memory what it has read.
    pub fn after(self, age: Duration) -> String {
        match self {
            Self::HandedOver | Self::Durable => self.to_string(),
            _ if age.is_zero() => self.to_string(),
            _ if age.subsec_nanos() == 0 => format!("{self}, plus {} s", age.as_secs()),
            _ => format!("{self}, plus {age:?}"),
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
        let (best, because) = Assurance::of_stream(Some("TLS 1.3"), true);
        assert_eq!((best, because), (Assurance::Read, None));
        for (tls, receipts) in [(Some("TLS 1.2"), true), (None, true), (Some("TLS 1.3"), false)] {
            let (less, because) = Assurance::of_stream(tls, receipts);
            assert!(less < best && because.is_some(), "{tls:?} {receipts}");
        }
        let (_, because) = Assurance::of_stream(Some("TLS 1.2"), true);
        assert!(because.unwrap().contains("TLS 1.2 only"));
    }

    #[test]
    fn the_age_is_told_where_it_is_waited_for() {
        let five = Duration::from_secs(5);
        assert!(Assurance::Read.after(five).ends_with("read it (TLS 1.3 receipts), plus 5 s"));
        assert!(Assurance::Read.after(Duration::ZERO).ends_with("(TLS 1.3 receipts)"));
        assert!(Assurance::ReadAtEnd.after(Duration::from_millis(500)).ends_with(", plus 500ms"));
        assert!(Assurance::Durable.after(five).ends_with("on the disk"));
    }

    #[test]
    fn its_name_in_json_is_that_of_the_documents() {
        assert_eq!(serde_json::to_string(&Assurance::ReadAtEnd).unwrap(), "\"read-at-end\"");
        assert_eq!(serde_json::from_str::<Assurance>("\"read\"").unwrap(), Assurance::Read);
    }
}
