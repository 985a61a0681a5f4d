//! The program under test, as a user runs it: the binary, its files, signals.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use slackcef::simulate::slack::Slack;

use super::Load;
use super::process::{Process, tick};
use super::tally::END;
use super::transport::{Place, Transport};

/// `slackcef run` and its files.
pub(crate) struct Sender {
    process: Process,
    folder: PathBuf,
    /// The text of its configuration.
    config: String,
}

impl Sender {
    /// Writes configuration, token and mapping into `folder`, where for TLS `ca.pem` lies, and
    /// `client.pem` and `client.key` where it is a client with a certificate.
    pub(crate) fn new(
        folder: &Path,
        slack: &Slack,
        transport: &Transport,
        to: &Place,
        client: bool,
        load: &Load,
    ) -> io::Result<Self> {
        let token = folder.join("token");
        fs::write(&token, slack.token())?;
        fs::set_permissions(&token, fs::Permissions::from_mode(0o600))?;
        fs::create_dir(folder.join("mapping"))?;
        let age = load.age.as_ref().map(|age| format!("age = {age:?}\n")).unwrap_or_default();
        let text = format!(
            "version = 1\n[state]\ndir = {state:?}\n\n[sources.acme]\nlog = \"audit\"\ntoken = {{ file = {token:?} }}\n\
             base_url = {url:?}\nstart = \"1d\"\npoll_every = \"1s\"\nsettle = \"2s\"\nverify_after = \"off\"\n\
             requests_per_minute = 1000000\n\n[mappings.loss]\ndir = {mapping:?}\n\n[destinations.siem]\nmapping = \"loss\"\n\
             {age}rate = {{ events_per_second = {rate}, burst = {burst} }}\n{destination}",
            state = folder.join("state").display().to_string(),
            token = token.display().to_string(),
            url = slack.base_url(),
            mapping = folder.join("mapping").display().to_string(),
            rate = load.rate,
            burst = load.rate.div_ceil(10),
            destination = transport.destination(to, folder, client),
        );
        let config = folder.join("slackcef.toml");
        fs::write(&config, &text)?;
        let command = move || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_slackcef"));
            // What the tests' own environment says of proxies and logs is not meant for it.
            command.env_clear().env("NO_COLOR", "1");
            command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
            if let Some(level) = std::env::var_os("SLACKCEF_LOG") {
                command.env("SLACKCEF_LOG", level);
            }
            command.arg("run").arg("--config").arg(&config).stdin(Stdio::null()).stdout(Stdio::null());
            command
        };
        let this = Self {
            process: Process::new("slackcef", folder.join("log"), command),
            folder: folder.to_owned(),
            config: text,
        };
        this.map_edition(0)?;
        Ok(this)
    }

    /// Starts the service.
    pub(crate) fn start(&mut self) -> Result<(), String> {
        self.process.start(&[])
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// SIGTERM, and waits for its end in order.
    pub(crate) async fn stop(&mut self) -> Result<(), String> {
        self.process.signal("TERM");
        let status = self.process.end(PATIENCE).await?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("asked to stop, slackcef ended with {status}: {}", self.process.last_words()))
        }
    }

    /// Delivers all that is left and ends: from then on it claims that everything is delivered.
    pub(crate) async fn deliver_the_rest(&mut self) -> Result<(), String> {
        for _ in 0..3 {
            self.process.start(&["--once"])?;
            let status = self.process.end(3 * PATIENCE).await?;
            // 75: try later.
            match status.code() {
                Some(0) => return Ok(()),
                Some(75) => tick().await,
                _ => return Err(format!("`--once` ended with {status}: {}", self.process.last_words())),
            }
        }
        Err(format!("`--once` cannot deliver what is left: {}", self.process.last_words()))
    }

    /// Waits until it has read what there was to read when it was started last.
    pub(crate) async fn has_caught_up(&mut self) -> Result<(), String> {
        let begun = Instant::now();
        while !self.process.said().contains("caught up") {
            if let Some(why) = self.ended() {
                return Err(why);
            }
            if begun.elapsed() > 2 * PATIENCE {
                return Err(format!("the input is not read: {}", self.process.last_words()));
            }
            tick().await;
        }
        Ok(())
    }

    /// It must not end by itself.
    pub(crate) fn ended(&mut self) -> Option<String> {
        let status = self.process.ended()?;
        Some(format!("slackcef ended by itself with {status}: {}", self.process.last_words()))
    }

    /// Changes the mapping: from some moment on events bear that edition.
    pub(crate) fn map_edition(&self, edition: u32) -> io::Result<()> {
        self.map(&format!("version = 1\nlog = \"audit\"\nunset = [\"cs6\"]\n[fields]\n{END}\"{edition}.\"\n"))
    }

    /// Puts a mapping there that cannot be used.
    pub(crate) fn map_nonsense(&self) -> io::Result<()> {
        self.map("version = 1\nlog = \"audit\"\n[fields]\nsuserr = 5\n")
    }

    fn map(&self, text: &str) -> io::Result<()> {
        replace(&self.folder.join("mapping/loss.toml"), text.as_bytes())
    }

    /// Changes the configuration by one more line at its end, in place of the last such, and says so by
    /// SIGHUP.
    pub(crate) fn reconfigure(&self, line: &str) -> io::Result<()> {
        replace(&self.folder.join("slackcef.toml"), format!("{}{line}\n", self.config).as_bytes())?;
        self.process.signal("HUP");
        Ok(())
    }
}

/// One planned stop drains for ten seconds; on a busy machine all takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Puts a file in the place of another at one stroke, as editors and certificate tools do.
#[expect(clippy::disallowed_methods, reason = "no power is cut here: the rename need not be durable")]
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, bytes)?;
    fs::set_permissions(&new, fs::Permissions::from_mode(0o600))?;
    fs::rename(new, path)
}
