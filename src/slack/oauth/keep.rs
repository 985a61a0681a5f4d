//! Where a login is kept: `NAME.json` in a folder of its own, one file a login.
//!
//! ```text
//!  lock NAME.lock ─▶ write NAME.json.new ─▶ sync ─▶ rename to NAME.json ─▶ sync the folder ─▶ unlock
//! ```
//!
//! A `.new` that is whole was written later than the file it was to replace: whoever takes the lock
//! next finishes what was begun. One that is torn was never promised to anybody.
//!
//! **Invariant:** folder and files are for their owner alone (0700, 0600).
//! **Invariant:** whoever writes holds the lock; whoever reads sees one whole state or another.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};

use super::error::LoginError;
use super::grant::{Grant, Holder};
use crate::event::UnixTime;

/// The place of one login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keep {
    folder: PathBuf,
    name: String,
}

/// A login as it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Kept {
    version: Version,
    /// The app that it was made for.
    pub(super) client_id: String,
    #[serde(serialize_with = "exposed")]
    pub(super) access_token: SecretString,
    #[serde(serialize_with = "exposed_if_any", default)]
    pub(super) refresh_token: Option<SecretString>,
    /// When Slack gave it.
    pub issued_at: UnixTime,
    /// When the access token dies; never where it does not rotate.
    pub expires_at: Option<UnixTime>,
    /// A refresh was begun, and is not known to have ended: Slack may have spent the refresh token.
    #[serde(default)]
    pub(super) refreshing_since: Option<UnixTime>,
    /// Slack's word for why the refresh token is good no more.
    #[serde(default)]
    pub(super) over: Option<String>,
    /// Whose it is.
    #[serde(flatten)]
    pub holder: Holder,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
struct Version;

impl TryFrom<u32> for Version {
    type Error = &'static str;

    fn try_from(number: u32) -> Result<Self, Self::Error> {
        if number == 1 { Ok(Self) } else { Err("this is of another version") }
    }
}

impl From<Version> for u32 {
    fn from(_: Version) -> Self {
        1
    }
}

/// It is refreshed so long before its end, or a sixth of its life where that is shorter.
const BEFORE_THE_END: i64 = 2 * 3_600;

impl Kept {
    /// What Slack has just given.
    pub fn new(client_id: &str, grant: Grant, now: UnixTime) -> Self {
        let Grant { access_token, refresh_token, expires_in, holder } = grant;
        let seconds = |life: Duration| i64::try_from(life.as_secs()).unwrap_or(i64::MAX);
        Self {
            version: Version,
            client_id: client_id.to_owned(),
            access_token,
            refresh_token,
            issued_at: now,
            expires_at: expires_in.map(|life| now.plus(seconds(life))),
            refreshing_since: None,
            over: None,
            holder,
        }
    }

    /// Whether it is time for the next pair.
    pub(super) fn is_due(&self, now: UnixTime) -> bool {
        let Some(end) = self.expires_at.filter(|_| self.refresh_token.is_some()) else { return false };
        let life = end.seconds().saturating_sub(self.issued_at.seconds());
        self.refreshing_since.is_some() || now >= end.plus(-BEFORE_THE_END.min(life / 6))
    }

    /// Whether Slack would refuse the access token as too old.
    pub(super) fn has_expired(&self, now: UnixTime) -> bool {
        self.expires_at.is_some_and(|end| now >= end)
    }

    pub(super) fn is_same_token(&self, other: &Self) -> bool {
        self.access_token.expose_secret() == other.access_token.expose_secret()
    }
}

fn exposed<S: Serializer>(secret: &SecretString, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(secret.expose_secret())
}

#[expect(clippy::ref_option, reason = "serde asks for it")]
fn exposed_if_any<S: Serializer>(secret: &Option<SecretString>, to: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(ExposeSecret::expose_secret).serialize(to)
}

/// Whoever refreshes has its answer, or gives up, long before.
const LOCKED_WITHIN: Duration = Duration::from_secs(60);
const TRY_AGAIN: Duration = Duration::from_millis(50);
/// Root must not lock, and hand over, what a link leads to.
const NO_LINK: i32 = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();

impl Keep {
    /// The place of that login in that folder.
    pub fn new(folder: PathBuf, name: &str) -> Self {
        Self { folder, name: name.to_owned() }
    }

    /// The login's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file that it is kept in.
    pub fn path(&self) -> PathBuf {
        self.folder.join(format!("{}.json", self.name))
    }

    fn new_path(&self) -> PathBuf {
        self.folder.join(format!("{}.json.new", self.name))
    }

