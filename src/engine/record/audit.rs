//! What a transaction changes, in words: stored with it, and told to the log.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::api::RunStatus;
use crate::farm::{Baseline, Farm, FarmName, Hold, HoldId, Route, Stage};
use crate::plan::{Run, RunState};
use crate::state::{Change, Changed, NewEvent, State, event};

/// What is other than before, each thing once. What only teeter's own bookkeeping is about is not among it.
pub(crate) fn changed(state: &State, changes: &[Change]) -> Vec<Changed> {
    // The last change of a thing says what becomes of it.
    let mut after: BTreeMap<String, (Option<String>, Option<String>)> = BTreeMap::new();
    for change in changes {
        let (what, was, is) = match change {
            Change::PutHold(new) => (format!("hold {}", new.id), state.holds.get(&new.id).map(hold), Some(hold(new))),
            Change::DropHold(id) => (format!("hold {id}"), state.holds.get(id).map(hold), None),
            Change::PutRun(new) => (format!("run {}", new.id), state.runs.get(&new.id).map(run), Some(run(new))),
            Change::PutRoute(new) => {
                (format!("route of {}", new.farm), state.routes.get(&new.farm).map(route), Some(route(new)))
            }
            Change::DropRoute(farm) => (format!("route of {farm}"), state.routes.get(farm).map(route), None),
            // Noted before the first hold and forgotten after the last; a change between the two is somebody's.
            Change::PutBaseline(entry, new) => match state.baselines.get(entry) {
                Some(old) => (format!("{entry} without holds"), Some(baseline(old)), Some(baseline(new))),
                None => continue,
            },
            Change::DropBaseline(_) => continue,
        };
        after.entry(what).or_insert((was, None)).1 = is;
    }
    let changed = after.into_iter().filter(|(_, (before, after))| before != after);
    changed.map(|(what, (before, after))| Changed { what, before, after }).collect()
}

/// The events of a transaction with what it changes; one of them where there would be none.
pub(crate) fn with_changed(mut events: Vec<NewEvent>, changed: Vec<Changed>, now: Timestamp) -> Vec<NewEvent> {
    if events.is_empty() && !changed.is_empty() {
        let words = changed.iter().map(|Changed { what, after, .. }| match after {
            Some(after) => format!("{what}: {after}"),
            None => format!("{what}: not kept any more"),
        });
        events.push(event(now, "changed", words.collect::<Vec<_>>().join(", "), None, None));
    }
    if let Some(first) = events.first_mut() {
        first.changed = changed;
    }
    events
}

/// The farms that an event is about.
pub(crate) fn farms_of(
    event: &NewEvent,
    state: &State,
    changes: &[Change],
    farms: &BTreeMap<FarmName, Farm>,
) -> Option<String> {
    let put = |id: HoldId| {
        changes.iter().find_map(|change| match change {
            Change::PutHold(hold) if hold.id == id => Some(&**hold),
            _ => None,
        })
    };
    let begun = |id| {
        changes.iter().find_map(|change| match change {
            Change::PutRun(run) if run.id == id => Some(&**run),
            _ => None,
        })
    };
    if let Some(run) = event.run.and_then(|id| state.runs.get(&id).or_else(|| begun(id))) {
        return Some(run.plan.farm.to_string());
    }
    let hold = event.hold.and_then(|id| state.holds.get(&id).or_else(|| put(id)))?;
    let of_hold = farms.values().filter(|farm| hold.entries.iter().any(|entry| farm.has(&entry.server)));
    let names: Vec<&str> = of_hold.map(|farm| farm.name.as_str()).collect();
    Some(names.join(",")).filter(|names| !names.is_empty())
}

/// Tells the log what is in the store by now, with fields by which the journal can be searched.
pub(crate) fn log(event: &NewEvent, farm: Option<&str>) {
    let (run, hold) = (event.run.map(|id| id.0), event.hold.map(|id| id.0));
    let caller = event.caller.as_ref();
    tracing::info!(
        action = event.kind,
        run,
        hold,
        farm,
        user = caller.map(|caller| caller.user.as_str()),
        login = caller.and_then(|caller| caller.login.as_ref()).map(|login| login.user.as_str()),
        uid = caller.map(|caller| caller.uid),
        gid = caller.map(|caller| caller.gid),
        pid = caller.and_then(|caller| caller.pid),
        command = caller.map(|caller| caller.command.as_str()),
        exe = caller.and_then(|caller| caller.exe.as_deref()),
        "{}",
        event.text
    );
}

fn hold(hold: &Hold) -> String {
    let stage = match &hold.stage {
        Stage::Draining(_) => "draining".to_owned(),
        Stage::Stuck { .. } => "stuck".to_owned(),
        Stage::Out { .. } => "out".to_owned(),
        Stage::Verifying(_) => "verifying".to_owned(),
        Stage::Verified { .. } => "verified".to_owned(),
        Stage::Shared { weights } => {
            format!("weights {}", weights.values().map(ToString::to_string).collect::<Vec<_>>().join(", "))
        }
    };
    let until = hold.expires.map(|at| format!(" until {at}")).unwrap_or_default();
    let mut lines: Vec<String> = hold.entries.iter().take(NAMED).map(ToString::to_string).collect();
    if hold.entries.len() > NAMED {
        lines.push(format!("and {} more", hold.entries.len() - NAMED));
    }
    let (mode, owner, reason) = (hold.wanted_state(), &hold.owner, &hold.reason);
    format!("{mode} {}{until}, {stage}; {owner}: {reason}", lines.join(", "))
}

fn run(run: &Run) -> String {
    let why = match &run.state {
        RunState::Failed { why, .. } => format!(" ({why})"),
        _ => String::new(),
    };
    let step = run.current().map(|step| format!(" at step {}, {step}", run.cursor + 1)).unwrap_or_default();
    let paused = if run.paused { ", paused" } else { "" };
    let back = if run.rollback.is_some() { ", turning back" } else { "" };
    format!("{}{why}{step}{paused}{back}", RunStatus::from(&run.state))
}

fn route(route: &Route) -> String {
    let share = |canary: &crate::farm::Canary| {
        canary.share.map(|share| format!(", {} with {share} of the clients", canary.group)).unwrap_or_default()
    };
    format!("{}{}", route.live, route.canary.as_ref().map(share).unwrap_or_default())
}

fn baseline(baseline: &Baseline) -> String {
    let overruled = baseline.overruled.map(|by| format!(", now {} against its hold", by.state)).unwrap_or_default();
    format!("{}{overruled}", baseline.state)
}

/// As many lines of a hold are named: it may have thousands.
const NAMED: usize = 50;
