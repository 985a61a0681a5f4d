//! A receiver as a process that is killed, stopped and started again at the same place.
//!
//! What it has read it writes through to its file at once: what is lost is then not lost by its own
//! storage, but for the moment between reading and writing, which is what a destination's `age` is for.

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use tokio::net::{TcpStream, UnixStream};

use super::process::{Process, tick};
use super::support::daemon::{folder_of, libraries, tools};
use super::transport::{Driver, Framing, Place, Server, Transport, Version, Wire};

pub(crate) struct Receiver {
    process: Process,
    place: Place,
    udp: bool,
    folder: PathBuf,
}

impl Receiver {
    /// Writes its configuration into `folder`, where `ca.pem`, `server.pem` and `server.key` lie for
    /// TLS. What it stores is the file `stored` there, one message a line.
    pub(crate) fn new(transport: &Transport, folder: &Path, clients: bool) -> Result<Self, String> {
        let place = match transport.wire {
            Wire::Unix => Place::Path(folder.join("socket")),
            _ => Place::Port(free_port()),
        };
        let asked = Asked { transport, place: &place, folder, clients };
        let process = match transport.server {
            Server::Rsyslog(driver) => rsyslog(folder, "rsyslog.conf", &asked.rsyslog(driver))?,
            Server::SyslogNg => syslog_ng(folder, "syslog-ng.conf", &asked.syslog_ng())?,
            Server::Own => asked.own(),
        };
        Ok(Self { process, place, udp: transport.wire == Wire::Udp, folder: folder.to_owned() })
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// Where what it stores is found.
    pub(crate) fn stored(&self) -> PathBuf {
        self.folder.join("stored")
    }

    /// Starts it and waits until it takes messages.
    pub(crate) async fn start(&mut self) -> Result<(), String> {
        let begun = Instant::now();
        self.process.start(&[])?;
        while !self.listens().await {
            if self.process.ended().is_some() {
                // The port of one just killed may be taken for a moment more.
                self.process.start(&[])?;
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("the receiver does not listen: {}", self.process.last_words()));
            }
            tick().await;
        }
        Ok(())
    }

