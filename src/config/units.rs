//! Durations, sizes and rates as people write them: always with a unit.

use std::time::Duration;

/// `90s`, `1m`, `36h`, `7d`, `500ms`.
///
/// # Errors
/// What to write in its place.
pub fn duration(text: &str) -> Result<Duration, String> {
    const WANTED: &str = "write a number and a unit, such as `90s`, `5m`, `36h` or `7d`";
    let (number, unit) = parts(text).ok_or(WANTED)?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(WANTED.to_owned()),
    };
    number.checked_mul(milliseconds).map(Duration::from_millis).ok_or_else(|| WANTED.to_owned())
}

/// A duration that is no shorter than that one.
pub(super) fn at_least(least: Duration) -> impl Fn(&str) -> Result<Duration, String> {
    move |text| {
        let given = duration(text)?;
        if given < least { Err(format!("write at least {} s", least.as_secs())) } else { Ok(given) }
    }
}

/// `8000B`, `8KiB`, `10GiB`, `10GB`: bytes.
///
/// # Errors
/// What to write in its place.
pub fn size(text: &str) -> Result<u64, String> {
    const WANTED: &str = "write a number and a unit, such as `8000B`, `8KiB`, `500MB` or `10GiB`";
    let (number, unit) = parts(text).ok_or(WANTED)?;
    let bytes = match unit {
        "B" => 1,
        "KB" | "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return Err(WANTED.to_owned()),
    };
    number.checked_mul(bytes).ok_or_else(|| WANTED.to_owned())
}

fn parts(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let (number, unit) = text.split_at_checked(text.find(|c: char| !c.is_ascii_digit())?)?;
    Some((number.parse().ok()?, unit.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_carry_units() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("30d"), Ok(Duration::from_secs(30 * 86_400)));
        assert_eq!(size("8KiB"), Ok(8192));
        assert_eq!(size("10 GiB"), Ok(10 << 30));
        for bad in ["", "5", "s", "-1s", "1 week", "99999999999999999999d", "20000000TiB"] {
            assert!(duration(bad).is_err(), "{bad}");
            assert!(size(bad).is_err(), "{bad}");
        }
    }
}
