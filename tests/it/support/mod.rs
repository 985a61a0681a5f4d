//! What several tests share.

pub(crate) mod cef_parsers;
pub(crate) mod events;
pub(crate) mod hostile;
