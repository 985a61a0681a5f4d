//! Entries to forward: real ones where they are at hand, and the project's own.

use std::fs;
use std::path::Path;

/// Real entries of Slack's audit log, collected from public sources; `None`, with the reason
/// printed, where the folder with them is not beside the project.
pub(crate) fn real() -> Option<Vec<String>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/events");
    let Ok(files) = fs::read_dir(&folder) else {
        println!("skipped: {} is not there", folder.display());
        return None;
    };
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    let audit = paths.iter().filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("audit-"));
    Some(audit.flat_map(|path| lines(&fs::read_to_string(path).unwrap())).collect())
}

/// Entries of the project's own making, with every shape that Slack is known to send.
pub(crate) fn own() -> Vec<String> {
    lines(include_str!("../../data/entries.ndjson"))
}

fn lines(text: &str) -> Vec<String> {
    text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
}
