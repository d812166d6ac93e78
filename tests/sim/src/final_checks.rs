//! What is checked at the end, when everything works again and every run has ended.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;
use std::time::Duration;

use serde_json::Value;

use crate::fake::Fake;
use crate::recovery::{active_run, until};
use crate::scenario::Scenario;
use crate::simulation::Simulation;
use crate::watch::split;

/// Checks that everything is as it was before the deploy.
pub async fn judge(simulation: &Simulation, scenario: &Scenario) {
    if scenario.acts.iter().all(|act| act.fault.spares_servers()) {
        every_member_is_deployed_to(simulation);
    }
    let is_nothing_held = |simulation: &Simulation| simulation.daemon.stored().holds.is_empty();
    if !until(simulation, is_nothing_held).await {
        let holds: Vec<String> = simulation.daemon.stored().holds.values().map(|hold| format!("{hold:?}")).collect();
        simulation.watch.report("every hold has an end", holds.join("\n"));
        return;
    }
    if !until(simulation, |simulation| simulation.daemon.stored().baselines.is_empty()).await {
        let left: Vec<String> = simulation.daemon.stored().baselines.keys().map(ToString::to_string).collect();
        simulation.watch.report("every server is given back", format!("teeter still keeps {}", left.join(", ")));
    }
    simulation.fakes.iter().for_each(|fake| servers_are_as_before(simulation, fake));
    status_is_true(simulation).await;
    changes_are_recorded(simulation);
}

/// A member that was healthy all the time is not left out of a deploy.
fn every_member_is_deployed_to(simulation: &Simulation) {
    for run in simulation.daemon.stored().runs.values() {
        for (member, left) in run.left_out.iter().filter(|(_, left)| !left.out) {
            let text = format!("run {} went on without {member}: {}", run.id.0, left.why);
            simulation.watch.report("healthy members are deployed to", text);
        }
    }
}

/// While no run is active, HAProxy's maps are as their files, so that a reload does not change where requests go.
pub(crate) async fn maps_are_as_their_files(simulation: &Simulation) {
    if active_run(simulation).is_some() {
        return;
    }
    let difference_in = |fake: &Fake| -> Option<String> {
        let truth = fake.truth();
        truth.current()?.maps.iter().find_map(|(path, entries)| {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            let file: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.split_once(' ')).collect();
            let differs = |(key, value): &&(String, String)| file.get(key.as_str()) != Some(&value.as_str());
            let (key, value) = entries.iter().find(differs)?;
            Some(format!("{key} leads to {value}, and the file has {file:?}"))
        })
    };
    let difference = |simulation: &Simulation| simulation.fakes.iter().find_map(difference_in);
    if !until(simulation, |simulation| difference(simulation).is_none()).await {
        simulation.watch.report("maps are as their files", difference(simulation).unwrap_or_default());
    }
}

/// Every server that teeter has taken out is as it was before.
fn servers_are_as_before(simulation: &Simulation, fake: &Fake) {
    let truth = fake.truth();
    let Some(now) = truth.current() else {
        simulation.watch.report("HAProxy serves", "there is no process".to_owned());
        return;
    };
    for number in 0..simulation.shape.members() {
        let member = simulation.shape.member(number);
        if simulation.watch.is_by_hand(&member) {
            continue;
        }
        for line in simulation.shape.lines(number) {
            let Some(server) = split(&line).and_then(|line| now.servers.get(&line).copied()) else {
                simulation.watch.report("every server is as it was", format!("{line} is not there"));
                continue;
            };
            if server.is_out() || server.weight != 100 {
                let text = format!("{line} has admin state {} and weight {}", server.admin, server.weight);
                simulation.watch.report("every server is as it was", text);
            }
        }
    }
}

/// The status that teeterd gives is what HAProxy has.
async fn status_is_true(simulation: &Simulation) {
    let mut truth = BTreeMap::new();
    for (name, fake) in simulation.daemon.names().iter().zip(&simulation.fakes) {
        let Some(now) = fake.truth().current().cloned() else { return };
        let with_name = |((backend, server), state)| ((name.clone(), backend, server), state);
        truth.extend(now.servers.into_iter().map(with_name));
    }
    // The status may be a second old.
    let mut shown = BTreeMap::new();
    for _ in 0..6 {
        let Some((200, status)) = simulation.call("GET", "/v1/status", None).await else {
            simulation.watch.report("teeterd answers", "GET /v1/status was not answered with 200".to_owned());
            return;
        };
        shown = status["servers"].as_array().into_iter().flatten().filter_map(shown_line).collect();
        if truth.iter().all(|(line, server)| shown.get(line) == Some(&server.own_state())) {
            return;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    for (line, server) in &truth {
        let (status, state) = (shown.get(line).copied(), server.own_state());
        if status != Some(state) {
            simulation
                .watch
                .report("the status is true", format!("{line:?} is {state}, and the status shows {status:?}"));
        }
    }
}

/// HAProxy, backend and server of a line of the status, and its state.
fn shown_line(server: &Value) -> Option<((String, String, String), &'static str)> {
    let state = ["ready", "drain", "maint"].into_iter().find(|state| server["admin"] == *state)?;
    let text = |key: &str| server[key].as_str().map(str::to_owned);
    Some(((text("instance")?, text("backend")?, text("server")?), state))
}

/// The part of an event that distinguishes it from other events of the same caller.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Recorded {
    kind: String,
    run: Option<u64>,
    hold: Option<u64>,
}

/// Every change that was accepted is recorded once, and no other change.
fn changes_are_recorded(simulation: &Simulation) {
    let mut recorded: BTreeMap<i32, Vec<Recorded>> = BTreeMap::new();
    let mut last = 0;
    for event in simulation.daemon.events() {
        if event.id <= last {
            simulation.watch.report("events are in order", format!("event {} comes after {last}", event.id));
        }
        last = event.id;
        if let Some(pid) = event.caller.and_then(|caller| caller.pid) {
            let (run, hold) = (event.run.map(|id| id.0), event.hold.map(|id| id.0));
            recorded.entry(pid).or_default().push(Recorded { kind: event.kind, run, hold });
        }
    }
    let requests = simulation.requests.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for request in requests {
        let (pid, path) = (request.pid, request.path);
        let events = recorded.remove(&pid).unwrap_or_default();
        let once: BTreeSet<_> = events.iter().collect();
        if once.len() != events.len() {
            simulation.watch.report("no change is recorded twice", format!("{pid}: {path}: {events:?}"));
        }
        let creates = path == "/v1/holds" || path == "/v1/runs";
        if request.status == Some(201) && creates && events.is_empty() {
            simulation.watch.report("every change is recorded", format!("{pid}: {path} was answered with 201"));
        }
    }
    if let Some((pid, events)) = recorded.into_iter().next() {
        simulation.watch.report("only requested changes are recorded", format!("{pid}: {events:?}"));
    }
}
