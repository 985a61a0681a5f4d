//! The program itself, as a user runs it: the binary, a configuration file, signals.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Instant;

use slackcef::simulate::slack::Slack;
use tempfile::TempDir;

use super::daemon::{self, PATIENCE, tick};

/// A folder with a configuration, a token and a store.
#[derive(Debug)]
pub(crate) struct Forwarder {
    dir: TempDir,
}

/// The program at work; dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    log: PathBuf,
}

/// The program with these arguments, its output kept.
pub(crate) fn slackcef(arguments: &[&str]) -> Output {
    command().args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// Whether a message tells of Slack, and is no event of the forwarder's own.
pub(crate) fn is_of_slack(message: &str) -> bool {
    !message.contains("|slackcef|slackcef|")
}

/// The program in an environment of its own.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_slackcef"));
    // What the tests' own environment says of proxies and logs is not meant for it.
    command.env_clear().env("NO_COLOR", "1").env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

impl Forwarder {
    /// Reads `slack` with the lines `source` added to its table, and delivers to `destinations`.
    ///
    /// Status is shown nowhere, for tests run side by side, unless `destinations` has a `[telemetry]`.
    pub(crate) fn new(slack: &Slack, source: &str, destinations: &str) -> Self {
        Self::of_log("audit", slack, source, destinations)
    }

    /// The same of that log.
    pub(crate) fn of_log(log: &str, slack: &Slack, source: &str, destinations: &str) -> Self {
        let telemetry =
            if destinations.contains("[telemetry]") { "" } else { "\n[telemetry]\nlisten = \"off\"\n" };
        let dir = tempfile::tempdir().unwrap();
        let token = dir.path().join("token");
        fs::write(&token, slack.token()).unwrap();
        fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
        let text = format!(
            "version = 1\n[state]\ndir = {state:?}\n[sources.acme]\nlog = {log:?}\ntoken = {{ file = {token:?} }}\n\
             base_url = {url:?}\n{source}\n{destinations}{telemetry}",
            state = dir.path().join("state").to_str().unwrap(),
            token = token.to_str().unwrap(),
            url = slack.base_url(),
        );
        fs::write(dir.path().join("slackcef.toml"), text).unwrap();
        Self { dir }
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn config(&self) -> String {
        self.dir().join("slackcef.toml").to_str().unwrap().to_owned()
    }

    /// `run` with more arguments, its log on standard error.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command();
        command.args(["run", "--config", &self.config()]).args(arguments).stdin(Stdio::null());
        command.stdout(Stdio::null());
        command
    }

    /// Starts `run` with more arguments.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        self.start_into(arguments, Stdio::null())
    }

    /// Starts `run` with more arguments and that standard output.
    pub(crate) fn start_into(&self, arguments: &[&str], stdout: impl Into<Stdio>) -> Running {
        self.begin(self.command(arguments).stdout(stdout))
    }

    /// Starts `run`, which logs more than usual: for conditions that show nowhere else.
    pub(crate) fn start_talkative(&self) -> Running {
        self.begin(self.command(&[]).env("SLACKCEF_LOG", "slackcef=debug"))
    }

    /// Starts a command, its standard error kept.
    pub(crate) fn begin(&self, command: &mut Command) -> Running {
        begin(command, &self.dir().join("log"))
    }
}

/// Starts a command, its standard error added to that file.
pub(crate) fn begin(command: &mut Command, log: &Path) -> Running {
    let to = File::options().create(true).append(true).open(log).unwrap();
    Running { child: command.stderr(to).spawn().unwrap(), log: log.to_owned() }
}

impl Running {
    /// SIGKILL: it has no say in it.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM.
    pub(crate) fn ask_to_end(&self) {
        self.signal("TERM");
    }

    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").arg("-c").arg(kill).status().unwrap().success());
    }

    /// Its exit, when it has ended.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits for its end.
    pub(crate) async fn end(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            assert!(start.elapsed() < 5 * PATIENCE, "it does not end: {}", self.log());
            tick().await;
        }
    }

    /// What it said.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

/// Waits until that holds while the program runs.
pub(crate) async fn until(running: &Running, holds: impl FnMut() -> bool) {
    daemon::until(holds, || running.log()).await;
}

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}
