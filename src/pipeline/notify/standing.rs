//! How a notice stands: what `status` shows of it.
//!
//! **Invariant:** of the webhook its host alone.

use serde::{Deserialize, Serialize};

use crate::event::UnixTime;
use crate::pipeline::LastFault;

/// One notice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NoticeStatus {
    /// Its name.
    pub name: String,
    /// The machine of its webhook.
    pub host: String,
    /// How it stands.
    #[serde(flatten)]
    pub standing: NoticeStanding,
}

/// One notice at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NoticeStanding {
    /// What it does.
    pub state: NoticeState,
    /// Since when.
    pub since: Option<UnixTime>,
    /// Messages that Slack took since the start.
    pub messages: u64,
    /// Events that these told, those that were counted alone included.
    pub events: u64,
    /// Events that are still to be told.
    pub pending: u64,
    /// When Slack last took a message.
    pub told_at: Option<UnixTime>,
    /// The last fault, also when it is over.
    pub fault: Option<LastFault>,
}

/// What a notice does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoticeState {
    /// Nothing is to be told.
    #[default]
    Idle,
    /// Events are gathered and told.
    Gathering,
    /// Slack asked for fewer messages.
    Held,
    /// The last message did not arrive; it is tried again.
    Failing,
    /// The webhook takes nothing until a person has seen to it; it is tried again slowly.
    Refused,
    /// Its end was asked for, or the store failed.
    Ended,
}
