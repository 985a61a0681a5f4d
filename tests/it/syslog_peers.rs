//! The sink against real receivers: what rsyslog and syslog-ng store is what was sent, each message
//! once, one line each, its header read as it was meant.

use jiff::tz::TimeZone;
use slackcef::cef::{Encoder, Event, HeaderText, Key, Label, Severity};
use slackcef::syslog::{Endpoint, Facility, Failure, Farewell, Format, Frames, Framing, Header, Sink};

use crate::support::certificates::Certificates;
use crate::support::daemon::{Listen, Stored, endpoint};
use crate::support::hostile::PIECES;
use crate::support::{rsyslog, syslog_ng};
use slackcef::simulate::authority::{Authority, Term};

/// 2026-11-05T21:31:00Z
const AT: i64 = 1_793_914_260;
const TRANSPORTS: [Listen; 3] = [Listen::TCP, Listen::TLS_1_2, Listen::TLS];

fn headers() -> [Header; 2] {
    [Header::Rfc5424, Header::Rfc3164(TimeZone::UTC)]
}

/// A batch, and each of its messages without the frame.
struct Batch {
    frames: Frames,
    messages: Vec<String>,
}

impl Batch {
    fn new(framing: Framing) -> Self {
        Self { frames: Frames::new(framing), messages: Vec::new() }
    }

    fn push(&mut self, write: impl Fn(&mut Vec<u8>)) {
        self.frames.push(&write);
        let mut message = Vec::new();
        write(&mut message);
        self.messages.push(String::from_utf8(message).unwrap());
    }

    /// An event for each hostile piece, in the text of a user, with every severity.
    fn hostile(framing: Framing, header: &Header, tag: &str) -> Self {
        let format = Format::new(header.clone(), Facility::LOCAL0, Some("siem-gw.example.com"), "CEF");
        let mut batch = Self::new(framing);
        for (n, piece) in PIECES.iter().enumerate() {
            let event = event(&format!("{tag}-{n}"), &format!("x{piece}y"), u8::try_from(n % 11).unwrap());
            batch.push(|buf| {
                format.write(AT, event.severity(), buf);
                assert!(Encoder::default().encode(&event, format.budget(8000), buf).is_empty());
            });
        }
        batch
    }

    /// One message of exactly `length` bytes.
    fn of_length(framing: Framing, length: usize) -> Self {
        let format = Format::new(Header::Rfc5424, Facility::LOCAL0, Some("siem-gw.example.com"), "CEF");
        let mut event = event("long", "wörter", 2);
        for key in ["cs1", "cs2", "cs3"] {
            let label = Label::new(&format!("Label{key}")).unwrap();
            event.push(&Key::new(key).unwrap(), Some(&label), &"wörter und ".repeat(300)).unwrap();
        }
        let mut batch = Self::new(framing);
        batch.push(|buf| {
            let end = buf.len() + length;
            format.write(AT, event.severity(), buf);
            Encoder::default().encode(&event, end - buf.len(), buf);
            let missing = end - buf.len();
            // A cut leaves out up to a character and its mark: filled up to the very byte.
            assert!(missing < 40, "{missing}");
            buf.extend(std::iter::repeat_n(b'.', missing));
        });
        batch
    }
}

fn event(id: &str, text: &str, severity: u8) -> Event {
    let header = |text: &str| HeaderText::new(text, 63).unwrap();
    let mut event = Event::new();
    event.set_device(&header("Slack"), &header("Audit Logs"), &header("0.1.0"));
    event.set_class_id("user_login");
    event.set_name(&header("User logged in"));
    event.set_severity(Severity::new(severity).unwrap());
    event.push(&Key::new("externalId").unwrap(), None, id).unwrap();
    event.push(&Key::new("suser").unwrap(), None, text).unwrap();
    event.push(&Key::new("msg").unwrap(), None, &text.repeat(3)).unwrap();
    event
}

async fn send(endpoint: Endpoint, batch: &Batch) {
    let mut sink = Sink::from(endpoint);
    sink.deliver(batch.frames.clone()).await.unwrap();
    assert!(matches!(sink.close().await, Farewell::Answered));
}

/// What was stored is what was sent: each once, in its order, read rightly.
fn assert_as_sent(stored: &[Stored], batches: &[Batch], app: &str) {
    let sent: Vec<&String> = batches.iter().flat_map(|batch| &batch.messages).collect();
    assert_eq!(stored.len(), sent.len());
    for (stored, sent) in stored.iter().zip(sent) {
        assert_eq!(stored.raw, *sent);
        assert_eq!(stored.host, "siem-gw.example.com");
        assert_eq!(stored.app, app);
        let pri = sent.trim_start_matches('<').split_once('>').unwrap().0;
        assert_eq!(stored.pri, pri);
        let cef: u8 = sent.split_once("CEF:0|").unwrap().1.split('|').nth(5).unwrap().parse().unwrap();
        let severity = [6, 6, 6, 6, 4, 4, 4, 3, 3, 2, 2][usize::from(cef)];
        assert_eq!(pri.parse(), Ok(16 * 8 + severity), "CEF severity {cef}");
        if sent.contains(">1 ") {
            assert!(stored.time.starts_with("2026-11-05T21:31:00"), "{}", stored.time);
        } else {
            assert!(stored.time.contains("-11-05T21:31:00"), "{}", stored.time);
        }
    }
}

