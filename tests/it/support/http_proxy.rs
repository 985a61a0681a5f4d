//! An HTTP proxy that knows CONNECT, and a TLS server in front of a plain one: what stands between a
//! company and Slack.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use slackcef::net::provider;
use slackcef::simulate::authority::Identity;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// What the proxy does with a request that comes with the right login, or with any where none is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It connects, always to the same address, whatever name was asked for.
    To(SocketAddr),
    /// It answers with that status.
    Status(u16),
    /// It closes the connection.
    Nothing,
}

/// A proxy on this machine; dropped, it takes no more connections.
pub(crate) struct ConnectProxy {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl ConnectProxy {
    /// A proxy that asks for a login where `login` names one (`name:password`), and speaks TLS itself
    /// where it has an identity.
    pub(crate) async fn start(answer: Answer, login: Option<&str>, identity: Option<&Identity>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let tls = identity.map(acceptor);
        let login = login.map(|login| format!("basic {}", base64(login)));
        let (notes, wanted) = (Arc::clone(&asked), login);
        let task = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let (tls, notes, wanted) = (tls.clone(), Arc::clone(&notes), wanted.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(client, answer, wanted.as_deref(), &notes).await,
                        Some(tls) => match tls.accept(client).await {
                            Ok(client) => serve(client, answer, wanted.as_deref(), &notes).await,
                            Err(_) => Ok(()),
                        },
                    }
                });
            }
        });
        Self { address, asked, task }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it was asked to connect to, in order: `host:port`.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for ConnectProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    client: impl AsyncRead + AsyncWrite + Unpin,
    answer: Answer,
    wanted: Option<&str>,
    asked: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut client = BufReader::new(client);
    let (mut line, mut login) = (String::new(), None);
    client.read_line(&mut line).await?;
    let target = line.split(' ').nth(1).unwrap_or_default().to_owned();
    assert!(line.starts_with("CONNECT "), "only tunnels are asked for: {line}");
    loop {
        line.clear();
        client.read_line(&mut line).await?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        assert!(!name.eq_ignore_ascii_case("authorization"), "the token is for Slack alone");
        if name.eq_ignore_ascii_case("proxy-authorization") {
            // The scheme's case means nothing, the rest is base64.
            let (scheme, rest) = value.trim().split_once(' ').unwrap_or_default();
            login = Some(format!("{} {rest}", scheme.to_ascii_lowercase()));
        }
    }
    asked.lock().unwrap().push(target);
    let status = match answer {
        _ if wanted.is_some() && login.as_deref() != wanted => 407,
        Answer::Status(status) => status,
        Answer::Nothing => return Ok(()),
        Answer::To(address) => {
            let mut server = TcpStream::connect(address).await?;
            client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
            copy_bidirectional(&mut client, &mut server).await?;
            return Ok(());
        }
    };
    let answer = format!(
        "HTTP/1.1 {status} No\r\nProxy-Authenticate: Basic realm=\"acme\"\r\nContent-Length: 0\r\n\r\n"
    );
    client.write_all(answer.as_bytes()).await
}

/// TLS in front of a plain server; dropped, it takes no more connections.
pub(crate) struct TlsFront {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl TlsFront {
    pub(crate) async fn start(to: SocketAddr, identity: &Identity) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = acceptor(identity);
        let task = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let (Ok(mut client), Ok(mut server)) =
                        (acceptor.accept(client).await, TcpStream::connect(to).await)
                    else {
                        return;
                    };
                    let _ended = copy_bidirectional(&mut client, &mut server).await;
                });
            }
        });
        Self { address, task }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn acceptor(identity: &Identity) -> TlsAcceptor {
    let chain = vec![CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

fn base64(text: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let coded = text.as_bytes().chunks(3).flat_map(|three| {
        let bits = (0..3).fold(0, |bits, n| bits << 8 | u32::from(*three.get(n).unwrap_or(&0)));
        (0..4).map(move |n| {
            let letter = LETTERS[usize::try_from(bits >> (18 - 6 * n) & 63).unwrap()];
            if n <= three.len() { char::from(letter) } else { '=' }
        })
    });
    coded.collect()
}
