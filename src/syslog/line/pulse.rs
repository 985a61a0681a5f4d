//! Whether there is still somebody at the other end while bytes are on their way.
//!
//! **Invariant:** a shut window is not death: as long as the receiver's kernel answers, it lives.

use std::time::{Duration, Instant};

use super::wire::Wire;
use crate::net::kernel::{self, Peer};
use crate::syslog::failure::Failure;

/// Since when the receiver's kernel is silent.
#[derive(Debug, Default)]
pub(super) struct Pulse(Option<Instant>);

impl Pulse {
    /// Looks at `now`.
    ///
    /// # Errors
    /// [`Failure::Silent`] after so much `patience`.
    pub(super) fn feel(&mut self, wire: &Wire, patience: Duration, now: Instant) -> Result<(), Failure> {
        let peer = wire.ends().and_then(|(local, remote)| kernel::peer(local, remote));
        if peer != Some(Peer::Silent) {
            self.0 = None;
            return Ok(());
        }
        let since = *self.0.get_or_insert(now);
        if now.duration_since(since) < patience { Ok(()) } else { Err(Failure::Silent { patience }) }
    }
}
