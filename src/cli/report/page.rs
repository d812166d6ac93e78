//! The page of a run, from its view and its events. Pure; the template escapes every text.

use askama::Template;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::api::{EventView, RunView, StepStatus, StepView};
use crate::cli::events::caller_text;
use crate::cli::run_text::{took, version};
use crate::cli::{clock, tables};
use crate::engine::HOOK_OUTPUT;

/// The page.
#[derive(Debug, Template)]
#[template(path = "page.html", config = "src/cli/report/askama.toml")]
pub(super) struct Page {
    generator: &'static str,
    title: String,
    why: Option<String>,
    facts: Vec<Fact>,
    steps: Vec<StepRow>,
    flips: Vec<FlipRow>,
    output: Vec<Output>,
    record: Vec<EventRow>,
    /// Whether there are more events than the page has.
    cut: bool,
    written: String,
}

#[derive(Debug)]
struct Fact {
    name: &'static str,
    text: String,
}

#[derive(Debug, PartialEq, Eq)]
struct StepRow {
    number: usize,
    text: String,
    servers: String,
    state: String,
    failed: bool,
    began: String,
    took: String,
    /// Its part of the longest step, in percent.
    share: i64,
}

#[derive(Debug)]
struct FlipRow {
    step: usize,
    at: String,
    by: String,
    took: String,
}

/// The output of the hooks of one group or server.
#[derive(Debug)]
struct Output {
    from: String,
    lines: Vec<String>,
}

#[derive(Debug)]
struct EventRow {
    at: String,
    text: String,
    caller: String,
    changes: Vec<String>,
}

impl Page {
    /// The page of a run. `cut`: there are more events than these.
    pub(super) fn new(run: &RunView, events: &[EventView], cut: bool, now: Timestamp, zone: &TimeZone) -> Self {
        let local = |at: Timestamp| clock::within(at, zone, "%Y-%m-%d %H:%M:%S");
        let mut facts = vec![
            Fact { name: "state", text: tables::state(run).to_owned() },
            Fact { name: "begun", text: format!("{} by {}", local(run.started), run.by) },
        ];
        let end = run.finished.unwrap_or(now);
        let took = clock::precise(end.duration_since(run.started));
        facts.push(match run.finished {
            Some(finished) => Fact { name: "ended", text: format!("{}, after {took}", local(finished)) },
            None => Fact { name: "goes on", text: format!("for {took} until now") },
        });
        let mut list = |name: &'static str, items: Vec<String>| {
            if !items.is_empty() {
                facts.push(Fact { name, text: items.join(", ") });
            }
        };
        let pairs = |map: &std::collections::BTreeMap<String, String>| -> Vec<String> {
            map.iter().map(|(name, text)| format!("{name} {text}")).collect()
        };
        list("versions", pairs(&run.versions));
        list("out", run.out.clone());
        list("skipped", pairs(&run.skipped));
        list("left out", pairs(&run.left_out));
        list("without HAProxy", run.without_haproxy.clone());
        list("rolled back", run.rollback.iter().cloned().collect());
        list("waits", run.waiting.iter().cloned().collect());
        list("notes", run.notes.iter().chain(&run.remarks).chain(&run.not_reached).cloned().collect());
        Self {
            generator: env!("CARGO_PKG_VERSION"),
            title: format!("Run {}: {} of {}{}", run.id, run.strategy, run.farm, version(run)),
            why: run.why.clone(),
            facts,
            steps: steps(run, now, zone),
            flips: run
                .flips
                .iter()
                .map(|flip| FlipRow {
                    step: flip.step + 1,
                    at: local(flip.at),
                    by: flip.mode.as_str().to_owned(),
                    took: format!("{:.2} ms", flip.took_ms),
                })
                .collect(),
            output: output(events),
            record: events
                .iter()
                .filter(|event| event.kind != HOOK_OUTPUT)
                .map(|event| EventRow {
                    at: local(event.at),
                    text: event.text.clone(),
                    caller: event.caller.as_ref().map(caller_text).unwrap_or_default(),
                    changes: event
                        .changed
                        .iter()
                        .map(|changed| {
                            let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
                            format!("{}: {} → {}", changed.what, text(&changed.before), text(&changed.after))
                        })
                        .collect(),
                })
                .collect(),
            cut,
            written: local(now),
        }
    }
}

/// The steps, each with its part of the longest one.
fn steps(run: &RunView, now: Timestamp, zone: &TimeZone) -> Vec<StepRow> {
    let took: Vec<Option<SignedDuration>> = run.steps.iter().map(|step| took(step, run, now)).collect();
    let longest = took.iter().flatten().map(SignedDuration::as_millis).max().unwrap_or_default().max(1);
    let row = |(index, (step, took)): (usize, (&StepView, Option<SignedDuration>))| StepRow {
        number: index + 1,
        text: step.text.clone(),
        servers: step.servers.join(" "),
        state: match step.state {
            StepStatus::ToDo => "to do".to_owned(),
            ref state => state.as_str().to_owned(),
        },
        failed: step.state == StepStatus::Failed,
        began: step.began.filter(|_| took.is_some()).map(|at| clock::within(at, zone, "%H:%M:%S")).unwrap_or_default(),
        took: took.map(clock::precise).unwrap_or_default(),
        share: took.map_or(0, |took| i64::try_from(took.as_millis() * 100 / longest).unwrap_or_default()),
    };
    run.steps.iter().zip(took).enumerate().map(row).collect()
}

/// The lines of hooks, by the group or server that they come from, in the order of their first lines.
fn output(events: &[EventView]) -> Vec<Output> {
    let mut parts: Vec<Output> = Vec::new();
    for event in events.iter().filter(|event| event.kind == HOOK_OUTPUT) {
        let (from, line) = event.text.split_once(" | ").unwrap_or(("", &event.text));
        match parts.iter_mut().find(|part| part.from == from) {
            Some(part) => part.lines.push(line.to_owned()),
            None => parts.push(Output { from: from.to_owned(), lines: vec![line.to_owned()] }),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A document of the interface, as clients get it.
    fn document<T: serde::de::DeserializeOwned>(name: &str) -> T {
        let text = std::fs::read_to_string(format!("tests/api-documents/{name}.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn steps_have_their_times_and_their_part_of_the_longest() {
        let run: RunView = document("run.canary-watched");
        let rows = steps(&run, run.steps[2].began.unwrap_or(run.started), &TimeZone::UTC);
        assert!(rows[..2].iter().all(|row| !row.began.is_empty() && row.share > 0), "{rows:?}");
        let to_do = |row: &&StepRow| row.state == "to do";
        assert!(rows.iter().filter(to_do).all(|row| row.began.is_empty() && row.share == 0), "{rows:?}");
    }

    #[test]
    fn every_text_is_escaped() {
        let mut run: RunView = document("run.blue-green-done");
        run.by = "<script>alert(1)</script>".to_owned();
        let mut events: crate::api::Events = document("events.see-saw");
        events.events[0].kind = HOOK_OUTPUT.to_owned();
        events.events[0].text = "a | </pre><img src=x onerror=alert(2)>".to_owned();
        let page = Page::new(&run, &events.events, false, Timestamp::UNIX_EPOCH, &TimeZone::UTC).render().unwrap();
        assert!(!page.contains("<script") && !page.contains("<img"), "{page}");
        assert!(page.contains("&#60;script&#62;alert(1)") && page.contains("onerror=alert(2)&#62;"), "{page}");
    }
}
