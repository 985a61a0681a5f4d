//! What a poller of the access log is told.

use std::time::Duration;

use crate::slack::{Account, Start};

/// What a poller of one access log needs to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Whose log, and how to reach it: by an admin's user token with the scope `admin`.
    pub account: Account,
    /// Rows that were last used before this are not told of when they are met for the first time. A
    /// bookmark takes its place.
    pub start: Start,
    /// From the beginning of one poll of the newest rows to the beginning of the next.
    pub poll_every: Duration,
    /// From the beginning of one walk through the whole list to the beginning of the next.
    pub full_walk_every: Duration,
    /// How long a combination is remembered that no reading has met; much longer than
    /// `full_walk_every`, and two days at least.
    pub forget_after: Duration,
    /// The workspace, for a token of a whole organization. Slack's documents disagree on whether it
    /// may be left out, and what is told then.
    pub team_id: Option<String>,
}
