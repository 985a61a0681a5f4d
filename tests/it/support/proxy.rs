//! A TCP proxy on this machine that does to connections what networks and other proxies do.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Buf, Bytes};
use socket2::{Domain, SockRef, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

/// Forwards connections to one address; dropped, it closes them.
///
/// What either side sends is acknowledged by the proxy's kernel, whatever the proxy does with it.
pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    place: Place,
}

/// What happens to the bytes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// They are passed on, and so are FIN and RST, each way.
    Forward,
    /// Nothing is read from either side; all stays open, and what waits is kept.
    Blackhole,
    /// What the sender sends is read and thrown away, and it hears nothing. Out of this mode a
    /// connection comes by a reset alone: it has a hole.
    Discard,
}

enum Place {
    Listening(JoinHandle<()>),
    /// Bound, so that nobody else takes the port, but refusing.
    Refusing(Socket),
}

struct Shared {
    to: SocketAddr,
    state: Mutex<State>,
    /// Bytes passed on to the receiver, and connections accepted, since the start.
    seen: watch::Sender<Seen>,
}

#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) bytes: u64,
    pub(crate) connections: usize,
}

struct State {
    mode: Mode,
    latency: Duration,
    cuts: VecDeque<u64>,
    lines: Vec<watch::Sender<Order>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Be(Mode),
    Reset,
}

/// The connection has to be reset on both sides.
struct Torn;

impl From<io::Error> for Torn {
    fn from(_: io::Error) -> Self {
        Self
    }
}

impl Proxy {
    pub(crate) fn start(to: SocketAddr) -> Self {
        let socket = bound(SocketAddr::from(([127, 0, 0, 1], 0)));
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        let state =
            State { mode: Mode::Forward, latency: Duration::ZERO, cuts: VecDeque::new(), lines: Vec::new() };
        let (seen, _) = watch::channel(Seen::default());
        let shared = Arc::new(Shared { to, state: Mutex::new(state), seen });
        let place = Place::listen(socket, &shared);
        Self { address, shared, place }
    }

    /// Where the sender has to connect to.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Resets each open connection on both sides, wherever it is, and waits until that is done.
    pub(crate) async fn reset(&self) {
        for line in self.order(Order::Reset) {
            line.closed().await;
        }
    }

    /// Treats all connections so, open ones and those to come. A connection that comes in a blackhole
    /// is accepted, and no more.
    pub(crate) fn set(&self, mode: Mode) {
        self.shared.state.lock().unwrap().mode = mode;
        self.order(Order::Be(mode));
    }

    /// Treats the connections that are open now so, and none that come.
    pub(crate) fn set_open(&self, mode: Mode) {
        self.order(Order::Be(mode));
    }

    /// The next connection (called again: the one after it) is reset on both sides once exactly so many
    /// of the sender's bytes have been passed on.
    pub(crate) fn cut_next_after(&self, bytes: u64) {
        self.shared.state.lock().unwrap().cuts.push_back(bytes);
    }

    /// Keeps each piece for so long on its way, in either direction; for connections to come.
    pub(crate) fn delay(&self, latency: Duration) {
        self.shared.state.lock().unwrap().latency = latency;
    }

    /// Refuses new connections; open ones go on.
    pub(crate) async fn refuse(&mut self) {
        if let Place::Listening(task) = &mut self.place {
            task.abort();
            let _aborted = task.await;
            self.place = Place::Refusing(bound(self.address));
        }
    }

    /// Accepts connections again.
    pub(crate) fn accept(&mut self) {
        if let Place::Refusing(socket) = &self.place {
            self.place = Place::listen(socket.try_clone().unwrap(), &self.shared);
        }
    }

    /// What it has carried until now.
    pub(crate) fn seen(&self) -> Seen {
        *self.shared.seen.borrow()
    }

    /// Waits until it has carried so much.
    pub(crate) async fn until(&self, enough: impl FnMut(&Seen) -> bool) -> Seen {
        *self.shared.seen.subscribe().wait_for(enough).await.unwrap()
    }

    fn order(&self, order: Order) -> Vec<watch::Sender<Order>> {
        let mut state = self.shared.state.lock().unwrap();
        state.lines.retain(|line| line.send(order).is_ok());
        state.lines.clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Place::Listening(task) = &self.place {
            task.abort();
        }
        self.order(Order::Reset);
    }
}

/// A socket at this address at which nobody listens yet.
fn bound(address: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind(&address.into()).unwrap();
    socket
}

impl Place {
    fn listen(socket: Socket, shared: &Arc<Shared>) -> Self {
        socket.listen(1024).unwrap();
        let listener = TcpListener::from_std(socket.into()).unwrap();
        Self::Listening(tokio::spawn(accept(listener, Arc::clone(shared))))
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let (sender, _) = listener.accept().await.unwrap();
        let line = Line::open(&shared);
        // A line ends by itself, or by the proxy's order: it outlives a listener that refuses.
        tokio::spawn(line.run(sender));
    }
}

