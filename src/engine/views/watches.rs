//! The watches of a run.

use crate::api::{WatchPointView, WatchVerdict, WatchView};
use crate::engine::memory::Memory;
use crate::farm::{BakeSettings, GroupName};
use crate::plan::watch::{Verdict, WatchSeries};
use crate::plan::{Run, Step, Wait};
use crate::state::WatchRecord;

/// The watch that a run is at; `None` if it is at none that compares.
pub(super) fn watch_now(run: &Run, wait: Option<&Wait>, memory: &Memory) -> Option<WatchView> {
    let Some(Step::Bake { new, old, .. }) = run.current() else { return None };
    let settings = run.plan.bake.as_ref().filter(|settings| run.is_active() && !settings.compares_nothing())?;
    let watching = &memory.runs.get(&run.id)?.watching;
    let figures = watching.figures()?;
    let judgement = figures.judge(settings);
    Some(WatchView {
        ended: None,
        concurrent: figures.concurrent,
        verdict: judgement.verdict.into(),
        text: judgement.text,
        needed: judgement.needed,
        waits: matches!(wait, Some(Wait::Verdict { .. })),
        points: watching.series().map(points).unwrap_or_default(),
        ..view(run.cursor, new, old, settings, run.step.since)
    })
}

/// A watch that has ended.
pub(super) fn watch_view(watch: &WatchRecord) -> WatchView {
    WatchView {
        ended: Some(watch.ended),
        concurrent: watch.concurrent,
        verdict: watch.verdict.into(),
        text: watch.text.clone(),
        points: points(&watch.series),
        ..view(watch.step, &watch.new, &watch.old, &watch.settings, watch.began)
    }
}

fn view(
    step: usize,
    new: &[GroupName],
    old: &[GroupName],
    settings: &BakeSettings,
    began: jiff::Timestamp,
) -> WatchView {
    let names = |groups: &[GroupName]| groups.iter().map(ToString::to_string).collect();
    WatchView {
        step,
        new: names(new),
        old: names(old),
        began,
        ended: None,
        concurrent: false,
        verdict: WatchVerdict::Inconclusive,
        text: String::new(),
        needed: None,
        waits: false,
        max_5xx: settings.max_5xx.map(|share| share.to_string()),
        max_errors: settings.max_errors.map(|share| share.to_string()),
        alpha: settings.alpha.to_string(),
        min_requests: settings.min_requests,
        points: Vec::new(),
    }
}

fn points(series: &WatchSeries) -> Vec<WatchPointView> {
    series.points().iter().copied().map(WatchPointView::from).collect()
}

impl From<Verdict> for WatchVerdict {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Worse => Self::Worse,
            Verdict::NoWorse => Self::NoWorse,
            Verdict::Inconclusive => Self::Inconclusive,
        }
    }
}