    /// What is kept, if anybody has logged in.
    ///
    /// # Errors
    /// It cannot be read, or is something else.
    pub fn load(&self) -> Result<Option<Kept>, LoginError> {
        let path = self.path();
        let text = match fs::read(&path) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(LoginError::Keep { doing: "read", path, source }),
        };
        // The error would quote what it stumbles over.
        serde_json::from_slice(&text).map(Some).map_err(|_| LoginError::Unreadable { path })
    }

    /// Waits until nobody else writes, and finishes what a crash has left half done.
    ///
    /// # Errors
    /// The folder cannot be made or written to, or another process never lets go.
    pub async fn lock(&self) -> Result<Locked<'_>, LoginError> {
        self.make_folder()?;
        let path = self.folder.join(format!("{}.lock", self.name));
        let unlocked = |source| LoginError::Keep { doing: "lock", path: path.clone(), source };
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .custom_flags(NO_LINK)
            .open(&path)
            .map_err(unlocked)?;
        self.hand_over(&file).map_err(unlocked)?;
        let locked = tokio::time::timeout(LOCKED_WITHIN, async {
            loop {
                match file.try_lock() {
                    Ok(()) => return Ok(()),
                    Err(TryLockError::WouldBlock) => tokio::time::sleep(TRY_AGAIN).await,
                    Err(TryLockError::Error(source)) => return Err(source),
                }
            }
        });
        match locked.await {
            Ok(locked) => locked.map_err(unlocked)?,
            Err(_) => return Err(LoginError::Busy { name: self.name.clone() }),
        }
        let locked = Locked { keep: self, lock: file };
        locked.finish_what_was_begun()?;
        Ok(locked)
    }

    fn make_folder(&self) -> Result<(), LoginError> {
        let mut folders = DirBuilder::new();
        folders.recursive(true).mode(0o700);
        let of = |path: &Path| {
            let path = path.to_owned();
            move |source| LoginError::Keep { doing: "make the folder", path, source }
        };
        if !self.folder.exists() {
            folders.create(&self.folder).map_err(of(&self.folder))?;
            let folder = File::open(&self.folder).map_err(of(&self.folder))?;
            self.hand_over(&folder).map_err(of(&self.folder))?;
        }
        Ok(())
    }

    /// Gives what root has made to the user whose state folder it is in.
    fn hand_over(&self, file: &File) -> io::Result<()> {
        let Some(state) = self.folder.parent() else { return Ok(()) };
        let (whose, now) = (fs::metadata(state)?, file.metadata()?);
        if (whose.uid(), whose.gid()) == (now.uid(), now.gid()) || now.uid() != 0 {
            return Ok(());
        }
        fchown(file, Some(whose.uid()), Some(whose.gid()))
    }
}

/// A login that nobody else writes to.
#[derive(Debug)]
pub struct Locked<'k> {
    keep: &'k Keep,
    lock: File,
}

