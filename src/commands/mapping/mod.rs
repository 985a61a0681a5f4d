//! `mapping`: look at mapping files, and begin a folder of one's own.

mod coverage;
mod init;
mod list;

use clap::{Args, Subcommand};

use crate::report::Failure;

/// Lists what actions are mapped to, or begins a folder of mapping files.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Coverage(coverage::Arguments),
    List(list::Arguments),
    Init(init::Arguments),
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.command {
        Command::Coverage(arguments) => coverage::run(arguments),
        Command::List(arguments) => list::run(arguments),
        Command::Init(arguments) => init::run(arguments),
    }
}
