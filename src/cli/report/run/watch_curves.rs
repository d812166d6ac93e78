//! The watches of a run: the shares of failures of both sides over time, the limit, and the verdict in words.

use jiff::tz::TimeZone;

use crate::api::{RunView, StepView, WatchCountsView, WatchPointView, WatchVerdict, WatchView};
use crate::cli::clock;
use crate::cli::report::axis::{Tick, path, time_ticks};
use crate::cli::report::words::{counted, length, took};
use crate::farm::Share;

/// One watch.
#[derive(Debug)]
pub(super) struct Watch {
    /// Its step.
    pub(super) name: String,
    pub(super) verdict: String,
    /// The class of the verdict in the style.
    pub(super) class: &'static str,
    /// The numbers behind the verdict.
    pub(super) text: String,
    /// When it began, how long it took, and what was counted.
    pub(super) about: String,
    /// The side that had got traffic, and the other side.
    pub(super) new: String,
    pub(super) old: String,
    pub(super) charts: Vec<Chart>,
}

/// The curves of one kind of failure, in a box of [`WIDTH`] by [`HEIGHT`].
#[derive(Debug)]
pub(super) struct Chart {
    pub(super) title: String,
    /// The greatest share: the upper end of the vertical axis.
    pub(super) top: String,
    pub(super) new: String,
    pub(super) old: String,
    pub(super) limit: String,
    /// How much the share may rise.
    pub(super) rise: String,
    pub(super) ticks: Vec<Tick>,
}

/// A kind of failure.
struct Measure {
    name: &'static str,
    /// What a request did that counts.
    verb: &'static str,
    failures: fn(&WatchCountsView) -> u64,
}

/// The latest watches of a run, in their order.
pub(super) fn watches(run: &RunView, zone: &TimeZone) -> Vec<Watch> {
    let first = run.watches.len().saturating_sub(MOST_WATCHES);
    run.watches[first..].iter().map(|watch| Watch::new(watch, run, zone)).collect()
}

/// Why there is no curve though the run has watched; `None` if there are some, or it has not.
pub(super) fn without_watches(run: &RunView) -> Option<&'static str> {
    let watched = |step: &StepView| step.text.starts_with("bake ") && step.ended.is_some();
    (run.watches.is_empty() && run.steps.iter().any(watched)).then_some(
        "There is no curve of this run's watches: the run is from before teeterd recorded them, or its farm compares \
         no failures.",
    )
}

impl Watch {
    fn new(watch: &WatchView, run: &RunView, zone: &TimeZone) -> Self {
        let step = run.steps.get(watch.step).map(|step| step.text.clone());
        let began = clock::within(watch.began, zone, "%H:%M:%S");
        let takes = match watch.ended {
            Some(ended) => format!("for {}", took(ended.duration_since(watch.began))),
            None => "until now".to_owned(),
        };
        let counted_when = if watch.concurrent { "over the same time" } else { "before" };
        let requests = watch.points.last().map_or((0, 0), |last| (last.new.requests, last.old.requests));
        let (new, old) = (watch.new.join(" and "), watch.old.join(" and "));
        let measures = [(&watch.max_5xx, &ANSWERS_5XX), (&watch.max_errors, &FAILED)];
        let charts = measures.into_iter().filter_map(|(rise, measure)| Chart::new(watch, measure, rise.as_deref()?));
        Self {
            name: step.unwrap_or_else(|| format!("step {}", watch.step + 1)),
            verdict: watch.verdict.to_string(),
            class: match watch.verdict {
                WatchVerdict::NoWorse => "done",
                WatchVerdict::Worse => "bad",
                _ => "warn",
            },
            text: watch.text.clone(),
            about: format!(
                "from {began} {takes}: {} to {new}, compared with {} to {old} {counted_when}; the chance of a false \
                 rollback is {}",
                counted(requests.0, "request"),
                counted(requests.1, "request"),
                watch.alpha
            ),
            charts: charts.collect(),
            new,
            old,
        }
    }
}

