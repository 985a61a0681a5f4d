//! What a poller of the integration log is told.

use std::time::Duration;

use crate::slack::{Account, Start};

/// What a poller of one integration log needs to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Whose log, and how to reach it: by an administrator's user token with the scope `admin`.
    pub account: Account,
    /// From when on rows are told that were there at the first run; older ones are only remembered.
    /// A bookmark takes its place.
    pub start: Start,
    /// From the beginning of one walk to the beginning of the next.
    pub poll_every: Duration,
    /// How long after a full walk the next walk is a full one.
    pub full_walk_every: Duration,
    /// For how long a row is remembered that full walks do not meet any more; at least two days.
    pub forget_after: Duration,
    /// What is asked of Slack in the first place.
    pub only: Only,
    /// The workspace, for the token of an organization.
    pub team_id: Option<String>,
}

/// Filters that Slack applies; all of them must match.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Only {
    /// The id of an app.
    pub app_id: Option<String>,
    /// The id of a service.
    pub service_id: Option<String>,
    /// The id of who made the change.
    pub user: Option<String>,
    /// `added`, `removed`, `enabled`, `disabled` or `updated`.
    pub change_type: Option<String>,
}

impl Settings {
    /// The parameters of each request that choose rows.
    pub(super) fn filters(&self) -> Vec<(&'static str, String)> {
        let Only { app_id, service_id, user, change_type } = &self.only;
        [
            ("app_id", app_id),
            ("service_id", service_id),
            ("user", user),
            ("change_type", change_type),
            ("team_id", &self.team_id),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.clone()?)))
        .collect()
    }
}
