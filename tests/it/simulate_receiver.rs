//! The simulated receiver: every transport, every way to misbehave, and what it answers for.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use slackcef::net::provider;
use slackcef::simulate::receiver::{
    Arrival, Ended, Fault, Hold, Receiver, ServerTls, Settings, StartError, Transport,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket, UnixDatagram, UnixStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::certificates::Certificates;
use crate::support::daemon::{PATIENCE, tick};

/// What does not come by then does not come.
const SHORT: Duration = Duration::from_millis(50);

async fn receiver(settings: Settings) -> Receiver {
    Receiver::start(settings).await.unwrap()
}

async fn with(faults: &[Fault]) -> Receiver {
    receiver(Settings { faults: faults.to_vec(), ..Settings::default() }).await
}

async fn connect(receiver: &Receiver) -> TcpStream {
    TcpStream::connect(receiver.address()).await.unwrap()
}

/// Takes so many messages, and tells of which connection each was.
async fn messages(receiver: &mut Receiver, n: usize) -> Vec<(u64, String)> {
    let mut found = Vec::new();
    while found.len() < n {
        let message = timeout(PATIENCE, receiver.next_message()).await.expect("a message arrives").unwrap();
        found.push((message.connection, String::from_utf8(message.text.to_vec()).unwrap()));
    }
    found
}

async fn texts(receiver: &mut Receiver, n: usize) -> Vec<String> {
    messages(receiver, n).await.into_iter().map(|(_, text)| text).collect()
}

/// How the next connection that ends does so.
async fn ended(receiver: &mut Receiver) -> (u64, Ended) {
    loop {
        let arrival = timeout(PATIENCE, receiver.next()).await.expect("something arrives").unwrap();
        if let Arrival::Ended { connection, how, .. } = arrival {
            return (connection, how);
        }
    }
}

/// The end as the sender sees it: what was said before it, and whether it was a FIN.
async fn seen_end(stream: &mut TcpStream) -> (Vec<u8>, bool) {
    let mut said = Vec::new();
    let end = timeout(PATIENCE, stream.read_to_end(&mut said)).await.expect("it ends");
    (said, end.is_ok())
}

#[tokio::test]
async fn a_datagram_is_a_message_over_udp_and_unix() {
    let mut udp = receiver(Settings { transport: Transport::Udp, ..Settings::default() }).await;
    let sender = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for text in ["<1>a", "<1>b\nc", ""] {
        sender.send_to(text.as_bytes(), udp.address()).await.unwrap();
    }
    assert_eq!(texts(&mut udp, 3).await, ["<1>a", "<1>b\nc", ""]);

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let settings = Settings { transport: Transport::UnixDatagram(path.clone()), ..Settings::default() };
    let mut unix = receiver(settings).await;
    let sender = UnixDatagram::unbound().unwrap();
    let large = "x".repeat(150_000);
    for text in ["<1>a", &large] {
        sender.send_to(text.as_bytes(), &path).await.unwrap();
    }
    assert_eq!(texts(&mut unix, 2).await, ["<1>a", &large]);
}

#[tokio::test]
async fn a_unix_stream_has_frames_and_an_end_that_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let settings = Settings { transport: Transport::UnixStream(path.clone()), ..Settings::default() };
    let mut first = receiver(settings.clone()).await;
    let mut sender = UnixStream::connect(&path).await.unwrap();
    sender.write_all(b"4 <1>a4 <1>b3 <1").await.unwrap();
    sender.shutdown().await.unwrap();
    assert_eq!(sender.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(texts(&mut first, 2).await, ["<1>a", "<1>b"]);

    let taken = Receiver::start(settings.clone()).await.unwrap_err();
    assert!(matches!(taken, StartError::ListenAt { .. }), "somebody listens there: {taken}");
    first.stop().await;
    assert_eq!(UnixStream::connect(&path).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    let _second = receiver(settings.clone()).await;
    UnixStream::connect(&path).await.unwrap();

    let file = dir.path().join("file");
    fs::write(&file, "not a socket").unwrap();
    let settings = Settings { transport: Transport::UnixStream(file.clone()), ..settings };
    assert!(Receiver::start(settings).await.is_err());
    assert!(file.exists(), "only dead sockets are removed");
}

#[tokio::test]
async fn a_datagram_socket_that_stalls_takes_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let transport = Transport::UnixDatagram(path.clone());
    let settings = Settings { transport, faults: vec![Fault::StallAfter(1)], ..Settings::default() };
    let mut receiver = receiver(settings).await;
    let sender = UnixDatagram::unbound().unwrap();
    sender.connect(&path).unwrap();
    let mut sent = 0;
    while let Ok(taken) = timeout(SHORT, sender.send(b"<1>a")).await {
        taken.unwrap();
        sent += 1;
    }
    assert!(sent > 1, "the first was read, and the kernel has room for some");
    messages(&mut receiver, 1).await;
    assert!(timeout(SHORT, receiver.next_message()).await.is_err());
}

/// Connects by TLS with rustls itself.
async fn tls(certificates: &Certificates, receiver: &Receiver) -> TlsStream<TcpStream> {
    use rustls::pki_types::pem::PemObject;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(rustls::pki_types::CertificateDer::from_pem_file(certificates.ca()).unwrap()).unwrap();
    let config = rustls::ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = connect(receiver).await;
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
}

/// Asks for a receipt: a `KeyUpdate` that has to be answered.
async fn ask(stream: &mut TlsStream<TcpStream>) {
    stream.get_mut().1.refresh_traffic_keys().unwrap();
    stream.flush().await.unwrap();
}

/// The length of the next TLS record as it lies on the wire; none: the end.
async fn record(socket: &mut TcpStream) -> Option<usize> {
    let mut header = [0; 5];
    timeout(PATIENCE, socket.read_exact(&mut header)).await.expect("a record or the end comes").ok()?;
    let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
    socket.read_exact(&mut vec![0; length]).await.unwrap();
    Some(length)
}

/// The one handshake message in it is 5 bytes long, then come its type and the tag.
fn is_key_update(length: usize) -> bool {
    length == 22
}

#[tokio::test]
async fn a_key_update_is_answered_once_what_came_before_it_is_stored() {
    let certificates = Certificates::new();
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("stored");
    let settings = Settings {
        tls: Some(ServerTls::new(certificates.server())),
        store: Some(store.clone()),
        ..Settings::default()
    };
    let receiver = receiver(settings).await;
    let mut stream = tls(&certificates, &receiver).await;
    let mut expected = 0;
    for round in 0..100 {
        for n in 0..=round {
            stream.write_all(format!("<1>{round} {n}\n").as_bytes()).await.unwrap();
            expected += 1;
        }
        ask(&mut stream).await;
        while !is_key_update(record(stream.get_mut().0).await.expect("it is answered")) {}
        assert_eq!(fs::read_to_string(&store).unwrap().lines().count(), expected);
        if round == 40 {
            break;
        }
    }
}

#[tokio::test]
async fn one_that_ignores_key_updates_says_nothing_at_all() {
    let certificates = Certificates::new();
    let tls_settings = ServerTls { ignores_key_updates: true, ..ServerTls::new(certificates.server()) };
    let mut receiver = receiver(Settings { tls: Some(tls_settings), ..Settings::default() }).await;
    let mut stream = tls(&certificates, &receiver).await;
    for n in 0..3 {
        stream.write_all(format!("<1>{n}\n").as_bytes()).await.unwrap();
        ask(&mut stream).await;
    }
    assert_eq!(texts(&mut receiver, 3).await, ["<1>0", "<1>1", "<1>2"]);
    stream.shutdown().await.unwrap();
    while let Some(length) = record(stream.get_mut().0).await {
        assert!(length > 64, "{length}: this is no session ticket");
    }
}

#[tokio::test]
async fn a_stored_line_is_there_before_the_end_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("stored");
    let settings = Settings { store: Some(store.clone()), ..Settings::default() };
    let receiver = receiver(settings).await;
    let mut sender = connect(&receiver).await;
    sender.write_all(b"4 <1>a7 <1>b\nc\n").await.unwrap();
    sender.shutdown().await.unwrap();
    assert_eq!(seen_end(&mut sender).await, (Vec::new(), true));
    assert_eq!(fs::read_to_string(&store).unwrap(), "<1>a\n<1>b#012c#012\n");
    let settings = Settings { store: Some(dir.path().to_owned()), ..Settings::default() };
    assert!(matches!(Receiver::start(settings).await, Err(StartError::Store { .. })));
}

