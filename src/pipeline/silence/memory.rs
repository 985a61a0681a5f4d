//! The file of what is remembered of a source: `quiet/NAME.json` in the state folder.
//!
//! **Invariant:** the file is whole at any moment: a new one takes the place of the one before.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::record::Record;

/// Where one source is remembered.
#[derive(Debug, Clone)]
pub(super) struct Memory {
    path: PathBuf,
}

/// Why nothing is remembered.
#[derive(Debug, thiserror::Error)]
pub(super) enum Forgotten {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// The file is none that this program wrote.
    #[error("{} is damaged", path.display())]
    Damaged { path: PathBuf },
}

impl Memory {
    pub(super) fn of(state: &Path, source: &str) -> Self {
        Self { path: state.join("quiet").join(format!("{source}.json")) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What was remembered, if anything. Blocks.
    pub(super) fn recall(&self) -> Result<Option<Record>, Forgotten> {
        let text = match fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Forgotten::Read { path: self.path.clone(), source }),
        };
        let read = serde_json::from_slice(&text).ok().filter(Record::is_sound);
        read.map(Some).ok_or_else(|| Forgotten::Damaged { path: self.path.clone() })
    }

    /// Remembers. Blocks until it is on the disk.
    #[expect(clippy::disallowed_methods, reason = "after a power cut the one before will do")]
    pub(super) fn keep(&self, record: &Record) -> io::Result<()> {
        if let Some(folder) = self.path.parent() {
            let mut folders = fs::DirBuilder::new();
            folders.recursive(true);
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut folders, 0o700);
            folders.create(folder)?;
        }
        let new = self.path.with_extension("json.new");
        let mut file = File::create(&new)?;
        file.write_all(&serde_json::to_vec(record)?)?;
        file.sync_all()?;
        fs::rename(&new, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::UnixTime;

    #[test]
    fn what_is_kept_is_recalled_and_nothing_else_is() {
        let state = tempfile::tempdir().unwrap();
        let memory = Memory::of(state.path(), "acme.eu");
        assert_eq!(memory.recall().unwrap(), None);
        let mut record = Record::new("[\"audit\"]");
        record.begin(UnixTime::from_seconds(0));
        record.read(&[UnixTime::from_seconds(7_200)], 1, UnixTime::from_seconds(9_000));
        for _ in 0..2 {
            memory.keep(&record).unwrap();
            assert_eq!(memory.recall().unwrap().as_ref(), Some(&record));
        }
        let kept = fs::read_to_string(state.path().join("quiet/acme.eu.json")).unwrap();
        assert!(!state.path().join("quiet/acme.eu.json.new").exists());
        for damaged in
            [String::new(), kept.replacen("[0]", "[61]", 1), kept.replacen("[0]", "[0,0,0,0,0,0]", 1)]
        {
            assert_ne!(damaged, kept);
            fs::write(memory.path(), &damaged).unwrap();
            assert!(matches!(memory.recall(), Err(Forgotten::Damaged { .. })), "{damaged}");
        }
    }
}
