//! Configurations of `deploy/` in real daemons, as they are shipped but for paths, names and ports.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Instant;

use tempfile::TempDir;

use super::certificates::Certificates;
use super::daemon::{Daemon, PATIENCE, accepts, folder_of, tick};
use super::syslog_ng::stays_in;

/// Which daemon reads the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Rsyslog,
    SyslogNg,
}

/// A daemon with shipped files, ready to take messages.
#[derive(Debug)]
pub(crate) struct Site {
    kind: Kind,
    /// Certificates, configuration, spool and logs; they outlive the process.
    dir: TempDir,
    daemon: Daemon,
    /// Where port 6514 or 2514 went; none where nothing listens on it.
    port: Option<u16>,
}

/// What a shipped file says of the machine, and what stands for it in a test.
pub(crate) type Places<'a> = &'a [(&'a str, &'a str)];

/// The text of a file of this project.
pub(crate) fn text_of(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

impl Site {
    /// Starts the daemon with these files of `deploy/`, one after the other. Certificates, logs and
    /// spools are in its own folder, port 6514 or 2514 becomes a free one, and `places` are replaced as well;
    /// `more` is put in front, for what is the rest of the machine's configuration.
    pub(crate) async fn start(
        kind: Kind,
        certificates: &Certificates,
        files: &[&str],
        places: Places<'_>,
        more: &str,
    ) -> Self {
        // Between the choice of a port and its use another test may take it.
        for _ in 0..5 {
            let port = free_port();
            let dir = Daemon::folder(certificates);
            fs::create_dir(dir.path().join("spool")).unwrap();
            let text = configuration(kind, dir.path(), port, files, places, more);
            fs::write(dir.path().join("conf"), &text).unwrap();
            is_valid(kind, dir.path()).await;
            let daemon = start(kind, dir.path());
            let listens = [format!("port=\"{port}\""), format!("port({port})")];
            let port = listens.iter().any(|listens| text.contains(listens)).then_some(port);
            let mut site = Self { kind, dir, daemon, port };
            if site.comes_up().await {
                return site;
            }
        }
        panic!("no port stays free");
    }

    /// Kills it without a word, and starts it again with what is in its folder.
    pub(crate) async fn kill_and_start(&mut self) {
        self.daemon.kill();
        let _gone = fs::remove_file(self.dir().join(SOCKET));
        self.daemon = start(self.kind, self.dir.path());
        assert!(self.comes_up().await, "somebody took its port: {}", self.log());
    }

    /// Waits until it takes messages; `false` where somebody else has its port.
    async fn comes_up(&mut self) -> bool {
        let start = Instant::now();
        loop {
            let log = self.daemon.log();
            if log.to_lowercase().contains("address already in use") {
                return false;
            }
            assert!(start.elapsed() < PATIENCE && !self.daemon.has_ended(), "it does not come up: {log}");
            let ready = match self.port {
                Some(_) => accepts(self.address()).await,
                None => self.dir().join(SOCKET).exists(),
            };
            if ready {
                return true;
            }
            tick().await;
        }
    }

    /// Where port 6514 or 2514 went.
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port.expect("it listens on a port")))
    }

    /// Its folder.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// What it said.
    pub(crate) fn log(&self) -> String {
        self.daemon.log()
    }

    /// The whole lines of a file in its folder.
    pub(crate) fn lines(&self, file: &str) -> Vec<String> {
        let text = fs::read_to_string(self.dir().join(file)).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| text.get(..end).unwrap_or_default());
        if whole.is_empty() { Vec::new() } else { whole.lines().map(str::to_owned).collect() }
    }
}

/// Where a relay listens that takes no port, in its folder.
const SOCKET: &str = "relay.sock";

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn configuration(
    kind: Kind,
    dir: &Path,
    port: u16,
    files: &[&str],
    places: Places<'_>,
    more: &str,
) -> String {
    let at = dir.display().to_string();
    let mut text = match kind {
        Kind::Rsyslog => String::new(),
        Kind::SyslogNg => "@version: 3.38\n".to_owned(),
    };
    text.push_str(more);
    let shipped: String = files.iter().map(|file| text_of(&format!("deploy/{file}"))).collect();
    for (place, _) in places {
        assert!(shipped.contains(place), "{files:?} do not hold {place}");
    }
    let own = [
        ("/etc/ssl/slackcef".to_owned(), at.clone()),
        ("/var/log/slackcef".to_owned(), format!("{at}/out")),
        ("/var/spool/slackcef".to_owned(), format!("{at}/spool")),
        ("/run/slackcef".to_owned(), at),
    ];
    let given = places.iter().map(|(place, with)| ((*place).to_owned(), (*with).to_owned()));
    // The addresses of others first: they may end in the port that is our own.
    let shipped = given.chain(own).fold(shipped, |shipped, (place, with)| shipped.replace(&place, &with));
    // The ports of TLS and of RELP.
    let port = port.to_string();
    let shipped = ["\"6514\"", "(6514)", "\"2514\""].iter().fold(shipped, |shipped, given| {
        shipped.replace(given, &given.replace("6514", &port).replace("2514", &port))
    });
    text + &shipped
}

/// Asks the daemon itself what it thinks of the configuration.
async fn is_valid(kind: Kind, at: &Path) {
    let conf = at.join("conf");
    let dir = tempfile::tempdir().unwrap();
    let modules = modules(kind);
    let mut daemon = match kind {
        Kind::Rsyslog => Daemon::start(
            "usr/sbin/rsyslogd",
            |command, _| {
                command.arg("-N1").arg("-f").arg(&conf).arg("-M").arg(&modules);
            },
            dir,
        ),
        Kind::SyslogNg => Daemon::start(
            "usr/sbin/syslog-ng",
            |command, _| {
                command.args(["--syntax-only", "--no-caps", "--cfgfile"]).arg(&conf);
                command.arg(format!("--module-path={}", modules.display()));
            },
            dir,
        ),
    };
    let start = Instant::now();
    while !daemon.has_ended() {
        assert!(start.elapsed() < PATIENCE, "it judges for ever");
        tick().await;
    }
    let said = daemon.log();
    let quiet = match kind {
        Kind::Rsyslog => said.lines().count() == 2 && said.contains("End of config validation run"),
        Kind::SyslogNg => said.trim().is_empty(),
    };
    assert!(quiet, "{said}\n{}", fs::read_to_string(&conf).unwrap());
}

/// Its own log is in a folder of its own: what it said after the last start alone.
fn start(kind: Kind, at: &Path) -> Daemon {
    let log = tempfile::tempdir().unwrap();
    match kind {
        Kind::Rsyslog => Daemon::start(
            "usr/sbin/rsyslogd",
            |command, _| {
                command.args(["-n", "-iNONE", "-f"]).arg(at.join("conf")).arg("-M").arg(modules(kind));
            },
            log,
        ),
        Kind::SyslogNg => {
            Daemon::start("usr/sbin/syslog-ng", |command, _| stays_in(command, at, "conf"), log)
        }
    }
}

fn modules(kind: Kind) -> PathBuf {
    folder_of(match kind {
        Kind::Rsyslog => "imtcp.so",
        Kind::SyslogNg => "libafsocket.so",
    })
}
