//! Where a secret comes from, and how it is fetched without ever being shown.
//!
//! A file is refused where its group may read it, too: who wants to hand a secret from one user to
//! another has systemd's credentials, or a command.
//!
//! **Invariant:** the secret itself is in no error, no log line and no `Debug` output.
//! **Invariant:** fetching ends: a file or an answer of a command is read with a bound, and a command
//! is given a bounded time.

mod command;

use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;

use super::reader::Section;

pub use command::{CommandError, CommandLine};

/// A place that holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretFrom {
    /// An environment variable.
    Env(String),
    /// A file that nobody but its owner may read.
    File(PathBuf),
    /// A credential of systemd's `LoadCredential=`, by its name.
    Credential(String),
    /// What a command prints.
    Command(CommandLine),
}

/// Longer than any secret, so that a wrong path to something large is noticed.
const MOST: u64 = 64 << 10;

impl SecretFrom {
    /// Fetches the secret, less white space at its ends. Blocks: for seconds, where it is a command.
    ///
    /// # Errors
    /// [`SecretError`]: nothing there, empty, readable by others, or a command that fails.
    pub fn fetch(&self) -> Result<SecretString, SecretError> {
        let text = Zeroizing::new(match self {
            Self::Env(name) => std::env::var(name).map_err(|_| SecretError::NotSet { name: name.clone() })?,
            Self::File(path) => read_file(path, Whose::Ours)?,
            Self::Credential(name) => {
                let folder = std::env::var_os("CREDENTIALS_DIRECTORY")
                    .ok_or_else(|| SecretError::NoCredentials { name: name.clone() })?;
                // Its folder is systemd's, closed to others; its group is systemd's business.
                read_file(&Path::new(&folder).join(name), Whose::Systemd)?
            }
            Self::Command(command) => command.output()?,
        });
        let text = text.trim();
        if text.is_empty() {
            return Err(SecretError::Empty { place: self.to_string() });
        }
        Ok(SecretString::from(text))
    }

    /// Whether looking for a new one every few seconds costs nothing.
    pub fn is_cheap(&self) -> bool {
        !matches!(self, Self::Command(_))
    }
}

/// The places that a secret can be in.
pub(super) const KEYS: [&str; 4] = ["env", "file", "credential", "command"];

/// Reads `{ env = "…" }`, `{ file = "…" }`, `{ credential = "…" }` or `{ command = ["…"] }`: what is
/// given for `key`, which stands at `place` of `section`.
pub(super) fn read(
    section: &Section<'_, '_>,
    key: &str,
    place: &Range<usize>,
    given: &Section<'_, '_>,
    help: &str,
) -> Option<SecretFrom> {
    let from = [
        given.text("env").map(|word| SecretFrom::Env(word.text.to_owned())),
        given.text("file").map(|word| SecretFrom::File(word.text.into())),
        given.text("credential").map(|word| SecretFrom::Credential(word.text.to_owned())),
        given.texts("command").map(|words| {
            let words = words.into_iter().map(|word| word.text.to_owned()).collect();
            let command = CommandLine::new(words);
            if command.is_none() {
                let span = given.place("command").unwrap_or_else(|| place.clone());
                let what = "`command` names no program";
                given.problem(&span, "bad-value", what, "write `command = [\"/usr/local/bin/token\", \"acme\"]`: the program, then each of its arguments");
            }
            // A problem was noted; what is read is thrown away with the file.
            SecretFrom::Command(command.unwrap_or_default())
        }),
    ];
    given.finish();
    let mut from = from.into_iter().flatten();
    match (from.next(), from.next()) {
        (Some(from), None) => Some(from),
        // What stands there is not what it should be, which was said.
        (None, _) if KEYS.into_iter().any(|key| given.skip(key)) => None,
        (None, _) => {
            section.problem(place, "missing", format!("`{key}` does not say where it is"), help);
            None
        }
        (Some(_), Some(_)) => {
            section.problem(place, "bad-value", format!("`{key}` names more than one place"), help);
            None
        }
    }
}

impl std::fmt::Display for SecretFrom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Env(name) => write!(f, "the environment variable {name}"),
            Self::File(path) => write!(f, "the file {}", path.display()),
            Self::Credential(name) => write!(f, "the systemd credential {name}"),
            Self::Command(command) => write!(f, "the command {command}"),
        }
    }
}

/// Whose business it is who may read a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    Ours,
    Systemd,
}

fn read_file(path: &Path, whose: Whose) -> Result<String, SecretError> {
    let unread = |source| SecretError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(unread)?;
    // Of the file that is read, not of the one that has the name a moment later.
    let about = file.metadata().map_err(unread)?;
    let mode = about.permissions().mode() & 0o777;
    if whose == Whose::Ours && mode & 0o077 != 0 {
        return Err(SecretError::Exposed { path: path.to_owned(), mode });
    }
    let mut text = Zeroizing::new(String::new());
    file.take(MOST + 1).read_to_string(&mut text).map_err(unread)?;
    if text.len() as u64 > MOST {
        return Err(SecretError::TooLong { place: format!("the file {}", path.display()) });
    }
    Ok(std::mem::take(&mut *text))
}

/// Why a secret could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The variable is not in the environment.
    #[error("the environment variable {name} is not set")]
    NotSet {
        /// The variable.
        name: String,
    },
    /// The process has no credentials folder.
    #[error("there is no systemd credential {name}: CREDENTIALS_DIRECTORY is not set")]
    NoCredentials {
        /// The credential.
        name: String,
    },
    /// The place is there but holds nothing.
    #[error("{place} holds nothing")]
    Empty {
        /// Where nothing was.
        place: String,
    },
    /// The file is open to others.
    #[error("{} is open to others on this machine (mode {mode:04o})", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The place holds something else.
    #[error("{place} holds more than {MOST} bytes: that is no secret")]
    TooLong {
        /// Where so much was.
        place: String,
    },
    /// The command gave nothing.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl SecretError {
    /// What to do about it.
    pub fn help(&self) -> String {
        match self {
            Self::NotSet { name } => {
                format!("set it for this process: export {name}=…, or Environment= in the unit")
            }
            Self::NoCredentials { name } => {
                format!(
                    "add LoadCredential={name}:/path/to/the/secret to the service's unit, and start it by systemd"
                )
            }
            Self::Empty { .. } | Self::TooLong { .. } => "put the secret there, alone on one line".to_owned(),
            Self::Exposed { path, .. } => {
                format!(
                    "chmod 0600 {}, and make the service's user its owner; if others may have read it, replace the secret",
                    path.display()
                )
            }
            Self::Command(error) => error.help().to_owned(),
            Self::Read { .. } => "check the path, and that the service's user may read it".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_file_is_read_only_when_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, "xoxp-1\n").unwrap();
        for mode in [0o644, 0o640, 0o604, 0o620, 0o601] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let refused = SecretFrom::File(path.clone()).fetch().unwrap_err();
            assert!(
                matches!(refused, SecretError::Exposed { mode: found, .. } if found == mode),
                "{refused}"
            );
        }
        for mode in [0o600, 0o400] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(SecretFrom::File(path.clone()).fetch().unwrap().expose_secret(), "xoxp-1");
        }
        fs::remove_file(&path).unwrap();
        fs::write(&path, "x".repeat(70_000)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(SecretFrom::File(path).fetch().unwrap_err(), SecretError::TooLong { .. }));
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = SecretFrom::Env("SLACKCEF_NO_SUCH_VARIABLE".into()).fetch().unwrap_err();
        assert_eq!(error.to_string(), "the environment variable SLACKCEF_NO_SUCH_VARIABLE is not set");
    }
}
