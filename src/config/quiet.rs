//! When a source that Slack answers counts as gone quiet: `[telemetry]` for all, each source for itself.

use std::time::Duration;

use super::reader::Section;
use super::units::at_least;

/// After what silence an event is raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quiet {
    /// The longest silence; `None`: nobody listens.
    pub after: Option<Duration>,
    /// Whether a shorter one is told where it is unusual for the hour of the week.
    pub learned: bool,
}

impl Default for Quiet {
    fn default() -> Self {
        Self { after: Some(Duration::from_secs(24 * 3600)), learned: true }
    }
}

/// Reads the keys of a table; what it does not say is as `otherwise`.
pub(super) fn read(section: &Section<'_, '_>, otherwise: Quiet) -> Quiet {
    Quiet {
        after: section.parsed("quiet_after", after).unwrap_or(otherwise.after),
        learned: section.flag("quiet_learned").unwrap_or(otherwise.learned),
    }
}

fn after(text: &str) -> Result<Option<Duration>, String> {
    if text == "off" { Ok(None) } else { at_least(Duration::from_secs(1))(text).map(Some) }
}
