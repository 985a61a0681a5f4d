//! `auth`: get a token by a login, look whose a token is, refresh it.

mod login;
mod redirect;
mod refresh;
mod test;

use std::sync::Arc;

use clap::{Args, Subcommand};

use crate::config::{Config, Login};
use crate::report::{Exit, Failure};
use crate::slack::{Class, SlackError};

/// Logs in to Slack for a token, tells whose a token is, or refreshes one.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Login(login::Arguments),
    Test(test::Arguments),
    Refresh(refresh::Arguments),
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.command {
        Command::Login(arguments) => login::run(arguments),
        Command::Test(arguments) => test::run(arguments),
        Command::Refresh(arguments) => refresh::run(arguments),
    }
}

/// The login of that name.
fn named<'c>(config: &'c Config, name: &str) -> Result<&'c Login, Failure> {
    config.logins.get(name).map(Arc::as_ref).ok_or_else(|| {
        let known: Vec<_> = config.logins.keys().map(String::as_str).collect();
        let help = if known.is_empty() {
            format!("add [oauth.{name}] with `client_id` and `client_secret`; the README has it under Tokens")
        } else {
            format!("there are: {}", known.join(", "))
        };
        Failure::new(Exit::Configuration, format!("the configuration has no [oauth.{name}]")).help(help)
    })
}

/// What Slack, or what is kept of a login, does not give.
fn refused(error: &SlackError) -> Failure {
    Failure::of_error(exit(error), error).help(error.help())
}

fn exit(error: &SlackError) -> Exit {
    match error.class() {
        Class::Token | Class::Install | Class::Setting => Exit::Configuration,
        Class::Retry | Class::Reread | Class::Narrow => Exit::Unavailable,
    }
}
