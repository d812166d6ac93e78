//! What follows at each step of a run that goes on.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::abort::handle_abort;
use super::ask::{ask, ask_all};
use super::confirm::confirmed;
use super::history::{kept_ready, was_given_share};
use super::outcome::{Action, Facts, Outcome};
use super::transition::{act, fail, fail_group, lost_servers, next_step, next_with_remark};
use super::watch::watch;
use crate::farm::{AfterVerify, GroupName, Hold, Side, Stage, StallAction};
use crate::plan::run::{CallerState, FailureKind, Run};
use crate::plan::step::Step;
use crate::plan::wait::Wait;

/// What follows at this step of a run that goes on.
pub(super) fn next(run: &Run, step: &Step, facts: &Facts<'_>, now: Timestamp) -> Outcome {
    let hold = |group: &GroupName| run.holds.get(group).and_then(|id| facts.holds.get(id));
    // While the run was stopped another user may have taken over the group that it is to bring back.
    let needed = match step {
        Step::Verify { group } | Step::In { group, .. } | Step::Settle { group, .. } => std::slice::from_ref(group),
        // A group that has a share of the traffic is in service already.
        Step::Flip { release, .. } if !was_given_share(run) => &release[..],
        _ => &[],
    };
    if let Some(gone) = needed.iter().find(|group| run.step.acted.is_none() && hold(group).is_none()) {
        return lost_servers(run, gone, format!("group {gone} is not held by this run any more"), now);
    }
    let note_confirmed = |run: &Run| next_step(run, now, vec![Action::Note(format!("{step} confirmed"))]);
    match step {
        Step::Ask { group } => ask(run, group, facts, now),
        Step::Out { group, switch } => match run.step.acted {
            None => out(run, group, switch.as_ref(), facts, now),
            Some(_) => confirmed(run, facts, now, note_confirmed),
        },
        Step::Drain { group } if run.step.acted.is_none() && hold(group).is_some() && kept_ready(run, group) => {
            act(run, vec![Action::Harden(group.clone())])
        }
        Step::Drain { group } => drain(run, group, hold(group), now),
        Step::Work { group, .. } => work(run, group, facts, now),
        Step::Settle { takes, .. } => match takes.after(run.step.since) {
            until if now < until => Outcome::Wait(Wait::Settling { until }),
            _ => next_step(run, now, vec![Action::Note(format!("{step}: {takes} are over"))]),
        },
        Step::Verify { group } => verify(run, group, hold(group), now),
        Step::Flip { release, hold, switch } => match run.step.acted {
            None => {
                if let Some(outcome) = too_few(run, &refused(hold, "taken out"), run.plan.needed, facts, now) {
                    return outcome;
                }
                let switch = switch.iter().cloned().map(Action::Switch);
                let release = release.iter().cloned().map(Action::Release);
                act(run, release.chain(switch).chain(hold.iter().cloned().map(Action::Hold)).collect())
            }
            Some(_) => confirmed(run, facts, now, note_confirmed),
        },
        Step::In { group, switch } => match run.step.acted {
            None => {
                let switch = switch.iter().cloned().map(Action::Switch);
                act(run, std::iter::once(Action::Release(group.clone())).chain(switch).collect())
            }
            Some(_) => confirmed(run, facts, now, |run| wait_until_up(run, group, facts, now)),
        },
        Step::Share { group, with, share } => match run.step.acted {
            None => {
                if let Some(outcome) =
                    too_few(run, &refused(std::slice::from_ref(group), "given a share"), 1, facts, now)
                {
                    return outcome;
                }
                let (group, with, share) = (group.clone(), with.clone(), *share);
                act(run, vec![Action::Share { group, with, share }])
            }
            Some(_) => confirmed(run, facts, now, note_confirmed),
        },
        Step::Bake { .. } => watch(run, facts, now),
        Step::AskAll { groups } => ask_all(run, groups, facts, now),
    }
}

/// Takes a group out, as soon as enough others are in service.
fn out(run: &Run, group: &GroupName, switch: Option<&Side>, facts: &Facts<'_>, now: Timestamp) -> Outcome {
    // The leader waits until another server leads; until then no other server is in service.
    let leads = run.plan.leader && facts.last_of.is_some();
    let too_few = || too_few(run, &refused(std::slice::from_ref(group), "taken out"), run.plan.needed, facts, now);
    if let Some(outcome) = (!leads).then(too_few).flatten() {
        return outcome;
    }
    if let Some(backend) = &facts.last_of {
        let until = run.plan.verify.deadline.after(run.step.since);
        let wait = Wait::LastServer { backend: backend.clone(), until };
        return match now < until {
            true => Outcome::Wait(wait),
            false => fail(run, FailureKind::Guard, format!("{group} was not taken out: {wait}"), Vec::new()),
        };
    }
    act(run, switch.cloned().map(Action::Switch).into_iter().chain([Action::Hold(group.clone())]).collect())
}

/// The text about a change that a step did not make to its groups: `a was not taken out`.
fn refused(groups: &[GroupName], change: &str) -> String {
    let names: Vec<&str> = groups.iter().map(GroupName::as_str).collect();
    format!("{} was not {change}", names.join(", "))
}

