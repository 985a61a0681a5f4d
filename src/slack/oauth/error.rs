//! What can be wrong with a login.

use std::io;
use std::path::PathBuf;

use crate::event::UnixTime;
use crate::slack::error::Class;
use crate::slack::refusal::Refused;

/// Why a login has no token to give.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// Nobody has logged in yet.
    #[error("nobody has logged in as {name} yet")]
    None {
        /// The login.
        name: String,
    },
    /// It was made for another app.
    #[error("the login {name} was made for another app than the one of its `client_id`")]
    OtherApp {
        /// The login.
        name: String,
    },
    /// Slack takes its refresh token no more.
    #[error("the login {name} is over: Slack takes its refresh token no more (`{code}`){}", because(*cut_off))]
    Over {
        /// The login.
        name: String,
        /// Slack's word for it.
        code: String,
        /// A refresh whose answer never came, which may have spent the refresh token.
        cut_off: Option<UnixTime>,
    },
    /// Slack refuses to refresh it for another reason.
    #[error("Slack does not refresh the login {name}: {refused}")]
    Refused {
        /// The login.
        name: String,
        /// What Slack says.
        refused: Refused,
    },
    /// What is kept of it cannot be read or written.
    #[error("cannot {doing} {}", path.display())]
    Keep {
        /// Read, write, lock …
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What is kept of it is something else.
    #[error("{} is not what `auth login` writes", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
    },
    /// Another process does not let go of it.
    #[error("another process has been refreshing the login {name} for a minute")]
    Busy {
        /// The login.
        name: String,
    },
}

fn because(cut_off: Option<UnixTime>) -> String {
    cut_off.map_or_else(String::new, |since| {
        format!("; a refresh of {since} had its answer cut off, which spent it")
    })
}

impl LoginError {
    /// What the poller does about it.
    pub fn class(&self) -> Class {
        match self {
            Self::None { .. } | Self::OtherApp { .. } | Self::Over { .. } | Self::Unreadable { .. } => {
                Class::Token
            }
            Self::Refused { refused, .. } => refused.refusal.class(),
            Self::Keep { .. } => Class::Setting,
            Self::Busy { .. } => Class::Retry,
        }
    }

    /// What the operator can do.
    pub fn help(&self) -> &'static str {
        match self {
            Self::None { .. } | Self::OtherApp { .. } => {
                "run `slackcef auth login` as the service's user; the service need not be restarted"
            }
            Self::Over { .. } => "an organization owner must log in again; the service need not be restarted",
            Self::Unreadable { .. } => "move the file away and log in again",
            Self::Refused { refused, .. } => refused.refusal.help(),
            Self::Keep { .. } => {
                "let the service's user own the folder `oauth` of [state] `dir` and what is in it, and see that \
                 the disk has room"
            }
            Self::Busy { .. } => "it is tried again by itself; see which process hangs",
        }
    }
}
