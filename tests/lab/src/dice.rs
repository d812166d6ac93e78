//! Random numbers that can be repeated: the same seed gives the same numbers.

use std::ops::Range;

/// A small generator of numbers (splitmix64).
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Dice with this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Other dice, with a seed that differs for each `number`.
    pub fn fork(&self, number: u64) -> Self {
        let mut dice = Self(self.0 ^ number.wrapping_mul(0xd6e8_feb8_6659_fd93));
        Self(dice.throw())
    }

    /// Any number.
    pub fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number of this range; of an empty range its start.
    pub fn within(&mut self, range: Range<u64>) -> u64 {
        range.start + self.throw() % range.end.saturating_sub(range.start).max(1)
    }

    /// One of several.
    ///
    /// # Panics
    /// If there is none.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        let at = self.within(0..from.len() as u64);
        &from[usize::try_from(at).unwrap_or_default()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throws_stay_in_their_range_and_can_be_repeated() {
        let (mut one, mut same) = (Dice::new(7), Dice::new(7));
        for _ in 0..1000 {
            let thrown = one.within(3..9);
            assert!((3..9).contains(&thrown));
            assert_eq!(thrown, same.within(3..9));
        }
        assert_ne!(Dice::new(7).fork(1).throw(), Dice::new(7).fork(2).throw());
    }
}
