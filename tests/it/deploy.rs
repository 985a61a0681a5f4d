//! What `deploy/` ships, tried: receivers and relays with exactly its files, each README's
//! destination read by the configuration reader, the table of profiles compared with the profiles.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use serde_json::json;
use slackcef::config::Config;
use slackcef::simulate::receiver::{Receiver, ServerTls, Settings};
use slackcef::simulate::slack::{Plan, Slack};
use slackcef::syslog::{Framing, HeaderKind, Profile};
use tokio::time::timeout;

use crate::support::certificates::Certificates;
use crate::support::daemon::{PATIENCE, tick};
use crate::support::entries;
use crate::support::forwarder::{Forwarder, slackcef};
use crate::support::hostile::PIECES;
use crate::support::shipped::{Kind, Site, text_of};
use slackcef::cef::{Ipv6Labels, Values};
use slackcef::simulate::authority::Term;

const SOURCE: &str =
    "start = \"2018-03-01T00:00:00Z\"\npoll_every = \"1s\"\nsettle = \"2s\"\nrequests_per_minute = 6000";

/// Entries with every shape and every hostile text that we know of, and one that becomes far more
/// than the 8 KiB which daemons take unless told otherwise.
async fn slack() -> Slack {
    let mut given = entries::own();
    for (n, piece) in PIECES.iter().enumerate() {
        given.push(entry(&format!("hostile-{n}"), &format!("x{piece}y")));
    }
    given.push(entry("large", &"wörter und ".repeat(400)));
    Slack::start("127.0.0.1:0".parse().unwrap(), Plan { given, ..Plan::default() }).await.unwrap()
}

fn entry(id: &str, text: &str) -> String {
    json!({
        "id": id, "date_create": 1_766_106_000, "action": "file_downloaded",
        "actor": {"type": "user", "user": {"id": "W0EVE", "name": text, "email": "eve@acme.example", "team": "E0ACME"}},
        "entity": {"type": "file", "file": {"id": "F0", "name": text, "title": text, "filetype": "text"}},
        "context": {"location": {"type": "enterprise", "id": "E0ACME", "name": text, "domain": "acme"},
            "ua": text, "ip_address": "2001:db8::7", "session_id": 7},
        "details": {"reason": text, "url_private": text, "more": text, "new_value": text, "previous_value": text}
    })
    .to_string()
}

/// The `toml` blocks of a README that show a destination.
fn destinations(readme: &str) -> Vec<&str> {
    let blocks = readme.split("```toml\n").skip(1).map(|block| block.split("```").next().unwrap());
    blocks.filter(|block| block.contains("[destinations.")).collect()
}