#[tokio::test]
async fn what_cannot_be_stored_is_not_answered_for() {
    let settings = Settings { store: Some("/dev/full".into()), ..Settings::default() };
    let mut receiver = receiver(settings).await;
    connect(&receiver).await.write_all(b"<1>a\n").await.unwrap();
    assert!(matches!(ended(&mut receiver).await, (0, Ended::Unstored(_))));
}

#[tokio::test]
async fn what_is_held_is_lost_with_the_receiver() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("stored");
    let holds = Some(Hold { time: Duration::from_secs(3600), messages: 3 });
    let settings = Settings { holds, store: Some(store.clone()), ..Settings::default() };
    let mut receiver = receiver(settings).await;
    let mut sender = connect(&receiver).await;
    sender.write_all(b"<1>0\n<1>1\n<1>2\n<1>3\n<1>4\n").await.unwrap();
    sender.shutdown().await.unwrap();
    assert_eq!(seen_end(&mut sender).await, (Vec::new(), true), "it has been answered for");
    assert_eq!(texts(&mut receiver, 2).await, ["<1>0", "<1>1"]);
    receiver.stop().await;
    assert_eq!(fs::read_to_string(&store).unwrap(), "<1>0\n<1>1\n");
}

#[tokio::test]
async fn what_is_held_is_stored_when_its_time_has_come() {
    let time = Duration::from_millis(100);
    let holds = Some(Hold { time, messages: 1000 });
    let mut receiver = receiver(Settings { holds, ..Settings::default() }).await;
    let start = Instant::now();
    connect(&receiver).await.write_all(b"<1>0\n<1>1\n").await.unwrap();
    assert!(matches!(ended(&mut receiver).await, (0, Ended::BySender)), "ends are told as they come");
    assert_eq!(texts(&mut receiver, 2).await, ["<1>0", "<1>1"]);
    assert!(start.elapsed() >= time);
}

