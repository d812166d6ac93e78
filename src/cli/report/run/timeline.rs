//! The timeline of a run: a lane for each kind of step, and the flips across all lanes.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::kind::{KINDS, Kind, kind, short_name};
use super::stops::Stop;
use crate::api::{FlipMeans, FlipView, RunStatus, RunView, StepView};
use crate::cli::report::axis::{Percent, Tick, time_ticks};
use crate::cli::report::words::{self, window};
use crate::cli::run_text::took;
use crate::cli::{clock, tables};

/// The picture. Heights are in CSS pixels.
#[derive(Debug)]
pub(super) struct Timeline {
    /// What the picture shows, in words.
    pub(super) title: String,
    pub(super) height: usize,
    /// The end of the lanes.
    pub(super) bottom: usize,
    pub(super) ticks: Vec<Tick>,
    pub(super) lanes: Vec<Lane>,
    pub(super) flips: Vec<FlipMark>,
    /// Whether the run has not ended, and the picture ends long before now.
    pub(super) cut: bool,
}

#[derive(Debug)]
pub(super) struct Lane {
    pub(super) name: &'static str,
    pub(super) class: &'static str,
    /// The sum of its bars.
    pub(super) total: String,
    /// The base line of its name.
    pub(super) text_y: usize,
    /// The upper edge of its bars.
    pub(super) bar_y: usize,
    pub(super) bars: Vec<Bar>,
}

#[derive(Debug)]
pub(super) struct Bar {
    pub(super) from: Percent,
    pub(super) length: Percent,
    /// A short name, if the bar has room for it.
    pub(super) label: Option<String>,
    pub(super) title: String,
}

/// A flip: the measured time of its commands.
#[derive(Debug)]
pub(super) struct FlipMark {
    pub(super) from: Percent,
    pub(super) length: Percent,
    pub(super) title: String,
    /// `None` if the text of another flip is there.
    pub(super) label: Option<String>,
    pub(super) anchor: &'static str,
}

/// The period that the picture shows.
struct Period {
    from: Timestamp,
    length: i64,
}

impl Period {
    fn at(&self, at: Timestamp) -> Percent {
        Percent::of(millis(at.duration_since(self.from)), self.length)
    }

    fn part(&self, length: SignedDuration) -> Percent {
        Percent::of(millis(length), self.length)
    }
}

impl Timeline {
    /// The timeline of a run; `None` if teeterd did not record the times of its steps.
    pub(super) fn new(run: &RunView, stops: &[Stop], now: Timestamp, zone: &TimeZone) -> Option<Self> {
        let times = run.steps.iter().map(|step| took(step, run, now));
        let steps: Vec<(usize, &StepView, Timestamp, SignedDuration)> = run
            .steps
            .iter()
            .zip(times)
            .enumerate()
            .filter_map(|(index, (step, took))| Some((index, step, step.began?, took?)))
            .collect();
        let latest = steps.iter().map(|(_, step, began, _)| step.ended.unwrap_or(*began)).max()?;
        let latest = stops.iter().map(|stop| stop.to.unwrap_or(stop.from)).fold(latest, Timestamp::max);
        let (end, cut) = end(run, latest, now);
        let period = Period { from: run.started, length: millis(end.duration_since(run.started)).max(1) };
        let local = |at: Timestamp| clock::within(at, zone, "%H:%M:%S");
        let mut rows: Vec<(Kind, Vec<(Bar, SignedDuration)>)> = KINDS.map(|kind| (kind, Vec::new())).into();
        let mut add = |kind: Kind, bar: Bar, took: SignedDuration| {
            if let Some((_, bars)) = rows.iter_mut().find(|(of, _)| *of == kind) {
                bars.push((bar, took));
            }
        };
        for (index, step, began, took) in steps {
            let length = period.part(took.min(end.duration_since(began)));
            let title = format!("{}. {}: {}, from {}", index + 1, step.text, words::took(took), local(began));
            let label = fitting(short_name(step), length);
            add(kind(step), Bar { from: period.at(began), length: length.visible(), label, title }, took);
        }
        for stop in stops {
            let to = stop.to.or(run.finished).unwrap_or(now);
            let took = to.duration_since(stop.from);
            let length = period.part(to.min(end).duration_since(stop.from));
            let title = format!("{}: {}, from {}", stop.why, words::took(took), local(stop.from));
            add(Kind::Stopped, Bar { from: period.at(stop.from), length: length.visible(), label: None, title }, took);
        }
        let lanes: Vec<Lane> = rows
            .into_iter()
            .filter(|(_, bars)| !bars.is_empty())
            .enumerate()
            .map(|(index, (kind, bars))| Lane {
                name: kind.name(),
                class: kind.class(),
                total: words::took(bars.iter().map(|(_, took)| *took).sum()),
                text_y: TOP + index * LANE + 12,
                bar_y: TOP + index * LANE + 17,
                bars: bars.into_iter().map(|(bar, _)| bar).collect(),
            })
            .collect();
        let bottom = TOP + lanes.len() * LANE;
        let ended = if run.finished.is_some() { "to its end" } else { "until now" };
        Some(Self {
            title: format!(
                "The steps of run {} from {} {ended}, {}: {}",
                run.id,
                local(run.started),
                words::took(run.finished.unwrap_or(now).duration_since(run.started)),
                tables::state(run)
            ),
            height: bottom + AXIS,
            bottom,
            ticks: time_ticks(period.length),
            flips: flips(&run.flips, &period, &local),
            lanes,
            cut,
        })
    }
}

