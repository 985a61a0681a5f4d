//! What a source of the integration log is told: `log = "integration"`.

use std::time::Duration;

use super::list::{self, DAY, ListReading};
use super::reader::Section;
use super::source::refuse;
use crate::slack::integration::Only;

/// How the integration log is read.
#[derive(Debug, Clone)]
pub struct IntegrationReading {
    /// How often the whole list is walked through.
    pub full_walk_every: Duration,
    /// How long a row is remembered that is not met any more.
    pub forget_after: Duration,
    /// What Slack itself is asked to leave out.
    pub only: Only,
    /// The workspace that a token of an organization is to ask for.
    pub team_id: Option<String>,
}

pub(super) fn read(section: &Section<'_, '_>) -> IntegrationReading {
    let ListReading { full_walk_every, forget_after, team_id } =
        list::read(section, "an integration log", DAY);
    let only = section.section("only").map(|only| read_only(&only)).unwrap_or_default();
    IntegrationReading { full_walk_every, forget_after, only, team_id }
}

fn read_only(section: &Section<'_, '_>) -> Only {
    for (key, instead) in [
        ("actions", "choose by `change_type`: added, removed, enabled, disabled or updated"),
        ("actor", "write `user`, with the id of who made the change"),
        ("entity", "write `app_id` or `service_id`"),
    ] {
        refuse(section, key, "an integration log's `only`", instead);
        section.skip(key);
    }
    let only = Only {
        app_id: section.parsed("app_id", id),
        service_id: section.parsed("service_id", id),
        user: section.parsed("user", id),
        change_type: section.one_of("change_type", &CHANGE_TYPES.map(|word| (word, word))).map(str::to_owned),
    };
    section.finish();
    only
}

/// Slack knows no others.
const CHANGE_TYPES: [&str; 5] = ["added", "removed", "enabled", "disabled", "updated"];

fn id(text: &str) -> Result<String, String> {
    let is_id = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_id.then(|| text.to_owned()).ok_or_else(|| "write Slack's id, of letters and digits".to_owned())
}
