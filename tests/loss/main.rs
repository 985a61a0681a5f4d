//! The loss test: nothing may be lost, whatever happens to the receiver, the network or to slackcef.
//!
//! The program itself reads numbered events from a simulated Slack and delivers them to real receivers
//! (rsyslog with OpenSSL, GnuTLS and RELP, syslog-ng, and our own), which are killed, frozen and cut off
//! meanwhile; then what the receiver has stored is counted. The table says, for each transport and each
//! scenario, what was lost and what came twice.
//!
//! ```text
//! tests/run                                      # fetches the receivers; every test, this one in its short form
//! cargo test --release --test loss -- --full --markdown     # 200,000 events at 8,000 a second in each run
//! cargo test --test loss -- --only tls13,relp --scenario A,B --events 50000
//! cargo test --release --test loss -- --full --others       # rsyslog and syslog-ng as senders, for comparison
//! cargo test --test loss -- --help               # every transport and scenario
//! ```
//!
//! The short form is a choice of runs ([`scenario::is_in_the_short_form`]) with a tenth of the events and
//! fewer disturbances. Disturbances come at a progress, not at a time: that they hit it at work does not
//! depend on how fast the machine is.
//!
//! It fails when an event is lost (by UDP they are counted), when one is repeated where nothing excuses
//! it (Q, G, P) or long after its receipt was due, when a repeat differs from what came first, when
//! something is stored that nobody sent, and when delivery stands still until it is restarted. What
//! belongs to a failed run is kept.

mod bench;
mod others;
mod own;
mod process;
mod proxy;
mod receiver;
mod scenario;
mod sender;
mod table;
mod tally;
mod transport;
mod trust;

#[cfg(test)]
#[path = "../it/support"]
mod support {
    #[expect(dead_code, reason = "what the other tests need of it")]
    pub(crate) mod certificates;
    #[expect(dead_code, reason = "what the other tests need of it")]
    pub(crate) mod daemon;
}

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clap::Parser;
use tokio::task::JoinSet;

use bench::{Outcome, Run};
use others::Who;
use scenario::{SCENARIOS, Scenario};
use transport::{TRANSPORTS, Transport};

/// How much, how fast, and how badly.
#[derive(Debug, Clone)]
struct Load {
    events: u64,
    /// Events a second.
    rate: u32,
    /// How often the receiver, the connection or the sender is hit in a run.
    times: u32,
    /// How long it is frozen.
    stall: Duration,
    /// The destination's `age`; none for the program's own.
    age: Option<String>,
    /// How long nothing may move: longer than any backoff.
    patience: Duration,
    /// Keeps the folders of good runs too.
    keep: bool,
}

impl Load {
    /// How many messages may lie between an event and its repeat where receipts come soon: what is sent
    /// while it waits for its receipt and for its age, with room for a machine that has other things to do.
    fn window(&self) -> u64 {
        const ROOM: u64 = 5;
        let age = self.age.as_ref().and_then(|age| age.strip_suffix('s')?.parse().ok()).unwrap_or(5);
        u64::from(self.rate) * (ROOM + age)
    }
}

