//! Certificates about to expire, told in time: ours, and those that receivers show.
//!
//! Told 30, 14 and 7 days before the end, on each day after that, and when it is over
//! ([`crate::net::expiry`]), each time to the log and to the SIEM. What was told is remembered within the
//! process only: a restart tells anew how things are.
//!
//! **Invariant:** nothing is decided by it: whether a certificate is taken is TLS's business.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use tracing::warn;

use super::own::OwnEvent;
use super::standing::{Seen, Standing};
use super::status::Outgoing;
use super::voice::Voice;
use crate::net::TlsClient;
use crate::net::expiry::{self, Expiry};

/// A certificate that is about to expire, or has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Expiring {
    /// Whose it is.
    pub(super) whose: Whose,
    /// The certificate.
    pub(super) certificate: Seen,
    /// How near its end is.
    pub(super) expiry: Expiry,
}

/// Whose a certificate is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Whose {
    /// The one that we show, or one of its chain.
    Ours,
    /// Shown by the receiver there.
    Receiver(String),
}

/// A certificate that was renewed is seen after so long at the latest, and a stage is told so late at most.
const LOOK_EVERY: Duration = Duration::from_secs(60 * 60);
/// So many are kept in mind: a receiver has a handful, also when it renews them often.
const REMEMBERED: usize = 256;

/// Watches over the certificates of one destination; over when that is.
pub(super) async fn watch(destination: Outgoing, own: Option<TlsClient>, voice: Voice) {
    let Outgoing { name, mut standing, .. } = destination;
    let mut told = Told::default();
    loop {
        let mut certificates = ours(own.as_ref());
        certificates.extend(shown(&standing.borrow_and_update()));
        for expiring in told.look(&certificates, Timestamp::now()) {
            let event = OwnEvent::certificate_expiring(&name, &expiring);
            warn!(destination = %name, "{}", event.message());
            voice.say(event);
        }
        let others = standing.wait_for(|now| {
            let shown = shown(now);
            !shown.is_empty() && !shown.iter().all(|one| certificates.contains(one))
        });
        if let Ok(Err(_)) = tokio::time::timeout(LOOK_EVERY, others).await {
            return;
        }
    }
}

/// Those in use: the sink looks after their files, and is the one who is told when they change.
fn ours(own: Option<&TlsClient>) -> Vec<(Whose, Seen)> {
    let certificates = own.map(TlsClient::own_certificates).unwrap_or_default();
    certificates.iter().map(|certificate| (Whose::Ours, Seen::from(certificate))).collect()
}

fn shown(standing: &Standing) -> Vec<(Whose, Seen)> {
    let of_link = |link: &super::standing::Link| {
        let whose = Whose::Receiver(link.endpoint.clone());
        link.certificates.iter().map(|seen| (whose.clone(), seen.clone())).collect::<Vec<_>>()
    };
    standing.connections.iter().flat_map(of_link).collect()
}

/// When each certificate was last told of.
#[derive(Debug, Default)]
struct Told(BTreeMap<(Whose, String), Timestamp>);

impl Told {
    /// Those that are to be told of now.
    fn look(&mut self, certificates: &[(Whose, Seen)], now: Timestamp) -> Vec<Expiring> {
        let mut found = Vec::new();
        for (whose, certificate) in certificates {
            let Some(not_after) =
                certificate.not_after.and_then(|at| Timestamp::from_second(at.seconds()).ok())
            else {
                continue;
            };
            let key = (whose.clone(), certificate.fingerprint.clone());
            let Some(expiry) = expiry::due(not_after, now, self.0.get(&key).copied()) else { continue };
            if self.0.len() >= REMEMBERED && !self.0.contains_key(&key) {
                continue;
            }
            self.0.insert(key, now);
            found.push(Expiring { whose: whose.clone(), certificate: certificate.clone(), expiry });
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::UnixTime;

    const DAY: i64 = 86_400;
    const END: i64 = 1_787_680_154;

    fn certificate(fingerprint: &str) -> Seen {
        Seen {
            subject: Some("siem.example.com".to_owned()),
            issuer: None,
            not_after: Some(UnixTime::from_seconds(END)),
            fingerprint: fingerprint.to_owned(),
        }
    }

    fn at(days_before: i64) -> Timestamp {
        Timestamp::from_second(END - days_before * DAY).unwrap()
    }

    #[test]
    fn each_certificate_is_told_once_a_stage() {
        let receiver = |name: &str| Whose::Receiver(name.to_owned());
        let all = [
            (Whose::Ours, certificate("a")),
            (receiver("siem-a:6514"), certificate("b")),
            (receiver("siem-b:6514"), certificate("b")),
        ];
        let mut told = Told::default();
        assert_eq!(told.look(&all, at(31)), []);
        let found = told.look(&all, at(30));
        assert_eq!(found.len(), 3);
        assert!(found.iter().all(|one| one.expiry == Expiry::Within { days: 30 }), "{found:?}");
        assert_eq!(told.look(&all, at(20)), []);
        assert_eq!(told.look(&all, at(14)).len(), 3);
        let renewed = Seen { not_after: Some(UnixTime::from_seconds(END + 365 * DAY)), ..certificate("c") };
        let all = [(Whose::Ours, renewed), (receiver("siem-a:6514"), certificate("b"))];
        let found = told.look(&all, at(3));
        assert_eq!(found.iter().map(|one| &one.whose).collect::<Vec<_>>(), [&receiver("siem-a:6514")]);
        assert_eq!(told.look(&all, at(-1))[0].expiry, Expiry::Past);
        assert_eq!(told.look(&all, at(-9)), []);
    }

    #[test]
    fn those_who_show_another_one_each_time_fill_no_memory() {
        let mut told = Told::default();
        for n in 0..=REMEMBERED {
            told.look(&[(Whose::Ours, certificate(&n.to_string()))], at(1));
        }
        assert_eq!(told.0.len(), REMEMBERED);
    }
}
