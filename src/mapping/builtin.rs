//! The shipped mapping, embedded in the program.

use super::{Layer, MappingFile};

/// The shipped mapping files.
pub fn builtin() -> Vec<MappingFile> {
    EMBEDDED.iter().map(|&(name, text)| MappingFile::new(name, Layer::Shipped, text)).collect()
}

/// Names the files of `mappings/` once, for their names and their texts.
macro_rules! embedded {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../", $path)))),*]
    };
}

const EMBEDDED: &[(&str, &str)] = embedded![
    "mappings/access/common.toml",
    "mappings/audit/ai.toml",
    "mappings/audit/anomaly.toml",
    "mappings/audit/app.toml",
    "mappings/audit/canvas.toml",
    "mappings/audit/channel.toml",
    "mappings/audit/common.toml",
    "mappings/audit/compliance.toml",
    "mappings/audit/export.toml",
    "mappings/audit/file.toml",
    "mappings/audit/huddle.toml",
    "mappings/audit/list.toml",
    "mappings/audit/message.toml",
    "mappings/audit/organization.toml",
    "mappings/audit/preference.toml",
    "mappings/audit/role.toml",
    "mappings/audit/salesforce.toml",
    "mappings/audit/user.toml",
    "mappings/audit/workflow.toml",
    "mappings/forwarder/common.toml",
    "mappings/integration/change.toml",
    "mappings/integration/common.toml",
];

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_shipped_file_is_embedded() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let prefix = format!("{}/", root.display());
        let there = super::super::load(&root.join("mappings")).unwrap();
        let there: Vec<_> = there.iter().map(|file| file.name.replace(&prefix, "")).collect();
        let mut embedded: Vec<_> = EMBEDDED.iter().map(|(name, _)| (*name).to_owned()).collect();
        embedded.sort();
        assert_eq!(embedded, there, "list in src/mapping/builtin.rs the files that are in mappings/");
    }

    #[test]
    fn the_shipped_mapping_has_no_mistake() {
        if let Err(problems) = super::super::compile(&builtin()) {
            let shown: Vec<_> = problems.iter().map(|problem| problem.render(false)).collect();
            panic!("{}", shown.join("\n\n"));
        }
    }
}
