//! Spans of time as people say them.

/// Seconds as people say them; two units are enough.
pub fn span(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0..2) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, _, _) => format!("{hours} h {} min", minutes % 60),
        (_, _, _) => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_short() {
        let spans = [0, 119, 120, 3_599, 3_600, 86_399, 86_400].map(span);
        assert_eq!(spans, ["0 s", "119 s", "2 min", "59 min", "1 h 0 min", "23 h 59 min", "1 d 0 h"]);
    }
}
