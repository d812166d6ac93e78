//! The machine that runs any plan.
//!
//! A function of the stored run, of facts and of the time, called again whenever one of them changes. It keeps nothing
//! between two calls, so a restarted daemon goes on by calling it again: a step that had begun is one whose change is
//! in the store and whose effect is looked at again.

mod abort;
mod ask;
mod confirm;
mod history;
mod outcome;
mod rollback;
mod step;
mod transition;
mod watch;

use jiff::Timestamp;

pub(super) use self::ask::ANSWER_TAKES;
use self::transition::{fail, fail_group, lost_servers, next_step, next_with_remark};
use super::run::{FailureKind, Run, RunState, StepState};
use super::step::Step;
use super::strategy::Phase;
use super::wait::Wait;
use crate::farm::HoldId;

pub use abort::handle_abort;
pub use outcome::{Action, Confirmation, Facts, Illegal, Outcome, WorkReport};
pub use rollback::{RollbackPath, handle_rollback, rollback_path};

/// Decides what a run does next.
pub fn handle_tick(run: &Run, facts: &Facts<'_>, now: Timestamp) -> Outcome {
    match run.state {
        RunState::Failed { .. } | RunState::Aborted | RunState::RolledBack | RunState::Done => Outcome::Rest,
        RunState::Aborting => abort::aborting(run, facts, now),
        RunState::Running if run.paused && run.step.acted.is_none() && !run.is_at_work() => Outcome::Wait(Wait::Paused),
        RunState::Running => match run.current() {
            Some(step) => step::next(run, step, facts, now),
            None => Outcome::Rest,
        },
    }
}

/// Pauses a run before its next step, or lets it go on. A step that has begun goes on in any case.
///
/// # Errors
/// The run has ended.
pub fn handle_pause(run: &Run, paused: bool, now: Timestamp) -> Result<Outcome, Illegal> {
    if !run.is_active() {
        return Err(Illegal::Ended(run.id));
    }
    if run.paused == paused {
        return Ok(Outcome::Rest);
    }
    let note = if paused { "paused: it begins no further step" } else { "resumed" };
    let mut run = Run { paused, ..run.clone() };
    // The deadline of a step that has not begun counts from now on.
    if !paused && run.step.acted.is_none() {
        run.step.since = now;
    }
    Ok(Outcome::Go(Box::new(run), vec![Action::Note(note.to_owned())]))
}

/// Takes the caller's report on its work or, where the run has failed, the order to try the step again.
///
/// # Errors
/// The run has ended or is not waiting for this.
pub fn handle_report(run: &Run, step: Option<usize>, report: WorkReport, now: Timestamp) -> Result<Outcome, Illegal> {
    if !run.is_active() {
        return Err(Illegal::Ended(run.id));
    }
    let not_at_work = |waiting| {
        let step = run.current().map(ToString::to_string).unwrap_or_default();
        Illegal::NotAtWork { run: run.id, step, waiting }
    };
    if let Some(reported) = step.filter(|step| *step != run.cursor) {
        return Err(Illegal::OtherStep { run: run.id, at: run.cursor, reported });
    }
    match (&run.state, run.current(), report) {
        (RunState::Aborting, ..) => Err(not_at_work("it is being aborted")),
        (_, Some(step @ Step::Work { .. }), WorkReport::Done) => {
            Ok(next_step(run, now, vec![Action::Note(format!("{step} done"))]))
        }
        (_, Some(Step::Work { group, phase }), WorkReport::Failed(why)) => {
            let what = if *phase == Phase::Deploy { "the work".to_owned() } else { format!("the hook {phase}") };
            let why = format!("{what} on group {group} failed: {why}");
            // A hook that failed while the servers were in service leaves them there.
            let is_out = !matches!(phase, Phase::BeforeOut | Phase::AfterIn);
            Ok(if is_out {
                fail_group(run, group, FailureKind::Work, why, now)
            } else {
                fail(run, FailureKind::Work, why, Vec::new())
            })
        }
        (RunState::Running, Some(step @ Step::Bake { .. }), WorkReport::Done) => {
            Ok(next_with_remark(run, now, format!("{step} was cut short, without a verdict")))
        }
        (RunState::Failed { .. }, Some(step), WorkReport::Done) => Ok(retry_step(run, step, now)),
        (RunState::Failed { .. }, _, WorkReport::Failed(_)) => Err(not_at_work("it has failed already")),
        _ => Err(not_at_work("it goes on by itself")),
    }
}

/// Tries a failed step again. Work that has failed must be done again by the caller.
///
/// # Errors
/// The run has not failed.
pub fn handle_retry(run: &Run, now: Timestamp) -> Result<Outcome, Illegal> {
    match (&run.state, run.current()) {
        (RunState::Failed { .. }, Some(step)) => Ok(retry_step(run, step, now)),
        _ if !run.is_active() => Err(Illegal::Ended(run.id)),
        _ => Err(Illegal::NotFailed { run: run.id, status: run.status_text() }),
    }
}

fn retry_step(run: &Run, step: &Step, now: Timestamp) -> Outcome {
    let actions = match step {
        Step::Drain { group } => vec![Action::DrainAgain(group.clone())],
        _ => Vec::new(),
    };
    // A group that was brought in, and only did not come up in time, is not brought in again.
    let was_brought_in =
        matches!((step, &run.state), (Step::In { .. }, RunState::Failed { kind: FailureKind::Verify, .. }));
    let acted = run.step.acted.filter(|_| was_brought_in);
    let mut run = run.clone();
    run.state = RunState::Running;
    run.step = StepState { since: now, acted, undo: Vec::new() };
    let note = Action::Note(format!("trying `{step}` again"));
    Outcome::Go(Box::new(run), actions.into_iter().chain([note]).collect())
}

/// Stops a run because another user has taken over servers of one of its holds. It begins again with emptying their
/// group, which takes them out once more: later steps relied on servers that nothing but the run changes.
pub fn handle_lost_servers(run: &Run, hold: HoldId, why: String, now: Timestamp) -> Outcome {
    let group = run.holds.iter().find(|(_, id)| **id == hold).map(|(group, _)| group);
    match (&run.state, group) {
        // The run goes on without a group that has failed: losing its servers stops nothing.
        (RunState::Running, Some(group)) if run.members(group).next().is_some() => lost_servers(run, group, why, now),
        _ => Outcome::Rest,
    }
}
