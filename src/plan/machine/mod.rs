//! The machine that runs any plan.
//!
//! It is a function of the stored run, of facts and of the time, asked again whenever one of them changes. It keeps
//! nothing in between, so a restarted daemon goes on by asking once more: a step that had been begun is one whose
//! change is in the store and whose effect is looked at again.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use thiserror::Error;

use super::bake::Figures;
use super::run::{FailureKind, LeftOut, Passed, Run, RunState, StepState};
use super::steps::{Phase, Step};
use super::verify::ProbeResult;
use super::wait::Wait;
use crate::farm::{AfterVerify, Entry, GroupName, Hold, HoldId, InstanceName, MemberName, Percent, Side};

mod abort;
mod asking;
mod baking;
mod rollback;
mod running;

pub use abort::handle_abort;
pub use rollback::{RollbackPath, handle_rollback, rollback_path};

/// What the machine is told about the world.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The holds in the store.
    pub holds: &'a BTreeMap<HoldId, Hold>,
    /// What HAProxy makes of the change that the present step has made.
    pub confirmation: Confirmation,
    /// The side that the farm's route was turned to, where teeter has turned it.
    pub live: Option<Side>,
    /// Lines of the run's members that nobody holds and that do not take traffic, with HAProxy's word for it.
    pub not_up: BTreeMap<Entry, String>,
    /// What members have answered since the present step began, where it asks them.
    pub answers: BTreeMap<MemberName, ProbeResult>,
    /// What HAProxy has counted of those that the step watches, where it watches any.
    pub figures: Option<Figures>,
    /// The members that would be in service if the step's groups went out now, and came in; `None` where none goes.
    pub stays: Option<usize>,
    /// The backend that the step would leave without a server, where it would.
    pub last_of: Option<String>,
}

/// What HAProxy makes of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Confirmation {
    /// Every instance has it and was read back.
    Agreed,
    /// Some have not.
    Pending {
        /// Which.
        instances: Vec<InstanceName>,
        /// What the last attempt met, if it failed.
        trouble: Option<String>,
    },
    /// One said no, in these words; what it had applied was undone.
    Refused(String),
}

/// What the machine wants done, in one transaction, together with storing the run that it returns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Hold a group, from the beginning of the ladder.
    Hold(GroupName),
    /// Start the ladder of a group's hold again.
    DrainAgain(GroupName),
    /// Give a group a share of the traffic, and another the rest.
    Share {
        /// Who is tried.
        group: GroupName,
        /// Who has the rest.
        with: GroupName,
        /// How much.
        share: Percent,
    },
    /// Begin to watch: keep what has been counted until now.
    Watch,
    /// Go on emptying a group that was kept ready to come back, to the end of its ladder.
    Harden(GroupName),
    /// Stop proving a group: it stays out as it is.
    Park(GroupName),
    /// Release a group.
    Release(GroupName),
    /// Switch the farm's route to a side.
    Switch(Side),
    /// Have the members of a group's hold show that they are healthy.
    Verify {
        /// Which group.
        group: GroupName,
        /// What follows.
        then: AfterVerify,
        /// The versions that they may show; any, where empty.
        versions: BTreeSet<String>,
    },
    /// Put the holds back as they were before the step's change.
    Undo,
    /// Record something.
    Note(String),
}

/// What follows.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// Nothing yet.
    Wait(Wait),
    /// Store this run and do this.
    Go(Box<Run>, Vec<Action>),
    /// The run has ended; nothing is to be done.
    Rest,
}

