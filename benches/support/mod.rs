//! Processes at work, and what they cost: for the benchmarks that look at the program from outside.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// A process at work; killed when dropped.
pub(crate) struct Process(pub(crate) Child);

impl Process {
    /// Starts the program; `more` says what it gets.
    pub(crate) fn start(more: impl FnOnce(&mut Command) -> &mut Command) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_slackcef"));
        Self(more(&mut command).spawn().expect("the program"))
    }

    /// Starts a stand-in; gives back the first line that it says.
    pub(crate) fn stand_in(arguments: &[&str]) -> (Self, String) {
        let mut process =
            Self::start(|command| command.args(arguments).stdout(Stdio::null()).stderr(Stdio::piped()));
        let mut said = BufReader::new(process.0.stderr.take().expect("a pipe"));
        let mut line = String::new();
        said.read_line(&mut line).expect("a line");
        std::thread::spawn(move || said.lines().count());
        (process, line)
    }

    /// A resident size, in KiB; `None` once it has ended.
    pub(crate) fn memory(&self, which: &str) -> Option<u32> {
        let status = self.tells("status");
        let line = status.lines().find(|line| line.starts_with(which))?;
        line.split_whitespace().nth(1)?.parse().ok()
    }

    /// Its state, which is `Z` when it has ended and nobody has waited for it, and its user and system
    /// seconds so far.
    pub(crate) fn state_and_cpu(&self) -> (char, f64) {
        let stat = self.tells("stat");
        let (_, rest) = stat.rsplit_once(") ").expect("a name in brackets");
        // utime and stime, in hundredths of a second on every Linux that Rust runs on.
        let ticks = rest.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok());
        (rest.chars().next().expect("a state"), ticks.sum::<f64>() / 100.0)
    }

    fn tells(&self, of: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{of}", self.0.id())).expect("nobody has waited for it")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _status = self.0.wait();
    }
}
