//! A sample of each action, embedded in the program: to try SIEM content before the first real
//! event, and to see what a change of the mapping changes.
//!
//! The files are `mappings/samples/*.ndjson`, one entry a line, shaped as Slack sends them: which
//! keys an action brings, of which type, with escapes, numbers for ids and values that are empty or
//! null. The people, the names and the organization are made up, the addresses are those that are
//! kept for examples (RFC 5737, RFC 3849).
//!
//! **Invariant:** nothing here is of a real organization.

use bytes::Bytes;

use crate::event::{Entry, Log, UnixTime};

/// One sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// The file that it stands in.
    pub file: &'static str,
    /// The log that it is of.
    pub log: Log,
    /// One entry's JSON.
    pub json: &'static str,
}

impl Sample {
    /// The sample as an entry; every sample is one.
    pub fn entry(&self) -> Option<Entry> {
        let never = UnixTime::from_seconds(0);
        Entry::from_raw(self.log, Bytes::from_static(self.json.as_bytes()), never, 0).ok()
    }
}

/// Every sample, by file and then in its order there.
///
/// An action whose entries vary has several.
pub fn samples() -> impl Iterator<Item = Sample> {
    EMBEDDED
        .iter()
        .flat_map(|&(file, text)| text.lines().map(move |json| Sample { file, log: log_of(file), json }))
}

/// Each log but the audit log has one file, of its name.
fn log_of(file: &str) -> Log {
    let name = file.rsplit('/').next().and_then(|name| name.strip_suffix(".ndjson"));
    name.and_then(Log::from_name).unwrap_or(Log::Audit)
}

/// Names the files of `mappings/samples/` once, for their names and their texts.
macro_rules! embedded {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../", $path)))),*]
    };
}

const EMBEDDED: &[(&str, &str)] = embedded![
    "mappings/samples/access.ndjson",
    "mappings/samples/ai.ndjson",
    "mappings/samples/anomaly.ndjson",
    "mappings/samples/app.ndjson",
    "mappings/samples/canvas.ndjson",
    "mappings/samples/channel.ndjson",
    "mappings/samples/compliance.ndjson",
    "mappings/samples/export.ndjson",
    "mappings/samples/file.ndjson",
    "mappings/samples/huddle.ndjson",
    "mappings/samples/integration.ndjson",
    "mappings/samples/list.ndjson",
    "mappings/samples/message.ndjson",
    "mappings/samples/organization.ndjson",
    "mappings/samples/preference.ndjson",
    "mappings/samples/role.ndjson",
    "mappings/samples/salesforce.ndjson",
    "mappings/samples/user.ndjson",
    "mappings/samples/workflow.ndjson",
];

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashSet};
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_of_the_folder_is_embedded() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("mappings/samples");
        let mut there: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|file| format!("mappings/samples/{}", file.unwrap().file_name().to_str().unwrap()))
            .collect();
        there.sort();
        let embedded: Vec<_> = EMBEDDED.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(embedded, there, "list in src/mapping/samples.rs the files of mappings/samples/");
    }

    #[test]
    fn every_sample_is_an_entry_with_an_id_of_its_own_and_a_time() {
        let mut ids = HashSet::new();
        for sample @ Sample { file, log, json } in samples() {
            let entry = sample.entry().unwrap_or_else(|| panic!("no entry in {file}: {json}"));
            let has_id = log != Log::Integration;
            assert_eq!(entry.id().has_derived_form(), !has_id, "in {file}: {json}");
            assert!(ids.insert(entry.id().clone()), "an id twice, in {file}: {json}");
            assert_ne!(entry.at(), UnixTime::from_seconds(0), "no time in {file}: {json}");
        }
    }

    #[test]
    fn every_action_of_slacks_has_a_sample_and_no_other_has() {
        let list = include_str!("../../mappings/actions.tsv");
        let named: BTreeSet<_> = list.lines().skip(1).filter_map(|line| line.split('\t').next()).collect();
        let of_audit = samples().filter(|sample| sample.log == Log::Audit);
        let entries: Vec<_> = of_audit.filter_map(|sample| sample.entry()).collect();
        let sampled: BTreeSet<_> = entries.iter().map(|entry| entry.action().as_str()).collect();
        assert!(named.len() >= 772, "only {} actions", named.len());
        assert_eq!(named.difference(&sampled).collect::<Vec<_>>(), [&""; 0], "without a sample");
        assert_eq!(sampled.difference(&named).collect::<Vec<_>>(), [&""; 0], "not in mappings/actions.tsv");
    }
}
