//! What an organization itself trusts: the networks of Slack's own allow list for anomalies.
//!
//! A rule asks for them by reference, `{ cidr = "trusted.cidr" }` and `{ asn = "trusted.asn" }`; which list that
//! is depends on the source of the entry and changes with time, so it is handed in beside the entry
//! ([`Scratch::trust`](super::Scratch::trust)).
//!
//! **Invariant:** where no list is known nothing is trusted.

use ipnet::IpNet;

/// What one organization trusts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trusted {
    pub(super) networks: Vec<IpNet>,
    pub(super) asns: Vec<u32>,
}

/// Where no list is known.
pub(super) static NOTHING: Trusted = Trusted { networks: Vec::new(), asns: Vec::new() };

impl Trusted {
    /// These networks, and all that belong to the autonomous systems of these numbers.
    pub fn new(networks: Vec<IpNet>, asns: Vec<u32>) -> Self {
        Self { networks, asns }
    }
}
