//! This program as a receiver: the simulated one, in a process of its own that can be killed.

use std::fs::File;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};

use slackcef::simulate::authority::Identity;
use slackcef::simulate::receiver::{Arrival, Receiver, ServerTls, Settings};

/// Receives over TLS until it is ended, with the files of the current folder: shows `server.pem`, and
/// appends each message to `stored` before it takes the next.
pub(crate) async fn receive(port: u16, only_tls_1_2: bool, clients: bool) -> Result<(), String> {
    let read = |name: &str| std::fs::read_to_string(name).map_err(|error| format!("{name}: {error}"));
    let identity = Identity { certificate: read("server.pem")?, key: read("server.key")? };
    let clients_of = clients.then(|| read("ca.pem")).transpose()?;
    let tls = ServerTls { clients_of, only_tls_1_2, ..ServerTls::new(identity) };
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let settings = Settings { listen, tls: Some(tls), ..Settings::default() };
    let mut receiver = Receiver::start(settings).await.map_err(|error| error.to_string())?;
    let mut stored = File::options()
        .append(true)
        .create(true)
        .open("stored")
        .map_err(|error| format!("stored: {error}"))?;
    let mut line = Vec::new();
    while let Some(arrival) = receiver.next().await {
        match arrival {
            Arrival::Message(message) => {
                line.clear();
                line.extend_from_slice(&message.text);
                line.push(b'\n');
                stored.write_all(&line).map_err(|error| format!("stored: {error}"))?;
            }
            other => super::say(&format!("{other:?}")),
        }
    }
    Ok(())
}
