//! What a source of the access log is told: `log = "access"`.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::duration;
use super::reader::Section;
use super::source::refuse;
use super::units::at_least;

/// How the access log is read.
#[derive(Debug, Clone)]
pub struct AccessReading {
    /// How often the whole list is walked through.
    pub full_walk_every: Duration,
    /// How long a combination is remembered that is not met any more.
    pub forget_after: Duration,
    /// The workspace that a token of an organization is to ask for; all of them where `None`.
    pub team_id: Option<String>,
}

/// The keys that only this log has.
pub(super) const KEYS: [&str; 3] = ["full_walk_every", "forget_after", "team_id"];

pub(super) fn read(section: &Section<'_, '_>) -> AccessReading {
    for (key, instead) in [
        ("settle", "leave it out: rows are compared with what is remembered, and none is read too early"),
        ("verify_after", "leave it out: the walk at every `full_walk_every` finds what came late"),
        ("only", "leave it out, and drop the rest by a rule of the mapping or a destination's `when`"),
    ] {
        refuse(section, key, "an access log", instead);
        section.skip(key);
    }
    AccessReading {
        full_walk_every: section.parsed("full_walk_every", walk).unwrap_or(USUAL_WALK),
        forget_after: section.parsed("forget_after", within(FORGETTING)).unwrap_or(90 * DAY),
        team_id: section.parsed("team_id", team_id),
    }
}

const DAY: Duration = Duration::from_secs(86_400);
const USUAL_WALK: Duration = Duration::from_secs(6 * 3_600);
/// Several walks have to meet what is remembered before it is forgotten.
const FORGETTING: RangeInclusive<u32> = 14..=3_650;
const LONGEST_WALK: u32 = 7;

pub(super) fn walk(text: &str) -> Result<Duration, String> {
    let given = at_least(Duration::from_secs(1))(text)?;
    if given > LONGEST_WALK * DAY { Err(format!("write at most `{LONGEST_WALK}d`")) } else { Ok(given) }
}

pub(super) fn within(days: RangeInclusive<u32>) -> impl Fn(&str) -> Result<Duration, String> {
    move |text| {
        let given = duration(text)?;
        let fits = (*days.start() * DAY..=*days.end() * DAY).contains(&given);
        let wanted = || format!("write `{}d` to `{}d`", days.start(), days.end());
        fits.then_some(given).ok_or_else(wanted)
    }
}

pub(super) fn team_id(text: &str) -> Result<String, String> {
    let is_id = |rest: &str| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let named = text.strip_prefix(['T', 'E']).is_some_and(is_id);
    if named { Ok(text.to_owned()) } else { Err("write the workspace's id, such as `T0123ABCD`".to_owned()) }
}
