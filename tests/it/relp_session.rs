//! RELP sessions over real sockets, against rsyslog's imrelp and a receiver that misbehaves: what is
//! acknowledged is stored, and what is not is known.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustls::ProtocolVersion;
use slackcef::net::{self, ClientCertificate, ClientTls, Roots, TlsClient};
use slackcef::simulate::authority::{Identity, Term};
use slackcef::simulate::receiver::{
    Arrival, Ended, Fault as Misdeed, Receiver as Simulated, Relp, ServerTls, Settings,
};
use slackcef::syslog::relp::{Heard, RelpError, Session, WINDOW};
use slackcef::syslog::{Endpoint, Frames, Framing};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::certificates::Certificates;
use crate::support::daemon::{Listen, endpoint, tick};
use crate::support::hostile::PIECES;
use crate::support::rsyslog;

const LONG: Duration = Duration::from_secs(60);

fn texts(messages: usize) -> Vec<String> {
    (0..messages)
        .map(|n| {
            let piece = PIECES[n % PIECES.len()].replace(char::is_control, " ");
            format!(
                "<134>1 2026-11-05T21:31:00Z host CEF - - - CEF:0|S|A|1|user_login|Ü|2|n={n} msg={piece}."
            )
        })
        .collect()
}

fn batch(texts: &[String]) -> Frames {
    let mut frames = Frames::new(Framing::Bare);
    for text in texts {
        frames.push(|buf| buf.extend_from_slice(text.as_bytes()));
    }
    frames
}

/// What a session told until the connection ended.
#[derive(Debug, Default)]
struct Told {
    tls: Option<ProtocolVersion>,
    software: Option<String>,
    /// The places of the messages that were acknowledged, in the order of their answers.
    acknowledged: Vec<usize>,
    refused: Vec<(usize, String)>,
    server_close: bool,
    closed: bool,
    error: Option<RelpError>,
}

/// Sends all frames through one session, closes it, and reads on to the connection's end.
async fn converse(endpoint: &Endpoint, frames: &Frames, window: usize) -> Told {
    let mut told = Told::default();
    timeout(LONG, talk(endpoint, frames, window, &mut told)).await.expect("the connection ends");
    told
}

async fn talk(endpoint: &Endpoint, frames: &Frames, window: usize, told: &mut Told) {
    let Endpoint::Stream { address, tls } = endpoint else { panic!("no stream") };
    let tcp = net::connect(address, LONG).await.unwrap();
    match tls {
        None => talk_over(tcp, frames, window, told).await,
        Some(client) => {
            let tls = client.connect(tcp, LONG).await.unwrap();
            told.tls = tls.get_ref().1.protocol_version();
            talk_over(tls, frames, window, told).await;
        }
    }
}

async fn talk_over(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    frames: &Frames,
    window: usize,
    told: &mut Told,
) {
    let (mut session, mut out) = (Session::new(window), Vec::new());
    let (mut sent, mut unanswered) = (0, VecDeque::new());
    session.open(&mut out);
    let mut piece = vec![0; 4096];
    loop {
        // A receiver that has gone away shows when its end is read.
        let _written = stream.write_all(&out).await;
        let _flushed = stream.flush().await;
        out.clear();
        let read = match stream.read(&mut piece).await {
            Ok(0) | Err(_) => return,
            Ok(read) => read,
        };
        let mut bytes = &piece[..read];
        loop {
            match session.hear(&mut bytes) {
                Ok(None) => break,
                Ok(Some(Heard::Open(offers))) => told.software = offers.software,
                Ok(Some(Heard::Acknowledged)) => told.acknowledged.push(unanswered.pop_front().unwrap()),
                Ok(Some(Heard::Refused(refusal))) => {
                    told.refused.push((unanswered.pop_front().unwrap(), refusal.to_string()));
                }
                Ok(Some(Heard::ServerClose)) => told.server_close = true,
                Ok(Some(Heard::Closed)) => told.closed = true,
                Err(error) => {
                    told.error = Some(error);
                    return;
                }
            }
        }
        while let Some(message) = frames.frame(sent)
            && session.syslog(message, &mut out)
        {
            unanswered.push_back(sent);
            sent += 1;
        }
        assert_eq!(session.unanswered(), unanswered.len());
        if sent == frames.len() && session.unanswered() == 0 {
            session.close(&mut out);
        }
    }
}

fn all(n: usize) -> Vec<usize> {
    (0..n).collect()
}

#[tokio::test]
async fn rsyslog_stores_what_it_acknowledges() {
    let certificates = Certificates::new();
    for (listen, tls) in [
        (Listen::TCP, None),
        (Listen::TLS, Some(ProtocolVersion::TLSv1_3)),
        (Listen::TLS_1_2, Some(ProtocolVersion::TLSv1_2)),
    ] {
        let rsyslog = rsyslog::start_relp(&certificates, listen).await;
        let texts = texts(3000);
        let endpoint = endpoint(&certificates, listen, rsyslog.address());
        let told = converse(&endpoint, &batch(&texts), WINDOW).await;
        assert!(told.software.as_deref().unwrap().starts_with("librelp,"), "{told:?}");
        assert_eq!(told.tls, tls);
        assert_eq!(told.acknowledged, all(3000), "{listen:?}");
        assert!(told.closed && told.server_close && told.refused.is_empty(), "{listen:?}: {told:?}");
        let stored = rsyslog.finish(3000).await;
        assert!(stored.iter().map(|stored| &stored.raw).eq(&texts), "{listen:?}");
        assert!(stored.iter().all(|stored| stored.host == "host" && stored.app == "CEF"));
    }
}

