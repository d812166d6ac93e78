//! The machine that runs any plan.
//!
//! It is a function of the stored run, of facts and of the time, asked again whenever one of them changes. It keeps
//! nothing in between, so a restarted daemon goes on by asking once more: a step that had been begun is one whose
//! change is in the store and whose effect is looked at again.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use thiserror::Error;

use super::run::{FailureKind, Run, RunState, StepState};
use super::steps::{Step, Strategy};
use super::wait::Wait;
use crate::farm::{AfterProof, Entry, GroupName, Hold, HoldId, InstanceName, MemberName, Side, Span, Stage};

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
    /// Release a group.
    Release(GroupName),
    /// Turn the farm's route to a side.
    Turn(Side),
    /// Have a group's hold prove that its members are well.
    Prove {
        /// Which group.
        group: GroupName,
        /// What follows.
        then: AfterProof,
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
pub enum Report {
    /// It is done.
    Done,
    /// It failed, and how.
    Failed(String),
}

/// Looks at a run again.
pub fn handle_tick(run: &Run, facts: &Facts<'_>, now: Timestamp) -> Outcome {
    match run.state {
        RunState::Failed { .. } | RunState::Aborted | RunState::Done => Outcome::Rest,
        RunState::Aborting => aborting(run, facts, now),
        RunState::Running => match run.current() {
            Some(step) => running(run, step, facts, now),
            None => Outcome::Rest,
        },
    }
}

/// Takes the caller's report on its work, or, where the run has failed, the order to try the step again.
///
/// # Errors
/// The run has ended or is not waiting for this.
pub fn handle_report(run: &Run, step: Option<usize>, report: Report, now: Timestamp) -> Result<Outcome, Illegal> {
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
        (_, Some(Step::Work { group }), Report::Done) => {
            Ok(next_step(run, now, vec![Action::Note(format!("work on {group} done"))]))
        }
        (_, Some(Step::Work { group }), Report::Failed(why)) => {
            Ok(fail(run, FailureKind::Work, format!("the work on group {group} failed: {why}"), Vec::new()))
        }
        (RunState::Failed { .. }, Some(step), Report::Done) => {
            let again = match step {
                Step::Drain { group } => vec![Action::DrainAgain(group.clone())],
                _ => Vec::new(),
            };
            let mut run = run.clone();
            run.state = RunState::Running;
            run.step = StepState { since: now, acted: None, undo: Vec::new() };
            let note = Action::Note(format!("trying `{step}` again"));
            Ok(Outcome::Go(Box::new(run), again.into_iter().chain([note]).collect()))
        }
        (RunState::Failed { .. }, _, Report::Failed(_)) => Err(not_at_work("it has failed already")),
        _ => Err(not_at_work("it goes on by itself")),
    }
}

/// Stops a run because somebody else has taken over servers of one of its holds. It begins again with the emptying of
/// their group, which takes them out once more: whatever came after that was done on servers that nobody else touched.
pub fn handle_taken(run: &Run, hold: HoldId, why: String, now: Timestamp) -> Outcome {
    let group = run.holds.iter().find(|(_, id)| **id == hold).map(|(group, _)| group);
    match (&run.state, group) {
        (RunState::Running, Some(group)) => taken(run, group, why, now),
        _ => Outcome::Rest,
    }
}

fn taken(run: &Run, group: &GroupName, why: String, now: Timestamp) -> Outcome {
    let drain = |step: &Step| matches!(step, Step::Drain { group: of } if of == group);
    let mut stopped = run.clone();
    stopped.cursor = run.plan.steps.iter().position(drain).unwrap_or(run.cursor);
    stopped.step = StepState { since: now, acted: None, undo: Vec::new() };
    fail(&stopped, FailureKind::Taken, why, Vec::new())
}

/// Ends a run: what it holds comes back if it is well. Accepted in every state; aborting what has ended changes
/// nothing, except that members still held are tried once more.
pub fn handle_abort(run: &Run, facts: &Facts<'_>, now: Timestamp) -> Outcome {
    if run.state == RunState::Aborting || run.state == RunState::Done {
        return Outcome::Rest;
    }
    if run.plan.strategy == Strategy::Flip {
        return end_flip(run, now);
    }
    let held: Vec<&GroupName> =
        run.holds.iter().filter(|(_, id)| facts.holds.contains_key(id)).map(|(group, _)| group).collect();
    let mut aborted = run.clone();
    if held.is_empty() {
        if run.state == RunState::Aborted {
            return Outcome::Rest;
        }
        if turn_back(run, facts).is_some() {
            aborted.state = RunState::Aborting;
            return Outcome::Go(Box::new(aborted), vec![Action::Note("abort".to_owned())]);
        }
        aborted.state = RunState::Aborted;
        aborted.finished = Some(now);
        return Outcome::Go(Box::new(aborted), vec![Action::Note("aborted; nothing was held".to_owned())]);
    }
    let versions = versions_in_service(run, facts);
    aborted.state = RunState::Aborting;
    aborted.finished = None;
    let prove = |group: &&GroupName| Action::Prove {
        group: (*group).clone(),
        then: AfterProof::Release,
        versions: versions.clone(),
    };
    let note = match versions.iter().next() {
        Some(_) => format!(
            "abort: what is well and runs {} comes back",
            versions.iter().cloned().collect::<Vec<_>>().join(" or ")
        ),
        None => "abort: what is well comes back".to_owned(),
    };
    Outcome::Go(Box::new(aborted), held.iter().map(prove).chain([Action::Note(note)]).collect())
}

