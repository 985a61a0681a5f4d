//! The sink against a receiver that misbehaves in every way it can: nothing lost, nothing torn, and
//! for each fault a text that says what to do.

use std::net::SocketAddr;
use std::time::Duration;

use slackcef::simulate::authority::{Authority, Identity, LOCAL, Term};
use slackcef::simulate::receiver::{
    Arrival, Ended, Fault as Misdeed, Message, Receiver, ServerTls, Settings,
};
use slackcef::syslog::{
    Assurance, Endpoint, Event, Failure, Farewell, Fault, Frames, Framing, Probe, SendError,
    Settings as Sending, Sink, Timeouts,
};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::support::certificates::Certificates;

const BOTH: [Framing; 2] = [Framing::OctetCounting, Framing::Newline];

/// No test takes so long; what does not come by then never comes.
const LONG: Duration = Duration::from_secs(60);

fn text(n: usize) -> String {
    format!("<134>1 2026-11-05T21:31:00Z host CEF - - - CEF:0|Slack|Audit Logs|1|user_login|Ümläut|2|n={n}")
}

fn batch(framing: Framing, messages: usize) -> Frames {
    let mut frames = Frames::new(framing);
    for n in 0..messages {
        frames.push(|buf| buf.extend_from_slice(text(n).as_bytes()));
    }
    frames
}

fn texts(messages: usize) -> Vec<String> {
    (0..messages).map(text).collect()
}

fn plain(address: SocketAddr) -> Endpoint {
    Endpoint::tcp(address)
}

fn sink(endpoint: Endpoint) -> Sink {
    endpoint.into()
}

fn sink_to(endpoints: Vec<Endpoint>, timeouts: Timeouts) -> Sink {
    Sink::new(endpoints, Sending { timeouts, ..Sending::default() })
}

/// A receiver whose first connections suffer `faults`.
async fn receiver(tls: Option<ServerTls>, faults: &[Misdeed]) -> Receiver {
    Receiver::start(Settings { tls, faults: faults.to_vec(), ..Settings::default() }).await.unwrap()
}

async fn take(receiver: &mut Receiver) -> Arrival {
    timeout(LONG, receiver.next()).await.expect("something arrives").expect("the receiver runs")
}

/// The next `n` messages, as text.
async fn messages(receiver: &mut Receiver, n: usize) -> Vec<Message> {
    let mut found = Vec::new();
    while found.len() < n {
        found.push(timeout(LONG, receiver.next_message()).await.expect("a message arrives").unwrap());
    }
    found
}

fn text_of(message: &Message) -> String {
    String::from_utf8(message.text.to_vec()).unwrap()
}

/// Sends until the batch is delivered, as the forwarder does, and says how often it failed.
async fn deliver(sink: &mut Sink, frames: &Frames) -> Vec<SendError> {
    let mut failures = Vec::new();
    while let Err(failure) = timeout(LONG, sink.deliver(frames.clone())).await.expect("the sink answers") {
        assert!(failure.again() && failures.len() < 5, "{failure}");
        failures.push(failure);
    }
    failures
}

/// All that happened until `connection` brought `n` messages: the messages and the torn rests by
/// connection.
async fn until(receiver: &mut Receiver, connection: u64, n: usize) -> Vec<(Vec<String>, String)> {
    let mut seen = vec![(Vec::new(), String::new()); usize::try_from(connection).unwrap() + 1];
    while seen[usize::try_from(connection).unwrap()].0.len() < n {
        match take(receiver).await {
            Arrival::Message(m) => seen[usize::try_from(m.connection).unwrap()].0.push(text_of(&m)),
            Arrival::Ended { connection, torn, .. } => {
                seen[usize::try_from(connection).unwrap()].1 = String::from_utf8_lossy(&torn).into_owned();
            }
            Arrival::Connected { .. } | Arrival::Refused { .. } => {}
        }
    }
    seen
}

