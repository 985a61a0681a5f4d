//! Slack's logs, polled; each log by a poller of its own.
//!
//! ```text
//!  poller ──▶ audit ──┬─▶ reply ─▶ http ──▶ Slack      http    budget, token, bounded bodies, clocks
//!             …    ───┴─▶ web ──────┘                  web     methods of the Web API
//!    ▼                                                 reply   a list in an answer, or what it refuses
//!  Step::{Page, CaughtUp, Failed}
//! ```
//!
//! **Invariant:** no entry is stored here, and nothing logged or printed; a [`Step`] says what happened.
//! [`oauth`] alone writes a file: the pair of a login, which Slack gives but once.

pub mod audit;
mod budget;
mod client;
mod clock;
mod error;
mod http;
mod identity;
pub mod oauth;
mod poller;
mod proxy;
mod refusal;
mod reply;
mod rhythm;
mod settings;
mod step;
mod token;
#[expect(dead_code, reason = "the other logs come next")]
mod web;

pub use audit::ActionList;
pub use budget::Budget;
pub use client::HttpClient;
pub use clock::Clock;
pub use error::{Class, SlackError};
pub use identity::{Identity, diagnosed, scope_of, whoami};
pub use poller::{CannotPoll, Poller, Settings};
pub use proxy::{BadProxy, Proxy, ProxyAddress, ProxyTrouble};
pub use refusal::{Code, Refusal, Refused, Said};
pub use settings::{Account, BadBaseUrl, BadSettings, BaseUrl};
pub use step::{CaughtUp, Failed, Page, Pass, Probed, Progress, Step};
pub use token::{Fetch, Token, Unfetched};
