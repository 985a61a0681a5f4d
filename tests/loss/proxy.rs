//! Stands between sender and receiver, passes everything on, and then does not.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::transport::Place;

/// What is done with what comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    Passing,
    /// Nothing is read: windows fill up.
    Holding,
    /// What the sender sends is read, and so acknowledged, and goes nowhere.
    Discarding,
}

#[derive(Debug, Clone, Copy)]
struct Order {
    doing: Doing,
    /// The connections that are there when it grows are cut: in the middle of a frame, the sender by a
    /// reset, the receiver by a reset or an orderly end in turn.
    cuts: u32,
}

/// A proxy; dropped, it is gone with all its connections.
pub(crate) struct Proxy {
    orders: watch::Sender<Order>,
    _stop: DropGuard,
}

impl Proxy {
    /// Listens at `here` and passes on to `there`.
    pub(crate) async fn start(here: &Place, there: &Place) -> io::Result<Self> {
        let orders = watch::Sender::new(Order { doing: Doing::Passing, cuts: 0 });
        let stop = CancellationToken::new();
        let heard = orders.subscribe();
        match (here.clone(), there.clone()) {
            (Place::Path(here), Place::Path(there)) => {
                let listener = UnixListener::bind(here)?;
                let serve = async move {
                    let mut relays = JoinSet::new();
                    while let Ok((client, _)) = listener.accept().await {
                        let Ok(server) = UnixStream::connect(&there).await else { continue };
                        relays.spawn(relay(client, server, heard.clone()));
                    }
                };
                tokio::spawn(stop.clone().run_until_cancelled_owned(serve));
            }
            (here, there) => {
                let listener = TcpListener::bind(here.address()).await?;
                let serve = async move {
                    let mut relays = JoinSet::new();
                    while let Ok((client, _)) = listener.accept().await {
                        let Ok(server) = TcpStream::connect(there.address()).await else { continue };
                        let _quick = (client.set_nodelay(true), server.set_nodelay(true));
                        relays.spawn(relay(client, server, heard.clone()));
                    }
                };
                tokio::spawn(stop.clone().run_until_cancelled_owned(serve));
            }
        }
        Ok(Self { orders, _stop: stop.drop_guard() })
    }

    /// Cuts every connection in the middle of a frame.
    pub(crate) fn cut(&self) {
        self.orders.send_modify(|order| *order = Order { doing: Doing::Passing, cuts: order.cuts + 1 });
    }

    /// Reads nothing more, in either direction.
    pub(crate) fn hold(&self) {
        self.orders.send_modify(|order| order.doing = Doing::Holding);
    }

    /// Takes everything and passes nothing on.
    pub(crate) fn discard(&self) {
        self.orders.send_modify(|order| order.doing = Doing::Discarding);
    }
}

/// How long a connection may stay without a byte before it is cut between two frames.
const SILENCE: Duration = Duration::from_millis(300);

/// How one direction of a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// In order, and the other side was told.
    Finished,
    /// By our cut.
    Cut,
    /// By one of the two sides.
    Broken,
}

async fn relay<S>(client: S, server: S, orders: watch::Receiver<Order>)
where
    S: AsyncRead + AsyncWrite + AsFd + Unpin,
{
    let cuts = orders.borrow().cuts;
    // The sockets of the halves, for the way in which they shall be closed: they live longest.
    let sockets = [&client, &server].map(|stream| SockRef::from(stream).try_clone());
    let ((from_client, to_client), (from_server, to_server)) = (split(client), split(server));
    let up = pass(from_client, to_server, orders.clone(), Some(cuts));
    let down = pass(from_server, to_client, orders.clone(), None);
    let ended = {
        tokio::pin!(up, down);
        let both = async {
            tokio::select! {
                end = &mut up => if end == End::Finished { down.await } else { end },
                end = &mut down => if end == End::Finished { up.await } else { end },
            }
        };
        let mut heard = orders.clone();
        let silence = async move {
            let _cut = heard.wait_for(|order| order.cuts != cuts).await.map(|order| order.cuts);
            tokio::time::sleep(SILENCE).await;
        };
        tokio::select! {
            end = both => end,
            () = silence => End::Cut,
        }
    };
    let count = orders.borrow().cuts;
    for (socket, is_server) in sockets.iter().flatten().zip([false, true]) {
        let orderly = ended == End::Finished || (is_server && ended == End::Cut && count % 2 == 1);
        if !orderly {
            let _reset = socket.set_linger(Some(Duration::ZERO));
        }
    }
}

/// Passes on what comes, as ordered; where `cuts` is given, half of a piece when cutting is ordered.
async fn pass<S: AsyncRead + AsyncWrite + Unpin>(
    mut from: ReadHalf<S>,
    mut to: WriteHalf<S>,
    mut orders: watch::Receiver<Order>,
    cuts: Option<u32>,
) -> End {
    let mut piece = vec![0; 64 * 1024];
    // Behind a gap nothing is passed on: it would begin in the middle of a frame.
    let mut gap = false;
    loop {
        let order = *orders.borrow_and_update();
        if order.doing == Doing::Holding {
            if orders.changed().await.is_err() {
                return End::Broken;
            }
            continue;
        }
        let read = tokio::select! {
            read = from.read(&mut piece) => read,
            changed = orders.changed() => if changed.is_ok() { continue } else { return End::Broken },
        };
        let Ok(read) = read else { return End::Broken };
        if read == 0 {
            return if to.shutdown().await.is_ok() { End::Finished } else { End::Broken };
        }
        gap |= order.doing == Doing::Discarding && cuts.is_some();
        let cutting = cuts.is_some_and(|cuts| cuts != order.cuts);
        let passed = piece.get(..if cutting { read.div_ceil(2) } else { read }).unwrap_or_default();
        if !gap && to.write_all(passed).await.is_err() {
            return End::Broken;
        }
        if cutting {
            return End::Cut;
        }
    }
}