#[tokio::test]
async fn delivers_each_message_once_in_its_order_over_tcp_and_tls() {
    let certificates = Certificates::new();
    for framing in BOTH {
        for tls in [None, Some(false), Some(true)] {
            let server =
                tls.map(|only_tls_1_2| ServerTls { only_tls_1_2, ..ServerTls::new(certificates.server()) });
            let mut receiver = receiver(server, &[]).await;
            let endpoint = match tls {
                None => plain(receiver.address()),
                Some(_) => certificates.endpoint(receiver.address()),
            };
            let mut sink = sink(endpoint);
            let worth = if tls == Some(false) { Assurance::Read } else { Assurance::ReadAtEnd };
            for _ in 0..3 {
                assert_eq!(sink.deliver(batch(framing, 10)).await.unwrap(), worth);
            }
            assert!(matches!(sink.close().await, Farewell::Answered));
            let expected = tls.map(|old| if old { "TLSv1_2".to_owned() } else { "TLSv1_3".to_owned() });
            let (mut found, mut open) = (Vec::new(), 0);
            while found.len() < 30 || open > 0 {
                match take(&mut receiver).await {
                    Arrival::Connected { tls, .. } => {
                        assert_eq!(tls, expected);
                        open += 1;
                    }
                    Arrival::Message(message) => found.push(message),
                    Arrival::Ended { torn, how: Ended::BySender, .. } => {
                        assert!(torn.is_empty());
                        open -= 1;
                    }
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(
                found.iter().map(text_of).collect::<Vec<_>>(),
                [texts(10), texts(10), texts(10)].concat()
            );
            assert!(found.iter().all(|m| m.counted == (framing == Framing::OctetCounting)));
            // Receipts within the connection need no other.
            assert!(worth == Assurance::ReadAtEnd || found.iter().all(|m| m.connection == 0));
        }
    }
}

/// The first connection ends after `fault`; the batch has to arrive whole on the second, and what
/// the first brought has to be a part of it that is whole too.
async fn survives(certificates: &Certificates, tls: bool, framing: Framing, fault: Misdeed) {
    let server = tls.then(|| ServerTls::new(certificates.server()));
    let mut receiver = receiver(server, &[fault]).await;
    let address = receiver.address();
    let mut sink = sink(if tls { certificates.endpoint(address) } else { plain(address) });
    let failures = deliver(&mut sink, &batch(framing, 3)).await;
    assert_eq!(failures.len(), 1, "{fault:?}: {failures:?}");
    let seen = until(&mut receiver, 1, 3).await;
    let [(before, torn), (after, _)] = seen.as_slice() else { panic!("{seen:?}") };
    assert_eq!(*after, texts(3), "{fault:?}");
    assert_eq!(*before, texts(3)[..before.len()], "{fault:?}");
    let rest = batch(framing, 3).iter().skip(before.len()).collect::<Vec<_>>().concat();
    assert!(
        String::from_utf8_lossy(&rest).starts_with(torn.trim_end_matches('\u{fffd}')),
        "{fault:?}: {torn}"
    );
}

#[tokio::test]
async fn a_hang_up_at_any_message_costs_a_repeat_and_no_event() {
    let certificates = std::sync::Arc::new(Certificates::new());
    let mut cases = JoinSet::new();
    for (tls, framing) in [false, true].into_iter().flat_map(|tls| BOTH.map(|framing| (tls, framing))) {
        for after in 0..=3 {
            let certificates = certificates.clone();
            cases.spawn(
                async move { survives(&certificates, tls, framing, Misdeed::HangUpAfter(after)).await },
            );
        }
        let certificates = certificates.clone();
        cases.spawn(async move { survives(&certificates, tls, framing, Misdeed::CloseAtOnce).await });
    }
    cases.join_all().await;
}

#[tokio::test]
async fn a_reset_at_any_byte_tears_nothing() {
    let certificates = std::sync::Arc::new(Certificates::new());
    for framing in BOTH {
        let mut cases = JoinSet::new();
        let whole = u64::try_from(batch(framing, 3).bytes().len()).unwrap();
        for after in (0..=whole).step_by(7).chain([1, 2, 3, 4, whole - 1, whole]) {
            for tls in [false, true] {
                let certificates = certificates.clone();
                cases.spawn(async move {
                    survives(&certificates, tls, framing, Misdeed::ResetAfter(after)).await;
                });
            }
        }
        cases.join_all().await;
    }
}

#[tokio::test]
async fn a_batch_far_larger_than_the_socket_buffers_arrives_whole() {
    let certificates = Certificates::new();
    let mut receiver = receiver(Some(ServerTls::new(certificates.server())), &[]).await;
    let mut sink = sink(certificates.endpoint(receiver.address()));
    let frames = batch(Framing::OctetCounting, 150_000);
    // The receiver stops reading when its messages are not taken: its window shuts, and opens again.
    let sending = tokio::spawn(async move { sink.deliver(frames.clone()).await });
    for n in 0..150_000 {
        let message = timeout(LONG, receiver.next_message()).await.unwrap().unwrap();
        assert_eq!(text_of(&message), text(n));
    }
    assert_eq!(sending.await.unwrap().unwrap(), Assurance::Read);
}

#[tokio::test]
async fn a_receiver_that_reads_no_more_is_waited_for() {
    let mut receiver = receiver(None, &[Misdeed::StallAfter(1)]).await;
    let timeouts = Timeouts { stall: Duration::from_millis(300), ..Timeouts::default() };
    let mut sink = sink_to(vec![plain(receiver.address())], timeouts);
    while sink.room().is_none() {
        sink.turn(true).await;
    }
    sink.send(sink.room().unwrap(), batch(Framing::OctetCounting, 150_000));
    messages(&mut receiver, 1).await;
    let stalled = async {
        while !sink.is_stalled() {
            let event = sink.turn(true).await;
            assert!(matches!(event, Event::Changed), "{event:?}");
        }
    };
    timeout(LONG, stalled).await.expect("it is noticed");
    assert_eq!(sink.links().len(), 1, "and no other connection is made");
    assert!(timeout(Duration::from_secs(2), sink.turn(true)).await.is_err(), "nothing is given up");
}

#[tokio::test]
async fn the_end_of_an_idle_connection_is_noticed_and_costs_nothing() {
    let certificates = Certificates::new();
    for tls in [false, true] {
        let server = tls.then(|| ServerTls::new(certificates.server()));
        let mut first = receiver(server.clone(), &[]).await;
        let address = first.address();
        let mut sink = sink(if tls { certificates.endpoint(address) } else { plain(address) });
        sink.deliver(batch(Framing::OctetCounting, 1)).await.unwrap();
        messages(&mut first, 1).await;
        first.stop().await;
        let error = loop {
            match timeout(LONG, sink.turn(false)).await.expect("the end is noticed") {
                Event::Failed { error, .. } => break error,
                Event::Changed | Event::Written(_) => {}
                other => panic!("{other:?}"),
            }
        };
        assert!(matches!(error.failures(), [(_, Failure::Closed { .. })]), "{error:?}");

        let settings = Settings { listen: address, tls: server, ..Settings::default() };
        let mut second = Receiver::start(settings).await.unwrap();
        sink.deliver(batch(Framing::OctetCounting, 2)).await.unwrap();
        assert_eq!(messages(&mut second, 2).await.iter().map(text_of).collect::<Vec<_>>(), texts(2));
    }
}

#[tokio::test]
async fn an_idle_connection_that_ended_unwatched_is_replaced() {
    let mut first = receiver(None, &[Misdeed::None]).await;
    let address = first.address();
    let mut sink = sink(plain(address));
    sink.deliver(batch(Framing::Newline, 1)).await.unwrap();
    messages(&mut first, 1).await;
    first.stop().await;
    let mut second = Receiver::start(Settings { listen: address, ..Settings::default() }).await.unwrap();
    let failures = deliver(&mut sink, &batch(Framing::Newline, 2)).await;
    // Nobody was looking when it ended, so that a batch may have been given to it.
    assert!(failures.len() <= 1, "{failures:?}");
    assert_eq!(messages(&mut second, 2).await.iter().map(text_of).collect::<Vec<_>>(), texts(2));
}

#[tokio::test]
async fn nothing_open_is_never_closed_by_the_receiver() {
    let mut sink = sink(plain(([127, 0, 0, 1], 9).into()));
    assert!(timeout(Duration::from_millis(50), sink.turn(false)).await.is_err());
    assert_eq!(sink.close().await, Farewell::NothingOpen);
}

#[tokio::test]
async fn the_next_endpoint_gets_what_the_first_does_not_take() {
    let dead = dead_port();
    let mut second = receiver(None, &[]).await;
    let mut to_dead_first = sink_to(vec![plain(dead.1), plain(second.address())], Timeouts::default());
    to_dead_first.deliver(batch(Framing::Newline, 2)).await.unwrap();
    assert_eq!(messages(&mut second, 2).await.iter().map(text_of).collect::<Vec<_>>(), texts(2));

    // It takes connections and hangs up on each: the second has to have its turn.
    let refusing = receiver(None, &[Misdeed::CloseAtOnce; 9]).await;
    let endpoints = vec![plain(refusing.address()), plain(second.address())];
    let mut sink = sink_to(endpoints, Timeouts::default());
    assert_eq!(deliver(&mut sink, &batch(Framing::Newline, 3)).await.len(), 1);
    assert_eq!(messages(&mut second, 3).await.iter().map(text_of).collect::<Vec<_>>(), texts(3));
}

#[tokio::test]
async fn each_endpoint_that_fails_is_named() {
    let (one, other) = (dead_port(), dead_port());
    let mut sink = sink_to(vec![plain(one.1), plain(other.1)], Timeouts::default());
    let error = sink.deliver(batch(Framing::Newline, 1)).await.unwrap_err();
    let (one, other) = (one.1, other.1);
    assert_eq!(
        error.to_string(),
        format!(
            "{one}: cannot connect: {one} refuses the connection; {other}: cannot connect: {other} refuses the connection"
        )
    );
    assert_eq!(error.fault(), Fault::Network);
    assert!(error.help().unwrap().contains("nothing listens on this port"));
    let mut nowhere = sink_to(Vec::new(), Timeouts::default());
    let error = nowhere.deliver(batch(Framing::Newline, 1)).await.unwrap_err();
    assert_eq!(error.to_string(), "the destination names no receiver");
    assert!(!error.again());
}

/// A port that refuses connections for as long as the socket that holds it lives.
fn dead_port() -> (socket2::Socket, SocketAddr) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

/// What a TLS receiver that shows `identity` earns.
async fn refused(certificates: &Certificates, identity: Identity, name: &str) -> SendError {
    let receiver = receiver(Some(ServerTls::new(identity)), &[]).await;
    let mut sink = sink(certificates.endpoint_named(receiver.address(), name, None));
    let error = sink.deliver(batch(Framing::OctetCounting, 1)).await.unwrap_err();
    assert!(error.again(), "a certificate can be renewed");
    error
}

fn shown(error: &SendError) -> String {
    let (place, failure) = &error.failures()[0];
    let shown = failure.to_string();
    assert_eq!(error.to_string(), format!("{place}: {shown}"));
    format!("{shown}\nhelp: {}", failure.help().expect("each of these has its cure"))
}

/// The text with each date, which moves from day to day, as `DATE`, and each fingerprint as `PIN`.
fn undated(text: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for word in text.split(' ') {
        let date = word.len() == 10 && word.starts_with("20") && word.matches('-').count() == 2;
        let pin = word.starts_with("[\"sha-256:") && word.ends_with("\"]");
        words.push(
            if date {
                "DATE"
            } else if pin {
                "[PIN]"
            } else {
                word
            }
            .to_owned(),
        );
    }
    words.join(" ")
}

#[tokio::test]
async fn each_bad_certificate_earns_a_readable_refusal() {
    let certificates = Certificates::new();
    let issue = |names: &[&str], term| certificates.authority.server(names, term).unwrap();
    let stranger = Authority::new("Evil Corp").unwrap().server(&LOCAL, Term::Now).unwrap();
    for (identity, name, expected) in [
        (
            issue(&LOCAL, Term::Past),
            "localhost",
            "the receiver's certificate for localhost expired on DATE 00:00 UTC (it shows: localhost, issued by \
             slackcef test, valid until DATE 00:00 UTC)\n\
             help: renew the certificate on the receiver; if its date is right, check this machine's clock",
        ),
        (
            issue(&LOCAL, Term::Future),
            "localhost",
            "the receiver's certificate for localhost is not valid yet: it begins on DATE 00:00 UTC (it shows: \
             localhost, issued by slackcef test, valid until DATE 00:00 UTC)\n\
             help: check the clocks of both machines",
        ),
        (
            issue(&["siem-a.example.com", "siem-b.example.com", "10.0.0.1"], Term::Now),
            "localhost",
            "wanted localhost, but the receiver's certificate is for siem-a.example.com, siem-b.example.com, \
             10.0.0.1\n\
             help: connect by one of those names, set `server_name` to one of them, or put localhost into the \
             certificate's subjectAltName",
        ),
        (
            issue(&["localhost"], Term::Now),
            "127.0.0.1",
            "wanted 127.0.0.1, but the receiver's certificate is for localhost\n\
             help: connect by one of those names, set `server_name` to one of them, or put 127.0.0.1 into the \
             certificate's subjectAltName",
        ),
        (
            issue(&[], Term::Now),
            "localhost",
            "wanted localhost, but the receiver's certificate is for no name at all (subjectAltName is missing)\n\
             help: connect by one of those names, set `server_name` to one of them, or put localhost into the \
             certificate's subjectAltName",
        ),
        (
            stranger,
            "localhost",
            "the receiver's certificate for localhost comes from an authority that is not trusted here (it shows: \
             localhost, issued by Evil Corp, valid until DATE 00:00 UTC)\n\
             help: name the file with the authority's certificate as `ca`; if an intermediate issued it, the \
             receiver should send that too",
        ),
        (
            Certificates::new().server(),
            "localhost",
            "the receiver's certificate for localhost was not signed by the authority of that name that is trusted \
             here (it shows: localhost, issued by slackcef test, valid until DATE 00:00 UTC)\n\
             help: the authority was made anew under its old name, or somebody poses as it: compare `ca` with the \
             receiver's copy",
        ),
        (
            certificates.authority.as_server(),
            "localhost",
            "the receiver shows a self-signed authority as its certificate for localhost\n\
             help: give the receiver a certificate without CA:TRUE (openssl req -x509 -addext \
             basicConstraints=critical,CA:FALSE); or compare its fingerprint with what the receiver says it is, \
             leave `ca` out and set fingerprints = [PIN]",
        ),
        (
            certificates.authority.client("someone", Term::Now).unwrap(),
            "localhost",
            "the receiver's certificate for localhost is refused (it shows: someone, issued by slackcef test, valid \
             until DATE 00:00 UTC)\nhelp: x",
        ),
    ] {
        let error = refused(&certificates, identity, name).await;
        if expected.ends_with("help: x") {
            assert_eq!(undated(&error.failures()[0].1.to_string()), expected.trim_end_matches("\nhelp: x"));
        } else {
            assert_eq!(undated(&shown(&error)), expected);
        }
    }
}

#[tokio::test]
async fn an_ip_address_in_the_certificate_is_a_name_too() {
    let certificates = Certificates::new();
    let mut receiver = receiver(Some(ServerTls::new(certificates.server())), &[]).await;
    let mut sink = sink(certificates.endpoint_named(receiver.address(), "127.0.0.1", None));
    sink.deliver(batch(Framing::OctetCounting, 1)).await.unwrap();
    messages(&mut receiver, 1).await;
}

/// With TLS 1.3 the handshake and the write succeed; only the read side tells.
#[tokio::test]
async fn a_refused_client_certificate_settles_nothing_in_either_version() {
    let certificates = Certificates::new();
    let strangers = Authority::new("Somebody else").unwrap();
    for only_tls_1_2 in [false, true] {
        let server = ServerTls {
            only_tls_1_2,
            clients_of: Some(certificates.authority.pem()),
            ..ServerTls::new(certificates.server())
        };
        for (client, expected) in [
            (None, "the receiver asks for a client certificate and got none"),
            (
                Some(strangers.client("me", Term::Now).unwrap()),
                "the receiver refused our certificate: unknown authority",
            ),
            (
                Some(certificates.authority.client("me", Term::Past).unwrap()),
                "the receiver refused our certificate: certificate expired",
            ),
        ] {
            let mut receiver = receiver(Some(server.clone()), &[]).await;
            let mut sink =
                sink(certificates.endpoint_named(receiver.address(), "localhost", client.as_ref()));
            let error = sink.deliver(batch(Framing::OctetCounting, 1)).await.unwrap_err();
            let shown = shown(&error);
            assert!(shown.starts_with(expected), "{shown}");
            assert!(shown.contains("`certificate`"), "{shown}");
            assert_eq!(error.fault(), Fault::Settings);
            assert!(matches!(take(&mut receiver).await, Arrival::Refused { .. }));
        }
        let mut receiver = receiver(Some(server), &[]).await;
        let client = certificates.authority.client("me", Term::Now).unwrap();
        let mut sink = sink(certificates.endpoint_named(receiver.address(), "localhost", Some(&client)));
        sink.deliver(batch(Framing::OctetCounting, 1)).await.unwrap();
        messages(&mut receiver, 1).await;
    }
}

/// The receiver resets a connection whose bytes it has not read; its alert came before, and is what
/// the error has to tell, however large the batch that was on its way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_reason_of_a_refusal_is_not_lost_under_the_reset_that_follows_it() {
    let certificates = Certificates::new();
    let server =
        ServerTls { clients_of: Some(certificates.authority.pem()), ..ServerTls::new(certificates.server()) };
    let receiver = receiver(Some(server), &[]).await;
    let retry = (Duration::from_millis(5), Duration::from_millis(20));
    let timeouts = Timeouts { retry, ..Timeouts::default() };
    let mut sink = sink_to(vec![certificates.endpoint(receiver.address())], timeouts);
    for messages in [1, 100, 1000, 10_000, 100_000] {
        for _ in 0..5 {
            let error = sink.deliver(batch(Framing::OctetCounting, messages)).await.unwrap_err();
            assert!(
                shown(&error).starts_with("the receiver asks for a client certificate"),
                "{messages}: {error:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_port_of_the_wrong_kind_is_named_as_one() {
    let certificates = Certificates::new();

    let answers = receiver(None, &[Misdeed::Plaintext]).await;
    let mut sink_to_it = sink(certificates.endpoint(answers.address()));
    let error = sink_to_it.deliver(batch(Framing::OctetCounting, 1)).await.unwrap_err();
    assert_eq!(
        shown(&error),
        "the port answered without TLS\n\
         help: use the receiver's TLS port, or send in plaintext with [destinations.NAME.tcp]"
    );
    assert_eq!(error.fault(), Fault::Settings);

    // A plaintext syslog port takes our greeting for the beginning of a message, and waits.
    let silent = receiver(None, &[]).await;
    let timeouts = Timeouts { handshake: Duration::from_millis(300), ..Timeouts::default() };
    let mut sink_to_it = sink_to(vec![certificates.endpoint(silent.address())], timeouts);
    let error = sink_to_it.deliver(batch(Framing::OctetCounting, 1)).await.unwrap_err();
    assert!(
        shown(&error).starts_with("the port takes connections but does not answer TLS within"),
        "{error}"
    );

    let tls = receiver(Some(ServerTls::new(certificates.server())), &[]).await;
    let mut sink_to_it = sink(plain(tls.address()));
    let error = sink_to_it.deliver(batch(Framing::Newline, 1)).await.unwrap_err();
    assert_eq!(
        shown(&error),
        "the port wants TLS, and was spoken to without\nhelp: set [destinations.NAME.tls] in place of `tcp`, or give [destinations.NAME.relp] a `tls`"
    );
}

#[tokio::test]
async fn a_receiver_that_closes_at_once_is_asked_about_its_settings() {
    let certificates = Certificates::new();
    let receiver_plain = receiver(None, &[Misdeed::CloseAtOnce]).await;
    let error = sink(plain(receiver_plain.address())).deliver(batch(Framing::Newline, 1)).await.unwrap_err();
    assert!(shown(&error).contains("at once\nhelp: a receiver does this when it expects the other framing"));

    let receiver_tls = receiver(Some(ServerTls::new(certificates.server())), &[Misdeed::CloseAtOnce]).await;
    let mut sink = sink(certificates.endpoint(receiver_tls.address()));
    let error = sink.deliver(batch(Framing::Newline, 1)).await.unwrap_err();
    assert!(shown(&error).starts_with("the receiver cut the connection during the TLS handshake"), "{error}");
}

#[tokio::test]
async fn a_probe_tells_what_was_agreed_upon() {
    let certificates = Certificates::new();
    let over_tls = receiver(Some(ServerTls::new(certificates.server())), &[]).await;
    let in_plaintext = receiver(None, &[]).await;
    let endpoints =
        vec![certificates.endpoint(over_tls.address()), plain(in_plaintext.address()), plain(dead_port().1)];
    let found = sink_to(endpoints, Timeouts::default()).probe().await;
    let [(_, Ok(tls)), (_, Ok(tcp)), (_, Err(dead))] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(
        undated(&tls.to_string()),
        "connected, TLS 1.3 TLS_AES_256_GCM_SHA384, verified as localhost; localhost, issued by slackcef test, \
         valid until DATE 00:00 UTC"
    );
    let Probe::Connected { tls: Some(tls) } = tls else { panic!("{tls:?}") };
    assert!(tls.chain[0].not_after.unwrap() > jiff::Timestamp::now());
    assert_eq!(tcp.to_string(), "connected, in plaintext");
    assert!(matches!(dead, Failure::Connect(_)));
}

#[tokio::test]
async fn a_probe_sees_what_only_the_read_side_tells() {
    let certificates = Certificates::new();
    let server =
        ServerTls { clients_of: Some(certificates.authority.pem()), ..ServerTls::new(certificates.server()) };
    let receiver = receiver(Some(server), &[]).await;
    let found = sink(certificates.endpoint(receiver.address())).probe().await;
    let (_, Err(failure)) = &found[0] else { panic!("{found:?}") };
    assert_eq!(failure.to_string(), "the receiver asks for a client certificate and got none");
}