/// A flip that is aborted ends where it is: who serves goes on serving, who is out stays out.
fn end_flip(run: &Run, now: Timestamp) -> Outcome {
    if !run.is_active() {
        return Outcome::Rest;
    }
    let mut run = run.clone();
    run.state = RunState::Aborted;
    run.finished = Some(now);
    Outcome::Go(Box::new(run), vec![Action::Note("aborted; the traffic stays where it is".to_owned())])
}

/// Where a run that ends early leaves the traffic: with everybody who is not held.
fn turn_back(run: &Run, facts: &Facts<'_>) -> Option<Action> {
    let route = &run.plan.flip.route;
    let elsewhere = facts.live.as_ref().is_some_and(|live| *live != Side::All);
    (elsewhere && !route.is_empty() && route.iter().all(|route| route.all.is_some())).then_some(Action::Turn(Side::All))
}

fn running(run: &Run, step: &Step, facts: &Facts<'_>, now: Timestamp) -> Outcome {
    let hold = |group: &GroupName| run.holds.get(group).and_then(|id| facts.holds.get(id));
    // While the run stood still somebody may have taken over what it is to bring back.
    let needed = match step {
        Step::Verify { group } | Step::In { group, .. } => std::slice::from_ref(group),
        Step::Flip { release, .. } => &release[..],
        Step::Out { .. } | Step::Drain { .. } | Step::Work { .. } => &[],
    };
    if let Some(gone) = needed.iter().find(|group| run.step.acted.is_none() && hold(group).is_none()) {
        return taken(run, gone, format!("group {gone} is not held by this run any more"), now);
    }
    match step {
        Step::Out { group, turn } => match run.step.acted {
            None => act(run, turn.iter().cloned().map(Action::Turn).chain([Action::Hold(group.clone())]).collect()),
            Some(_) => {
                confirmed(run, facts, now, |run| next_step(run, now, vec![Action::Note(format!("{step} confirmed"))]))
            }
        },
        Step::Drain { group } => match hold(group).map(|hold| &hold.stage) {
            Some(Stage::Out { left: 0, .. }) => next_step(run, now, vec![Action::Note(format!("{group} is drained"))]),
            Some(Stage::Out { left, .. }) => {
                next_step(run, now, vec![Action::Note(format!("going on with {left} requests left on {group}"))])
            }
            Some(Stage::Stuck { .. }) => {
                let note = hold(group).and_then(|hold| hold.note.clone()).unwrap_or_default();
                fail(
                    run,
                    FailureKind::Deadline,
                    format!("group {group} was not drained at the deadline: {note}"),
                    Vec::new(),
                )
            }
            Some(_) => Outcome::Wait(Wait::Hold),
            None => {
                let why = format!("group {group} was not drained at the deadline; it has been brought back");
                fail(run, FailureKind::Deadline, why, Vec::new())
            }
        },
        Step::Work { group } => Outcome::Wait(Wait::Work { group: group.clone() }),
        Step::Verify { group } => match (run.step.acted, hold(group)) {
            (None, _) => {
                let versions = run.plan.version.iter().filter(|_| shows_version(run)).cloned().collect();
                act(run, vec![Action::Prove { group: group.clone(), then: AfterProof::Wait, versions }])
            }
            (Some(_), Some(Hold { stage: Stage::Proven { .. }, note, .. })) => {
                let but = note.iter().map(|note| format!(", but for {note}")).collect::<String>();
                next_step(run, now, vec![Action::Note(format!("{group} is well{but}"))])
            }
            (Some(_), Some(Hold { stage: Stage::Proving { .. }, .. })) => Outcome::Wait(Wait::Hold),
            (Some(_), other) => {
                let note = other.and_then(|hold| hold.note.clone()).unwrap_or_default();
                fail(run, FailureKind::Proof, format!("group {group} is not well: {note}"), Vec::new())
            }
        },
        Step::Flip { release, hold, turn } => match run.step.acted {
            None => {
                let turn = turn.iter().cloned().map(Action::Turn);
                let release = release.iter().cloned().map(Action::Release);
                act(run, release.chain(turn).chain(hold.iter().cloned().map(Action::Hold)).collect())
            }
            Some(_) => {
                confirmed(run, facts, now, |run| next_step(run, now, vec![Action::Note(format!("{step} confirmed"))]))
            }
        },
        Step::In { group, turn } => match run.step.acted {
            None => act(
                run,
                [Action::Release(group.clone())].into_iter().chain(turn.iter().cloned().map(Action::Turn)).collect(),
            ),
            Some(_) => confirmed(run, facts, now, |run| {
                let until = run.plan.verify.deadline.after(run.step.since);
                if facts.not_up.is_empty() {
                    next_step(run, now, vec![Action::Note("every member is in service".to_owned())])
                } else if now < until {
                    Outcome::Wait(Wait::Up { entries: facts.not_up.clone(), until })
                } else {
                    let down: Vec<String> =
                        facts.not_up.iter().map(|(entry, status)| format!("{entry} is {status}")).collect();
                    fail(run, FailureKind::Proof, format!("not every member came up: {}", down.join(", ")), Vec::new())
                }
            }),
        },
    }
}

