//! The whole path, measured from outside: HTTP answer → durable store with ids → mapping → CEF → TLS.
//!
//! ```sh
//! cargo bench --bench path               # 200,000 events
//! cargo bench --bench path -- 1000000
//! cargo bench --bench path -- 1000000 off     # without receipts, for comparison
//! ```
//!
//! Slack and the receiver are processes of their own, so that what is printed is the forwarder's
//! alone: events a second, CPU seconds for a million events, peak memory.

#![expect(clippy::print_stdout, reason = "figures are what it is for")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A stand-in at work; killed when dropped.
struct StandIn(Child);

impl Drop for StandIn {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _status = self.0.wait();
    }
}

fn main() {
    let count: u64 = std::env::args().find_map(|word| word.parse().ok()).unwrap_or(200_000);
    let receipts = if std::env::args().any(|word| word == "off") { "off" } else { "auto" };
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name: &str| dir.path().join(name).to_str().expect("UTF-8").to_owned();

    let (_slack, slack) =
        stand_in(&["simulate", "slack", "--listen", "127.0.0.1:0", "--count", &count.to_string()]);
    let (_receiver, receiver) =
        stand_in(&["simulate", "receiver", "--listen", "127.0.0.1:0", "--ca-file", &path("ca.pem")]);
    fs::write(path("token"), "xoxp-simulated-audit-token").expect("a token");
    fs::set_permissions(path("token"), fs::Permissions::from_mode(0o600)).expect("a mode");
    let url = slack.split('"').nth(1).expect("a base_url");
    let to = receiver.split(' ').find(|word| word.starts_with("127.")).expect("an address");
    let config = format!(
        "version = 1\n[state]\ndir = {:?}\n[sources.bench]\nlog = \"audit\"\ntoken = {{ file = {:?} }}\nbase_url = {url:?}\n\
         start = \"2d\"\nverify_after = \"off\"\nrequests_per_minute = 1000000\n\
         [telemetry]\nlisten = \"off\"\n[destinations.siem]\nage = \"1s\"\nreceipts = {receipts:?}\n[destinations.siem.tls]\nto = [{to:?}]\nca = {:?}\n",
        path("state"),
        path("token"),
        path("ca.pem"),
    );
    fs::write(path("slackcef.toml"), config).expect("a configuration");

    let start = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_slackcef"))
        .args(["run", "--once", "--config", &path("slackcef.toml")])
        .stderr(Stdio::null())
        .spawn()
        .expect("the program");
    let about = format!("/proc/{}", child.id());
    let mut peak = 0;
    // A zombie still tells its CPU time, but no more its memory: so look while it lives.
    let (cpu, wall) = loop {
        peak = memory(&about).unwrap_or(peak).max(peak);
        if let Some(cpu) = ended(&about) {
            break (cpu, start.elapsed());
        }
        sleep(Duration::from_millis(20));
    };
    let status = child.wait().expect("an end");
    let delivered = status.success();
    #[expect(clippy::cast_precision_loss, reason = "counts of events are far below 2^52")]
    let events = count as f64;
    println!("{count} events, receipts {receipts}, exit {status}, all delivered: {delivered}");
    println!("events a second            {:>10.0}", events / wall.as_secs_f64());
    println!("CPU seconds a million      {:>10.2}", cpu * 1e6 / events);
    println!("peak memory, MiB           {:>10.1}", f64::from(peak) / 1024.0);
    assert!(delivered, "the run failed: its figures mean nothing");
}

/// Starts a stand-in; gives back the first line that it says.
fn stand_in(arguments: &[&str]) -> (StandIn, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_slackcef"))
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program");
    let mut said = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut line = String::new();
    said.read_line(&mut line).expect("a line");
    std::thread::spawn(move || said.lines().count());
    (StandIn(child), line)
}

/// The largest resident size so far, in KiB.
fn memory(about: &str) -> Option<u32> {
    let status = fs::read_to_string(format!("{about}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// User and system seconds of the process, once it has ended.
fn ended(about: &str) -> Option<f64> {
    let stat = fs::read_to_string(format!("{about}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    if fields.first() != Some(&"Z") {
        return None;
    }
    // utime and stime, in hundredths of a second on every Linux that Rust runs on.
    let ticks: f64 = fields.get(11..13)?.iter().filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
    Some(ticks / 100.0)
}
