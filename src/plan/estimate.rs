//! How much longer a drain takes, by the earlier drains of its farm.

use std::time::Duration;

/// An estimate of the time until a drain ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// Half of the earlier drains ended by then.
    pub median: Duration,
    /// A tenth of them ended by then.
    pub low: Duration,
    /// Nine tenths of them ended by then.
    pub high: Duration,
    /// The number of earlier drains that took longer than this one has taken so far.
    pub drains: usize,
}

impl Estimate {
    /// The estimate for a drain that has lasted for `elapsed`, by how long earlier drains lasted that ended by themselves.
    /// `None` where too few of them lasted as long: there is no ground for a number.
    pub fn new(earlier: &[Duration], elapsed: Duration) -> Option<Self> {
        let mut left: Vec<Duration> = earlier.iter().filter_map(|took| took.checked_sub(elapsed)).collect();
        if left.len() < FEWEST {
            return None;
        }
        left.sort_unstable();
        let share = |tenths: usize| left.get((left.len() * tenths).div_ceil(10).saturating_sub(1)).copied();
        Some(Self { median: share(5)?, low: share(1)?, high: share(9)?, drains: left.len() })
    }
}

/// The fewest earlier drains that an estimate needs.
const FEWEST: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: &[u64]) -> Vec<Duration> {
        seconds.iter().copied().map(Duration::from_secs).collect()
    }

    #[test]
    fn estimate_counts_only_drains_that_lasted_as_long() {
        let earlier = seconds(&[1, 2, 3, 10, 20, 30, 40, 50, 60, 70]);
        let estimate = Estimate::new(&earlier, Duration::from_secs(5)).unwrap();
        assert_eq!((estimate.drains, estimate.median.as_secs()), (7, 35));
        assert_eq!((estimate.low.as_secs(), estimate.high.as_secs()), (5, 65));
        assert_eq!(Estimate::new(&earlier, Duration::from_secs(35)), None);
        assert_eq!(Estimate::new(&[], Duration::ZERO), None);
    }
}
