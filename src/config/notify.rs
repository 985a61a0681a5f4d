//! `[notify.NAME]`: chosen events, told in a Slack channel by an incoming webhook.

use std::time::Duration;

use super::destination::{self, Names};
use super::reach::{self, Reach};
use super::reader::Section;
use super::secret::{self, SecretFrom};
use super::units::duration;
use crate::mapping::When;

/// One notice.
#[derive(Debug, Clone)]
pub struct Notify {
    /// Where the webhook's address is, which is a secret.
    pub webhook: SecretFrom,
    /// Which events are told.
    pub when: When,
    /// The same as it is written.
    pub when_text: String,
    /// The mapping that lies over the shipped one; `None` for the shipped one alone.
    pub mapping: Option<String>,
    /// The sources whose events are told; `None` for all.
    pub sources: Option<Vec<String>>,
    /// How Slack is reached.
    pub reach: Reach,
    /// How long events are gathered, to be one line where they are alike.
    pub window: Duration,
}

/// Reads a notice; how Slack is reached unless it says so is in `reach`.
pub(super) fn read(section: &Section<'_, '_>, names: &Names<'_>, reach: &Reach) -> Option<Notify> {
    let webhook = read_webhook(section);
    let sources = destination::read_sources(section, names);
    let when = read_when(section, sources.as_deref(), names);
    let mapping = destination::defined(section, section.text("mapping"), names.mappings, "[mappings.…]");
    let window = section.parsed("window", window).unwrap_or(USUAL_WINDOW);
    let reach = reach::read(section, reach);
    section.finish();
    let (when, when_text) = when?;
    Some(Notify { webhook: webhook?, when, when_text, mapping, sources, reach, window })
}

/// Long enough for what one act brings with it, short enough to be told of an intruder.
const USUAL_WINDOW: Duration = Duration::from_secs(10);
/// Slack takes one message a second; whoever waits for ten minutes has a SIEM.
const WINDOWS: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(600);

fn window(text: &str) -> Result<Duration, String> {
    let given = duration(text)?;
    if WINDOWS.contains(&given) { Ok(given) } else { Err("write a time from `1s` to `10m`".to_owned()) }
}

fn read_webhook(section: &Section<'_, '_>) -> Option<SecretFrom> {
    const HELP: &str = "write `webhook = { env = \"SLACK_WEBHOOK\" }`, `{ file = \"…\" }`, `{ credential = \"…\" }` or `{ command = [\"…\"] }`";
    let Some(place) = section.place("webhook") else {
        section.problem(&section.span(), "missing", "the notice has no `webhook`", HELP);
        return None;
    };
    if section.is_text("webhook") {
        // Told at the heading: its own line, which would be shown, may hold the secret itself.
        let what = "`webhook` is a secret, and does not stand in this file";
        section.problem(&section.span(), "wrong-type", what, HELP);
        return None;
    }
    let given = section.section("webhook")?;
    secret::read(section, "webhook", &place, &given, HELP)
}

fn read_when(
    section: &Section<'_, '_>,
    sources: Option<&[String]>,
    names: &Names<'_>,
) -> Option<(When, String)> {
    if section.place("when").is_none() {
        let help = "write `when = { severity = { at_least = 8 } }`, say; `when = {}` tells every event";
        section.problem(&section.span(), "missing", "the notice does not say `when`", help);
        return None;
    }
    let text = section.written("when").unwrap_or_default();
    destination::read_when(section, sources, names).map(|when| (when, text))
}
