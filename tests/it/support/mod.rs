//! What several tests share.

pub(crate) mod arrived;
pub(crate) mod cef_parsers;
pub(crate) mod certificates;
pub(crate) mod daemon;
pub(crate) mod entries;
pub(crate) mod events;
pub(crate) mod forwarder;
pub(crate) mod hostile;
pub(crate) mod http_proxy;
pub(crate) mod kept;
pub(crate) mod polling;
pub(crate) mod proxy;
pub(crate) mod reload;
pub(crate) mod rsyslog;
pub(crate) mod shipped;
pub(crate) mod syslog_ng;