#[tokio::test]
async fn rsyslog_stores_what_was_sent() {
    let certificates = Certificates::new();
    for listen in TRANSPORTS {
        let rsyslog = rsyslog::start(&certificates, listen).await;
        let mut batches = Vec::new();
        for framing in [Framing::OctetCounting, Framing::Newline] {
            for header in headers() {
                let batch = Batch::hostile(framing, &header, &format!("{framing:?}"));
                send(endpoint(&certificates, listen, rsyslog.address()), &batch).await;
                batches.push(batch);
                // The next connection's messages come behind these.
                wait_for(|| rsyslog.stored().len(), batches.iter().map(|b| b.messages.len()).sum()).await;
            }
        }
        let stored = rsyslog.finish(batches.iter().map(|batch| batch.messages.len()).sum()).await;
        assert_as_sent(&stored, &batches, "CEF");
    }
}

#[tokio::test]
async fn syslog_ng_stores_what_was_sent() {
    let certificates = Certificates::new();
    for listen in TRANSPORTS {
        for (framing, header, flags) in [
            (Framing::OctetCounting, Header::Rfc5424, ""),
            (Framing::OctetCounting, Header::Rfc3164(TimeZone::UTC), ""),
            (Framing::Newline, Header::Rfc5424, "syslog-protocol"),
            (Framing::Newline, Header::Rfc3164(TimeZone::UTC), ""),
        ] {
            let syslog_ng = syslog_ng::start(&certificates, listen, framing, flags).await;
            let batch = Batch::hostile(framing, &header, "x");
            send(endpoint(&certificates, listen, syslog_ng.address()), &batch).await;
            let stored = syslog_ng.finish(batch.messages.len()).await;
            assert_as_sent(&stored, &[batch], "CEF");
        }
    }
}

async fn wait_for(stored: impl Fn() -> usize, n: usize) {
    let start = std::time::Instant::now();
    while stored() < n {
        assert!(start.elapsed() < crate::support::daemon::PATIENCE, "{} of {n}", stored());
        crate::support::daemon::tick().await;
    }
}

fn assert_whole(stored: &[Stored], batch: &Batch) {
    let lengths = |texts: Vec<&String>| texts.into_iter().map(String::len).collect::<Vec<_>>();
    let sent: Vec<_> = batch.messages.iter().collect();
    let stored: Vec<_> = stored.iter().map(|stored| &stored.raw).collect();
    assert_eq!(lengths(stored.clone()), lengths(sent.clone()));
    assert!(stored == sent, "as long, but not the same");
}

/// 8,000 bytes is what a destination sends at most unless told otherwise; 8,096 is the last length
/// that rsyslog stores whole, and 8,192 what RFC 5425 asks of every receiver.
#[tokio::test]
async fn messages_of_the_greatest_length_arrive_whole() {
    let certificates = Certificates::new();
    for framing in [Framing::OctetCounting, Framing::Newline] {
        for (length, rsyslog_too) in [(8000, true), (8096, true), (8192, false)] {
            let batch = Batch::of_length(framing, length);
            assert_eq!(batch.messages[0].len(), length);
            if rsyslog_too {
                let rsyslog = rsyslog::start(&certificates, Listen::TLS).await;
                send(certificates.endpoint(rsyslog.address()), &batch).await;
                assert_whole(&rsyslog.finish(1).await, &batch);
            }
            let syslog_ng = syslog_ng::start(&certificates, Listen::TLS, framing, "syslog-protocol").await;
            send(certificates.endpoint(syslog_ng.address()), &batch).await;
            assert_whole(&syslog_ng.finish(1).await, &batch);
        }
    }
}

/// OpenSSL looks at the client's certificate after our handshake is over (TLS 1.3): the batch must
/// not count, and the text must say why.
#[tokio::test]
async fn real_receivers_that_refuse_our_certificate_are_understood() {
    let certificates = Certificates::new();
    let strangers = Authority::new("Somebody else").unwrap();
    // Far more than the socket takes: the refusal comes in the middle of it.
    let mut large = Frames::new(Framing::OctetCounting);
    for _ in 0..50_000 {
        large.push(|buf| {
            buf.extend_from_slice(b"<134>1 2026-11-05T21:31:00Z host CEF - - - CEF:0|a|b|c|d|e|1|");
        });
    }
    for transport in [Listen::TLS, Listen::TLS_1_2] {
        let listen = Listen { client_certificates: true, ..transport };
        let rsyslog = rsyslog::start(&certificates, listen).await;
        let syslog_ng = syslog_ng::start(&certificates, listen, Framing::OctetCounting, "").await;
        let batch = Batch::hostile(Framing::OctetCounting, &Header::Rfc5424, "x");
        for address in [rsyslog.address(), syslog_ng.address()] {
            let stranger = strangers.client("me", Term::Now).unwrap();
            for client in [None, Some(stranger)] {
                let dir = Certificates::new();
                std::fs::copy(certificates.ca(), dir.ca()).unwrap();
                let endpoint = dir.endpoint_named(address, "localhost", client.as_ref());
                let mut sink = Sink::from(endpoint);
                for frames in [&batch.frames, &large] {
                    let error = sink.deliver(frames.clone()).await.unwrap_err();
                    let [(_, failure @ Failure::Tls(_))] = error.failures() else { panic!("{error:?}") };
                    assert!(
                        failure.help().unwrap().contains("`certificate`"),
                        "{failure}: {:?}",
                        failure.help()
                    );
                }
            }
        }
        assert_eq!((rsyslog.stored(), syslog_ng.stored()), (vec![], vec![]));

        let ours = certificates.authority.client("me", Term::Now).unwrap();
        let n = batch.messages.len();
        for address in [rsyslog.address(), syslog_ng.address()] {
            send(certificates.endpoint_named(address, "localhost", Some(&ours)), &batch).await;
        }
        let batches = [batch];
        assert_as_sent(&rsyslog.finish(n).await, &batches, "CEF");
        assert_as_sent(&syslog_ng.finish(n).await, &batches, "CEF");
    }
}
