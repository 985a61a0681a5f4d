//! `[allowlist]` of a plan file.

use serde::Deserialize;
use toml::Spanned;

use super::fault::FaultForm;
use super::{Mistake, RateLimitTable, understood};
use crate::simulate::slack::allowlist::{Allowlist, Asns, Ranges, Unknown};
use crate::simulate::slack::plan::RateLimit;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct AllowlistTable {
    ranges: Vec<String>,
    asns: Vec<u64>,
    ranges_as: Ranges,
    asns_as: Asns,
    unknown: Unknown,
    rate_limit: Option<RateLimitTable>,
    faults: Vec<Spanned<FaultForm>>,
}

impl AllowlistTable {
    pub(super) fn into_list(self) -> Result<Allowlist, Mistake> {
        Ok(Allowlist {
            ranges: self.ranges,
            asns: self.asns,
            ranges_as: self.ranges_as,
            asns_as: self.asns_as,
            unknown: self.unknown,
            rate_limit: self.rate_limit.map(RateLimit::from),
            faults: understood(self.faults)?,
        })
    }
}
