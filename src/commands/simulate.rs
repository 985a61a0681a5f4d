//! `simulate`: the stand-ins of `demo`, on their own.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::runtime;
use crate::report::{self, Exit, Failure};
use crate::simulate::authority::{Authority, Identity, LOCAL, Term};
use crate::simulate::receiver::{Arrival, Receiver, Relp, ServerTls, Settings};
use crate::simulate::slack::{Generated, LoadError, Pace, Plan, Slack};

/// A simulated Slack, or a simulated syslog receiver, for trying things out.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Slack(SlackArguments),
    Receiver(ReceiverArguments),
}

/// Answers like Slack's Audit Logs API, with all its habits, over plain HTTP on this machine.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  slackcef simulate slack --rate 5\n  slackcef simulate slack --events captured.ndjson --listen 127.0.0.1:8080\n  slackcef simulate slack --plan nasty.toml            scripted events and faults\n\nPoint a source at it:  base_url = \"http://127.0.0.1:8080\""
)]
struct SlackArguments {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// A plan of events and faults.
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// Entries to serve, one JSON object a line; may be given several times.
    #[arg(long, value_name = "FILE")]
    events: Vec<PathBuf>,
    /// Makes up so many entries a second.
    #[arg(long, value_name = "NUMBER")]
    rate: Option<f64>,
    /// Stops making up entries after so many; without `--rate` they lie in the last day.
    #[arg(long, value_name = "NUMBER")]
    count: Option<u64>,
    /// The same seed makes up the same entries.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Names that try to break out of a CEF field or a syslog frame.
    #[arg(long)]
    hostile: bool,
    /// The one token that is let in.
    #[arg(long)]
    token: Option<String>,
}

/// Receives syslog over TLS, TCP or RELP, and prints each message on a line of standard output.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  slackcef simulate receiver --ca-file ca.pem            a certificate for localhost made on the spot; trust it by `ca = \"ca.pem\"`\n  slackcef simulate receiver --plain --listen 127.0.0.1:5514\n  slackcef simulate receiver --relp --plain --listen 127.0.0.1:2514\n  slackcef simulate receiver --certificate server.pem --key server.key"
)]
struct ReceiverArguments {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:6514", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Lets other machines connect.
    #[arg(long)]
    beyond_this_machine: bool,
    /// Plain TCP, without TLS.
    #[arg(long, conflicts_with_all = ["certificate", "ca_file"])]
    plain: bool,
    /// RELP, which acknowledges each message; over TLS, unless `--plain`.
    #[arg(long)]
    relp: bool,
    /// The certificate to show, with its chain, in PEM; otherwise one is made for localhost.
    #[arg(long, value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,
    /// Its key, in PEM.
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
    /// Where to write the authority of the certificate that is made.
    #[arg(long, value_name = "FILE", conflicts_with = "certificate")]
    ca_file: Option<PathBuf>,
}

pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    let runtime = runtime()?;
    match arguments.command {
        Command::Slack(arguments) => runtime.block_on(slack(arguments)),
        Command::Receiver(arguments) => runtime.block_on(receiver(arguments)),
    }
}

async fn slack(arguments: SlackArguments) -> Result<(), Failure> {
    let mut plan = match &arguments.plan {
        Some(path) => Plan::load(path).map_err(plan_failure)?,
        None => Plan::default(),
    };
    for path in &arguments.events {
        plan.load_events(path).map_err(plan_failure)?;
    }
    if arguments.rate.is_some() || arguments.count.is_some() || arguments.hostile {
        let day = std::time::Duration::from_secs(86_400);
        plan.generated = Some(Generated {
            seed: arguments.seed,
            count: arguments.count,
            pace: arguments.rate.map_or(Pace::Over(day), Pace::PerSecond),
            hostile: arguments.hostile,
            ..Generated::default()
        });
    }
    if let Some(token) = arguments.token {
        plan.token = token;
    }
    let slack = Slack::start(arguments.listen, plan).await.map_err(|error| {
        Failure::new(Exit::Unavailable, format!("cannot listen on {}", arguments.listen)).because(&error)
    })?;
    said(format!("a simulated Slack listens: base_url = \"{}\", token {}", slack.base_url(), slack.token()))?;
    ctrl_c().await?;
    let tally = slack.tally();
    said(format!(
        "{} requests, {} entries served, {} requests troubled",
        tally.requests, tally.entries, tally.troubled
    ))
}

fn plan_failure(error: LoadError) -> Failure {
    match error {
        LoadError::Plan { problem } => Failure::of_problems(vec![*problem]),
        other => Failure::of_error(Exit::Usage, &other),
    }
}

async fn receiver(arguments: ReceiverArguments) -> Result<(), Failure> {
    let tls = if arguments.plain { None } else { Some(ServerTls::new(identity(&arguments)?)) };
    let settings = Settings {
        listen: arguments.listen,
        beyond_this_machine: arguments.beyond_this_machine,
        tls,
        relp: arguments.relp.then(Relp::default),
        ..Settings::default()
    };
    let mut receiver =
        Receiver::start(settings).await.map_err(|error| Failure::of_error(Exit::Unavailable, &error))?;
    said(format!(
        "a {} receiver listens on {}{}",
        if arguments.relp { "RELP" } else { "syslog" },
        receiver.address(),
        if arguments.plain { "" } else { " with TLS" }
    ))?;
    let mut out = report::data();
    let mut received: u64 = 0;
    loop {
        let arrival = tokio::select! {
            arrival = receiver.next() => arrival,
            stopped = ctrl_c() => {
                stopped?;
                None
            }
        };
        match arrival {
            None => break,
            Some(Arrival::Message(message)) => {
                received = received.saturating_add(1);
                out.line(&message.text)?;
                if out.is_closed() {
                    break;
                }
            }
            Some(Arrival::Connected { connection, tls }) => {
                tracing::info!(connection, tls = tls.unwrap_or_else(|| "none".to_owned()), "connected");
            }
            Some(Arrival::Refused { connection, reason }) => {
                tracing::warn!(connection, %reason, "no handshake");
            }
            Some(Arrival::Ended { connection, torn, how }) => {
                tracing::info!(connection, torn_bytes = torn.len(), ?how, "ended");
            }
        }
    }
    said(format!("{received} messages received"))
}

fn identity(arguments: &ReceiverArguments) -> Result<Identity, Failure> {
    if let (Some(certificate), Some(key)) = (&arguments.certificate, &arguments.key) {
        let read = |path: &PathBuf| {
            std::fs::read_to_string(path).map_err(|error| {
                Failure::new(Exit::Usage, format!("cannot read {}", path.display())).because(&error)
            })
        };
        return Ok(Identity { certificate: read(certificate)?, key: read(key)? });
    }
    let bug = |error: crate::simulate::authority::AuthorityError| Failure::of_error(Exit::Bug, &error);
    let authority = Authority::new("slackcef simulate receiver").map_err(bug)?;
    if let Some(path) = &arguments.ca_file {
        std::fs::write(path, authority.pem()).map_err(|error| {
            Failure::new(Exit::Usage, format!("cannot write {}", path.display())).because(&error)
        })?;
    }
    authority.server(&LOCAL, Term::Now).map_err(bug)
}

async fn ctrl_c() -> Result<(), Failure> {
    tokio::signal::ctrl_c().await.map_err(|error| Failure::of_error(Exit::Bug, &error))
}

fn said(text: String) -> Result<(), Failure> {
    report::notes().line(text)
}
