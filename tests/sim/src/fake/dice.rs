//! Chance that can be repeated: the same seed gives the same throws.

use std::ops::Range;

/// A small generator of numbers (splitmix64).
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of these numbers; the first of an empty range.
    pub(super) fn of(&mut self, range: Range<u64>) -> u64 {
        range.start + self.throw() % range.end.saturating_sub(range.start).max(1)
    }

    /// Once in so many throws.
    pub(super) fn once_in(&mut self, throws: u64) -> bool {
        self.of(0..throws) == 0
    }
}
