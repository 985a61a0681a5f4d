//! RELP as a destination: what is told as read was acknowledged, and every way in which a session can
//! end leads to the rest being sent again.

use std::time::Duration;

use slackcef::net::TlsClient;
use slackcef::simulate::receiver::{
    Arrival, Ended, Fault as Misdeed, Receiver as Simulated, Relp, ServerTls, Settings as Listening,
};
use slackcef::syslog::{
    Assurance, Endpoint, Event, Failure, Farewell, Fault, Frames, Framing, LineId, Probe, Settings, Sink,
    Strategy, Timeouts,
};
use tokio::time::timeout;

use crate::support::certificates::Certificates;
use crate::support::daemon::Listen;
use crate::support::rsyslog;

const LONG: Duration = Duration::from_secs(60);

fn text(n: usize) -> String {
    format!("<134>1 2026-11-05T21:31:00Z host CEF - - - CEF:0|S|A|1|user_login|Ü|2|n={n} .")
}

fn texts(messages: std::ops::Range<usize>) -> Vec<String> {
    messages.map(text).collect()
}

fn batch(messages: std::ops::Range<usize>) -> Frames {
    let mut frames = Frames::new(Framing::Bare);
    for n in messages {
        frames.push(|buf| buf.extend_from_slice(text(n).as_bytes()));
    }
    frames
}

fn client(endpoint: Endpoint) -> TlsClient {
    match endpoint {
        Endpoint::Stream { tls: Some(client), .. } => client,
        other => panic!("{other:?}"),
    }
}

fn sink(endpoint: Endpoint, timeouts: Timeouts) -> Sink {
    Sink::new(vec![endpoint], Settings { timeouts, ..Settings::default() })
}

fn quick() -> Timeouts {
    Timeouts { retry: (Duration::from_millis(1), Duration::from_millis(10)), ..Timeouts::default() }
}

async fn receiver(tls: Option<ServerTls>, relp: Relp, faults: &[Misdeed]) -> Simulated {
    let faults = faults.to_vec();
    Simulated::start(Listening { tls, relp: Some(relp), faults, ..Listening::default() }).await.unwrap()
}

/// The next line that takes a batch; what fails meanwhile is passed over.
async fn room(sink: &mut Sink) -> LineId {
    loop {
        if let Some(line) = sink.room() {
            return line;
        }
        timeout(LONG, sink.turn(true)).await.expect("something happens");
    }
}

/// Waits until everything up to `through` is read; how the line failed, if it did.
async fn read(sink: &mut Sink, line: LineId, last: u64) -> Result<(), (Failed, Option<u64>)> {
    let mut read = None;
    loop {
        match timeout(LONG, sink.turn(false)).await.expect("something happens") {
            Event::Read { line: of, through, .. } if of == line => {
                assert!(read < Some(through), "receipts grow");
                read = Some(through);
                if through == last {
                    return Ok(());
                }
            }
            Event::Failed { line: of, at_once, error, .. } if of == line => {
                return Err((Failed { at_once, error }, read));
            }
            Event::Ended { line: of, .. } => assert_ne!(of, line, "it was not asked to end"),
            _ => {}
        }
    }
}

#[derive(Debug)]
struct Failed {
    at_once: bool,
    error: slackcef::syslog::SendError,
}

impl Failed {
    fn failure(&self) -> &Failure {
        &self.error.failures()[0].1
    }
}

/// The messages of the next connection, and how it ended.
async fn connection(receiver: &mut Simulated) -> (Vec<String>, Ended) {
    let mut messages = Vec::new();
    loop {
        match timeout(LONG, receiver.next()).await.expect("something arrives").unwrap() {
            Arrival::Message(message) => messages.push(String::from_utf8(message.text.to_vec()).unwrap()),
            Arrival::Ended { how, .. } => return (messages, how),
            Arrival::Connected { .. } | Arrival::Refused { .. } => {}
        }
    }
}

#[tokio::test]
async fn many_batches_are_under_way_and_each_is_acknowledged() {
    let certificates = Certificates::new();
    for tls in [false, true] {
        let server = tls.then(|| ServerTls::new(certificates.server()));
        let mut receiver = receiver(server, Relp::default(), &[]).await;
        let client = tls.then(|| client(certificates.endpoint(receiver.address())));
        let mut sink = sink(Endpoint::relp(receiver.address(), client), quick());
        let send = async {
            // The first is larger than the window.
            let (mut first, mut line) = (0, None);
            for size in [2500, 1, 700, 700, 0, 99] {
                let to = room(&mut sink).await;
                assert!(line.is_none_or(|line| line == to), "one connection serves");
                line = Some(to);
                let last = sink.send(to, batch(first..first + size));
                first += size;
                if first == 4000 {
                    read(&mut sink, to, last).await.unwrap();
                }
            }
            let link = sink.links()[0].clone();
            assert_eq!(
                (link.assurance, link.because, link.tls.is_some()),
                (Assurance::Acknowledged, None, tls)
            );
            assert_eq!(sink.close().await, Farewell::Answered);
        };
        let ((), (messages, how)) = tokio::join!(send, connection(&mut receiver));
        assert!(messages == texts(0..4000) && matches!(how, Ended::BySender), "{how:?}");
    }
}

