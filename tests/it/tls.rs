//! Whom we speak TLS with, and as whom: pins, names, files that change while connections come and
//! go, sessions that are resumed and sessions that are refused.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{HandshakeKind, ProtocolVersion, RootCertStore, ServerConfig, SupportedProtocolVersion};
use slackcef::net::{
    self, Certificate, ClientCertificate, Fingerprint, HandshakeError, Refreshed, Roots, TlsClient,
    TlsSettings, Trust,
};
use slackcef::simulate::authority::{Authority, Identity, LOCAL, Term};
use slackcef::syslog::Framing;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::client::TlsStream;

use crate::support::certificates::Certificates;
use crate::support::daemon::Listen;
use crate::support::{rsyslog, syslog_ng};

const LONG: Duration = Duration::from_secs(60);
const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

fn provider() -> Arc<CryptoProvider> {
    net::provider()
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

fn pin(identity: &Identity) -> Fingerprint {
    Fingerprint::of(&der(&identity.certificate))
}

/// A server that shows `certificate` and signs with `key`, be it the certificate's or not.
fn server(
    certificate: &str,
    key: &str,
    versions: &[&'static SupportedProtocolVersion],
    clients_of: Option<&str>,
) -> Arc<ServerConfig> {
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let key = provider().key_provider.load_private_key(key).unwrap();
    let shown = SingleCertAndKey::from(CertifiedKey::new(vec![der(certificate)], key));
    let builder = ServerConfig::builder_with_provider(provider()).with_protocol_versions(versions).unwrap();
    let builder = match clients_of {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(der(authority)).unwrap();
            let judge = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
            builder.with_client_cert_verifier(judge.build().unwrap())
        }
    };
    Arc::new(builder.with_cert_resolver(Arc::new(shown) as Arc<dyn ResolvesServerCert>))
}

fn serving(identity: &Identity) -> Arc<ServerConfig> {
    server(&identity.certificate, &identity.key, &[&TLS13, &TLS12], None)
}

/// What both sides saw of a connection.
#[derive(Debug)]
struct Met {
    kind: HandshakeKind,
    version: ProtocolVersion,
    sni: Option<String>,
    client: Option<Fingerprint>,
}

/// The server's end: shakes hands, greets, and reads until the client closes.
async fn serve(
    config: Arc<ServerConfig>,
    stream: DuplexStream,
) -> io::Result<(Option<String>, Option<Fingerprint>)> {
    let mut stream = TlsAcceptor::from(config).accept(stream).await?;
    stream.write_all(b".").await?;
    stream.flush().await?;
    stream.read_to_end(&mut Vec::new()).await?;
    let connection = stream.get_ref().1;
    let client = connection.peer_certificates().map(|chain| Fingerprint::of(&chain[0]));
    let sni = connection.server_name().map(ToOwned::to_owned);
    stream.shutdown().await?;
    Ok((sni, client))
}

/// One connection in memory, closed in order: whatever tickets the server sends are read.
async fn meet(client: &TlsClient, server: &Arc<ServerConfig>) -> Result<Met, HandshakeError> {
    let (ours, theirs) = duplex(1 << 16);
    let serving = tokio::spawn(serve(Arc::clone(server), theirs));
    let mut stream = client.connect(ours, LONG).await?;
    let (kind, version) = settled(&stream);
    assert_eq!(stream.read_u8().await.unwrap(), b'.');
    stream.shutdown().await.unwrap();
    let (sni, client) = serving.await.unwrap().unwrap();
    Ok(Met { kind, version, sni, client })
}

fn settled<IO>(stream: &TlsStream<IO>) -> (HandshakeKind, ProtocolVersion) {
    let connection = stream.get_ref().1;
    (connection.handshake_kind().unwrap(), connection.protocol_version().unwrap())
}

fn settings(trust: Trust) -> TlsSettings {
    TlsSettings { trust, client: None, server_name: None, sni: None }
}

fn client(settings: &TlsSettings, to: &str) -> TlsClient {
    settings.clients(&[to.parse().unwrap()]).unwrap().remove(0)
}

fn chain(certificates: &Certificates, pins: &[Fingerprint]) -> Trust {
    Trust::Chain { roots: Roots::File(certificates.ca()), pins: pins.to_vec() }
}

/// A certificate without a name but its common one, made by itself, an authority besides: what
/// appliances make.
fn appliance() -> Identity {
    Authority::new("appliance-4711").unwrap().as_server()
}

fn advised(error: &HandshakeError) -> String {
    format!("{error}\nhelp: {}", error.help().unwrap())
}

#[tokio::test]
async fn a_pin_alone_lets_in_what_no_chain_can_verify_and_nothing_else() {
    let (appliance, other) = (appliance(), appliance());
    let past = Authority::new("x").unwrap().server(&["elsewhere.example.com"], Term::Past).unwrap();
    for version in VERSIONS {
        for identity in [&appliance, &past] {
            let server = server(&identity.certificate, &identity.key, &[version], None);
            let pins = vec![pin(&other), pin(identity)];
            let client = client(&settings(Trust::Pinned(pins)), "siem.example.com:6514");
            let met = meet(&client, &server).await.unwrap();
            assert_eq!(met.version, version.version);
            assert_eq!(met.sni.as_deref(), Some("siem.example.com"));
            assert_eq!(client.verification(), "verified by its fingerprint");
        }
        let server = server(&appliance.certificate, &appliance.key, &[version], None);
        let client = client(&settings(Trust::Pinned(vec![pin(&other)])), "siem.example.com:6514");
        let error = meet(&client, &server).await.unwrap_err();
        let text = advised(&error);
        let shown = pin(&appliance).to_string();
        assert!(
            text.starts_with(&format!(
                "the receiver's certificate for siem.example.com is not a pinned one: its fingerprint is {shown} (it \
                 shows: appliance-4711, issued by itself, valid until 20"
            )),
            "{text}"
        );
        assert!(text.contains("compare this with"), "{text}");
        assert!(text.contains(&format!("fingerprints = [\"{shown}\"]")), "ready to be taken over: {text}");
        assert!(error.is_ours());
    }
}

/// X.509 version 1: `openssl x509 -req -signkey` made these for decades.
const VERSION_1: (&str, &str) = (
    "-----BEGIN CERTIFICATE-----\n\
     MIIBIjCByQIUWnONWYE5K//ebOzR2pjC0Cy0uE0wCgYIKoZIzj0EAwIwFDESMBAG\n\
     A1UEAwwJYXBwbGlhbmNlMB4XDTI2MTEyMTA2NTQ1N1oXDTM2MTExODA2NTQ1N1ow\n\
     FDESMBAGA1UEAwwJYXBwbGlhbmNlMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n\
     jd4TGLa7r6Q4f5pUmETG2wES8hOSOf65W688oNEUGj+ufXs3+eoEZy/dyc70oxwH\n\
     M27GSeh1hj5rDU0LAxVs8zAKBggqhkjOPQQDAgNIADBFAiAhoY0c29sckGpJNMAD\n\
     SwQ26vG3p2dCS9RjBJcTRkaQmQIhAKdKhqMRaDsiHsh/Q92VPPS1029c5QypUQEK\n\
     55nA7ci9\n\
     -----END CERTIFICATE-----",
    "-----BEGIN PRIVATE KEY-----\n\
     MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgRspsMcgO1QaWLph/\n\
     KaNbIC9nYqgwl2bZLnKFe6vtNIChRANCAASN3hMYtruvpDh/mlSYRMbbARLyE5I5\n\
     /rlbrzyg0RQaP659ezf56gRnL93JzvSjHAczbsZJ6HWGPmsNTQsDFWzz\n\
     -----END PRIVATE KEY-----",
);

#[tokio::test]
async fn a_certificate_of_the_first_version_is_named_as_one() {
    let (certificate, key) = VERSION_1;
    let identity = Identity { certificate: certificate.to_owned(), key: key.to_owned() };
    for version in VERSIONS {
        let server = server(certificate, key, &[version], None);
        let certificates = Certificates::new();
        for trust in [Trust::Pinned(vec![pin(&identity)]), chain(&certificates, &[])] {
            let client = client(&settings(trust), "siem.example.com:6514");
            let text = advised(&meet(&client, &server).await.unwrap_err());
            assert!(
                text.starts_with(
                    "the receiver's certificate for siem.example.com is of X.509 version 1 and cannot be verified (it \
                     shows: appliance, issued by itself, valid until 2036-11-18"
                ),
                "{text}"
            );
            assert!(text.contains("openssl req -x509"), "{text}");
        }
    }
}

#[tokio::test]
async fn no_pin_at_all_lets_nobody_in() {
    let client = client(&settings(Trust::Pinned(Vec::new())), "siem.example.com:6514");
    let error = meet(&client, &serving(&appliance())).await.unwrap_err();
    assert!(matches!(error, HandshakeError::NotPinned { .. }), "{error}");
}

/// Anybody can show a certificate.
#[tokio::test]
async fn a_pinned_certificate_without_its_key_is_refused() {
    let (real, thief) = (appliance(), appliance());
    for version in VERSIONS {
        let server = server(&real.certificate, &thief.key, &[version], None);
        let client = client(&settings(Trust::Pinned(vec![pin(&real)])), "siem.example.com:6514");
        let error = meet(&client, &server).await.unwrap_err();
        assert!(matches!(error, HandshakeError::WithoutItsKey { .. }), "{version:?}: {error:?}");
        assert!(advised(&error).contains("poses"));
    }
}

#[tokio::test]
async fn with_an_authority_chain_name_and_pin_all_have_to_be_right() {
    let certificates = Certificates::new();
    let (right, renewed) = (certificates.server(), certificates.server());
    let elsewhere = certificates.authority.server(&["elsewhere.example.com"], Term::Now).unwrap();
    let stranger = Authority::new("Evil Corp").unwrap().server(&LOCAL, Term::Now).unwrap();
    let pinned = chain(&certificates, &[pin(&right), pin(&elsewhere), pin(&stranger)]);
    let client = client(&settings(pinned), "localhost:6514");
    assert_eq!(client.verification(), "verified as localhost and by its fingerprint");
    meet(&client, &serving(&right)).await.unwrap();
    let error = meet(&client, &serving(&renewed)).await.unwrap_err();
    assert!(matches!(error, HandshakeError::NotPinned { .. }), "{error:?}");
    let error = meet(&client, &serving(&elsewhere)).await.unwrap_err();
    assert!(matches!(error, HandshakeError::WrongName { .. }), "{error:?}");
    let error = meet(&client, &serving(&stranger)).await.unwrap_err();
    assert!(matches!(error, HandshakeError::UnknownIssuer { .. }), "{error:?}");
}

#[tokio::test]
async fn a_self_signed_certificate_is_shown_with_what_to_set() {
    let certificates = Certificates::new();
    let client = client(&settings(chain(&certificates, &[])), "localhost:6514");
    let appliance = appliance();
    let text = advised(&meet(&client, &serving(&appliance)).await.unwrap_err());
    let shown = pin(&appliance);
    assert!(text.contains(&format!("set fingerprints = [\"{shown}\"]")), "{text}");
    assert!(text.contains("compare its fingerprint"), "{text}");
}

#[tokio::test]
async fn name_and_sni_are_two_settings_with_one_default() {
    let certificates = Certificates::new();
    let issued = certificates.authority.server(&["siem.example.com", "10.0.0.7"], Term::Now).unwrap();
    let server = serving(&issued);
    let of = |server_name: Option<&str>, sni: Option<&str>| TlsSettings {
        server_name: server_name.map(str::to_owned),
        sni: sni.map(str::to_owned),
        ..settings(chain(&certificates, &[]))
    };
    for (to, server_name, sni, sent) in [
        ("siem.example.com:6514", None, None, Some("siem.example.com")),
        ("10.0.0.7:6514", None, None, None),
        ("10.0.0.9:6514", Some("siem.example.com"), None, Some("siem.example.com")),
        ("lb.example.com:6514", Some("siem.example.com"), Some("lb.example.com"), Some("lb.example.com")),
        ("siem.example.com:6514", None, Some("tenant-7.example.net"), Some("tenant-7.example.net")),
        ("siem.example.com:6514", Some("10.0.0.7"), None, None),
        ("10.0.0.7:6514", None, Some("siem"), Some("siem")),
    ] {
        let client = client(&of(server_name, sni), to);
        let met = meet(&client, &server).await.unwrap();
        assert_eq!(met.sni.as_deref(), sent, "{to} {server_name:?} {sni:?}");
    }
    // What is sent never makes a name right.
    let wrong = client(&of(Some("other.example.com"), Some("siem.example.com")), "siem.example.com:6514");
    let error = meet(&wrong, &server).await.unwrap_err();
    let HandshakeError::WrongName { wanted, .. } = error else { panic!("{error:?}") };
    assert_eq!(wanted, "other.example.com");
}

#[tokio::test]
async fn speaks_tls_1_3_where_it_can_and_1_2_where_it_must() {
    let certificates = Certificates::new();
    let identity = certificates.server();
    let client = client(&settings(chain(&certificates, &[])), "localhost:6514");
    for (versions, spoken) in [
        (&[&TLS12, &TLS13][..], ProtocolVersion::TLSv1_3),
        (&[&TLS13], ProtocolVersion::TLSv1_3),
        (&[&TLS12], ProtocolVersion::TLSv1_2),
    ] {
        let server = server(&identity.certificate, &identity.key, versions, None);
        assert_eq!(meet(&client, &server).await.unwrap().version, spoken);
    }
}

/// A record that answers the greeting with TLS 1.1.
#[tokio::test]
async fn nothing_older_than_tls_1_2_is_spoken() {
    let certificates = Certificates::new();
    let client = client(&settings(chain(&certificates, &[])), "localhost:6514");
    let (ours, mut theirs) = duplex(1 << 16);
    let old = tokio::spawn(async move {
        let mut greeting = [0; 5];
        theirs.read_exact(&mut greeting).await.unwrap();
        // ServerHello: TLS 1.1, a random, no session, TLS_RSA_WITH_AES_128_CBC_SHA, no compression.
        let mut hello = vec![22, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2];
        hello.extend([7; 32]);
        hello.extend([0, 0, 47, 0]);
        theirs.write_all(&hello).await.unwrap();
        theirs.read_to_end(&mut Vec::new()).await.unwrap();
    });
    let error = client.connect(ours, LONG).await.unwrap_err();
    assert!(matches!(error, HandshakeError::NothingInCommon { .. }), "{error:?}");
    assert!(advised(&error).contains("TLS 1.2 and 1.3"));
    old.await.unwrap();
}

#[tokio::test]
async fn sessions_are_resumed_with_one_trust_and_one_identity() {
    let certificates = Certificates::new();
    let identity = certificates.server();
    for version in VERSIONS {
        let server = server(&identity.certificate, &identity.key, &[version], None);
        for trust in [
            chain(&certificates, &[]),
            chain(&certificates, &[pin(&identity)]),
            Trust::Pinned(vec![pin(&identity)]),
        ] {
            let endpoints = ["localhost:6514".parse().unwrap(), "localhost:6515".parse().unwrap()];
            let clients = settings(trust).clients(&endpoints).unwrap();
            let [one, other] = clients.as_slice() else { panic!("{clients:?}") };
            assert_eq!(meet(one, &server).await.unwrap().kind, HandshakeKind::Full);
            for _ in 0..5 {
                assert_eq!(
                    meet(&one.clone(), &server).await.unwrap().kind,
                    HandshakeKind::Resumed,
                    "{version:?}"
                );
            }
            let fresh = meet(other, &server).await.unwrap().kind;
            assert_eq!(fresh, HandshakeKind::Full, "a session is with one receiver");
            one.forget_sessions();
            for _ in 0..3 {
                assert_eq!(meet(one, &server).await.unwrap().kind, HandshakeKind::Full);
            }
        }
    }
}

/// The same server goes on with the key of its tickets after its certificate has ended.
#[tokio::test]
async fn no_session_outlives_the_certificate_that_it_was_verified_by() {
    let identity = Authority::new("x").unwrap().server(&LOCAL, Term::Past).unwrap();
    let client = client(&settings(Trust::Pinned(vec![pin(&identity)])), "localhost:6514");
    let server = serving(&identity);
    for _ in 0..3 {
        assert_eq!(meet(&client, &server).await.unwrap().kind, HandshakeKind::Full);
    }
}

/// Counts what is opened, and serves each by its number.
struct Dialled {
    opened: Arc<AtomicUsize>,
}

impl Dialled {
    fn new() -> Self {
        Self { opened: Arc::new(AtomicUsize::new(0)) }
    }

    async fn dial(
        &self,
        client: &TlsClient,
        behave: impl Fn(usize, DuplexStream),
    ) -> Result<(HandshakeKind, ProtocolVersion), HandshakeError> {
        let open = || {
            let (ours, theirs) = duplex(1 << 16);
            behave(self.opened.fetch_add(1, Ordering::Relaxed), theirs);
            async { Ok::<_, HandshakeError>(ours) }
        };
        let mut stream = client.dial(open, LONG).await?;
        let settled = settled(&stream);
        stream.read_u8().await.unwrap();
        stream.shutdown().await.unwrap();
        Ok(settled)
    }

    fn opened(&self) -> usize {
        self.opened.load(Ordering::Relaxed)
    }
}

/// What OpenSSL says when it cannot resume: a fatal alert, internal error.
async fn alert(mut stream: DuplexStream) {
    let mut greeting = [0; 5];
    stream.read_exact(&mut greeting).await.unwrap();
    stream.write_all(&[21, 3, 3, 0, 2, 2, 80]).await.unwrap();
    stream.read_to_end(&mut Vec::new()).await.unwrap();
}

#[tokio::test]
async fn a_session_that_is_refused_costs_one_more_try_and_no_error() {
    let certificates = Certificates::new();
    let identity = certificates.server();
    for version in VERSIONS {
        for cut in [false, true] {
            let server = server(&identity.certificate, &identity.key, &[version], None);
            let client = client(&settings(chain(&certificates, &[])), "localhost:6514");
            let dialled = Dialled::new();
            let behave = |nth, stream| match nth {
                1 if cut => drop(stream),
                1 => drop(tokio::spawn(alert(stream))),
                _ => drop(tokio::spawn(serve(Arc::clone(&server), stream))),
            };
            assert_eq!(dialled.dial(&client, behave).await.unwrap().0, HandshakeKind::Full);
            assert_eq!(dialled.dial(&client, behave).await.unwrap().0, HandshakeKind::Full);
            assert_eq!(dialled.opened(), 3, "refused, and once more without the session");
            assert_eq!(dialled.dial(&client, behave).await.unwrap().0, HandshakeKind::Full);
            assert_eq!(dialled.opened(), 4, "it would refuse the next one too");
        }
    }
}

#[tokio::test]
async fn a_refusal_that_no_session_can_explain_is_not_tried_again() {
    let certificates = Certificates::new();
    let client = client(&settings(chain(&certificates, &[])), "localhost:6514");
    let dialled = Dialled::new();
    let error = dialled.dial(&client, |_, stream| drop(tokio::spawn(alert(stream)))).await.unwrap_err();
    assert_eq!(
        (dialled.opened(), error.to_string().as_str()),
        (1, "the receiver ended the TLS connection: internal error of the receiver")
    );

    // And one that goes on without it is told in its own words, after one more try.
    let server = serving(&certificates.server());
    dialled.dial(&client, |_, stream| drop(tokio::spawn(serve(Arc::clone(&server), stream)))).await.unwrap();
    let error = dialled.dial(&client, |_, stream| drop(tokio::spawn(alert(stream)))).await.unwrap_err();
    assert_eq!(dialled.opened(), 4);
    assert!(matches!(error, HandshakeError::Alert { .. }), "{error:?}");
}

/// Files of a client, and what to put in their place.
struct Files {
    certificates: Certificates,
    certificate: PathBuf,
    key: PathBuf,
}

impl Files {
    fn new() -> Self {
        let certificates = Certificates::new();
        let identity = certificates.authority.client("me", Term::Now).unwrap();
        let (certificate, key) = certificates.write("me", &identity);
        Self { certificates, certificate, key }
    }

    fn settings(&self) -> TlsSettings {
        let client = ClientCertificate { certificate: self.certificate.clone(), key: self.key.clone() };
        TlsSettings { client: Some(client), ..settings(chain(&self.certificates, &[])) }
    }
}

#[tokio::test]
async fn a_new_pair_is_shown_from_the_next_connection_on_and_the_open_one_stays() {
    let files = Files::new();
    let (identity, authority) = (files.certificates.server(), files.certificates.authority.pem());
    for version in VERSIONS {
        let server = server(&identity.certificate, &identity.key, &[version], Some(&authority));
        let client = client(&files.settings(), "localhost:6514");
        let before = client.own_certificates()[0].fingerprint;
        for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let met = meet(&client, &server).await.unwrap();
            assert_eq!((met.kind, met.client), (kind, Some(before)));
        }
        let (ours, theirs) = duplex(1 << 16);
        let serving = tokio::spawn(serve(Arc::clone(&server), theirs));
        let mut open = client.connect(ours, LONG).await.unwrap();

        let renewed = files.certificates.authority.client("me", Term::Now).unwrap();
        fs::write(&files.key, &renewed.key).unwrap();
        assert!(matches!(client.refresh(), Refreshed::Same), "half a pair");
        assert_eq!(meet(&client, &server).await.unwrap().client, Some(before));
        fs::write(&files.certificate, &renewed.certificate).unwrap();

        let met = meet(&client, &server).await.unwrap();
        assert_eq!(
            (met.kind, met.client),
            (HandshakeKind::Full, Some(pin(&renewed))),
            "no session of the old pair"
        );
        assert_eq!(meet(&client, &server).await.unwrap().kind, HandshakeKind::Resumed);
        assert!(matches!(client.refresh(), Refreshed::New), "told, though a connection found it");
        assert_eq!(client.own_certificates()[0].fingerprint, pin(&renewed));
        assert!(client.own_certificates()[0].not_after.is_some());

        assert_eq!(open.read_u8().await.unwrap(), b'.');
        open.write_all(b"still here").await.unwrap();
        open.shutdown().await.unwrap();
        assert_eq!(serving.await.unwrap().unwrap().1, Some(before));
    }
}

