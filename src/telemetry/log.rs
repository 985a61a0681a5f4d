//! The log, set up once: plain lines for a terminal, JSON for collectors.

use std::io::{self, IsTerminal, Write};
use std::sync::LazyLock;

use indicatif::{MultiProgress, ProgressDrawTarget};
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
/// `level`.
///
/// Starting it twice leaves the first in place.
pub fn start_log(form: LogForm, level: &str) {
    let filter = EnvFilter::try_from_env("SLACKCEF_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| BesideBars).with_ansi(colour);
    let started = match form {
        LogForm::Plain => log.with_target(false).try_init(),
        LogForm::Json => log.json().flatten_event(true).try_init(),
    };
    // A second start, in tests that share a process, changes nothing.
    drop(started);
}

/// The progress bars of this process: none are drawn unless standard error is a terminal.
///
/// They share standard error with the log, so both go through here: a line never tears a bar.
pub fn bars() -> &'static MultiProgress {
    static BARS: LazyLock<MultiProgress> =
        LazyLock::new(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));
    &BARS
}

/// Standard error, beside the bars.
///
/// **Invariant:** it never fails. Told that a line was not written, the subscriber says so on
/// standard error, which panics where that is gone: a full disk under the log, or the end of
/// `2>&1 | head`, would end the forwarder, and with it the way of events that could still go out.
struct BesideBars;

impl Write for BesideBars {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        drop(bars().suspend(|| io::stderr().write_all(line)));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        drop(io::stderr().flush());
        Ok(())
    }
}
