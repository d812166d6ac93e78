//! Whether failures come one by one or in bursts, estimated from counts over time.
//!
//! One broken connection to a database fails ten requests in a row. Ten such failures say as little as one. The burst
//! factor is the variance of the failures over windows, as a multiple of the variance that independent failures have:
//! 1 where failures are independent, and the length of the bursts where they come in bursts.

use serde::{Deserialize, Serialize};

/// Failures in windows of several lengths.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bursts {
    windows: [Windows; LENGTHS],
}

/// The windows of one length.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Windows {
    /// How many are complete.
    count: u64,
    /// Requests and failures in complete windows.
    requests: u64,
    failed: u64,
    /// The sum of squared failures for each request, in thousandths.
    squares: u64,
    /// Requests and failures in the window that is not complete.
    open_requests: u64,
    open_failed: u64,
}

/// The lengths: 4 requests, 8, 16 and so on, up to 512.
const LENGTHS: usize = 8;

/// The requests of the shortest window.
const SHORTEST: u64 = 4;

/// Fewer windows than this say nothing.
const FEWEST: u64 = 8;

impl Bursts {
    /// Adds what was counted since the last look. A look with more requests than a window is one window.
    pub fn add(&mut self, requests: u64, failed: u64) {
        if requests == 0 && failed == 0 {
            return;
        }
        for (index, windows) in self.windows.iter_mut().enumerate() {
            windows.open_requests = windows.open_requests.saturating_add(requests);
            windows.open_failed = windows.open_failed.saturating_add(failed);
            if windows.open_requests >= SHORTEST << index {
                windows.close();
            }
        }
    }

    /// The factor of the window length that shows the strongest bursts, and the information behind it.
    fn strongest(&self) -> Estimate {
        let estimates = self.windows.iter().filter_map(Windows::estimate);
        estimates.max_by(|one, other| one.factor.total_cmp(&other.factor)).unwrap_or_default()
    }
}

impl Windows {
    fn close(&mut self) {
        let failed = u128::from(self.open_failed);
        let square = failed * failed * 1000 / u128::from(self.open_requests.max(1));
        self.count += 1;
        self.requests = self.requests.saturating_add(self.open_requests);
        self.failed = self.failed.saturating_add(self.open_failed);
        self.squares = self.squares.saturating_add(u64::try_from(square).unwrap_or(u64::MAX));
        (self.open_requests, self.open_failed) = (0, 0);
    }

    fn estimate(&self) -> Option<Estimate> {
        if self.count < FEWEST || self.failed == 0 || self.failed >= self.requests {
            return None;
        }
        let (failed, requests) = (self.failed as f64, self.requests as f64);
        let share = failed / requests;
        let variance = share * (1.0 - share);
        let beyond_first = (self.count - 1) as f64;
        let factor = (self.squares as f64 / 1000.0 - failed * failed / requests) / (beyond_first * variance);
        // The largest of several estimates is too large by chance, the more the fewer windows there are.
        let chance = 1.0 + 0.5 * (2.0 / beyond_first).sqrt();
        Some(Estimate { factor: factor / chance, information: requests * variance })
    }
}

/// A factor, with the variance that independent failures would have: about the number of failures.
#[derive(Debug, Clone, Copy, Default)]
struct Estimate {
    factor: f64,
    information: f64,
}

impl Estimate {
    /// The number of bursts behind the factor.
    fn bursts(self) -> f64 {
        self.information / self.factor.max(1.0)
    }
}

/// How many failures count as one observation. While few failures were seen, bursts of medium length are assumed.
pub(super) fn factor(old: &Bursts, new: &Bursts) -> f64 {
    let (old, new) = (old.strongest(), new.strongest());
    // A side that has just begun to fail looks like one long burst: it may raise the factor only so far.
    let new = Estimate { factor: new.factor.min(LARGEST_OF_NEW.max(1.5 * old.factor)), ..new };
    let average = |weight: fn(Estimate) -> f64| {
        let sum = ASSUMED * WEIGHT + old.factor * weight(old) + new.factor * weight(new);
        sum / (WEIGHT + weight(old) + weight(new))
    };
    // One burst is one observation of a burst, however many failures it has; and many failures outweigh the assumption.
    average(Estimate::bursts).max(average(|side| side.information)).max(1.0)
}

/// The factor that is assumed without any failure. It is below the length of the shortest disaster: when the first ten
/// requests fail, the evidence must be enough.
const ASSUMED: f64 = 6.0;

/// The number of observations whose weight the assumption has.
const WEIGHT: f64 = 1.5;

/// The largest factor that the new side's failures are taken for, unless the old side's come in longer bursts.
const LARGEST_OF_NEW: f64 = 10.0;

#[cfg(test)]
mod tests {
    use super::*;

    /// Failures in bursts of a length, one burst in each so many requests.
    fn bursts(length: u64, every: u64, requests: u64) -> Bursts {
        let mut bursts = Bursts::default();
        for request in 0..requests {
            // The distance between bursts varies.
            let shift = (request / every) * 7 % (every / 2);
            let within = request % every;
            bursts.add(1, u64::from((shift..shift + length).contains(&within)));
        }
        bursts
    }

    #[test]
    fn bursts_are_told_from_single_failures() {
        let none = Bursts::default();
        assert!((5.9..6.1).contains(&factor(&none, &none)));
        let single = factor(&bursts(1, 100, 20_000), &none);
        assert!((1.0..1.3).contains(&single), "{single}");
        let tens = factor(&bursts(10, 1000, 20_000), &none);
        assert!((8.0..12.0).contains(&tens), "{tens}");
    }

    #[test]
    fn a_new_version_that_fails_does_not_pass_for_a_burst() {
        let (old, mut new) = (bursts(1, 200, 20_000), Bursts::default());
        (0..300).for_each(|_| new.add(1, 0));
        (0..300).for_each(|_| new.add(1, 1));
        assert!(factor(&old, &new) < 11.0, "{}", factor(&old, &new));
    }

    #[test]
    fn huge_counts_do_not_overflow() {
        let mut bursts = Bursts::default();
        (0..10).for_each(|_| bursts.add(1 << 40, 1 << 40));
        (0..10).for_each(|_| bursts.add(1 << 40, 0));
        assert!(factor(&bursts, &bursts).is_finite());
        assert_eq!(serde_json::from_str::<Bursts>(&serde_json::to_string(&bursts).unwrap()).unwrap(), bursts);
    }
}