#[tokio::test]
async fn poison_closes_each_connection_and_spares_the_others() {
    for resets in [false, true] {
        let settings =
            Settings { poison: Some("evil".to_owned()), poison_resets: resets, ..Settings::default() };
        let mut receiver = receiver(settings).await;
        for round in 0..3 {
            let mut sender = connect(&receiver).await;
            sender.write_all(b"7 <1>good").await.unwrap();
            assert_eq!(messages(&mut receiver, 1).await, [(2 * round, "<1>good".to_owned())]);
            sender.write_all(b"10 <1>an evil").await.unwrap();
            assert!(matches!(ended(&mut receiver).await, (_, Ended::ByPoison)));
            assert_eq!(seen_end(&mut sender).await, (Vec::new(), !resets));
            let mut sender = connect(&receiver).await;
            sender.write_all(b"<1>good too\n").await.unwrap();
            assert_eq!(texts(&mut receiver, 1).await, ["<1>good too"]);
        }
    }
}

#[tokio::test]
async fn faults_come_in_their_order_and_the_last_for_ever() {
    let settings = Settings {
        faults: vec![Fault::HangUpAfter(0), Fault::None],
        afterwards: Fault::HangUpAfter(1),
        ..Settings::default()
    };
    let mut receiver = receiver(settings).await;
    for expected in [0, 3, 1, 1] {
        let mut sender = connect(&receiver).await;
        sender.write_all(b"<1>a\n<1>b\n<1>c\n").await.unwrap();
        sender.shutdown().await.unwrap();
        let mut taken = 0;
        loop {
            match receiver.next().await.unwrap() {
                Arrival::Message(_) => taken += 1,
                Arrival::Ended { .. } => break,
                _ => {}
            }
        }
        assert_eq!(taken, expected);
    }
}

