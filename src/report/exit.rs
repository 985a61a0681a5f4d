//! The one table of exit codes.

use std::process::ExitCode;

/// How the program ends, in the numbers of `sysexits.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Everything asked for was done.
    Ok,
    /// Two things differ, and the difference was asked for as an exit code.
    Differs,
    /// The command line or the data given to it is wrong.
    Usage,
    /// Something the program needs is not there: Slack, a receiver, the store.
    Unavailable,
    /// A mistake of the program itself.
    Bug,
    /// Nothing is lost, and the same command may work later.
    TryLater,
    /// Configuration, mappings or secrets are wrong.
    Configuration,
}

impl Exit {
    /// The number.
    pub const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Differs => 1,
            Self::Usage => 64,
            Self::Unavailable => 69,
            Self::Bug => 70,
            Self::TryLater => 75,
            Self::Configuration => 78,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
