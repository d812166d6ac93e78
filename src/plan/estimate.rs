//! How much longer a drain takes, by the earlier drains of its farm.

use std::time::Duration;

/// An estimate of the time until a drain ends. If the drain is like the earlier ones, it ends between `low` and `high` in
/// four of five cases at least, also by few earlier drains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// Half of the earlier drains ended by then.
    pub median: Duration,
    /// A tenth of them at most ended before.
    pub low: Duration,
    /// A tenth of them at most ended later.
    pub high: Duration,
    /// The number of earlier drains that took longer than this one has taken so far.
    pub drains: usize,
}

impl Estimate {
    /// The estimate for a drain that has lasted for `elapsed`, by how long earlier drains lasted that ended by themselves.
    /// `None` where too few of them lasted as long: there is no ground for a number.
    ///
    /// One more value of the same kind falls between the values of rank l and h of n with the chance (h − l) / (n + 1),
    /// whatever their distribution: the next value is equally likely to fall into each of the n + 1 gaps. So the ranks
    /// are counted by n + 1, and fewer than nine values cannot give four of five.
    pub fn new(earlier: &[Duration], elapsed: Duration) -> Option<Self> {
        let mut left: Vec<Duration> = earlier.iter().filter_map(|took| took.checked_sub(elapsed)).collect();
        if left.len() < FEWEST {
            return None;
        }
        left.sort_unstable();
        let (gaps, at_rank) = (left.len() + 1, |rank: usize| left.get(rank.checked_sub(1)?).copied());
        let (low, high) = (at_rank(gaps / 10)?, at_rank((gaps * 9).div_ceil(10))?);
        Some(Self { median: at_rank(gaps / 2)?, low, high, drains: left.len() })
    }
}

/// The fewest earlier drains that an estimate needs: see [`Estimate::new`].
const FEWEST: usize = 9;

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: &[u64]) -> Vec<Duration> {
        seconds.iter().copied().map(Duration::from_secs).collect()
    }

    #[test]
    fn estimate_counts_only_drains_that_lasted_as_long() {
        let earlier = seconds(&[1, 2, 3, 10, 20, 30, 40, 50, 60, 70, 80, 90]);
        let estimate = Estimate::new(&earlier, Duration::from_secs(5)).unwrap();
        assert_eq!((estimate.drains, estimate.median.as_secs()), (9, 45));
        assert_eq!((estimate.low.as_secs(), estimate.high.as_secs()), (5, 85));
        assert_eq!(Estimate::new(&earlier, Duration::from_secs(15)), None);
        assert_eq!(Estimate::new(&[], Duration::ZERO), None);
    }

    #[test]
    fn next_of_equal_drains_ends_within_the_estimate_in_four_of_five_cases() {
        for count in [9, 10, 14, 19, 50, 100] {
            // The next drain falls into each gap between the earlier ones equally often, and before and after them.
            let earlier: Vec<Duration> = (1..=count).map(|place| Duration::from_secs(2 * place)).collect();
            let estimate = Estimate::new(&earlier, Duration::ZERO).unwrap();
            let ends = (0..=count).map(|gap| Duration::from_secs(2 * gap + 1));
            let within = ends.filter(|end| (estimate.low..=estimate.high).contains(end)).count() as u64;
            assert!(within * 5 >= (count + 1) * 4, "{count}: {within}");
            assert!(within * 5 <= (count + 1) * 5 - 2, "{count}: {within}: a spread of everything says nothing");
        }
    }
}
