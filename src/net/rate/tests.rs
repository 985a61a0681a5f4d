//! Budgets by clocks that are set by hand.

use proptest::prelude::*;

use super::*;

const DAY: u64 = 86_400;

const fn at(n: u32) -> Option<NonZeroU32> {
    NonZeroU32::new(n)
}

/// A time, by both clocks, that only tests move.
#[derive(Debug, Clone, Copy)]
struct Hands {
    begun: Instant,
    gone: Duration,
}

impl Hands {
    /// Noon of some day.
    const NOON: u64 = 20_000 * DAY + DAY / 2;

    fn new() -> Self {
        Self { begun: Instant::now(), gone: Duration::ZERO }
    }

    fn now(self) -> Moment {
        let utc = SystemTime::UNIX_EPOCH + Duration::from_secs(Self::NOON) + self.gone;
        Moment { steady: self.begun + self.gone, utc }
    }

    /// Asks until the batch may go; gives how long it took, and what held it longest.
    fn send(&mut self, rate: &mut Rate, load: &Load) -> (Duration, Vec<Why>) {
        let (before, mut whys) = (self.gone, Vec::new());
        while let Err(hold) = rate.take(load, self.now()) {
            assert!(hold.wait > Duration::ZERO);
            assert_eq!(rate.take(load, self.now()), Err(hold), "asking costs nothing");
            self.gone += hold.wait;
            whys.push(hold.why);
        }
        whys.dedup();
        (self.gone.saturating_sub(before), whys)
    }
}

fn close_to(found: Duration, expected: Duration) {
    let (low, high) = (expected.mul_f64(0.999), expected.mul_f64(1.001));
    assert!((low..=high).contains(&found), "{found:?}, not {expected:?}");
}

#[test]
fn a_batch_above_the_burst_is_paid_for_whole() {
    let mut rate = Rate::new(&Limits { events_per_second: at(1000), burst: at(10), ..Limits::default() });
    assert_eq!(rate.most_events(), 10);
    let load = Load { events: 110, bytes: usize::MAX, late: 110 };
    let (took, why) = Hands::new().send(&mut rate, &load);
    close_to(took, Duration::from_millis(100));
    assert_eq!(why, [Why::Events]);
}

#[test]
fn bytes_hold_back_as_well() {
    let limits = Limits { bytes_per_second: at(100_000), largest_message: 8000, ..Limits::default() };
    let (mut rate, mut hands) = (Rate::new(&limits), Hands::new());
    let load = Load { events: 1, bytes: 10_000, late: 0 };
    assert_eq!(hands.send(&mut rate, &load), (Duration::ZERO, vec![]), "a tenth of a second passes at once");
    let (took, why) = hands.send(&mut rate, &load);
    close_to(took, Duration::from_millis(100));
    assert_eq!(why, [Why::Bytes]);
}

#[test]
fn what_happened_long_ago_goes_slower_than_what_happens() {
    let limits = Limits { events_per_second: at(1000), catch_up: at(50), ..Limits::default() };
    let (mut rate, mut hands) = (Rate::new(&limits), Hands::new());
    assert_eq!(rate.most_events(), 50);
    let (late, fresh) = (Load { events: 50, bytes: 1, late: 50 }, Load { events: 50, bytes: 1, late: 0 });
    let (took, why) = hands.send(&mut rate, &late);
    close_to(took, Duration::from_millis(900));
    assert_eq!(why, [Why::CatchUp]);
    assert_eq!(hands.send(&mut rate, &fresh).0, Duration::ZERO);
    assert_eq!(hands.send(&mut rate, &fresh).0, Duration::ZERO);
    close_to(hands.send(&mut rate, &fresh).0, Duration::from_millis(50));

    let now = hands.now();
    let seconds = i64::try_from(Hands::NOON).unwrap();
    assert!(now.is_late(seconds - 700) && now.is_late(i64::MIN));
    assert!(!now.is_late(seconds - 500) && !now.is_late(i64::MAX));
}

#[test]
fn the_budget_that_holds_for_longest_is_named_and_they_are_paid_side_by_side() {
    let limits = Limits {
        events_per_second: at(100),
        burst: at(10),
        bytes_per_second: at(10_000),
        ..Limits::default()
    };
    let (mut rate, mut hands) = (Rate::new(&limits), Hands::new());
    // Two seconds of events, three of bytes.
    let (took, why) = hands.send(&mut rate, &Load { events: 210, bytes: 31_000, late: 0 });
    close_to(took, Duration::from_secs(3));
    assert_eq!(why, [Why::Bytes]);
    // The burst of events has come back by now.
    let (took, why) = hands.send(&mut rate, &Load { events: 210, bytes: 10_000, late: 0 });
    close_to(took, Duration::from_secs(2));
    assert_eq!(why.first(), Some(&Why::Events));
}

#[test]
fn without_limits_nothing_waits() {
    let mut rate = Rate::new(&Limits::default());
    let load = Load { events: usize::MAX, bytes: usize::MAX, late: usize::MAX };
    assert_eq!(Hands::new().send(&mut rate, &load).0, Duration::ZERO);
    assert_eq!((rate.most_events(), rate.spent()), (usize::MAX, None));
}

