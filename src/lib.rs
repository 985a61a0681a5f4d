//! slackcef: Slack's audit log to a SIEM, as CEF over syslog, losing nothing.
//!
//! ```text
//! slack ──poll──▶ event ──append──▶ store ──lease──▶ mapping ──▶ cef ──frame──▶ syslog ──▶ SIEM
//! ```

pub mod cef;
pub mod commands;
pub mod config;
pub mod event;
pub mod mapping;
pub mod net;
pub mod pipeline;
pub mod problem;
pub mod report;
pub mod simulate;
pub mod slack;
pub mod store;
pub mod syslog;
pub mod telemetry;
