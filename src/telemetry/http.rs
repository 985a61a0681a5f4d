//! Pages over HTTP that show how the forwarder is: `/status`, `/healthz`, `/readyz`.
//!
//! What they show is made by the caller, anew for each request; this is the way out alone.
//!
//! **Invariant:** nothing can be changed from here, and nothing that was sent is repeated.
//! **Invariant:** whoever connects, and however often, takes a bounded share: so many connections at
//! once, each for so long. What the forwarder delivers by must not run out of file descriptors
//! because of those who look on.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;
use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;

/// What the pages show at this moment.
#[derive(Clone)]
pub struct Pages {
    status: Arc<dyn Fn() -> Text + Send + Sync>,
    not_ready: Arc<dyn Fn() -> Vec<String> + Send + Sync>,
}

type Text = Pin<Box<dyn Future<Output = String> + Send>>;

impl Pages {
    /// `status` gives the JSON text of `/status`; `not_ready` why `/readyz` answers 503, or nothing.
    pub fn new<F: Future<Output = String> + Send + 'static>(
        status: impl Fn() -> F + Send + Sync + 'static,
        not_ready: impl Fn() -> Vec<String> + Send + Sync + 'static,
    ) -> Self {
        Self { status: Arc::new(move || Box::pin(status())), not_ready: Arc::new(not_ready) }
    }
}

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages").finish_non_exhaustive()
    }
}

/// An address that is listened on, with nobody served yet.
#[derive(Debug)]
pub struct Window {
    listener: TcpListener,
    here_only: bool,
    /// How long a connection lasts, busy or not.
    lasts: Duration,
}

/// So many look on at once; others wait.
const CONNECTIONS: usize = 32;
/// For any page, and for one that scrapes by one connection again and again.
const LASTS: Duration = Duration::from_secs(30);

impl Window {
    /// Listens on `address`.
    ///
    /// # Errors
    /// The address is taken, or none of this machine's.
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self { listener, here_only: address.ip().is_loopback(), lasts: LASTS })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves the pages until dropped.
    pub async fn show(self, pages: Pages) {
        let mut router = Router::new()
            .route("/status", get(status))
            .route("/healthz", get(async || answer(StatusCode::OK, PLAIN, "ok\n".to_owned())))
            .route("/readyz", get(ready))
            .method_not_allowed_fallback(async || {
                answer(StatusCode::METHOD_NOT_ALLOWED, PLAIN, "GET alone\n".to_owned())
            })
            .fallback(async || {
                let known = "here are /status, /healthz and /readyz\n";
                answer(StatusCode::NOT_FOUND, PLAIN, known.to_owned())
            });
        if self.here_only {
            router = router.layer(middleware::from_fn(asked_of_this_machine));
        }
        let free = Arc::new(Semaphore::new(CONNECTIONS));
        let few = Few { listener: self.listener, free, lasts: self.lasts };
        // It never ends: failed accepts are tried again.
        drop(axum::serve(few, router.with_state(pages)).await);
    }
}

const PLAIN: &str = "text/plain; charset=utf-8";

async fn status(State(pages): State<Pages>) -> Response<Body> {
    answer(StatusCode::OK, "application/json", (pages.status)().await)
}

async fn ready(State(pages): State<Pages>) -> Response<Body> {
    let reasons = (pages.not_ready)();
    if reasons.is_empty() {
        return answer(StatusCode::OK, PLAIN, "ready\n".to_owned());
    }
    answer(StatusCode::SERVICE_UNAVAILABLE, PLAIN, reasons.join("\n") + "\n")
}