/// One connection.
struct Line {
    shared: Arc<Shared>,
    orders: watch::Receiver<Order>,
    latency: Duration,
    cut: Option<u64>,
}

impl Line {
    fn open(shared: &Arc<Shared>) -> Self {
        let mut state = shared.state.lock().unwrap();
        let (order, orders) = watch::channel(Order::Be(state.mode));
        state.lines.push(order);
        shared.seen.send_modify(|seen| seen.connections += 1);
        Self { shared: Arc::clone(shared), orders, latency: state.latency, cut: state.cuts.pop_front() }
    }

    async fn run(self, mut sender: TcpStream) {
        let mut receiver = None;
        if self.forward(&mut sender, &mut receiver).await.is_err() {
            for stream in [Some(sender), receiver].into_iter().flatten() {
                let _reset = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
            }
        }
    }

    async fn forward(&self, sender: &mut TcpStream, receiver: &mut Option<TcpStream>) -> Result<(), Torn> {
        let mut orders = self.orders.clone();
        let order = *orders.wait_for(|order| *order != Order::Be(Mode::Blackhole)).await.map_err(|_| Torn)?;
        if order == Order::Reset {
            return Err(Torn);
        }
        let receiver = receiver.insert(TcpStream::connect(self.shared.to).await?);
        for stream in [&*sender, &*receiver] {
            stream.set_nodelay(true)?;
        }
        let (from_sender, to_sender) = sender.split();
        let (from_receiver, to_receiver) = receiver.split();
        let there = self.direction(true).pump(from_sender, to_receiver);
        let back = self.direction(false).pump(from_receiver, to_sender);
        tokio::try_join!(there, back)?;
        Ok(())
    }

    fn direction(&self, there: bool) -> Direction<'_> {
        Direction {
            line: self,
            there,
            orders: self.orders.clone(),
            left: self.cut.filter(|_| there).unwrap_or(u64::MAX),
            under_way: VecDeque::new(),
            ended: false,
            has_hole: false,
        }
    }
}

/// One direction of a connection.
struct Direction<'a> {
    line: &'a Line,
    /// From the sender to the receiver.
    there: bool,
    orders: watch::Receiver<Order>,
    /// Bytes to read before the cut.
    left: u64,
    under_way: VecDeque<(Instant, Bytes)>,
    ended: bool,
    has_hole: bool,
}

impl Direction<'_> {
    /// Passes on until the end has been passed on too.
    async fn pump(mut self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> Result<(), Torn> {
        while !self.ended || !self.under_way.is_empty() {
            let order = *self.orders.borrow_and_update();
            let discards = order == Order::Be(Mode::Discard);
            match order {
                Order::Reset => return Err(Torn),
                Order::Be(Mode::Forward) if self.has_hole => return Err(Torn),
                Order::Be(Mode::Blackhole) => {
                    self.orders.changed().await.map_err(|_| Torn)?;
                    continue;
                }
                Order::Be(Mode::Forward | Mode::Discard) => {}
            }
            if discards {
                self.has_hole |= !self.under_way.is_empty();
                self.under_way.clear();
            }
            if self.left == 0 && self.under_way.is_empty() {
                return Err(Torn);
            }
            let reads = !self.ended && self.left > 0 && self.under_way.len() < MOST_PIECES;
            let mut buffer = Vec::with_capacity(PIECE);
            let mut piece = (&mut from).take(self.left);
            tokio::select! {
                biased;
                changed = self.orders.changed() => changed.map_err(|_| Torn)?,
                written = write(&mut to, self.under_way.front()), if !self.under_way.is_empty() => {
                    self.written(written?);
                }
                read = piece.read_buf(&mut buffer), if reads => match read? {
                    0 => self.ended = true,
                    read => {
                        self.left -= u64::try_from(read).unwrap();
                        if discards {
                            self.has_hole = true;
                        } else {
                            self.under_way.push_back((Instant::now() + self.line.latency, buffer.into()));
                        }
                    }
                }
            }
        }
        // A sender whose bytes were thrown away is not answered.
        if self.has_hole {
            let ends = |order: &Order| matches!(order, Order::Reset | Order::Be(Mode::Forward));
            let _reset = self.orders.wait_for(ends).await;
            return Err(Torn);
        }
        Ok(to.shutdown().await?)
    }

    fn written(&mut self, count: usize) {
        let (_, piece) = self.under_way.front_mut().unwrap();
        piece.advance(count);
        if piece.is_empty() {
            self.under_way.pop_front();
        }
        if self.there {
            let count = u64::try_from(count).unwrap();
            self.line.shared.seen.send_modify(|seen| seen.bytes += count);
        }
    }
}

/// Writes a part of the piece when it is due.
async fn write(to: &mut WriteHalf<'_>, piece: Option<&(Instant, Bytes)>) -> io::Result<usize> {
    let (due, bytes) = piece.unwrap();
    sleep_until(*due).await;
    to.write(bytes).await
}

const PIECE: usize = 64 * 1024;
const MOST_PIECES: usize = 256;