#[tokio::test]
async fn a_bad_file_leaves_the_old_pair_in_use() {
    let files = Files::new();
    let (identity, authority) = (files.certificates.server(), files.certificates.authority.pem());
    let server = server(&identity.certificate, &identity.key, &[&TLS13], Some(&authority));
    let client = client(&files.settings(), "localhost:6514");
    let before = client.own_certificates()[0].fingerprint;
    for spoil in
        [|path: &Path| fs::write(path, "-----BEGIN").unwrap(), |path: &Path| fs::remove_file(path).unwrap()]
    {
        spoil(&files.certificate);
        assert_eq!(meet(&client, &server).await.unwrap().client, Some(before));
    }
}

#[tokio::test]
async fn a_new_authority_is_trusted_once_its_file_is_there() {
    let files = Files::new();
    let client = client(&settings(chain(&files.certificates, &[])), "localhost:6514");
    meet(&client, &serving(&files.certificates.server())).await.unwrap();
    let next = Certificates::new();
    let renewed = serving(&next.server());
    let error = meet(&client, &renewed).await.unwrap_err();
    assert!(matches!(error, HandshakeError::OtherKey { .. }), "{error:?}");
    fs::copy(next.ca(), files.certificates.ca()).unwrap();
    assert_eq!(meet(&client, &renewed).await.unwrap().kind, HandshakeKind::Full);
    let error = meet(&client, &serving(&files.certificates.server())).await.unwrap_err();
    assert!(matches!(error, HandshakeError::OtherKey { .. }), "the old one is trusted no more: {error:?}");
}

