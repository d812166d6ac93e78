//! The plan of a dry run in sentences: the servers that carry the traffic at each step, and how long that may take.
//!
//! Pure: the width of the terminal is an argument.

use std::collections::BTreeSet;

use super::{clock, queries, tables};
use crate::api::{ForecastView, RunView, StepView};
use crate::cli::status::wrapped;

/// The plan as text; `width` is that of the terminal.
pub(super) fn planned(run: &RunView, width: Option<usize>) -> String {
    format!("{}\nno run was started", plan(run, width))
}

/// The plan of one of several runs.
pub(super) fn plan(run: &RunView, width: Option<usize>) -> String {
    let mut text = format!("{}\n", queries::header(run));
    let Some(forecast) = &run.forecast else {
        // An older teeterd makes no forecast.
        return format!("{text}\n{}\n", tables::steps(run));
    };
    let column = Column { of: forecast.servers, width: width.unwrap_or(usize::MAX) };
    text.push_str(&column.line(forecast.before.len(), "before"));
    text.push_str(&column.sentence(&before(forecast)));
    let mut explained: BTreeSet<String> = BTreeSet::new();
    for (step, line) in run.steps.iter().zip(tables::step_texts(run)) {
        text.push_str(&column.line(step.carry.unwrap_or_default(), &line));
        // Later batches do what the first two do.
        if explained.len() < EXPLAINED || group(step).is_none_or(|group| explained.contains(group)) {
            explained.extend(group(step).map(str::to_owned));
            text.push_str(&column.sentence(step.does.as_deref().unwrap_or_default()));
        }
    }
    let times = wrapped(&times(run, forecast), column.width.min(WIDEST)).join("\n");
    format!("{text}\n\n{times}")
}

/// The batch that a step of a rolling deploy is about.
fn group(step: &StepView) -> Option<&str> {
    step.text.split(' ').find(|word| word.starts_with("batch-"))
}

fn before(forecast: &ForecastView) -> String {
    let servers = &forecast.before;
    let verb = if servers.len() == 1 { "carries" } else { "carry" };
    match servers.as_slice() {
        [] => "no server carries traffic".to_owned(),
        few if few.len() <= NAMED => format!("{} {verb} the traffic", few.join(", ")),
        many => format!("{} and {} more {verb} the traffic", many[..NAMED].join(", "), many.len() - NAMED),
    }
}

/// How long the run takes, without the work of the caller.
fn times(run: &RunView, forecast: &ForecastView) -> String {
    let works = run.steps.iter().filter(|step| !step.servers.is_empty()).count();
    let work = match works {
        0 => String::new(),
        1 => ", and the time of your work".to_owned(),
        works => format!(", and the time of your work, {works} times"),
    };
    let least = match forecast.least_s {
        0 => "no fixed wait".to_owned(),
        least => format!("at least {} of settling and watching", clock::seconds(least)),
    };
    let most = clock::seconds(forecast.most_s);
    format!("time: {least}; {most} at most if every wait needs its whole deadline{work}")
}

/// The column with the servers that carry the traffic, and the text beside it.
#[derive(Clone, Copy)]
struct Column {
    of: usize,
    width: usize,
}

impl Column {
    fn indent(self) -> usize {
        format!("  {0} of {0}  ", self.of).len()
    }

    fn line(self, carry: usize, text: &str) -> String {
        let digits = self.of.to_string().len();
        format!("\n  {carry:digits$} of {}  {text}", self.of)
    }

    /// A sentence below its line; nothing for an empty one.
    fn sentence(self, text: &str) -> String {
        let indent = self.indent() + DEEPER;
        let lines = wrapped(text, self.width.min(WIDEST).saturating_sub(indent));
        lines.iter().map(|line| format!("\n{:indent$}{line}", "")).collect()
    }
}

/// How much deeper a sentence stands than its step.
const DEEPER: usize = 2;
/// The most columns of a sentence: longer lines are hard to read.
const WIDEST: usize = 100;
/// The most servers to name.
const NAMED: usize = 6;
/// How many batches are explained.
const EXPLAINED: usize = 2;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn run(steps: &[(&str, &str, usize)]) -> RunView {
        let steps: Vec<_> = steps
            .iter()
            .map(|(text, does, carry)| {
                let servers = if text.starts_with("work") { vec!["web01", "web02"] } else { Vec::new() };
                json!({"text": text, "state": "to do", "servers": servers, "does": does, "carry": carry})
            })
            .collect();
        let before = ["web01", "web02", "web03", "web04"];
        serde_json::from_value(json!({"id": 0, "farm": "web", "strategy": "see-saw", "version": "v2",
            "state": "planned",
            "why": null, "failure": null, "by": "alice", "started": "2026-01-01T00:00:00Z", "finished": null,
            "cursor": 0,
            "steps": steps, "waiting": null, "in_flight": {}, "work": null, 
            "skipped": {"web05": "held by bob: new disk"},
            "versions": {}, "out": [], "next": null,
            "forecast": {"servers": 4, "before": before, "least_s": 300, "most_s": 920}}))
        .unwrap()
    }

    #[test]
    fn a_plan_says_who_carries_the_traffic_within_80_columns() {
        let plan = run(&[
            ("out a", "no new requests for web01, web02; web03, web04 carry the traffic", 2),
            (
                "drain a",
                "wait until nothing is in flight on them, for 5m at most, sticky clients may stay for 30s; \
              then the run stops",
                2,
            ),
            ("work a", "your work, however long it takes; the servers stay out", 2),
        ]);
        let expected = "\
see-saw of web to v2
skipped: web05 (held by bob: new disk)

  4 of 4  before
            web01, web02, web03, web04 carry the traffic
  2 of 4  out a
            no new requests for web01, web02; web03, web04 carry the traffic
  2 of 4  drain a
            wait until nothing is in flight on them, for 5m at most, sticky
            clients may stay for 30s; then the run stops
  2 of 4  work a: web01 web02
            your work, however long it takes; the servers stay out

time: at least 5m of settling and watching; 15m 20s at most if every wait needs
its whole deadline, and the time of your work
no run was started";
        let text = planned(&plan, Some(80));
        assert_eq!(text, expected);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }

    #[test]
    fn later_batches_are_not_explained_again() {
        let steps: Vec<(String, &str, usize)> = (1..=5)
            .flat_map(|batch| {
                [(format!("out batch-{batch}"), "no new requests", 3), (format!("in batch-{batch}"), "back", 4)]
            })
            .collect();
        let steps: Vec<(&str, &str, usize)> =
            steps.iter().map(|(text, does, carry)| (text.as_str(), *does, *carry)).collect();
        let text = planned(&run(&steps), None);
        assert_eq!((text.matches("no new requests").count(), text.matches("out batch-").count()), (2, 5), "{text}");
    }
}
