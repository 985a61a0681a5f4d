//! The proxy that other tests put between sender and receiver does what it says.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::support::proxy::{Mode, Proxy};

/// What does not come by then does not come.
const SHORT: Duration = Duration::from_millis(50);

/// A proxy, with what listens behind it.
async fn proxy() -> (Proxy, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    (Proxy::start(listener.local_addr().unwrap()), listener)
}

/// A connection through it: the sender's end and the receiver's.
async fn connected(proxy: &Proxy, listener: &TcpListener) -> (TcpStream, TcpStream) {
    let (sender, receiver) = tokio::join!(TcpStream::connect(proxy.address()), listener.accept());
    (sender.unwrap(), receiver.unwrap().0)
}

async fn arrives(at: &mut TcpStream, text: &str) {
    let mut read = vec![0; text.len()];
    at.read_exact(&mut read).await.unwrap();
    assert_eq!(String::from_utf8(read).unwrap(), text);
}

async fn is_reset(stream: &mut TcpStream) {
    assert_eq!(stream.read_u8().await.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn it_passes_on_both_ways_and_each_end_by_itself() {
    let (proxy, listener) = proxy().await;
    let (mut sender, mut receiver) = connected(&proxy, &listener).await;
    sender.write_all(b"there").await.unwrap();
    arrives(&mut receiver, "there").await;
    sender.shutdown().await.unwrap();
    assert_eq!(receiver.read(&mut [0; 9]).await.unwrap(), 0, "the FIN came through");
    receiver.write_all(b"and back").await.unwrap();
    arrives(&mut sender, "and back").await;
    receiver.shutdown().await.unwrap();
    assert_eq!(sender.read(&mut [0; 9]).await.unwrap(), 0);
    assert_eq!(proxy.seen().bytes, 5);
    assert_eq!(proxy.seen().connections, 1);
}

#[tokio::test]
async fn it_passes_on_far_more_than_the_buffers_hold() {
    let (proxy, listener) = proxy().await;
    proxy.delay(Duration::from_millis(1));
    let (mut sender, mut receiver) = connected(&proxy, &listener).await;
    let sent: Vec<u8> = (0..20_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    let expected = sent.clone();
    let sending = tokio::spawn(async move {
        sender.write_all(&sent).await.unwrap();
        sender.shutdown().await.unwrap();
        sender
    });
    let mut read = Vec::new();
    receiver.read_to_end(&mut read).await.unwrap();
    assert!(read == expected);
    sending.await.unwrap();
}

#[tokio::test]
async fn it_resets_both_sides() {
    let (proxy, listener) = proxy().await;
    let (mut sender, mut receiver) = connected(&proxy, &listener).await;
    sender.write_all(b"5 ab").await.unwrap();
    arrives(&mut receiver, "5 ab").await;
    proxy.reset().await;
    is_reset(&mut sender).await;
    is_reset(&mut receiver).await;
    let (mut sender, mut receiver) = connected(&proxy, &listener).await;
    sender.write_all(b"again").await.unwrap();
    arrives(&mut receiver, "again").await;
}

#[tokio::test]
async fn it_passes_a_reset_on() {
    let (proxy, listener) = proxy().await;
    let (mut sender, receiver) = connected(&proxy, &listener).await;
    socket2::SockRef::from(&receiver).set_linger(Some(Duration::ZERO)).unwrap();
    drop(receiver);
    is_reset(&mut sender).await;
}

#[tokio::test]
async fn it_cuts_after_exactly_so_many_bytes() {
    let (proxy, listener) = proxy().await;
    for after in [0, 1, 7, 100_000] {
        proxy.cut_next_after(after);
        let (mut sender, mut receiver) = connected(&proxy, &listener).await;
        let before = proxy.seen().bytes;
        let sending = tokio::spawn(async move {
            let _cut = sender.write_all(&vec![b'x'; 200_000]).await;
            sender
        });
        let mut read = Vec::new();
        let end = receiver.read_to_end(&mut read).await.unwrap_err();
        assert_eq!(end.kind(), ErrorKind::ConnectionReset);
        assert_eq!(u64::try_from(read.len()).unwrap(), after);
        assert_eq!(proxy.seen().bytes - before, after);
        sending.await.unwrap();
    }
    let (mut sender, mut receiver) = connected(&proxy, &listener).await;
    sender.write_all(b"whole").await.unwrap();
    arrives(&mut receiver, "whole").await;
}

#[tokio::test]
async fn a_blackhole_swallows_nothing_and_says_nothing() {
    let (proxy, listener) = proxy().await;
    let (mut sender, mut receiver) = connected(&proxy, &listener).await;
    proxy.set(Mode::Blackhole);
    sender.write_all(b"later").await.unwrap();
    receiver.write_all(b"as well").await.unwrap();
    let mut second = TcpStream::connect(proxy.address()).await.unwrap();
    second.write_all(b"second").await.unwrap();
    let mut byte = [0];
    assert!(timeout(SHORT, receiver.read(&mut byte)).await.is_err());
    assert!(timeout(SHORT, sender.read(&mut byte)).await.is_err());
    assert!(timeout(SHORT, listener.accept()).await.is_err());
    proxy.set(Mode::Forward);
    arrives(&mut receiver, "later").await;
    arrives(&mut sender, "as well").await;
    arrives(&mut listener.accept().await.unwrap().0, "second").await;
}

#[tokio::test]
async fn one_connection_is_half_open_while_the_next_is_not() {
    let (proxy, listener) = proxy().await;
    let (mut sender, mut receiver) = connected(&proxy, &listener).await;
    proxy.set_open(Mode::Blackhole);
    sender.write_all(b"lost").await.unwrap();
    let (mut second, mut second_receiver) = connected(&proxy, &listener).await;
    second.write_all(b"found").await.unwrap();
    arrives(&mut second_receiver, "found").await;
    assert!(timeout(SHORT, receiver.read(&mut [0])).await.is_err());
    drop(sender);
    proxy.reset().await;
    is_reset(&mut receiver).await;
}

#[tokio::test]
async fn what_it_discards_is_acknowledged_and_gone() {
    let (proxy, listener) = proxy().await;
    let (mut sender, mut receiver) = connected(&proxy, &listener).await;
    sender.write_all(b"before").await.unwrap();
    arrives(&mut receiver, "before").await;
    proxy.set(Mode::Discard);
    // More than all buffers hold: it is taken.
    sender.write_all(&vec![b'x'; 20_000_000]).await.unwrap();
    sender.shutdown().await.unwrap();
    assert!(timeout(SHORT, sender.read(&mut [0])).await.is_err(), "no FIN for what is lost");
    proxy.set(Mode::Forward);
    is_reset(&mut sender).await;
    is_reset(&mut receiver).await;
    assert_eq!(proxy.seen().bytes, 6);
}

#[tokio::test]
async fn it_refuses_and_accepts_again_at_the_same_address() {
    let (mut proxy, listener) = proxy().await;
    let (mut sender, mut receiver) = connected(&proxy, &listener).await;
    proxy.refuse().await;
    let refused = TcpStream::connect(proxy.address()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    sender.write_all(b"goes on").await.unwrap();
    arrives(&mut receiver, "goes on").await;
    proxy.accept();
    let (mut sender, mut receiver) = connected(&proxy, &listener).await;
    sender.write_all(b"back").await.unwrap();
    arrives(&mut receiver, "back").await;
    assert_eq!(proxy.until(|seen| seen.bytes == 11).await.connections, 2);
}

#[tokio::test]
async fn it_delays_each_way() {
    let (proxy, listener) = proxy().await;
    proxy.delay(Duration::from_millis(40));
    let (mut sender, mut receiver) = connected(&proxy, &listener).await;
    let start = Instant::now();
    sender.write_all(b"there").await.unwrap();
    arrives(&mut receiver, "there").await;
    receiver.write_all(b"back").await.unwrap();
    arrives(&mut sender, "back").await;
    assert!(start.elapsed() >= Duration::from_millis(80));
}
