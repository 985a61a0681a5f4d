//! A program as a process that can be started again, stopped, and killed at any moment.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

/// How to start a program, and the process while it runs; dropped, it is killed.
pub(crate) struct Process {
    name: &'static str,
    command: Box<dyn Fn() -> Command + Send + Sync>,
    log: PathBuf,
    /// How long the log was when it was started last.
    log_begins: usize,
    child: Option<Child>,
}

impl Process {
    /// `command` makes the same command each time; what it says on standard error goes to the end of `log`.
    pub(crate) fn new(
        name: &'static str,
        log: PathBuf,
        command: impl Fn() -> Command + Send + Sync + 'static,
    ) -> Self {
        Self { name, command: Box::new(command), log, log_begins: 0, child: None }
    }

    /// Starts it, with further arguments.
    pub(crate) fn start(&mut self, arguments: &[&str]) -> Result<(), String> {
        let log = File::options().create(true).append(true).open(&self.log);
        let log = log.map_err(|error| format!("{}: {error}", self.log.display()))?;
        self.log_begins = log.metadata().ok().and_then(|log| usize::try_from(log.len()).ok()).unwrap_or(0);
        let child = (self.command)().args(arguments).stderr(log).spawn();
        self.child = Some(child.map_err(|error| format!("{} does not start: {error}", self.name))?);
        Ok(())
    }

    /// SIGKILL, and it is gone.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _gone = child.kill();
            let _status = child.wait();
        }
    }

    /// Sends a signal by its name: `TERM`, `STOP`, `HUP`.
    pub(crate) fn signal(&self, name: &str) {
        if let Some(child) = &self.child {
            let _sent = Command::new("sh").arg("-c").arg(format!("kill -{name} {}", child.id())).status();
        }
    }

    /// How it ended, when it has; from then on there is no process.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.as_mut()?.try_wait().ok()??;
        self.child = None;
        Some(status)
    }

    /// Waits for its end.
    pub(crate) async fn end(&mut self, patience: Duration) -> Result<ExitStatus, String> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                return Ok(status);
            }
            if self.child.is_none() {
                return Err(format!("{} was gone already", self.name));
            }
            if begun.elapsed() > patience {
                return Err(format!("{} does not end within {} s", self.name, patience.as_secs()));
            }
            tick().await;
        }
    }

    /// What it said last.
    pub(crate) fn last_words(&self) -> String {
        last_lines(&self.log, 3)
    }

    /// All that it said since it was started last.
    pub(crate) fn said(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(bytes.get(self.log_begins..).unwrap_or_default()).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn last_lines(path: &Path, n: usize) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let mut lines: Vec<&str> = text.lines().rev().take(n).collect();
    lines.reverse();
    lines.join(" | ")
}

/// A moment between two looks at something that will come.
pub(crate) async fn tick() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}
