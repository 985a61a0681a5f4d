//! The file of dead letters: events that a receiver hangs up on, each time, while it takes others.
//!
//! **Invariant:** a letter is on the disk before its event counts as dealt with.

use std::collections::BTreeSet;
use std::io::{self, BufRead as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokio::fs;
use tokio::io::AsyncWriteExt;

use crate::slack::Clock;

/// The dead letters of one destination: `dead-letters/NAME.ndjson` in the state folder.
#[derive(Debug)]
pub(super) struct DeadLetters {
    path: PathBuf,
}

/// One line of the file.
#[derive(Serialize)]
struct Letter<'a> {
    /// Seconds since 1970.
    kept_at: i64,
    /// The id of its entry.
    entry: &'a str,
    reason: &'a str,
    /// As it was sent, without its frame.
    message: &'a str,
}

/// The ids of the entries whose events lie among the dead letters of a destination now; none where it
/// has no such file.
///
/// # Errors
/// The file cannot be read.
pub fn dead_letters(state: &Path, destination: &str) -> io::Result<BTreeSet<String>> {
    #[derive(Deserialize)]
    struct Read {
        entry: String,
    }
    let file = match std::fs::File::open(DeadLetters::of(state, destination).path()) {
        Ok(file) => io::BufReader::new(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(error) => return Err(error),
    };
    let mut ids = BTreeSet::new();
    for line in file.split(b'\n') {
        // One that is being written, or was cut by a full disk, is no letter yet.
        ids.extend(serde_json::from_slice(&line?).ok().map(|Read { entry }| entry));
    }
    Ok(ids)
}

impl DeadLetters {
    pub(super) fn of(state: &Path, destination: &str) -> Self {
        Self { path: state.join("dead-letters").join(format!("{destination}.ndjson")) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps a message.
    pub(super) async fn keep(&self, entry: &str, message: &[u8], reason: &str) -> io::Result<()> {
        let message = String::from_utf8_lossy(message);
        let letter = Letter {
            kept_at: Clock::system().now().seconds(),
            entry,
            reason,
            message: message.trim_end_matches('\n'),
        };
        let mut line = serde_json::to_vec(&letter)?;
        line.push(b'\n');
        if let Some(folder) = self.path.parent() {
            let mut folders = fs::DirBuilder::new();
            folders.recursive(true);
            #[cfg(unix)]
            folders.mode(0o700);
            folders.create(folder).await?;
        }
        let mut options = fs::OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        options.mode(0o600);
        let mut file = options.open(&self.path).await?;
        file.write_all(&line).await?;
        file.flush().await?;
        file.sync_all().await
    }
}
