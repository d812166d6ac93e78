//! The page of the runs of a farm, from their summaries. Pure; the template escapes every text.

use askama::Template;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::histogram::Histogram;
use super::numbers::{Count, Lengths, counts, drains, lengths, outcomes, sorted, spread, took};
use crate::api::{FarmRuns, RunStatus, RunSummaryView};
use crate::cli::clock;
use crate::cli::report::words::{length, window};

/// The page.
#[derive(Debug, Template)]
#[template(path = "farm.html", config = "src/cli/report/askama.toml")]
pub(in crate::cli::report) struct Page {
    generator: &'static str,
    title: String,
    period: String,
    /// Which runs are left out; `None` if none is.
    left_out: Option<String>,
    counts: Vec<Count>,
    lengths: Vec<Lengths>,
    outcomes: String,
    /// Of all drains.
    spread: [String; 3],
    histogram: Option<Histogram>,
    rows: Vec<Row>,
    written: String,
}

#[derive(Debug)]
struct Row {
    run: u64,
    began: String,
    by: String,
    strategy: String,
    version: String,
    state: String,
    class: &'static str,
    why: Option<String>,
    took: String,
    drains: [String; 3],
    flips: String,
}

impl Page {
    /// The page of these runs.
    pub(in crate::cli::report) fn new(view: &FarmRuns, now: Timestamp, zone: &TimeZone) -> Self {
        let local = |at: Timestamp| clock::within(at, zone, "%Y-%m-%d %H:%M");
        let since = view.since.map(local);
        let first = view.runs.last().map(|run| local(run.started));
        let left_out = first.clone().filter(|_| view.more).map(|first| {
            format!(
                "The page has the latest {} runs, from {first} on. Earlier runs are left out, also from the numbers.",
                view.runs.len()
            )
        });
        let lengths_of_drains = drains(view);
        Self {
            generator: env!("CARGO_PKG_VERSION"),
            title: format!("Runs of {}", view.farm),
            period: format!(
                "from {} to {}",
                since.or(first).unwrap_or_default(),
                clock::within(now, zone, "%Y-%m-%d %H:%M %Z")
            ),
            left_out,
            counts: counts(&view.runs),
            lengths: lengths(&view.runs),
            outcomes: outcomes(view),
            spread: spread(&lengths_of_drains),
            histogram: Histogram::new(&lengths_of_drains),
            rows: view.runs.iter().map(|run| row(run, &local)).collect(),
            written: clock::within(now, zone, "%Y-%m-%d %H:%M:%S %Z"),
        }
    }
}

fn row(run: &RunSummaryView, local: &impl Fn(Timestamp) -> String) -> Row {
    let longest = run.flips.iter().map(|flip| flip.took_ms).fold(0.0, f64::max);
    Row {
        run: run.id,
        began: local(run.started),
        by: run.by.clone(),
        strategy: run.strategy.to_string(),
        version: run.version.clone().unwrap_or_default(),
        state: run.state.to_string(),
        class: match run.state {
            RunStatus::Done => "done",
            RunStatus::Failed => "bad",
            RunStatus::RolledBack | RunStatus::Aborted => "warn",
            _ => "",
        },
        why: run.why.clone(),
        took: took(run).map(length).unwrap_or_default(),
        drains: spread(&sorted(run.drains.iter().map(|drain| drain.took_ms))),
        flips: match run.flips.len() {
            0 => String::new(),
            1 => window(longest),
            many => format!("{many}, ≤ {}", window(longest)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::report::tests::many_runs;

    fn page(view: &FarmRuns) -> String {
        Page::new(view, "2026-11-26T12:00:00Z".parse().unwrap(), &TimeZone::UTC).render().unwrap()
    }

    #[test]
    fn the_table_has_every_run_and_left_out_runs_are_mentioned() {
        let mut view = many_runs(30);
        let whole = page(&view);
        assert_eq!(whole.matches("<td data-name=\"run\"").count(), 30);
        assert!(!whole.contains("left out"), "{whole}");
        view.more = true;
        assert!(page(&view).contains("The page has the latest 30 runs, from 2026-"), "{}", page(&view));
    }

    #[test]
    fn every_text_is_escaped() {
        let mut view = many_runs(2);
        view.farm = "<script>".to_owned();
        view.runs[0].by = "<img src=x>".to_owned();
        view.runs[1].why = Some("<b>\u{202e}".to_owned());
        let page = page(&view);
        assert!(!["<script", "<img", "<b>", "\u{202e}"].iter().any(|part| page.contains(part)), "{page}");
    }
}
