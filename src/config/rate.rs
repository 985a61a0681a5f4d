//! `rate` of a destination: how much it may be given, a second and a day.

use std::num::{NonZeroU32, NonZeroU64};

use super::reader::Section;
use super::size;
use crate::net::Limits;

const DAY: u64 = 86_400;

pub(super) fn read(section: &Section<'_, '_>, max_message: usize) -> Limits {
    let mut limits =
        Limits { largest_message: u32::try_from(max_message).unwrap_or(u32::MAX), ..Limits::default() };
    let Some(rate) = section.section("rate") else { return limits };
    let number =
        |key| rate.number(key, 1..=u64::from(u32::MAX)).and_then(|n| NonZeroU32::new(u32::try_from(n).ok()?));
    limits.events_per_second = number("events_per_second");
    limits.burst = number("burst");
    limits.catch_up = number("catch_up");
    limits.bytes_per_second = rate.parsed("bytes_per_second", |text| {
        let bytes = u32::try_from(size(text)?).ok().and_then(NonZeroU32::new);
        bytes.ok_or_else(|| "write more than nothing and less than 4GiB".to_owned())
    });
    limits.bytes_per_day = rate.parsed("bytes_per_day", |text| {
        let bytes = NonZeroU64::new(size(text)?).ok_or("write more than nothing, such as `5GiB`")?;
        if bytes.get() < max_message as u64 {
            return Err(format!(
                "write at least `max_message`, which is {max_message}B: a message goes whole"
            ));
        }
        Ok(bytes)
    });
    refuse_what_does_nothing(&rate, &limits);
    rate.finish();
    limits
}

/// A limit that another keeps from ever being reached is a mistake in one of the two.
fn refuse_what_does_nothing(rate: &Section<'_, '_>, limits: &Limits) {
    if let Some(place) = rate.place("burst")
        && rate.place("events_per_second").is_none()
    {
        rate.problem(
            &place,
            "missing",
            "a `burst` without `events_per_second`",
            "add `events_per_second = 500`",
        );
    }
    if let Some(place) = rate.place("catch_up")
        && limits.catch_up.zip(limits.events_per_second).is_some_and(|(late, all)| late > all)
    {
        rate.problem(
            &place,
            "never-reached",
            "`catch_up` is above `events_per_second`, which holds for late events as well",
            "lower it: it is what late events may take of `events_per_second`",
        );
    }
    if let Some(place) = rate.place("bytes_per_day")
        && let Some((day, second)) = limits.bytes_per_day.zip(limits.bytes_per_second)
        && day.get() > u64::from(second.get()).saturating_mul(DAY)
    {
        rate.problem(
            &place,
            "never-reached",
            "`bytes_per_day` is more than `bytes_per_second` lets pass in a day",
            "look at their units, and leave out the one that is not wanted",
        );
    }
}
