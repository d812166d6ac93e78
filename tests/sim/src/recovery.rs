//! Recovery: everything is repaired, an operator ends with one command at a time what was begun, and the end is
//! checked.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use teeter::haproxy::AdminState;
use teeter::plan::{Run, RunState};
use teeter_lab::Dice;

use crate::deployer::{Hook, pending_work, report};
use crate::scenario::ByHand;
use crate::simulation::Simulation;

pub use crate::final_checks::judge;

/// Repairs what was broken and ends what was begun.
pub async fn recover(simulation: &Arc<Simulation>, dice: &mut Dice) {
    simulation.watch.note(|| "the recovery begins".to_owned());
    simulation.store.repair();
    simulation.fail_hook(false);
    for fake in simulation.fakes.iter().filter(|fake| fake.truth().current().is_none()) {
        let _ = fake.start();
    }
    simulation.apps.make_all_healthy();
    // A start fails while the store cannot be written. systemd would try again, too.
    while !simulation.daemon.is_up() {
        simulation.daemon.start().await;
    }
    crate::final_checks::maps_are_as_their_files(simulation).await;
    held_servers_are_out(simulation).await;
    make_ready(simulation, |_| true).await;
    end_runs(simulation, dice).await;
    flip_to_all(simulation).await;
    simulation.watch.may_mix();
    for owner in owners(simulation) {
        let release = json!({ "selectors": ["farm:web"], "verify": false, "owner": owner });
        simulation.call("POST", "/v1/release", Some(&release)).await;
    }
    forget_former_names(simulation).await;
}

/// No held server is in service, soon, if teeterd is up.
pub async fn held_servers_are_out(simulation: &Simulation) {
    let is_settled = |simulation: &Simulation| !simulation.daemon.is_up() || held_in_service(simulation).is_none();
    if !until(simulation, is_settled).await {
        let text = held_in_service(simulation).unwrap_or_default();
        simulation.watch.report("a held server is not in service", text);
    }
}

/// A line that a hold keeps out and that is in service. A user may have overridden a hold, if `on_drift` allows that.
fn held_in_service(simulation: &Simulation) -> Option<String> {
    let (stored, names) = (simulation.daemon.stored(), simulation.daemon.names());
    let holds = stored.holds.values().filter(|hold| hold.wanted_state() > AdminState::Ready);
    let mut lines = holds.flat_map(|hold| hold.entries.iter().map(move |line| (hold, line)));
    lines.find_map(|(hold, line)| {
        if stored.baselines.get(line).is_some_and(|baseline| baseline.overruled.is_some()) {
            return None;
        }
        let number = names.iter().position(|name| *name == line.instance.to_string())?;
        let truth = simulation.fakes[number].truth();
        let server = truth.current()?.server(line.server.backend.as_str(), line.server.server.as_str())?;
        (!server.is_out()).then(|| format!("{line} has admin state {} in spite of hold {}", server.admin, hold.id.0))
    })
}

/// Users give up their own holds, and make ready what they have changed by hand.
async fn make_ready(simulation: &Simulation, wanted: impl Fn(usize) -> bool) {
    for owner in owners(simulation).into_iter().filter(|owner| !owner.starts_with("run ")) {
        let release = json!({ "selectors": ["farm:web"], "verify": true, "owner": owner });
        simulation.call("POST", "/v1/release", Some(&release)).await;
    }
    for number in 0..simulation.shape.members() {
        if simulation.watch.is_by_hand(&simulation.shape.member(number)) && wanted(number) {
            for fake in &simulation.fakes {
                simulation.set_by_hand(fake, number, ByHand::Ready).await;
            }
        }
    }
}

/// Gives one command after the other until no run is active.
async fn end_runs(simulation: &Arc<Simulation>, dice: &mut Dice) {
    let gives_up = dice.within(0..2) == 0;
    let mut tries = 0;
    for _ in 0..ROUNDS {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let Some((200, runs)) = simulation.call("GET", "/v1/runs", None).await else {
            simulation.daemon.start().await;
            continue;
        };
        let active = runs["runs"].as_array().into_iter().flatten().find(|run| run["finished"].is_null()).cloned();
        let Some(run) = active else { break };
        go_on(simulation, &run, gives_up, &mut tries, dice).await;
    }
    if active_run(simulation).is_some() {
        let text = format!("a run is still active after {ROUNDS} rounds of commands");
        simulation.watch.report("one command goes on", text);
    }
}

