//! A source of any of the logs, step by step.

use super::audit::{self, ActionList, BadBookmark};
use super::error::SlackError;
use super::settings::{Account, BadSettings};
use super::step::{Probed, Step};
use crate::event::{Log, UnixTime};

/// What a poller is told, by its log.
#[derive(Debug, Clone)]
pub enum Settings {
    /// The audit log.
    Audit(audit::Settings),
}

impl Settings {
    /// Which log it is.
    pub const fn log(&self) -> Log {
        match self {
            Self::Audit(_) => Log::Audit,
        }
    }

    /// Whose log it is, and how it is reached.
    pub fn account(&self) -> &Account {
        match self {
            Self::Audit(settings) => &settings.account,
        }
    }

    /// The same, to be changed.
    pub fn account_mut(&mut self) -> &mut Account {
        match self {
            Self::Audit(settings) => &mut settings.account,
        }
    }
}

/// Polls one log of one organization.
///
/// [`Poller::next`] yields what happened; what it yields is to be stored, with the bookmark, before it
/// is called again. After a failure to store, a new poller is made from the bookmark that is stored.
#[derive(Debug)]
pub enum Poller {
    /// The audit log.
    Audit(audit::Poller),
}

/// A poller can't begin.
#[derive(Debug, thiserror::Error)]
pub enum CannotPoll {
    /// The settings don't go together.
    #[error(transparent)]
    Settings(#[from] BadSettings),
    /// The stored bookmark is not one that this program can go on from.
    #[error(transparent)]
    Bookmark(#[from] BadBookmark),
    /// The clock was never set, so "now" means nothing.
    #[error("this machine's clock shows {0}: set it first")]
    ClockUnset(UnixTime),
}

impl Poller {
    /// A poller that goes on from `bookmark`, or begins anew where there is none.
    pub fn new(settings: &Settings, bookmark: Option<&[u8]>) -> Result<Self, CannotPoll> {
        match settings {
            Settings::Audit(settings) => audit::Poller::new(settings, bookmark).map(Self::Audit),
        }
    }

    /// What happens next, waiting for it as long as it takes.
    ///
    /// Dropped at any point, a call has lost nothing: the same question is asked again.
    pub async fn next(&mut self) -> Step {
        match self {
            Self::Audit(poller) => poller.next().await,
        }
    }

    /// Makes one cheap request: does the token work?
    pub async fn probe(&self) -> Probed {
        match self {
            Self::Audit(poller) => poller.probe().await,
        }
    }

    /// Slack's own list of actions, as it is now.
    ///
    /// # Errors
    /// Slack cannot be asked, or answers something else.
    pub async fn actions(&self) -> Result<ActionList, SlackError> {
        match self {
            Self::Audit(poller) => poller.actions().await,
        }
    }

    /// Whether something waits by now to be read a second time.
    pub fn has_to_verify(&mut self) -> bool {
        match self {
            Self::Audit(poller) => poller.has_to_verify(),
        }
    }
}