impl Chart {
    /// `None` if neither side had a request.
    fn new(watch: &WatchView, measure: &Measure, rise: &str) -> Option<Self> {
        let Measure { name, verb, failures } = measure;
        let share =
            |counts: &WatchCountsView| (counts.requests > 0).then(|| failures(counts) as f64 / counts.requests as f64);
        let more = rise.parse::<Share>().map(Share::as_part).unwrap_or_default();
        let curve = |side: fn(&WatchPointView) -> &WatchCountsView| -> Vec<(u64, f64)> {
            watch.points.iter().filter_map(|point| Some((point.ms, share(side(point))?))).collect()
        };
        let (new, old) = (curve(|point| &point.new), curve(|point| &point.old));
        let limit: Vec<(u64, f64)> = old.iter().map(|(at, share)| (*at, share + more)).collect();
        let most = new.iter().chain(&limit).map(|(_, share)| *share).reduce(f64::max)?;
        let last = watch.points.last()?.ms.max(1);
        let scale = if most > 0.0 { most } else { 1.0 };
        let place = |(at, share): &(u64, f64)| {
            (at.saturating_mul(WIDTH) / last, format!("{:.1}", HEIGHT * (1.0 - share / scale)))
        };
        let path = |curve: &[(u64, f64)]| path(curve.iter().map(place));
        let end = |curve: &[(u64, f64)]| curve.last().map_or_else(|| "none".to_owned(), |(_, share)| percent(*share));
        Some(Self {
            title: format!(
                "{name}: {} at the end on the side that is watched, {} on the other, after {}",
                end(&new),
                end(&old),
                length(last)
            ),
            top: format!("{} of requests {verb}", percent(scale)),
            new: path(&new),
            old: path(&old),
            limit: path(&limit),
            rise: rise.to_owned(),
            ticks: time_ticks(i64::try_from(last).unwrap_or(i64::MAX)),
        })
    }
}

/// A part of one in percent, to two digits or so.
fn percent(part: f64) -> String {
    match part * 100.0 {
        0.0 => "0%".to_owned(),
        percent if percent < 1.0 => format!("{percent:.2}%"),
        percent if percent < 10.0 => format!("{percent:.1}%"),
        percent => format!("{percent:.0}%"),
    }
}

/// 5xx answers.
const ANSWERS_5XX: Measure = Measure { name: "5xx answers", verb: "got 5xx", failures: |counts| counts.hrsp_5xx };
/// Requests that failed in another way.
const FAILED: Measure =
    Measure { name: "failed connections and broken answers", verb: "failed", failures: |counts| counts.errors };

/// The most watches of a page.
const MOST_WATCHES: usize = 100;

/// The size of the box of a chart, as in its template.
const WIDTH: u64 = 1000;
const HEIGHT: f64 = 100.0;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::cli::report::tests::document;

    fn counts(requests: u64, hrsp_5xx: u64) -> Value {
        json!({"requests": requests, "hrsp_5xx": hrsp_5xx, "errors": 0})
    }

    fn watched(points: &[(u64, Value, Value)]) -> Watch {
        let points: Vec<Value> =
            points.iter().map(|(ms, new, old)| json!({"ms": ms, "new": new, "old": old})).collect();
        let watch = json!({"step": 5, "new": ["a"], "old": ["b"], "began": "2026-11-26T10:00:00Z",
            "ended": "2026-11-26T10:01:00Z", "concurrent": true, "verdict": "worse", "text": "5xx: 8% and 1%",
            "needed": null, "waits": false, "max_5xx": "1%", "max_errors": null, "alpha": "1%", "min_requests": 100,
            "points": points});
        let run: RunView = document("run.canary-watched");
        Watch::new(&serde_json::from_value(watch).unwrap(), &run, &TimeZone::UTC)
    }

    #[test]
    fn both_sides_and_the_limit_are_drawn_over_the_same_time() {
        let watch = watched(&[
            (0, counts(0, 0), counts(0, 0)),
            (30_000, counts(100, 2), counts(100, 1)),
            (60_000, counts(200, 16), counts(200, 2)),
        ]);
        assert_eq!((watch.name.as_str(), watch.verdict.as_str(), watch.class), ("bake a 10m", "worse", "bad"));
        assert!(watch.about.contains("200 requests to a, compared with 200 requests to b over the same time"));
        let [chart] = watch.charts.as_slice() else { panic!("{watch:?}") };
        assert_eq!(chart.top, "8.0% of requests got 5xx");
        assert_eq!((chart.new.as_str(), chart.old.as_str()), ("M500 75.0L1000 0.0", "M500 87.5L1000 87.5"));
        assert_eq!(chart.limit, "M500 75.0L1000 75.0");
        assert!(chart.title.starts_with("5xx answers: 8.0% at the end on the side that is watched, 1.0%"));
    }

    #[test]
    fn a_watch_without_a_request_has_words_only() {
        let watch = watched(&[(0, counts(0, 0), counts(0, 0)), (9000, counts(0, 0), counts(0, 0))]);
        assert!(watch.charts.is_empty() && watch.about.contains("0 requests to a"), "{watch:?}");
        assert!(watched(&[]).charts.is_empty());
        let flat = watched(&[(5000, counts(50, 0), counts(0, 0))]);
        assert_eq!((flat.charts[0].new.as_str(), flat.charts[0].limit.as_str()), ("M1000 100.0", ""));
    }

    #[test]
    fn a_run_that_watched_before_watches_were_kept_says_so() {
        let mut run: RunView = document("run.canary-watched");
        run.watches.clear();
        assert_eq!(without_watches(&run), None);
        run.steps[5].ended = run.steps[5].began;
        assert!(without_watches(&run).is_some_and(|words| words.contains("before teeterd recorded them")));
    }
}
