//! Where a secret comes from, and how it is fetched without ever being shown.
//!
//! **Invariant:** the secret itself is in no error, no log line and no `Debug` output.

use std::fs;
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::reader::Section;

/// A place that holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretFrom {
    /// An environment variable.
    Env(String),
    /// A file that nobody but its owner and group may read.
    File(PathBuf),
    /// A credential of systemd's `LoadCredential=`, by its name.
    Credential(String),
}

impl SecretFrom {
    /// Fetches the secret, less white space at its ends.
    ///
    /// # Errors
    /// [`SecretError`]: nothing there, empty, or readable by everybody.
    pub fn fetch(&self) -> Result<SecretString, SecretError> {
        let text = match self {
            Self::Env(name) => std::env::var(name).map_err(|_| SecretError::NotSet { name: name.clone() })?,
            Self::File(path) => read_private(path)?,
            Self::Credential(name) => {
                let folder = std::env::var_os("CREDENTIALS_DIRECTORY")
                    .ok_or_else(|| SecretError::NoCredentials { name: name.clone() })?;
                read_file(&Path::new(&folder).join(name))?
            }
        };
        let text = text.trim();
        if text.is_empty() {
            return Err(SecretError::Empty { place: self.to_string() });
        }
        Ok(SecretString::from(text))
    }
}

/// Reads `{ env = "…" }`, `{ file = "…" }` or `{ credential = "…" }`: what is given for `key`, which
/// stands at `place` of `section`.
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
    ];
    given.finish();
    let mut from = from.into_iter().flatten();
    match (from.next(), from.next()) {
        (Some(from), None) => Some(from),
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
        }
    }
}

fn read_private(path: &Path) -> Result<String, SecretError> {
    let about = fs::metadata(path).map_err(|source| SecretError::Read { path: path.to_owned(), source })?;
    let mode = about.permissions().mode() & 0o777;
    if mode & 0o007 != 0 {
        return Err(SecretError::WorldReadable { path: path.to_owned(), mode });
    }
    read_file(path)
}

fn read_file(path: &Path) -> Result<String, SecretError> {
    fs::read_to_string(path).map_err(|source| SecretError::Read { path: path.to_owned(), source })
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
    /// The file is open to everybody.
    #[error("{} can be read by everybody on this machine (mode {mode:04o})", path.display())]
    WorldReadable {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
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
            Self::Empty { .. } => "put the secret there, alone on one line".to_owned(),
            Self::WorldReadable { path, .. } => {
                format!("chmod 0600 {}; if others may have read it, replace the secret", path.display())
            }
            Self::Read { .. } => "check the path, and that the service's user may read it".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[test]
    fn a_file_is_read_only_when_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, "xoxp-1\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let refused = SecretFrom::File(path.clone()).fetch().unwrap_err();
        assert!(matches!(refused, SecretError::WorldReadable { mode: 0o644, .. }), "{refused}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(SecretFrom::File(path).fetch().unwrap().expose_secret(), "xoxp-1");
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = SecretFrom::Env("SLACKCEF_NO_SUCH_VARIABLE".into()).fetch().unwrap_err();
        assert_eq!(error.to_string(), "the environment variable SLACKCEF_NO_SUCH_VARIABLE is not set");
    }
}
