//! A secret that a command prints: a vault's client, a key ring, a script.
//!
//! No shell is between: the words are the program and its arguments as they stand.
//!
//! **Invariant:** what the command writes on its standard error goes nowhere: it may hold the secret.

use std::fmt;
use std::io::{self, Read};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use secrecy::zeroize::Zeroizing;

use super::{MOST, SecretError};

/// A program with its arguments.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CommandLine(Vec<String>);

/// So long a command may take.
const WITHIN: Duration = Duration::from_secs(10);

impl CommandLine {
    /// The program, then its arguments; `None` where there is no program.
    pub fn new(words: Vec<String>) -> Option<Self> {
        words.first().is_some_and(|program| !program.trim().is_empty()).then_some(Self(words))
    }

    /// Runs it, and gives what it prints.
    pub(super) fn output(&self) -> Result<String, SecretError> {
        self.output_within(WITHIN)
    }

    fn output_within(&self, within: Duration) -> Result<String, SecretError> {
        let command = || self.to_string();
        let Some((program, arguments)) = self.0.split_first() else {
            let source = io::Error::from(io::ErrorKind::InvalidInput);
            return Err(CommandError::Start { command: command(), source }.into());
        };
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|source| CommandError::Start { command: command(), source })?;
        let until = Instant::now() + within;
        let read = printed(&mut child, until);
        let status = if read.is_some() { ended(&mut child, until) } else { None };
        let (Some(read), Some(status)) = (read, status) else {
            drop(child.kill());
            drop(child.wait());
            return Err(CommandError::TooSlow { command: command(), within }.into());
        };
        let bytes = read.map_err(|source| CommandError::Read { command: command(), source })?;
        // Nobody reads on: it may well have failed by that.
        if bytes.len() as u64 > MOST {
            return Err(SecretError::TooLong { place: format!("the answer of the command {self}") });
        }
        if !status.success() {
            return Err(CommandError::Failed { command: command(), status }.into());
        }
        let text = std::str::from_utf8(&bytes).map_err(|_| CommandError::NotText { command: command() })?;
        Ok(text.to_owned())
    }
}

/// What it prints until it closes its output; `None` where that takes too long.
fn printed(child: &mut Child, until: Instant) -> Option<io::Result<Zeroizing<Vec<u8>>>> {
    let output = child.stdout.take()?;
    let (to, read) = mpsc::sync_channel(1);
    // Left behind when time is up: it ends when nobody holds the other end of the pipe any more.
    std::thread::spawn(move || drop(to.send(read_all(output))));
    read.recv_timeout(until.saturating_duration_since(Instant::now())).ok()
}

fn read_all(output: ChildStdout) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    output.take(MOST + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// How it ended; `None` where that takes too long.
fn ended(child: &mut Child, until: Instant) -> Option<ExitStatus> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < until => std::thread::sleep(Duration::from_millis(5)),
            _ => return None,
        }
    }
}

impl fmt::Display for CommandLine {
    /// The program alone: an argument may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.first().map_or("", String::as_str))
    }
}

/// Why a command gave no secret.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It could not be started.
    #[error("the command {command} cannot be started")]
    Start {
        /// The program.
        command: String,
        /// Why.
        source: io::Error,
    },
    /// It said by its exit that it failed.
    #[error("the command {command} failed ({status})")]
    Failed {
        /// The program.
        command: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// It did not end in time.
    #[error("the command {command} did not end within {} s", within.as_secs())]
    TooSlow {
        /// The program.
        command: String,
        /// The time it had.
        within: Duration,
    },
    /// Its output could not be read.
    #[error("what the command {command} prints cannot be read")]
    Read {
        /// The program.
        command: String,
        /// Why.
        source: io::Error,
    },
    /// It printed something else.
    #[error("what the command {command} prints is no text")]
    NotText {
        /// The program.
        command: String,
    },
}

impl CommandError {
    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Start { .. } => {
                "name the program by its whole path, and let the service's user run it; no shell is between, so each \
                 argument is a text of its own"
            }
            Self::Failed { .. } | Self::TooSlow { .. } => {
                "run it by hand as the service's user, and with the service's environment: what it writes on its \
                 standard error is not repeated here"
            }
            Self::Read { .. } | Self::NotText { .. } => {
                "have it print the secret alone, on one line of its standard output"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> CommandLine {
        CommandLine::new(["sh", "-c", script].map(str::to_owned).to_vec()).unwrap()
    }

    fn refused(script: &str) -> String {
        shell(script).output().unwrap_err().to_string()
    }

    #[test]
    fn what_it_prints_is_the_secret() {
        assert_eq!(shell("echo xoxp-1").output().unwrap(), "xoxp-1\n");
        let words = ["printf", "%s %s", "$HOME", "*"].map(str::to_owned).to_vec();
        assert_eq!(CommandLine::new(words).unwrap().output().unwrap(), "$HOME *", "no shell is between");
        assert_eq!(CommandLine::new(Vec::new()), None);
        assert_eq!(CommandLine::new(vec![" ".to_owned()]), None);
    }

    #[test]
    fn a_failure_says_how_it_ended_and_nothing_of_what_it_wrote() {
        for script in ["echo xoxp-out; echo xoxp-err >&2; exit 3", "echo xoxp-out; kill -9 $$"] {
            let said = refused(script);
            assert!(!said.contains("xoxp"), "{said}");
            assert!(said.contains("exit status: 3") || said.contains("signal: 9"), "{said}");
        }
        let none = CommandLine::new(vec!["/no/such/program".to_owned()]).unwrap().output().unwrap_err();
        assert_eq!(none.to_string(), "the command /no/such/program cannot be started");
        assert_eq!(refused("printf '\\377'"), "what the command sh prints is no text");
    }

    #[test]
    fn it_has_bounded_time_and_room() {
        assert!(refused("head -c 70000 /dev/zero").contains("holds more than"));
        // It holds its output open, or closes it and goes on: either way time is up.
        for script in ["sleep 600", "exec >&-; sleep 600"] {
            let error = shell(script).output_within(Duration::from_millis(100)).unwrap_err();
            assert!(matches!(error, SecretError::Command(CommandError::TooSlow { .. })), "{error}");
        }
    }
}