    async fn listens(&self) -> bool {
        match &self.place {
            Place::Path(path) => UnixStream::connect(path).await.is_ok(),
            Place::Port(port) if self.udp => {
                // Who listens on UDP does not answer.
                let wanted = format!(":{port:04X} ");
                fs::read_to_string("/proc/net/udp").is_ok_and(|sockets| sockets.contains(&wanted))
            }
            Place::Port(_) => TcpStream::connect(self.place.address()).await.is_ok(),
        }
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// SIGSTOP: it is there and does nothing.
    pub(crate) fn freeze(&self) {
        self.process.signal("STOP");
    }

    /// SIGTERM, and waits for its end.
    pub(crate) async fn stop(&mut self) -> Result<(), String> {
        self.process.signal("TERM");
        self.process.end(PATIENCE).await.map(|_status| ())
    }

    /// It must not end by itself.
    pub(crate) fn ended(&mut self) -> Option<String> {
        let status = self.process.ended()?;
        let how = status.signal().map_or_else(|| status.to_string(), |signal| format!("signal {signal}"));
        Some(format!("the receiver ended by itself ({how}): {}", self.process.last_words()))
    }
}

const PATIENCE: Duration = Duration::from_secs(60);

/// rsyslog with that configuration.
pub(crate) fn rsyslog(folder: &Path, name: &str, text: &str) -> Result<Process, String> {
    let file = folder.join(name);
    fs::write(&file, text).map_err(|error| error.to_string())?;
    let modules = folder_of("imtcp.so");
    let folder = folder.to_owned();
    Ok(Process::new("rsyslog", folder.join(name).with_extension("log"), move || {
        let mut command = daemon("usr/sbin/rsyslogd", &folder);
        command.args(["-n", "-iNONE"]).arg("-f").arg(&file).arg("-M").arg(&modules);
        command
    }))
}

/// syslog-ng with that configuration.
pub(crate) fn syslog_ng(folder: &Path, name: &str, text: &str) -> Result<Process, String> {
    let file = folder.join(name);
    fs::write(&file, text).map_err(|error| error.to_string())?;
    let modules = folder_of("libafsocket.so");
    let folder = folder.to_owned();
    let log = folder.join(name).with_extension("log");
    Ok(Process::new("syslog-ng", log, move || {
        let mut command = daemon("usr/sbin/syslog-ng", &folder);
        command.args(["--foreground", "--no-caps", "--stderr"]).arg("--cfgfile").arg(&file);
        for (option, ending) in [("--persist-file", "persist"), ("--control", "ctl"), ("--pidfile", "pid")] {
            command.arg(format!("{option}={}", file.with_extension(ending).display()));
        }
        command.arg(format!("--module-path={}", modules.display()));
        command
    }))
}

fn daemon(program: &str, folder: &Path) -> Command {
    static LIBRARIES: OnceLock<String> = OnceLock::new();
    let root = tools();
    let mut command = Command::new(root.join(program));
    command.env("LD_LIBRARY_PATH", LIBRARIES.get_or_init(|| libraries(&root))).current_dir(folder);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// What a configuration has to say.
struct Asked<'a> {
    transport: &'a Transport,
    place: &'a Place,
    folder: &'a Path,
    /// A client has to show a certificate.
    clients: bool,
}

impl Asked<'_> {
    fn rsyslog(&self, driver: Driver) -> String {
        let dir = self.folder.display();
        let input = match self.transport.wire {
            Wire::Tls(version) => {
                let (name, versions) = match (driver, version) {
                    (Driver::OpenSsl, Version::V1_2) => {
                        ("ossl", r#" gnutlsPriorityString="MaxProtocol=TLSv1.2""#)
                    }
                    (Driver::OpenSsl, Version::V1_3) => ("ossl", ""),
                    (Driver::GnuTls, Version::V1_2) => {
                        ("gtls", r#" gnutlsPriorityString="NORMAL:-VERS-TLS1.3""#)
                    }
                    (Driver::GnuTls, Version::V1_3) => ("gtls", ""),
                };
                let whom = if self.clients { "x509/certvalid" } else { "anon" };
                format!(
                    r#"module(load="imtcp" StreamDriver.Name="{name}" StreamDriver.Mode="1" StreamDriver.AuthMode="{whom}"{versions})
input(type="imtcp" address="127.0.0.1" port="{}" ruleset="store")"#,
                    self.port()
                )
            }
            Wire::Tcp => format!(
                r#"module(load="imtcp")
input(type="imtcp" address="127.0.0.1" port="{}" ruleset="store")"#,
                self.port()
            ),
            Wire::Relp { tls } => {
                let whom = if self.clients { r#" tls.authMode="certvalid""# } else { "" };
                let tls = if tls {
                    format!(
                        r#" tls="on" tls.caCert="{dir}/ca.pem" tls.myCert="{dir}/server.pem" tls.myPrivKey="{dir}/server.key"{whom}"#
                    )
                } else {
                    String::new()
                };
                format!(
                    r#"module(load="imrelp" ruleset="store")
input(type="imrelp" address="127.0.0.1" port="{}"{tls})"#,
                    self.port()
                )
            }
            Wire::Udp => format!(
                r#"module(load="imudp")
input(type="imudp" address="127.0.0.1" port="{}" ruleset="store")"#,
                self.port()
            ),
            Wire::Unix => unreachable!("syslog-ng listens on Unix sockets here"),
        };
        format!(
            r#"global(workDirectory="{dir}"
    DefaultNetstreamDriverCAFile="{dir}/ca.pem"
    DefaultNetstreamDriverCertFile="{dir}/server.pem"
    DefaultNetstreamDriverKeyFile="{dir}/server.key"
)
# No queue: what is read is written before more is read.
main_queue(queue.type="Direct")
template(name="stored" type="string" string="%rawmsg%\n")
ruleset(name="store" queue.type="Direct") {{
    action(type="omfile" file="{dir}/stored" fileCreateMode="0600" template="stored" asyncWriting="off" flushOnTXEnd="on")
}}
{input}
action(type="omfile" file="{dir}/rsyslog.said")
"#
        )
    }

    fn syslog_ng(&self) -> String {
        let dir = self.folder.display();
        let tls = |version| {
            let whom = if self.clients { "required-trusted" } else { "optional-untrusted" };
            let versions = if version == Version::V1_2 { "no-tlsv13" } else { "no-sslv3" };
            format!(
                r#"transport("tls") tls(key-file("{dir}/server.key") cert-file("{dir}/server.pem") ca-file("{dir}/ca.pem") peer-verify({whom}) ssl-options({versions}))"#
            )
        };
        let driver = if self.transport.framing == Framing::Counted { "syslog" } else { "network" };
        let source = match self.transport.wire {
            Wire::Tls(version) => {
                format!(r#"{driver}(ip("127.0.0.1") port({}) flags(no-parse) {})"#, self.port(), tls(version))
            }
            Wire::Tcp => {
                format!(r#"{driver}(ip("127.0.0.1") port({}) flags(no-parse) transport("tcp"))"#, self.port())
            }
            Wire::Unix => format!(r#"unix-stream("{}" flags(no-parse))"#, self.place.path().display()),
            wire => unreachable!("rsyslog receives {wire:?} here"),
        };
        format!(
            r#"@version: 3.38
options {{ use-dns(no); dns-cache(no); stats-freq(0); log-msg-size(65536); }};
source receiver {{ {source}; }};
destination stored {{ file("{dir}/stored" template("${{MSG}}\n") template-escape(no) flush-lines(1)); }};
log {{ source(receiver); destination(stored); flags(flow-control); }};
"#
        )
    }

    /// This program, asked to be a receiver.
    fn own(&self) -> Process {
        let (folder, clients) = (self.folder.to_owned(), self.clients);
        let (port, wire) = (self.port(), self.transport.wire);
        Process::new("our own receiver", folder.join("own.log"), move || {
            let this = std::env::current_exe().expect("this program has a path");
            let mut command = Command::new(this);
            command.args(["--receive", &port.to_string()]).current_dir(&folder);
            if wire == Wire::Tls(Version::V1_2) {
                command.arg("--only-tls12");
            }
            if clients {
                command.arg("--clients");
            }
            command.stdin(Stdio::null()).stdout(Stdio::null());
            command
        })
    }

    fn port(&self) -> u16 {
        self.place.address().port()
    }
}

/// A port that nobody listens on, and that is given to no outgoing connection while the receiver is
/// away: below the usual range of those.
pub(crate) fn free_port() -> u16 {
    const FIRST: u16 = 20_000;
    const RANGE: u16 = 12_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Two runs at once begin elsewhere.
    let begin = u16::try_from(std::process::id() % u32::from(RANGE)).unwrap_or(0);
    loop {
        let port = FIRST + (begin + NEXT.fetch_add(1, Ordering::Relaxed)) % RANGE;
        let free =
            TcpListener::bind(("127.0.0.1", port)).is_ok() && UdpSocket::bind(("127.0.0.1", port)).is_ok();
        if free {
            return port;
        }
    }
}
