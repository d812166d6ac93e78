//! Describes the changes of a transaction in words. The words are stored with the transaction and written to the log.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::api::RunStatus;
use crate::farm::{Baseline, Farm, FarmName, Hold, HoldId, Route, Stage};
use crate::plan::{Run, RunState};
use crate::state::{Change, Changed, NewEvent, State, event};

/// The differences that a transaction makes, one for each hold, run, route or baseline. Changes that are only teeter's
/// own bookkeeping are left out.
pub(crate) fn changed(state: &State, changes: &[Change]) -> Vec<Changed> {
    // If a transaction changes one record several times, the last change counts.
    let mut after: BTreeMap<String, (Option<String>, Option<String>)> = BTreeMap::new();
    for change in changes {
        let (what, before, new) = match change {
            Change::PutHold(new) => {
                // The lines stand apart: a hold of forty servers changes ten times, and its lines hardly ever.
                let before = state.holds.get(&new.id);
                if before.is_none_or(|before| before.entries != new.entries) {
                    let entry = after.entry(format!("lines of hold {}", new.id));
                    entry.or_insert((before.map(lines), None)).1 = Some(lines(new));
                }
                (format!("hold {}", new.id), before.map(hold), Some(hold(new)))
            }
            Change::DropHold(id) => (format!("hold {id}"), state.holds.get(id).map(hold), None),
            Change::PutRun(new) => (format!("run {}", new.id), state.runs.get(&new.id).map(run), Some(run(new))),
            Change::PutRoute(new) => {
                (format!("route of {}", new.farm), state.routes.get(&new.farm).map(route), Some(route(new)))
            }
            Change::DropRoute(farm) => (format!("route of {farm}"), state.routes.get(farm).map(route), None),
            // A baseline is stored with the first hold and dropped after the last. A change in between records a change
            // that was made outside teeter.
            Change::PutBaseline(entry, new) => match state.baselines.get(entry) {
                Some(before) => (format!("{entry} without holds"), Some(baseline(before)), Some(baseline(new))),
                None => continue,
            },
            Change::DropBaseline(_) | Change::AddDrain(_) | Change::AddWatch(_) => continue,
        };
        after.entry(what).or_insert((before, None)).1 = new;
    }
    let changed = after.into_iter().filter(|(_, (before, after))| before != after);
    changed.map(|(what, (before, after))| Changed { what, before, after }).collect()
}

/// Attaches the differences to the first event of a transaction. If there are differences and no event, one is added.
pub(crate) fn with_changed(mut events: Vec<NewEvent>, changed: Vec<Changed>, now: Timestamp) -> Vec<NewEvent> {
    if events.is_empty() && !changed.is_empty() {
        let words = changed.iter().map(|Changed { what, after, .. }| match after {
            Some(after) => format!("{what}: {after}"),
            None => format!("{what}: dropped"),
        });
        events.push(event(now, "changed", words.collect::<Vec<_>>().join(", "), None, None));
    }
    if let Some(first) = events.first_mut() {
        first.changed = changed;
    }
    events
}

/// The names of the farms that an event is about, separated by commas.
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
    let started = |id| {
        changes.iter().find_map(|change| match change {
            Change::PutRun(run) if run.id == id => Some(&**run),
            _ => None,
        })
    };
    if let Some(run) = event.run.and_then(|id| state.runs.get(&id).or_else(|| started(id))) {
        return Some(run.plan.farm.to_string());
    }
    let hold = event.hold.and_then(|id| state.holds.get(&id).or_else(|| put(id)))?;
    let held = farms.values().filter(|farm| hold.entries.iter().any(|entry| farm.has(&entry.server)));
    let names: Vec<&str> = held.map(|farm| farm.name.as_str()).collect();
    Some(names.join(",")).filter(|names| !names.is_empty())
}

/// Logs an event that has been stored, with fields by which the journal can be searched.
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
    let (mode, owner, reason) = (hold.wanted_state(), &hold.owner, &hold.reason);
    format!("{mode}{until}, {stage}; {owner}: {reason}")
}

fn lines(hold: &Hold) -> String {
    let mut lines: Vec<String> = hold.entries.iter().take(NAMED).map(ToString::to_string).collect();
    if hold.entries.len() > NAMED {
        lines.push(format!("and {} more", hold.entries.len() - NAMED));
    }
    lines.join(", ")
}

fn run(run: &Run) -> String {
    let why = match &run.state {
        RunState::Failed { why, .. } => format!(" ({why})"),
        _ => String::new(),
    };
    let step = run.current().map(|step| format!(" at step {}, {step}", run.cursor + 1)).unwrap_or_default();
    let paused = if run.paused { ", paused" } else { "" };
    let rollback = if run.rollback.is_some() { ", rolling back" } else { "" };
    format!("{}{why}{step}{paused}{rollback}", RunStatus::from(&run.state))
}

fn route(route: &Route) -> String {
    let share = |canary: &crate::farm::Canary| {
        canary.share.map(|share| format!(", {} with {share} of the clients", canary.group)).unwrap_or_default()
    };
    format!("{}{}", route.live, route.canary.as_ref().map(share).unwrap_or_default())
}

fn baseline(baseline: &Baseline) -> String {
    let overruled = baseline.overruled.map(|set| format!(", now {} against its hold", set.state)).unwrap_or_default();
    format!("{}{overruled}", baseline.state)
}

/// How many lines of a hold are named. A hold may have thousands.
const NAMED: usize = 50;
