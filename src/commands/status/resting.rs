//! What a store says of a service that does not answer.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use crate::config::{Config, Source};
use crate::event::UnixTime;
use crate::pipeline::Route;
use crate::slack::{self, Clock};
use crate::store::{Archive, Backlog, OpenError, Survey};

/// A forwarder that nobody could ask, as its configuration and its store have it.
#[derive(Debug, Serialize)]
pub(super) struct Resting {
    /// No service answered.
    pub(super) running: bool,
    /// Why not.
    pub(super) because: String,
    /// The moment that this is about.
    pub(super) at: UnixTime,
    pub(super) sources: Vec<RestingSource>,
    pub(super) destinations: Vec<RestingDestination>,
    pub(super) store: RestingStore,
}

#[derive(Debug, Serialize)]
pub(super) struct RestingSource {
    pub(super) name: String,
    /// The last second that has been read; none: the store knows nothing of it.
    pub(super) read_up_to: Option<UnixTime>,
    /// Seconds between that and now.
    pub(super) lag_seconds: Option<i64>,
}

#[derive(Debug, Serialize)]
pub(super) struct RestingDestination {
    pub(super) name: String,
    #[serde(flatten)]
    pub(super) route: Route,
    /// What waits for it; none: the store knows nothing of it.
    pub(super) backlog: Option<Backlog>,
}

#[derive(Debug, Serialize)]
pub(super) struct RestingStore {
    pub(super) dir: PathBuf,
    /// Entries kept, delivered ones included; none where the store cannot be looked at.
    pub(super) entries: Option<u64>,
}

impl Resting {
    /// What there is, and why the store could not be looked at, if so.
    pub(super) fn of(config: &Config, because: String) -> (Self, Option<OpenError>) {
        let (survey, error) = match Archive::open(&config.state.dir).and_then(|mut archive| archive.survey())
        {
            Ok(survey) => (Some(survey), None),
            Err(error) => (None, Some(error)),
        };
        let entries = survey.as_ref().map(|survey| survey.entries);
        let Survey { sources, readers, .. } = survey.unwrap_or_default();
        let bookmarks: BTreeMap<_, _> =
            sources.iter().map(|(name, bookmark)| (name.as_str(), bookmark.as_bytes())).collect();
        let backlogs: BTreeMap<_, _> =
            readers.iter().map(|(name, backlog)| (name.as_str(), *backlog)).collect();
        let at = Clock::system().now();
        let source = |(name, source): (&String, &Source)| {
            let bookmark = bookmarks.get(name.as_str());
            let read_up_to =
                bookmark.and_then(|bookmark| slack::read_up_to(source.log(), bookmark).ok().flatten());
            let lag_seconds = read_up_to.map(|up_to| at.seconds().saturating_sub(up_to.seconds()).max(0));
            RestingSource { name: name.clone(), read_up_to, lag_seconds }
        };
        let resting = Self {
            running: false,
            because,
            at,
            sources: config.sources.iter().map(source).collect(),
            destinations: config
                .destinations
                .iter()
                .map(|(name, destination)| RestingDestination {
                    name: name.clone(),
                    route: Route::of(&destination.transport),
                    backlog: backlogs.get(name.as_str()).copied(),
                })
                .collect(),
            store: RestingStore { dir: config.state.dir.clone(), entries },
        };
        (resting, error)
    }
}