/// Counts what is lost between slackcef and its receivers while they are disturbed.
#[derive(Debug, Parser)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
struct Arguments {
    /// 200,000 events a run at 8,000 a second, ten disturbances, every transport, every scenario.
    #[arg(long)]
    full: bool,
    /// Only these transports: tls13, tls13-gtls, tls13-ng, tls13-own, tls12, tls12-ng, tls12-own, tcp, tcp-ng,
    /// relp, relp-tls, unix, udp.
    #[arg(long, value_delimiter = ',', value_name = "NAME,…")]
    only: Vec<String>,
    /// Only these scenarios: Q, A, B, C1, C2, C3 (C: all three), D, E, F, G, P.
    #[arg(long, value_delimiter = ',', value_name = "NAME,…")]
    scenario: Vec<String>,
    /// Events in each run.
    #[arg(long)]
    events: Option<u64>,
    /// Events a second.
    #[arg(long)]
    rate: Option<u32>,
    /// Runs at once.
    #[arg(long)]
    jobs: Option<usize>,
    /// The destination's `age`, or `default`.
    #[arg(long, default_value = "1s")]
    age: String,
    /// The table as Markdown.
    #[arg(long)]
    markdown: bool,
    /// Keeps what belongs to good runs too.
    #[arg(long)]
    keep: bool,
    /// rsyslog and syslog-ng as senders instead, over TCP and TLS, in A, B and C1.
    #[arg(long)]
    others: bool,
    /// For internal use: be a receiver on that port.
    #[arg(long, hide = true)]
    receive: Option<u16>,
    #[arg(long, hide = true)]
    only_tls12: bool,
    #[arg(long, hide = true)]
    clients: bool,
    /// What `cargo test -- …` says to every test binary: names of tests, of which this is `loss`.
    #[arg(hide = true)]
    filters: Vec<String>,
    #[arg(long, hide = true)]
    list: bool,
    #[arg(long, hide = true)]
    nocapture: bool,
    #[arg(long, hide = true)]
    show_output: bool,
    #[arg(long, hide = true)]
    exact: bool,
    #[arg(long, hide = true)]
    ignored: bool,
    #[arg(long, hide = true)]
    include_ignored: bool,
    #[arg(long, short, hide = true)]
    quiet: bool,
    #[arg(long, hide = true)]
    test_threads: Option<usize>,
    #[arg(long, hide = true)]
    skip: Vec<String>,
    #[arg(long, hide = true)]
    color: Option<String>,
    #[arg(long, hide = true)]
    format: Option<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse_from(std::env::args_os());
    if arguments.list {
        say("loss: test");
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let Ok(runtime) = runtime else { return failed("no runtime") };
    if let Some(port) = arguments.receive {
        let received = runtime.block_on(own::receive(port, arguments.only_tls12, arguments.clients));
        return received.map_or_else(|why| failed(&why), |()| ExitCode::SUCCESS);
    }
    if !is_meant(&arguments) {
        return ExitCode::SUCCESS;
    }
    match tally::check().and_then(|()| runs(&arguments)) {
        Ok(runs) => runtime.block_on(async {
            tokio::select! {
                code = all(&arguments, runs) => code,
                // What was started is killed when it is dropped.
                _stopped = tokio::signal::ctrl_c() => failed("stopped"),
            }
        }),
        Err(why) => failed(&why),
    }
}

/// `cargo test NAME` says the name to every test binary.
fn is_meant(arguments: &Arguments) -> bool {
    let names = |filter: &String| "loss".contains(filter.as_str());
    !arguments.ignored
        && !arguments.skip.iter().any(names)
        && (arguments.filters.is_empty() || arguments.filters.iter().any(names))
}

/// What was asked for, in the order of the table.
fn runs(arguments: &Arguments) -> Result<Vec<Run>, String> {
    for name in &arguments.only {
        if !TRANSPORTS.iter().any(|transport| transport.name == name) {
            let known: Vec<_> = TRANSPORTS.iter().map(|transport| transport.name).collect();
            return Err(format!("there is no transport {name}, but {}", known.join(", ")));
        }
    }
    let is_named = |scenario: Scenario, name: &str| {
        scenario.name() == name || (name == "C" && scenario.name().starts_with('C'))
    };
    for name in &arguments.scenario {
        if !SCENARIOS.iter().any(|&scenario| is_named(scenario, name)) {
            let known: Vec<_> = SCENARIOS.iter().map(|scenario| scenario.name()).collect();
            return Err(format!("there is no scenario {name}, but {}", known.join(", ")));
        }
    }
    let picked = !arguments.only.is_empty() || !arguments.scenario.is_empty();
    let senders: &[Who] = if arguments.others { &[Who::Rsyslog, Who::SyslogNg] } else { &[Who::Slackcef] };
    let mut runs = Vec::new();
    for &who in senders {
        for transport in TRANSPORTS {
            for &scenario in SCENARIOS {
                let asked = if picked {
                    let only = &arguments.only;
                    (only.is_empty() || only.iter().any(|name| name == transport.name))
                        && (arguments.scenario.is_empty()
                            || arguments.scenario.iter().any(|name| is_named(scenario, name)))
                } else if who == Who::Slackcef {
                    arguments.full || scenario::is_in_the_short_form(transport, scenario)
                } else {
                    true
                };
                if asked && scenario.suits(transport) && can(who, transport, scenario) {
                    runs.push(Run { who, transport, scenario });
                }
            }
        }
    }
    if runs.is_empty() {
        return Err("nothing of that can be run: see --help".to_owned());
    }
    Ok(runs)
}

/// What the other senders are compared in.
fn can(who: Who, transport: &Transport, scenario: Scenario) -> bool {
    who == Who::Slackcef
        || (matches!(scenario, Scenario::Q | Scenario::A | Scenario::B | Scenario::C1)
            && match transport.name {
                "tcp" | "tls13" => who == Who::Rsyslog,
                "tcp-ng" | "tls13-ng" => true,
                _ => false,
            })
}

async fn all(arguments: &Arguments, runs: Vec<Run>) -> ExitCode {
    let full = arguments.full;
    let load = Load {
        events: arguments.events.unwrap_or(if full { 200_000 } else { 20_000 }),
        rate: arguments.rate.unwrap_or(if full { 8_000 } else { 4_000 }),
        times: if full { 10 } else { 3 },
        stall: Duration::from_secs(if full { 20 } else { 4 }),
        age: Some(arguments.age.clone()).filter(|age| age != "default"),
        // The other senders try again after a second, slackcef after up to thirty.
        patience: Duration::from_secs(if arguments.others { 20 } else { 60 }),
        keep: arguments.keep,
    };
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("loss");
    let jobs = arguments.jobs.unwrap_or(if full { 1 } else { 4 });
    say(&format!("{} runs of {} events at {} a second, {jobs} at once", runs.len(), load.events, load.rate));
    let load = Arc::new(load);
    let waiting = Arc::new(Mutex::new(runs.into_iter()));
    let mut workers = JoinSet::new();
    for _ in 0..jobs {
        let (waiting, load, root) = (Arc::clone(&waiting), Arc::clone(&load), root.clone());
        workers.spawn(async move {
            let mut outcomes = Vec::new();
            let next = || waiting.lock().ok()?.next();
            while let Some(run) = next() {
                let outcome = run.outcome(&load, &root).await;
                say(&table::line(&outcome, load.events));
                outcomes.push(outcome);
            }
            outcomes
        });
    }
    let mut outcomes: Vec<Outcome> = Vec::new();
    while let Some(ended) = workers.join_next().await {
        match ended {
            Ok(of_one) => outcomes.extend(of_one),
            Err(error) => return failed(&format!("a run broke: {error}")),
        }
    }
    let table = if arguments.markdown {
        table::markdown(&outcomes, load.events, load.rate)
    } else {
        table::text(&outcomes)
    };
    say(&format!("\n{table}"));
    let bad = outcomes.iter().filter(|outcome| !outcome.failures.is_empty()).count();
    if bad == 0 {
        say("nothing was lost that must not be");
        ExitCode::SUCCESS
    } else {
        failed(&format!("{bad} of {} runs failed", outcomes.len()))
    }
}

fn say(text: &str) {
    // Who does not read it does not want it.
    let _said = writeln!(std::io::stderr().lock(), "{text}");
}

fn failed(why: &str) -> ExitCode {
    say(&format!("the loss test failed: {why}"));
    ExitCode::FAILURE
}
