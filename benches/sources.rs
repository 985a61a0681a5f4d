//! Many sources in one process, idle: what does it cost to poll them?
//!
//! ```sh
//! cargo bench --bench sources                     # 1,000 sources, polled every minute, for a minute
//! cargo bench --bench sources -- 200 30           # 200 of them, measured for 30 seconds
//! cargo bench --bench sources -- 1000 60 destinations              # each with a destination of its own
//! cargo bench --bench sources -- 1000 60 destinations mappings     # and with a mapping of its own
//! ```
//!
//! Slack is a process of its own, over plain HTTP, and so is the receiver, over TLS. Each source has a
//! token of its own and thereby an organization of its own. Measuring begins when all of them have been
//! polled twice. What is printed is the forwarder's alone: peak memory, and CPU seconds a second.

#![expect(clippy::print_stdout, reason = "figures are what it is for")]

mod support;

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::thread::sleep;
use std::time::{Duration, Instant};

use support::Process;

fn main() {
    let mut numbers = std::env::args().filter_map(|word| word.parse::<u64>().ok());
    let (count, seconds) = (numbers.next().unwrap_or(1_000), numbers.next().unwrap_or(60));
    let own = |what: &str| std::env::args().any(|word| word == what);
    let (destinations, mappings) = (own("destinations"), own("mappings"));
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name: &str| dir.path().join(name).to_str().expect("UTF-8").to_owned();

    let (_slack, slack) = Process::stand_in(&["simulate", "slack", "--listen", "127.0.0.1:0"]);
    let (_receiver, receiver) =
        Process::stand_in(&["simulate", "receiver", "--listen", "127.0.0.1:0", "--ca-file", &path("ca.pem")]);
    let url = slack.split('"').nth(1).expect("a base_url");
    let to = receiver.split(' ').find(|word| word.starts_with("127.")).expect("an address");
    let mut config =
        format!("version = 1\n[state]\ndir = {:?}\n[telemetry]\nlisten = \"off\"\n", path("state"));
    let siem = |name: &str, more: &str| {
        format!(
            "[destinations.{name}]\n{more}[destinations.{name}.tls]\nto = [{to:?}]\nca = {:?}\n",
            path("ca.pem")
        )
    };
    for nth in 0..count {
        let token = path(&format!("token-{nth}"));
        fs::write(&token, "xoxp-simulated-audit-token").expect("a token");
        fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).expect("a mode");
        write!(
            config,
            "[sources.s{nth}]\nlog = \"audit\"\ntoken = {{ file = {token:?} }}\nbase_url = {url:?}\n"
        )
        .expect("memory");
        if destinations {
            let mut more = format!("sources = [\"s{nth}\"]\n");
            if mappings {
                let mapping = path(&format!("mapping-{nth}"));
                fs::create_dir(&mapping).expect("a folder");
                let text = format!("version = 1\nlog = \"audit\"\n[fields]\nAcmeTenant = \"s{nth}\"\n");
                fs::write(format!("{mapping}/own.toml"), text).expect("a mapping");
                writeln!(more, "mapping = \"m{nth}\"").expect("memory");
                writeln!(config, "[mappings.m{nth}]\ndir = {mapping:?}").expect("memory");
            }
            config += &siem(&format!("d{nth}"), &more);
        }
    }
    if !destinations {
        config += &siem("siem", "");
    }
    fs::write(path("slackcef.toml"), config).expect("a configuration");

    let log = fs::File::create(path("log")).expect("a file");
    let begun = Instant::now();
    let config = path("slackcef.toml");
    let forwarder = Process::start(|command| command.args(["run", "--config", &config]).stderr(log));
    let cpu = || forwarder.state_and_cpu().1;
    let memory = |which| f64::from(forwarder.memory(which).expect("it runs")) / 1024.0;
    let polled = || fs::read_to_string(path("log")).unwrap_or_default().matches("caught up").count() as u64;
    let ready = loop {
        let said = polled();
        if said >= count {
            break begun.elapsed();
        }
        assert!(begun.elapsed() < Duration::from_secs(600), "only {said} of {count} are caught up");
        sleep(Duration::from_millis(100));
    };
    sleep(Duration::from_secs(60));
    let (from, before) = (Instant::now(), cpu());
    sleep(Duration::from_secs(seconds));
    let (spent, wall) = (cpu() - before, from.elapsed());
    let own = std::env::args().filter(|word| matches!(word.as_str(), "destinations" | "mappings"));
    println!("{count} sources; of their own: {:?}", own.collect::<Vec<_>>());
    println!("all polled after, s        {:>10.1}", ready.as_secs_f64());
    println!("CPU until measuring, s     {before:>10.2}");
    println!("CPU of a core, %           {:>10.2}", 100.0 * spent / wall.as_secs_f64());
    println!("memory, MiB                {:>10.1}", memory("VmRSS:"));
    println!("peak memory, MiB           {:>10.1}", memory("VmHWM:"));
}
