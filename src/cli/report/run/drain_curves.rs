//! The drains of a run: what was in flight over time, and how each ended, in words.

use jiff::tz::TimeZone;

use crate::api::{DrainEnd, DrainView, RunView, StepView};
use crate::cli::clock;
use crate::cli::report::axis::{Tick, path, time_ticks};
use crate::cli::report::words::{counted, length};

/// One drain.
#[derive(Debug)]
pub(super) struct Drain {
    /// The group, or the servers if there is none.
    pub(super) name: String,
    pub(super) took: String,
    pub(super) end: String,
    /// Whether requests were left.
    pub(super) bad: bool,
    /// When it began, and its servers.
    pub(super) about: String,
    /// `None` if nothing was in flight.
    pub(super) curve: Option<Curve>,
}

/// The shape of a curve in a box of [`WIDTH`] by [`HEIGHT`].
#[derive(Debug)]
pub(super) struct Curve {
    pub(super) title: String,
    /// The most that was in flight: the upper end of the vertical axis.
    pub(super) top: String,
    pub(super) line: String,
    pub(super) area: String,
    pub(super) ticks: Vec<Tick>,
}

/// The drains of a run, in their order.
pub(super) fn drains(run: &RunView, zone: &TimeZone) -> Vec<Drain> {
    run.drains.iter().map(|drain| Drain::new(drain, zone)).collect()
}

/// Why there is no curve; `None` if there are some.
pub(super) fn without_curves(run: &RunView) -> Option<&'static str> {
    if !run.drains.is_empty() {
        return None;
    }
    let drains: Vec<&StepView> = run.steps.iter().filter(|step| is_drain(step)).collect();
    Some(match drains.as_slice() {
        [] => "This run drains no group.",
        drains if drains.iter().any(|step| step.ended.is_some()) => {
            "There is no curve of this run's drains: the run is from before teeterd recorded them, or its servers were \
             out already."
        }
        _ => "No drain of this run has ended.",
    })
}

fn is_drain(step: &StepView) -> bool {
    step.phase.is_none() && step.text.starts_with("drain ")
}

impl Drain {
    fn new(drain: &DrainView, zone: &TimeZone) -> Self {
        let (servers, left) = (drain.servers.join(" "), requests(drain.left));
        let first = drain.in_flight.first().map_or(0, |(_, in_flight)| *in_flight);
        let most = drain.in_flight.iter().map(|(_, in_flight)| *in_flight).max().unwrap_or_default();
        let took = length(drain.took_ms);
        let in_flight = match most {
            0 => "nothing was in flight".to_owned(),
            most if most == first => format!("{} in flight at first", requests(first)),
            most => format!("{} in flight at first, {most} at most", requests(first)),
        };
        let begun = clock::within(drain.began, zone, "%H:%M:%S");
        let name = drain.group.clone().unwrap_or_else(|| servers.clone());
        let (end, bad) = match &drain.outcome {
            DrainEnd::Empty => ("empty".to_owned(), false),
            DrainEnd::WentOn => (format!("the run went on at the deadline, with {left} in flight"), true),
            DrainEnd::Stuck => (format!("stuck at the deadline, with {left} in flight"), true),
            DrainEnd::Restored => (format!("the servers came back, with {left} in flight"), drain.left > 0),
            DrainEnd::Unknown(word) => (format!("{word}, with {left} in flight"), true),
        };
        let title = format!("The drain of {name}: {in_flight}, {took}, {end}");
        let curve = (most > 0).then(|| Curve::new(drain, most, title));
        Self { name, took, end, bad, about: format!("from {begun}: {servers}; {in_flight}"), curve }
    }
}

impl Curve {
    fn new(drain: &DrainView, most: u64, title: String) -> Self {
        let last = drain.in_flight.last().map_or(0, |(at, _)| *at).max(drain.took_ms).max(1);
        let scaled = |value: u64, whole: u64, size: u64| {
            u64::try_from(u128::from(value) * u128::from(size) / u128::from(whole)).unwrap_or(size)
        };
        let place =
            |(at, in_flight): &(u64, u64)| (scaled(*at, last, WIDTH), HEIGHT - scaled(*in_flight, most, HEIGHT));
        let line = path(drain.in_flight.iter().map(place));
        let start = drain.in_flight.first().map_or(0, |first| place(first).0);
        let end = drain.in_flight.last().map_or(0, |last| place(last).0);
        Self {
            title,
            top: format!("{} in flight", requests(most)),
            area: format!("{line}L{end} {HEIGHT}L{start} {HEIGHT}Z"),
            line,
            ticks: time_ticks(i64::try_from(last).unwrap_or(i64::MAX)),
        }
    }
}

fn requests(number: u64) -> String {
    counted(number, "request")
}

/// The size of the box of a curve, as in its template.
const WIDTH: u64 = 1000;
const HEIGHT: u64 = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::report::tests::document;

    fn drain(outcome: DrainEnd, left: u64, in_flight: Vec<(u64, u64)>) -> Drain {
        let began = jiff::Timestamp::UNIX_EPOCH;
        let (group, servers) = (Some("a".to_owned()), vec!["web01".to_owned(), "web02".to_owned()]);
        Drain::new(&DrainView { group, servers, began, took_ms: 20_000, outcome, left, in_flight }, &TimeZone::UTC)
    }

    #[test]
    fn a_curve_spans_its_box_and_the_words_say_how_the_drain_ended() {
        let empty = drain(DrainEnd::Empty, 0, vec![(0, 6), (5000, 8), (20_000, 0)]);
        let curve = empty.curve.unwrap();
        assert_eq!(curve.line, "M0 25L250 0L1000 100");
        assert_eq!(curve.area, "M0 25L250 0L1000 100L1000 100L0 100Z");
        assert_eq!(curve.top, "8 requests in flight");
        assert_eq!((empty.end.as_str(), empty.bad), ("empty", false));
        assert_eq!(empty.about, "from 00:00:00: web01 web02; 6 requests in flight at first, 8 at most");
        let stuck = drain(DrainEnd::Stuck, 1, vec![(0, 1)]);
        assert_eq!((stuck.end.as_str(), stuck.bad), ("stuck at the deadline, with 1 request in flight", true));
        let idle = drain(DrainEnd::Empty, 0, vec![(0, 0), (53, 0)]);
        assert!(idle.curve.is_none() && idle.about.ends_with("nothing was in flight"), "{idle:?}");
    }

    #[test]
    fn a_run_without_curves_says_why() {
        let mut run: RunView = document("run.see-saw-rolled-back");
        assert_eq!((without_curves(&run), drains(&run, &TimeZone::UTC).len()), (None, 3));
        run.drains.clear();
        assert!(without_curves(&run).unwrap().contains("before teeterd recorded them"));
        run.steps.iter_mut().for_each(|step| step.ended = None);
        assert_eq!(without_curves(&run), Some("No drain of this run has ended."));
        run.steps.clear();
        assert_eq!(without_curves(&run), Some("This run drains no group."));
    }
}
