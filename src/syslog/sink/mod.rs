//! Where frames go.
//!
//! [`Sink::send`] takes a whole batch and answers once, for all of it. It connects when there is no
//! connection, to the first endpoint that answers, and it tries each endpoint once: how long to
//! wait before sending the same batch again is the caller's business, who should reset its backoff
//! only when a batch was settled. A receiver that refuses our certificate, or that hangs up on a
//! framing it does not know, looks like success until then.
//!
//! ```no_run
//! # use slackcef::{net::Backoff, syslog::{Frames, Sink}};
//! # async fn forward(mut sink: Sink, frames: Frames, mut backoff: Backoff) {
//! let assurance = loop {
//!     match sink.send(&frames).await {
//!         Ok(assurance) => break assurance,
//!         Err(_fault) => tokio::time::sleep(backoff.after_failure()).await,
//!     }
//! };
//! backoff.reset(); // and settle the batch
//! # let _ = assurance; }
//! ```

mod error;
mod file;
mod probe;
mod stdout;
mod stream;
mod wire;

use std::path::PathBuf;
use std::time::Duration;

pub use error::{Failure, Fault, SendError};
pub use file::File;
pub use probe::{Probe, ProbedTls};
pub use stdout::Stdout;
pub use stream::{Endpoint, Farewell, Stream};

use super::assurance::Assurance;
use super::frames::Frames;

/// One destination.
#[derive(Debug)]
pub enum Sink {
    /// A receiver over TCP or TLS.
    Stream(Stream),
    /// Standard output, for people and pipes.
    Stdout(Stdout),
    /// A file that grows line by line.
    File(File),
}

/// How long each step may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For the resolver, and for each address.
    pub connect: Duration,
    /// For the TLS handshake.
    pub handshake: Duration,
    /// Without a single byte taken. A receiver that is behind shuts its window, for minutes at times,
    /// and lives: ending that connection would only send everything to it again.
    pub stall: Duration,
    /// How long a new connection has to live on after its first flush before the batch counts.
    pub grace: Duration,
    /// How long the receiver may take to answer the end of the connection.
    pub farewell: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            handshake: Duration::from_secs(10),
            stall: Duration::from_secs(300),
            grace: Duration::from_secs(1),
            farewell: Duration::from_secs(10),
        }
    }
}

impl Sink {
    /// Receivers over TCP or TLS: the first that answers gets everything, the others are tried in
    /// their order when it fails. Nothing is connected yet.
    pub fn stream(endpoints: Vec<Endpoint>, timeouts: Timeouts) -> Self {
        Self::Stream(Stream::new(endpoints, timeouts))
    }

    /// The standard output of this process.
    pub fn stdout() -> Self {
        Self::Stdout(Stdout::default())
    }

    /// The file at `path`, made with mode 0600 when it is first written to.
    pub fn file(path: PathBuf) -> Self {
        Self::File(File::new(path))
    }

    /// Sends all of `frames`, from the first.
    ///
    /// Dropping the future closes the connection it was writing to.
    ///
    /// # Errors
    /// [`SendError`]: the batch is not settled, nothing is known of its fate beyond
    /// [`SendError::confirmed`], and all the rest is to be sent again unless
    /// [`SendError::again`] is false.
    pub async fn send(&mut self, frames: &Frames) -> Result<Assurance, SendError> {
        if frames.is_empty() {
            return Ok(self.assurance());
        }
        match self {
            Self::Stream(stream) => stream.send(frames.bytes()).await?,
            Self::Stdout(stdout) => stdout.send(frames.bytes()).await?,
            Self::File(file) => file.send(frames.bytes()).await?,
        }
        Ok(self.assurance())
    }

    /// What a success of [`Sink::send`] is worth here.
    pub const fn assurance(&self) -> Assurance {
        match self {
            Self::Stream(_) => Assurance::Flushed,
            Self::Stdout(_) => Assurance::HandedOver,
            Self::File(_) => Assurance::Durable,
        }
    }

    /// Waits until the receiver ends the idle connection, and says how. Never resolves while there
    /// is no connection. To be waited on together with new work, and dropped when work comes; the
    /// next [`Sink::send`] connects again by itself.
    pub async fn closed(&mut self) -> Failure {
        match self {
            Self::Stream(stream) => stream.closed().await,
            Self::Stdout(_) | Self::File(_) => std::future::pending().await,
        }
    }

    /// Ends the connection in order: what was written still arrives. A later [`Sink::send`] would
    /// connect anew.
    pub async fn close(&mut self) -> Farewell {
        match self {
            Self::Stream(stream) => stream.close().await,
            Self::Stdout(_) | Self::File(_) => Farewell::NothingOpen,
        }
    }

    /// Tries each endpoint without sending anything: name, connection, handshake, and whether the
    /// connection outlives [`Timeouts::grace`]. For a file: whether it can be written to.
    pub async fn probe(&self) -> Vec<(String, Result<Probe, Failure>)> {
        match self {
            Self::Stream(stream) => stream.probe().await,
            Self::Stdout(_) => vec![("stdout".to_owned(), Ok(Probe::Local))],
            Self::File(file) => vec![file.probe().await],
        }
    }
}