/// Waits, and at the deadline stops, while too few members would be left in service. A rollback waits only if none
/// would be left. `refused`: what is said then.
fn too_few(run: &Run, refused: &str, needed: usize, facts: &Facts<'_>, now: Timestamp) -> Option<Outcome> {
    let needed = if run.rollback.is_some() { needed.min(1) } else { needed };
    let left = facts.stays.filter(|left| *left < needed)?;
    let until = run.plan.verify.deadline.after(run.step.since);
    let wait = Wait::Others { left, needed, until };
    if now < until {
        return Some(Outcome::Wait(wait));
    }
    let down = facts.not_up.iter().map(|(entry, status)| format!("{entry} is {status}")).collect::<Vec<_>>().join(", ");
    let down = if down.is_empty() { down } else { format!("; not in service: {down}") };
    Some(fail(run, FailureKind::Guard, format!("{refused}: {wait}{down}"), Vec::new()))
}

fn drain(run: &Run, group: &GroupName, hold: Option<&Hold>, now: Timestamp) -> Outcome {
    match hold.map(|hold| &hold.stage) {
        Some(Stage::Out { left: 0, .. }) => next_step(run, now, vec![Action::Note(format!("{group} is drained"))]),
        Some(Stage::Out { left, .. }) => {
            next_step(run, now, vec![Action::Note(format!("going on with {left} requests left on {group}"))])
        }
        Some(Stage::Stuck { .. }) => {
            let note = hold.and_then(|hold| hold.note.clone()).unwrap_or_default();
            let why = format!("group {group} was not drained at the deadline: {note}");
            fail(run, FailureKind::Deadline, why, Vec::new())
        }
        Some(_) => Outcome::Wait(Wait::Hold),
        None => {
            let why = format!("group {group} was not drained at the deadline; it has been brought back");
            fail(run, FailureKind::Deadline, why, Vec::new())
        }
    }
}

/// Waits for the caller's work. A caller that is attached limits the time of its work itself; for one that has gone, or
/// that never was attached, the run has a limit.
fn work(run: &Run, group: &GroupName, facts: &Facts<'_>, now: Timestamp) -> Outcome {
    let gone = match run.caller {
        CallerState::Gone { at } => Some(at),
        CallerState::Here | CallerState::Never => None,
    };
    let wait = Outcome::Wait(Wait::Work { group: group.clone(), gone });
    let Some(stall) = run.plan.on_stall.filter(|_| run.caller != CallerState::Here) else { return wait };
    let since = gone.unwrap_or(run.step.since).max(run.step.since);
    if now < stall.after.after(since) {
        return wait;
    }
    let why = format!("no caller has reported on the work on group {group} for {}", stall.after);
    match stall.action {
        StallAction::Hold => fail(run, FailureKind::Stalled, why, Vec::new()),
        StallAction::Restore => match handle_abort(run, facts, now) {
            Outcome::Go(aborted, actions) => {
                let note = Action::Note(format!("{why}: the run is aborted, as its farm's on_stall says"));
                Outcome::Go(aborted, std::iter::once(note).chain(actions).collect())
            }
            other => other,
        },
    }
}

fn verify(run: &Run, group: &GroupName, hold: Option<&Hold>, now: Timestamp) -> Outcome {
    match (run.step.acted, hold) {
        (None, _) => {
            act(run, vec![Action::Verify { group: group.clone(), then: AfterVerify::Wait, versions: run.must_show() }])
        }
        (Some(_), Some(Hold { stage: Stage::Verified { .. }, note, .. })) => match note {
            Some(note) => next_with_remark(run, now, format!("{group} is healthy, except {note}")),
            None => next_step(run, now, vec![Action::Note(format!("{group} is healthy"))]),
        },
        (Some(_), Some(Hold { stage: Stage::Verifying(_), .. })) => Outcome::Wait(Wait::Hold),
        (Some(_), other) => {
            let note = other.and_then(|hold| hold.note.clone()).unwrap_or_default();
            fail_group(run, group, FailureKind::Verify, format!("group {group} is not healthy: {note}"), now)
        }
    }
}

/// Waits until all members are up that the run has brought back: those of this group, and of the groups before it.
fn wait_until_up(run: &Run, group: &GroupName, facts: &Facts<'_>, now: Timestamp) -> Outcome {
    let back: BTreeSet<&GroupName> = run.worked_on().chain([group]).collect();
    let members: BTreeSet<_> =
        back.into_iter().flat_map(|group| run.members(group)).map(|member| &member.name).collect();
    let down = facts.not_up.iter().filter(|(entry, _)| members.contains(run.member_of(entry)));
    let down: BTreeMap<_, _> = down.map(|(entry, status)| (entry.clone(), status.clone())).collect();
    let until = run.plan.verify.deadline.after(run.step.since);
    if down.is_empty() {
        let last = !run.plan.steps.iter().skip(run.cursor + 1).any(|step| matches!(step, Step::In { .. }));
        let note = if last { "every member is in service".to_owned() } else { format!("{group} is in service") };
        next_step(run, now, vec![Action::Note(note)])
    } else if now < until {
        Outcome::Wait(Wait::Up { entries: down, until })
    } else {
        let down: Vec<String> = down.iter().map(|(entry, status)| format!("{entry} is {status}")).collect();
        fail(run, FailureKind::Verify, format!("not every member came up: {}", down.join(", ")), Vec::new())
    }
}
