//! The evidence that one side's error share is larger, or not larger, than the other's plus what is allowed.
//!
//! Both tests are valid at every look: their false alarms stay below the chosen chance however often, and until
//! whenever, one looks. For one error share of the old side, `p`, two factors are multiplied:
//!
//! - the likelihood ratio of the new side's counts, mixed over several larger shares, against the share `p` plus what is
//!   allowed. Under every share up to that one it is a non-negative supermartingale (Robbins, "Statistical methods
//!   related to the law of the iterated logarithm", Annals of Mathematical Statistics 41, 1970);
//! - the likelihood ratio of the old side's counts, mixed over several other shares, against `p`: where the old side's
//!   counts do not fit `p`, this factor is large, so such a `p` excuses nothing.
//!
//! The product is one, too, for the true `p`, so it exceeds `1 / alpha` at any time with a chance of at most `alpha`
//! (Ville's inequality; Howard, Ramdas, McAuliffe and Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence
//! sequences", Annals of Statistics 49, 2021). The true `p` is not known: the smallest product over all `p` decides
//! (Wasserman, Ramdas and Balakrishnan, "Universal inference", PNAS 117, 2020). So the uncertainty of the old side's
//! share is part of the test.
//!
//! Errors that come in bursts are fewer independent observations than they are errors. Each logarithm is divided by the
//! burst factor of `bursts.rs`; for bursts of one size that is exact, for others it is an approximation.

use crate::farm::Counts;

/// What one side has counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sample {
    /// Requests.
    pub(super) requests: u64,
    /// Those of them that failed.
    pub(super) failed: u64,
}

impl Sample {
    /// A sample in which at most every request has failed: HAProxy counts each attempt to connect.
    pub(super) fn new(requests: u64, failed: u64) -> Self {
        Self { requests, failed: failed.min(requests) }
    }

    /// The requests that were counted, and those that were answered with 5xx.
    pub(super) fn of_5xx(counts: &Counts) -> Self {
        Self::new(counts.requests, counts.hrsp_5xx)
    }

    /// The requests that were counted, and those that failed.
    pub(super) fn of_errors(counts: &Counts) -> Self {
        Self::new(counts.requests, counts.errors)
    }

    /// Both samples together.
    pub(super) fn plus(self, more: Self) -> Self {
        Self::new(self.requests.saturating_add(more.requests), self.failed.saturating_add(more.failed))
    }

    /// The share of failed requests; zero without requests.
    pub(super) fn share(self) -> f64 {
        if self.requests == 0 { 0.0 } else { self.failed as f64 / self.requests as f64 }
    }

    /// The logarithm of the likelihood ratio of the share `q` against the share `p`.
    fn ln_ratio(self, q: f64, p: f64) -> f64 {
        let passed = (self.requests - self.failed) as f64;
        let of_failed = if self.failed == 0 { 0.0 } else { self.failed as f64 * (q / p).ln() };
        let of_passed = if passed == 0.0 { 0.0 } else { passed * ((1.0 - q) / (1.0 - p)).ln() };
        of_failed + of_passed
    }
}

/// The question: whether the new side fails more often than the old side and `more` together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question {
    /// The side to compare with.
    pub(super) old: Sample,
    /// The side that is watched.
    pub(super) new: Sample,
    /// How much larger its share may be.
    pub(super) more: f64,
    /// The burst factor: how many errors count as one observation; at least 1.
    pub(super) bursts: f64,
}

impl Question {
    /// Whether the new side is worse than allowed; a false answer has at most the chance `exp(-limit)`.
    pub(super) fn is_worse(&self, limit: f64) -> bool {
        let (allowed, share) = (self.old.share() + self.more, self.new.share());
        // The best ratio against the likeliest share of the old side is an upper bound, and nearly always decides.
        if share <= allowed || allowed >= LARGEST || self.new.ln_ratio(share, allowed) / self.bursts < limit {
            return false;
        }
        // Without any request nothing is known of the old side but that it worked more often than not.
        let highest = if self.old.requests == 0 { 0.5 } else { LARGEST };
        let evidence = |p: f64| {
            let allowed = p + self.more;
            let larger = mean(LARGER.map(|odds| self.new.ln_ratio(with_odds(allowed, odds), allowed) / self.bursts));
            larger + self.refutes(p, SMALLER.map(|part| p * part))
        };
        grid((self.old.share() * 0.9).max(SMALLEST), highest - self.more).all(|p| evidence(p) >= limit)
    }

    /// Whether the new side is no worse than allowed; a false answer has at most the chance `exp(-limit)`.
    pub(super) fn is_no_worse(&self, limit: f64) -> bool {
        let allowed = (self.old.share() + self.more).min(LARGEST);
        let share = self.new.share().max(SMALLEST);
        let nothing_known = self.old.requests == 0;
        if nothing_known || share >= allowed || self.new.ln_ratio(share, allowed) / self.bursts < limit {
            return false;
        }
        let evidence = |p: f64| {
            let allowed = p + self.more;
            let smaller = mean(SMALLER.map(|part| self.new.ln_ratio(allowed * part, allowed) / self.bursts));
            smaller + self.refutes(p, SLIGHTLY_LARGER.map(|odds| with_odds(p, odds)))
        };
        let highest = (self.old.share() * 1.1).clamp(SMALLEST * 2.0, LARGEST - self.more);
        // Shares just below the old side's own are the hardest to refute: from there on downwards.
        grid(SMALLEST, highest).rev().all(|p| evidence(p) >= limit)
    }

