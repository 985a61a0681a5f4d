//! Standard output: for people who look, and for pipes.

use std::io::{self, Write};

use tokio::task::spawn_blocking;

use crate::syslog::failure::Failure;
use crate::syslog::frames::Frames;

/// The standard output of this process.
#[derive(Debug, Default)]
pub(in crate::syslog) struct Stdout {
    /// A write failed, and may have left half a line.
    torn: bool,
}

impl Stdout {
    /// Writes a copy of the frames on a thread that may block: a pipe's reader may be slow.
    pub(super) async fn send(&mut self, frames: &Frames) -> Result<(), Failure> {
        // What the failed write left must not run into the line that comes now.
        let mut lines = if self.torn { vec![b'\n'] } else { Vec::new() };
        lines.extend_from_slice(frames.bytes());
        self.torn = true;
        let written = spawn_blocking(move || {
            let mut stdout = io::stdout().lock();
            stdout.write_all(&lines)?;
            stdout.flush()
        });
        let written = written.await.unwrap_or_else(|fault| Err(io::Error::other(fault)));
        written.map_err(|source| Failure::Stdout { source })?;
        self.torn = false;
        Ok(())
    }
}
