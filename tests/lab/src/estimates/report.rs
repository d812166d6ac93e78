//! The comparison of the estimates with the real ends, by kind of sessions.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::traffic::Kind;
use crate::figures_numbers::Sample;

/// A moment of a drain: the estimate that teeter printed then, and the truth. In seconds.
pub(crate) struct Moment {
    /// The time that was left.
    left: f64,
    /// The estimate: the median, and the spread around it. `None`: no number was printed.
    estimate: Option<[f64; 3]>,
}

impl Moment {
    pub(crate) fn new(elapsed: f64, took: f64, estimate: &Value) -> Self {
        let seconds = |key: &str| estimate[key].as_f64();
        let estimate = || Some([seconds("median_s")?, seconds("low_s")?, seconds("high_s")?]);
        Self { left: took - elapsed, estimate: estimate() }
    }
}

/// All moments.
#[derive(Default)]
pub(crate) struct Report(BTreeMap<Kind, Vec<Vec<Moment>>>);

impl Report {
    pub(crate) fn add(&mut self, kind: Kind, drains: Vec<Vec<Moment>>) {
        self.0.insert(kind, drains);
    }
}

/// The row of some moments.
fn row(f: &mut fmt::Formatter<'_>, title: &str, drains: usize, moments: &[&Moment]) -> fmt::Result {
    let printed: Vec<(f64, [f64; 3])> =
        moments.iter().filter_map(|moment| Some((moment.left, moment.estimate?))).collect();
    let within = printed.iter().filter(|(left, [_, low, high])| (*low..=*high).contains(left)).count();
    let below = printed.iter().filter(|(left, [_, low, _])| left < low).count();
    let above = printed.len() - within - below;
    let share = |count: usize| 100.0 * count as f64 / printed.len().max(1) as f64;
    let sample = |of: fn(&(f64, [f64; 3])) -> f64| Sample::new(printed.iter().map(of).collect()).percentile(0.5);
    let [left, error, width] = [
        sample(|(left, _)| *left),
        sample(|(left, [median, ..])| (left - median).abs()),
        sample(|(_, [_, low, high])| high - low),
    ];
    writeln!(
        f,
        "| {title} | {drains} | {} | {} | {:.0} | {:.0} | {:.0} | {left:.1} | {error:.1} | {width:.1} |",
        moments.len() - printed.len(),
        printed.len(),
        share(within),
        share(below),
        share(above)
    )
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEAD}")?;
        let (mut drains, mut all) = (0, Vec::new());
        for (kind, of_kind) in &self.0 {
            let moments: Vec<&Moment> = of_kind.iter().flatten().collect();
            row(f, kind.title(), of_kind.len(), &moments)?;
            drains += of_kind.len();
            all.extend(moments);
        }
        row(f, "all", drains, &all)
    }
}

const HEAD: &str = "\
| sessions | drains | moments without an estimate | with one | the end was within it, % | earlier, % | later, % \
| left, median s | error of the median, median s | from low to high, median s |
|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn table_counts_the_ends_within_the_estimate_and_on_either_side() {
        let estimate = json!({"median_s": 5, "low_s": 2, "high_s": 9});
        let left = |left: f64| Moment::new(10.0, 10.0 + left, &estimate);
        let drain = vec![left(1.0), left(2.0), left(6.0), left(9.5), Moment::new(1.0, 2.0, &Value::Null)];
        let mut report = Report::default();
        report.add(Kind::Even, vec![drain]);
        let text = report.to_string();
        let row = text.lines().nth(2).unwrap();
        assert_eq!(row, "| 2 to 8 s, each as often | 1 | 1 | 4 | 50 | 25 | 25 | 2.0 | 3.0 | 7.0 |");
        assert!(text.lines().nth(3).unwrap().starts_with("| all | 1 | 1 | 4 | 50 |"), "{text}");
    }
}