    /// How much the old side's counts contradict the share `p`, for one of these other shares; a quarter of the weight
    /// is on no contradiction.
    fn refutes<const N: usize>(&self, p: f64, others: [f64; N]) -> f64 {
        let contradiction = mean(others.map(|other| self.old.ln_ratio(other, p) / self.bursts));
        ln_sum([0.25_f64.ln(), 0.75_f64.ln() + contradiction])
    }
}

/// The limit for a chance of one in twenty: the logarithm of twenty.
pub(super) const ONE_IN_TWENTY: f64 = 2.995_732_273_553_991;

/// Larger shares that are tried, as factors of the odds.
const LARGER: [f64; 6] = [1.6, 2.5, 4.0, 8.0, 25.0, 200.0];
/// Larger shares for the old side, which needs finer steps.
const SLIGHTLY_LARGER: [f64; 6] = [1.05, 1.2, 1.5, 2.2, 5.0, 20.0];
/// Smaller shares that are tried, as factors of the share.
const SMALLER: [f64; 6] = [0.95, 0.85, 0.7, 0.5, 0.25, 0.02];

/// Shares are compared between these two.
const SMALLEST: f64 = 1e-5;
const LARGEST: f64 = 0.98;

/// The share whose odds are so many times those of `p`.
fn with_odds(p: f64, factor: f64) -> f64 {
    let odds = p / (1.0 - p) * factor;
    odds / (1.0 + odds)
}

/// Shares from the lowest to the highest, in equal ratios.
fn grid(lowest: f64, highest: f64) -> impl DoubleEndedIterator<Item = f64> {
    let highest = highest.max(lowest);
    let ratio = (highest / lowest).ln() / f64::from(STEPS);
    (0..=STEPS).map(move |step| lowest * (ratio * f64::from(step)).exp())
}

/// The steps of a grid: over five orders of magnitude, two neighbours differ by a quarter.
const STEPS: u32 = 48;

/// The logarithm of the mean of numbers that are given by their logarithms.
fn mean<const N: usize>(logarithms: [f64; N]) -> f64 {
    ln_sum(logarithms) - (N as f64).ln()
}

/// The logarithm of the sum of numbers that are given by their logarithms.
fn ln_sum<const N: usize>(logarithms: [f64; N]) -> f64 {
    let largest = logarithms.into_iter().fold(f64::NEG_INFINITY, f64::max);
    if !largest.is_finite() {
        return largest;
    }
    largest + logarithms.into_iter().map(|one| (one - largest).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(old: (u64, u64), new: (u64, u64), bursts: f64) -> Question {
        Question { old: Sample::new(old.0, old.1), new: Sample::new(new.0, new.1), more: 0.01, bursts }
    }

    fn worse(old: (u64, u64), new: (u64, u64)) -> bool {
        question(old, new, 1.0).is_worse(100f64.ln())
    }

    #[test]
    fn failures_of_every_request_are_seen_early() {
        assert!(worse((1500, 0), (3, 3)) && worse((1500, 30), (4, 4)));
        assert!(!worse((1500, 0), (1, 1)), "one failure proves nothing");
        assert!(question((1500, 0), (10, 10), 6.0).is_worse(100f64.ln()), "nor does a burst hide it");
        assert!(!worse((1500, 1500), (500, 500)), "the old side failed as well");
    }

    #[test]
    fn a_share_that_is_allowed_is_never_worse() {
        for requests in [10, 100, 1000, 100_000] {
            assert!(!worse((1500, 15), (requests, requests / 50)), "{requests}");
        }
        assert!(worse((15_000, 150), (1000, 60)));
        assert!(!worse((20, 0), (1000, 60)), "too little is known of the old side");
    }

    #[test]
    fn a_side_without_any_request_is_no_measure() {
        assert!(!worse((0, 0), (200, 60)));
        assert!(worse((0, 0), (200, 200)), "but no version may fail every request");
        assert!(!question((0, 0), (100_000, 0), 1.0).is_no_worse(20f64.ln()));
    }

    #[test]
    fn no_worse_needs_enough_requests() {
        let no_worse = |old, new| question(old, new, 1.0).is_no_worse(20f64.ln());
        assert!(!no_worse((1500, 0), (200, 0)) && no_worse((1500, 0), (900, 0)));
        assert!(!no_worse((1500, 15), (900, 9)) && no_worse((15_000, 150), (4000, 40)));
        assert!(!no_worse((15_000, 150), (100_000, 2100)), "it is worse");
    }

    #[test]
    fn extreme_counts_have_an_answer() {
        for old in [(0, 0), (1, 0), (1, 1), (u64::MAX / 2, 0), (u64::MAX / 2, u64::MAX / 2)] {
            for new in [(0, 0), (1, 0), (1, 1), (u64::MAX / 2, 0), (u64::MAX / 2, u64::MAX / 2)] {
                for (more, bursts) in [(0.0, 1.0), (0.01, 6.0), (0.9, 1.0), (1.0, 1.0), (655.35, 1.0)] {
                    let question = Question { more, bursts, ..question(old, new, 1.0) };
                    let both = question.is_worse(100f64.ln()) && question.is_no_worse(20f64.ln());
                    assert!(!both, "{question:?}");
                }
            }
        }
    }
}
