//! The program: arguments in, one command run, its failure rendered, exit code out.

use std::process::ExitCode;

use clap::Parser;
use slackcef::commands::Cli;
use slackcef::report::{self, Exit};
use slackcef::telemetry;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(told) => {
            let exit = if told.use_stderr() { Exit::Usage } else { Exit::Ok };
            // Help that nobody reads to the end is no failure.
            drop(told.print());
            return exit.into();
        }
    };
    telemetry::start_log(cli.log_form(), cli.log_level());
    match cli.execute() {
        Ok(()) => Exit::Ok.into(),
        Err(failure) => {
            let mut notes = report::notes();
            let text = failure.render(notes.style);
            // Where standard error is gone too, the exit code still tells.
            drop(notes.line(text.trim_end()));
            failure.exit().into()
        }
    }
}
