//! How many requests a verdict still needs.

use super::evidence::{Question, Sample};

/// Further requests to the new side until it is found no worse, if both sides go on failing as so far. `concurrent`: the
/// old side gets requests in the same ratio meanwhile. `None` where no number of requests is enough.
pub(super) fn more_requests(question: &Question, limit: f64, concurrent: bool) -> Option<u64> {
    let Question { old, new, .. } = *question;
    // A few requests say little about the share of failures: until then the old side's share is expected.
    let share = if new.requests >= ENOUGH_FOR_A_SHARE { new.share() } else { old.share() };
    let ratio = if concurrent && new.requests > 0 { old.requests as f64 / new.requests as f64 } else { 0.0 };
    let later = |more: u64| {
        let grown = |sample: Sample, more: f64, share: f64| {
            let failed = sample.failed as f64 + more * share;
            Sample::new(sample.requests.saturating_add(more as u64), failed.round() as u64)
        };
        let more = more as f64;
        let question =
            Question { old: grown(old, more * ratio, old.share()), new: grown(new, more, share), ..*question };
        question.is_no_worse(limit)
    };
    let enough = (0..=MOST_DOUBLINGS).map(|doublings| 1_u64 << doublings).find(|more| later(*more))?;
    // Between half of it and all of it: to a sixteenth.
    let mut low = enough / 2;
    let step = (enough / 16).max(1);
    while low + step < enough && !later(low + step) {
        low += step;
    }
    Some((low + step).min(enough))
}

/// Requests after which the new side's own share of failures is expected to go on.
const ENOUGH_FOR_A_SHARE: u64 = 50;

/// At most 16 million requests.
const MOST_DOUBLINGS: u32 = 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_failures_need_fewer_requests() {
        let needed = |old: Sample, new: Sample, concurrent| {
            more_requests(&Question { old, new, more: 0.01, bursts: 1.0 }, 20f64.ln(), concurrent)
        };
        let none = needed(Sample::new(20_000, 0), Sample::new(100, 0), false).unwrap();
        let some = needed(Sample::new(20_000, 200), Sample::new(100, 1), false).unwrap();
        assert!((200..2000).contains(&none) && (none..20_000).contains(&some), "{none} {some}");
        assert_eq!(needed(Sample::new(20_000, 200), Sample::new(1000, 40), false), None, "it fails more than allowed");
        assert_eq!(needed(Sample::new(50, 1), Sample::new(100, 1), false), None, "the old side's share is not known");
        assert!(needed(Sample::new(500, 5), Sample::new(100, 1), true).is_some(), "and becomes known meanwhile");
    }
}
