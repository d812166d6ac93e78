//! Counting what both sides of a watch are given, from the reports of each pass.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::engine::Engine;
use crate::engine::fleet::reports::Reports;
use crate::farm::{Counts, Entry, InstanceName, Process};
use crate::plan::watch::{Counted, Figures, Tracker, Traffic, WatchSeries};
use crate::plan::{Plan, Run, Step, millis_between};
use crate::state::{Observed, WatchRecord};

/// What is counted of one run.
#[derive(Debug, Default)]
pub(crate) struct Watching {
    /// The side that the next watch compares with, since the run began.
    past: Option<Tracker>,
    /// The watch that the run is at.
    now: Option<OneWatch>,
}

/// A watch that has begun.
#[derive(Debug)]
struct OneWatch {
    /// The revision at which it began.
    began: u64,
    new: Tracker,
    old: Tracker,
    figures: Figures,
    series: WatchSeries,
}

/// The counters of every line of a plan, and the processes that counted; none if the plan has no watch.
pub(crate) fn counted(
    plan: &Plan,
    observed: &Observed<'_>,
) -> (BTreeMap<Entry, Counts>, BTreeMap<InstanceName, Process>) {
    if plan.bake.is_none() {
        return Default::default();
    }
    let looks = plan.entries().filter_map(|entry| Some((entry, observed.look(entry)?)));
    looks.map(|(entry, look)| ((entry.clone(), look.counts), (entry.instance.clone(), look.process))).unzip()
}

/// What HAProxy has counted, since the start of its processes, of the side that a watch compares with; nothing unless the
/// run is just about to begin it.
pub(super) fn all_counted(run: &Run, reports: &Reports) -> Counts {
    if run.step.acted.is_some() || !matches!(run.current(), Some(Step::Bake { .. })) {
        return Counts::default();
    }
    let observed = reports.observed();
    let looks = run.compared_lines().filter_map(|entry| observed.look(entry));
    looks.fold(Counts::default(), |sum, look| sum.plus(look.counts))
}

/// The traffic of a plan's servers since the start of their HAProxy processes.
pub(super) fn traffic(plan: &Plan, observed: &Observed<'_>, now: Timestamp) -> Traffic {
    if plan.bake.is_none() {
        return Traffic::default();
    }
    let mut traffic = Traffic::default();
    for look in plan.entries().filter_map(|entry| observed.look(entry)) {
        traffic.counts = traffic.counts.plus(look.counts);
        let started = look.process.started.and_then(|started| i64::try_from(started).ok());
        let up = started.map_or(0, |started| now.as_second() - started).max(1);
        traffic.per_second += look.counts.requests as f64 / up as f64;
    }
    traffic
}

impl Engine {
    /// Counts what the lines of a run were given until this pass, if the run has a watch before it.
    pub(crate) fn count_for_watches(&self, run: &Run, reports: &Reports, now: Timestamp) {
        let Some(settings) = &run.plan.bake else { return };
        let observed = reports.observed();
        let process = |name: &InstanceName| Some(reports.get(name)?.seen.as_ref()?.process());
        let look = |entry: &Entry| observed.look(entry);
        let mut memory = self.memory();
        let watching = &mut memory.run(run.id).watching;
        let began = run.step.acted.filter(|_| matches!(run.current(), Some(Step::Bake { .. })));
        let (Some(began), Some(bake)) = (began, &run.bake) else {
            watching.now = None;
            let known = watching.past.take().filter(|past| past.counts_lines(run.compared_lines()));
            let past = watching.past.insert(known.unwrap_or_else(|| run.past_of_compared(process)));
            past.add(look);
            return;
        };
        let known = watching.now.take().filter(|watch| watch.began == began);
        let watch = watching.now.insert(known.unwrap_or_else(|| OneWatch {
            began,
            new: bake.new_side(process),
            old: bake.old_side(process),
            figures: Figures::default(),
            series: WatchSeries::default(),
        }));
        watch.new.add(look);
        watch.old.add(look);
        let concurrent = bake.is_concurrent();
        let (new, old) = (watch.new.counted().clone(), watch.old.counted().clone());
        let before = if concurrent { bake.before } else { Counts::default() };
        let figures = Figures { new, old, concurrent, before, slow_since: None };
        let slow_since = watch.figures.slow_since.unwrap_or(figures.new.counts.requests);
        watch.figures = Figures { slow_since: figures.is_slow(settings).then_some(slow_since), ..figures };
        watch.series.add(millis_between(run.step.since, now), &watch.figures);
    }

    /// The record of the watch that a run was at, if `after` is not at it any more.
    pub(super) fn watch_record(&self, before: &Run, after: &Run, now: Timestamp) -> Option<WatchRecord> {
        let (Some(Step::Bake { new, old, .. }), Some(_)) = (before.current(), before.step.acted) else { return None };
        if after.cursor == before.cursor && after.state == before.state && after.rollback == before.rollback {
            return None;
        }
        let memory = self.memory();
        let watch = memory.runs.get(&before.id)?.watching.now.as_ref()?;
        let judgement = watch.figures.judge(before.plan.bake.as_ref()?);
        Some(WatchRecord {
            run: before.id,
            farm: before.plan.farm.clone(),
            step: before.cursor,
            version: before.plan.version.clone(),
            new: new.clone(),
            old: old.clone(),
            began: before.step.since,
            // The clock may have been set back.
            ended: now.max(before.step.since),
            concurrent: watch.figures.concurrent,
            settings: before.plan.bake.clone()?,
            verdict: judgement.verdict,
            text: judgement.text,
            series: watch.series.clone(),
        })
    }
}

impl Watching {
    /// What the watch has seen that the run is at; `None` if it is at none.
    pub(crate) fn figures(&self) -> Option<&Figures> {
        self.now.as_ref().map(|watch| &watch.figures)
    }

    /// What both sides had counted over time, in the watch that the run is at.
    pub(crate) fn series(&self) -> Option<&WatchSeries> {
        self.now.as_ref().map(|watch| &watch.series)
    }

    /// The figures of the watch that the run is at; and what the side was given since the beginning of the run that its
    /// next watch compares with.
    pub(super) fn facts(&self) -> (Option<Figures>, Counted) {
        let past = self.past.as_ref().map(|past| past.counted().clone());
        (self.figures().cloned(), past.unwrap_or_default())
    }
}
