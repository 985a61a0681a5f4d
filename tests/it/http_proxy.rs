//! Slack behind an HTTP proxy: the environment's or the configuration's, with a login, over TLS, one
//! that opens TLS itself, and each that refuses.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

use slackcef::simulate::authority::{Authority, Term};
use slackcef::simulate::slack::{Plan, Slack};
use tokio::task::spawn_blocking;

use crate::support::certificates::Certificates;
use crate::support::forwarder::{self, Forwarder, until};
use crate::support::http_proxy::{Answer, ConnectProxy, TlsFront};

/// GovSlack, as far as a proxy can tell.
const GOV: &str = "https://api.slack-gov.com";
const LOGIN: &str = "alice:p@ss:wörd/%";

/// A Slack behind TLS, and a forwarder that trusts its authority.
struct Scene {
    slack: Slack,
    front: TlsFront,
    certificates: Certificates,
    forwarder: Forwarder,
}

impl Scene {
    /// The forwarder's source has these lines more, in which `{ca}` stands for the authority's file.
    async fn set(base_url: &str, source: &str) -> Self {
        let entry = r#"{"id":"e1","date_create":1789990000,"action":"user_login"}"#;
        let plan = Plan { given: vec![entry.to_owned()], ..Plan::default() };
        let slack = Slack::start((Ipv4Addr::LOCALHOST, 0).into(), plan).await.unwrap();
        let certificates = Certificates::new();
        let names = ["api.slack-gov.com", "0.0.0.0", "localhost"];
        let identity = certificates.authority.server(&names, Term::Now).unwrap();
        let plain = slack.base_url().trim_start_matches("http://").parse().unwrap();
        let front = TlsFront::start(plain, &identity).await;
        let source = source.replace("{ca}", certificates.ca().to_str().unwrap());
        let destinations = "[destinations.out]\nage = \"0s\"\nfile = { path = \"{out}\" }\n";
        let more = format!("start = \"2026-09-01T00:00:00Z\"\n{source}");
        let forwarder = Forwarder::new(&slack, &more, destinations);
        let base_url = base_url.replace("{port}", &front.address().port().to_string());
        let out = forwarder.dir().join("out");
        let text = fs::read_to_string(forwarder.config()).unwrap();
        let text = text.replace(&slack.base_url(), &base_url).replace("{out}", out.to_str().unwrap());
        fs::write(forwarder.config(), text).unwrap();
        Self { slack, front, certificates, forwarder }
    }

    async fn proxy(&self, login: Option<&str>) -> ConnectProxy {
        ConnectProxy::start(Answer::To(self.front.address()), login, None).await
    }

    /// Puts a secret where the configuration says it is.
    fn secret(&self, text: &str) {
        let path = self.forwarder.dir().join("password");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        self.rewrite("{password}", path.to_str().unwrap());
    }

    fn rewrite(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.forwarder.config()).unwrap();
        fs::write(self.forwarder.config(), text.replace(from, to)).unwrap();
    }

    /// One whole pass in that environment; it has to deliver the one entry.
    async fn delivers(&self, environment: &[(&str, String)]) {
        let mut command = self.forwarder.command(&["--once"]);
        let output = run(&mut command, environment).await;
        assert!(output.status.success(), "{}", said(&output));
        let lines = fs::read_to_string(self.forwarder.dir().join("out")).unwrap();
        assert_eq!(lines.lines().filter(|line| line.contains("externalId=e1")).count(), 1, "{lines}");
        assert!(self.slack.tally().pages > 0);
        assert!(!said(&output).contains("p@ss"), "{}", said(&output));
    }

    /// What `check` says of it in that environment.
    async fn is_refused(&self, environment: &[(&str, String)]) -> String {
        let mut command = forwarder::command();
        command.args(["check", "--config", &self.forwarder.config()]);
        let output = run(&mut command, environment).await;
        assert!(!output.status.success());
        assert_eq!(self.slack.tally().requests, 0);
        let text = said(&output);
        for secret in ["p@ss", "p%40ss", "wrong", self.slack.token()] {
            assert!(!text.contains(secret), "{text}");
        }
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

async fn run(command: &mut Command, environment: &[(&str, String)]) -> Output {
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    let child =
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    spawn_blocking(|| child.wait_with_output().unwrap()).await.unwrap()
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned()).concat()
}

fn env(name: &'static str, proxy: &ConnectProxy, login: &str) -> [(&'static str, String); 1] {
    [(name, format!("http://{login}{}", proxy.address()))]
}

/// Bound, and nobody listens.
fn dead() -> (socket2::Socket, SocketAddr) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

const TRUSTED: &str = "ca = \"{ca}\"";

#[tokio::test]
async fn the_environments_proxy_is_gone_through_with_its_login() {
    let scene = Scene::set(GOV, TRUSTED).await;
    let proxy = scene.proxy(Some(LOGIN)).await;
    scene.delivers(&env("HTTPS_PROXY", &proxy, "alice:p%40ss%3Aw%C3%B6rd%2F%25@")).await;
    let asked = proxy.asked();
    assert!(!asked.is_empty() && asked.iter().all(|to| to == "api.slack-gov.com:443"), "{asked:?}");
}

