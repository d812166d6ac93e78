//! Watching the side that has just got traffic, and rolling back if it does worse than the other side.

use jiff::Timestamp;

use super::history::{both_have_traffic, last_switch};
use super::outcome::{Action, Facts, Outcome};
use super::rollback::handle_rollback;
use super::transition::{act, fail, next_step, next_with_remark};
use crate::farm::{BakeSettings, OnInconclusive, Span};
use crate::plan::run::{FailureKind, Run};
use crate::plan::step::Step;
use crate::plan::wait::Wait;
use crate::plan::watch::{Control, Counted, Figures, Judgement, Verdict};

pub(super) fn watch(run: &Run, facts: &Facts<'_>, now: Timestamp) -> Outcome {
    let Some(settings) = &run.plan.bake else {
        return next_step(run, now, vec![Action::Note("nothing is to be watched".to_owned())]);
    };
    if run.step.acted.is_none() {
        return act(run, vec![Action::Watch(Box::new(control(run, settings, facts)))]);
    }
    let takes = match run.current() {
        Some(Step::Bake { takes: Some(takes), .. }) => *takes,
        _ => settings.takes,
    };
    let until = takes.after(run.step.since);
    let Some(figures) = &facts.figures else {
        return Outcome::Wait(Wait::Baking { requests: 0, so_far: None, until });
    };
    if settings.compares_nothing() {
        return without_comparison(run, figures, until, now);
    }
    let judgement = figures.judge(settings);
    match judgement.verdict {
        Verdict::Worse => roll_back(run, &format!("since {} {}", last_switch(run), judgement.text), facts, now),
        _ if now < until => {
            let requests = figures.new.counts.requests;
            Outcome::Wait(Wait::Baking { requests, so_far: Some(judgement.text), until })
        }
        Verdict::NoWorse => {
            let note = format!("watched for {takes}, no worse: {}", judgement.text);
            next_step(run, now, vec![Action::Note(note)])
        }
        Verdict::Inconclusive => inconclusive(run, settings, judgement, takes, facts, now),
    }
}

/// What a watch that begins now compares with.
fn control(run: &Run, settings: &BakeSettings, facts: &Facts<'_>) -> Control {
    // Of a short run too little is known: then it is compared with all that the processes have counted.
    let enough = settings.min_requests.max(ENOUGH);
    let counts = if facts.past.counts.requests >= enough { facts.past.counts } else { facts.all };
    Control { before: Counted { counts, ..facts.past.clone() }, concurrent: both_have_traffic(run) }
}

/// Requests of a run by which the other side's failures are known well enough.
const ENOUGH: u64 = 2000;

fn without_comparison(run: &Run, figures: &Figures, until: Timestamp, now: Timestamp) -> Outcome {
    let requests = figures.new.counts.requests;
    if now < until {
        return Outcome::Wait(Wait::Baking { requests, so_far: None, until });
    }
    let farm = &run.plan.farm;
    let why = format!("nothing was compared, because [farm.{farm}.bake] is not configured");
    next_with_remark(run, now, format!("{} passed without a verdict: {requests} requests, {why}", step_text(run)))
}

/// What follows when the time is over and nothing is certain.
fn inconclusive(
    run: &Run,
    settings: &BakeSettings,
    judgement: Judgement,
    takes: Span,
    facts: &Facts<'_>,
    now: Timestamp,
) -> Outcome {
    let longest = takes.times(LONGEST).after(run.step.since);
    let missing = judgement.text;
    match run.plan.on_inconclusive(settings) {
        OnInconclusive::Wait if now < longest => Outcome::Wait(Wait::Verdict { missing, until: Some(longest) }),
        OnInconclusive::Wait | OnInconclusive::Pause => Outcome::Wait(Wait::Verdict { missing, until: None }),
        OnInconclusive::Proceed => {
            next_with_remark(run, now, format!("{} passed without a verdict: {missing}", step_text(run)))
        }
        OnInconclusive::Rollback => {
            let why = format!("there is no verdict on it after {takes}: {missing}");
            roll_back(run, &why, facts, now)
        }
    }
}

/// `on_inconclusive = "wait"` waits for so many times the time of the watch.
const LONGEST: u32 = 10;

fn roll_back(run: &Run, why: &str, facts: &Facts<'_>, now: Timestamp) -> Outcome {
    match handle_rollback(run, why, facts, now) {
        Ok(outcome) => outcome,
        Err(no_rollback) => fail(run, FailureKind::Bake, format!("{why}; {no_rollback}"), Vec::new()),
    }
}

fn step_text(run: &Run) -> String {
    run.current().map(ToString::to_string).unwrap_or_default()
}
