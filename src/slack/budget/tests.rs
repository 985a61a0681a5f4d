//! Paces by made-up clocks, and turns by the real one.

use proptest::prelude::*;

use super::*;

fn requests(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

fn a_minute(number: u32) -> Budget {
    Budget::per_minute(requests(number))
}

/// What happens to a service, between two requests.
#[derive(Debug, Clone, Copy)]
enum Happening {
    /// It rests for so many milliseconds.
    Rest(u64),
    /// It wants so many requests as soon as they may be made.
    Ask(u32),
    /// Its process ends, and a new one begins at once.
    Restart,
    /// Another configuration grants so many.
    Grant(u32),
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let happening = prop_oneof![
        (0_u64..90_000).prop_map(Happening::Rest),
        (0_u64..50).prop_map(Happening::Rest),
        (1_u32..150).prop_map(Happening::Ask),
        Just(Happening::Restart),
        Just(Happening::Restart),
        (1_u32..130).prop_map(Happening::Grant),
    ];
    proptest::collection::vec(happening, 1..60)
}

/// When requests are made, in order, and the most that was granted.
fn made(mut per_minute: u32, happenings: &[Happening]) -> (Vec<Instant>, u32) {
    let anew = |per_minute| Pace { per_minute: requests(per_minute), last: None };
    let (mut now, mut made, mut most) = (Instant::now(), Vec::new(), per_minute);
    let mut pace = anew(per_minute);
    for &happening in happenings {
        match happening {
            Happening::Rest(milliseconds) => now += Duration::from_millis(milliseconds),
            Happening::Restart => pace = anew(per_minute),
            Happening::Grant(number) => {
                per_minute = number;
                most = most.max(per_minute);
                pace.per_minute = requests(per_minute);
            }
            Happening::Ask(number) => {
                for _ in 0..number {
                    while let Err(due) = pace.take(now) {
                        assert!(due > now, "time goes on");
                        now = due;
                    }
                    made.push(now);
                }
            }
        }
    }
    (made, most)
}

/// The most requests within any 60 seconds, the 60th second's end not among them.
fn in_a_minute(made: &[Instant]) -> usize {
    let until = |from: &Instant| made.partition_point(|at| *at < *from + Duration::from_secs(60));
    made.iter().enumerate().map(|(nth, from)| until(from) - nth).max().unwrap_or(0)
}

proptest! {
    #[test]
    fn no_minute_sees_more_than_is_granted_whatever_is_restarted(
        per_minute in 1_u32..130,
        happenings in happenings(),
    ) {
        let (made, most) = made(per_minute, &happenings);
        prop_assert!(in_a_minute(&made) <= most as usize, "{} of {most}", in_a_minute(&made));
    }

    #[test]
    fn the_whole_budget_can_be_had(per_minute in 1_u32..3_000) {
        let (made, _) = made(per_minute, &[Happening::Ask(per_minute * 2)]);
        prop_assert_eq!(in_a_minute(&made), per_minute as usize);
    }
}

#[test]
fn a_process_that_begins_every_second_makes_no_more_than_one_that_stays() {
    let second = [Happening::Ask(1), Happening::Restart];
    let (made, _) = made(50, &second.repeat(200));
    assert_eq!((made.len(), in_a_minute(&made)), (200, 50));
}

#[tokio::test]
async fn requests_keep_their_distance_the_first_as_well() {
    let budget = a_minute(60 * 50);
    let begun = Instant::now();
    for _ in 0..6 {
        budget.request().await;
    }
    assert!(begun.elapsed() >= Duration::from_millis(6 * 20), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_pause_holds_for_all_and_the_longer_one_wins() {
    let budget = a_minute(6_000);
    let begun = Instant::now();
    budget.pause(Duration::from_millis(60));
    budget.pause(Duration::from_millis(1));
    tokio::join!(budget.request(), budget.request());
    assert!(begun.elapsed() >= Duration::from_millis(60));
}

#[tokio::test]
async fn those_who_wait_are_served_in_turns() {
    let budget = a_minute(60 * 100);
    let served = Mutex::new(Vec::new());
    let greedy = async |name: char| {
        for _ in 0..5 {
            budget.request().await;
            served.lock().unwrap().push(name);
        }
    };
    tokio::join!(greedy('a'), greedy('b'), greedy('c'));
    assert_eq!(String::from_iter(served.into_inner().unwrap()), "abcabcabcabcabc");
}

#[tokio::test]
async fn who_goes_away_holds_nobody_up() {
    let budget = a_minute(60 * 100);
    budget.pause(Duration::from_millis(500));
    let gone = tokio::time::timeout(Duration::from_millis(5), budget.request()).await;
    assert!(gone.is_err());
    budget.request().await;
}

#[tokio::test]
async fn another_grant_is_for_all_who_share_it() {
    let budget = a_minute(1);
    let waiting = budget.take().unwrap_err();
    assert!(waiting > Instant::now() + Duration::from_secs(50));
    budget.grant(requests(6_000));
    assert!(budget.take().is_err(), "one distance is kept all the same");
    budget.request().await;
    budget.request().await;
    budget.pause(Duration::from_secs(60));
    budget.grant(requests(600));
    assert!(budget.silent_until().is_some(), "what Slack asked for stands");
}

#[tokio::test]
async fn the_largest_budget_works() {
    a_minute(u32::MAX).request().await;
}
