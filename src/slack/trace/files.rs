//! The files of a trace: lines behind one another, a new file when one is full, a few of them.
//!
//! **Invariant:** they are readable for their owner alone, and never more than was allowed together.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;

use super::TraceSettings;

/// So many files share what is allowed; the oldest goes when a new one is begun.
const FILES: u64 = 4;

/// Where the lines go.
#[derive(Debug)]
pub(super) struct Files {
    dir: PathBuf,
    each: u64,
    file: File,
    written: u64,
}

impl Files {
    pub(super) fn open(settings: &TraceSettings) -> io::Result<Self> {
        let TraceSettings { dir, max_size } = settings;
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let (dir, each) = (dir.clone(), max_size / FILES);
        let (file, written) = open(&name(&dir, 0))?;
        Ok(Self { dir, each, file, written })
    }

    /// Adds a line, which ends with its line break.
    pub(super) fn add(&mut self, line: &[u8]) -> io::Result<()> {
        let length = line.len() as u64;
        if self.written > 0 && self.written.saturating_add(length) > self.each {
            self.turn()?;
        }
        // One write a line: two processes, or a crash, never tear one.
        self.file.write_all(line)?;
        self.written = self.written.saturating_add(length);
        Ok(())
    }

    /// Begins a new file.
    #[expect(
        clippy::disallowed_methods,
        reason = "what a power cut undoes is a turn, and no line that matters"
    )]
    fn turn(&mut self) -> io::Result<()> {
        for nth in (0..FILES - 1).rev() {
            match fs::rename(name(&self.dir, nth), name(&self.dir, nth + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        (self.file, self.written) = open(&name(&self.dir, 0))?;
        Ok(())
    }
}

fn name(dir: &std::path::Path, nth: u64) -> PathBuf {
    dir.join(if nth == 0 { "slack.ndjson".to_owned() } else { format!("slack.{nth}.ndjson") })
}

fn open(path: &std::path::Path) -> io::Result<(File, u64)> {
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        // A link that somebody laid there leads nowhere.
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    let length = file.metadata()?.len();
    Ok((file, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(dir: &std::path::Path) -> Vec<(String, u64, u32)> {
        let mut held: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let about = entry.metadata().unwrap();
                let name = entry.file_name().into_string().unwrap();
                (name, about.len(), about.permissions().mode() & 0o777)
            })
            .collect();
        held.sort();
        held
    }

    #[test]
    fn they_turn_over_and_stay_within_what_is_allowed() {
        let folder = tempfile::tempdir().unwrap();
        let settings = TraceSettings { dir: folder.path().join("a/trace"), max_size: 400 };
        let mut files = Files::open(&settings).unwrap();
        for nth in 0..100 {
            files.add(format!("{nth:029}\n").as_bytes()).unwrap();
            let held = held(&settings.dir);
            assert!(held.iter().map(|(_, length, _)| length).sum::<u64>() <= 400, "{held:?}");
            assert!(held.iter().all(|(_, _, mode)| *mode == 0o600), "{held:?}");
        }
        assert_eq!(held(&settings.dir).len(), 4);
        let last = fs::read_to_string(name(&settings.dir, 0)).unwrap();
        assert!(last.ends_with("99\n"), "{last}");
        // After a restart it goes on where it was.
        let mut files = Files::open(&settings).unwrap();
        files.add(b"next\n").unwrap();
        assert!(fs::read_to_string(name(&settings.dir, 0)).unwrap().ends_with("99\nnext\n"));
        assert_eq!(fs::metadata(&settings.dir).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_link_is_not_followed_and_an_open_file_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        let settings = TraceSettings { dir: folder.path().to_owned(), max_size: 400 };
        let (elsewhere, own) = (folder.path().join("elsewhere"), name(folder.path(), 0));
        std::os::unix::fs::symlink(&elsewhere, &own).unwrap();
        Files::open(&settings).unwrap_err();
        assert!(!elsewhere.exists());
        fs::remove_file(&own).unwrap();
        fs::write(&own, "before\n").unwrap();
        fs::set_permissions(&own, Permissions::from_mode(0o644)).unwrap();
        Files::open(&settings).unwrap();
        assert_eq!(fs::metadata(&own).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
