//! How a run ends before its last step: it is aborted.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::rollback::{handle_rollback, tries};
use super::running::CONFIRMATION_TAKES;
use super::{Action, Confirmation, Facts, Outcome, at_work};
use crate::farm::{AfterVerify, GroupName, Hold, HoldId, MemberName, Owner, Side, Span, Stage};
use crate::plan::run::{CallerState, Run, RunState, StepState};
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
        if switch_back(run, facts).is_some() {
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
    bring_back(&aborted, &held, facts)
}

/// Has all that is out show that it is well, and comes back with what does.
fn bring_back(run: &Run, held: &[&GroupName], facts: &Facts<'_>) -> Outcome {
    let versions = versions_in_service(run, facts);
    let aborted = Run { state: RunState::Aborting, leaving: false, ..run.clone() };
    let bring = |group: &&GroupName| match keeps_serving(run, group, facts) {
        true => Action::Release((*group).clone()),
        false => Action::Verify { group: (*group).clone(), then: AfterVerify::Release, versions: versions.clone() },
    };
    let note = match versions.iter().next() {
        Some(_) => format!(
            "abort: what is well and runs {} comes back",
            versions.iter().cloned().collect::<Vec<_>>().join(" or ")
        ),
        None => "abort: what is well comes back".to_owned(),
    };
    Outcome::Go(Box::new(aborted), held.iter().map(bring).chain([Action::Note(note)]).collect())
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
        matches!(stage, Some(Stage::Verifying(_) | Stage::Verified { .. }))
    };
    let park = run.holds.iter().filter(|(_, id)| proving(id)).map(|(group, _)| Action::Park(group.clone()));
    let note = Action::Note("aborted; the traffic stays where it is".to_owned());
    Outcome::Go(Box::new(ended), park.chain([note]).collect())
}

/// Where a run that ends early leaves the traffic: with everybody who is not held, unless those run different versions.
fn switch_back(run: &Run, facts: &Facts<'_>) -> Option<Action> {
    if versions_in_service(run, facts).len() > 1 {
        return None;
    }
    let route = &run.plan.flip.route;
    let elsewhere = facts.live.as_ref().is_some_and(|live| *live != Side::All);
    (elsewhere && !route.is_empty() && route.iter().all(|route| route.all.is_some()))
        .then_some(Action::Switch(Side::All))
}

pub(super) fn aborting(run: &Run, facts: &Facts<'_>, now: Timestamp) -> Outcome {
    if run.leaving {
        let until = STOPPING_TAKES.after(run.step.since);
        // Whoever works on servers that get traffic again breaks requests, however long it has been asked to stop.
        if run.caller == CallerState::Here {
            let who = || run.attended.as_ref().map_or_else(|| "it is not known who".to_owned(), ToString::to_string);
            let wait = if now < until { Wait::Caller { until } } else { Wait::CallerStays { who: who() } };
            return Outcome::Wait(wait);
        }
        let held = run.holds.iter().filter(|(_, id)| facts.holds.contains_key(id));
        return bring_back(run, &held.map(|(group, _)| group).collect::<Vec<_>>(), facts);
    }
    let holds: Vec<&Hold> = facts.holds.values().filter(|hold| hold.owner == Owner::Run(run.id)).collect();
    if holds.iter().any(|hold| matches!(hold.stage, Stage::Verifying(_) | Stage::Verified { .. })) {
        return Outcome::Wait(Wait::Hold);
    }
    let mut run = run.clone();
    if let Some(switch) = switch_back(&run, facts) {
        run.step = StepState { since: now, acted: None, undo: Vec::new() };
        let note = Action::Note("the traffic goes to everybody who is not kept out".to_owned());
        return Outcome::Go(Box::new(run), vec![switch, note]);
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

/// Whether a group has a part of the traffic, by its weights, and runs what ran before: it needs to show nothing, and
/// somebody has to serve while the others do.
fn keeps_serving(run: &Run, group: &GroupName, facts: &Facts<'_>) -> bool {
    let hold = run.holds.get(group).and_then(|id| facts.holds.get(id));
    let shared = hold.is_some_and(|hold| matches!(hold.stage, Stage::Shared { .. }));
    shared && !run.worked_on().any(|worked| worked == group)
}

/// The versions that members of the farm serve which the run does not hold: only these may come back at an abort, or
/// visitors would meet two versions at once.
fn versions_in_service(run: &Run, facts: &Facts<'_>) -> BTreeSet<String> {
    let serving = run.holds.iter().filter(|(group, _)| keeps_serving(run, group, facts));
    let serving: BTreeSet<&HoldId> = serving.map(|(_, id)| id).collect();
    let out = facts.holds.values().filter(|hold| hold.owner == Owner::Run(run.id) && !serving.contains(&hold.id));
    let held: BTreeSet<&MemberName> = out.flat_map(Hold::members).collect();
    run.versions.iter().filter(|(member, _)| !held.contains(member)).map(|(_, version)| version.clone()).collect()
}

/// A hook that is told to end has ten seconds to tidy up.
const STOPPING_TAKES: Span = Span::from_secs(15);
