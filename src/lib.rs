//! slackcef: Slack's audit log to a SIEM, as CEF over syslog, losing nothing.
//!
//! ```text
//! slack ──poll──▶ event ──append──▶ store ──lease──▶ mapping ──▶ cef ──frame──▶ syslog ──▶ SIEM
//! ```
//!
//! An entry comes out of [`slack`] as the text Slack sent, with the few keys that routing needs
//! ([`event`]). [`store`] makes it durable together with the mark that says how far Slack was read.
//! For each destination [`mapping`] turns it into typed fields, [`cef`] writes these as one line,
//! and [`syslog`] carries lines to the receiver; [`notice`] tells chosen events in a Slack channel.
//! [`pipeline`] is the only part that knows them all.
//!
//! In reading order: [`event`], [`cef`], [`mapping`], [`store`], [`slack`], [`syslog`], [`notice`],
//! then [`pipeline`], which joins them, [`config`] and [`commands`], where people come in. [`net`] and
//! [`problem`] serve several of them, [`report`] and [`telemetry`] speak to people and collectors,
//! [`simulate`] stands in for both ends.
//!
//! **Invariant:** imports point one way, as `tests/it/tidy.rs` has them in a table.
//! **Invariant:** the lower modules return facts; only `pipeline` and `commands` log and print.
//! **Invariant:** what an action means stands in `mappings/`, never in code.

pub mod cef;
pub mod commands;
pub mod config;
pub mod event;
pub mod mapping;
pub mod net;
pub mod notice;
pub mod pipeline;
pub mod problem;
pub mod report;
pub mod simulate;
pub mod slack;
pub mod store;
pub mod syslog;
pub mod telemetry;