#[tokio::test]
async fn one_connection_serves_all_requests() {
    let scene = Scene::set(GOV, TRUSTED).await;
    let proxy = scene.proxy(None).await;
    scene.delivers(&env("https_proxy", &proxy, "")).await;
    assert!(scene.slack.tally().requests > 1);
    assert_eq!(proxy.asked().len(), 1);
}

#[tokio::test]
async fn the_configurations_proxy_goes_before_the_environments() {
    let source = format!(
        "{TRUSTED}\nproxy = \"http://alice@{{proxy}}\"\nproxy_password = {{ file = \"{{password}}\" }}"
    );
    let scene = Scene::set(GOV, &source).await;
    let proxy = scene.proxy(Some(LOGIN)).await;
    scene.rewrite("{proxy}", &proxy.address().to_string());
    scene.secret(LOGIN.trim_start_matches("alice:"));
    let (_held, dead) = dead();
    scene.delivers(&[("HTTPS_PROXY", format!("http://{dead}")), ("NO_PROXY", "*".to_owned())]).await;
    assert_eq!(proxy.asked(), ["api.slack-gov.com:443"]);
}

#[tokio::test]
async fn a_table_says_it_for_all_sources() {
    let scene = Scene::set(GOV, "[slack]\nca = \"{ca}\"\nproxy = \"https://localhost:{proxy}\"").await;
    // It speaks TLS itself, with a certificate of the same authority.
    let identity = scene.certificates.authority.server(&["localhost"], Term::Now).unwrap();
    let proxy = ConnectProxy::start(Answer::To(scene.front.address()), None, Some(&identity)).await;
    scene.rewrite("{proxy}", &proxy.address().port().to_string());
    scene.delivers(&[]).await;
    assert_eq!(proxy.asked(), ["api.slack-gov.com:443"]);
}

#[tokio::test]
async fn what_no_proxy_names_and_off_go_straight() {
    let (_held, dead) = dead();
    let dead = ("HTTPS_PROXY", format!("http://{dead}"));
    // An address of this machine that is not loopback's.
    let here = "https://0.0.0.0:{port}";
    let scene = Scene::set(here, TRUSTED).await;
    scene.delivers(&[dead.clone(), ("NO_PROXY", "example.com, 0.0.0.0".to_owned())]).await;
    let scene = Scene::set(here, &format!("{TRUSTED}\nproxy = \"off\"")).await;
    scene.delivers(&[dead]).await;
}

#[tokio::test]
async fn each_refusal_is_told_with_its_cure() {
    let scene = Scene::set(GOV, TRUSTED).await;
    let proxy = scene.proxy(Some(LOGIN)).await;
    for login in ["", "alice:wrong@"] {
        let told = scene.is_refused(&env("HTTPS_PROXY", &proxy, login)).await;
        assert!(
            told.contains("the proxy wants a name and a password, or others than those it was given (407)"),
            "{told}"
        );
        assert!(told.contains("`proxy_password`"), "{told}");
    }
    let refusing = ConnectProxy::start(Answer::Status(403), None, None).await;
    let told = scene.is_refused(&env("HTTPS_PROXY", &refusing, "")).await;
    assert!(told.contains("the proxy does not let us through to Slack"), "{told}");
    assert!(told.contains("have the proxy allow CONNECT"), "{told}");
    let silent = ConnectProxy::start(Answer::Nothing, None, None).await;
    let told = scene.is_refused(&env("HTTPS_PROXY", &silent, "")).await;
    assert!(told.contains("the proxy broke off before it answered"), "{told}");
    let (_held, dead) = dead();
    let told = scene.is_refused(&[("HTTPS_PROXY", format!("http://{dead}"))]).await;
    assert!(told.contains("no connection to the proxy") && told.contains("refused"), "{told}");
}

#[tokio::test]
async fn a_proxy_that_opens_tls_needs_its_authority_in_ca() {
    let scene = Scene::set(GOV, "").await;
    let proxy = scene.proxy(None).await;
    let told = scene.is_refused(&env("HTTPS_PROXY", &proxy, "")).await;
    assert!(
        told.contains("nobody trusted here has issued the certificate that was shown for Slack"),
        "{told}"
    );
    assert!(told.contains("name the file of its authority in `ca`"), "{told}");
    // Another authority is no help.
    let other = scene.forwarder.dir().join("other.pem");
    fs::write(&other, Authority::new("other").unwrap().pem()).unwrap();
    let text = format!("poll_every = \"60s\"\nca = {:?}\n[destinations.out]", other.to_str().unwrap());
    scene.rewrite("[destinations.out]", &text);
    scene.is_refused(&env("HTTPS_PROXY", &proxy, "")).await;
    // Its file is looked at again: no restart, no other configuration.
    let mut command = scene.forwarder.command(&[]);
    command.env("HTTPS_PROXY", format!("http://{}", proxy.address()));
    let running = scene.forwarder.begin(&mut command);
    until(&running, || running.log().contains("nobody trusted here has issued")).await;
    fs::write(&other, scene.certificates.authority.pem()).unwrap();
    until(&running, || scene.slack.tally().pages > 0).await;
}