#[tokio::test]
async fn rsyslog_lets_in_the_client_that_it_knows_by_name() {
    let certificates = Certificates::new();
    let rsyslog =
        rsyslog::start_relp(&certificates, Listen { client_certificates: true, ..Listen::TLS }).await;
    let texts = texts(10);
    for (name, known) in [("stranger.example.com", false), (rsyslog::RELP_CLIENT, true)] {
        let client = certificates.authority.client(name, Term::Now).unwrap();
        let endpoint = showing(&certificates, name, &client, rsyslog.address());
        let told = converse(&endpoint, &batch(&texts), WINDOW).await;
        assert_eq!(told.acknowledged, if known { all(10) } else { vec![] }, "{name}");
        assert_eq!(told.software.is_some(), known, "{name}");
    }
    assert_eq!(rsyslog.finish(10).await.len(), 10);
}

fn showing(certificates: &Certificates, name: &str, client: &Identity, address: SocketAddr) -> Endpoint {
    let (certificate, key) = certificates.write(name, client);
    let client = ClientCertificate { certificate, key };
    let tls = ClientTls::new(&Roots::File(certificates.ca()), Some(&client)).unwrap();
    Endpoint::tls(address, TlsClient::new(tls, "localhost").unwrap())
}

async fn simulated(tls: Option<ServerTls>, relp: Relp, faults: &[Misdeed]) -> Simulated {
    let faults = faults.to_vec();
    Simulated::start(Settings { tls, relp: Some(relp), faults, ..Settings::default() }).await.unwrap()
}

fn plain(receiver: &Simulated) -> Endpoint {
    Endpoint::tcp(receiver.address())
}

async fn next(receiver: &mut Simulated) -> Arrival {
    timeout(LONG, receiver.next()).await.expect("something arrives").expect("the receiver runs")
}

