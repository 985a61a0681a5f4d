//! What a source of a list is told, be it the access or the integration log: rows without ids of their
//! own, walked through and remembered.

use std::time::Duration;

use super::duration;
use super::reader::Section;
use super::source::refuse;
use super::units::at_least;

/// How a list is read.
#[derive(Debug)]
pub(super) struct ListReading {
    pub(super) full_walk_every: Duration,
    pub(super) forget_after: Duration,
    pub(super) team_id: Option<String>,
}

/// The keys that only lists have.
pub(super) const KEYS: [&str; 3] = ["full_walk_every", "forget_after", "team_id"];

pub(super) const DAY: Duration = Duration::from_secs(86_400);

/// Reads what every list has; it is called `log`, and usually walked through so often.
pub(super) fn read(section: &Section<'_, '_>, log: &str, usual_walk: Duration) -> ListReading {
    for (key, instead) in [
        ("settle", "leave it out: rows are compared with what is remembered, and none is read too early"),
        ("verify_after", "leave it out: the walk at every `full_walk_every` finds what came late"),
    ] {
        refuse(section, key, log, instead);
        section.skip(key);
    }
    ListReading {
        full_walk_every: section.parsed("full_walk_every", walk).unwrap_or(usual_walk),
        forget_after: section.parsed("forget_after", memory).unwrap_or(90 * DAY),
        team_id: section.parsed("team_id", team_id),
    }
}

const LONGEST_WALK: u32 = 7;

fn walk(text: &str) -> Result<Duration, String> {
    let given = at_least(Duration::from_secs(1))(text)?;
    if given > LONGEST_WALK * DAY { Err(format!("write at most `{LONGEST_WALK}d`")) } else { Ok(given) }
}

/// Several walks have to meet what is remembered before it is forgotten.
const SHORTEST_MEMORY: u32 = 14;
const LONGEST_MEMORY: u32 = 3_650;

fn memory(text: &str) -> Result<Duration, String> {
    let given = duration(text)?;
    let fits = (SHORTEST_MEMORY * DAY..=LONGEST_MEMORY * DAY).contains(&given);
    fits.then_some(given).ok_or_else(|| format!("write `{SHORTEST_MEMORY}d` to `{LONGEST_MEMORY}d`"))
}

fn team_id(text: &str) -> Result<String, String> {
    let is_id = |rest: &str| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let named = text.strip_prefix(['T', 'E']).is_some_and(is_id);
    if named { Ok(text.to_owned()) } else { Err("write the workspace's id, such as `T0123ABCD`".to_owned()) }
}
