//! Numbers that look random and follow from their seed alone.

/// A stream of numbers (splitmix64): the same for the same start, on every machine.
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    /// The stream of the `nth` thing under `seed`.
    pub(super) fn new(seed: u64, nth: u64) -> Self {
        Self(scatter(seed ^ 0x5eed_51ac_4cef_0001).wrapping_add(scatter(nth)))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        scatter(self.0)
    }

    /// A number below `bound`; 0 where `bound` is 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next().checked_rem(bound).unwrap_or(0)
    }

    /// True once in so many times; never for 0.
    pub(super) fn once_in(&mut self, times: u64) -> bool {
        self.next().checked_rem(times) == Some(0)
    }

    /// One text of the list.
    pub(super) fn pick<'a>(&mut self, list: &[&'a str]) -> &'a str {
        let nth = usize::try_from(self.below(list.len() as u64)).unwrap_or(0);
        list.get(nth).copied().unwrap_or_default()
    }
}

/// Mixes the bits of a number until neighbours have nothing in common.
const fn scatter(number: u64) -> u64 {
    let mixed = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
