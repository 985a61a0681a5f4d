//! Outages told to the SIEM: a destination that takes nothing, and that it takes events again.
//!
//! Told through every destination: those that work have it at once, the one that is down when it is
//! back. What is told comes from a destination's [`Standing`] alone.
//!
//! **Invariant:** a destination that comes and goes makes no storm: an outage is told once, its end
//! once it has lasted, and the next outage not before [`QUIET`] has passed since the last was told.

use std::time::{Duration, Instant};

use super::own::OwnEvent;
use super::standing::{LastFault, Standing, State};
use super::status::Outgoing;
use super::voice::Voice;
use crate::event::UnixTime;
use crate::slack::Clock;

/// It is told that a destination is down when it was for so long …
const PATIENCE: Duration = Duration::from_secs(60);
/// … or when it has failed so often.
const FAILURES: u32 = 3;
/// It is back when it has been for so long.
const STEADY: Duration = Duration::from_secs(10);
/// The least time between two outages told.
const QUIET: Duration = Duration::from_secs(300);

/// An outage to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outage {
    /// Since when.
    pub(super) since: UnixTime,
    /// What it does in place of taking events.
    pub(super) state: State,
    /// How often it failed.
    pub(super) failures: u32,
    /// Why, and what to do about it, where a failure told.
    pub(super) fault: Option<LastFault>,
    /// Where it was last connected to.
    pub(super) endpoint: Option<String>,
}

/// What there is to tell.
#[derive(Debug, PartialEq, Eq)]
enum News {
    Down(Outage),
    Recovered { outage: Outage, lasted: Duration },
}

/// Follows one destination; over when it is.
pub(super) async fn watch(destination: Outgoing, voice: Voice) {
    let Outgoing { name, route, mut standing, .. } = destination;
    let mut watcher = Watcher::default();
    loop {
        let news = watcher.look(&standing.borrow_and_update(), Instant::now());
        match news {
            Some(News::Down(outage)) => {
                let endpoint = outage.endpoint.as_ref().or(route.to.first());
                voice.say(OwnEvent::destination_down(&name, endpoint, &outage));
            }
            Some(News::Recovered { outage, lasted }) => {
                voice.say(OwnEvent::destination_recovered(&name, &outage, lasted));
            }
            None => {}
        }
        let again = watcher.look_again(Instant::now());
        tokio::select! {
            changed = standing.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(again.unwrap_or_default()), if again.is_some() => {}
        }
    }
}

/// What was seen of one destination, and what was told.
#[derive(Debug, Default)]
struct Watcher {
    present: Option<Present>,
    last_told: Option<Instant>,
}

/// An outage that is not over, or not for sure.
#[derive(Debug)]
struct Present {
    began: Instant,
    outage: Outage,
    /// Since when it takes events again.
    good_since: Option<Instant>,
    told: bool,
}

impl Watcher {
    fn look(&mut self, standing: &Standing, now: Instant) -> Option<News> {
        if is_bad(standing.state) {
            return self.bad(standing, now);
        }
        let present = self.present.as_mut()?;
        let good_since = *present.good_since.get_or_insert(now);
        if now.duration_since(good_since) < STEADY {
            return None;
        }
        let Present { began, outage, told, .. } = self.present.take()?;
        let lasted = good_since.duration_since(began);
        told.then_some(News::Recovered { outage, lasted })
    }

    fn bad(&mut self, standing: &Standing, now: Instant) -> Option<News> {
        let present = self.present.get_or_insert_with(|| Present {
            began: now,
            outage: Outage {
                since: standing.since.unwrap_or_else(|| Clock::system().now()),
                state: standing.state,
                failures: 0,
                fault: None,
                endpoint: None,
            },
            good_since: None,
            told: false,
        });
        present.good_since = None;
        let outage = &mut present.outage;
        outage.state = standing.state;
        // A fault may be an old one, of an outage that is long over.
        let of_now = |fault: &&LastFault| fault.at >= outage.since.plus(-STALE);
        if let Some(fault) = standing.fault.as_ref().filter(of_now) {
            outage.failures = outage.failures.max(fault.failures);
            outage.fault = Some(fault.clone());
        }
        if let Some(link) = standing.connections.first() {
            outage.endpoint = Some(link.endpoint.clone());
        }
        let is_one = outage.failures >= FAILURES || now.duration_since(present.began) >= PATIENCE;
        let is_quiet = self.last_told.is_none_or(|told| now.duration_since(told) >= QUIET);
        if present.told || !is_one || !is_quiet {
            return None;
        }
        present.told = true;
        self.last_told = Some(now);
        Some(News::Down(present.outage.clone()))
    }

    /// When to look again although nothing changes.
    fn look_again(&self, now: Instant) -> Option<Duration> {
        let present = self.present.as_ref()?;
        let until = match present.good_since {
            Some(good_since) => good_since + STEADY,
            None if present.told => return None,
            None if present.outage.failures >= FAILURES => self.last_told? + QUIET,
            None => (present.began + PATIENCE).max(self.last_told.map_or(now, |told| told + QUIET)),
        };
        Some(until.saturating_duration_since(now))
    }
}

/// Seconds by which a failure may come before the state that follows from it.
const STALE: i64 = 60;