#[test]
fn nothing_costs_nothing() {
    let limits = Limits {
        events_per_second: at(1),
        burst: at(1),
        bytes_per_second: at(1),
        bytes_per_day: NonZeroU64::new(1),
        catch_up: at(1),
        largest_message: 1,
    };
    let (mut rate, mut hands) = (Rate::new(&limits), Hands::new());
    let load = Load { events: 1, bytes: 1, late: 1 };
    hands.send(&mut rate, &load);
    assert_eq!(hands.send(&mut rate, &Load::default()).0, Duration::ZERO);
    assert!(hands.send(&mut rate, &load).0 > Duration::ZERO);
}

#[test]
fn a_day_that_is_spent_holds_until_midnight() {
    let limits =
        Limits { bytes_per_day: NonZeroU64::new(10_000), largest_message: 1000, ..Limits::default() };
    let (mut rate, mut hands) = (Rate::new(&limits), Hands::new());
    assert_eq!(rate.most_events(), 10);
    let load = Load { events: 1, bytes: 4_000, late: 0 };
    for _ in 0..2 {
        assert_eq!(hands.send(&mut rate, &load).0, Duration::ZERO);
    }
    let hold = rate.take(&load, hands.now()).unwrap_err();
    assert_eq!(hold.why, Why::Day);
    assert!(hold.wait <= Duration::from_secs(60), "clocks are set");
    let small = Load { bytes: 2_000, ..load };
    assert_eq!(hands.send(&mut rate, &small).0, Duration::ZERO, "what fits goes");
    assert_eq!(rate.spent(), Some(Spent { day: 20_000, bytes: 10_000 }));
    assert_eq!(hands.send(&mut rate, &small), (Duration::from_secs(DAY / 2), vec![Why::Day]));
    assert_eq!(rate.spent(), Some(Spent { day: 20_001, bytes: 2_000 }));
}

#[test]
fn a_day_goes_on_after_a_restart() {
    let limits = Limits { bytes_per_day: NonZeroU64::new(10_000), ..Limits::default() };
    let (mut rate, mut hands) = (Rate::new(&limits), Hands::new());
    let load = Load { events: 1, bytes: 6_000, late: 0 };
    hands.send(&mut rate, &load);
    let spent = rate.spent().unwrap();
    for again in [limits, Limits { bytes_per_day: NonZeroU64::new(500), ..limits }] {
        let mut rate = Rate::new(&again);
        rate.resume(spent);
        assert_eq!(rate.take(&load, hands.now()).unwrap_err().why, Why::Day);
        assert_eq!(rate.spent(), Some(spent));
        assert_eq!({ hands }.send(&mut rate, &load).0, Duration::from_secs(DAY / 2), "and no longer");
    }
    let mut other_day = Rate::new(&limits);
    other_day.resume(Spent { day: spent.day - 1, ..spent });
    assert_eq!(hands.send(&mut other_day, &load).0, Duration::ZERO);
    let mut unlimited = Rate::new(&Limits::default());
    unlimited.resume(spent);
    assert_eq!(unlimited.spent(), None);
}

#[test]
fn a_batch_larger_than_a_day_has_a_day_of_its_own() {
    let limits = Limits { bytes_per_day: NonZeroU64::new(10), ..Limits::default() };
    let (mut rate, mut hands) = (Rate::new(&limits), Hands::new());
    let load = Load { events: 1, bytes: 1_000, late: 0 };
    assert_eq!(hands.send(&mut rate, &load).0, Duration::ZERO);
    assert_eq!(hands.send(&mut rate, &load).0, Duration::from_secs(DAY / 2));
    assert_eq!(hands.send(&mut rate, &load).0, Duration::from_secs(DAY));
}

#[test]
fn a_clock_that_is_set_makes_no_second_budget() {
    let limits = Limits { bytes_per_day: NonZeroU64::new(10), ..Limits::default() };
    let (mut rate, hands) = (Rate::new(&limits), Hands::new());
    let load = Load { events: 1, bytes: 8, late: 0 };
    let on = |day: u64, second: u64| Moment {
        utc: SystemTime::UNIX_EPOCH + Duration::from_secs(day * DAY + second),
        ..hands.now()
    };
    assert_eq!(rate.take(&load, on(20_000, DAY - 1)), Ok(()));
    assert_eq!(rate.take(&load, on(20_001, 0)), Ok(()));
    // Back over midnight, and forth.
    assert!(rate.take(&load, on(20_000, DAY - 1)).is_err());
    assert!(rate.take(&load, on(20_001, 1)).is_err());
    // It had been years ahead: the day goes on where it is, and ends at its own midnight.
    assert_eq!(rate.take(&load, on(40_000, 0)), Ok(()));
    assert!(rate.take(&load, on(20_001, 2)).is_err());
    assert_eq!(rate.take(&load, on(20_002, 0)), Ok(()));
    // Before 1970 is a day as well.
    let before = Moment { utc: SystemTime::UNIX_EPOCH - Duration::from_secs(1), ..hands.now() };
    assert!(rate.take(&load, before).is_err());
}

