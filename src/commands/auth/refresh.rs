//! `auth refresh`: the next token of a login, now.

use clap::Args;

use super::login::until;
use super::{named, refused};
use crate::commands::{ConfigFile, runtime, setup_failure};
use crate::pipeline::Sharing;
use crate::report::{self, Failure};

/// Refreshes the token of a login now, whether it is time or not.
///
/// The service does so by itself, two hours before the end; it may run meanwhile.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  slackcef auth refresh acme --config slackcef.toml")]
pub(super) struct Arguments {
    /// The login: the NAME of [oauth.NAME].
    name: String,
    #[command(flatten)]
    file: ConfigFile,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let config = arguments.file.load()?;
    let login = named(&config, &arguments.name)?;
    let rotation = Sharing::default().rotation(login).map_err(setup_failure)?;
    let kept = runtime()?.block_on(rotation.refresh()).map_err(|error| refused(&error))?;
    report::data().line(until(&kept))
}
