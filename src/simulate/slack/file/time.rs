//! Times and lengths of time as a plan file writes them.

use std::time::Duration;

use jiff::{SignedDuration, SpanRelativeTo, Timestamp};
use serde::Deserialize;

use crate::event::UnixTime;

/// A time in RFC 3339, or a length of time from the present: `2026-01-31T12:00:00Z`, `-1h`.
#[derive(Deserialize)]
#[serde(try_from = "String")]
pub(super) enum Time {
    At(UnixTime),
    FromNow(SignedDuration),
}

impl TryFrom<String> for Time {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.parse::<Timestamp>() {
            Ok(time) => Ok(Self::At(UnixTime::from_seconds(time.as_second()))),
            Err(_) => Length::try_from(text)
                .map(|length| Self::FromNow(length.0))
                .map_err(|text| format!("{text}, nor a time such as `2026-01-31T12:00:00Z`")),
        }
    }
}

/// A length of time with its units, backwards where negative: `90s`, `1h 30m`, `7d`, `-1h`.
#[derive(Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Length(pub(super) SignedDuration);

impl TryFrom<String> for Length {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let span = text.parse::<jiff::Span>();
        let length = span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()));
        length
            .map(Self)
            .map_err(|_| format!("`{text}` is no length of time such as `90s`, `5m`, `1h` or `7d`"))
    }
}

/// A [`Length`] that does not run backwards.
#[derive(Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Wait(pub(super) Duration);

impl TryFrom<String> for Wait {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let length = Length::try_from(text)?.0;
        Duration::try_from(length)
            .map(Self)
            .map_err(|_| "a length of time below zero makes no sense here".into())
    }
}
