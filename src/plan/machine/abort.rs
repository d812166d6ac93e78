//! Aborting a run: how it ends before its last step.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::confirm::CONFIRMATION_TAKES;
use super::history::has_share;
use super::outcome::{Action, Confirmation, Facts, Outcome};
use super::rollback::handle_rollback;
use crate::farm::{AfterVerify, GroupName, Hold, HoldId, MemberName, Owner, Side, Span, Stage};
use crate::plan::run::{CallerState, Run, RunState, StepState};
use crate::plan::wait::Wait;

/// Ends a run: the members that it holds come back if they are healthy. Accepted in every state; aborting a run that
/// has ended changes nothing, except that members still held are verified once more.
pub fn handle_abort(run: &Run, facts: &Facts<'_>, now: Timestamp) -> Outcome {
    if matches!(run.state, RunState::Aborting | RunState::RolledBack | RunState::Done) {
        return Outcome::Rest;
    }
    if run.plan.strategy.leaves_standby() {
        return end_in_place(run, facts, now);
    }
    // Two versions serve: the group that has a share loses it and goes out first.
    if run.is_active() && run.rollback.is_none() && has_share(run) {
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
    // The caller must stop working on servers before they get clients again.
    if run.caller == CallerState::Here && run.state == RunState::Running && run.is_at_work() {
        aborted.state = RunState::Aborting;
        aborted.leaving = true;
        aborted.step = StepState { since: now, acted: None, undo: Vec::new() };
        return Outcome::Go(Box::new(aborted), vec![Action::Note("abort: the caller is to stop working".to_owned())]);
    }
    bring_back(&aborted, &held, facts)
}

/// Verifies all groups that are out, and brings back their healthy members.
fn bring_back(run: &Run, held: &[&GroupName], facts: &Facts<'_>) -> Outcome {
    let versions = versions_in_service(run, facts);
    let aborted = Run { state: RunState::Aborting, leaving: false, ..run.clone() };
    let bring = |group: &&GroupName| match keeps_serving(run, group, facts) {
        true => Action::Release((*group).clone()),
        false => Action::Verify { group: (*group).clone(), then: AfterVerify::Release, versions: versions.clone() },
    };
    let note = match versions.iter().next() {
        Some(_) => format!(
            "abort: healthy members that run {} come back",
            versions.iter().cloned().collect::<Vec<_>>().join(" or ")
        ),
        None => "abort: healthy members come back".to_owned(),
    };
    Outcome::Go(Box::new(aborted), held.iter().map(bring).chain([Action::Note(note)]).collect())
}

/// Ends a flip, or a deploy to the side on standby, where it is: the side in service goes on, the other stays out.
fn end_in_place(run: &Run, facts: &Facts<'_>, now: Timestamp) -> Outcome {
    if !run.is_active() {
        return Outcome::Rest;
    }
    let mut ended = run.clone();
    ended.state = RunState::Aborted;
    ended.finished = Some(now);
    let is_verified = |id| {
        let stage = facts.holds.get(id).map(|hold| &hold.stage);
        matches!(stage, Some(Stage::Verifying(_) | Stage::Verified { .. }))
    };
    let park = run.holds.iter().filter(|(_, id)| is_verified(id)).map(|(group, _)| Action::Park(group.clone()));
    let note = Action::Note("aborted; the traffic stays where it is".to_owned());
    Outcome::Go(Box::new(ended), park.chain([note]).collect())
}

/// The switch with which a run that ends early gives the traffic to all members that are not held, unless these run
/// different versions.
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
        // A caller that works on servers in service breaks requests, however long ago it was asked to stop.
        if run.caller == CallerState::Here {
            let caller = || run.attended.as_ref().map_or_else(|| "an unknown caller".to_owned(), ToString::to_string);
            let wait = if now < until { Wait::Caller { until } } else { Wait::CallerStays { caller: caller() } };
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
        let note = Action::Note("the traffic goes to all members that are not held".to_owned());
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

/// Whether a group has a part of the traffic, by its weights, and was not worked on: it needs no verification, and must
/// serve while the other group is verified.
fn keeps_serving(run: &Run, group: &GroupName, facts: &Facts<'_>) -> bool {
    let hold = run.holds.get(group).and_then(|id| facts.holds.get(id));
    let shared = hold.is_some_and(|hold| matches!(hold.stage, Stage::Shared { .. }));
    shared && !run.worked_on().any(|worked| worked == group)
}

/// The versions of the farm's members that the run does not hold: only these versions may come back at an abort, or
/// clients would meet two versions at once.
fn versions_in_service(run: &Run, facts: &Facts<'_>) -> BTreeSet<String> {
    let serving = run.holds.iter().filter(|(group, _)| keeps_serving(run, group, facts));
    let serving: BTreeSet<&HoldId> = serving.map(|(_, id)| id).collect();
    let holds_out = facts.holds.values().filter(|hold| hold.owner == Owner::Run(run.id) && !serving.contains(&hold.id));
    let held: BTreeSet<&MemberName> = holds_out.flat_map(Hold::members).collect();
    run.versions.iter().filter(|(member, _)| !held.contains(member)).map(|(_, version)| version.clone()).collect()
}

/// A hook that is told to end has ten seconds to tidy up.
const STOPPING_TAKES: Span = Span::from_secs(15);