/// Something that cannot be asked of a run as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Illegal {
    /// It has ended.
    #[error("run {0} has ended")]
    Ended(crate::farm::RunId),
    /// It is not waiting for the caller's work.
    #[error("run {run} is at step `{step}` and not waiting for work: {waiting}")]
    NotAtWork {
        /// Which run.
        run: crate::farm::RunId,
        /// The step it is at.
        step: String,
        /// What it waits for instead.
        waiting: &'static str,
    },
    /// There is no failed step to try again.
    #[error(
        "run {run} has not failed, so there is nothing to try again: it {stands}; `teeter show {run}` says how it goes on"
    )]
    NotFailed {
        /// Which run.
        run: crate::farm::RunId,
        /// How it stands.
        stands: String,
    },
    /// It cannot be rolled back.
    #[error("run {run} cannot be rolled back: {why}")]
    NoRollback {
        /// Which run.
        run: crate::farm::RunId,
        /// Why not, and what to do instead.
        why: String,
    },
    /// The report is about another step than the one the run is at.
    #[error("run {run} is at step {at}, and the report is about step {reported}")]
    OtherStep {
        /// Which run.
        run: crate::farm::RunId,
        /// The number of the step it is at.
        at: usize,
        /// The number that was reported about.
        reported: usize,
    },
}

/// What the caller says of its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkReport {
    /// It is done.
    Done,
    /// It failed, and how.
    Failed(String),
}

/// Looks at a run again.
pub fn handle_tick(run: &Run, facts: &Facts<'_>, now: Timestamp) -> Outcome {
    match run.state {
        RunState::Failed { .. } | RunState::Aborted | RunState::RolledBack | RunState::Done => Outcome::Rest,
        RunState::Aborting => abort::aborting(run, facts, now),
        RunState::Running if run.paused && run.step.acted.is_none() && !at_work(run) => Outcome::Wait(Wait::Paused),
        RunState::Running => match run.current() {
            Some(step) => running::running(run, step, facts, now),
            None => Outcome::Rest,
        },
    }
}

/// Has a run begin no further step, or go on; what it has begun goes on in any case.
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
    // A step that has not begun has all its time from now on.
    if !paused && run.step.acted.is_none() {
        run.step.since = now;
    }
    Ok(Outcome::Go(Box::new(run), vec![Action::Note(note.to_owned())]))
}

fn at_work(run: &Run) -> bool {
    matches!(run.current(), Some(Step::Work { .. }))
}

/// Takes the caller's report on its work, or, where the run has failed, the order to try the step again.
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
            // What failed while the servers were in traffic has taken nobody out.
            let out = !matches!(phase, Phase::BeforeOut | Phase::AfterIn);
            Ok(if out {
                fail_group(run, group, FailureKind::Work, why, now)
            } else {
                fail(run, FailureKind::Work, why, Vec::new())
            })
        }
        (RunState::Running, Some(step @ Step::Bake { .. }), WorkReport::Done) => {
            Ok(next_with_remark(run, now, format!("{step} was cut short, without a verdict")))
        }
        (RunState::Failed { .. }, Some(step), WorkReport::Done) => Ok(again(run, step, now)),
        (RunState::Failed { .. }, _, WorkReport::Failed(_)) => Err(not_at_work("it has failed already")),
        _ => Err(not_at_work("it goes on by itself")),
    }
}

/// Tries a failed step again: also work that has failed, which the caller is then to do once more.
///
/// # Errors
/// The run has not failed.
pub fn handle_retry(run: &Run, now: Timestamp) -> Result<Outcome, Illegal> {
    match (&run.state, run.current()) {
        (RunState::Failed { .. }, Some(step)) => Ok(again(run, step, now)),
        _ if !run.is_active() => Err(Illegal::Ended(run.id)),
        _ => Err(Illegal::NotFailed { run: run.id, stands: run.stands() }),
    }
}

fn again(run: &Run, step: &Step, now: Timestamp) -> Outcome {
    let again = match step {
        Step::Drain { group } => vec![Action::DrainAgain(group.clone())],
        _ => Vec::new(),
    };
    // Whoever has been brought in, and is waited for, is not brought in once more.
    let waited = matches!((step, &run.state), (Step::In { .. }, RunState::Failed { kind: FailureKind::Verify, .. }));
    let acted = run.step.acted.filter(|_| waited);
    let mut run = run.clone();
    run.state = RunState::Running;
    run.step = StepState { since: now, acted, undo: Vec::new() };
    let note = Action::Note(format!("trying `{step}` again"));
    Outcome::Go(Box::new(run), again.into_iter().chain([note]).collect())
}