#[tokio::test]
async fn a_deaf_receiver_accepts_and_is_never_heard() {
    let certificates = Certificates::new();
    let settings = Settings {
        tls: Some(ServerTls::new(certificates.server())),
        faults: vec![Fault::Deaf],
        ..Settings::default()
    };
    let receiver = receiver(settings).await;
    assert!(timeout(SHORT, tls(&certificates, &receiver)).await.is_err());
    tls(&certificates, &receiver).await;
}

#[tokio::test]
async fn a_slow_receiver_reads_evenly() {
    let certificates = Certificates::new();
    for is_tls in [false, true] {
        let settings = Settings {
            tls: is_tls.then(|| ServerTls::new(certificates.server())),
            afterwards: Fault::Slow(100),
            ..Settings::default()
        };
        let mut receiver = receiver(settings).await;
        let start = Instant::now();
        let text = b"<1>a\n".repeat(6);
        let _sender: Box<dyn Send> = if is_tls {
            let mut sender = tls(&certificates, &receiver).await;
            sender.write_all(&text).await.unwrap();
            Box::new(sender)
        } else {
            let mut sender = connect(&receiver).await;
            sender.write_all(&text).await.unwrap();
            Box::new(sender)
        };
        texts(&mut receiver, 1).await;
        texts(&mut receiver, 5).await;
        // 30 bytes, of which the first 5 come at once.
        assert!(start.elapsed() >= Duration::from_millis(240), "{:?}", start.elapsed());
    }
}

#[tokio::test]
async fn a_receiver_that_talks_does_so_while_it_reads() {
    let mut receiver = with(&[Fault::Talk(Duration::from_millis(1))]).await;
    let mut sender = connect(&receiver).await;
    let mut line = [0; 16];
    for _ in 0..10 {
        sender.write_all(b"<1>a\n").await.unwrap();
        sender.read_exact(&mut line).await.unwrap();
        assert_eq!(&line, b"250 still here\r\n");
        texts(&mut receiver, 1).await;
    }
    // Nobody reads what it says now; it reads on all the same.
    for _ in 0..50 {
        sender.write_all(&b"<1>a\n".repeat(100)).await.unwrap();
        texts(&mut receiver, 100).await;
    }
}

#[tokio::test]
async fn an_end_may_stay_without_an_answer() {
    let mut receiver = with(&[Fault::NeverClose]).await;
    let mut sender = connect(&receiver).await;
    sender.write_all(b"<1>a\n").await.unwrap();
    sender.shutdown().await.unwrap();
    assert!(matches!(ended(&mut receiver).await, (0, Ended::BySender)));
    assert!(timeout(SHORT, sender.read(&mut [0])).await.is_err());
    receiver.stop().await;
    assert_eq!(seen_end(&mut sender).await, (Vec::new(), true));
}

#[tokio::test]
async fn a_pause_ends_and_a_stall_does_not() {
    let pause = Duration::from_millis(100);
    let mut receiver = with(&[Fault::PauseAfter(1, pause), Fault::StallAfter(1)]).await;
    let mut first = connect(&receiver).await;
    let start = Instant::now();
    first.write_all(b"<1>0\n<1>1\n").await.unwrap();
    assert_eq!(texts(&mut receiver, 2).await, ["<1>0", "<1>1"]);
    assert!(start.elapsed() >= pause);
    let mut second = connect(&receiver).await;
    second.write_all(b"<1>2\n<1>3\n").await.unwrap();
    assert_eq!(texts(&mut receiver, 1).await, ["<1>2"]);
    assert!(timeout(SHORT, receiver.next_message()).await.is_err());
}

#[tokio::test]
async fn a_small_buffer_shuts_the_window_early() {
    let settings =
        Settings { receive_buffer: Some(4096), faults: vec![Fault::StallAfter(0)], ..Settings::default() };
    let receiver = receiver(settings).await;
    let sender = connect(&receiver).await;
    socket2::SockRef::from(&sender).set_send_buffer_size(4096).unwrap();
    let mut taken = 0;
    loop {
        match timeout(SHORT, sender.writable()).await {
            Err(_) => break,
            Ok(ready) => ready.unwrap(),
        }
        taken += sender.try_write(&[0; 4096]).unwrap_or(0);
        assert!(taken < 200_000, "the window never shuts");
    }
    assert!(taken > 0);
}

