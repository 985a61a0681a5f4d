//! A real receiver as a process of its own, in a folder of its own.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use slackcef::simulate::authority::{Identity, LOCAL, Term};
use tempfile::TempDir;
use tokio::net::TcpStream;

use super::certificates::Certificates;

/// How it shall listen.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Listen {
    pub(crate) tls: bool,
    pub(crate) only_tls_1_2: bool,
    /// A client has to show a certificate of the same authority.
    pub(crate) client_certificates: bool,
}

impl Listen {
    pub(crate) const TCP: Self = Self { tls: false, only_tls_1_2: false, client_certificates: false };
    pub(crate) const TLS: Self = Self { tls: true, ..Self::TCP };
    pub(crate) const TLS_1_2: Self = Self { only_tls_1_2: true, ..Self::TLS };
}

/// One stored message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) pri: String,
    pub(crate) time: String,
    pub(crate) host: String,
    pub(crate) app: String,
    /// The message as it came out of its frame.
    pub(crate) raw: String,
}

/// A process and its folder; dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Daemon {
    child: Child,
    dir: TempDir,
}

impl Daemon {
    /// A folder with the authority and a certificate for this machine.
    pub(crate) fn folder(certificates: &Certificates) -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::copy(certificates.ca(), dir.path().join("ca.pem")).unwrap();
        let identity: Identity = certificates.authority.server(&LOCAL, Term::Now).unwrap();
        identity.write(dir.path(), "server").unwrap();
        dir
    }

    /// Starts `program` of the tools folder.
    pub(crate) fn start(program: &str, arguments: impl Fn(&mut Command, &Path), dir: TempDir) -> Self {
        let root = tools();
        let log = File::create(dir.path().join("log")).unwrap();
        let mut command = Command::new(root.join(program));
        arguments(&mut command, dir.path());
        command.env("LD_LIBRARY_PATH", libraries(&root)).current_dir(dir.path());
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        Self { child: command.spawn().unwrap(), dir }
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// What it said.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir().join("log")).unwrap_or_default()
    }

    /// What it has stored by now, whole lines only.
    pub(crate) fn stored(&self) -> Vec<Stored> {
        let bytes = fs::read(self.dir().join("stored")).unwrap_or_default();
        let text = String::from_utf8(bytes).expect("what was sent is UTF-8");
        let whole = text.rfind('\n').map_or("", |end| text.get(..end).unwrap_or_default());
        whole.lines().map(Stored::read).collect()
    }

    /// Waits until it has stored `n` messages, asks it to end, and gives back all that it stored: a
    /// message too many shows as well.
    pub(crate) async fn finish(mut self, n: usize) -> Vec<Stored> {
        let start = Instant::now();
        while self.stored().len() < n {
            assert!(start.elapsed() < PATIENCE, "only {} of {n}: {}", self.stored().len(), self.log());
            tick().await;
        }
        let asked = Command::new("sh").arg("-c").arg(format!("kill {}", self.child.id())).status().unwrap();
        assert!(asked.success());
        while !self.has_ended() {
            assert!(start.elapsed() < 2 * PATIENCE, "it does not end: {}", self.log());
            tick().await;
        }
        self.stored()
    }

    pub(crate) fn kill(&mut self) {
        let _gone = self.child.kill();
        self.child.wait().unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A daemon that takes messages at an address.
#[derive(Debug)]
pub(crate) struct Receiver {
    pub(super) daemon: Daemon,
    pub(super) address: SocketAddr,
}

impl Receiver {
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What is stored by now.
    pub(crate) fn stored(&self) -> Vec<Stored> {
        self.daemon.stored()
    }

    /// Waits for `n` messages, stops it in order, and gives back all that it stored.
    pub(crate) async fn finish(self, n: usize) -> Vec<Stored> {
        self.daemon.finish(n).await
    }
}

impl Stored {
    fn read(line: &str) -> Self {
        let mut parts = line.splitn(5, '\t').map(str::to_owned);
        let mut part = || parts.next().unwrap_or_else(|| panic!("not five parts: {line:?}"));
        Self { pri: part(), time: part(), host: part(), app: part(), raw: part() }
    }
}

/// It takes connections.
pub(crate) async fn accepts(address: SocketAddr) -> bool {
    TcpStream::connect(address).await.is_ok()
}

/// Fills in what stands between `@` in one of the shipped configurations.
pub(crate) fn configuration(name: &str, values: &[(&str, &str)]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/syslog").join(name);
    let mut text = fs::read_to_string(path).unwrap();
    for (name, value) in values {
        text = text.replace(&format!("@{name}@"), value);
    }
    text
}

/// A moment between two looks at something that will come.
pub(crate) async fn tick() {
    tokio::time::sleep(Duration::from_millis(10)).await;
}

/// Waits until that holds; `there` tells how far things are where it does not come.
pub(crate) async fn until(mut holds: impl FnMut() -> bool, there: impl Fn() -> String) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "it does not come: {}", there());
        tick().await;
    }
}

/// Everything here takes far less.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The unpacked daemons.
pub(crate) fn tools() -> PathBuf {
    let folder = std::env::var_os("SLACKCEF_TEST_TOOLS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(".test-tools"), PathBuf::from);
    let root = folder.join("root");
    assert!(
        root.join(".syslog-peers").exists(),
        "rsyslog and syslog-ng are not in {}: run the tests with tests/run, which fetches them",
        folder.display()
    );
    root
}

/// Every folder that holds a library.
pub(crate) fn libraries(root: &Path) -> String {
    let mut found = BTreeSet::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            } else if path.file_name().is_some_and(|name| name.to_string_lossy().contains(".so")) {
                found.insert(folder.display().to_string());
            }
        }
    }
    found.into_iter().collect::<Vec<_>>().join(":")
}

/// The folder of the one file of this name.
pub(crate) fn folder_of(file: &str) -> PathBuf {
    let root = tools();
    libraries(&root)
        .split(':')
        .map(PathBuf::from)
        .find(|folder| folder.join(file).exists())
        .unwrap_or_else(|| panic!("{file} is nowhere in {}", root.display()))
}

/// A client that trusts the authority, for `localhost` at `address`, in plaintext where there is no TLS.
pub(crate) fn endpoint(
    certificates: &Certificates,
    listen: Listen,
    address: SocketAddr,
) -> slackcef::syslog::Endpoint {
    if listen.tls { certificates.endpoint(address) } else { slackcef::syslog::Endpoint::tcp(address) }
}
