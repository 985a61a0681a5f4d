//! How damage is noticed, and what happens then.
//!
//! SQLite checks its log of changes (the WAL) but not its file: a bit that flips on the disk is
//! handed out as it is. So whatever the store relies on carries a check of its own:
//!
//! | what | guarded by | when it is damaged |
//! | --- | --- | --- |
//! | a batch's entries | the checksum inside the zstd frame, repeated in the row | the reader reports the loss once, by source, time and count, and goes on behind it |
//! | a batch's row | its [`Seal`], over every column and that checksum | the same; source and time are unknown, the count is known from the rows around it |
//! | that a batch is there | numbers without gaps, first and last in the `extent` row | the same |
//! | a reader's position | its seal, and that it lies within the extent | the reader begins again at the oldest entry kept: repeats, no loss |
//! | what a reader has spent of a day | its seal | its budget begins anew: it may be exceeded on that day, which is said |
//! | a source's bookmark | its seal, and the number of sources in the `extent` row | the store refuses to open: reading Slack from a guessed place could lose entries |
//! | the `extent` row | its seal | the same |
//! | an id | it names the batch that holds its entry, and that batch must stand | the entry is new: a repeat at worst |
//! | a memo | its seal; it names the newest batch of its time, and that batch must stand | it was never there: what it was kept for is met anew, and repeated |
//! | that a batch came late | its seal, over the batch's number and tag | the batch counts as an ordinary one |
//! | the file's frame (header, tables) | compared with what this version writes | the store refuses to open |
//!
//! **Invariant:** an entry is handed out only when every check over it held.
//! **Invariant:** an entry counts as seen only when its id leads to a batch that stands, or that
//! stood and was deleted after its delivery. A log of changes that lost its tail can leave ids
//! behind without their entries; those are taken for new.
//! **Invariant:** a damaged batch is never freed: its chain of pages may run into another's.

use rusqlite::{Error, ErrorCode};
use sha2::{Digest, Sha256};

/// The check that stands in a row: eight bytes of SHA-256 over its columns.
///
/// It tells an accident from the truth; it is no defence against somebody who can write the file.
#[derive(Clone)]
pub(super) struct Seal(Sha256);

/// What a row bears.
pub(super) type Sealed = [u8; 8];

impl Seal {
    /// Begins the seal of a row of that table.
    pub(super) fn of(table: &'static str) -> Self {
        Self(Sha256::new()).text(table)
    }

    /// Covers a number.
    pub(super) fn number(mut self, number: impl Into<i128>) -> Self {
        self.0.update(number.into().to_le_bytes());
        self
    }

    /// Covers bytes and their length.
    pub(super) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.update(bytes.len().to_le_bytes());
        self.0.update(bytes);
        self
    }

    /// Covers a text and its length.
    pub(super) fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    /// The bytes to store, or to compare with.
    pub(super) fn finish(self) -> Sealed {
        let mut sealed = Sealed::default();
        for (to, from) in sealed.iter_mut().zip(self.0.finalize()) {
            *to = from;
        }
        sealed
    }
}

/// Whether an error of a read says that what is stored is wrong, and not that reading failed.
pub(super) fn is_damage(error: &Error) -> bool {
    match error {
        Error::FromSqlConversionFailure(..)
        | Error::IntegralValueOutOfRange(..)
        | Error::Utf8Error(..)
        | Error::InvalidColumnType(..)
        | Error::QueryReturnedNoRows => true,
        other => matches!(
            other.sqlite_error_code(),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::TooBig)
        ),
    }
}
