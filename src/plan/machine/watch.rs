//! Watching the side that has just got the traffic, and rolling back if it does worse than the other side did.

use jiff::Timestamp;

use super::history::last_switch;
use super::outcome::{Action, Facts, Outcome};
use super::rollback::handle_rollback;
use super::transition::{act, fail, next_step, next_with_remark};
use crate::plan::run::{FailureKind, Run};
use crate::plan::step::Step;
use crate::plan::wait::Wait;

pub(super) fn watch(run: &Run, facts: &Facts<'_>, now: Timestamp) -> Outcome {
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
        let why = format!("since {} {breach}", last_switch(run));
        return match handle_rollback(run, &why, facts, now) {
            Ok(outcome) => outcome,
            Err(no_rollback) => fail(run, FailureKind::Bake, format!("{why}; {no_rollback}"), Vec::new()),
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
