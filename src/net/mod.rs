//! What every connection needs, whoever is at its other end: backoff, TLS, rates.
//!
//! **Invariant:** nothing here knows Slack, syslog or CEF.

mod backoff;

pub use backoff::Backoff;
