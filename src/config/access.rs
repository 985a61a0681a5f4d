//! What a source of the access log is told: `log = "access"`.

use std::time::Duration;

use super::list::{self, ListReading};
use super::reader::Section;
use super::source::refuse;

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

const USUAL_WALK: Duration = Duration::from_secs(6 * 3_600);

pub(super) fn read(section: &Section<'_, '_>) -> AccessReading {
    let log = "an access log";
    let ListReading { full_walk_every, forget_after, team_id } = list::read(section, log, USUAL_WALK);
    refuse(
        section,
        "only",
        log,
        "leave it out, and drop the rest by a rule of the mapping or a destination's `when`",
    );
    section.skip("only");
    AccessReading { full_walk_every, forget_after, team_id }
}
