//! What is said of destinations: that one takes no events or takes them again, what it never takes,
//! and certificates that come to their end.

use std::path::Path;
use std::time::Duration;

use super::OwnEvent;
use crate::net::expiry::Expiry;
use crate::pipeline::expiry::{Expiring, Whose};
use crate::pipeline::outage::Outage;
use crate::pipeline::standing::State;
use crate::store::ReaderName;

impl OwnEvent {
    /// A destination takes no events.
    pub(in crate::pipeline) fn destination_down(
        name: &ReaderName,
        endpoint: Option<&String>,
        outage: &Outage,
    ) -> Self {
        let Outage { since, state, failures, fault, .. } = outage;
        let (reason, what) = match state {
            State::Stalled => ("stalled", "lives and does not read"),
            State::Unconfirmed => ("unconfirmed", "takes events and confirms none"),
            _ => ("down", "takes no events"),
        };
        let because = fault.as_ref().map_or_else(String::new, |fault| format!(": {}", fault.what));
        let message = format!("the destination {name} {what}, everything is kept for it{because}");
        let mut event = Self::new("destination-down", message)
            .with("destination", name.as_str())
            .with("reason", reason)
            .with("since", since.seconds());
        if let Some(endpoint) = endpoint {
            event = event.with("endpoint", endpoint.as_str());
        }
        if *failures > 0 {
            event = event.with("count", *failures);
        }
        match fault.as_ref().and_then(|fault| fault.help.as_ref()) {
            Some(help) => event.help(help),
            None => event,
        }
    }

    /// A destination that took no events takes them again; it did not for so long.
    pub(in crate::pipeline) fn destination_recovered(
        name: &ReaderName,
        outage: &Outage,
        lasted: Duration,
    ) -> Self {
        let failures = match outage.failures {
            0 => String::new(),
            1 => " and 1 failure".to_owned(),
            failures => format!(" and {failures} failures"),
        };
        let seconds = lasted.as_secs();
        let message = format!("the destination {name} takes events again, after {seconds} seconds{failures}");
        let mut event = Self::new("destination-recovered", message)
            .with("destination", name.as_str())
            .with("since", outage.since.seconds())
            .with("seconds", seconds);
        if outage.failures > 0 {
            event = event.with("count", outage.failures);
        }
        event
    }

    /// A certificate of a destination, ours or the receiver's, is about to expire, or has.
    pub(in crate::pipeline) fn certificate_expiring(name: &ReaderName, expiring: &Expiring) -> Self {
        let Expiring { whose, certificate, expiry } = expiring;
        let subject = certificate.subject.as_deref().unwrap_or("without a name");
        let (of, help) = match whose {
            Whose::Ours => (
                format!("our certificate {subject} for the destination {name}"),
                "put a renewed one, and its key, into the files that `certificate` and `key` name: they are read again when they change",
            ),
            Whose::Receiver(endpoint) => (
                format!("the certificate {subject} that {endpoint} shows as destination {name}"),
                "have it renewed on the receiver's side: from that day on nothing is delivered there",
            ),
        };
        let on = certificate.not_after.map_or_else(String::new, |end| format!(" (on {end})"));
        let reason = if *expiry == Expiry::Past { "expired" } else { "expiring" };
        let mut event = Self::new("certificate-expiring", format!("{of} {expiry}{on}"))
            .help(help)
            .with("destination", name.as_str())
            .with("reason", reason)
            .with("subject", subject)
            .with("fingerprint", certificate.fingerprint.as_str());
        if let Whose::Receiver(endpoint) = whose {
            event = event.with("endpoint", endpoint.as_str());
        }
        if let Some(issuer) = &certificate.issuer {
            event = event.with("issuer", issuer.as_str());
        }
        if let Some(end) = certificate.not_after {
            let left = end.seconds().saturating_sub(event.at.seconds()).div_euclid(86_400);
            event = event.with("not_after", end.to_string()).with("days_left", left);
        }
        event
    }

