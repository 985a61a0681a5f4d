//! `mapping schema`: what editors need to complete and check mapping files.

use clap::Args;

use crate::commands::setup_failure;
use crate::mapping::schema;
use crate::pipeline;
use crate::report::{self, Failure};

/// Prints a JSON Schema, by which editors complete and check mapping files as they are written.
///
/// Put `#:schema ./mapping.schema.json` into a file's first line, or name the schema in .taplo.toml.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  slackcef mapping schema > mapping.schema.json\n  slackcef mapping schema --cases > cases.schema.json\n  taplo lint --schema file://$PWD/mapping.schema.json mappings/acme/*.toml"
)]
pub(super) struct Arguments {
    /// The schema of files of cases, which lie in a mapping's folder `tests`.
    #[arg(long)]
    cases: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    report::data().line(text(arguments.cases)?.trim_end())
}

/// The schema of mapping files, or of files of cases, as it is printed.
pub(super) fn text(of_cases: bool) -> Result<String, Failure> {
    let schema = if of_cases {
        schema::case_files()
    } else {
        schema::mapping_files(&pipeline::plans(None).map_err(setup_failure)?)
    };
    Ok(format!("{schema:#}\n"))
}
