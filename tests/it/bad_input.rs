//! Each kind of bad input: the exit code, and a message that says what, where, because of what and
//! what to do.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use slackcef::net::Fingerprint;
use slackcef::simulate::authority::Term;
use slackcef::simulate::receiver::{Fault, Receiver, ServerTls, Settings};
use slackcef::simulate::slack::{self, Plan, Slack, TOKEN, Trouble, When};

use crate::support::certificates::Certificates;
use crate::support::forwarder::{Forwarder, slackcef};

const WRONG_TOKEN: &str = "xoxp-wrong-token";
const HERE: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

/// The exit code, and what was said on both streams.
#[track_caller]
fn assert_says(output: &Output, exit: i32, words: &[&str]) {
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(exit), "{said}");
    for word in words {
        assert!(said.contains(word), "no {word:?} in:\n{said}");
    }
    assert!(!said.contains("panicked"), "{said}");
    for token in [TOKEN, WRONG_TOKEN] {
        assert!(!said.contains(token), "a token was shown:\n{said}");
    }
}

/// `check --offline` of a text.
fn checked(text: &str) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("slackcef.toml");
    fs::write(&path, text).unwrap();
    slackcef(&["check", "--offline", "--config", path.to_str().unwrap()])
}

const GOOD: &str = r#"version = 1
[sources.acme]
log = "audit"
token = { env = "SLACKCEF_TEST_TOKEN" }
[destinations.siem.tls]
to = ["siem.example.com:6514"]
"#;

#[test]
fn an_unknown_key_is_shown_with_a_caret_and_the_right_one() {
    let output = checked(&GOOD.replace("log =", "pol_every = \"60s\"\nlog ="));
    assert_says(
        &output,
        78,
        &["error[unknown-key]", "slackcef.toml:3:1", "^^^^^^^^^", "did you mean `poll_every`?"],
    );
}

#[test]
fn a_bad_address_of_slack_is_refused_before_a_token_goes_there() {
    let output = checked(&GOOD.replace("log =", "base_url = \"http://slack.example.com\"\nlog ="));
    assert_says(&output, 78, &["error[bad-value]", "http://slack.example.com", "in the clear", "https://"]);
    let output = checked(&GOOD.replace("siem.example.com:6514", "siem.example.com"));
    assert_says(&output, 78, &["error[bad-address]", "port"]);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let output = slackcef(&["run", "--config", "/nonexistent/slackcef.toml"]);
    assert_says(
        &output,
        78,
        &["cannot read the configuration /nonexistent/slackcef.toml", "No such file", "help:"],
    );
}

#[test]
fn an_unknown_command_is_a_mistake_of_usage() {
    assert_says(&slackcef(&["runn"]), 64, &["runn", "'run'"]);
    assert_says(&slackcef(&["run", "--onec"]), 64, &["--once"]);
}

#[test]
fn what_is_no_json_is_shown_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("entries");
    for (text, words) in [
        ("hello", ["not JSON at line 1, column 1", "help:"]),
        ("{\"id\":\"a\"}\n{\"id\":", ["not JSON at line 2", "EOF"]),
        ("3", ["value 1", "no JSON object"]),
        ("", ["holds no entry", "help:"]),
    ] {
        fs::write(&path, text).unwrap();
        assert_says(&slackcef(&["map", path.to_str().unwrap()]), 64, &words);
    }
}

