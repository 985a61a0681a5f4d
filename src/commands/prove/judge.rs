//! What became of an entry at a destination: by the mapping as it is now, and by how far the
//! destination has been served.

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::sync::Arc;

use super::proof::Fates;
use crate::commands::setup_failure;
use crate::config::{Config, Destination};
use crate::event;
use crate::mapping::Plans;
use crate::pipeline::{self, Converter};
use crate::report::{self, Exit, Failure};
use crate::store::{SourceId, Survey};

/// One destination.
#[derive(Debug)]
pub(super) struct Judge {
    pub(super) name: String,
    converter: Converter,
    /// The sources that it takes; all when not given.
    sources: Option<BTreeSet<String>>,
    /// What has a lower serial was delivered to it, or passed over.
    position: u64,
    /// The ids of its dead letters.
    dead: BTreeSet<String>,
}

/// Every destination of a configuration.
///
/// # Errors
/// A mapping holds mistakes, or a file of dead letters cannot be read.
pub(super) fn judges(config: &Config, survey: &Survey) -> Result<Vec<Judge>, Failure> {
    let mut mappings: BTreeMap<Option<&str>, Arc<Plans>> = BTreeMap::new();
    let mut judges = Vec::new();
    for (name, destination) in &config.destinations {
        let mapping = destination.mapping.as_deref();
        let plans = match mappings.entry(mapping) {
            Entry::Occupied(there) => Arc::clone(there.get()),
            Entry::Vacant(place) => Arc::clone(place.insert(Arc::new(plans(config, mapping)?))),
        };
        judges.push(judge(config, name, destination, plans, survey)?);
    }
    Ok(judges)
}

fn judge(
    config: &Config,
    name: &str,
    destination: &Destination,
    plans: Arc<Plans>,
    survey: &Survey,
) -> Result<Judge, Failure> {
    let position = survey.positions.iter().find(|(reader, _)| reader.as_str() == name);
    let dead = pipeline::dead_letters(&config.state.dir, name).map_err(|error| {
        Failure::new(Exit::Unavailable, format!("the dead letters of {name} cannot be read")).because(&error)
    })?;
    Ok(Judge {
        name: name.to_owned(),
        converter: pipeline::converter(destination, plans),
        sources: destination.sources.as_ref().map(|sources| sources.iter().cloned().collect()),
        // Not served yet, it will get all that is kept.
        position: position.map_or(0, |(_, position)| *position),
        dead,
    })
}

/// The plans of a mapping. What is dropped seldom hangs on a pseudonym: without its key, which only
/// the service may have, they are judged all the same.
fn plans(config: &Config, mapping: Option<&str>) -> Result<Plans, Failure> {
    let plans = pipeline::plans_of(config, mapping).map_err(setup_failure)?;
    match pipeline::keyed(plans, config, mapping) {
        Ok(plans) => Ok(plans),
        Err(error) => {
            report::notes()
                .line(format!("{error}: a `when` that asks for a pseudonym is judged by another"))?;
            let dir = mapping.and_then(|name| config.mappings.get(name)).map(|mapping| mapping.dir.as_path());
            pipeline::plans(dir).map_err(setup_failure)
        }
    }
}

impl Judge {
    /// Whether it takes anything of a source.
    pub(super) fn takes(&self, source: &SourceId) -> bool {
        let is_named = |sources: &BTreeSet<String>| sources.contains(source.as_str());
        *source == SourceId::own() || self.sources.as_ref().is_none_or(is_named)
    }

    /// Counts an entry of a source, which has that serial, as what became of it.
    pub(super) fn count(&mut self, entry: &event::Entry, source: &SourceId, serial: u64, fates: &mut Fates) {
        if self.converter.map(entry).dropped.is_some() {
            fates.dropped = fates.dropped.saturating_add(1);
            return;
        }
        fates.mapped = fates.mapped.saturating_add(1);
        let count = if !self.converter.is_wanted(entry, source.as_str()) {
            &mut fates.unwanted
        } else if self.dead.contains(entry.id().as_str()) {
            &mut fates.dead_letters
        } else if serial < self.position {
            &mut fates.delivered
        } else {
            &mut fates.waiting
        };
        *count = count.saturating_add(1);
    }
}
