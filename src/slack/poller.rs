//! A source of any of the logs, step by step.

use super::access;
use super::audit::{self, ActionList};
use super::bookmark::BadBookmark;
use super::error::SlackError;
use super::integration;
use super::settings::{Account, BadSettings};
use super::step::{Page, Probed, Step};
use crate::event::{Log, UnixTime};

/// What a poller is told, by its log.
#[derive(Debug, Clone)]
pub enum Settings {
    /// The audit log.
    Audit(audit::Settings),
    /// The access log.
    Access(access::Settings),
    /// The integration log.
    Integration(integration::Settings),
}

impl Settings {
    /// Which log it is.
    pub const fn log(&self) -> Log {
        match self {
            Self::Audit(_) => Log::Audit,
            Self::Access(_) => Log::Access,
            Self::Integration(_) => Log::Integration,
        }
    }

    /// Whose log it is, and how it is reached.
    pub fn account(&self) -> &Account {
        match self {
            Self::Audit(settings) => &settings.account,
            Self::Access(settings) => &settings.account,
            Self::Integration(settings) => &settings.account,
        }
    }

    /// The same, to be changed.
    pub fn account_mut(&mut self) -> &mut Account {
        match self {
            Self::Audit(settings) => &mut settings.account,
            Self::Access(settings) => &mut settings.account,
            Self::Integration(settings) => &mut settings.account,
        }
    }
}

/// Polls one log of one organization.
///
/// [`Poller::next`] yields what happened; what it yields is to be stored, with the bookmark, before it
/// is called again. After a failure to store, a new poller is made from the bookmark that is stored.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a source has one, and few sources are of another log")]
pub enum Poller {
    /// The audit log.
    Audit(audit::Poller),
    /// The access log.
    Access(access::Poller),
    /// The integration log.
    Integration(integration::Poller),
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
            Settings::Access(settings) => access::Poller::new(settings, bookmark).map(Self::Access),
            Settings::Integration(settings) => {
                integration::Poller::new(settings, bookmark).map(Self::Integration)
            }
        }
    }

    /// What happens next, waiting for it as long as it takes.
    ///
    /// Dropped at any point, a call has lost nothing: the same question is asked again.
    pub async fn next(&mut self) -> Step {
        match self {
            Self::Audit(poller) => poller.next().await,
            Self::Access(poller) => poller.next().await,
            Self::Integration(poller) => poller.next().await,
        }
    }

    /// Makes entries of the rows whose keys the last [`Step::Recall`] held: `remembered` has what is
    /// stored of each, in the same order.
    ///
    /// To be called before [`Poller::next`] is; when it is not, the same rows are asked for again.
    pub fn compare(&mut self, remembered: Vec<Option<Vec<u8>>>) -> Page {
        match self {
            // Its entries have ids: it never asks.
            Self::Audit(poller) => poller.nothing(),
            Self::Access(poller) => poller.compare(remembered),
            Self::Integration(poller) => poller.compare(remembered),
        }
    }

    /// Makes one cheap request: does the token work?
    pub async fn probe(&self) -> Probed {
        match self {
            Self::Audit(poller) => poller.probe().await,
            Self::Access(poller) => poller.probe().await,
            Self::Integration(poller) => poller.probe().await,
        }
    }

    /// Slack's own list of actions, as it is now; `None` of a log for which Slack keeps none.
    ///
    /// # Errors
    /// Slack cannot be asked, or answers something else.
    pub async fn actions(&self) -> Result<Option<ActionList>, SlackError> {
        match self {
            Self::Audit(poller) => poller.actions().await.map(Some),
            Self::Access(_) | Self::Integration(_) => Ok(None),
        }
    }

    /// Whether something waits by now to be read a second time.
    pub fn has_to_verify(&mut self) -> bool {
        match self {
            Self::Audit(poller) => poller.has_to_verify(),
            // The list is read again and again anyway.
            Self::Access(_) | Self::Integration(_) => false,
        }
    }
}

/// The last second that a source of that log has read, by its stored bookmark; of a list, the one in
/// which the newest reading to its end began. `None` before there was any.
///
/// # Errors
/// It is no bookmark that this program can read.
pub fn read_up_to(log: Log, bookmark: &[u8]) -> Result<Option<UnixTime>, BadBookmark> {
    match log {
        // The forwarder's own log is not read from anywhere.
        Log::Audit | Log::Forwarder => audit::read_up_to(bookmark).map(Some),
        Log::Access => access::read_up_to(bookmark),
        Log::Integration => integration::read_up_to(bookmark),
    }
}
