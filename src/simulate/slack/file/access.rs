//! The access log as a plan file describes it.

use serde::Deserialize;
use toml::Spanned;

use super::fault::FaultForm;
use super::integration::Largest;
use super::time::Wait;
use super::{Mistake, RateLimitTable, understood};
use crate::simulate::slack::access::{AccessLog, Classic};
use crate::simulate::slack::plan::RateLimit;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AccessTable {
    rows: Option<u64>,
    over: Option<Wait>,
    used: Option<u64>,
    new: Option<u64>,
    changing: Option<u64>,
    #[serde(default)]
    hostile: bool,
    largest: Option<Largest>,
    classic: Option<ClassicName>,
    classic_from: Option<u64>,
    cursor_life: Option<Wait>,
    team: Option<String>,
    rate_limit: Option<RateLimitTable>,
    #[serde(default)]
    faults: Vec<Spanned<FaultForm>>,
}

impl AccessTable {
    pub(super) fn into_log(self) -> Result<AccessLog, Mistake> {
        let default = AccessLog::default();
        Ok(AccessLog {
            rows: self.rows.unwrap_or(default.rows),
            over: self.over.map_or(default.over, |over| over.0),
            used: self.used.unwrap_or(default.used),
            new: self.new.unwrap_or(default.new),
            changing: self.changing,
            hostile: self.hostile,
            largest: self.largest.map_or(default.largest, |largest| largest.0),
            classic: self.classic.map_or(default.classic, Classic::from),
            classic_from: self.classic_from.unwrap_or(default.classic_from),
            cursor_life: self.cursor_life.map(|life| life.0),
            team: self.team,
            rate_limit: self.rate_limit.map(RateLimit::from),
            faults: understood(self.faults)?,
        })
    }
}

#[derive(Deserialize)]
enum ClassicName {
    #[serde(rename = "works")]
    Works,
    #[serde(rename = "500")]
    Status500,
    #[serde(rename = "fatal_error")]
    FatalError,
}

impl From<ClassicName> for Classic {
    fn from(name: ClassicName) -> Self {
        match name {
            ClassicName::Works => Self::Works,
            ClassicName::Status500 => Self::Status500,
            ClassicName::FatalError => Self::FatalError,
        }
    }
}