/// The end of the picture, and whether that is long before now: a run that stopped days ago would leave its steps no
/// room.
fn end(run: &RunView, latest: Timestamp, now: Timestamp) -> (Timestamp, bool) {
    if let Some(finished) = run.finished {
        return (finished.max(latest), false);
    }
    let so_far = latest.duration_since(run.started).max(SignedDuration::from_secs(1));
    let stands = run.state == RunStatus::Failed || run.paused;
    match latest.checked_add(so_far / 4) {
        Ok(shown) if stands && shown < now => (shown, true),
        _ => (now.max(latest), false),
    }
}

fn flips(flips: &[FlipView], period: &Period, local: &impl Fn(Timestamp) -> String) -> Vec<FlipMark> {
    let mut labelled: Option<Percent> = None;
    let mark = |flip: &FlipView| {
        // A flip takes milliseconds, or seconds at most.
        let took = SignedDuration::try_from_secs_f64(flip.took_ms / 1000.0).unwrap_or_default();
        let from = period.at(flip.at.checked_sub(took).unwrap_or(flip.at));
        let means = match flip.mode {
            FlipMeans::Route => "by a route",
            _ => "server by server",
        };
        let is_free = labelled.is_none_or(|at| at.distance(from).narrow_pixels() > FLIP_LABEL);
        let label = is_free.then(|| format!("flip {}", window(flip.took_ms)));
        labelled = if is_free { Some(from) } else { labelled };
        let title = format!(
            "step {}: the flip {means}, confirmed at {}, took {} from the first command to the last answer",
            flip.step + 1,
            local(flip.at),
            window(flip.took_ms)
        );
        FlipMark { from, length: period.part(took), title, label, anchor: from.anchor() }
    };
    flips.iter().map(mark).collect()
}

/// The text, if it fits into a bar of this length on a narrow screen.
fn fitting(text: String, length: Percent) -> Option<String> {
    let room = (length.narrow_pixels() - 6.0) / CHARACTER;
    u16::try_from(text.chars().count()).is_ok_and(|count| f64::from(count) <= room).then_some(text)
}

fn millis(length: SignedDuration) -> i64 {
    i64::try_from(length.as_millis()).unwrap_or(i64::MAX)
}

/// The room above the lanes, for the texts of flips.
const TOP: usize = 18;
/// The height of a lane.
const LANE: usize = 38;
/// The height of the axis.
const AXIS: usize = 20;
/// The width of a character in a bar, in CSS pixels.
const CHARACTER: f64 = 7.0;
/// The room that the text of a flip needs, in CSS pixels.
const FLIP_LABEL: f64 = 120.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::report::tests::document;

    fn timeline(run: &RunView) -> Timeline {
        Timeline::new(run, &[], run.finished.unwrap_or(run.started), &TimeZone::UTC).unwrap()
    }

    #[test]
    fn lanes_have_the_steps_of_a_run_and_flips_cross_them() {
        let run: RunView = document("run.see-saw-rolled-back");
        let drawn = timeline(&run);
        let lanes: Vec<(&str, usize)> = drawn.lanes.iter().map(|lane| (lane.name, lane.bars.len())).collect();
        assert_eq!(
            lanes,
            [("Traffic is switched", 3), ("Drain", 3), ("Work of the caller", 4), ("Verification", 2)],
            "{drawn:?}"
        );
        assert_eq!(drawn.flips.len(), 2);
        assert!(drawn.flips[0].from < drawn.flips[1].from && drawn.flips[0].length < Percent::of(1, 100));
        assert!(drawn.flips[0].title.starts_with("step 8: the flip server by server"), "{drawn:?}");
        let ends = drawn.lanes.iter().flat_map(|lane| &lane.bars).map(|bar| bar.title.as_str());
        assert!(ends.clone().any(|title| title.starts_with("3. drain a: ") && title.contains(", from ")), "{drawn:?}");
    }

    #[test]
    fn a_run_that_stopped_long_ago_keeps_room_for_its_steps() {
        let run: RunView = document("run.see-saw-failed-work");
        let failed = run.steps.iter().filter_map(|step| step.began).max().unwrap();
        let stops = [Stop { from: failed, to: None, why: "failed: no space".to_owned() }];
        let later = failed.checked_add(SignedDuration::from_hours(72)).unwrap();
        let drawn = Timeline::new(&run, &stops, later, &TimeZone::UTC).unwrap();
        assert!(drawn.cut && drawn.title.contains("3d"), "{drawn:?}");
        let stopped = drawn.lanes.iter().find(|lane| lane.class == "stopped").unwrap();
        assert!(stopped.total.starts_with("3d") && stopped.bars[0].length < Percent::of(90, 100), "{stopped:?}");
    }

    #[test]
    fn a_run_without_times_has_no_timeline() {
        let mut run: RunView = document("run.blue-green-done");
        run.steps.iter_mut().for_each(|step| step.began = None);
        assert!(Timeline::new(&run, &[], run.started, &TimeZone::UTC).is_none());
    }
}
