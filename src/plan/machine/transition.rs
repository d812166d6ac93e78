//! How a run changes: on to the next step, past a group, or to a stop.

use jiff::Timestamp;

use super::outcome::{Action, Outcome};
use crate::farm::{GroupName, MemberName};
use crate::plan::run::{FailureKind, LeftOut, Passed, Run, RunState, StepState};
use crate::plan::step::Step;

/// Makes the current step's change.
pub(super) fn act(run: &Run, actions: Vec<Action>) -> Outcome {
    Outcome::Go(Box::new(run.clone()), actions)
}

/// Goes on to the next step, or ends the run after the last.
pub(super) fn next_step(run: &Run, now: Timestamp, actions: Vec<Action>) -> Outcome {
    let mut run = run.clone();
    run.cursor += 1;
    run.state = RunState::Running;
    run.step = StepState { since: now, acted: None, undo: Vec::new() };
    if run.current().is_none() {
        run.state = if run.rollback.is_some() { RunState::RolledBack } else { RunState::Done };
        run.finished = Some(now);
    }
    Outcome::Go(Box::new(run), actions)
}

/// Goes on to the next step, with a remark that the caller should read at the end of the run.
pub(super) fn next_with_remark(run: &Run, now: Timestamp, remark: String) -> Outcome {
    let mut run = run.clone();
    run.remarks.push(remark.clone());
    next_step(&run, now, vec![Action::Note(remark)])
}

/// Stops the run at its step.
pub(super) fn fail(run: &Run, kind: FailureKind, why: String, mut actions: Vec<Action>) -> Outcome {
    let mut run = run.clone();
    actions.push(Action::Note(format!("failed: {why}")));
    run.state = RunState::Failed { why, kind };
    Outcome::Go(Box::new(run), actions)
}

/// A group has failed: its servers stay out, for an operator to look at. The run goes on with the next group if its
/// policy allows that many failures, and stops otherwise.
pub(super) fn fail_group(run: &Run, group: &GroupName, kind: FailureKind, why: String, now: Timestamp) -> Outcome {
    let failed = run.left_out.values().filter(|left| left.out).count() + run.members(group).count();
    if failed > run.plan.max_failed {
        return fail(run, kind, why, Vec::new());
    }
    let mut run = run.clone();
    let members: Vec<MemberName> = run.members(group).map(|member| member.name.clone()).collect();
    run.left_out.extend(members.into_iter().map(|member| (member, LeftOut { why: why.clone(), out: true })));
    run.passed.insert(run.cursor, Passed::Failed);
    let note = format!("{why}; it stays out, and the run goes on: {failed} of at most {} out", run.plan.max_failed);
    skip_group(&run, group, now, vec![Action::Park(group.clone()), Action::Note(note)])
}

/// Goes on with the first step that is not about this group.
pub(super) fn skip_group(run: &Run, group: &GroupName, now: Timestamp, actions: Vec<Action>) -> Outcome {
    let mut run = run.clone();
    let steps = run.plan.steps.iter().skip(run.cursor + 1);
    let skipped = steps.take_while(|step| step.group() == Some(group)).count();
    run.passed.extend((1..=skipped).map(|more| (run.cursor + more, Passed::Skipped)));
    run.cursor += skipped;
    next_step(&run, now, actions)
}

/// Stops a run that has lost servers of a group to another user, and sends it back to emptying that group: later steps
/// relied on servers that nothing but the run changes.
pub(super) fn lost_servers(run: &Run, group: &GroupName, why: String, now: Timestamp) -> Outcome {
    let drains = |step: &Step| matches!(step, Step::Drain { group: drained } if drained == group);
    let mut stopped = run.clone();
    // A group that only has a share of the traffic, and was not emptied yet, must not send the run forward.
    let done = run.plan.steps.get(..=run.cursor).unwrap_or(&run.plan.steps);
    stopped.cursor = done.iter().rposition(drains).unwrap_or(run.cursor);
    stopped.step = StepState { since: now, acted: None, undo: Vec::new() };
    fail(&stopped, FailureKind::Taken, why, Vec::new())
}