#[tokio::test]
async fn what_was_paid_stays_paid_when_waiting_is_broken_off() {
    let mut rate = Rate::new(&Limits { events_per_second: at(1000), burst: at(10), ..Limits::default() });
    let (load, begun) = (Load { events: 110, bytes: 0, late: 0 }, Instant::now());
    // Were it lost, there would be no end: it takes a tenth of a second.
    let ready = async |rate: &mut Rate| {
        while let Err(hold) = rate.take(&load, Moment::now()) {
            tokio::time::sleep(hold.wait).await;
        }
    };
    while tokio::time::timeout(Duration::from_millis(7), ready(&mut rate)).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
    assert!(begun.elapsed() >= Duration::from_millis(99), "{:?}", begun.elapsed());
}

/// A batch, how long it is waited before it is asked for, and whether it is given up when it is
/// held back.
type Step = (Load, u64, bool);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0..2_000_usize, 0..5_000_000_usize, 0..=100_usize, 0..3_000_u64, any::<bool>());
    let step = step.prop_map(|(events, bytes, late, pause, given_up)| {
        (Load { events, bytes, late: events * late / 100 }, pause, given_up)
    });
    proptest::collection::vec(step, 1..40)
}

fn limits() -> impl Strategy<Value = Limits> {
    let some = |most: u32| proptest::option::of((1..=most).prop_filter_map("none", NonZeroU32::new));
    let day = proptest::option::of((1_000_000..50_000_000_u64).prop_filter_map("none", NonZeroU64::new));
    // Beyond a few million, intervals are shorter than a nanosecond can tell.
    (some(5_000), some(5_000), prop_oneof![some(3_000_000), some(u32::MAX)], day, some(500)).prop_map(
        |(events_per_second, burst, bytes_per_second, bytes_per_day, catch_up)| Limits {
            events_per_second,
            burst,
            bytes_per_second,
            bytes_per_day,
            catch_up,
            largest_message: 8_000,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_more_than_burst_and_rate_passes_and_everything_passes(limits in limits(), steps in steps()) {
        let (mut rate, mut hands) = (Rate::new(&limits), Hands::new());
        let mut sent = Load::default();
        let mut days = std::collections::BTreeMap::<u64, (u64, u64)>::new();
        for (load, pause, give_up) in steps {
            hands.gone += Duration::from_millis(pause);
            if give_up && rate.take(&load, hands.now()).is_err() {
                continue;
            }
            // It ends: nothing is dropped.
            if !give_up {
                hands.send(&mut rate, &load);
            }
            sent.events += load.events;
            sent.bytes += load.bytes;
            sent.late += load.late;
            let today = (Hands::NOON + hands.gone.as_secs()) / DAY;
            let day = days.entry(today).or_default();
            *day = (day.0 + load.bytes as u64, day.1.max(load.bytes as u64));

            let bound = |per_second: Option<NonZeroU32>, burst: Option<NonZeroU32>, least: u32| {
                let rate = f64::from(per_second?.get());
                let burst = burst.map_or((rate / 10.0).max(f64::from(least)), |burst| f64::from(burst.get()));
                Some(burst + rate * hands.gone.as_secs_f64() + 0.001)
            };
            for (sent, bound) in [
                (sent.events, bound(limits.events_per_second, limits.burst, 1)),
                (sent.bytes, bound(limits.bytes_per_second, None, limits.largest_message)),
                (sent.late, bound(limits.catch_up, None, 1)),
            ] {
                if let Some(bound) = bound {
                    let sent = f64::from(u32::try_from(sent).unwrap());
                    prop_assert!(sent <= bound, "{sent} of {bound}");
                }
            }
        }
        if let Some(budget) = limits.bytes_per_day {
            for (bytes, largest) in days.into_values() {
                prop_assert!(bytes <= budget.get().max(largest), "{bytes} of {budget}");
            }
        }
    }

    #[test]
    fn all_of_the_rate_can_be_used(per_second in 1..=u32::MAX, batch in 1..2_000_000_u32) {
        let mut hands = Hands::new();
        let mut rate = Rate::new(&Limits { bytes_per_second: at(per_second), ..Limits::default() });
        let load = Load { events: 1, bytes: batch as usize, late: 0 };
        hands.send(&mut rate, &load);
        let begun = hands.gone;
        for _ in 0..20 {
            hands.send(&mut rate, &load);
        }
        let took = hands.gone.saturating_sub(begun).as_secs_f64();
        // A batch is rounded up to a unit, a rate to a nanosecond for each.
        let unit = f64::from(per_second) / 1e6;
        let at_most = 20.0 * (f64::from(batch) + unit + 1.0) / f64::from(per_second) * 1.002;
        prop_assert!(took <= at_most, "{took} s in place of {at_most} s");
    }
}
