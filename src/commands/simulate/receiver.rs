//! `simulate receiver`: a syslog receiver to look at, to count with, and to kill.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use clap::Args;

use super::fault::{self, FAULTS};
use super::{ctrl_c, said};
use crate::config::duration;
use crate::report::{self, Exit, Failure, Output};
use crate::simulate::authority::{Authority, AuthorityError, Identity, LOCAL, Term};
use crate::simulate::receiver::{Arrival, Fault, Hold, Receiver, Relp, ServerTls, Settings, Transport};

/// Receives syslog over TLS, TCP, RELP, UDP or a Unix socket, and prints each message on a line of standard output.
#[derive(Debug, Args)]
#[command(
    after_help = EXAMPLES,
    after_long_help = format!("{EXAMPLES}\n\n{FAULTS}"),
)]
pub(super) struct Arguments {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:6514", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Lets other machines connect.
    #[arg(long)]
    beyond_this_machine: bool,
    #[command(flatten)]
    transport: TransportArguments,
    #[command(flatten)]
    tls: TlsArguments,
    #[command(flatten)]
    trouble: TroubleArguments,
    /// Appends each message to this file, a line by a write of its own, before it is answered for; prints none.
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
    /// Keeps each message in memory so long before it is stored or printed: what a kill then loses.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    hold: Option<Duration>,
    /// Holds at most so many.
    #[arg(long, value_name = "NUMBER", default_value_t = 100_000, requires = "hold")]
    hold_most: usize,
}

#[derive(Debug, Args)]
struct TransportArguments {
    /// Plain TCP, without TLS.
    #[arg(long, group = "other", conflicts_with = "certificate")]
    plain: bool,
    /// RELP, which acknowledges each message; over TLS, unless --plain or --unix.
    #[arg(long, conflicts_with_all = ["udp", "unix_datagram"])]
    relp: bool,
    /// UDP; a datagram is a message.
    #[arg(long, group = "other", conflicts_with = "certificate")]
    udp: bool,
    /// A Unix stream socket.
    #[arg(long, value_name = "PATH", group = "other", conflicts_with = "certificate")]
    unix: Option<PathBuf>,
    /// A Unix datagram socket, as /dev/log is one.
    #[arg(long, value_name = "PATH", group = "other", conflicts_with = "certificate")]
    unix_datagram: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct TlsArguments {
    /// The certificate to show, with its chain, in PEM; otherwise one is made for localhost.
    #[arg(long, value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,
    /// Its key, in PEM.
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
    /// Where to write the authority of the certificate that is made.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["certificate", "other"])]
    ca_file: Option<PathBuf>,
    /// Clients have to show a certificate of the authority in this file.
    #[arg(long, value_name = "FILE", conflicts_with = "other")]
    clients_of: Option<PathBuf>,
    /// Speaks TLS 1.2 and no newer version.
    #[arg(long, conflicts_with = "other")]
    only_tls_1_2: bool,
    /// Leaves `KeyUpdate` requests without the answer that TLS 1.3 asks for.
    #[arg(long, conflicts_with = "other")]
    ignore_key_updates: bool,
}

#[derive(Debug, Args)]
struct TroubleArguments {
    /// What the next connection suffers; the first one named is for the first connection, and so on. `--help` lists them.
    #[arg(long, value_name = "FAULT", value_parser = fault::parse)]
    fault: Vec<Fault>,
    /// What all connections suffer after those.
    #[arg(long, value_name = "FAULT", value_parser = fault::parse, default_value = "none")]
    afterwards: Fault,
    /// Closes each connection on which a message holds this text, and does not take the message.
    #[arg(long, value_name = "TEXT")]
    poison: Option<String>,
    /// Resets it instead.
    #[arg(long, requires = "poison")]
    poison_resets: bool,
    /// The kernel's receive buffer; a small one shuts the window early.
    #[arg(long, value_name = "BYTES")]
    receive_buffer: Option<usize>,
}

const EXAMPLES: &str = "\
Examples:
  slackcef simulate receiver --ca-file ca.pem            trust it by `ca = \"ca.pem\"`
  slackcef simulate receiver --plain --listen 127.0.0.1:5514
  slackcef simulate receiver --certificate server.pem --key server.key
  slackcef simulate receiver --relp --plain --listen 127.0.0.1:2514
  slackcef simulate receiver --unix-datagram /tmp/log
  slackcef simulate receiver --plain --store received    survives kill -9
  slackcef simulate receiver --plain --hold 2s           loses 2 s when it is killed
  slackcef simulate receiver --plain --fault reset-after=5000 --afterwards slow=100";

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let prints = arguments.store.is_none();
    let settings = settings(arguments)?;
    let place = place(&settings);
    let mut receiver =
        Receiver::start(settings).await.map_err(|error| Failure::of_error(Exit::Unavailable, &error))?;
    said(place.replace(ADDRESS, &receiver.address().to_string()))?;
    let mut out = report::data();
    let mut received: u64 = 0;
    let mut stopped = pin!(ctrl_c());
    loop {
        let arrival = tokio::select! {
            arrival = receiver.next() => arrival,
            stopped = &mut stopped => {
                stopped?;
                None
            }
        };
        let Some(arrival) = arrival else { break };
        received = received.saturating_add(u64::from(matches!(arrival, Arrival::Message(_))));
        if !shown(arrival, prints.then_some(&mut out))? {
            break;
        }
    }
    said(format!("{received} messages received"))
}