#[tokio::test]
async fn a_batch_counts_when_all_its_messages_are_acknowledged() {
    for (fault, server_says) in [
        (Misdeed::ServerCloseAfter(15), true),
        (Misdeed::CutAnswerAfter(15), true),
        (Misdeed::HangUpAfter(15), true),
        (Misdeed::ResetAfter(1600), false),
    ] {
        let mut receiver = receiver(None, Relp::default(), &[fault]).await;
        let mut sink = sink(Endpoint::relp(receiver.address(), None), quick());
        let line = room(&mut sink).await;
        let first = sink.send(line, batch(0..10));
        let second = sink.send(line, batch(10..20));
        let (failed, confirmed) = read(&mut sink, line, second).await.unwrap_err();
        if server_says {
            assert_eq!(confirmed, Some(first), "{fault:?}");
            assert!(matches!(failed.failure(), Failure::Closed { fresh: false }), "{fault:?} {failed:?}");
        }
        assert_eq!(failed.at_once, confirmed.is_none());
        assert!(failed.error.again());
        assert!(matches!(connection(&mut receiver).await.1, Ended::ByFault));
        // A new session counts from 1 again.
        let line = room(&mut sink).await;
        let again = sink.send(line, batch(10..20));
        read(&mut sink, line, again).await.unwrap();
        assert_eq!(sink.close().await, Farewell::Answered);
        assert_eq!(connection(&mut receiver).await.0, texts(10..20), "{fault:?}");
    }
}

#[tokio::test]
async fn a_refused_message_fails_its_batch() {
    let relp = Relp { refuses: Some("n=13 ".to_owned()), ..Relp::default() };
    let receiver = receiver(None, relp, &[]).await;
    let mut sink = sink(Endpoint::relp(receiver.address(), None), quick());
    let line = room(&mut sink).await;
    let first = sink.send(line, batch(0..10));
    let second = sink.send(line, batch(10..20));
    let (failed, confirmed) = read(&mut sink, line, second).await.unwrap_err();
    assert_eq!((confirmed, failed.at_once), (Some(first), false));
    assert_eq!(failed.failure().to_string(), "the receiver refused a message: 500 this one is not taken");
    // Alone it is told apart: nothing was ever confirmed of what its line carried.
    let line = room(&mut sink).await;
    let alone = sink.send(line, batch(13..14));
    let (failed, confirmed) = read(&mut sink, line, alone).await.unwrap_err();
    assert_eq!((confirmed, failed.at_once, failed.error.fault()), (None, true, Fault::Receiver));
}

#[tokio::test]
async fn late_acknowledgements_are_waited_for() {
    let relp = Relp { delay: Duration::from_millis(1500), ..Relp::default() };
    let receiver = receiver(None, relp, &[]).await;
    let timeouts = Timeouts { stall: Duration::from_millis(100), ..quick() };
    let mut sink = sink(Endpoint::relp(receiver.address(), None), timeouts);
    let line = room(&mut sink).await;
    let last = sink.send(line, batch(0..10));
    let mut stalled = Vec::new();
    loop {
        match timeout(LONG, sink.turn(false)).await.expect("something happens") {
            Event::Changed => stalled.push(sink.is_stalled()),
            Event::Read { through, .. } => {
                assert_eq!(through, last);
                break;
            }
            Event::Failed { error, .. } => panic!("{error}"),
            _ => {}
        }
    }
    assert_eq!(stalled, [true, false]);
}

#[tokio::test]
async fn a_receiver_that_never_acknowledges_is_left_in_the_end() {
    let mut receiver = receiver(None, Relp::default(), &[Misdeed::SilentAfter(5)]).await;
    let timeouts = Timeouts { close: Duration::from_millis(1500), ..quick() };
    let mut sink = sink(Endpoint::relp(receiver.address(), None), timeouts);
    let line = room(&mut sink).await;
    let last = sink.send(line, batch(0..10));
    let (failed, confirmed) = read(&mut sink, line, last).await.unwrap_err();
    assert!(matches!(failed.failure(), Failure::Unread { .. }) && confirmed.is_none(), "{failed:?}");
    assert_eq!(connection(&mut receiver).await.0, texts(0..10));
    let line = room(&mut sink).await;
    let last = sink.send(line, batch(0..10));
    read(&mut sink, line, last).await.unwrap();
}