/// Gives one command to a run that has not ended.
async fn go_on(simulation: &Arc<Simulation>, run: &Value, gives_up: bool, tries: &mut u32, dice: &mut Dice) {
    let id = run["id"].as_u64().unwrap_or_default();
    let path = |command: &str| format!("/v1/runs/{id}/{command}");
    if run["state"] == "aborting" {
        return;
    }
    // A run cannot go on with a HAProxy that is configured no longer, or that teeter does not recognise.
    if gives_up || *tries > 12 || !former_names(simulation).is_empty() {
        simulation.call("POST", &path("abort"), None).await;
        return;
    }
    if run["state"] == "failed" {
        *tries += 1;
        make_ready(simulation, |number| !simulation.is_held(number)).await;
    }
    if run["paused"] == true {
        simulation.call("POST", &path("resume"), None).await;
    } else if let Some(work) = pending_work(run) {
        let version = run["version"].as_str().unwrap_or("v2").to_owned();
        let hook = Hook::start(simulation, &work, &version, dice);
        let failed = hook.ended().await;
        report(simulation, id, &work, failed, None).await;
    } else if run["state"] == "failed" {
        let command = if dice.within(0..2) == 0 { "retry" } else { "advance" };
        simulation.call("POST", &path(command), Some(&json!({})).filter(|_| command == "advance")).await;
    }
}

/// Brings back a side that is on standby. Servers that an abort has left out are brought back by their names later.
async fn flip_to_all(simulation: &Simulation) {
    let shape = &simulation.shape;
    let versions: BTreeSet<String> =
        (0..shape.members()).map(|number| simulation.apps.version(&shape.member(number))).collect();
    if versions.len() > 1 {
        // The whole farm runs two versions, and the operator selects both.
        simulation.watch.may_mix();
    }
    let side = if shape.strategy == "blue-green" && shape.route { "a" } else { "all" };
    let flip = json!({ "farm": "web", "strategy": "flip", "to": side });
    simulation.call("POST", "/v1/runs", Some(&flip)).await;
    // The flip fails if a user keeps a server of that side out: then it is aborted, and teeter lets go of the servers.
    let has_stopped =
        |simulation: &Simulation| simulation.daemon.stored().runs.values().all(|run| run.state != RunState::Running);
    until(simulation, has_stopped).await;
    if let Some(run) = active_run(simulation) {
        simulation.call("POST", &format!("/v1/runs/{}/abort", run.id.0), None).await;
        until(simulation, |simulation| active_run(simulation).is_none()).await;
    }
}

/// Forgets HAProxys that the store still knows by a former name, as the doctor advises.
async fn forget_former_names(simulation: &Simulation) {
    for name in former_names(simulation) {
        simulation.call("POST", "/v1/forget", Some(&json!({ "haproxy": name }))).await;
    }
}

/// Names of HAProxys that the store has and the configuration has not.
fn former_names(simulation: &Simulation) -> BTreeSet<String> {
    let (stored, names) = (simulation.daemon.stored(), simulation.daemon.names());
    let held = stored.holds.values().flat_map(|hold| &hold.entries).chain(stored.baselines.keys());
    let routed = stored.routes.values().flat_map(|route| &route.instances);
    let stored_names = held.map(|line| &line.instance).chain(routed).map(ToString::to_string);
    stored_names.filter(|name| !names.contains(name)).collect()
}

/// A run that has not ended.
pub(crate) fn active_run(simulation: &Simulation) -> Option<Run> {
    simulation.daemon.stored().runs.into_values().find(Run::is_active)
}

/// The owners of all holds.
fn owners(simulation: &Simulation) -> BTreeSet<String> {
    simulation.daemon.stored().holds.values().map(|hold| hold.owner.to_string()).collect()
}

/// Waits for a condition, as long as anything may take. Whether it holds.
pub(crate) async fn until(simulation: &Simulation, condition: impl Fn(&Simulation) -> bool) -> bool {
    for _ in 0..240 {
        if condition(simulation) {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    false
}

/// Rounds of commands until a run must have ended.
const ROUNDS: u32 = 200;
