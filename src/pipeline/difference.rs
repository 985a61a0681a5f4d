//! What differs between two states of something that has named parts.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::Config;

/// The names of the parts that differ.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) added: BTreeSet<String>,
    pub(super) changed: BTreeSet<String>,
    pub(super) removed: BTreeSet<String>,
}

impl Difference {
    /// From the parts as they were and as they are.
    pub(super) fn between<'a, V: PartialEq>(
        before: impl IntoIterator<Item = (&'a String, V)>,
        now: impl IntoIterator<Item = (&'a String, V)>,
    ) -> Self {
        let (before, now) = (BTreeMap::from_iter(before), BTreeMap::from_iter(now));
        let only = |some: &BTreeMap<&String, V>, other: &BTreeMap<&String, V>| {
            some.keys().filter(|name| !other.contains_key(*name)).map(|&name| name.clone()).collect()
        };
        let changed = now.iter().filter(|(name, value)| before.get(*name).is_some_and(|was| was != *value));
        Self {
            added: only(&now, &before),
            removed: only(&before, &now),
            changed: changed.map(|(&name, _)| name.clone()).collect(),
        }
    }

    /// Nothing differs.
    pub(super) fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }

    /// What is other than it was, or was not there.
    pub(super) fn begins(&self, name: &str) -> bool {
        self.added.contains(name) || self.changed.contains(name)
    }

    /// What is no more, or no more as it was.
    pub(super) fn ends(&self) -> impl Iterator<Item = &String> {
        self.changed.iter().chain(&self.removed)
    }
}

/// What differs between two configurations, as far as a path at work can follow.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Changes {
    pub(super) sources: Difference,
    pub(super) destinations: Difference,
    pub(super) notices: Difference,
    pub(super) mappings: Difference,
}

impl Changes {
    /// From the one in force to another one.
    pub(super) fn between(before: &Config, now: &Config) -> Self {
        let (before, now) = (before.tables(), now.tables());
        let of = |kind: &str| Difference::between(parts(&before, kind), parts(&now, kind));
        Self {
            sources: of("sources"),
            destinations: of("destinations"),
            notices: of("notify"),
            mappings: of("mappings"),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        let Self { sources, destinations, notices, mappings } = self;
        [sources, destinations, notices, mappings].into_iter().all(Difference::is_empty)
    }
}

/// The tables of that kind, by name.
fn parts<'t>(tables: &'t toml::Table, kind: &str) -> impl Iterator<Item = (&'t String, &'t toml::Value)> {
    tables.get(kind).and_then(toml::Value::as_table).into_iter().flatten()
}

/// The tables that are in force from a start to the next.
const UNTIL_RESTART: [&str; 2] = ["state", "telemetry"];

/// Of these the ones that differ.
pub(super) fn waiting_for_restart(at_start: &Config, now: &Config) -> Vec<&'static str> {
    let (before, now) = (at_start.tables(), now.tables());
    UNTIL_RESTART.into_iter().filter(|name| before.get(*name) != now.get(*name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(more: &str) -> Config {
        let text = format!("version = 1\n[sources.a]\nlog = \"audit\"\ntoken = {{ env = \"T\" }}\n{more}");
        Config::parse("slackcef.toml", &text).unwrap()
    }

    const TWO: &str = "[destinations.x]\nfile = { path = \"/x\" }\n[destinations.y]\nstdout = {}\n";

    #[test]
    fn what_is_written_otherwise_and_means_the_same_is_no_change() {
        let same = "# another order\n[destinations.y.stdout]\n[destinations.x.file]\npath = '/x'\n";
        assert!(Changes::between(&config(TWO), &config(same)).is_empty());
    }

    #[test]
    fn each_part_is_told_by_its_name() {
        let other = "[destinations.x]\nfile = { path = \"/z\" }\n[destinations.z]\nfile = { path = \"/x\" }\n\
                     [mappings.m]\ndir = \"/m\"\n";
        let changes = Changes::between(&config(TWO), &config(other));
        let names = |name: &str| BTreeSet::from([name.to_owned()]);
        let destinations = Difference { added: names("z"), changed: names("x"), removed: names("y") };
        assert_eq!(changes.destinations, destinations);
        assert_eq!((changes.sources.is_empty(), changes.mappings.added), (true, names("m")));
    }

    #[test]
    fn the_store_waits_for_a_restart() {
        let other = format!("{TWO}[state]\ndir = \"/var/lib/other\"\n");
        assert_eq!(waiting_for_restart(&config(TWO), &config(&other)), ["state"]);
        assert!(Changes::between(&config(TWO), &config(&other)).is_empty());
    }
}
