//! The folder the store lives in: private, local, held by one process, with room kept free.
//!
//! ```text
//! store.db            the database; -wal and -shm beside it while it is open
//! lock                locked for as long as a process holds the store; names its process id
//! reserve             space set aside: given back when the disk is full, so that deleting can begin
//! ```
//!
//! **Invariant:** nothing in the folder can be read by other users; it holds a company's audit log.
//! **Invariant:** rights are taken away only from a folder that is empty or holds a store already,
//! for a mistyped setting must not close `/var/lib` to everyone.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::Repair;
use super::error::OpenError;

const DATABASE: &str = "store.db";
const LOG_OF_CHANGES: &str = "store.db-wal";
const LOCK: &str = "lock";
const RESERVE: &str = "reserve";

/// The database of a folder that holds a store already.
pub(super) fn database_of(dir: &Path) -> Result<PathBuf, OpenError> {
    let path = dir.join(DATABASE);
    match fs::metadata(&path) {
        Ok(_) => Ok(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(OpenError::Absent { dir: dir.to_owned() })
        }
        Err(source) => Err(OpenError::Folder { doing: "read", path, source }),
    }
}

/// Whether the store of a folder was closed: no process has it open, and none was killed with it.
pub(super) fn is_closed(dir: &Path) -> bool {
    !dir.join(LOG_OF_CHANGES).exists()
}

/// The folder, held until dropped.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    reserve: u64,
    lock: File,
}

impl Folder {
    /// Creates the folder where it is missing, and takes hold of it.
    ///
    /// `reserve` is how many bytes to set aside for a full disk.
    pub(super) fn hold(path: &Path, reserve: u64) -> Result<(Self, Option<Repair>), OpenError> {
        let failed = |doing, path: &Path| {
            let path = path.to_owned();
            move |source| OpenError::Folder { doing, path, source }
        };
        if !path.exists() {
            DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed("create", path))?;
            if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                sync(parent).map_err(failed("sync", parent))?;
            }
        }
        refuse_network(path)?;
        let repair = make_private(path)?;
        let lock = path.join(LOCK);
        let lock = lock_for_this_process(&lock).map_err(|error| match error {
            Held::ByOther(pid) => OpenError::Held { dir: path.to_owned(), pid },
            Held::Failed(source) => OpenError::Folder { doing: "write", path: lock, source },
        })?;
        let database = path.join(DATABASE);
        // SQLite gives the files beside it the rights of this one.
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&database)
            .map_err(failed("write", &database))?;
        sync(path).map_err(failed("sync", path))?;
        Ok((Self { path: path.to_owned(), reserve, lock }, repair))
    }

    /// Where the database is.
    pub(super) fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }

    /// Bytes of the log of changes beside the database.
    pub(super) fn wal_bytes(&self) -> u64 {
        fs::metadata(self.path.join(LOG_OF_CHANGES)).map_or(0, |wal| wal.len())
    }

    /// Bytes that the disk has left for us; unknown counts as plenty, for a write will tell.
    pub(super) fn free_bytes(&self) -> u64 {
        rustix::fs::statvfs(&self.path).map_or(u64::MAX, |disk| disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    /// Sets the reserve aside where it is missing, as long as `spare` bytes stay free beside it.
    pub(super) fn set_reserve_aside(&self, spare: u64) {
        let path = self.path.join(RESERVE);
        if path.exists() || self.free_bytes() < self.reserve.saturating_add(spare) {
            return;
        }
        // Without a reserve the store works as well; only a full disk is harder to leave.
        if allocate(&path, self.reserve).is_err() {
            self.give_reserve_back();
        }
    }

    /// Bytes of the reserve that are not set aside now.
    pub(super) fn reserve_missing(&self) -> u64 {
        if self.path.join(RESERVE).exists() { 0 } else { self.reserve }
    }

    /// Gives the reserve back to the disk; says whether there was one.
    pub(super) fn give_reserve_back(&self) -> bool {
        fs::remove_file(self.path.join(RESERVE)).is_ok()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Closing is not enough where a process was forked meanwhile: until it runs its own program
        // it has the file open as well, and with it the lock.
        drop(self.lock.unlock());
    }
}

fn allocate(path: &Path, bytes: u64) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    #[cfg(target_os = "linux")]
    if rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes).is_ok() {
        return Ok(());
    }
    io::copy(&mut io::repeat(0xa5).take(bytes), &mut file)?;
    file.sync_all()
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Takes the rights of others away, or refuses.
fn make_private(path: &Path) -> Result<Option<Repair>, OpenError> {
    let unreadable = |source| OpenError::Folder { doing: "read", path: path.to_owned(), source };
    let mode = fs::metadata(path).map_err(unreadable)?.permissions().mode() & 0o7777;
    let others = mode & 0o077;
    if others == 0 {
        return Ok(None);
    }
    let ours = path.join(DATABASE).exists() || fs::read_dir(path).map_err(unreadable)?.next().is_none();
    if !ours || fs::set_permissions(path, fs::Permissions::from_mode(0o700)).is_err() {
        return Err(OpenError::Exposed { dir: path.to_owned(), mode });
    }
    Ok(Some(Repair::Closed { dir: path.to_owned(), mode }))
}