/// Connects, ends its side of the TCP connection, and reads to the end of the other: the tickets come
/// before it. How often the receiver was connected to is added to `opened`.
async fn reach(
    client: &TlsClient,
    address: SocketAddr,
    opened: &AtomicUsize,
) -> Result<(HandshakeKind, Certificate), HandshakeError> {
    let to = address.into();
    let open = || async {
        opened.fetch_add(1, Ordering::Relaxed);
        Ok::<_, HandshakeError>(net::connect(&to, LONG).await.unwrap())
    };
    let mut stream = client.dial(open, LONG).await?;
    let (kind, _) = settled(&stream);
    let shown = Certificate::describe(&stream.get_ref().1.peer_certificates().unwrap()[0]);
    stream.get_mut().0.shutdown().await.unwrap();
    let _end = stream.read_to_end(&mut Vec::new()).await;
    Ok((kind, shown))
}

/// The kinds of four handshakes, one after the other, and how many connections they took.
async fn four(
    client: &TlsClient,
    address: SocketAddr,
) -> Result<(Vec<HandshakeKind>, usize), HandshakeError> {
    let opened = AtomicUsize::new(0);
    let mut kinds = Vec::new();
    for _ in 0..4 {
        kinds.push(reach(client, address, &opened).await?.0);
    }
    Ok((kinds, opened.load(Ordering::Relaxed)))
}

