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

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use support::Process;

fn main() {
    let count: u64 = std::env::args().find_map(|word| word.parse().ok()).unwrap_or(200_000);
    let receipts = if std::env::args().any(|word| word == "off") { "off" } else { "auto" };
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name: &str| dir.path().join(name).to_str().expect("UTF-8").to_owned();

    let (_slack, slack) =
        Process::stand_in(&["simulate", "slack", "--listen", "127.0.0.1:0", "--count", &count.to_string()]);
    let (_receiver, receiver) =
        Process::stand_in(&["simulate", "receiver", "--listen", "127.0.0.1:0", "--ca-file", &path("ca.pem")]);
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
    let config = path("slackcef.toml");
    let mut forwarder =
        Process::start(|command| command.args(["run", "--once", "--config", &config]).stderr(Stdio::null()));
    let mut peak = 0;
    // A zombie still tells its CPU time, but no more its memory: so look while it lives.
    let (cpu, wall) = loop {
        peak = forwarder.memory("VmHWM:").unwrap_or(peak).max(peak);
        if let ('Z', cpu) = forwarder.state_and_cpu() {
            break (cpu, start.elapsed());
        }
        sleep(Duration::from_millis(20));
    };
    let status = forwarder.0.wait().expect("an end");
    let delivered = status.success();
    #[expect(clippy::cast_precision_loss, reason = "counts of events are far below 2^52")]
    let events = count as f64;
    println!("{count} events, receipts {receipts}, exit {status}, all delivered: {delivered}");
    println!("events a second            {:>10.0}", events / wall.as_secs_f64());
    println!("CPU seconds a million      {:>10.2}", cpu * 1e6 / events);
    println!("peak memory, MiB           {:>10.1}", f64::from(peak) / 1024.0);
    assert!(delivered, "the run failed: its figures mean nothing");
}
