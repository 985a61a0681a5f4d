//! What a poller of the audit log is told.

use std::time::Duration;

use crate::slack::{Account, Start};

/// What a poller of one organization's audit log needs to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Whose log, and how to reach it: by an organization owner's user token with the scope
    /// `auditlogs:read`.
    pub account: Account,
    /// How far the first run reaches back; never before March 2018, where Slack's log begins. A
    /// bookmark takes its place, unless nothing was read yet.
    pub start: Start,
    /// The age below which seconds are left alone, and by which cycles overlap; at least two seconds.
    pub settle: Duration,
    /// The age at which seconds are read once more, if they are.
    pub verify_after: Option<Duration>,
    /// From the beginning of one cycle to the beginning of the next.
    pub poll_every: Duration,
    /// What is asked of Slack in the first place.
    pub only: Only,
}

/// Filters that Slack applies; all of them must match.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Only {
    /// Names of actions, up to 30; all actions when empty.
    pub actions: Vec<String>,
    /// The id of who acted.
    pub actor: Option<String>,
    /// The id of what was acted upon.
    pub entity: Option<String>,
}

impl Only {
    /// The most actions that Slack takes in one request.
    pub const MOST_ACTIONS: usize = 30;
}
