//! slackcef: Slack's audit log to a SIEM, as CEF over syslog, losing nothing.
//!
//! ```text
//! slack ──poll──▶ event ──append──▶ store ──lease──▶ mapping ──▶ cef ──frame──▶ syslog ──▶ SIEM
//! ```

pub mod cef;
pub mod event;
pub mod net;
pub mod problem;
pub mod simulate;
pub mod slack;
