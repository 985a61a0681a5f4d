//! What goes wrong, and at which requests.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota};

use super::answer::Answer;
use super::dice::Dice;
use super::plan::RateLimit;

/// Something that goes wrong at some of the requests.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// At which requests.
    pub when: When,
    /// What happens.
    pub trouble: Trouble,
}

/// Chooses requests, which are counted from 1, each kind on its own, whatever became of them.
#[derive(Debug, Clone, PartialEq)]
pub enum When {
    /// At these.
    On(Vec<u64>),
    /// From the first to the second of them, both included.
    Between(u64, u64),
    /// At every nth of them.
    Every(u64),
    /// With this probability (0 to 1), decided by the plan's seed and the request's number.
    Chance(f64),
}

/// One way for a request to go wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// A status with `{"ok":false,"error":…}`, or with no body where there is no error.
    Refused {
        /// The HTTP status.
        status: u16,
        /// Slack's word for it.
        error: Option<String>,
        /// The `Retry-After` header, in whole seconds.
        retry_after: Option<u64>,
    },
    /// A status with a page of HTML.
    Html {
        /// The HTTP status; 200 is as possible as 503.
        status: u16,
    },
    /// Status 200 with `{"ok":false,"error":…}`.
    OkFalse {
        /// Slack's word for it.
        error: String,
    },
    /// Status 200, said to be JSON, which it is not.
    Garbage,
    /// A complete answer whose JSON ends half-way.
    HalfJson,
    /// The connection is closed half-way through an answer of announced length.
    CutOff,
    /// The answer comes this late.
    Slow(Duration),
    /// The answer stops half-way for this long.
    Stalled(Duration),
    /// A page without entries, but with a cursor that goes on from the same place.
    EmptyPage,
    /// A page of no more than one second, whatever the limit.
    ShortPage,
    /// A last page without `response_metadata`; other pages are left alone.
    NoMetadata,
    /// A cursor, if one is sent, is refused with 400 and `invalid_cursor`.
    CursorExpired,
}

impl Trouble {
    /// A status with Slack's word for it.
    pub fn refused(status: u16, word: &str) -> Self {
        Self::Refused { status, error: Some(word.to_owned()), retry_after: None }
    }

    /// What it says in place of any answer; nothing where it only changes one.
    pub(super) fn answer(&self) -> Option<Answer> {
        Some(match self {
            Self::Refused { status, error, retry_after } => {
                Answer::refused(*status, error.as_deref()).retry_after(*retry_after)
            }
            Self::Html { status } => Answer::html(*status),
            Self::OkFalse { error } => Answer::not_ok(error),
            Self::Garbage => Answer::json(200, "upstream connect error or disconnect/reset".into()),
            _ => return None,
        })
    }
}

/// Requests of one kind as they are counted, and what goes wrong with them.
#[derive(Debug)]
pub(super) struct Troubles {
    seed: u64,
    limiter: Option<DefaultDirectRateLimiter>,
    faults: Vec<Fault>,
    requests: AtomicU64,
    told: Mutex<Told>,
}

/// What was told while the simulator runs: it goes before all that was planned.
#[derive(Debug, Default)]
struct Told {
    next: VecDeque<Trouble>,
    then: Option<Trouble>,
}

impl Troubles {
    pub(super) fn new(faults: &[Fault], rate_limit: Option<RateLimit>, seed: u64) -> Self {
        let (limiter, faults) = (rate_limit.map(limiter), faults.to_vec());
        Self { seed, limiter, faults, requests: AtomicU64::new(0), told: Mutex::default() }
    }

    /// The requests so far.
    pub(super) fn count(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }

    /// Counts a request, and says its number and what goes wrong with it.
    pub(super) fn meet(&self, has_cursor: bool) -> (u64, Option<Trouble>) {
        let number = self.requests.fetch_add(1, Ordering::SeqCst) + 1;
        let planned = || Fault::met_by(&self.faults, number, has_cursor, self.seed).cloned();
        (number, self.told().or_else(|| self.over_the_limit()).or_else(planned))
    }

    /// The next requests meet these, one after the other.
    pub(super) fn tell_next(&self, troubles: impl IntoIterator<Item = Trouble>) {
        self.lock().next.extend(troubles);
    }

    /// Every request from now on meets this, or what was planned.
    pub(super) fn tell(&self, trouble: Option<Trouble>) {
        *self.lock() = Told { next: VecDeque::new(), then: trouble };
    }

    fn told(&self) -> Option<Trouble> {
        let mut told = self.lock();
        told.next.pop_front().or_else(|| told.then.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn over_the_limit(&self) -> Option<Trouble> {
        let not_until = self.limiter.as_ref()?.check().err()?;
        let wait = not_until.wait_time_from(DefaultClock::default().now());
        Some(Trouble::Refused {
            status: 429,
            error: Some("ratelimited".to_owned()),
            retry_after: Some(wait.saturating_add(Duration::from_nanos(999_999_999)).as_secs().max(1)),
        })
    }
}

fn limiter(of: RateLimit) -> DefaultDirectRateLimiter {
    let at_least_one = |number: u32| NonZeroU32::MIN.saturating_add(number.saturating_sub(1));
    let quota = Quota::per_minute(at_least_one(of.per_minute)).allow_burst(at_least_one(of.burst));
    DefaultDirectRateLimiter::direct(quota)
}

impl Fault {
    /// The trouble that request `number` meets: the first that applies.
    fn met_by(faults: &[Self], number: u64, has_cursor: bool, seed: u64) -> Option<&Trouble> {
        (0..)
            .zip(faults)
            .find(|(nth, fault)| {
                fault.when.applies_to(number, Dice::new(seed.wrapping_add(*nth), number))
                    && (has_cursor || fault.trouble != Trouble::CursorExpired)
            })
            .map(|(_, fault)| &fault.trouble)
    }
}

impl When {
    fn applies_to(&self, number: u64, mut dice: Dice) -> bool {
        match self {
            Self::On(numbers) => numbers.contains(&number),
            Self::Between(first, last) => (first..=last).contains(&&number),
            Self::Every(step) => number.checked_rem(*step) == Some(0),
            Self::Chance(chance) => {
                // A hundred-thousandth is fine enough, and exact in an f64.
                let roll = u32::try_from(dice.below(100_000)).unwrap_or(u32::MAX);
                f64::from(roll) < chance * 100_000.0
            }
        }
    }
}
