//! How a run ends before its last step: it is aborted, or its flip is turned back.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::baking::has_share;
use super::running::CONFIRMATION_TAKES;
use super::{Action, Confirmation, Facts, Illegal, Outcome, at_work};
use crate::farm::{AfterProof, GroupName, Hold, MemberName, Owner, Side, Span, Stage};
use crate::haproxy::AdminState;
use crate::plan::run::{CallerState, Run, RunState, StepState};
use crate::plan::steps::{Phase, Step, Strategy};
use crate::plan::wait::Wait;

/// Ends a run: what it holds comes back if it is well. Accepted in every state; aborting what has ended changes
/// nothing, except that members still held are tried once more.
pub fn handle_abort(run: &Run, facts: &Facts<'_>, now: Timestamp) -> Outcome {
    if matches!(run.state, RunState::Aborting | RunState::RolledBack | RunState::Done) {
        return Outcome::Rest;
    }
    if run.plan.strategy.leaves_standby() {
        return end_flip(run, facts, now);
    }
    // Two versions serve: the share goes back first, and with it the one who has it.
    if run.is_active() && run.rollback.is_none() && tries(run) {
        return handle_rollback(run, "it was aborted", facts, now).unwrap_or(Outcome::Rest);
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
    aborted.finished = None;
    // Whoever works on servers stops first: they come back to visitors.
    if run.caller == CallerState::Here && run.state == RunState::Running && at_work(run) {
        aborted.state = RunState::Aborting;
        aborted.leaving = true;
        aborted.step = StepState { since: now, acted: None, undo: Vec::new() };
        return Outcome::Go(Box::new(aborted), vec![Action::Note("abort: the caller is to stop working".to_owned())]);
    }
    bring_back(aborted, &held, facts)
}

/// Has all that is held show that it is well, and comes back with what does.
fn bring_back(mut aborted: Run, held: &[&GroupName], facts: &Facts<'_>) -> Outcome {
    let versions = versions_in_service(&aborted, facts);
    aborted.state = RunState::Aborting;
    aborted.leaving = false;
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

/// A flip, or a deploy to the side that stands by, ends where it is: who serves goes on serving, who is out stays out.
fn end_flip(run: &Run, facts: &Facts<'_>, now: Timestamp) -> Outcome {
    if !run.is_active() {
        return Outcome::Rest;
    }
    let mut ended = run.clone();
    ended.state = RunState::Aborted;
    ended.finished = Some(now);
    let proving = |id| {
        let stage = facts.holds.get(id).map(|hold| &hold.stage);
        matches!(stage, Some(Stage::Proving { .. } | Stage::Proven { .. }))
    };
    let park = run.holds.iter().filter(|(_, id)| proving(id)).map(|(group, _)| Action::Park(group.clone()));
    let note = Action::Note("aborted; the traffic stays where it is".to_owned());
    Outcome::Go(Box::new(ended), park.chain([note]).collect())
}

/// Where a run that ends early leaves the traffic: with everybody who is not held.
fn turn_back(run: &Run, facts: &Facts<'_>) -> Option<Action> {
    let route = &run.plan.flip.route;
    let elsewhere = facts.live.as_ref().is_some_and(|live| *live != Side::All);
    (elsewhere && !route.is_empty() && route.iter().all(|route| route.all.is_some())).then_some(Action::Turn(Side::All))
}

pub(super) fn aborting(run: &Run, facts: &Facts<'_>, now: Timestamp) -> Outcome {
    if run.leaving {
        let until = STOPPING_TAKES.after(run.step.since);
        if run.caller == CallerState::Here && now < until {
            return Outcome::Wait(Wait::Caller { until });
        }
        let held = run.holds.iter().filter(|(_, id)| facts.holds.contains_key(id));
        return bring_back(run.clone(), &held.map(|(group, _)| group).collect::<Vec<_>>(), facts);
    }
    let holds: Vec<&Hold> = facts.holds.values().filter(|hold| hold.owner == Owner::Run(run.id)).collect();
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

/// Turns a run's flip back, to the side that still runs what ran before: what is left of the plan is that instead.
///
/// # Errors
/// Nothing has been turned, or the side that it was turned away from has been worked on.
pub fn handle_rollback(run: &Run, why: &str, facts: &Facts<'_>, now: Timestamp) -> Result<Outcome, Illegal> {
    let no_way = |why: String| Err(Illegal::NoWayBack { run: run.id, why });
    let (id, farm) = (run.id, &run.plan.farm);
    match run.state {
        RunState::Done if run.plan.strategy.leaves_standby() => {
            return no_way(format!(
                "it is done: `teeter flip {farm} GROUP` turns the traffic to the side that stands by"
            ));
        }
        RunState::Done | RunState::Aborted | RunState::RolledBack => return Err(Illegal::Ended(id)),
        RunState::Aborting => return no_way("it is being aborted".to_owned()),
        RunState::Running | RunState::Failed { .. } => {}
    }
    if run.rollback.is_some() {
        return no_way("it is being rolled back already".to_owned());
    }
    let done = run.plan.steps.iter().take(run.cursor).rev();
    let flips = done.filter_map(|step| match step {
        Step::Flip { release, hold, turn } if !release.is_empty() && !hold.is_empty() => Some((release, hold, turn)),
        _ => None,
    });
    if tries(run) {
        return Ok(no_share(run, why, facts, now));
    }
    if run.plan.strategy == Strategy::Rolling {
        return no_way(format!(
            "a rolling deploy turns no traffic, so there is no side to turn it back to: deploy the version before, after \
             `teeter abort {id}`"
        ));
    }
    let Some((new, old, turn)) = flips.take(1).next() else {
        return no_way(format!("no traffic has been turned yet: `teeter abort {id}` brings back what is well"));
    };
    let works = |step: &&Step| matches!(step, Step::Work { group, phase: Phase::Deploy } if old.contains(group));
    let begun = run.plan.steps.iter().take(run.cursor + 1).find(works);
    if let Some(Step::Work { group, .. }) = begun {
        return no_way(format!(
            "the work on {group} has begun, so nobody runs the version before any more: deploy that version, after \
             `teeter abort {id}`"
        ));
    }
    // Whoever has only been drained has been checked all along; whoever was in maintenance shows first that it is well.
    let checked = |group: &GroupName| {
        let hold = run.holds.get(group).and_then(|id| facts.holds.get(id));
        hold.is_some_and(|hold| hold.wants() < AdminState::Maint)
    };
    let mut tail: Vec<Step> =
        old.iter().filter(|group| !checked(group)).map(|group| Step::Verify { group: group.clone() }).collect();
    let back = turn.as_ref().and_then(|_| old.first()).map(|group| Side::Group(group.clone()));
    tail.push(Step::Flip { release: old.clone(), hold: new.clone(), turn: back.clone() });
    tail.extend(new.iter().map(|group| Step::Drain { group: group.clone() }));
    let whole = run.plan.flip.route.iter().all(|route| route.all.is_some());
    if back.is_some() && whole && !run.plan.strategy.leaves_standby() {
        tail.push(Step::Flip { release: Vec::new(), hold: Vec::new(), turn: Some(Side::All) });
    }
    Ok(with_tail(run, tail, why, now))
}

/// The run with other steps in place of what is left of its plan.
fn with_tail(run: &Run, tail: Vec<Step>, why: &str, now: Timestamp) -> Outcome {
    let mut run = run.clone();
    run.plan.steps.truncate(run.cursor);
    run.plan.steps.extend(tail);
    run.state = RunState::Running;
    run.rollback = Some(why.to_owned());
    run.step = StepState { since: now, acted: None, undo: Vec::new() };
    Outcome::Go(Box::new(run), vec![Action::Note(format!("rolling back: {why}"))])
}

/// Whether a group has, or is just being given, a share of the traffic.
fn tries(run: &Run) -> bool {
    has_share(run) || (matches!(run.current(), Some(Step::Share { .. })) && run.step.acted.is_some())
}

/// Takes the share back: the group that has it goes out, the other has all of the traffic again.
fn no_share(run: &Run, why: &str, facts: &Facts<'_>, now: Timestamp) -> Outcome {
    let mut shares = run.plan.steps.iter().filter_map(|step| match step {
        Step::Share { group, with, .. } => Some((group.clone(), with.clone())),
        _ => None,
    });
    let Some((group, with)) = shares.next() else { return Outcome::Rest };
    let routed = !run.plan.flip.route.is_empty();
    // Where weights make the share, the other group's are held, too.
    let held = run.holds.get(&with).is_some_and(|id| facts.holds.contains_key(id));
    let release = if held { vec![with.clone()] } else { Vec::new() };
    let mut tail = vec![
        Step::Flip { release, hold: vec![group.clone()], turn: routed.then_some(Side::Group(with)) },
        Step::Drain { group },
    ];
    if routed && run.plan.flip.route.iter().all(|route| route.all.is_some()) {
        tail.push(Step::Flip { release: Vec::new(), hold: Vec::new(), turn: Some(Side::All) });
    }
    with_tail(run, tail, why, now)
}

/// The versions that members of the farm serve which the run does not hold: only these may come back at an abort, or
/// visitors would meet two versions at once.
fn versions_in_service(run: &Run, facts: &Facts<'_>) -> BTreeSet<String> {
    let held: BTreeSet<&MemberName> =
        facts.holds.values().filter(|hold| hold.owner == Owner::Run(run.id)).flat_map(|hold| hold.members()).collect();
    run.versions.iter().filter(|(member, _)| !held.contains(member)).map(|(_, version)| version.clone()).collect()
}

/// A hook that is told to end has ten seconds to tidy up.
const STOPPING_TAKES: Span = Span::from_secs(15);
