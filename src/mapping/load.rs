//! A customer's folder of mapping files.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::{Layer, MappingFile};

/// The largest mapping file that is read, in bytes.
const LARGEST: u64 = 1 << 20;
/// How far down folders are searched.
const DEEPEST: usize = 16;
/// Folders beside the mapping that hold no mapping.
const BESIDE: [&str; 2] = ["tests", "examples"];

/// Reads every `*.toml` of a folder and its sub-folders, in the order of their names.
///
/// `tests`, `examples` and what begins with a dot are passed over. Links are followed, each folder
/// once. An empty folder is no mistake: it changes nothing.
///
/// # Errors
/// The first file or folder that can't be read.
pub fn load(dir: &Path) -> Result<Vec<MappingFile>, LoadError> {
    let paths = toml_files(dir, &BESIDE)?;
    let file = |path: PathBuf| {
        let text = text(&path)?;
        Ok(MappingFile::new(path.display().to_string(), Layer::Customer, text))
    };
    paths.into_iter().map(file).collect()
}

/// Every `*.toml` of a folder and its sub-folders less those named in `beside`, in the order of
/// their names.
pub(super) fn toml_files(dir: &Path, beside: &[&str]) -> Result<Vec<PathBuf>, LoadError> {
    let mut files = Vec::new();
    folder(dir, beside, 0, &mut HashSet::new(), &mut files)?;
    Ok(files)
}

fn folder(
    dir: &Path,
    beside: &[&str],
    depth: usize,
    seen: &mut HashSet<PathBuf>,
    files: &mut Vec<PathBuf>,
) -> Result<(), LoadError> {
    let failed = |source| LoadError::Folder { path: dir.to_owned(), source };
    if depth > DEEPEST || !seen.insert(dir.canonicalize().map_err(failed)?) {
        return Ok(());
    }
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        paths.push(entry.map_err(failed)?.path());
    }
    paths.sort();
    for path in paths {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            if !beside.contains(&name.as_str()) {
                folder(&path, beside, depth.saturating_add(1), seen, files)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    Ok(())
}

/// The text of a file that is no larger than a mapping may be.
pub(super) fn text(path: &Path) -> Result<String, LoadError> {
    let failed = |source| LoadError::File { path: path.to_owned(), source };
    // Reading a pipe could wait for ever.
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(failed(io::Error::other("it is not a regular file")));
    }
    let mut bytes = Vec::new();
    fs::File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes)).map_err(failed)?;
    if bytes.len() as u64 > LARGEST {
        return Err(LoadError::TooLarge { path: path.to_owned() });
    }
    String::from_utf8(bytes).map_err(|_| LoadError::NotUtf8 { path: path.to_owned() })
}

/// Why a folder of mapping files can't be read.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The folder.
    #[error("can't read the mapping folder {}", path.display())]
    Folder {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file in it.
    #[error("can't read the mapping file {}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is larger than any mapping.
    #[error("the mapping file {} is larger than 1 MiB", path.display())]
    TooLarge {
        /// Which one.
        path: PathBuf,
    },
    /// A file is no text.
    #[error("the mapping file {} is not UTF-8 text", path.display())]
    NotUtf8 {
        /// Which one.
        path: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let prefix = format!("{}/", dir.display());
        load(dir).unwrap().iter().map(|file| file.name.replace(&prefix, "")).collect()
    }

    #[test]
    fn reads_every_mapping_in_order_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        for path in
            ["b.toml", "a.toml", "sub/c.toml", "sub/notes.md", "tests/t.toml", "examples/e.toml", ".x/h.toml"]
        {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "version = 1").unwrap();
        }
        assert_eq!(names(dir.path()), ["a.toml", "b.toml", "sub/c.toml"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_but_not_in_circles() {
        let dir = tempfile::tempdir().unwrap();
        let store = tempfile::tempdir().unwrap();
        fs::write(store.path().join("real"), "version = 1").unwrap();
        std::os::unix::fs::symlink(store.path().join("real"), dir.path().join("a.toml")).unwrap();
        std::os::unix::fs::symlink(dir.path(), dir.path().join("again")).unwrap();
        assert_eq!(names(dir.path()), ["a.toml"]);
    }

    #[test]
    fn says_which_file_it_could_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("big.toml");
        fs::write(&path, vec![b'#'; 1 << 20]).unwrap();
        assert_eq!(names(dir.path()), ["big.toml"]);
        fs::write(&path, vec![b'#'; (1 << 20) + 1]).unwrap();
        assert!(matches!(load(dir.path()), Err(LoadError::TooLarge { path: p }) if p == path));
        fs::write(&path, [0xff]).unwrap();
        assert!(matches!(load(dir.path()), Err(LoadError::NotUtf8 { path: p }) if p == path));
        fs::remove_file(&path).unwrap();
        let missing = dir.path().join("no");
        assert!(matches!(load(&missing), Err(LoadError::Folder { path: p, .. }) if p == missing));
    }
}