/// It takes no events, and waiting for a limit of our own is not the reason.
fn is_bad(state: State) -> bool {
    match state {
        State::Down | State::Stalled | State::Unconfirmed => true,
        State::Idle | State::Delivering | State::Held | State::Ended => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A destination whose time is told in seconds since the test began.
    struct Told {
        watcher: Watcher,
        begun: Instant,
    }

    impl Told {
        fn new() -> Self {
            Self { watcher: Watcher::default(), begun: Instant::now() }
        }

        fn look(&mut self, second: u64, state: State, failures: u32) -> Option<News> {
            let at = UnixTime::from_seconds(1_000_000 + i64::try_from(second).unwrap());
            let standing = Standing {
                state,
                since: Some(at),
                fault: (failures > 0).then(|| LastFault {
                    at,
                    failures,
                    what: format!("refused {failures}"),
                    help: None,
                }),
                ..Standing::default()
            };
            self.watcher.look(&standing, self.begun + Duration::from_secs(second))
        }

        fn again(&self, second: u64) -> Option<u64> {
            let now = self.begun + Duration::from_secs(second);
            self.watcher.look_again(now).map(|wait| wait.as_secs())
        }
    }

    fn down(news: Option<News>) -> Outage {
        let Some(News::Down(outage)) = news else { panic!("{news:?}") };
        outage
    }

    #[test]
    fn the_third_failure_is_told_and_only_once() {
        let mut told = Told::new();
        assert_eq!(told.look(0, State::Delivering, 0), None);
        assert_eq!(told.look(1, State::Down, 1), None);
        assert_eq!(told.look(2, State::Down, 2), None);
        let outage = down(told.look(4, State::Down, 3));
        assert_eq!((outage.since, outage.failures), (UnixTime::from_seconds(1_000_001), 3));
        assert_eq!(outage.fault.unwrap().what, "refused 3");
        for second in 5..4_000 {
            assert_eq!(told.look(second, State::Down, 4), None, "{second}");
        }
        assert_eq!(told.again(4_000), None);
    }

    #[test]
    fn what_takes_nothing_for_a_minute_is_told_without_a_failure() {
        let mut told = Told::new();
        assert_eq!(told.look(0, State::Stalled, 0), None);
        assert_eq!(told.again(0), Some(60));
        assert_eq!(told.look(59, State::Stalled, 0), None);
        let outage = down(told.look(60, State::Unconfirmed, 0));
        assert_eq!((outage.state, outage.fault), (State::Unconfirmed, None));
    }

    #[test]
    fn its_end_is_told_when_it_has_lasted() {
        let mut told = Told::new();
        down(told.look(0, State::Down, 3));
        assert_eq!(told.look(100, State::Delivering, 0), None);
        assert_eq!(told.again(100), Some(10));
        assert_eq!(told.look(105, State::Down, 1), None);
        assert_eq!(told.look(110, State::Delivering, 0), None);
        let Some(News::Recovered { outage, lasted }) = told.look(120, State::Idle, 0) else { panic!() };
        assert_eq!((lasted, outage.failures), (Duration::from_secs(110), 3));
        assert_eq!(told.look(130, State::Idle, 0), None);
        assert_eq!(told.again(130), None);
    }

    #[test]
    fn an_outage_that_was_too_short_to_be_told_has_no_end_to_tell() {
        let mut told = Told::new();
        assert_eq!(told.look(0, State::Down, 1), None);
        assert_eq!(told.look(10, State::Delivering, 0), None);
        assert_eq!(told.look(20, State::Delivering, 0), None);
        assert_eq!(told.watcher.last_told, None);
    }

    #[test]
    fn a_destination_that_comes_and_goes_makes_no_storm() {
        let mut told = Told::new();
        let (mut downs, mut ends) = (Vec::new(), 0);
        // Half a minute down with many failures, half a minute up, for an hour.
        for second in 0..3_600 {
            let state = if second % 60 < 30 { State::Down } else { State::Delivering };
            match told.look(second, state, if state == State::Down { 5 } else { 0 }) {
                Some(News::Down(_)) => downs.push(second),
                Some(News::Recovered { .. }) => ends += 1,
                None => {}
            }
        }
        assert_eq!(downs.len(), 12, "{downs:?}");
        assert!(downs.windows(2).all(|pair| pair[1] - pair[0] >= 300), "{downs:?}");
        assert_eq!(ends, 12);
    }

    #[test]
    fn one_outage_soon_after_another_is_told_late() {
        let mut told = Told::new();
        down(told.look(0, State::Down, 3));
        told.look(10, State::Delivering, 0);
        assert!(matches!(told.look(20, State::Delivering, 0), Some(News::Recovered { .. })));
        assert_eq!(told.look(30, State::Down, 3), None);
        assert_eq!(told.again(30), Some(270));
        let outage = down(told.look(300, State::Down, 30));
        assert_eq!(outage.since, UnixTime::from_seconds(1_000_030));
    }

    #[test]
    fn an_old_fault_is_not_the_reason_of_a_new_outage() {
        let at = UnixTime::from_seconds;
        let fault = LastFault { at: at(1_000), failures: 9, what: "of old".into(), help: None };
        let mut watcher = Watcher::default();
        let standing = Standing {
            state: State::Stalled,
            since: Some(at(9_000)),
            fault: Some(fault),
            ..Standing::default()
        };
        let begun = Instant::now();
        assert_eq!(watcher.look(&standing, begun), None);
        assert_eq!(down(watcher.look(&standing, begun + PATIENCE)).fault, None);
    }
}
