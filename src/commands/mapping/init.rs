//! `mapping init`: a folder of one's own to begin with.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use crate::report::{self, Exit, Failure};

/// Makes a folder with a commented mapping, a first case, a page that says how to go on, and the
/// schemas by which editors complete both.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  slackcef mapping init /etc/slackcef/mappings/acme")]
pub(super) struct Arguments {
    /// The folder; it may exist, what is in it is not touched.
    dir: PathBuf,
}

/// What is made, with its text; `DIR` stands for the folder, `NAME` for its name.
const STARTER: [(&str, &str); 3] = [
    ("audit.toml", include_str!("starter/audit.toml")),
    ("tests/first.toml", include_str!("starter/tests/first.toml")),
    ("README.md", include_str!("starter/README.md")),
];

/// What is made for editors: the path of each schema, and the options that print it.
const SCHEMAS: [(&str, bool); 2] = [("mapping.schema.json", false), ("tests/cases.schema.json", true)];

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let dir = arguments.dir.as_path();
    // The name goes into a table of the configuration.
    let plain = |name: &&str| name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    let name = dir.file_name().and_then(|name| name.to_str()).filter(plain).unwrap_or("acme");
    let shown = dir.display().to_string();
    let starter = STARTER.map(|(path, text)| (path, text.replace("DIR", &shown).replace("NAME", name)));
    let mut files = Vec::from(starter);
    for (path, of_cases) in SCHEMAS {
        files.push((path, super::schema::text(of_cases)?));
    }
    // Before anything is made, so that all is made or nothing.
    if let Some((there, _)) = files.iter().find(|(path, _)| fs::symlink_metadata(dir.join(path)).is_ok()) {
        let what = format!("{} is there already", dir.join(there).display());
        return Err(Failure::new(Exit::Usage, what).help("choose another folder, or edit what is there"));
    }
    for (path, text) in files {
        let path = dir.join(path);
        make(&path, &text).map_err(|error| {
            Failure::new(Exit::Usage, format!("cannot make {}", path.display())).because(&error)
        })?;
    }
    let told = format!(
        "made {shown}: edit audit.toml, run `slackcef mapping test {shown}`, and name the folder in slackcef.toml:\n\n\
         [mappings.{name}]\ndir = \"{shown}\"\n\n[destinations.siem]\nmapping = \"{name}\""
    );
    report::notes().line(told)
}

fn make(path: &Path, text: &str) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    OpenOptions::new().write(true).create_new(true).open(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::cases::{self, Verdict};
    use crate::mapping::{self, Layer, MappingFile};

    fn rendered(problems: &[crate::problem::Problem]) -> String {
        problems.iter().map(|problem| problem.render(false)).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_starter_is_a_mapping_without_mistakes_and_its_case_passes() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("acme");
        run(&Arguments { dir: dir.clone() }).unwrap();
        let mut files = mapping::builtin();
        files.extend(mapping::load(&dir).unwrap());
        let plans = mapping::compile(&files).map_err(|problems| rendered(&problems)).unwrap();
        let files = cases::load(&dir).unwrap();
        let read = cases::read(&files, &plans).map_err(|problems| rendered(&problems)).unwrap();
        assert_eq!(read.len(), 1);
        assert_eq!(cases::run(&read[0], &plans), Verdict::Passed);
    }

    /// A line that begins with `#` and no space is an example.
    #[test]
    fn every_example_of_the_starter_is_right() {
        let (_, text) = STARTER[0];
        let mut examples = 0;
        let lines: Vec<_> = text
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(example) if !example.is_empty() && !example.starts_with([' ', ':']) => {
                    examples += 1;
                    example
                }
                _ => line,
            })
            .collect();
        let mut files = mapping::builtin();
        files.push(MappingFile::new("audit.toml", Layer::Customer, lines.join("\n")));
        mapping::compile(&files).map_err(|problems| rendered(&problems)).unwrap();
        assert!(examples >= 20, "{examples} lines of examples");
    }
}