/// Runs the program with that destination, and with a file beside it that takes the same lines;
/// gives back these.
async fn delivered(destination: &str) -> Vec<String> {
    let slack = slack().await;
    let dir = tempfile::tempdir().unwrap();
    let beside = dir.path().join("events");
    let file = format!(
        "{destination}\n[destinations.beside]\nmax_message = \"60KiB\"\n[destinations.beside.file]\npath = {beside:?}\n"
    );
    let forwarder = Forwarder::new(&slack, SOURCE, &file);
    let mut running = forwarder.start(&["--once"]);
    assert!(running.end().await.success(), "{}", running.log());
    let lines: Vec<_> = fs::read_to_string(beside).unwrap().lines().map(str::to_owned).collect();
    assert!(lines.len() > PIECES.len() && lines.iter().any(|line| line.len() > 9_000));
    lines
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

async fn until(site: &Site, file: &str, count: usize) -> Vec<String> {
    let start = Instant::now();
    loop {
        let lines = site.lines(file);
        if lines.len() >= count {
            return lines;
        }
        assert!(start.elapsed() < PATIENCE, "{} of {count}: {}", lines.len(), site.log());
        tick().await;
    }
}

/// The snippet of a README, with this test's addresses and files in it.
fn placed(snippet: &str, places: &[(&str, &str)]) -> String {
    places.iter().fold(snippet.to_owned(), |snippet, (place, with)| {
        assert!(snippet.contains(place), "{snippet} does not hold {place}");
        snippet.replace(place, with)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn rsyslog_as_shipped_stores_every_line_as_it_was_written() {
    receives(Kind::Rsyslog, "receivers/rsyslog").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn syslog_ng_as_shipped_stores_every_line_as_it_was_written() {
    receives(Kind::SyslogNg, "receivers/syslog-ng").await;
}

async fn receives(kind: Kind, folder: &str) {
    let certificates = Certificates::new();
    let readme = text_of(&format!("deploy/{folder}/README.md"));
    let snippets = destinations(&readme);
    let [plain, shown] = snippets.as_slice() else { panic!("{snippets:?}") };
    let ca = certificates.ca();
    for (file, client) in [("slackcef.conf", false), ("slackcef-client-certificates.conf", true)] {
        let site = Site::start(kind, &certificates, &[&format!("{folder}/{file}")], &[], "").await;
        let at = site.address().to_string();
        let places = [("logs.example.com:6514", at.as_str()), ("/etc/slackcef/ca.pem", ca.to_str().unwrap())];
        let without = placed(plain, &places);
        let snippet = if client {
            assert_is_refused(&without).await;
            with_certificate(shown, "logs.example.com:6514", &certificates, &site)
        } else {
            without
        };
        let sent = delivered(&snippet).await;
        let stored = until(&site, "out/cef.log", sent.len()).await;
        assert_eq!(sorted(stored), sorted(sent), "{file}");
    }
}

/// The receiver lets nobody in who shows no certificate.
async fn assert_is_refused(destination: &str) {
    let slack = slack().await;
    let forwarder = Forwarder::new(&slack, SOURCE, destination);
    let checked = tokio::task::spawn_blocking(move || slackcef(&["check", "--config", &forwarder.config()]))
        .await
        .unwrap();
    let said =
        String::from_utf8_lossy(&checked.stdout).into_owned() + &String::from_utf8_lossy(&checked.stderr);
    assert!(!checked.status.success() && said.contains("certificate"), "{said}");
}

/// A SIEM that takes TLS, at `listen`.
async fn siem(certificates: &Certificates, listen: SocketAddr) -> Receiver {
    let tls = Some(ServerTls::new(certificates.server()));
    Receiver::start(Settings { listen, tls, ..Settings::default() }).await.unwrap()
}

/// Messages as the SIEM has them, until each of these lines is among them.
async fn arrive(siem: &mut Receiver, lines: &[String], site: &Site) -> Vec<String> {
    let mut missing: BTreeSet<&String> = lines.iter().collect();
    let mut arrived = Vec::new();
    while !missing.is_empty() {
        let next = timeout(PATIENCE, siem.next_message()).await;
        let Ok(Some(message)) = next else { panic!("{} are missing: {}", missing.len(), site.log()) };
        assert!(message.counted);
        let text = String::from_utf8(message.text.to_vec()).unwrap();
        missing.remove(&cef_of(&text).to_owned());
        arrived.push(text);
    }
    arrived
}

/// syslog-ng ends each message with a line feed inside its frame, as every receiver knows of it.
fn cef_of(message: &str) -> &str {
    let at = message.find("CEF:0|").unwrap_or_else(|| panic!("no CEF in {message:?}"));
    let cef = message.split_at(at).1;
    cef.strip_suffix('\n').unwrap_or(cef)
}

/// A relay that passes on to `siem` what comes by `input`, and the part of a configuration that
/// delivers to it.
async fn relay(kind: Kind, input: &str, certificates: &Certificates, siem: SocketAddr) -> (Site, String) {
    let (folder, out) = match kind {
        Kind::Rsyslog => ("rsyslog", "00-slackcef-out.conf"),
        Kind::SyslogNg => ("syslog-ng", "slackcef-out.conf"),
    };
    let (out, input) = (format!("relay/{folder}/{out}"), format!("relay/{folder}/{input}"));
    let text = text_of(&format!("deploy/{out}"));
    let target = text.lines().find(|line| line.contains("6514")).unwrap();
    let there = target.replace("siem.example.com", "localhost").replace("6514", &siem.port().to_string());
    let places = [(target, there.as_str()), ("siem.example.com", "localhost")];
    // rsyslog wants the ruleset before the input, syslog-ng takes either order.
    let site = Site::start(kind, certificates, &[&out, &input], &places, "").await;
    let readme = text_of("deploy/relay/README.md");
    let table = input.trim_end_matches(".conf").rsplit('-').next().unwrap();
    let snippet = destinations(&readme)
        .into_iter()
        .find(|block| block.contains(&format!("[destinations.relay.{table}]")))
        .unwrap_or_else(|| panic!("the README shows no {table}"));
    let places = match table {
        "unix" => vec![("/run/slackcef", site.dir().to_str().unwrap().to_owned())],
        "relp" => vec![("127.0.0.1:2514", site.address().to_string())],
        _ => vec![
            ("127.0.0.1:6514", site.address().to_string()),
            ("/etc/slackcef/ca.pem", certificates.ca().to_str().unwrap().to_owned()),
        ],
    };
    let snippet =
        places.iter().fold(snippet.to_owned(), |snippet, (place, with)| placed(&snippet, &[(place, with)]));
    (site, snippet)
}

#[tokio::test(flavor = "multi_thread")]
async fn rsyslog_as_a_relay_passes_messages_on_unchanged() {
    for input in ["10-slackcef-in-tls.conf", "10-slackcef-in-relp.conf", "10-slackcef-in-unix.conf"] {
        let certificates = Certificates::new();
        let mut siem = siem(&certificates, ANY).await;
        let (site, destination) = relay(Kind::Rsyslog, input, &certificates, siem.address()).await;
        for (header, expected) in [
            ("rfc5424", "<134>1 2025-12-19T01:00:00Z fw1 CEF - - - "),
            ("rfc3164", "<134>Dec 19 01:00:00 fw1 "),
        ] {
            let arrived = passed_on(&destination, header, &mut siem, &site).await;
            assert_eq!(headers(&arrived), BTreeSet::from([expected]), "{input}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn syslog_ng_as_a_relay_passes_cef_on_whole_behind_a_header_of_its_own() {
    for input in ["slackcef-in-tls.conf", "slackcef-in-unix.conf"] {
        let certificates = Certificates::new();
        let mut siem = siem(&certificates, ANY).await;
        let (site, destination) = relay(Kind::SyslogNg, input, &certificates, siem.address()).await;
        let arrived = passed_on(&destination, "rfc5424", &mut siem, &site).await;
        // What comes by a socket of this machine it numbers.
        let data = if input.contains("unix") { "[meta sequenceId=\"" } else { "- " };
        let expected = format!("<134>1 2025-12-19T01:00:00+00:00 fw1 CEF - - {data}");
        for header in headers(&arrived) {
            assert!(header.starts_with(&expected), "{input}: {header}");
        }
    }
}

/// What stands before the CEF of the events that were made at one time.
fn headers(arrived: &[String]) -> BTreeSet<&str> {
    let hostile = arrived.iter().filter(|message| message.contains("externalId=hostile-"));
    hostile.map(|message| message.split("CEF:0|").next().unwrap()).collect()
}

/// Delivers to the relay, and gives back what the SIEM has of it: each line once, and whole.
async fn passed_on(destination: &str, header: &str, siem: &mut Receiver, site: &Site) -> Vec<String> {
    let keys = format!("profile = \"generic\"\nhostname = \"fw1\"\nage = \"1s\"\nheader = \"{header}\"");
    let sent = delivered(&placed(destination, &[("profile = \"generic\"", &keys)])).await;
    let arrived = arrive(siem, &sent, site).await;
    let lines = arrived.iter().map(|message| cef_of(message).to_owned()).collect();
    assert_eq!(sorted(lines), sorted(sent), "each once");
    arrived
}

#[tokio::test(flavor = "multi_thread")]
async fn rsyslog_as_a_relay_has_on_disk_what_it_has_acknowledged() {
    keeps(Kind::Rsyslog, "10-slackcef-in-tls.conf").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn syslog_ng_as_a_relay_has_on_disk_what_it_has_read() {
    keeps(Kind::SyslogNg, "slackcef-in-tls.conf").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rsyslog_as_a_relay_has_on_disk_what_it_has_acknowledged_over_relp() {
    keeps(Kind::Rsyslog, "10-slackcef-in-relp.conf").await;
}

/// The SIEM is away, the relay takes all that comes, is killed, and starts again; so does the SIEM.
async fn keeps(kind: Kind, input: &str) {
    let certificates = Certificates::new();
    let away = siem(&certificates, ANY).await;
    let at = away.address();
    away.stop().await;
    let (mut site, destination) = relay(kind, input, &certificates, at).await;
    let sent = delivered(&destination).await;
    site.kill_and_start().await;
    let mut siem = siem(&certificates, at).await;
    arrive(&mut siem, &sent, &site).await;
}

const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// What the Azure Monitor Agent's file does, in our words: the default ruleset, in rsyslog's
/// traditional form, to a port of this machine.
#[tokio::test(flavor = "multi_thread")]
async fn the_log_forwarder_of_sentinel_hands_the_agent_every_line() {
    let certificates = Certificates::new();
    let mut agent = Receiver::start(Settings::default()).await.unwrap();
    let forward = format!(
        "template(name=\"agent\" type=\"string\" \
         string=\"<%PRI%>%TIMESTAMP% %HOSTNAME% %syslogtag%%msg:::sp-if-no-1st-sp%%msg%\")\n\
         action(type=\"omfwd\" target=\"127.0.0.1\" port=\"{}\" protocol=\"tcp\" template=\"agent\")\n",
        agent.address().port()
    );
    let file = "receivers/sentinel/60-slackcef.conf";
    let site = Site::start(Kind::Rsyslog, &certificates, &[file], &[], &forward).await;
    let readme = text_of("deploy/receivers/sentinel/README.md");
    let snippet = placed(destinations(&readme)[0], &[("profile = \"sentinel\"", QUICKLY)]);
    let sent =
        delivered(&with_certificate(&snippet, "forwarder.example.com:6514", &certificates, &site)).await;
    // The profile's size fits into what rsyslog takes; beside it lie the whole lines.
    let fitting: BTreeSet<String> = sent.iter().filter(|line| line.len() < 7_000).cloned().collect();
    let mut whole = BTreeSet::new();
    for _ in &sent {
        let next = timeout(PATIENCE, agent.next_message()).await;
        let Ok(Some(message)) = next else { panic!("{} of {}: {}", whole.len(), sent.len(), site.log()) };
        let text = String::from_utf8(message.text.to_vec()).unwrap();
        let (before, cef) = text.split_once("CEF: 0|").unwrap_or_else(|| panic!("{text:?}"));
        assert!(before.starts_with("<13") && before.split_whitespace().count() == 4, "{before}");
        whole.insert(format!("CEF:0|{cef}"));
    }
    assert_eq!(fitting.difference(&whole).collect::<Vec<_>>(), Vec::<&String>::new());
}

/// The profile, without its long wait for what may lie in the forwarder's memory: the program ends sooner.
const QUICKLY: &str = "profile = \"sentinel\"\nage = \"1s\"";

/// A snippet whose sender shows a certificate, with this test's files and the site's address in it.
fn with_certificate(snippet: &str, at: &str, certificates: &Certificates, site: &Site) -> String {
    let client = certificates.authority.client("slackcef.example.com", Term::Now).unwrap();
    let (certificate, key) = certificates.write("client", &client);
    let [ca, certificate, key] =
        [certificates.ca(), certificate, key].map(|path| path.to_str().unwrap().to_owned());
    let places = [
        (at, site.address().to_string()),
        ("/etc/slackcef/ca.pem", ca),
        ("/etc/slackcef/client.pem", certificate),
        ("/etc/slackcef/client.key", key),
    ];
    places.iter().fold(snippet.to_owned(), |snippet, (place, with)| placed(&snippet, &[(place, with)]))
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files_below(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

#[test]
fn the_destinations_in_every_readme_are_read() {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
    let mut profiles: Vec<String> = Vec::new();
    for path in files_below(&deploy).iter().filter(|path| path.ends_with("README.md")) {
        let readme = fs::read_to_string(path).unwrap();
        for block in destinations(&readme) {
            let source = "version = 1\n[sources.acme-audit]\nlog = \"audit\"\ntoken = { env = \"SLACK_AUDIT_TOKEN\" }\n";
            if let Err(problems) = Config::parse("README.md", &format!("{source}{block}")) {
                panic!("{}: {problems:?}\n{block}", path.display());
            }
            let named = block.lines().find_map(|line| line.strip_prefix("profile = \""));
            profiles.extend(named.map(|rest| rest.split('"').next().unwrap().to_owned()));
        }
    }
    for profile in Profile::all() {
        assert!(profiles.iter().any(|named| named == profile.name), "no README shows {profile}");
    }
}

/// Filebeat itself is not to be had: that its file is YAML with the keys that count is what can be said.
#[test]
fn the_configuration_of_filebeat_is_yaml() {
    let tools = std::env::var_os("SLACKCEF_TEST_TOOLS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(".test-tools"), PathBuf::from);
    let script = "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)";
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/receivers/elastic/filebeat.yml");
    let python = tools.join("venv/bin/python");
    let read = Command::new(&python).args(["-c", script]).arg(&file).output();
    let read = read.unwrap_or_else(|error| {
        panic!("run tests/run, which installs PyYAML: {}: {error}", python.display())
    });
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    let file: serde_json::Value = serde_json::from_slice(&read.stdout).unwrap();
    let input = &file["filebeat.inputs"][0];
    assert_eq!((&input["type"], &input["framing"]), (&json!("tcp"), &json!("delimiter")));
    assert_eq!(input["ssl"]["client_authentication"], "required");
    let named = |processor: &serde_json::Value| processor.as_object().unwrap().keys().next().unwrap().clone();
    let processors: Vec<_> = input["processors"].as_array().unwrap().iter().map(named).collect();
    assert_eq!(processors, ["rename", "decode_cef", "fingerprint"]);
    assert!(file["queue.disk"]["max_size"].is_string() && file["output.elasticsearch"].is_object());
}

/// The table of profiles, as `deploy/receivers/README.md` shows it.
fn table() -> String {
    let mut table = "| profile | receiver | header | framing on TLS | on TCP | facility | longest message | values | IPv6 labels | age |\n\
        | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
        .to_owned();
    let framing = |framing| match framing {
        Framing::OctetCounting => "octet counting",
        Framing::Newline => "newline",
        Framing::Bare => "none",
    };
    for profile in Profile::all() {
        let header = match profile.header {
            HeaderKind::Rfc5424 => "RFC 5424",
            HeaderKind::Rfc3164 => "RFC 3164",
            HeaderKind::None => "none",
        };
        let values = match profile.values {
            Values::Escaped => "escaped",
            Values::Plain => "plain",
        };
        let labels = match profile.ipv6_labels {
            Ipv6Labels::OneWord => "one word",
            Ipv6Labels::ArcSight => "ArcSight's",
        };
        writeln!(
            table,
            "| {} | {} | {header} | {} | {} | {} | {} | {values} | {labels} | {} s |",
            profile.name,
            profile.receiver,
            framing(profile.tls_framing),
            framing(profile.tcp_framing),
            profile.facility,
            profile.max_message,
            profile.age.as_secs(),
        )
        .unwrap();
    }
    table
}

const BEGIN: &str = "<!-- profiles: written by BLESS=1 cargo test --test it -- the_table_of_profiles -->\n";
const END: &str = "<!-- end of profiles -->";

#[test]
fn the_table_of_profiles_is_what_the_program_does() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/receivers/README.md");
    let readme = fs::read_to_string(&path).unwrap();
    let (before, rest) = readme.split_once(BEGIN).expect("the table's beginning is marked");
    let (shown, after) = rest.split_once(END).expect("the table's end is marked");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{}{END}{after}", table())).unwrap();
        return;
    }
    assert_eq!(shown, table(), "the profiles have changed: BLESS=1 rewrites the table");
}
