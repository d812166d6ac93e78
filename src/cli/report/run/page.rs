//! The page of a run, from its view and its events. Pure; the template escapes every text.

use std::collections::BTreeMap;

use askama::Template;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::drain_curves::{Drain, drains, without_curves};
use super::stops::stops;
use super::timeline::Timeline;
use super::watch_curves::{Watch, watches, without_watches};
use crate::api::{EventView, FlipMeans, FlipView, RunView, StepStatus, StepView};
use crate::cli::events::caller_text;
use crate::cli::report::axis::Percent;
use crate::cli::report::words;
use crate::cli::run_text::{took, version};
use crate::cli::{clock, tables};
use crate::engine::HOOK_OUTPUT;

/// The page.
#[derive(Debug, Template)]
#[template(path = "run.html", config = "src/cli/report/askama.toml")]
pub(in crate::cli::report) struct Page {
    generator: &'static str,
    title: String,
    state: String,
    why: Option<String>,
    facts: Vec<Fact>,
    timeline: Option<Timeline>,
    steps: Vec<StepRow>,
    flips: Vec<FlipRow>,
    drains: Vec<Drain>,
    without_curves: Option<&'static str>,
    watches: Vec<Watch>,
    without_watches: Option<&'static str>,
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

#[derive(Debug, PartialEq)]
struct StepRow {
    number: usize,
    text: String,
    servers: String,
    state: String,
    began: String,
    took: String,
    /// Its part of the longest step; `None` if it took no time.
    share: Option<Percent>,
}

#[derive(Debug)]
struct FlipRow {
    step: usize,
    at: String,
    by: &'static str,
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
    pub(in crate::cli::report) fn new(
        run: &RunView,
        events: &[EventView],
        cut: bool,
        now: Timestamp,
        zone: &TimeZone,
    ) -> Self {
        let (lines, record): (Vec<&EventView>, Vec<&EventView>) =
            events.iter().partition(|event| event.kind == HOOK_OUTPUT);
        Self {
            generator: env!("CARGO_PKG_VERSION"),
            title: format!("Run {}: {} of {}{}", run.id, run.strategy, run.farm, version(run)),
            state: tables::state(run).to_owned(),
            why: run.why.clone(),
            facts: facts(run, now, zone),
            timeline: Timeline::new(run, &stops(&record), now, zone),
            steps: steps(run, now, zone),
            flips: run.flips.iter().map(|flip| flip_row(flip, zone)).collect(),
            drains: drains(run, zone),
            without_curves: without_curves(run),
            watches: watches(run, zone),
            without_watches: without_watches(run),
            output: output(&lines),
            record: record.into_iter().map(|event| event_row(event, run, zone)).collect(),
            cut,
            written: clock::within(now, zone, "%Y-%m-%d %H:%M:%S %Z"),
        }
    }
}

fn facts(run: &RunView, now: Timestamp, zone: &TimeZone) -> Vec<Fact> {
    let local = |at: Timestamp| clock::within(at, zone, "%Y-%m-%d %H:%M:%S %Z");
    let took = words::took(run.finished.unwrap_or(now).duration_since(run.started));
    let mut facts = vec![
        Fact { name: "begun", text: format!("{} by {}", local(run.started), run.by) },
        match run.finished {
            Some(finished) => Fact { name: "ended", text: format!("{}, after {took}", local(finished)) },
            None => Fact { name: "goes on", text: format!("for {took} until now") },
        },
    ];
    let mut list = |name: &'static str, items: Vec<String>| {
        if !items.is_empty() {
            facts.push(Fact { name, text: items.join(", ") });
        }
    };
    let pairs = |map: &BTreeMap<String, String>| -> Vec<String> {
        map.iter().map(|(name, text)| format!("{name} {text}")).collect()
    };
    list("versions", pairs(&run.versions));
    list("out", run.out.clone());
    list("skipped", pairs(&run.skipped).into_iter().chain(run.off.iter().cloned()).collect());
    list("left out", pairs(&run.left_out));
    list("without HAProxy", run.without_haproxy.clone());
    list("rolled back", run.rollback.iter().cloned().collect());
    list("waits", run.waiting.iter().cloned().collect());
    list("next", run.next.iter().cloned().collect());
    list("notes", run.notes.iter().chain(&run.remarks).chain(&run.not_reached).cloned().collect());
    facts
}

