//! `mapping init`: a folder of one's own to begin with.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;

use crate::report::{self, Exit, Failure};

/// Makes a folder with a commented mapping file to begin with.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  slackcef mapping init /etc/slackcef/mappings/acme")]
pub(super) struct Arguments {
    /// The folder; it may exist, what is in it is not touched.
    dir: PathBuf,
}

const STARTER: &str = include_str!("starter.toml");
const STARTER_NAME: &str = "audit.toml";

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let dir = arguments.dir.as_path();
    let path = dir.join(STARTER_NAME);
    let made = fs::create_dir_all(dir)
        .and_then(|()| OpenOptions::new().write(true).create_new(true).open(&path))
        .and_then(|mut file| file.write_all(STARTER.as_bytes()));
    made.map_err(|error| {
        let failure = Failure::new(Exit::Usage, format!("cannot make {}", path.display())).because(&error);
        match error.kind() {
            io::ErrorKind::AlreadyExists => {
                failure.help("choose a folder without it, or edit the one that is there")
            }
            _ => failure,
        }
    })?;
    let shown = dir.display();
    let told = format!(
        "made {}: edit it, try it with `slackcef map --mapping {shown} --explain FILE`, and name the folder in slackcef.toml:\n\n\
         [mappings.acme]\ndir = \"{shown}\"\n\n[destinations.siem]\nmapping = \"acme\"",
        path.display()
    );
    report::notes().line(told)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::setup_failure;
    use crate::pipeline;

    #[test]
    fn the_starter_is_a_mapping_without_mistakes() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("acme");
        let arguments = Arguments { dir: dir.clone() };
        run(&arguments).unwrap();
        if let Err(error) = pipeline::plans(Some(&dir)) {
            panic!("{}", setup_failure(error).render(report::Style::PLAIN));
        }
        assert_eq!(run(&arguments).unwrap_err().exit(), Exit::Usage, "what is there is not overwritten");
    }
}
