//! The log, set up once: plain lines for a terminal, JSON for collectors.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogForm {
    /// For people; coloured on a terminal unless `NO_COLOR` is set.
    Plain,
    /// One JSON object a line.
    Json,
}

/// Starts the log; `SLACKCEF_LOG` (a filter such as `debug` or `slackcef::slack=trace`) overrides
/// the level, which is `info`.
///
/// Starting it twice leaves the first in place.
pub fn start_log(form: LogForm) {
    let filter = EnvFilter::try_from_env("SLACKCEF_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let log =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colour);
    let started = match form {
        LogForm::Plain => log.with_target(false).try_init(),
        LogForm::Json => log.json().flatten_event(true).try_init(),
    };
    // A second start, in tests that share a process, changes nothing.
    drop(started);
}