/// The steps, each with its part of the longest one.
fn steps(run: &RunView, now: Timestamp, zone: &TimeZone) -> Vec<StepRow> {
    let took: Vec<Option<SignedDuration>> = run.steps.iter().map(|step| took(step, run, now)).collect();
    let millis = |took: SignedDuration| i64::try_from(took.as_millis()).unwrap_or(i64::MAX);
    let longest = took.iter().flatten().copied().map(millis).max().unwrap_or_default();
    let row = |(index, (step, took)): (usize, (&StepView, Option<SignedDuration>))| StepRow {
        number: index + 1,
        text: step.text.clone(),
        servers: step.servers.join(" "),
        state: match step.state {
            StepStatus::ToDo => "to do".to_owned(),
            ref state => state.as_str().to_owned(),
        },
        began: step.began.filter(|_| took.is_some()).map(|at| clock::within(at, zone, "%H:%M:%S")).unwrap_or_default(),
        took: took.map(words::took).unwrap_or_default(),
        share: took.map(|took| Percent::of(millis(took), longest)).filter(|share| *share > Percent::default()),
    };
    run.steps.iter().zip(took).enumerate().map(row).collect()
}

fn flip_row(flip: &FlipView, zone: &TimeZone) -> FlipRow {
    FlipRow {
        step: flip.step + 1,
        at: clock::within(flip.at, zone, "%H:%M:%S%.3f"),
        by: match flip.mode {
            FlipMeans::Route => "by a route: each HAProxy switched all traffic at once",
            _ => "server by server: meanwhile both sides may have got requests",
        },
        took: words::window(flip.took_ms),
    }
}

/// The lines of hooks, by the group or server that they come from, in the order of their first lines.
fn output(events: &[&EventView]) -> Vec<Output> {
    let mut parts: Vec<Output> = Vec::new();
    for event in events {
        let (from, line) = event.text.split_once(" | ").unwrap_or(("", &event.text));
        match parts.iter_mut().find(|part| part.from == from) {
            Some(part) => part.lines.push(line.to_owned()),
            None => parts.push(Output { from: from.to_owned(), lines: vec![line.to_owned()] }),
        }
    }
    parts
}

fn event_row(event: &EventView, run: &RunView, zone: &TimeZone) -> EventRow {
    let day = |at: Timestamp| clock::within(at, zone, "%Y-%m-%d");
    let words = if day(event.at) == day(run.started) { "%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" };
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
    EventRow {
        at: clock::within(event.at, zone, words),
        text: event.text.clone(),
        caller: event.caller.as_ref().map(caller_text).unwrap_or_default(),
        changes: event
            .changed
            .iter()
            .map(|changed| format!("{}: {} → {}", changed.what, text(&changed.before), text(&changed.after)))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Events;
    use crate::cli::report::tests::document;

    #[test]
    fn steps_have_their_times_and_their_part_of_the_longest() {
        let run: RunView = document("run.canary-watched");
        let rows = steps(&run, run.steps[2].began.unwrap_or(run.started), &TimeZone::UTC);
        assert!(rows[..2].iter().all(|row| !row.began.is_empty() && row.share.is_some()), "{rows:?}");
        let to_do = |row: &&StepRow| row.state == "to do";
        assert!(rows.iter().filter(to_do).all(|row| row.began.is_empty() && row.share.is_none()), "{rows:?}");
    }

    #[test]
    fn every_text_is_escaped() {
        let mut run: RunView = document("run.blue-green-done");
        run.by = "<script>alert(1)</script>".to_owned();
        run.drains[0].group = Some("\"><i>".to_owned());
        run.drains[0].in_flight = vec![(0, 2), (40, 0)];
        run.steps[1].text = "drain <u>\u{202e}".to_owned();
        let mut events: Events = document("events.see-saw");
        events.events[0].kind = HOOK_OUTPUT.to_owned();
        events.events[0].text = "a | </pre><img src=x onerror=alert(2)>".to_owned();
        let page = Page::new(&run, &events.events, false, Timestamp::UNIX_EPOCH, &TimeZone::UTC).render().unwrap();
        for part in ["<script", "<img", "<i>", "<u>", "\u{202e}"] {
            assert!(!page.contains(part), "{part}: {page}");
        }
        assert!(page.contains("&#60;script&#62;alert(1)") && page.contains("onerror=alert(2)&#62;"), "{page}");
    }

    #[test]
    fn a_run_from_before_curves_has_a_sentence_in_their_place() {
        let mut run: RunView = document("run.blue-green-done");
        run.drains.clear();
        let page = Page::new(&run, &[], false, Timestamp::UNIX_EPOCH, &TimeZone::UTC).render().unwrap();
        assert!(page.contains("the run is from before teeterd recorded them"), "{page}");
    }
}
