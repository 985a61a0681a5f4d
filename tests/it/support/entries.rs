//! Entries to forward: real ones where they are at hand, and the project's own.

use std::collections::HashSet;
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
    let mut entries: Vec<String> = audit.flat_map(|path| lines(&fs::read_to_string(path).unwrap())).collect();
    part_twins(&mut entries);
    Some(entries)
}

/// Slack's ids are unique; a few of the fixtures among these entries were written with the id and
/// the time of another. Each such twin gets an id of its own, lest it rightly be taken for a repeat.
fn part_twins(entries: &mut [String]) {
    let mut seen = HashSet::new();
    for (nth, entry) in entries.iter_mut().enumerate() {
        let value: serde_json::Value = serde_json::from_str(entry).unwrap();
        let (Some(id), at) = (value["id"].as_str(), value["date_create"].as_i64()) else { continue };
        if !seen.insert((id.to_owned(), at)) {
            *entry = entry.replacen(id, &format!("twin-{nth}"), 1);
        }
    }
}

/// Entries of the project's own making, with every shape that Slack is known to send.
pub(crate) fn own() -> Vec<String> {
    lines(include_str!("../../data/entries.ndjson"))
}

fn lines(text: &str) -> Vec<String> {
    text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
}
