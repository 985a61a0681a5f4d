//! `simulate`: the stand-ins of `demo`, on their own.

mod fault;
mod receiver;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;

use clap::{Args, Subcommand};

use super::runtime;
use crate::report::{self, Exit, Failure};
use crate::simulate::slack::{Generated, LoadError, Pace, Plan, Slack, Tally};

/// A simulated Slack, or a simulated syslog receiver, for trying things out.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Slack(SlackArguments),
    Receiver(Box<receiver::Arguments>),
}

/// Answers like Slack, with all its habits, over plain HTTP on this machine: its three logs, logins, allow list and webhooks.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  slackcef simulate slack --rate 5\n  slackcef simulate slack --events captured.ndjson --listen 127.0.0.1:8080\n  slackcef simulate slack --print-plan > plan.toml     a plan with all that there is, explained\n  slackcef simulate slack --plan plan.toml --json      as it says; each request is a line of JSON\n\nPoint a source at it:  base_url = \"http://127.0.0.1:8080\""
)]
struct SlackArguments {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// A plan of what it holds and of what goes wrong; see `--print-plan`.
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// Prints a plan that shows and explains all that a plan can say, and ends.
    #[arg(long, exclusive = true)]
    print_plan: bool,
    /// Prints each request, once it is answered, as a line of JSON; without tokens and secrets.
    #[arg(long)]
    json: bool,
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

pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    let runtime = runtime()?;
    match arguments.command {
        Command::Slack(arguments) => runtime.block_on(slack(arguments)),
        Command::Receiver(arguments) => runtime.block_on(receiver::run(*arguments)),
    }
}

/// All that a plan can say.
const PLAN: &str = include_str!("../../tests/plans/nasty.toml");

async fn slack(arguments: SlackArguments) -> Result<(), Failure> {
    if arguments.print_plan {
        return report::data().line(PLAN.trim_end());
    }
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
    said(format!("messages to a channel: webhook {}", slack.webhook_url("B0SIMULATED")))?;
    if arguments.json {
        told(&slack).await?;
    } else {
        ctrl_c().await?;
    }
    for (log, tally) in slack.tallies() {
        if tally.requests > 0 {
            let Tally { requests, entries, troubled, .. } = tally;
            said(format!(
                "{log} log: {requests} requests, {entries} entries served, {troubled} requests troubled"
            ))?;
        }
    }
    Ok(())
}

/// Prints each request until nobody reads on, or it is stopped.
async fn told(slack: &Slack) -> Result<(), Failure> {
    let (mut seen, mut out) = (slack.seen(), report::data());
    let mut stopped = pin!(ctrl_c());
    while !out.is_closed() {
        tokio::select! {
            Some(request) = seen.recv() => out.line(serde_json::to_string(&request).unwrap_or_default())?,
            stopped = &mut stopped => return stopped,
        }
    }
    Ok(())
}

fn plan_failure(error: LoadError) -> Failure {
    match error {
        LoadError::Plan { problem } => Failure::of_problems(vec![*problem]),
        other => Failure::of_error(Exit::Usage, &other),
    }
}

async fn ctrl_c() -> Result<(), Failure> {
    tokio::signal::ctrl_c().await.map_err(|error| Failure::of_error(Exit::Bug, &error))
}

fn said(text: String) -> Result<(), Failure> {
    report::notes().line(text)
}
