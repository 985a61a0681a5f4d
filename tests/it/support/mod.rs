//! What several tests share.

pub(crate) mod certificates;
pub(crate) mod hostile;
