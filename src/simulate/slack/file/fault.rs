//! Faults as a plan file names them.

use std::time::Duration;

use serde::Deserialize;

use super::super::fault::{Fault, Trouble, When};
use super::time::Wait;

/// One entry of `[[faults]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FaultForm {
    pub(super) fault: String,
    on: Option<OneOrMore>,
    between: Option<(u64, u64)>,
    every: Option<u64>,
    chance: Option<f64>,
    pub(super) error: Option<String>,
    retry_after: Option<u64>,
    length: Option<Wait>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "`on` is the number of a request, or a list of them")]
enum OneOrMore {
    One(u64),
    More(Vec<u64>),
}

impl TryFrom<FaultForm> for Fault {
    type Error = String;

    fn try_from(form: FaultForm) -> Result<Self, String> {
        let when = match (form.on, form.between, form.every, form.chance) {
            (Some(OneOrMore::One(number)), None, None, None) => When::On(vec![number]),
            (Some(OneOrMore::More(numbers)), None, None, None) => When::On(numbers),
            (None, Some((first, last)), None, None) => When::Between(first, last),
            (None, None, Some(step), None) => When::Every(step),
            (None, None, None, Some(chance)) if (0.0..=1.0).contains(&chance) => When::Chance(chance),
            (None, None, None, Some(_)) => return Err("a chance lies between 0 and 1".into()),
            _ => {
                return Err(
                    "a fault strikes `on`, `between`, `every` or by `chance`: exactly one of them".into()
                );
            }
        };
        let (trouble, takes) = named(&form.fault)?;
        let given = [form.error.is_some(), form.retry_after.is_some(), form.length.is_some()];
        for ((name, given), takes) in ["error", "retry_after", "length"].iter().zip(given).zip(takes) {
            if given && !takes {
                return Err(format!("the fault `{}` takes no `{name}`", form.fault));
            }
        }
        let trouble = match trouble {
            Trouble::Refused { status, error, retry_after } => Trouble::Refused {
                status,
                error: form.error.or(error),
                retry_after: form.retry_after.or(retry_after),
            },
            Trouble::OkFalse { error } => Trouble::OkFalse { error: form.error.unwrap_or(error) },
            Trouble::Slow(length) => Trouble::Slow(form.length.map_or(length, |length| length.0)),
            Trouble::Stalled(length) => Trouble::Stalled(form.length.map_or(length, |length| length.0)),
            other => other,
        };
        Ok(Self { when, trouble })
    }
}

/// The trouble of that name as it is by default, and which of `error`, `retry_after` and `length`
/// it takes.
fn named(name: &str) -> Result<(Trouble, [bool; 3]), String> {
    let html = name.strip_suffix("-html").and_then(status);
    if let Some(status) = html {
        return Ok((Trouble::Html { status }, [false, false, false]));
    }
    if let Some(status) = status(name) {
        let (error, retry_after) = match status {
            400 => (Some("invalid_range"), None),
            403 => (Some("user_not_authorized"), None),
            429 => (Some("ratelimited"), Some(1)),
            _ => (None, None),
        };
        let error = error.map(str::to_owned);
        return Ok((Trouble::Refused { status, error, retry_after }, [true, true, false]));
    }
    let length = Duration::from_secs(2);
    Ok(match name {
        "ok-false" => (Trouble::OkFalse { error: "internal_error".to_owned() }, [true, false, false]),
        "slow" => (Trouble::Slow(length), [false, false, true]),
        "stalled" => (Trouble::Stalled(length), [false, false, true]),
        "garbage" => (Trouble::Garbage, [false; 3]),
        "half-json" => (Trouble::HalfJson, [false; 3]),
        "cut-off" => (Trouble::CutOff, [false; 3]),
        "empty-page" => (Trouble::EmptyPage, [false; 3]),
        "short-page" => (Trouble::ShortPage, [false; 3]),
        "no-metadata" => (Trouble::NoMetadata, [false; 3]),
        "cursor-expired" => (Trouble::CursorExpired, [false; 3]),
        _ => {
            return Err(format!(
                "there is no fault `{name}`: there are a status such as `429`, a status with a page such as \
                 `500-html`, `ok-false`, `slow`, `stalled`, `garbage`, `half-json`, `cut-off`, `empty-page`, \
                 `short-page`, `no-metadata` and `cursor-expired`"
            ));
        }
    })
}

fn status(text: &str) -> Option<u16> {
    text.parse().ok().filter(|status| (200..600).contains(status))
}
