//! What filters work with beside the entry: the tables that texts are looked up in, and the key that
//! pseudonyms are made with.
//!
//! Templates name a table by its number. So those of the shipped files are the same for all
//! customers, though each may have rows of its own.

use std::sync::Arc;

use super::lookup::{Table, TableId};
use super::pseudonym::PseudonymKey;

/// What the filters of one set of files work with.
#[derive(Debug, Default)]
pub(super) struct Kit {
    /// By number.
    pub(super) tables: Arc<[Arc<Table>]>,
    pub(super) key: Option<PseudonymKey>,
}

impl Kit {
    pub(super) fn table(&self, id: TableId) -> Option<&Table> {
        self.tables.get(id.index()).map(|table| &**table)
    }
}
