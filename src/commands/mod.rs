//! The command line: what was typed, and one module a command that does it.
//!
//! **Invariant:** a command returns a [`Failure`] or nothing; it never ends the process itself.

mod allowlist;
mod auth;
mod check;
mod demo;
mod entries;
mod explained;
mod map;
mod mapping;
mod prove;
mod run;
mod simulate;
mod status;
mod stored;
mod table;

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::{Config, ConfigError};
use crate::pipeline::SetupError;
use crate::report::{Exit, Failure};
use crate::telemetry::LogForm;

/// Pulls Slack's audit, access and integration logs, maps every action to CEF and delivers it to a SIEM by syslog.
#[derive(Debug, Parser)]
#[command(name = "slackcef", version, max_term_width = 110, subcommand_required = true)]
#[command(
    after_help = "Begin with:\n  slackcef demo                  the whole path on this machine, no account needed\n  slackcef check --config F      is this configuration right, do Slack and the receivers answer?\n  slackcef run --config F        the service"
)]
pub struct Cli {
    /// How log lines look on standard error.
    #[arg(long, value_enum, default_value = "plain", global = true, env = "SLACKCEF_LOG_FORM")]
    log: LogChoice,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogChoice {
    /// For people.
    Plain,
    /// One JSON object a line.
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Arguments),
    Demo(demo::Arguments),
    Check(check::Arguments),
    Map(map::Arguments),
    Mapping(mapping::Arguments),
    Status(status::Arguments),
    Allowlist(allowlist::Arguments),
    Auth(auth::Arguments),
    Prove(prove::Arguments),
    Simulate(simulate::Arguments),
}

/// Where the configuration is.
#[derive(Debug, Args)]
struct ConfigFile {
    /// The configuration file.
    #[arg(
        long,
        short,
        value_name = "FILE",
        env = "SLACKCEF_CONFIG",
        default_value = "/etc/slackcef/slackcef.toml"
    )]
    config: PathBuf,
}

impl Cli {
    /// How the log shall look.
    pub fn log_form(&self) -> LogForm {
        match self.log {
            LogChoice::Plain => LogForm::Plain,
            LogChoice::Json => LogForm::Json,
        }
    }

    /// What is logged where `SLACKCEF_LOG` says nothing: what a service does is news, what happens
    /// on the stage of the demo is not.
    pub fn log_level(&self) -> &'static str {
        match self.command {
            Command::Demo(_) => "warn",
            _ => "info",
        }
    }

    /// Does what was asked for.
    ///
    /// # Errors
    /// [`Failure`]: why it could not be done.
    pub fn execute(self) -> Result<(), Failure> {
        match self.command {
            Command::Run(arguments) => run::run(&arguments),
            Command::Demo(arguments) => demo::run(&arguments),
            Command::Check(arguments) => check::run(&arguments),
            Command::Map(arguments) => map::run(&arguments),
            Command::Mapping(arguments) => mapping::run(&arguments),
            Command::Status(arguments) => status::run(&arguments),
            Command::Allowlist(arguments) => allowlist::run(arguments),
            Command::Auth(arguments) => auth::run(&arguments),
            Command::Prove(arguments) => prove::run(&arguments),
            Command::Simulate(arguments) => simulate::run(arguments),
        }
    }
}

impl ConfigFile {
    fn load(&self) -> Result<Config, Failure> {
        load_config(&self.config)
    }
}

fn load_config(path: &Path) -> Result<Config, Failure> {
    Config::load(path).map_err(|error| match error {
        ConfigError::Problems(problems) => Failure::of_problems(problems),
        ConfigError::Read { .. } => Failure::of_error(Exit::Configuration, &error)
            .help("name the file by --config FILE; the README has a whole one in ten lines"),
    })
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::of_error(Exit::Unavailable, &error))
}

/// What is not as it must be, in words, with its cure.
/// Somebody named what the configuration does not have; it has these.
fn unknown<'n>(what: impl Into<String>, known: impl IntoIterator<Item = &'n String>) -> Failure {
    let names: Vec<_> = known.into_iter().map(String::as_str).collect();
    Failure::new(Exit::Usage, what).help(format!("the configuration has {}", names.join(", ")))
}

fn setup_failure(error: SetupError) -> Failure {
    let exit = match &error {
        SetupError::Open(_) | SetupError::Store(_) => Exit::Unavailable,
        _ => Exit::Configuration,
    };
    let help = error.help();
    let failure = match error {
        SetupError::Mapping(problems) => return Failure::of_problems(problems),
        other => Failure::of_error(exit, &other),
    };
    match help {
        Some(help) => failure.help(help),
        None => failure,
    }
}
