//! Logins by OAuth v2: the install that gives a token, and its rotation.
//!
//! ```text
//!  App ──authorize──▶ a person, in a browser ──code──▶ App::exchange ──▶ Grant ──▶ Keep (a file)
//!                                                                                 ▲ │
//!  Rotation ──bearer──▶ each request         App::refresh, two hours before the end ┘
//! ```
//!
//! With token rotation an access token lives for twelve hours, and a refresh token works once: the
//! pair that Slack gives is the only way to go on, and it exists but once. So [`Keep`] has an intent
//! written before Slack is asked, and the pair before it is used.
//!
//! **Invariant:** a pair is used only after it is on the disk.
//! **Invariant:** whoever refreshes holds the lock of the login's file: of two processes one asks Slack,
//! and the other finds what it got.

mod app;
mod error;
mod grant;
mod keep;
mod rotation;

pub use app::{App, manifest, secret_word};
pub use error::LoginError;
pub use grant::{Grant, Holder};
pub use keep::{Keep, Kept, Locked};
pub use rotation::{Rotation, Trouble};