enum Held {
    ByOther(Option<u32>),
    Failed(io::Error),
}

fn lock_for_this_process(path: &Path) -> Result<File, Held> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(Held::Failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            let read = file.take(20).read_to_string(&mut pid);
            return Err(Held::ByOther(read.ok().and_then(|_| pid.trim().parse().ok())));
        }
        Err(TryLockError::Error(error)) => return Err(Held::Failed(error)),
    }
    let write = |file: &mut File| {
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(format!("{}\n", std::process::id()).as_bytes())
    };
    write(&mut file).map_err(Held::Failed)?;
    Ok(file)
}

/// Locks and mapped memory are not to be relied on there, and SQLite needs both.
#[cfg(target_os = "linux")]
fn refuse_network(path: &Path) -> Result<(), OpenError> {
    let unreadable = |error: rustix::io::Errno| OpenError::Folder {
        doing: "read",
        path: path.to_owned(),
        source: error.into(),
    };
    // The type's width differs between architectures; the numbers are 32 bits wide.
    let kind = rustix::fs::statfs(path).map_err(unreadable)?.f_type.cast_unsigned() & 0xffff_ffff;
    match network_name(kind) {
        Some(kind) => Err(OpenError::Network { dir: path.to_owned(), kind }),
        None => Ok(()),
    }
}

/// The name of a network file system by its number (statfs(2), linux/magic.h).
#[cfg(target_os = "linux")]
fn network_name(kind: u64) -> Option<&'static str> {
    Some(match kind {
        0x6969 => "NFS",
        0x517b | 0xff53_4d42 | 0xfe53_4d42 => "SMB",
        0x5346_414f | 0x6b41_4653 => "AFS",
        0x7375_7245 => "Coda",
        0x00c3_6400 => "Ceph",
        0x0102_1997 => "9P",
        0x0bd0_0bd0 => "Lustre",
        0x4750_4653 => "GPFS",
        0x0116_1970 => "GFS2",
        0x7461_636f => "OCFS2",
        _ => return None,
    })
}

#[cfg(not(target_os = "linux"))]
fn refuse_network(_: &Path) -> Result<(), OpenError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_known_by_number() {
        assert_eq!(network_name(0x6969), Some("NFS"));
        assert_eq!(network_name(0xff53_4d42), Some("SMB"));
        for local in [0xef53_u64, 0x9123_683e, 0x5846_5342, 0x0102_1994, 0x794c_7630] {
            assert_eq!(network_name(local), None, "{local:#x}");
        }
    }

    #[test]
    fn a_folder_is_closed_to_others_only_when_it_is_ours() {
        let dir = tempfile::tempdir().unwrap();
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(dir.path(), open.clone()).unwrap();
        fs::write(dir.path().join("somebody's"), "").unwrap();
        assert!(matches!(make_private(dir.path()), Err(OpenError::Exposed { mode: 0o755, .. })));
        assert_eq!(fs::metadata(dir.path()).unwrap().permissions().mode() & 0o777, 0o755);

        fs::write(dir.path().join(DATABASE), "").unwrap();
        assert!(matches!(make_private(dir.path()), Ok(Some(Repair::Closed { mode: 0o755, .. }))));
        assert_eq!(fs::metadata(dir.path()).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn the_reserve_is_set_aside_and_given_back() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, _) = Folder::hold(&dir.path().join("state"), 1 << 20).unwrap();
        folder.set_reserve_aside(0);
        assert_eq!(fs::metadata(folder.path.join(RESERVE)).unwrap().len(), 1 << 20);
        assert!(folder.give_reserve_back());
        assert!(!folder.give_reserve_back());
        folder.set_reserve_aside(u64::MAX);
        assert!(!folder.path.join(RESERVE).exists());
    }
}
