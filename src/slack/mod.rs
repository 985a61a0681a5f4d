//! Slack's logs, polled; each log by a poller of its own.
//!
//! ```text
//!  poller ─▶ audit ─────────────┬─▶ reply ─▶ http ──▶ Slack   http    budget, token, bodies, clocks
//!    │       access, integration ─┴─▶ web ─────┘              web     methods of the Web API
//!    ▼                                                        reply   a list, or what is refused
//!  Step::{Page, Recall, CaughtUp, Failed}                     client  connections, proxies, the trace
//! ```
//!
//! The other way goes `webhook`: one message into a channel.
//!
//! **Invariant:** no entry is stored here, and nothing logged or printed; a [`Step`] says what happened.
//! [`oauth`] alone writes a file: the pair of a login, which Slack gives but once.

pub mod access;
pub mod allowlist;
pub mod audit;
mod bookmark;
mod budget;
mod client;
mod clock;
mod error;
mod http;
mod identity;
pub mod integration;
pub mod oauth;
mod patience;
mod poller;
mod proxy;
mod refusal;
mod reply;
mod rhythm;
mod settings;
mod step;
mod token;
mod trace;
mod web;
mod webhook;

pub use audit::ActionList;
pub use bookmark::BadBookmark;
pub use budget::Budget;
pub use client::HttpClient;
pub use clock::Clock;
pub use error::{Class, SlackError};
pub use identity::{Identity, diagnosed, scope_of, whoami};
pub use poller::{CannotPoll, Poller, Settings, read_up_to};
pub use proxy::{BadProxy, Proxy, ProxyAddress, ProxyTrouble};
pub use refusal::{Code, Refusal, Refused, Said};
pub use settings::{Account, BadBaseUrl, BadSettings, BaseUrl, Start};
pub use step::{CaughtUp, Failed, Memo, Page, Pass, Probed, Progress, RowKey, Step};
pub use token::{Fetch, Token, Unfetched};
pub use trace::{Trace, TraceFiles, TraceSettings};
pub use webhook::{BadWebhook, Rejected, Rejection, Verdict, Webhook, WebhookAddress, WebhookError};
