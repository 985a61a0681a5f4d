//! A file that grows line by line, each batch on disk before it counts.
//!
//! **Invariant:** the file holds whole lines only: what a failed or killed write left of a batch is
//! cut off before anything is appended, for that batch is sent again whole.
//! **Invariant:** when somebody renames or removes the file (logrotate), the next batch begins a new
//! one under its name.

use std::io::{self, SeekFrom};
use std::path::{Path, PathBuf};

use tokio::fs;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};

use crate::syslog::failure::Failure;
use crate::syslog::frames::Frames;

/// One file.
#[derive(Debug)]
pub(crate) struct File {
    path: PathBuf,
    open: Option<fs::File>,
}

impl File {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, open: None }
    }

    pub(super) async fn send(&mut self, frames: &Frames) -> Result<(), Failure> {
        self.append(frames.bytes()).await.map_err(|(doing, source)| Failure::File { doing, source })
    }

    /// Appends whole lines, which are on the disk when it returns; otherwise what was being done, and
    /// why it failed.
    ///
    /// While it is written to, the file is not in its place: after a failure it is opened and mended
    /// anew.
    pub(crate) async fn append(&mut self, bytes: &[u8]) -> Result<(), (&'static str, io::Error)> {
        let mut file = match self.open.take() {
            Some(file) if same(&file, &self.path).await => file,
            _ => open_whole(&self.path).await.map_err(|fault| ("open", fault))?,
        };
        if let Err(fault) = write(&mut file, bytes).await {
            return Err(("write to", fault));
        }
        match file.sync_data().await {
            // A pipe or a device, which has nothing to sync.
            Err(fault) if fault.kind() == io::ErrorKind::InvalidInput => {}
            synced => synced.map_err(|fault| ("sync", fault))?,
        }
        self.open = Some(file);
        Ok(())
    }
}

async fn write(file: &mut fs::File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes).await?;
    file.flush().await
}

/// Whether the file can be written to. Leaves no file behind: made by the administrator who checks, it would be closed to the service.
pub(in crate::syslog) async fn can_be_opened(path: &Path) -> io::Result<()> {
    match fs::OpenOptions::new().append(true).read(true).open(path).await {
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => {
            let to_add = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
            rustix::fs::access(folder_of(path), to_add).map_err(io::Error::from)
        }
        opened => opened.map(drop),
    }
}

async fn open(path: &Path) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.create(true).append(true).read(true);
    #[cfg(unix)]
    options.mode(0o600);
    options.open(path).await
}

/// Opens the file and cuts off the half line at its end, if there is one. A new file's name is made
/// durable too.
async fn open_whole(path: &Path) -> io::Result<fs::File> {
    let mut file = open(path).await?;
    let length = file.metadata().await?.len();
    if length == 0 {
        sync_folder(path).await?;
        return Ok(file);
    }
    let whole = end_of_last_line(&mut file, length).await?;
    if whole < length {
        file.set_len(whole).await?;
    }
    Ok(file)
}

async fn sync_folder(path: &Path) -> io::Result<()> {
    fs::File::open(folder_of(path)).await?.sync_all().await
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The position behind the last line feed.
async fn end_of_last_line(file: &mut fs::File, length: u64) -> io::Result<u64> {
    let mut end = length;
    let mut piece = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(PIECE);
        file.seek(SeekFrom::Start(start)).await?;
        piece.clear();
        (&mut *file).take(end.saturating_sub(start)).read_to_end(&mut piece).await?;
        if let Some(at) = piece.iter().rposition(|&byte| byte == b'\n') {
            return Ok(start.saturating_add(u64::try_from(at).unwrap_or(0)).saturating_add(1));
        }
        end = start;
    }
    Ok(0)
}

const PIECE: u64 = 64 * 1024;

/// The open file still is the one that bears the name.
#[cfg(unix)]
async fn same(file: &fs::File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata().await, fs::metadata(path).await) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

#[cfg(not(unix))]
async fn same(_: &fs::File, path: &Path) -> bool {
    fs::try_exists(path).await.unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syslog::{Endpoint, Framing, Probe, SendError, Sink};

    fn sink(path: &Path) -> Sink {
        Endpoint::File { path: path.to_owned() }.into()
    }

    async fn put(sink: &mut Sink, lines: &[&str]) -> Result<(), SendError> {
        let mut frames = Frames::new(Framing::Newline);
        for line in lines {
            frames.push(|buf| buf.extend_from_slice(line.as_bytes()));
        }
        sink.deliver(frames).await.map(|_| ())
    }

    #[tokio::test]
    async fn appends_lines_that_only_the_owner_can_read() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.cef");
        let mut sink = sink(&path);
        put(&mut sink, &["a", "b"]).await.unwrap();
        put(&mut sink, &["c"]).await.unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "a\nb\nc\n");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[tokio::test]
    async fn begins_a_new_file_after_rotation() {
        let dir = tempfile::tempdir().unwrap();
        let (path, old) = (dir.path().join("events.cef"), dir.path().join("events.cef.1"));
        let mut sink = sink(&path);
        put(&mut sink, &["a"]).await.unwrap();
        std::fs::hard_link(&path, &old).unwrap();
        std::fs::remove_file(&path).unwrap();
        put(&mut sink, &["b"]).await.unwrap();
        assert_eq!(std::fs::read_to_string(&old).unwrap(), "a\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "b\n");
    }

    #[tokio::test]
    async fn cuts_off_the_half_line_that_a_killed_process_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.cef");
        let long = "x".repeat(200_000);
        for (left, kept) in
            [("a\nb\nhal", "a\nb\n"), ("hal", ""), (&format!("a\n{long}"), "a\n"), ("a\n", "a\n")]
        {
            std::fs::write(&path, left).unwrap();
            put(&mut sink(&path), &["c"]).await.unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{kept}c\n"));
        }
    }

    #[tokio::test]
    async fn says_which_file_and_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("missing").join("events.cef");
        let error = put(&mut sink(&path), &["a"]).await.unwrap_err();
        assert_eq!(error.to_string(), format!("{}: cannot open the file", path.display()));
        assert!(error.again());
        assert_eq!(error.help().unwrap(), "make the folder first");
    }

    #[tokio::test]
    async fn a_probe_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.cef");
        let probed = |path| async { Sink::from(Endpoint::File { path }).probe().await.remove(0).1 };
        assert!(matches!(probed(path.clone()).await, Ok(Probe::Local)));
        assert!(!path.exists());
        assert!(probed(dir.path().join("missing").join("events.cef")).await.is_err());
        assert!(probed(dir.path().to_owned()).await.is_err());
        std::fs::write(&path, "a\n").unwrap();
        assert!(probed(path.clone()).await.is_ok());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "a\n");
    }

    /// `/dev/full` takes no byte: what a full disk does.
    #[tokio::test]
    async fn a_full_disk_settles_nothing() {
        let error = put(&mut sink(Path::new("/dev/full")), &["a"]).await.unwrap_err();
        assert!(matches!(&error.failures()[0].1, Failure::File { doing: "write to", .. }), "{error:?}");
        assert_eq!(error.help().unwrap(), "make room; nothing is lost meanwhile");
    }
}