/// How often the same is asked of a real receiver: rsyslog with OpenSSL closes the descriptor of a
/// connection twice (its pull request 6375 mends it), and so may cut off the one that comes next.
const ASKED: usize = 4;

/// rsyslog resumes, and refuses to where it asks for client certificates; syslog-ng resumes with TLS
/// 1.2 and gives no tickets with 1.3.
#[tokio::test]
async fn real_receivers_are_pinned_and_resumed_where_they_let_us() {
    use HandshakeKind::{Full, Resumed};
    let files = Files::new();
    for transport in [Listen::TLS, Listen::TLS_1_2] {
        for client_certificates in [false, true] {
            let listen = Listen { client_certificates, ..transport };
            let rsyslog = rsyslog::start(&files.certificates, listen).await;
            let syslog_ng = syslog_ng::start(&files.certificates, listen, Framing::Newline, "").await;
            for (resumes, refuses, address) in [
                (!client_certificates, client_certificates, rsyslog.address()),
                (listen.only_tls_1_2, false, syslog_ng.address()),
            ] {
                let opened = AtomicUsize::new(0);
                let learning = client(&files.settings(), &format!("localhost:{}", address.port()));
                let mut shown = None;
                for _ in 0..ASKED {
                    shown = shown.or(reach(&learning, address, &opened).await.ok());
                }
                let fingerprint = shown.expect("it shows its certificate").1.fingerprint;

                let pinned_by =
                    |trust| client(&TlsSettings { trust, ..files.settings() }, "elsewhere.example.com:1");
                let again = if resumes { Resumed } else { Full };
                // A refusal is met once, not at each connection.
                let expected = (vec![Full, again, again, again], if refuses { 5 } else { 4 });
                let mut seen = Vec::new();
                while seen.last() != Some(&expected) {
                    assert!(seen.len() < ASKED, "{listen:?}: {seen:?}");
                    let pinned = pinned_by(Trust::Pinned(vec![fingerprint]));
                    // One that was cut off shows nothing.
                    seen.push(four(&pinned, address).await.unwrap_or_default());
                }

                let wrong = pinned_by(Trust::Pinned(vec![pin(&appliance())]));
                let mut errors = Vec::new();
                for _ in 0..ASKED {
                    errors.push(reach(&wrong, address, &opened).await.unwrap_err());
                }
                let is_refused = |error: &HandshakeError| matches!(error, HandshakeError::NotPinned { .. });
                assert!(errors.iter().any(is_refused), "{errors:?}");
            }
        }
    }
}
