//! Making views of runs.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::api::{
    AttendantView, CallerPresence, FlipMeans, FlipView, RunFailure, RunStatus, RunView, StepStatus, StepView, WorkView,
};
use crate::engine::memory::Memory;
use crate::engine::runs::progress::wait_of;
use crate::engine::views::watches::watch_now;
use crate::farm::{GroupName, MemberName};
use crate::plan::machine::rollback_path;
use crate::plan::{Attendant, CallerState, Flipped, Passed, Phase, Run, RunState, Step, Wait};
use crate::state::State;

/// The view of a run.
pub(crate) fn run_view(run: &Run, state: &State, memory: &Memory, now: Timestamp) -> RunView {
    let (why, failure) = failure(run).unzip();
    let out: Vec<String> = state
        .holds
        .values()
        .filter(|hold| hold.owner == crate::farm::Owner::Run(run.id))
        .flat_map(|hold| &hold.entries)
        .map(|entry| run.member_of(entry))
        .collect::<BTreeSet<_>>()
        .into_iter()
        .map(ToString::to_string)
        .collect();
    let wait = wait_of(run, memory).filter(|_| run.is_active());
    let caller_stays = wait.as_ref().filter(|wait| matches!(wait, Wait::CallerStays { .. })).map(|_| end_caller(run));
    let verdict = wait.as_ref().filter(|wait| matches!(wait, Wait::Verdict { .. })).map(|_| without_verdict(run));
    let watch = watch_now(run, wait.as_ref(), memory);
    let holds = run.holds.values().filter_map(|id| Some((state.holds.get(id)?, memory.holds.get(id)?)));
    let in_flight = holds.map(|(hold, memory)| text(memory.watch.in_flight(hold)));
    RunView {
        id: run.id.0,
        farm: run.plan.farm.to_string(),
        strategy: run.plan.strategy.into(),
        version: run.plan.version.clone(),
        state: RunStatus::from(&run.state),
        why,
        failure,
        by: run.by.clone(),
        started: run.started,
        finished: run.finished,
        cursor: run.cursor,
        steps: run.plan.steps.iter().enumerate().map(|(index, step)| step_view(run, index, step)).collect(),
        within_s: wait.as_ref().and_then(|wait| wait.within_s(now)),
        waiting: wait.map(|wait| wait.to_string()),
        in_flight: in_flight
            .reduce(|mut all, more| {
                all.extend(more);
                all
            })
            .unwrap_or_default(),
        work: work_view(run),
        without_haproxy: run.reach.without.iter().map(ToString::to_string).collect(),
        skipped: text(run.plan.skipped.clone()),
        off: run.plan.off.clone(),
        left_out: text(run.left_out.iter().map(|(member, left)| (member.clone(), left.why.clone())).collect()),
        notes: run.plan.notes.clone(),
        remarks: run.remarks.clone(),
        rollback: run.rollback.clone(),
        paused: run.paused,
        caller: match run.caller {
            CallerState::Never => None,
            CallerState::Here => Some(CallerPresence::Here),
            CallerState::Gone { .. } => Some(CallerPresence::Gone),
        },
        attendant: attendant(run).map(attendant_view),
        versions: text(run.versions.clone()),
        flips: run.flips.iter().map(flip_view).collect(),
        next: caller_stays.or(verdict).or_else(|| next(run, &out)),
        out,
        not_reached: Vec::new(),
        servers: Vec::new(),
        drains: Vec::new(),
        watches: watch.into_iter().collect(),
        estimate: None,
        forecast: None,
    }
}

/// Why a run has failed, and the kind of the failure; `None` if it has not.
pub(super) fn failure(run: &Run) -> Option<(String, RunFailure)> {
    match &run.state {
        RunState::Failed { why, kind } => Some((why.clone(), RunFailure::from(*kind))),
        _ => None,
    }
}

/// What to do about a run whose caller does not stop.
fn end_caller(run: &Run) -> String {
    let process = run.attended.as_ref().and_then(|attended| attended.pid);
    let process =
        process.map_or_else(|| "its caller".to_owned(), |pid| format!("process {pid}, and what it has started"));
    format!("end {process}: then the healthy servers come back by themselves; `teeter abort {}` waits for that", run.id)
}

/// What to do about a run whose watch has ended without a verdict.
fn without_verdict(run: &Run) -> String {
    let back = match rollback_path(run) {
        Ok(_) => format!("`teeter rollback {}` switches the traffic back", run.id),
        Err(_) => format!("`teeter abort {}` ends it", run.id),
    };
    format!("`teeter continue {}` goes on without a verdict; {back}", run.id)
}

/// The caller that does the run's work now.
fn attendant(run: &Run) -> Option<&Attendant> {
    let working = run.caller == CallerState::Here && matches!(run.state, RunState::Running | RunState::Aborting);
    run.attended.as_ref().filter(|_| working)
}

fn attendant_view(attendant: &Attendant) -> AttendantView {
    let Attendant { user, pid, place, what, since, .. } = attendant.clone();
    AttendantView { user, pid, place, what, text: attendant.to_string(), since }
}

fn step_view(run: &Run, index: usize, step: &Step) -> StepView {
    let state = match (&run.state, index.cmp(&run.cursor)) {
        (_, std::cmp::Ordering::Less) => match run.passed.get(&index) {
            None => StepStatus::Done,
            Some(Passed::Failed) => StepStatus::Failed,
            Some(Passed::Skipped) => StepStatus::Skipped,
        },
        (RunState::Running, std::cmp::Ordering::Equal) => StepStatus::Now,
        (RunState::Failed { .. }, std::cmp::Ordering::Equal) => StepStatus::Failed,
        _ => StepStatus::ToDo,
    };
    let servers = match step {
        Step::Work { group, .. } => run.plan.groups.get(group).map(Vec::as_slice).unwrap_or_default(),
        _ => &[],
    };
    let servers = servers.iter().map(|member| member.name.to_string()).collect();
    let phase = if let Step::Work { phase, .. } = step { Some((*phase).into()) } else { None };
    let times = run.times.get(&index);
    let (began, ended) = (times.map(|times| times.began), times.and_then(|times| times.ended));
    let group = step.group().map(ToString::to_string);
    StepView { text: step.to_string(), group, state, servers, phase, began, ended, does: None, carry: None }
}