fn aborting(run: &Run, facts: &Facts<'_>, now: Timestamp) -> Outcome {
    let holds: Vec<&Hold> = facts.holds.values().filter(|hold| hold.owner == crate::farm::Owner::Run(run.id)).collect();
    if holds.iter().any(|hold| matches!(hold.stage, Stage::Proving { .. } | Stage::Proven { .. })) {
        return Outcome::Wait(Wait::Hold);
    }
    let mut run = run.clone();
    if let Some(turn) = turn_back(&run, facts) {
        run.step = StepState { since: now, acted: None, undo: Vec::new() };
        let note = Action::Note("the traffic goes to everybody who is not kept out".to_owned());
        return Outcome::Go(Box::new(run), vec![turn, note]);
    }
    if let Confirmation::Pending { instances, trouble } = &facts.confirmation
        && now < CONFIRMATION_TAKES.after(run.step.since)
    {
        return Outcome::Wait(Wait::Confirmation { instances: instances.clone(), trouble: trouble.clone() });
    }
    run.state = RunState::Aborted;
    run.finished = Some(now);
    let left: Vec<String> = holds.iter().flat_map(|hold| hold.members()).map(ToString::to_string).collect();
    let note = if left.is_empty() {
        "aborted; every member is back".to_owned()
    } else {
        format!("aborted; still out: {}", left.join(", "))
    };
    Outcome::Go(Box::new(run), vec![Action::Note(note)])
}

/// Goes on when HAProxy has confirmed the step's change; fails, and puts back what was, when it refuses or is silent
/// for too long.
fn confirmed(run: &Run, facts: &Facts<'_>, now: Timestamp, then: impl FnOnce(&Run) -> Outcome) -> Outcome {
    match &facts.confirmation {
        Confirmation::Agreed => then(run),
        Confirmation::Refused(words) => fail(run, FailureKind::Refused, words.clone(), vec![Action::Undo]),
        Confirmation::Pending { instances, trouble } if now < CONFIRMATION_TAKES.after(run.step.since) => {
            Outcome::Wait(Wait::Confirmation { instances: instances.clone(), trouble: trouble.clone() })
        }
        Confirmation::Pending { instances, trouble } => {
            let names: Vec<&str> = instances.iter().map(InstanceName::as_str).collect();
            let trouble = trouble.as_deref().unwrap_or("no answer");
            let why = format!("HAProxy {} did not confirm within {CONFIRMATION_TAKES}: {trouble}", names.join(", "));
            fail(run, FailureKind::Unreachable, why, vec![Action::Undo])
        }
    }
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
        run.state = RunState::Done;
        run.finished = Some(now);
    }
    Outcome::Go(Box::new(run), actions)
}

fn fail(run: &Run, kind: FailureKind, why: String, mut actions: Vec<Action>) -> Outcome {
    let mut run = run.clone();
    actions.push(Action::Note(format!("failed: {why}")));
    run.state = RunState::Failed { why, kind };
    Outcome::Go(Box::new(run), actions)
}

fn shows_version(run: &Run) -> bool {
    run.plan.verify.http.as_ref().is_some_and(|http| http.version.is_some())
}

/// The versions that members of the farm serve which the run does not hold: only these may come back at an abort, or
/// visitors would meet two versions at once.
fn versions_in_service(run: &Run, facts: &Facts<'_>) -> BTreeSet<String> {
    let held: BTreeSet<&MemberName> = facts
        .holds
        .values()
        .filter(|hold| hold.owner == crate::farm::Owner::Run(run.id))
        .flat_map(|hold| hold.members())
        .collect();
    run.versions.iter().filter(|(member, _)| !held.contains(member)).map(|(_, version)| version.clone()).collect()
}

/// HAProxy answers in milliseconds; a reload takes some tenths of a second. Past this it is not there.
const CONFIRMATION_TAKES: Span = Span::from_secs(30);