fn answer(status: StatusCode, kind: &'static str, text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Refuses what a browser on this machine asks under a stranger's name: a page whose name was made
/// to point here (DNS rebinding) could read the answer.
async fn asked_of_this_machine(request: Request, next: Next) -> Response<Body> {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    if host.is_none_or(names_this_machine) {
        return next.run(request).await;
    }
    answer(StatusCode::FORBIDDEN, PLAIN, "ask by address, or as localhost\n".to_owned())
}

fn names_this_machine(host: &str) -> bool {
    if host.parse::<SocketAddr>().is_ok() || host.parse::<IpAddr>().is_ok() {
        return true;
    }
    let name = host.rsplit_once(':').map_or(host, |(name, _port)| name);
    name.eq_ignore_ascii_case("localhost")
}

/// A listener that takes few connections at once.
struct Few {
    listener: TcpListener,
    free: Arc<Semaphore>,
    lasts: Duration,
}

/// One of the few.
struct Brief {
    stream: TcpStream,
    ends: Pin<Box<Sleep>>,
    _one_of_few: Option<OwnedSemaphorePermit>,
}

impl Listener for Few {
    type Io = Brief;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Brief, SocketAddr) {
        // The semaphore is never closed.
        let permit = Arc::clone(&self.free).acquire_owned().await.ok();
        let (stream, from) = Listener::accept(&mut self.listener).await;
        (Brief { stream, ends: Box::pin(tokio::time::sleep(self.lasts)), _one_of_few: permit }, from)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Brief {
    /// Whether its time has come; if not, the task is woken when it has.
    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        self.ends.as_mut().poll(cx).is_ready()
    }
}

impl AsyncRead for Brief {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_over(cx) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Brief {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_over(cx) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    async fn shown(reasons: &'static [&'static str], lasts: Duration) -> SocketAddr {
        let mut window = Window::open("127.0.0.1:0".parse().unwrap()).await.unwrap();
        window.lasts = lasts;
        let address = window.address().unwrap();
        let pages = Pages::new(
            async || r#"{"running":true}"#.to_owned(),
            || reasons.iter().map(|&reason| reason.to_owned()).collect(),
        );
        tokio::spawn(window.show(pages));
        address
    }

    async fn asked(address: SocketAddr, line: &str, host: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn each_page_answers_and_no_other() {
        let address = shown(&[], LASTS).await;
        for (line, status, text) in [
            ("GET /status", "200", r#"{"running":true}"#),
            ("GET /healthz", "200", "ok\n"),
            ("GET /readyz", "200", "ready\n"),
            ("GET /metrics", "404", "/status, /healthz and /readyz"),
            ("POST /status", "405", "GET alone"),
        ] {
            let answer = asked(address, line, "localhost:9464").await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{line}: {answer}");
            assert!(answer.contains(text), "{line}: {answer}");
        }
    }

    #[tokio::test]
    async fn it_says_why_it_is_not_ready() {
        let address = shown(&["acme: Slack refuses it", "siem: it gave up"], LASTS).await;
        let answer = asked(address, "GET /readyz", "127.0.0.1").await;
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(answer.ends_with("acme: Slack refuses it\nsiem: it gave up\n"), "{answer}");
    }

    #[tokio::test]
    async fn a_name_that_was_made_to_point_here_gets_nothing() {
        let address = shown(&[], LASTS).await;
        for (host, status) in [
            ("evil.example:9464", "403"),
            ("localhost.evil.example", "403"),
            ("[::1]:9464", "200"),
            ("127.0.0.1:9464", "200"),
            ("LOCALHOST", "200"),
        ] {
            let answer = asked(address, "GET /status", host).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{host}: {answer}");
        }
    }

    #[tokio::test]
    async fn those_who_only_hold_a_connection_do_not_keep_others_out_for_long() {
        let lasts = Duration::from_millis(300);
        let address = shown(&[], lasts).await;
        let begun = tokio::time::Instant::now();
        let mut idle = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET /st").await.unwrap();
            idle.push(stream);
        }
        let answer = asked(address, "GET /healthz", "localhost").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(begun.elapsed() >= lasts, "all places were taken: {:?}", begun.elapsed());
    }
}
