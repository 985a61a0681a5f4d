use proptest::prelude::*;

use super::*;

/// A Monday, 00:00 UTC.
const MONDAY: i64 = 1_786_924_800;
const DAY: i64 = 24 * HOUR;

/// Whose entries are played: chances of an entry in each minute, by the hour of the week from Monday on.
type Week = fn(i64) -> f64;

/// A hundred people: from seven to seven on work days, a few early and late, next to nothing at night.
fn office(hour: i64) -> f64 {
    match (hour / 24, hour % 24) {
        (0..5, 9..12 | 13..17) => 0.9,
        (0..5, 8 | 12 | 17) => 0.6,
        (0..5, 7 | 18) => 0.2,
        (0..5, 5..23) => 0.02,
        _ => 0.002,
    }
}

/// A source, played minute by minute; now and then it is asked whether that is a silence.
struct Played {
    habit: Habit,
    week: Week,
    dice: fastrand::Rng,
    now: i64,
    last: i64,
    /// When it was unusual: the first time in each silence.
    raised: Vec<i64>,
}

impl Played {
    fn new(week: Week, seed: u64) -> Self {
        let mut habit = Habit::default();
        habit.begin(UnixTime::from_seconds(MONDAY));
        let dice = fastrand::Rng::with_seed(seed);
        Self { habit, week, dice, now: MONDAY, last: MONDAY, raised: Vec::new() }
    }

    /// Plays on until that second after the first Monday; `shift` is what is on: hours by which
    /// everybody comes later, or nothing at all.
    fn until(&mut self, end: i64, shift: Option<i64>) {
        while self.now < MONDAY + end {
            let hour = (self.now - MONDAY).div_euclid(HOUR).rem_euclid(168);
            let chance = shift.map_or(0.0, |later| (self.week)((hour - later).rem_euclid(168)));
            if self.dice.f64() < chance {
                self.last = self.now + self.dice.i64(0..60);
                self.habit.entry(UnixTime::from_seconds(self.last));
            }
            self.now += 60;
            let up_to = UnixTime::from_seconds(self.now - 1);
            self.habit.read_up_to(up_to);
            // Often while it is short.
            let every = if self.now - self.last < 2 * HOUR { 120 } else { HOUR };
            if self.now % every > 0 {
                continue;
            }
            let is_known = self.raised.last().is_some_and(|at| *at > self.last);
            if !is_known && self.habit.is_unusual(UnixTime::from_seconds(self.last), up_to) {
                self.raised.push(self.now);
            }
        }
    }

    fn raised_nothing(&self, what: impl std::fmt::Debug) {
        assert!(self.raised.is_empty(), "{what:?}: {:?}", self.raised);
    }

    fn weeks(week: Week, seed: u64, weeks: i64) -> Self {
        let mut played = Self::new(week, seed);
        played.until(weeks * WEEK, Some(0));
        played
    }
}

#[test]
fn an_offices_nights_and_week_ends_raise_nothing() {
    for seed in 0..5 {
        Played::weeks(office, seed, 12).raised_nothing("");
    }
}

#[test]
fn a_tuesday_at_ten_without_entries_is_told_within_the_hour() {
    for (seed, weeks) in [(1, 2), (2, 3), (3, 4), (4, 5), (5, 30)] {
        let mut played = Played::weeks(office, seed, weeks);
        let ten = weeks * WEEK + DAY + 10 * HOUR;
        played.until(ten, Some(0));
        played.until(ten + 3 * HOUR, None);
        let [told] = played.raised[..] else { panic!("{weeks}: {:?}", played.raised) };
        let after = told - (MONDAY + ten);
        assert!((SHORTEST - 60..HOUR).contains(&after), "after {weeks} weeks it took {after} seconds");
    }
}

#[test]
fn a_first_week_and_the_second_are_not_enough() {
    for weeks in 0..2 {
        let mut played = Played::weeks(office, 7, weeks);
        played.until(weeks * WEEK + DAY + 10 * HOUR, Some(0));
        played.until((weeks + 1) * WEEK, None);
        played.raised_nothing("");
    }
}

#[test]
fn summer_time_that_ends_raises_nothing() {
    for seed in 0..3 {
        let mut played = Played::weeks(office, seed, 6);
        played.until(12 * WEEK, Some(1));
        played.until(18 * WEEK, Some(0));
        played.raised_nothing("");
    }
}

#[test]
fn a_busy_sunday_makes_the_next_ones_no_silence() {
    let mut played = Played::weeks(office, 3, 5);
    played.until(6 * WEEK - DAY, Some(0));
    played.week = |_| 1.0;
    played.until(6 * WEEK, Some(0));
    played.week = office;
    played.until(14 * WEEK, Some(0));
    played.raised_nothing("");
}

#[test]
fn a_holiday_looks_like_silence_and_is_forgotten() {
    let mut played = Played::weeks(office, 3, 5);
    played.until(5 * WEEK + DAY, None);
    assert_eq!(played.raised.len(), 1, "it is one");
    played.until(12 * WEEK, Some(0));
    assert_eq!(played.raised.len(), 1);
    played.until(12 * WEEK + 10 * HOUR, Some(0));
    played.until(12 * WEEK + 12 * HOUR, None);
    assert_eq!(played.raised.len(), 2, "Mondays are known as before");
}

