//! `[integration]` of a plan file.

use std::num::NonZeroU32;
use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::fault::FaultForm;
use super::time::Wait;
use super::{Mistake, RateLimitTable, understood};
use crate::simulate::slack::integration::{IntegrationLog, MOST_ROWS, Order};
use crate::simulate::slack::plan::RateLimit;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IntegrationTable {
    order: Option<OrderName>,
    #[serde(default)]
    pub(super) events: Vec<PathBuf>,
    count: Option<u64>,
    over: Option<Wait>,
    per_second: Option<Rate>,
    twin_every: Option<u64>,
    #[serde(default)]
    hostile: bool,
    largest: Option<Largest>,
    scopes: Option<String>,
    team: Option<String>,
    rate_limit: Option<RateLimitTable>,
    #[serde(default)]
    faults: Vec<Spanned<FaultForm>>,
}

impl IntegrationTable {
    pub(super) fn into_log(self) -> Result<IntegrationLog, Mistake> {
        let default = IntegrationLog::default();
        Ok(IntegrationLog {
            order: self.order.map_or(default.order, Order::from),
            given: Vec::new(),
            count: self.count.unwrap_or(default.count),
            over: self.over.map_or(default.over, |over| over.0),
            per_second: self.per_second.map_or(default.per_second, |rate| rate.0),
            twin_every: self.twin_every.unwrap_or(default.twin_every),
            hostile: self.hostile,
            largest: self.largest.map_or(default.largest, |largest| largest.0),
            scopes: self.scopes.unwrap_or(default.scopes),
            team: self.team,
            rate_limit: self.rate_limit.map(RateLimit::from),
            faults: understood(self.faults)?,
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum OrderName {
    NewestFirst,
    OldestFirst,
    Shuffled,
}

impl From<OrderName> for Order {
    fn from(name: OrderName) -> Self {
        match name {
            OrderName::NewestFirst => Self::NewestFirst,
            OrderName::OldestFirst => Self::OldestFirst,
            OrderName::Shuffled => Self::Shuffled,
        }
    }
}

#[derive(Deserialize)]
#[serde(try_from = "f64")]
struct Rate(f64);

impl TryFrom<f64> for Rate {
    type Error = &'static str;

    fn try_from(rate: f64) -> Result<Self, Self::Error> {
        if rate >= 0.0 { Ok(Self(rate)) } else { Err("`per_second` is a number, 0 or above") }
    }
}

#[derive(Deserialize)]
#[serde(try_from = "NonZeroU32")]
pub(super) struct Largest(pub(super) usize);

impl TryFrom<NonZeroU32> for Largest {
    type Error = String;

    fn try_from(rows: NonZeroU32) -> Result<Self, String> {
        let rows = usize::try_from(rows.get()).unwrap_or(usize::MAX);
        if rows <= MOST_ROWS { Ok(Self(rows)) } else { Err(format!("a page holds at most {MOST_ROWS} rows")) }
    }
}