#[test]
fn a_mapping_with_pseudonyms_does_not_run_without_its_key() {
    let dir = tempfile::tempdir().unwrap();
    let (mapping, key) = (dir.path().join("mapping"), dir.path().join("key"));
    fs::create_dir(&mapping).unwrap();
    let fields = "[fields]\nsuser = \"{actor.user.email | pseudonym}\"\n";
    fs::write(mapping.join("a.toml"), format!("version = 1\nlog = \"audit\"\n{fields}")).unwrap();
    let path = dir.path().join("slackcef.toml");
    let said = |command: &[&str], more: &str| {
        let named =
            format!("[destinations.siem]\nmapping = \"m\"\n[mappings.m]\ndir = {mapping:?}\n{more}\n");
        fs::write(&path, format!("{GOOD}{named}")).unwrap();
        slackcef(&[command, &["--config", path.to_str().unwrap()]].concat())
    };
    let (offline, online, run) = (["check", "--offline"], ["check"], ["run"]);
    for command in [&offline[..], &online, &run] {
        assert_says(
            &said(command, ""),
            78,
            &["mapping m makes pseudonyms", "a.toml:4", "pseudonym_key =", "openssl rand"],
        );
    }
    let from_file = format!("pseudonym_key = {{ file = {key:?} }}");
    assert_says(&said(&offline, &from_file), 0, &["mapping m"]);
    for command in [&online[..], &run] {
        fs::remove_file(&key).ok();
        assert_says(&said(command, &from_file), 78, &["pseudonym key of mapping m", "No such file"]);
        fs::write(&key, "15 bytes of key").unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        let output = said(command, &from_file);
        assert_says(&output, 78, &["pseudonym key of mapping m", "fewer than 16 bytes", "openssl rand"]);
        assert!(!String::from_utf8_lossy(&output.stderr).contains("15 bytes of key"), "{output:?}");
    }
    // The tools show what becomes of an entry all the same.
    let entry = dir.path().join("entry.json");
    fs::write(&entry, r#"{"action":"user_login","actor":{"user":{"email":"ada@example.com"}}}"#).unwrap();
    let output = slackcef(&["map", "--mapping", mapping.to_str().unwrap(), entry.to_str().unwrap()]);
    assert_says(&output, 0, &["suser=", "a key for tests"]);
    let line = String::from_utf8_lossy(&output.stdout);
    assert!(line.contains(" suser=") && !line.contains("suser=ada"), "{line}");
}

#[test]
fn a_mapping_with_mistakes_never_runs() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(
        dir.path().join("a.toml"),
        "version = 1\nlog = \"audit\"\n[fields]\nsuserr = \"{actor.user.id\"\n",
    )
    .unwrap();
    let text = format!(
        "{GOOD}[destinations.siem]\nmapping = \"m\"\n[mappings.m]\ndir = {:?}\n",
        dir.path().to_str().unwrap()
    );
    let output = checked(&text);
    assert_says(&output, 78, &["a.toml:4:1", "did you mean `suser`", "a.toml:4:"]);
    assert_says(
        &slackcef(&["mapping", "list", "--mapping", "/nonexistent"]),
        78,
        &["/nonexistent", "No such file"],
    );
}

async fn slack(plan: Plan) -> Slack {
    Slack::start(SocketAddr::from(HERE), plan).await.unwrap()
}

const STDOUT: &str = "[destinations.out]\nstdout = {}\n";

fn check(forwarder: &Forwarder) -> Output {
    slackcef(&["check", "--config", &forwarder.config()])
}