pub(super) fn flip_view(flip: &Flipped) -> FlipView {
    let took_ms = std::time::Duration::from_micros(flip.took).as_secs_f64() * 1000.0;
    let mode = if flip.route { FlipMeans::Route } else { FlipMeans::Servers };
    FlipView { step: flip.step, at: flip.at, took_ms, mode }
}

fn work_view(run: &Run) -> Option<WorkView> {
    let (RunState::Running, Some(Step::Work { group, phase })) = (&run.state, run.current()) else { return None };
    Some(WorkView {
        step: run.cursor,
        group: group.to_string(),
        phase: (*phase).into(),
        servers: run.members(group).map(|member| member.name.to_string()).collect(),
        addresses: run.members(group).map(|member| member.address.clone()).collect(),
    })
}

/// What to type next; `None` if the run needs no command.
fn next(run: &Run, out: &[String]) -> Option<String> {
    let (id, farm) = (run.id, &run.plan.farm);
    let standby = run.plan.strategy.leaves_standby();
    let end = if standby { "to leave the traffic where it is" } else { "to bring back the healthy servers" };
    match (&run.state, run.current()) {
        // The attending process reports by itself.
        (RunState::Running, Some(Step::Work { .. })) if attendant(run).is_some() => {
            run.paused.then(|| format!("`teeter continue {id}`, or the run pauses when that work has ended"))
        }
        (RunState::Running, Some(Step::Work { group, phase })) => {
            let (step, by) = (run.cursor, &run.by);
            let what = if *phase == Phase::Deploy { "work".to_owned() } else { phase.to_string() };
            let state = match run.caller {
                CallerState::Gone { .. } => format!(
                    "the command that did the {what} on group {group} has ended: `teeter deploy --resume {id} -- HOOK` \
                     does it again, and the rest of the run; if you finish it by hand,"
                ),
                CallerState::Never | CallerState::Here => {
                    format!("the {what} on group {group} is for {by}, the user that began the run; when it is done")
                }
            };
            Some(format!(
                "{state} `teeter advance {id} --step {step}`, or `teeter advance {id} --step {step} --failed WHY`; \
                 or `teeter abort {id}`"
            ))
        }
        (RunState::Running, _) if run.paused => Some(format!("`teeter continue {id}` to go on")),
        (RunState::Running | RunState::Aborting, _) => None,
        (RunState::Failed { .. }, Some(Step::Work { group, phase: Phase::Deploy })) => Some(format!(
            "`teeter deploy --resume {id} -- HOOK` to run the hook on group {group} again; or fix it by hand and `teeter \
             advance {id}` to go on with its verification; or `teeter abort {id}` {end}"
        )),
        (RunState::Failed { .. }, Some(Step::Work { group, phase })) => {
            let (place, then) = match phase {
                Phase::AfterOut => ("is out", "to go on to the work on it"),
                Phase::BeforeOut => ("is still in service", "to go on and take it out"),
                Phase::AfterIn | Phase::Deploy => ("is in service again", "to go on from there"),
            };
            Some(format!(
                "group {group} {place}: do by hand what {phase} has not done and `teeter advance {id}` {then}; or \
                 `teeter abort {id}` {}",
                if out.is_empty() { "to end the run: no server is out" } else { end }
            ))
        }
        (RunState::Failed { .. }, Some(step)) => {
            let back = if rollback_path(run).is_ok() {
                format!("`teeter rollback {id}` to switch the traffic back; ")
            } else {
                String::new()
            };
            let again = if run.has_work_to_do() && run.attended.is_some() {
                format!("`teeter deploy --resume {id} -- HOOK` to try `{step}` again and do the rest of the work")
            } else {
                format!("`teeter continue {id}` to try `{step}` again")
            };
            Some(format!("{again}; {back}or `teeter abort {id}` {end}"))
        }
        (RunState::Done | RunState::RolledBack, _) if standby && !out.is_empty() => {
            let on_standby = |group: &&GroupName| {
                let members = run.plan.groups.get(*group).into_iter().flatten();
                members.into_iter().any(|member| out.contains(&member.name.to_string()))
            };
            let back = run.plan.groups.keys().filter(on_standby);
            let back: Vec<String> = back.map(|group| format!("`teeter flip {farm} {group}`")).collect();
            Some(format!("on standby: {}; {} switches the traffic to them", out.join(", "), back.join(" or ")))
        }
        (RunState::Aborted, _) if standby => Some(format!(
            "`teeter status farm:{farm}` shows which side has the traffic; `teeter flip {farm} GROUP` or `teeter \
             flip {farm} all` switches it"
        )),
        (RunState::Aborted | RunState::RolledBack | RunState::Done, _) if !out.is_empty() => Some(format!(
            "fix {} and `teeter ready {}`, with --no-verify to skip the verification; or deploy to the farm again: \
             that begins with them",
            out.join(", "),
            out.join(" ")
        )),
        _ => None,
    }
}

/// The map with the names of members as text.
pub(crate) fn text<V>(map: BTreeMap<MemberName, V>) -> BTreeMap<String, V> {
    map.into_iter().map(|(member, value)| (member.to_string(), value)).collect()
}