#[test]
fn steady_sources_of_any_kind_raise_nothing() {
    let kinds: [(&str, Week); 6] = [
        ("three a week", |_| 3.0 / (168.0 * 60.0)),
        ("one in two hours", |_| 1.0 / 120.0),
        ("one an hour", |_| 1.0 / 60.0),
        ("four an hour", |_| 4.0 / 60.0),
        ("twenty an hour", |_| 20.0 / 60.0),
        ("every minute", |_| 1.0),
    ];
    for (name, kind) in kinds {
        for seed in 0..2 {
            Played::weeks(kind, seed, 20).raised_nothing(name);
        }
    }
}

#[test]
fn a_day_with_a_third_as_much_as_usual_is_no_silence() {
    for seed in 0..3 {
        let mut played = Played::weeks(office, seed, 5);
        played.week = |hour| office(hour) / 3.0;
        played.until(6 * WEEK, Some(0));
        played.raised_nothing("");
    }
}

#[test]
fn a_source_with_three_entries_a_week_is_never_early() {
    for seed in 0..2 {
        let mut played = Played::weeks(|_| 3.0 / (168.0 * 60.0), seed, 20);
        played.until(25 * WEEK, None);
        played.raised_nothing("");
    }
}

#[test]
fn an_import_of_ten_thousand_entries_is_a_few_minutes() {
    let mut habit = Habit::default();
    habit.begin(UnixTime::from_seconds(MONDAY));
    for week in 0..5 {
        for nth in 0..10_000 {
            habit.entry(UnixTime::from_seconds(MONDAY + week * WEEK + 10 * HOUR + nth % 180));
        }
    }
    habit.read_up_to(UnixTime::from_seconds(MONDAY + 5 * WEEK - 1));
    let ten = of_week((MONDAY + 10 * HOUR) / HOUR);
    assert_eq!(habit.weeks[ten], [3; 5]);
}

#[test]
fn an_hour_that_was_not_read_whole_teaches_nothing() {
    let mut habit = Habit::default();
    let at = |seconds| UnixTime::from_seconds(MONDAY + seconds);
    habit.begin(at(1));
    habit.entry(at(100));
    habit.read_up_to(at(3 * HOUR - 1));
    let known: Vec<_> = habit.weeks.iter().map(Vec::len).collect();
    assert_eq!(known.iter().sum::<usize>(), 2, "the second and the third hour");
    habit.begin(at(5 * HOUR + 10));
    habit.read_up_to(at(6 * HOUR - 1));
    assert_eq!(habit.weeks.iter().map(Vec::len).sum::<usize>(), 2);
}

proptest! {
    /// Whatever was read: nothing is expected of what is known of one week alone.
    #[test]
    fn nothing_is_said_early(
        entries in prop::collection::vec(0..WEEK, 0..2_000),
        begin in 0..WEEK,
        silence in 0..WEEK,
    ) {
        let mut habit = Habit::default();
        let at = |seconds| UnixTime::from_seconds(MONDAY + seconds);
        habit.begin(at(begin));
        let mut entries = entries;
        entries.sort_unstable();
        for entry in &entries {
            habit.entry(at(begin + entry));
        }
        let end = begin + WEEK;
        habit.read_up_to(at(end));
        prop_assert!(!habit.is_unusual(at(end - silence), at(end)));
        prop_assert_eq!(habit.expected_minutes(at(0), at(3 * WEEK)), 0);
        prop_assert!(habit.is_sound());
    }

    /// Longer silences are never less unusual, and short ones never are.
    #[test]
    fn what_is_unusual_stays_so(
        weeks in prop::collection::vec(prop::collection::vec(0_u8..=60, 0..=WEEKS), HOURS_OF_WEEK),
        from in 0..WEEK,
        length in 0..3 * DAY,
        more in 0..DAY,
    ) {
        let habit = Habit { present: None, weeks };
        prop_assert!(habit.is_sound());
        let (last, up_to) = (UnixTime::from_seconds(MONDAY + from), UnixTime::from_seconds(MONDAY + from + length));
        prop_assert!(!(habit.is_unusual(last, up_to) && length < SHORTEST));
        prop_assert!(habit.is_unusual(last, up_to.plus(more)) >= habit.is_unusual(last, up_to));
        let most = 60 * length / HOUR;
        prop_assert!((0..=most).contains(&habit.expected_minutes(last, up_to)));
    }

    /// Any text of the file, and any times, are borne.
    #[test]
    fn nothing_breaks_it(times in prop::collection::vec(any::<i64>(), 0..20)) {
        let mut habit = Habit::default();
        habit.begin(UnixTime::from_seconds(times.first().copied().unwrap_or(0)));
        for pair in times.windows(2) {
            habit.entry(UnixTime::from_seconds(pair[0]));
            habit.read_up_to(UnixTime::from_seconds(pair[1]));
            habit.is_unusual(UnixTime::from_seconds(pair[0]), UnixTime::from_seconds(pair[1]));
        }
        prop_assert!(habit.is_sound());
    }
}