impl Locked<'_> {
    /// What is kept.
    ///
    /// # Errors
    /// It cannot be read, or is something else.
    pub fn load(&self) -> Result<Option<Kept>, LoginError> {
        self.keep.load()
    }

    /// Keeps that from now on; it is on the disk when this returns.
    ///
    /// # Errors
    /// It cannot be written; what was kept before is still there.
    pub fn store(&self, kept: &Kept) -> Result<(), LoginError> {
        let path = self.keep.new_path();
        let unwritten = |source| LoginError::Keep { doing: "write", path: path.clone(), source };
        let text = Zeroizing::new(serde_json::to_vec_pretty(kept).map_err(|error| unwritten(error.into()))?);
        // A new one always: root must not write through a link that the folder's owner put there.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(unwritten(error)),
            _ => {}
        }
        let mut file =
            OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path).map_err(unwritten)?;
        self.keep.hand_over(&file).map_err(unwritten)?;
        file.write_all(&text).and_then(|()| file.sync_all()).map_err(unwritten)?;
        self.put_in_place()
    }

    fn put_in_place(&self) -> Result<(), LoginError> {
        let path = self.keep.path();
        #[expect(clippy::disallowed_methods, reason = "both the file and its folder are synced")]
        let renamed = fs::rename(self.keep.new_path(), &path);
        renamed.and_then(|()| File::open(&self.keep.folder)?.sync_all()).map_err(|source| LoginError::Keep {
            doing: "write",
            path,
            source,
        })
    }

    /// A whole `.new` takes the place it was written for, a torn one goes.
    fn finish_what_was_begun(&self) -> Result<(), LoginError> {
        let path = self.keep.new_path();
        let unread = |source| LoginError::Keep { doing: "read", path: path.clone(), source };
        let text = match fs::read(&path) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(source) => return Err(unread(source)),
        };
        if serde_json::from_slice::<Kept>(&text).is_ok() {
            File::open(&path).and_then(|file| file.sync_all()).map_err(unread)?;
            return self.put_in_place();
        }
        fs::remove_file(&path).map_err(unread)
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        // Closing is not enough where a process was forked meanwhile.
        drop(self.lock.unlock());
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn kept(token: &str) -> Kept {
        let grant = Grant {
            access_token: token.into(),
            refresh_token: Some("xoxe-1".into()),
            expires_in: Some(Duration::from_secs(43_200)),
            holder: Holder { org_install: true, ..Holder::default() },
        };
        Kept::new("1.2", grant, UnixTime::from_seconds(1_000))
    }

    fn keep() -> (tempfile::TempDir, Keep) {
        let dir = tempfile::tempdir().unwrap();
        let keep = Keep::new(dir.path().join("oauth"), "acme");
        (dir, keep)
    }

    fn token(keep: &Keep) -> String {
        keep.load().unwrap().unwrap().access_token.expose_secret().to_owned()
    }

    #[tokio::test]
    async fn what_is_stored_is_there_and_for_its_owner_alone() {
        let (_dir, keep) = keep();
        assert!(keep.load().unwrap().is_none());
        keep.lock().await.unwrap().store(&kept("xoxe.xoxp-1")).unwrap();
        let read = keep.load().unwrap().unwrap();
        assert_eq!(read.access_token.expose_secret(), "xoxe.xoxp-1");
        assert_eq!(read.refresh_token.as_ref().unwrap().expose_secret(), "xoxe-1");
        assert_eq!(read.expires_at, Some(UnixTime::from_seconds(44_200)));
        assert!(read.holder.org_install && read.over.is_none());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&keep.folder), mode(&keep.path())), (0o700, 0o600));
        assert!(!format!("{read:?}").contains("xoxe"), "{read:?}");
    }

    #[tokio::test]
    async fn a_crash_before_the_rename_is_finished_by_the_next_lock() {
        let (_dir, keep) = keep();
        keep.lock().await.unwrap().store(&kept("xoxe.xoxp-1")).unwrap();
        let whole = serde_json::to_vec(&kept("xoxe.xoxp-2")).unwrap();
        // Torn anywhere, it is as if it had not been begun.
        for torn in [0, 1, whole.len() / 2, whole.len() - 1] {
            fs::write(keep.new_path(), &whole[..torn]).unwrap();
            drop(keep.lock().await.unwrap());
            assert_eq!((token(&keep).as_str(), keep.new_path().exists()), ("xoxe.xoxp-1", false));
        }
        fs::write(keep.new_path(), &whole).unwrap();
        assert_eq!(token(&keep), "xoxe.xoxp-1");
        drop(keep.lock().await.unwrap());
        assert_eq!((token(&keep).as_str(), keep.new_path().exists()), ("xoxe.xoxp-2", false));
    }

    #[tokio::test]
    async fn one_at_a_time_holds_the_lock() {
        let (_dir, keep) = keep();
        let first = keep.lock().await.unwrap();
        let second = keep.lock();
        tokio::pin!(second);
        assert!(tokio::time::timeout(4 * TRY_AGAIN, &mut second).await.is_err());
        drop(first);
        second.await.unwrap();
    }

    #[tokio::test]
    async fn what_is_no_login_is_not_quoted() {
        let (_dir, keep) = keep();
        drop(keep.lock().await.unwrap());
        for text in ["", "xoxp-1", "{\"version\":2}", "{\"version\":1,\"access_token\":\"xoxp-1\"}"] {
            fs::write(keep.path(), text).unwrap();
            let error = keep.load().unwrap_err();
            assert!(
                matches!(error, LoginError::Unreadable { .. }) && !error.to_string().contains("xoxp"),
                "{error}"
            );
        }
    }

    #[test]
    fn it_is_due_two_hours_before_its_end_or_a_sixth_of_a_short_life() {
        let at = UnixTime::from_seconds;
        let mut kept = kept("t");
        assert!(!kept.is_due(at(36_999)) && kept.is_due(at(37_000)) && kept.is_due(at(99_000)));
        assert!(!kept.has_expired(at(44_199)) && kept.has_expired(at(44_200)));
        kept.expires_at = Some(at(1_060));
        assert!(!kept.is_due(at(1_049)) && kept.is_due(at(1_050)));
        kept.refreshing_since = Some(at(1_001));
        assert!(kept.is_due(at(1_001)), "a refresh that was cut off is not put off");
        kept.refresh_token = None;
        assert!(!kept.is_due(at(1_059)));
        kept.expires_at = None;
        assert!(!kept.has_expired(at(i64::MAX)));
    }
}