/// Stops a run because somebody else has taken over servers of one of its holds. It begins again with the emptying of
/// their group, which takes them out once more: whatever came after that was done on servers that nobody else touched.
pub fn handle_lost_servers(run: &Run, hold: HoldId, why: String, now: Timestamp) -> Outcome {
    let group = run.holds.iter().find(|(_, id)| **id == hold).map(|(group, _)| group);
    match (&run.state, group) {
        // What has failed and stays out is nobody's business any more.
        (RunState::Running, Some(group)) if run.members(group).next().is_some() => taken(run, group, why, now),
        _ => Outcome::Rest,
    }
}

fn taken(run: &Run, group: &GroupName, why: String, now: Timestamp) -> Outcome {
    let drain = |step: &Step| matches!(step, Step::Drain { group: of } if of == group);
    let mut stopped = run.clone();
    // Who has not been emptied yet, and only shares the traffic, is no reason to go forward.
    let done = run.plan.steps.get(..=run.cursor).unwrap_or(&run.plan.steps);
    stopped.cursor = done.iter().rposition(drain).unwrap_or(run.cursor);
    stopped.step = StepState { since: now, acted: None, undo: Vec::new() };
    fail(&stopped, FailureKind::Taken, why, Vec::new())
}

fn act(run: &Run, actions: Vec<Action>) -> Outcome {
    Outcome::Go(Box::new(run.clone()), actions)
}

fn next_step(run: &Run, now: Timestamp, actions: Vec<Action>) -> Outcome {
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

/// Goes on, and says what its caller should know at the end.
fn next_with_remark(run: &Run, now: Timestamp, remark: String) -> Outcome {
    let mut run = run.clone();
    run.remarks.push(remark.clone());
    next_step(&run, now, vec![Action::Note(remark)])
}

fn fail(run: &Run, kind: FailureKind, why: String, mut actions: Vec<Action>) -> Outcome {
    let mut run = run.clone();
    actions.push(Action::Note(format!("failed: {why}")));
    run.state = RunState::Failed { why, kind };
    Outcome::Go(Box::new(run), actions)
}

/// A group has failed: its servers stay out for somebody to look at. The run goes on with the next group where its
/// policy allows for that many, and stands still otherwise.
fn fail_group(run: &Run, group: &GroupName, kind: FailureKind, why: String, now: Timestamp) -> Outcome {
    let fallen = run.left_out.values().filter(|left| left.out).count() + run.members(group).count();
    if fallen > run.plan.max_failed {
        return fail(run, kind, why, Vec::new());
    }
    let mut run = run.clone();
    let members: Vec<MemberName> = run.members(group).map(|member| member.name.clone()).collect();
    run.left_out.extend(members.into_iter().map(|member| (member, LeftOut { why: why.clone(), out: true })));
    run.passed.insert(run.cursor, Passed::Failed);
    let note = format!("{why}; it stays out, and the run goes on: {fallen} of at most {} out", run.plan.max_failed);
    skip_group(&run, group, now, vec![Action::Park(group.clone()), Action::Note(note)])
}

/// Goes on with the first step that is about others.
fn skip_group(run: &Run, group: &GroupName, now: Timestamp, actions: Vec<Action>) -> Outcome {
    let mut run = run.clone();
    let others = |step: &Step| step.group() != Some(group);
    let steps = run.plan.steps.iter().skip(run.cursor + 1);
    let about = steps.take_while(|step| !others(step)).count();
    run.passed.extend((1..=about).map(|more| (run.cursor + more, Passed::Skipped)));
    run.cursor += about;
    next_step(&run, now, actions)
}