    /// A receiver takes other events and hangs up on this one.
    pub(in crate::pipeline) fn undeliverable(
        destination: &ReaderName,
        id: &str,
        file: &Path,
        because: &str,
    ) -> Self {
        let message = format!(
            "the destination {destination} hangs up on the event {id} each time and takes others: it was put aside"
        );
        Self::new("event-undeliverable", message)
            .help("look at it in the file of dead letters, and at the receiver's log for what it dislikes")
            .with("destination", destination.as_str())
            .with("entry", id)
            .with("file", file.display().to_string())
            .with("error", because)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::line;
    use super::*;
    use crate::event::UnixTime;
    use crate::pipeline::standing::{LastFault, Seen};
    use crate::slack::Clock;

    #[test]
    fn those_of_destinations_read_well_as_cef() {
        let siem = ReaderName::new("siem");
        let outage = Outage {
            since: UnixTime::from_seconds(1_787_680_154),
            state: State::Down,
            failures: 3,
            fault: Some(LastFault {
                at: UnixTime::from_seconds(1_787_680_155),
                failures: 3,
                what: "siem.example.com:6514: connection refused".to_owned(),
                help: Some("start the receiver".to_owned()),
            }),
            endpoint: None,
        };
        let endpoint = "siem.example.com:6514".to_owned();
        let stalled = Outage { state: State::Stalled, failures: 0, fault: None, ..outage.clone() };
        // The last moment that there is a date for.
        let end = UnixTime::from_seconds(253_402_207_200);
        let expiring = Expiring {
            whose: Whose::Receiver("siem.example.com:6514".to_owned()),
            certificate: Seen {
                subject: Some("siem.example.com".to_owned()),
                issuer: None,
                not_after: Some(end),
                fingerprint: "sha-256:00".to_owned(),
            },
            expiry: Expiry::Within { days: 7 },
        };
        let days = end.seconds().saturating_sub(Clock::system().now().seconds()) / 86_400;
        let expired = Expiring {
            whose: Whose::Ours,
            expiry: Expiry::Past,
            certificate: Seen { not_after: None, ..expiring.certificate.clone() },
        };
        for (event, expected) in [
            (
                OwnEvent::destination_down(&siem, Some(&endpoint), &outage),
                r#"destination-down|Destination takes no events|8|start=1787680154000 act=destination-down cat=destination outcome=failure dvchost=relay-1 cn2=3 cn2Label=SlackcefCount cs2=siem cs2Label=SlackcefDestination cs5=start the receiver cs5Label=SlackcefHelp reason=down msg=the destination siem takes no events, everything is kept for it: siem.example.com:6514: connection refused cs6={"details":{"endpoint":"siem.example.com:6514"}} cs6Label=SlackcefDetails"#,
            ),
            (
                OwnEvent::undeliverable(&siem, "Ev1", Path::new("/s/dead-letters/siem.ndjson"), "it closed"),
                r#"event-undeliverable|Event put aside|7|act=event-undeliverable cat=destination outcome=failure dvchost=relay-1 cs2=siem cs2Label=SlackcefDestination cs5=look at it in the file of dead letters, and at the receiver's log for what it dislikes cs5Label=SlackcefHelp filePath=/s/dead-letters/siem.ndjson msg=the destination siem hangs up on the event Ev1 each time and takes others: it was put aside cs6={"details":{"entry":"Ev1","error":"it closed"}} cs6Label=SlackcefDetails"#,
            ),
            (
                OwnEvent::destination_down(&siem, None, &stalled),
                "destination-down|Destination takes no events|8|start=1787680154000 act=destination-down cat=destination outcome=failure dvchost=relay-1 cs2=siem cs2Label=SlackcefDestination reason=stalled msg=the destination siem lives and does not read, everything is kept for it",
            ),
            (
                OwnEvent::destination_recovered(&siem, &outage, Duration::from_secs(185)),
                r#"destination-recovered|Destination recovered|2|start=1787680154000 act=destination-recovered cat=destination outcome=success dvchost=relay-1 cn2=3 cn2Label=SlackcefCount cs2=siem cs2Label=SlackcefDestination msg=the destination siem takes events again, after 185 seconds and 3 failures cs6={"details":{"seconds":185}} cs6Label=SlackcefDetails"#,
            ),
            (
                OwnEvent::certificate_expiring(&siem, &expiring),
                r#"certificate-expiring|Certificate about to expire|6|act=certificate-expiring cat=destination dvchost=relay-1 cs2=siem cs2Label=SlackcefDestination cs5=have it renewed on the receiver's side: from that day on nothing is delivered there cs5Label=SlackcefHelp reason=expiring msg=the certificate siem.example.com that siem.example.com:6514 shows as destination siem expires within 7 days (on 9999-12-30T22:00:00Z) cs6={"details":{"days_left":DAYS,"endpoint":"siem.example.com:6514","fingerprint":"sha-256:00","not_after":"9999-12-30T22:00:00Z","subject":"siem.example.com"}} cs6Label=SlackcefDetails"#,
            ),
            (
                OwnEvent::certificate_expiring(&siem, &expired),
                r#"certificate-expiring|Certificate expired|8|act=certificate-expiring cat=destination dvchost=relay-1 cs2=siem cs2Label=SlackcefDestination cs5=put a renewed one, and its key, into the files that `certificate` and `key` name: they are read again when they change cs5Label=SlackcefHelp reason=expired msg=our certificate siem.example.com for the destination siem has expired cs6={"details":{"fingerprint":"sha-256:00","subject":"siem.example.com"}} cs6Label=SlackcefDetails"#,
            ),
        ] {
            assert_eq!(line(event), expected.replace("DAYS", &days.to_string()));
        }
    }
}