#[tokio::test]
async fn a_receiver_that_goes_away_refuses_until_it_is_back() {
    let away = Duration::from_millis(300);
    let mut receiver = with(&[Fault::None, Fault::GoAwayAfter(1, away)]).await;
    let mut bystander = connect(&receiver).await;
    bystander.write_all(b"<1>0\n").await.unwrap();
    assert_eq!(messages(&mut receiver, 1).await, [(0, "<1>0".to_owned())]);
    let mut sender = connect(&receiver).await;
    sender.write_all(b"<1>1\n<1>2\n").await.unwrap();
    assert_eq!(messages(&mut receiver, 1).await, [(1, "<1>1".to_owned())]);
    let gone = Instant::now();
    assert!(matches!(ended(&mut receiver).await, (1, Ended::ByFault)));
    for stream in [&mut sender, &mut bystander] {
        seen_end(stream).await;
    }
    let mut refused = 0;
    let mut back = loop {
        match TcpStream::connect(receiver.address()).await {
            Ok(stream) => break stream,
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionRefused),
        }
        refused += 1;
        tick().await;
    };
    assert!(refused > 0 && gone.elapsed() >= away);
    back.write_all(b"<1>2\n").await.unwrap();
    assert_eq!(messages(&mut receiver, 1).await, [(2, "<1>2".to_owned())]);
}

mod process {
    //! The same as a process of its own, which can be killed.

    use std::io::{BufRead, BufReader};
    use std::process::{Child, Command, Stdio};

    use super::*;

    struct Process {
        child: Child,
        address: String,
    }

    fn start(arguments: &[&str]) -> Process {
        let mut command = Command::new(env!("CARGO_BIN_EXE_slackcef"));
        command.args(["simulate", "receiver", "--listen", "127.0.0.1:0"]).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        said.read_line(&mut line).unwrap();
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        let (_, place) = line.trim().split_once("listens on ").unwrap_or_else(|| panic!("{line}"));
        let address = place.split(' ').next().unwrap().to_owned();
        Process { child, address }
    }

    impl Process {
        fn kill(mut self) {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
        }
    }

    #[tokio::test]
    async fn what_it_has_answered_for_survives_its_death() {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("stored");
        let process = start(&["--plain", "--store", store.to_str().unwrap()]);
        let mut sender = TcpStream::connect(&process.address).await.unwrap();
        for n in 0..2_000 {
            let text = format!("<134>{n} {}", "x".repeat(300));
            sender.write_all(format!("{} {text}", text.len()).as_bytes()).await.unwrap();
        }
        sender.shutdown().await.unwrap();
        assert_eq!(seen_end(&mut sender).await, (Vec::new(), true));
        process.kill();
        assert_eq!(numbers(&store), (0..2_000).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_fault_and_a_hold_can_be_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("stored");
        let store_at = store.to_str().unwrap();
        let process = start(&[
            "--plain",
            "--store",
            store_at,
            "--hold",
            "1h",
            "--hold-most",
            "1",
            "--fault",
            "hang-up-after=3",
        ]);
        let mut sender = TcpStream::connect(&process.address).await.unwrap();
        sender.write_all(b"<134>0\n<134>1\n<134>2\n<134>3\n").await.unwrap();
        seen_end(&mut sender).await;
        let start = Instant::now();
        while numbers(&store).len() < 2 {
            assert!(start.elapsed() < PATIENCE);
            tick().await;
        }
        process.kill();
        assert_eq!(numbers(&store), [0, 1]);
    }

    /// The numbers after `>` in each stored line; each line is whole.
    fn numbers(store: &Path) -> Vec<u32> {
        let text = fs::read_to_string(store).unwrap_or_default();
        assert!(text.is_empty() || text.ends_with('\n'));
        let number = |line: &str| line.split(['>', ' ']).nth(1).unwrap().parse().unwrap();
        text.lines().map(number).collect()
    }
}
