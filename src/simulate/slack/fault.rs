//! What goes wrong, and at which requests.

use std::time::Duration;

use super::dice::Dice;

/// Something that goes wrong at some of the requests for logs.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// At which requests.
    pub when: When,
    /// What happens.
    pub trouble: Trouble,
}

/// Chooses requests for logs, which are counted from 1 whatever became of them.
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

impl Fault {
    /// The trouble that request `number` meets: the first that applies.
    pub(super) fn met_by(faults: &[Self], number: u64, has_cursor: bool, seed: u64) -> Option<&Trouble> {
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