/// The messages of the next connection, and how it ended.
async fn connection(receiver: &mut Simulated) -> (Vec<String>, Ended) {
    let mut messages = Vec::new();
    loop {
        match next(receiver).await {
            Arrival::Message(message) => {
                assert!(message.counted);
                messages.push(String::from_utf8(message.text.to_vec()).unwrap());
            }
            Arrival::Ended { how, .. } => return (messages, how),
            Arrival::Connected { .. } => {}
            other @ Arrival::Refused { .. } => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn each_message_is_taken_once_and_acknowledged_in_its_order() {
    let certificates = Certificates::new();
    for tls in [false, true] {
        for offers_behind_a_space in [false, true] {
            let server = tls.then(|| ServerTls::new(certificates.server()));
            let mut receiver =
                simulated(server, Relp { offers_behind_a_space, ..Relp::default() }, &[]).await;
            let endpoint = if tls { certificates.endpoint(receiver.address()) } else { plain(&receiver) };
            let texts = texts(2000);
            let frames = batch(&texts);
            let (told, (messages, how)) =
                tokio::join!(converse(&endpoint, &frames, 300), connection(&mut receiver));
            assert_eq!(told.acknowledged, all(2000));
            assert!(told.closed && told.server_close && told.refused.is_empty() && told.error.is_none());
            assert!(messages == texts && matches!(how, Ended::BySender), "{how:?}");
        }
    }
}

#[tokio::test]
async fn a_message_that_is_refused_takes_no_other_with_it() {
    let relp = Relp { refuses: Some("n=3 ".to_owned()), ..Relp::default() };
    let mut receiver = simulated(None, relp, &[]).await;
    let texts = texts(10);
    let told = converse(&plain(&receiver), &batch(&texts), WINDOW).await;
    assert_eq!(told.acknowledged, [0, 1, 2, 4, 5, 6, 7, 8, 9]);
    assert_eq!(told.refused, [(3, "500 this one is not taken".to_owned())]);
    let (messages, _) = connection(&mut receiver).await;
    assert_eq!(messages, [&texts[..3], &texts[4..]].concat());
}

#[tokio::test]
async fn late_answers_are_late_together() {
    let delay = Duration::from_millis(100);
    let mut receiver = simulated(None, Relp { delay, ..Relp::default() }, &[]).await;
    let start = Instant::now();
    let told = converse(&plain(&receiver), &batch(&texts(40)), 20).await;
    assert_eq!(told.acknowledged, all(40));
    // The answer to `open`, two windows, and the answer to `close`. One by one it would take 4.2 s.
    assert!((4 * delay..20 * delay).contains(&start.elapsed()), "{:?}", start.elapsed());
    assert_eq!(connection(&mut receiver).await.0, texts(40));
}

#[tokio::test]
async fn without_answers_no_more_than_a_window_is_sent() {
    let mut receiver = simulated(None, Relp::default(), &[Misdeed::SilentAfter(5)]).await;
    let (endpoint, frames, mut told) = (plain(&receiver), batch(&texts(20)), Told::default());
    let mut messages = Vec::new();
    let fifteen = async {
        while messages.len() < 15 {
            if let Arrival::Message(message) = next(&mut receiver).await {
                messages.push(message);
            }
        }
    };
    tokio::select! {
        () = talk(&endpoint, &frames, 10, &mut told) => panic!("{told:?}"),
        () = fifteen => {}
    }
    assert_eq!(told.acknowledged, all(5));
    // The connection is dropped: there was nothing else on its way.
    let (rest, how) = connection(&mut receiver).await;
    assert!(rest.is_empty(), "{rest:?} {how:?}");
}

#[tokio::test]
async fn what_was_acknowledged_before_the_end_is_known() {
    let certificates = Certificates::new();
    let texts = texts(20);
    for (fault, acknowledged, server_close) in [
        (Misdeed::ServerCloseAfter(5), 5, true),
        (Misdeed::CutAnswerAfter(3), 3, false),
        (Misdeed::HangUpAfter(4), 4, false),
    ] {
        for tls in [false, true] {
            let server = tls.then(|| ServerTls::new(certificates.server()));
            let mut receiver = simulated(server, Relp::default(), &[fault]).await;
            let endpoint = if tls { certificates.endpoint(receiver.address()) } else { plain(&receiver) };
            let told = converse(&endpoint, &batch(&texts), WINDOW).await;
            assert_eq!(told.acknowledged, all(acknowledged), "{fault:?}");
            assert!(told.server_close == server_close && !told.closed && told.error.is_none(), "{told:?}");
            let (messages, how) = connection(&mut receiver).await;
            assert!(matches!(how, Ended::ByFault), "{fault:?} {how:?}");
            assert_eq!(messages, texts[..messages.len()], "{fault:?}");
            let told = converse(&endpoint, &batch(&texts), WINDOW).await;
            assert_eq!(told.acknowledged, all(20), "the next connection is served well");
        }
    }
    let mut receiver = simulated(None, Relp::default(), &[Misdeed::ResetAfter(500)]).await;
    let told = converse(&plain(&receiver), &batch(&texts), WINDOW).await;
    assert!(told.acknowledged.len() < 5 && !told.closed, "{told:?}");
    assert!(matches!(connection(&mut receiver).await.1, Ended::ByFault));
}

#[tokio::test]
async fn the_simulated_receiver_holds_to_the_protocol() {
    for (text, answers, fair) in [
        ("2 open 0\n", "", false),
        ("1 syslog 1 x\n", "", false),
        ("1 open 0\n3 syslog 1 x\n", "", false),
        (
            "1 open 0\n2 nonsense 0\n3 syslog 1 x\n4 close 0\n",
            "2 rsp 19 500 no such command\n3 rsp 6 200 OK\n4 rsp 0\n0 serverclose 0\n",
            true,
        ),
    ] {
        let mut receiver = simulated(None, Relp::default(), &[]).await;
        let mut stream = TcpStream::connect(receiver.address()).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut heard = String::new();
        timeout(LONG, stream.read_to_string(&mut heard)).await.expect("it ends").unwrap();
        let behind_open = heard.split_once("commands=syslog\n").map_or(&*heard, |(_, behind)| behind);
        assert_eq!(behind_open, answers, "{text}");
        let how = connection(&mut receiver).await.1;
        assert_eq!(matches!(how, Ended::BySender), fair, "{text}: {how:?}");
        assert!(fair || matches!(how, Ended::BadFrame), "{text}: {how:?}");
    }
}

#[tokio::test]
async fn the_command_takes_relp_and_prints_what_came() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name| dir.path().join(name);
    let mut command = Command::new(env!("CARGO_BIN_EXE_slackcef"));
    command
        .args(["simulate", "receiver", "--relp", "--plain", "--listen", "127.0.0.1:0"])
        .stdin(Stdio::null())
        .stdout(File::create(path("out")).unwrap())
        .stderr(File::create(path("notes")).unwrap());
    let mut program = Program(command.spawn().unwrap());
    let start = Instant::now();
    let address: SocketAddr = loop {
        assert!(start.elapsed() < LONG && program.0.try_wait().unwrap().is_none());
        let notes = fs::read_to_string(path("notes")).unwrap();
        if let Some((_, address)) = notes.trim_end().split_once("a RELP receiver listens on ") {
            break address.parse().unwrap();
        }
        tick().await;
    };
    let texts = texts(3);
    let told = converse(&Endpoint::tcp(address), &batch(&texts), WINDOW).await;
    assert!(told.closed && told.acknowledged == all(3), "{told:?}");
    while fs::read_to_string(path("out")).unwrap() != texts.join("\n") + "\n" {
        assert!(start.elapsed() < LONG, "{:?}", fs::read_to_string(path("out")));
        tick().await;
    }
}

/// Dropped, it is killed.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _status = self.0.wait();
    }
}
