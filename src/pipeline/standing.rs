//! How a destination stands: what `status` shows of it, as it changes.
//!
//! **Invariant:** facts and their words alone; nothing is decided by them.

use serde::{Deserialize, Serialize};

use super::tally::Counts;
use crate::event::UnixTime;
use crate::net::Certificate;
use crate::syslog::Assurance;

/// One destination at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// What it does.
    pub state: State,
    /// Since when.
    pub since: Option<UnixTime>,
    /// Its open connections; the one that takes events first.
    pub connections: Vec<Link>,
    /// The last fault, also when it is over.
    pub fault: Option<LastFault>,
    /// Which limit holds it back now, in words.
    pub held_by: Option<String>,
    /// Events sent and not yet confirmed.
    pub unconfirmed: u64,
    /// When the receiver last confirmed something.
    pub confirmed_at: Option<UnixTime>,
    /// Counts since the start.
    pub counts: Counts,
}

/// What a destination does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Nothing waits to be delivered.
    #[default]
    Idle,
    /// Events flow.
    Delivering,
    /// A limit of the settings holds events back.
    Held,
    /// The receiver is alive and does not read.
    Stalled,
    /// The receiver takes events and never confirms one.
    Unconfirmed,
    /// No connection, or none that lives.
    Down,
    /// It gave up, or its end was asked for.
    Ended,
}

/// One open connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Where to.
    pub endpoint: String,
    /// What its receipts are worth.
    pub assurance: Assurance,
    /// Why it is less than it could be.
    pub because: Option<String>,
    /// `TLS 1.3, TLS_AES_256_GCM_SHA384, verified as siem.example.com`
    pub tls: Option<String>,
    /// The certificates that the receiver showed, its own first.
    #[serde(default)]
    pub certificates: Vec<Seen>,
}

/// A certificate that was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Whose it is: the common name, or else the organization.
    pub subject: Option<String>,
    /// Who issued it, in the same form.
    pub issuer: Option<String>,
    /// The last second in which it holds.
    pub not_after: Option<UnixTime>,
    /// `sha-256:…`
    pub fingerprint: String,
}

impl From<&Certificate> for Seen {
    fn from(certificate: &Certificate) -> Self {
        Self {
            subject: certificate.subject.clone(),
            issuer: certificate.issuer.clone(),
            not_after: certificate.not_after.map(|end| UnixTime::from_seconds(end.as_second())),
            fingerprint: certificate.fingerprint.to_string(),
        }
    }
}

/// A fault and its cure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastFault {
    /// When it was last seen.
    pub at: UnixTime,
    /// How often in a row.
    pub failures: u32,
    /// What happened.
    pub what: String,
    /// What to do about it.
    pub help: Option<String>,
}
