//! The way back from Slack: an HTTPS address of this machine, or what a person pastes.
//!
//! **Invariant:** a code counts only with the `state` that this login was begun with; nothing that came
//! is shown on the page.
//! **Invariant:** whoever connects has bounded time and room.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use crate::net;
use crate::simulate::authority::{Authority, LOCAL, Term};

/// An address that is listened on.
pub(super) struct Redirect {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    /// Where it listens.
    pub(super) listen: SocketAddr,
    /// Of its certificate.
    pub(super) fingerprint: String,
}

/// A person, on one connection.
const WITHIN: Duration = Duration::from_secs(10);
/// A browser's request for a page, cookies of other services on this machine included.
const MOST: usize = 64 << 10;

/// The address to lead a browser back to.
pub(super) fn address(listen: SocketAddr) -> String {
    format!("https://localhost:{}/", listen.port())
}

/// What came back.
#[derive(Debug, PartialEq, Eq)]
enum Came {
    /// The code of this login.
    Code(String),
    /// The person, or Slack, said no.
    Refused(String),
    /// It is not of this login.
    Strange,
    /// Something else that browsers ask for.
    Nothing,
}

impl Redirect {
    pub(super) async fn open(listen: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let listen = listener.local_addr()?;
        let (acceptor, fingerprint) = acceptor().map_err(io::Error::other)?;
        Ok(Self { listener, acceptor, listen, fingerprint })
    }

    /// Waits for the code of the login that was begun with this state.
    ///
    /// # Errors
    /// In words: the app was not allowed.
    pub(super) async fn code(self, state: &str) -> Result<SecretString, String> {
        let (to, mut came) = mpsc::channel(1);
        let state: Arc<str> = state.into();
        loop {
            tokio::select! {
                Some(came) = came.recv() => return came,
                connected = self.listener.accept() => {
                    let Ok((stream, _)) = connected else { continue };
                    let (acceptor, state, to) = (self.acceptor.clone(), Arc::clone(&state), to.clone());
                    tokio::spawn(tokio::time::timeout(WITHIN, async move {
                        if let Some(outcome) = serve(stream, &acceptor, &state).await {
                            drop(to.send(outcome).await);
                        }
                    }));
                }
            }
        }
    }
}

/// Answers one request, and gives what decides the login.
async fn serve(
    stream: TcpStream,
    acceptor: &TlsAcceptor,
    state: &str,
) -> Option<Result<SecretString, String>> {
    // A browser that does not like the certificate hangs up, and comes again.
    let mut stream = acceptor.accept(stream).await.ok()?;
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if head.len() >= MOST || stream.read_buf(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    let head = String::from_utf8_lossy(&head);
    let mut words = head.lines().next().unwrap_or_default().split(' ');
    let path = words.next().filter(|method| *method == "GET").and_then(|_| words.next());
    let came = path.map_or(Came::Nothing, |path| read(path, state));
    let (status, text) = match &came {
        Came::Code(_) => {
            ("200 OK", "slackcef has the code. You may close this page; the terminal says what came of it.")
        }
        Came::Refused(_) => ("200 OK", "Slack did not allow the app. The terminal says more."),
        Came::Strange => ("400 Bad Request", "This is not of the login that waits here. Begin it again."),
        Came::Nothing => ("404 Not Found", "Nothing is here."),
    };
    let page = format!("<!DOCTYPE html><meta charset=\"utf-8\"><title>slackcef</title><p>{text}</p>\n");
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nConnection: close\r\n\r\n{page}",
        page.len()
    );
    // Whether the page is seen or not, the code is here.
    drop(stream.write_all(answer.as_bytes()).await);
    drop(stream.shutdown().await);
    match came {
        Came::Code(code) => Some(Ok(SecretString::from(code))),
        Came::Refused(why) => Some(Err(format!("the app was not allowed: Slack says `{why}`"))),
        Came::Strange | Came::Nothing => None,
    }
}

/// What the address, or its path with the query, says.
fn read(address: &str, state: &str) -> Came {
    let Some(url) = Url::parse("https://localhost/").ok().and_then(|base| base.join(address).ok()) else {
        return Came::Nothing;
    };
    let of = |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    let plain =
        |text: String| text.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(64).collect();
    match (of("state"), of("code"), of("error")) {
        (_, None, None) => Came::Nothing,
        (Some(given), Some(code), None) if given == state && !code.is_empty() => Came::Code(code),
        (Some(given), _, Some(error)) if given == state => Came::Refused(plain(error)),
        _ => Came::Strange,
    }
}

/// The code of what a person pasted: the code itself, or the address with it.
///
/// # Errors
/// In words: what is wrong with it.
pub(super) fn pasted(text: &str, state: &str) -> Result<SecretString, String> {
    let is_code =
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    if is_code {
        return Ok(SecretString::from(text));
    }
    match read(text, state) {
        Came::Code(code) => Ok(SecretString::from(code)),
        Came::Refused(why) => Err(format!("the app was not allowed: Slack says `{why}`")),
        Came::Strange => {
            Err("this address is of another login: begin again, and paste the address that follows"
                .to_owned())
        }
        Came::Nothing => Err("this is neither a code nor an address with one".to_owned()),
    }
}

/// A certificate made on the spot, and its fingerprint.
fn acceptor() -> Result<(TlsAcceptor, String), Box<dyn std::error::Error + Send + Sync>> {
    let identity = Authority::new("slackcef auth login")?.server(&LOCAL, Term::Now)?;
    let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes())?;
    let digest = Sha256::digest(&certificate);
    let fingerprint: Vec<_> = digest.iter().map(|byte| format!("{byte:02X}")).collect();
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes())?;
    let config = ServerConfig::builder_with_provider(net::provider())
        .with_protocol_versions(rustls::DEFAULT_VERSIONS)?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    Ok((TlsAcceptor::from(Arc::new(config)), fingerprint.join(":")))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_code_counts_with_its_state_alone() {
        for (address, expected) in [
            ("/?code=1.2.abc&state=s", Came::Code("1.2.abc".into())),
            ("https://localhost:9465/?state=s&code=1", Came::Code("1".into())),
            ("/?code=1&state=t", Came::Strange),
            ("/?code=1", Came::Strange),
            ("/?code=&state=s", Came::Strange),
            ("/?error=access_denied&state=s", Came::Refused("access_denied".into())),
            ("/?error=<b>x\u{1b}&state=s", Came::Refused("bx".into())),
            ("/?error=access_denied&state=t", Came::Strange),
            ("/favicon.ico", Came::Nothing),
            ("https://[", Came::Nothing),
        ] {
            assert_eq!(read(address, "s"), expected, "{address}");
        }
    }

    #[test]
    fn a_code_or_its_address_is_pasted() {
        let code = |text| pasted(text, "s").map(|code| code.expose_secret().to_owned());
        assert_eq!(code("1.2.abc").unwrap(), "1.2.abc");
        assert_eq!(code("https://localhost:9465/?code=1.2&state=s").unwrap(), "1.2");
        for wrong in ["", "https://localhost:9465/?code=1.2&state=t", "https://localhost/", "no code"] {
            assert!(code(wrong).is_err(), "{wrong}");
        }
    }
}
