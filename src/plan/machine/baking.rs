//! Watching the side that has just got the traffic, and turning back where it does worse than the other did.

use jiff::Timestamp;

use super::rollback::handle_rollback;
use super::{Action, Facts, Outcome, act, fail, next_step, next_with_remark};
use crate::farm::GroupName;
use crate::plan::run::{FailureKind, Run};
use crate::plan::steps::Step;
use crate::plan::wait::Wait;

pub(super) fn bake(run: &Run, facts: &Facts<'_>, now: Timestamp) -> Outcome {
    let Some(settings) = &run.plan.bake else {
        return next_step(run, now, vec![Action::Note("nothing is to be watched".to_owned())]);
    };
    if run.step.acted.is_none() {
        return act(run, vec![Action::Watch]);
    }
    let takes = match run.current() {
        Some(Step::Bake { takes: Some(takes), .. }) => *takes,
        _ => settings.takes,
    };
    let until = takes.after(run.step.since);
    let Some(figures) = &facts.figures else { return Outcome::Wait(Wait::Baking { requests: 0, until }) };
    if let Some(breach) = figures.breach(settings) {
        let why = format!("since {} {breach}", got(run));
        return match handle_rollback(run, &why, facts, now) {
            Ok(outcome) => outcome,
            Err(no_way) => fail(run, FailureKind::Bake, format!("{why}; {no_way}"), Vec::new()),
        };
    }
    let requests = figures.now.requests;
    if now < until {
        return Outcome::Wait(Wait::Baking { requests, until });
    }
    let step = run.current().map(ToString::to_string).unwrap_or_default();
    if settings.compares_nothing() {
        let farm = &run.plan.farm;
        let why = format!("nothing was compared, because [farm.{farm}.bake] is not configured");
        return next_with_remark(run, now, format!("{step} passed without a verdict: {requests} requests, {why}"));
    }
    if figures.are_too_few(settings) {
        let needed = settings.min_requests;
        let why = format!("{requests} requests are too few to judge by, bake.min_requests asks for {needed}");
        return next_with_remark(run, now, format!("{step} passed without a verdict: {why}"));
    }
    let note = format!("watched for {takes}: {requests} requests, no worse than before");
    next_step(run, now, vec![Action::Note(note)])
}

/// What the watched side was given before the watch, in words.
fn got(run: &Run) -> String {
    let mut before = run.plan.steps.iter().take(run.cursor).rev();
    let given = before.find(|step| matches!(step, Step::Flip { .. } | Step::Share { .. }));
    match given {
        Some(Step::Share { group, share, .. }) => format!("group {group} was given {share} of the traffic"),
        _ => "the flip".to_owned(),
    }
}

/// Whether a group was kept ready to come back until the watch was over.
pub(super) fn kept_ready(run: &Run, group: &GroupName) -> bool {
    let before = run.plan.steps.iter().take(run.cursor).rev();
    let mut bakes = before.take_while(|step| !matches!(step, Step::Flip { .. }));
    bakes.any(|step| matches!(step, Step::Bake { old, .. } if old.contains(group)))
}

/// Whether a group has a share of the traffic: it was given one, and the flip to it has not been confirmed.
pub(super) fn has_share(run: &Run) -> bool {
    let before = run.plan.steps.iter().take(run.cursor).rev();
    let mut since = before.take_while(|step| !matches!(step, Step::Flip { .. }));
    since.any(|step| matches!(step, Step::Share { .. }))
}
