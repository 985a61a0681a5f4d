//! Entries of the store, for the commands that look at it while the service may run.

use crate::config::Config;
use crate::event::Entry;
use crate::report::{self, Exit, Failure};
use crate::store::{Archive, OpenError, SourceId, StoreError};

/// The store of a configuration.
pub(super) fn open(config: &Config) -> Result<Archive, Failure> {
    Archive::open(&config.state.dir).map_err(|error| {
        let exit = if matches!(error, OpenError::Absent { .. }) { Exit::Usage } else { Exit::Unavailable };
        let help = error.help();
        Failure::of_error(exit, &error).help(help)
    })
}

/// The last entries of the store, of one source or of all, each with its source; the newest last.
pub(super) fn last(
    config: &Config,
    count: usize,
    source: Option<&str>,
) -> Result<Vec<(SourceId, Entry)>, Failure> {
    let mut archive = open(config)?;
    let last = archive.last(count, source.map(SourceId::new).as_ref()).map_err(|error| failed(&error))?;
    tell_of_damage(&archive)?;
    if last.is_empty() && count > 0 {
        tell_of_nothing(config, source)?;
    }
    Ok(last)
}

/// Calls `each` with every entry that the store keeps, of one source or of all.
pub(super) fn each(
    config: &Config,
    source: Option<&str>,
    mut each: impl FnMut(&Entry),
) -> Result<(), Failure> {
    let mut archive = open(config)?;
    let mut any = false;
    let counted = |_: &SourceId, entry: Entry| {
        any = true;
        each(&entry);
    };
    archive.each(source.map(SourceId::new).as_ref(), counted).map_err(|error| failed(&error))?;
    tell_of_damage(&archive)?;
    if any { Ok(()) } else { tell_of_nothing(config, source) }
}

/// Why the store could not be read.
pub(super) fn failed(error: &StoreError) -> Failure {
    Failure::of_error(Exit::Unavailable, error).help(error.help())
}

fn tell_of_damage(archive: &Archive) -> Result<(), Failure> {
    archive.lost().iter().try_for_each(|lost| report::notes().line(lost.to_string()))
}

fn tell_of_nothing(config: &Config, source: Option<&str>) -> Result<(), Failure> {
    match source {
        Some(source) if !config.sources.contains_key(source) => Err(unknown(config, source)),
        Some(source) => report::notes().line(format!("the store holds no entry of {source}")),
        None => report::notes().line("the store holds no entry"),
    }
}

/// Why nothing is known of a source.
pub(super) fn unknown(config: &Config, source: &str) -> Failure {
    let what = format!("neither store nor configuration know a source {source}");
    super::unknown(what, config.sources.keys())
}