fn run_once(forwarder: &Forwarder) -> Output {
    slackcef(&["run", "--once", "--config", &forwarder.config()])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_everybody_can_read_is_refused() {
    let slack = slack(Plan::default()).await;
    let forwarder = Forwarder::new(&slack, "", STDOUT);
    fs::set_permissions(forwarder.dir().join("token"), fs::Permissions::from_mode(0o644)).unwrap();
    for output in [check(&forwarder), run_once(&forwarder)] {
        assert_says(&output, 78, &["is open to others", "0644", "chmod 0600"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_token_and_a_wrong_plan_are_told_apart() {
    let slack = slack(Plan { token: "right".into(), ..Plan::default() }).await;
    let forwarder = Forwarder::new(&slack, "", STDOUT);
    fs::write(forwarder.dir().join("token"), WRONG_TOKEN).unwrap();
    for output in [check(&forwarder), run_once(&forwarder)] {
        assert_says(&output, if output.stdout.is_empty() { 78 } else { 69 }, &["token", "401", "help:"]);
    }
    let refused =
        Trouble::Refused { status: 403, error: Some("feature_not_enabled".into()), retry_after: None };
    let faults = vec![slack::Fault { when: When::Every(1), trouble: refused }];
    let slack = self::slack(Plan { faults, ..Plan::default() }).await;
    let forwarder = Forwarder::new(&slack, "", STDOUT);
    assert_says(&run_once(&forwarder), 78, &["feature_not_enabled", "Enterprise", "help:"]);
}

/// `check` against a receiver with this certificate and these faults.
async fn checked_receiver(settings: Settings, certificates: &Certificates, more: &str) -> Output {
    let slack = slack(Plan::default()).await;
    let receiver = Receiver::start(settings).await.unwrap();
    let destination = format!(
        "[destinations.siem.tls]\nto = [\"{}\"]\nca = {:?}\n{more}",
        receiver.address(),
        certificates.ca().to_str().unwrap()
    );
    let forwarder = Forwarder::new(&slack, "", &destination);
    // The receiver lives in this runtime: the program must not block it.
    tokio::task::spawn_blocking(move || check(&forwarder)).await.unwrap()
}

fn serving(identity: slackcef::simulate::authority::Identity) -> Settings {
    Settings { tls: Some(ServerTls::new(identity)), ..Settings::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_receiver_is_described() {
    let certificates = Certificates::new();
    let output = checked_receiver(serving(certificates.server()), &certificates, "").await;
    assert_says(&output, 0, &["ok source acme", "ok destination siem", "TLS 1.3", "issued by slackcef test"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_certificate_is_named_with_its_date() {
    let certificates = Certificates::new();
    let expired = certificates.authority.server(&["localhost", "127.0.0.1"], Term::Past).unwrap();
    let output = checked_receiver(serving(expired), &certificates, "").await;
    assert_says(&output, 69, &["expired", "localhost", "20", "help:"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_name_is_shown_beside_the_right_one() {
    let certificates = Certificates::new();
    let other = certificates.authority.server(&["other.example.com"], Term::Now).unwrap();
    let output =
        checked_receiver(serving(other), &certificates, "server_name = \"siem.example.com\"\n").await;
    assert_says(&output, 69, &["siem.example.com", "other.example.com", "help:"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_authority_is_told() {
    let (certificates, others) = (Certificates::new(), Certificates::new());
    let output = checked_receiver(serving(others.server()), &certificates, "").await;
    assert_says(&output, 69, &["authority", "help:"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_that_does_not_fit_is_shown_the_one_that_would() {
    let certificates = Certificates::new();
    let (ours, other) = (certificates.server(), certificates.server());
    let pin = |identity: &slackcef::simulate::authority::Identity| {
        let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap();
        Fingerprint::of(&certificate).to_string()
    };
    let set = |identity| format!("fingerprints = [\"{}\"]\n", pin(identity));
    let output = checked_receiver(serving(ours.clone()), &certificates, &set(&ours)).await;
    assert_says(&output, 0, &["verified as 127.0.0.1 and by its fingerprint"]);
    let output = checked_receiver(serving(ours.clone()), &certificates, &set(&other)).await;
    assert_says(&output, 69, &["not a pinned one", &pin(&ours), "help:", "compare"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_without_tls_is_told() {
    let certificates = Certificates::new();
    let plaintext = Settings { faults: vec![Fault::Plaintext; 4], ..Settings::default() };
    let output = checked_receiver(plaintext, &certificates, "").await;
    assert_says(&output, 69, &["without TLS", "help:"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_cannot_be_written_to_is_named() {
    let slack = slack(Plan::default()).await;
    let forwarder = Forwarder::new(&slack, "", STDOUT);
    // Root may write anywhere, but not below a file.
    fs::write(forwarder.dir().join("state"), "a file").unwrap();
    assert_says(&run_once(&forwarder), 69, &["state", "help:"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_is_told_of_the_first() {
    let slack = slack(Plan::default()).await;
    let forwarder = Forwarder::new(&slack, "", STDOUT);
    let running = forwarder.start(&[]);
    slack.until(|tally| tally.requests > 0).await;
    assert_says(&run_once(&forwarder), 69, &["in use by process", "stop that process"]);
    drop(running);
}

#[test]
fn the_sample_configuration_and_the_readmes_are_right() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sample = fs::read_to_string(root.join("deploy/slackcef.toml")).unwrap();
    let mapping = tempfile::tempdir().unwrap();
    let sample = sample.replace("/etc/slackcef/mappings/acme", mapping.path().to_str().unwrap());
    assert_says(&checked(&sample), 0, &["ok configuration: 1 sources, 1 destinations", "ok mapping acme"]);
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let in_readme = readme.split("```toml\n").skip(1).map(|block| block.split("```").next().unwrap());
    let mut configurations = 0;
    for block in in_readme.filter(|block| block.contains("[sources.")) {
        // One that begins with a version is whole; another shows what goes into one.
        let whole = if block.starts_with("version") {
            block.to_owned()
        } else {
            format!("version = 1\n{block}\n[destinations.siem]\nstdout = {{}}\n")
        };
        assert_says(&checked(&whole), 0, &["ok configuration"]);
        configurations += 1;
    }
    assert!(configurations > 0, "the README shows a configuration");
}
