//! The file of dead letters: events that a receiver hangs up on, each time, while it takes others.
//!
//! **Invariant:** a letter is on the disk, and its file's name too, before its event counts as dealt
//! with.
//! **Invariant:** the file holds whole letters only.

use std::collections::BTreeSet;
use std::io::{self, BufRead as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokio::fs;

use crate::slack::Clock;
use crate::syslog::File;

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
        self.make_folder().await?;
        File::new(self.path.clone()).append(&line).await.map_err(|(_, fault)| fault)
    }

    /// Makes the folder where it is missing, and its name durable: nobody knows whether that was done.
    async fn make_folder(&self) -> io::Result<()> {
        let Some(folder) = self.path.parent() else { return Ok(()) };
        let mut folders = fs::DirBuilder::new();
        folders.recursive(true);
        #[cfg(unix)]
        folders.mode(0o700);
        folders.create(folder).await?;
        match folder.parent() {
            Some(state) => fs::File::open(state).await?.sync_all().await,
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[tokio::test]
    async fn half_a_letter_that_a_crash_left_does_not_spoil_the_next() {
        let state = tempfile::tempdir().unwrap();
        let dead = DeadLetters::of(state.path(), "siem");
        dead.keep("Ev1", b"<1>one\n", "it hung up").await.unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(dead.path()), mode(dead.path().parent().unwrap())), (0o600, 0o700));
        let text = std::fs::read_to_string(dead.path()).unwrap();
        std::fs::write(dead.path(), format!("{text}{{\"kept_at\":17")).unwrap();
        dead.keep("Ev2", b"<1>two\n", "it hung up").await.unwrap();
        let text = std::fs::read_to_string(dead.path()).unwrap();
        let letter = |line| serde_json::from_str::<serde_json::Value>(line).unwrap();
        let messages: Vec<_> = text.lines().map(|line| letter(line)["message"].clone()).collect();
        assert_eq!(messages, ["<1>one", "<1>two"]);
        let ids = dead_letters(state.path(), "siem").unwrap();
        assert_eq!(Vec::from_iter(ids), ["Ev1", "Ev2"]);
        assert_eq!(dead_letters(state.path(), "other").unwrap(), BTreeSet::new());
    }
}
