//! What many runs have in common: how they ended, how long they took, and how long their drains took.

use jiff::SignedDuration;

use crate::api::{DrainEnd, FarmRuns, RunStatus, RunStrategy, RunSummaryView};
use crate::cli::report::words::{counted, length};

/// A number with its name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) number: usize,
    pub(super) name: &'static str,
    pub(super) class: &'static str,
}

/// How long the runs of one strategy took that were done.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lengths {
    pub(super) strategy: String,
    pub(super) done: usize,
    pub(super) median: String,
    /// The lengths between which the middle half of the runs lies.
    pub(super) half: String,
    pub(super) longest: String,
}

/// How the runs ended, in the order of a reader's interest.
pub(super) fn counts(runs: &[RunSummaryView]) -> Vec<Count> {
    let of = |state: &[RunStatus]| runs.iter().filter(|run| state.contains(&run.state)).count();
    let count = |number: usize, name: &'static str, class: &'static str| Count { number, name, class };
    vec![
        count(runs.len(), if runs.len() == 1 { "run" } else { "runs" }, ""),
        count(of(&[RunStatus::Done]), "done", "done"),
        count(of(&[RunStatus::RolledBack]), "rolled back", "warn"),
        count(of(&[RunStatus::Failed]), "failed", "bad"),
        count(of(&[RunStatus::Aborted]), "aborted", "warn"),
        count(of(&[RunStatus::Running, RunStatus::Aborting]), "going on", ""),
    ]
}

/// How long the runs took that were done, by strategy.
pub(super) fn lengths(runs: &[RunSummaryView]) -> Vec<Lengths> {
    let mut strategies: Vec<&RunStrategy> = runs.iter().map(|run| &run.strategy).collect();
    strategies.sort();
    strategies.dedup();
    let of = |strategy: &RunStrategy| {
        let done = runs.iter().filter(|run| run.strategy == *strategy && run.state == RunStatus::Done);
        let took = sorted(done.filter_map(took));
        Some(Lengths {
            strategy: strategy.to_string(),
            done: took.len(),
            median: length(quantile(&took, 50)?),
            half: format!("{} to {}", length(quantile(&took, 25)?), length(quantile(&took, 75)?)),
            longest: length(*took.last()?),
        })
    };
    strategies.into_iter().filter_map(of).collect()
}

/// How long a run took, in milliseconds; `None` while it has not ended.
pub(super) fn took(run: &RunSummaryView) -> Option<u64> {
    let took: SignedDuration = run.finished?.duration_since(run.started);
    u64::try_from(took.as_millis()).ok()
}

/// The lengths of all drains in milliseconds, the shortest first.
pub(super) fn drains(view: &FarmRuns) -> Vec<u64> {
    sorted(view.runs.iter().flat_map(|run| &run.drains).map(|drain| drain.took_ms))
}

/// How the drains ended, in words.
pub(super) fn outcomes(view: &FarmRuns) -> String {
    let ends = || view.runs.iter().flat_map(|run| &run.drains).map(|drain| &drain.outcome);
    let of = |end: DrainEnd, words: &str| {
        let number = ends().filter(|outcome| **outcome == end).count();
        (number > 0).then(|| format!("{number} {words}"))
    };
    let all = counted(ends().count().try_into().unwrap_or(u64::MAX), "drain");
    let parts = [
        of(DrainEnd::Empty, "ended with nothing in flight"),
        of(DrainEnd::WentOn, "went on at the deadline"),
        of(DrainEnd::Stuck, "stuck at the deadline"),
        of(DrainEnd::Restored, "ended because the servers came back"),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    format!("{all}: {}", parts.join(", "))
}

/// The median, the 95th percentile and the maximum of sorted lengths, as texts; empty if there are none.
pub(super) fn spread(sorted: &[u64]) -> [String; 3] {
    [quantile(sorted, 50), quantile(sorted, 95), sorted.last().copied()]
        .map(|value| value.map(length).unwrap_or_default())
}

/// The least value that is as great as this share of the values, in percent.
fn quantile(sorted: &[u64], percent: usize) -> Option<u64> {
    let place = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(place - 1).copied()
}

pub(super) fn sorted(values: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut values: Vec<u64> = values.collect();
    values.sort_unstable();
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::report::tests::many_runs;

    #[test]
    fn quantiles_are_values_of_the_list() {
        let values: Vec<u64> = (1..=20).collect();
        assert_eq!([25, 50, 95, 100].map(|percent| quantile(&values, percent)), [5, 10, 19, 20].map(Some));
        assert_eq!((quantile(&[7], 50), quantile(&[], 50)), (Some(7), None));
        assert_eq!(spread(&[]), ["", "", ""]);
    }

    #[test]
    fn runs_are_counted_by_their_ends_and_measured_by_their_strategy() {
        let view = many_runs(40);
        let counted: Vec<(usize, &str)> = counts(&view.runs).iter().map(|count| (count.number, count.name)).collect();
        assert_eq!(counted.iter().skip(1).map(|(number, _)| number).sum::<usize>(), 40);
        assert_eq!(counted[0], (40, "runs"));
        let lengths = lengths(&view.runs);
        assert!(lengths.iter().all(|of| of.done > 0 && of.half.contains(" to ")), "{lengths:?}");
        assert_eq!(lengths.iter().map(|of| of.done).sum::<usize>(), counted[1].0);
        let words = outcomes(&view);
        assert!(words.contains("ended with nothing in flight") && words.contains("stuck at the deadline"), "{words}");
    }
}