#[tokio::test]
async fn what_does_not_speak_relp_is_told_apart() {
    let certificates = Certificates::new();
    let opened = async |listening: Listening, faults: &[Misdeed]| {
        let faults = faults.to_vec();
        let receiver = Simulated::start(Listening { faults, ..listening }).await.unwrap();
        let timeouts = Timeouts { handshake: Duration::from_millis(300), ..quick() };
        let mut sink = sink(Endpoint::relp(receiver.address(), None), timeouts);
        loop {
            if let Event::Unreachable(error) = timeout(LONG, sink.turn(true)).await.expect("it is told") {
                break error;
            }
        }
    };
    let error = opened(Listening::default(), &[Misdeed::StallAfter(0)]).await;
    assert!(matches!(error.failures()[0].1, Failure::NoAnswer { .. }), "{error}");
    assert!(error.help().unwrap().contains("RELP port"));
    let tls = Some(ServerTls::new(certificates.server()));
    let error = opened(Listening { tls, relp: Some(Relp::default()), ..Listening::default() }, &[]).await;
    assert!(matches!(error.failures()[0].1, Failure::WantsTls), "{error}");
    let error = opened(Listening::default(), &[Misdeed::Plaintext]).await;
    assert_eq!(error.failures()[0].1.to_string(), "the receiver does not speak RELP");
    assert_eq!(error.fault(), Fault::Settings);
    // To a receiver of plain syslog the number is a length, and what follows is no frame.
    let error = opened(Listening::default(), &[]).await;
    assert!(
        matches!(
            error.failures()[0].1,
            Failure::Closed { fresh: true } | Failure::Broken { fresh: true, .. }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn a_probe_opens_a_session_and_closes_it() {
    let mut receiver = receiver(None, Relp::default(), &[]).await;
    let found = sink(Endpoint::relp(receiver.address(), None), quick()).probe().await;
    assert!(matches!(found[0].1, Ok(Probe::Connected { tls: None })), "{found:?}");
    let (messages, how) = connection(&mut receiver).await;
    assert!(messages.is_empty() && matches!(how, Ended::BySender));
}

#[tokio::test]
async fn rsyslog_takes_batches_in_their_order() {
    let certificates = Certificates::new();
    for listen in [Listen::TCP, Listen::TLS] {
        let rsyslog = rsyslog::start_relp(&certificates, listen).await;
        let client = listen.tls.then(|| client(certificates.endpoint(rsyslog.address())));
        let mut sink = sink(Endpoint::relp(rsyslog.address(), client), quick());
        let mut sent = None;
        for nth in 0..10 {
            let line = room(&mut sink).await;
            sent = Some((line, sink.send(line, batch(nth * 500..(nth + 1) * 500))));
        }
        let (line, last) = sent.unwrap();
        read(&mut sink, line, last).await.unwrap();
        assert_eq!(sink.close().await, Farewell::Answered);
        let stored = rsyslog.finish(5000).await;
        assert!(stored.iter().map(|stored| &stored.raw).eq(&texts(0..5000)), "{listen:?}");
    }
}

#[tokio::test]
async fn the_next_endpoint_takes_what_the_first_hung_up_on() {
    let refusing = receiver(None, Relp::default(), &[Misdeed::CloseAtOnce; 9]).await;
    let mut second = receiver(None, Relp::default(), &[]).await;
    let endpoints = [&refusing, &second].map(|receiver| Endpoint::relp(receiver.address(), None));
    let mut sink = Sink::new(endpoints.into(), Settings { timeouts: quick(), ..Settings::default() });
    let line = loop {
        let line = room(&mut sink).await;
        let last = sink.send(line, batch(0..10));
        if read(&mut sink, line, last).await.is_ok() {
            break line;
        }
    };
    let link = sink.links().into_iter().find(|link| link.assurance == Assurance::Acknowledged).unwrap();
    assert!(link.endpoint.contains(&second.address().port().to_string()), "{line:?}: {link:?}");
    assert_eq!(sink.close().await, Farewell::Answered);
    assert_eq!(connection(&mut second).await.0, texts(0..10));
}

#[tokio::test]
async fn balanced_endpoints_each_acknowledge_their_own() {
    let mut receivers =
        [receiver(None, Relp::default(), &[]).await, receiver(None, Relp::default(), &[]).await];
    let endpoints = receivers.each_ref().map(|receiver| Endpoint::relp(receiver.address(), None));
    let settings = Settings { timeouts: quick(), strategy: Strategy::Balance, ..Settings::default() };
    let mut sink = Sink::new(endpoints.into(), settings);
    let mut lines = std::collections::BTreeSet::new();
    let mut sent = 0;
    while lines.len() < 2 {
        let line = room(&mut sink).await;
        let last = sink.send(line, batch(sent..sent + 10));
        read(&mut sink, line, last).await.unwrap();
        lines.insert(line);
        sent += 10;
    }
    assert_eq!(sink.close().await, Farewell::Answered);
    let mut arrived = Vec::new();
    for receiver in &mut receivers {
        let (messages, _) = connection(receiver).await;
        assert!(!messages.is_empty());
        arrived.extend(messages);
    }
    let mut all = texts(0..sent);
    all.sort_unstable();
    arrived.sort_unstable();
    assert_eq!(arrived, all);
}