/// Prints a message, logs the rest; says whether to go on.
fn shown(arrival: Arrival, out: Option<&mut Output<impl Write>>) -> Result<bool, Failure> {
    match arrival {
        Arrival::Message(message) => {
            let Some(out) = out else { return Ok(true) };
            out.line(&message.text)?;
            return Ok(!out.is_closed());
        }
        Arrival::Connected { connection, tls } => {
            tracing::info!(connection, tls = tls.unwrap_or_else(|| "none".to_owned()), "connected");
        }
        Arrival::Refused { connection, reason } => {
            tracing::warn!(connection, %reason, "no handshake");
        }
        Arrival::Ended { connection, torn, how } => {
            tracing::info!(connection, torn_bytes = torn.len(), ?how, "ended");
        }
    }
    Ok(true)
}

fn settings(arguments: Arguments) -> Result<Settings, Failure> {
    let Arguments { listen, beyond_this_machine, transport, tls, trouble, store, hold, hold_most } =
        arguments;
    let has_tls =
        !(transport.plain || transport.udp || transport.unix.is_some() || transport.unix_datagram.is_some());
    let relp = transport.relp.then(Relp::default);
    let transport = match transport {
        TransportArguments { unix: Some(path), .. } => Transport::UnixStream(path),
        TransportArguments { unix_datagram: Some(path), .. } => Transport::UnixDatagram(path),
        TransportArguments { udp: true, .. } => Transport::Udp,
        TransportArguments { .. } => Transport::Tcp,
    };
    Ok(Settings {
        transport,
        listen,
        beyond_this_machine,
        tls: if has_tls { Some(tls.server()?) } else { None },
        relp,
        receive_buffer: trouble.receive_buffer,
        faults: trouble.fault,
        afterwards: trouble.afterwards,
        poison: trouble.poison,
        poison_resets: trouble.poison_resets,
        holds: hold.map(|time| Hold { time, messages: hold_most }),
        store,
        ..Settings::default()
    })
}

/// Stands for the address, which is known once the receiver listens.
const ADDRESS: &str = "ADDRESS";

fn place(settings: &Settings) -> String {
    let place = match (&settings.transport, &settings.tls) {
        (Transport::Tcp, Some(_)) => format!("{ADDRESS} with TLS"),
        (Transport::Tcp, None) => ADDRESS.to_owned(),
        (Transport::Udp, _) => format!("{ADDRESS} by UDP"),
        (Transport::UnixStream(path) | Transport::UnixDatagram(path), _) => path.display().to_string(),
    };
    let kind = if settings.relp.is_some() { "RELP" } else { "syslog" };
    format!("a {kind} receiver listens on {place}")
}

impl TlsArguments {
    fn server(&self) -> Result<ServerTls, Failure> {
        Ok(ServerTls {
            clients_of: self.clients_of.as_deref().map(read).transpose()?,
            only_tls_1_2: self.only_tls_1_2,
            ignores_key_updates: self.ignore_key_updates,
            ..ServerTls::new(self.identity()?)
        })
    }

    fn identity(&self) -> Result<Identity, Failure> {
        if let (Some(certificate), Some(key)) = (&self.certificate, &self.key) {
            return Ok(Identity { certificate: read(certificate)?, key: read(key)? });
        }
        let bug = |error: AuthorityError| Failure::of_error(Exit::Bug, &error);
        let authority = Authority::new("slackcef simulate receiver").map_err(bug)?;
        if let Some(path) = &self.ca_file {
            std::fs::write(path, authority.pem()).map_err(|error| {
                Failure::new(Exit::Usage, format!("cannot write {}", path.display())).because(&error)
            })?;
        }
        authority.server(&LOCAL, Term::Now).map_err(bug)
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .map_err(|error| Failure::new(Exit::Usage, format!("cannot read {}", path.display())).because(&error))
}
