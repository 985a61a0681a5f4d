//! Slack's logs, polled; each log by a poller of its own.
//!
//! ```text
//!  poller ──▶ audit ──┬─▶ reply ─▶ http ──▶ Slack      http    budget, token, bounded bodies, clocks
//!             …    ───┴─▶ web ──────┘                  web     methods of the Web API
//!                                                      client  connections, proxies, the trace
//!    ▼                                                 reply   a list in an answer, or what it refuses
//!  Step::{Page, CaughtUp, Failed}
//! ```
//!
//! **Invariant:** nothing is stored, logged or printed here; a [`Step`] says what happened.

pub mod audit;
mod budget;
mod client;
mod clock;
mod error;
mod http;
mod poller;
mod proxy;
mod refusal;
mod reply;
mod rhythm;
mod settings;
mod step;
mod token;
mod trace;
#[expect(dead_code, reason = "the other logs come next")]
mod web;

pub use audit::ActionList;
pub use budget::Budget;
pub use client::HttpClient;
pub use clock::Clock;
pub use error::{Class, SlackError};
pub use poller::{CannotPoll, Poller, Settings};
pub use proxy::{BadProxy, Proxy, ProxyAddress, ProxyTrouble};
pub use refusal::{Code, Refusal, Refused, Said};
pub use settings::{Account, BadBaseUrl, BadSettings, BaseUrl};
pub use step::{CaughtUp, Failed, Page, Pass, Probed, Progress, Step};
pub use token::Token;
pub use trace::{Trace, TraceFiles, TraceSettings};
