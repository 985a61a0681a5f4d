//! `mapping`: begin a folder of mapping files, test it, look at it, compare it with another.

mod coverage;
mod diff;
mod init;
mod list;
mod schema;
mod test;

use clap::{Args, Subcommand};

use crate::report::Failure;

/// Begins a folder of mapping files, tests it, compares it with another, or lists what is mapped.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Coverage(coverage::Arguments),
    List(list::Arguments),
    Test(test::Arguments),
    Diff(diff::Arguments),
    Schema(schema::Arguments),
    Init(init::Arguments),
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.command {
        Command::Coverage(arguments) => coverage::run(arguments),
        Command::List(arguments) => list::run(arguments),
        Command::Test(arguments) => test::run(arguments),
        Command::Diff(arguments) => diff::run(arguments),
        Command::Schema(arguments) => schema::run(arguments),
        Command::Init(arguments) => init::run(arguments),
    }
}
