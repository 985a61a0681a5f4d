//! Standard output: for people who look, and for pipes.

use std::io::{self, Write};

use tokio::task::spawn_blocking;

use super::error::{Failure, SendError};

/// Writes a copy of `bytes` on a thread that may block: a pipe's reader may be slow.
pub(super) async fn send(bytes: &[u8]) -> Result<(), SendError> {
    let bytes = bytes.to_vec();
    let written = spawn_blocking(move || {
        let mut stdout = io::stdout().lock();
        stdout.write_all(&bytes)?;
        stdout.flush()
    });
    let written = written.await.unwrap_or_else(|fault| Err(io::Error::other(fault)));
    written.map_err(|source| SendError::one("stdout", Failure::Stdout { source }))
}
