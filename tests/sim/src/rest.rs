//! The morning after: everything works again, somebody brings the farm home with one command at a time, and then all
//! must be as it was.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use teeter::plan::{Run, RunState};
use teeter_lab::Dice;

use crate::deployer::{Hook, report, wanted};
use crate::fake::Fake;
use crate::scenario::{ByHand, Scenario};
use crate::watch::split;
use crate::world::World;

/// Mends what was broken and ends what was begun.
pub async fn bring_home(world: &Arc<World>, dice: &mut Dice) {
    world.watch.note(|| "the morning after".to_owned());
    world.store.mend();
    world.mend_hooks();
    for fake in world.fakes.iter().filter(|fake| fake.truth().current().is_none()) {
        fake.start().unwrap_or_default();
    }
    world.apps.heal();
    world.daemon.start().await;
    leads_as_the_file_says(world).await;
    make_ready(world, |_| true).await;
    let gives_up = dice.of(0..2) == 0;
    let mut tries = 0;
    for _ in 0..ROUNDS {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let Some((200, runs)) = world.call("GET", "/v1/runs", None).await else {
            world.daemon.start().await;
            continue;
        };
        let active = runs["runs"].as_array().into_iter().flatten().find(|run| run["finished"].is_null()).cloned();
        let Some(run) = active else { break };
        go_on(world, &run, gives_up, &mut tries, dice).await;
    }
    if active_run(world).is_some() {
        world
            .watch
            .find("one command goes on", "a run is still active after two hundred rounds of commands".to_owned());
    }
    // A side that stands by comes back with a flip to all; what an abort has left out is brought back by its name.
    // Whoever turns the traffic to all of a farm that runs two versions has both.
    let versions: BTreeSet<String> =
        (0..world.shape.members()).map(|number| world.apps.version(&world.shape.member(number))).collect();
    if versions.len() > 1 {
        world.watch.may_mix();
    }
    let side = if world.shape.strategy == "blue-green" && world.shape.route { "a" } else { "all" };
    world.call("POST", "/v1/runs", Some(&json!({ "farm": "web", "strategy": "flip", "to": side }))).await;
    // It stands still where somebody keeps a server of that side otherwise: then it is ended, and they are let go.
    let stands = |world: &World| world.daemon.stored().runs.values().all(|run| run.state != RunState::Running);
    until(world, stands).await;
    if let Some(run) = active_run(world) {
        world.call("POST", &format!("/v1/runs/{}/abort", run.id.0), None).await;
    }
    world.watch.may_mix();
    for owner in owners(world) {
        let release = json!({ "selectors": ["farm:web"], "verify": false, "owner": owner });
        world.call("POST", "/v1/release", Some(&release)).await;
    }
}

/// Whoever has held servers by hand, or set them by hand, takes that back.
async fn make_ready(world: &World, wanted: impl Fn(usize) -> bool) {
    for owner in owners(world).into_iter().filter(|owner| !owner.starts_with("run ")) {
        let release = json!({ "selectors": ["farm:web"], "verify": true, "owner": owner });
        world.call("POST", "/v1/release", Some(&release)).await;
    }
    for number in 0..world.shape.members() {
        if world.watch.is_by_hand(&world.shape.member(number)) && wanted(number) {
            for fake in &world.fakes {
                world.by_hand(fake, number, ByHand::Ready).await;
            }
        }
    }
}

/// One command on a run that has not ended.
async fn go_on(world: &Arc<World>, run: &Value, gives_up: bool, tries: &mut u32, dice: &mut Dice) {
    let id = run["id"].as_u64().unwrap_or_default();
    let order = |what: &str| format!("/v1/runs/{id}/{what}");
    if run["state"] == "aborting" {
        return;
    }
    if gives_up || *tries > 12 {
        world.call("POST", &order("abort"), None).await;
        return;
    }
    if run["state"] == "failed" {
        *tries += 1;
        make_ready(world, |number| !world.is_held(number)).await;
    }
    if run["paused"] == true {
        world.call("POST", &order("resume"), None).await;
    } else if let Some(work) = wanted(run) {
        let version = run["version"].as_str().unwrap_or("v2").to_owned();
        let hook = Hook::start(world, &work, &version, dice);
        let failed = hook.ended().await;
        report(world, id, &work, failed, None).await;
    } else if run["state"] == "failed" {
        let what = if dice.of(0..2) == 0 { "retry" } else { "advance" };
        world.call("POST", &order(what), Some(&json!({})).filter(|_| what == "advance")).await;
    }
}

/// A run that has not ended.
fn active_run(world: &World) -> Option<Run> {
    world.daemon.stored().runs.into_values().find(Run::is_active)
}

/// Whose holds there are.
fn owners(world: &World) -> BTreeSet<String> {
    world.daemon.stored().holds.values().map(|hold| hold.owner.to_string()).collect()
}

/// Waits until something is so, as long as anything may take. Whether it is.
async fn until(world: &World, is_so: impl Fn(&World) -> bool) -> bool {
    for _ in 0..240 {
        if is_so(world) {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    false
}

/// Finds what is not as it was.
pub async fn judge(world: &World, scenario: &Scenario) {
    if scenario.acts.iter().all(|act| act.what.spares_servers()) {
        leaves_nobody_behind(world);
    }
    let nothing_held = |world: &World| world.daemon.stored().holds.is_empty();
    if !until(world, nothing_held).await {
        let holds: Vec<String> = world.daemon.stored().holds.values().map(|hold| format!("{hold:?}")).collect();
        world.watch.find("every hold has an end", holds.join("\n"));
        return;
    }
    if !until(world, |world| world.daemon.stored().baselines.is_empty()).await {
        let left: Vec<String> = world.daemon.stored().baselines.keys().map(ToString::to_string).collect();
        world.watch.find("everything is given back", format!("teeter still keeps {}", left.join(", ")));
    }
    world.fakes.iter().for_each(|fake| gives_back(world, fake));
    tells_the_truth(world).await;
    keeps_a_record(world);
}

/// Who was well all the time is deployed to.
fn leaves_nobody_behind(world: &World) {
    for run in world.daemon.stored().runs.values() {
        for (member, left) in run.left_out.iter().filter(|(_, left)| !left.out) {
            let text = format!("run {} went on without {member}: {}", run.id.0, left.why);
            world.watch.find("who is well is deployed to", text);
        }
    }
}

/// A reload would not turn the traffic: HAProxy's maps are as their files, soon.
async fn leads_as_the_file_says(world: &World) {
    if active_run(world).is_some() {
        return;
    }
    let differs_in = |fake: &Fake| -> Option<String> {
        let truth = fake.truth();
        truth.current()?.maps.iter().find_map(|(file, told)| {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            let said: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.split_once(' ')).collect();
            let differs = |(key, value): &&(String, String)| said.get(key.as_str()) != Some(&value.as_str());
            told.iter().find(differs).map(|(key, value)| format!("{key} leads to {value}, and the file says {said:?}"))
        })
    };
    let differs = |world: &World| world.fakes.iter().find_map(differs_in);
    if !until(world, |world| differs(world).is_none()).await {
        world.watch.find("maps are as their files", differs(world).unwrap_or_default());
    }
}

/// What teeter took it gave back.
fn gives_back(world: &World, fake: &Fake) {
    let truth = fake.truth();
    let Some(now) = truth.current() else {
        world.watch.find("HAProxy serves", "there is no process".to_owned());
        return;
    };
    for number in 0..world.shape.members() {
        let member = world.shape.member(number);
        if world.watch.is_by_hand(&member) {
            continue;
        }
        for line in world.shape.lines(number) {
            let Some(server) = split(&line).and_then(|line| now.servers.get(&line).copied()) else { continue };
            if server.is_out() || server.weight != 100 {
                let text = format!("{line} has admin state {} and weight {}", server.admin, server.weight);
                world.watch.find("what was taken is given back", text);
            }
        }
    }
}

/// What teeterd says is what is.
async fn tells_the_truth(world: &World) {
    let mut truth = BTreeMap::new();
    for (name, fake) in world.shape.names().iter().zip(&world.fakes) {
        let Some(now) = fake.truth().current().cloned() else { return };
        let named = |((backend, server), is)| (((*name).to_owned(), backend, server), is);
        truth.extend(now.servers.into_iter().map(named));
    }
    // What it shows may be a second old.
    let mut said = BTreeMap::new();
    for _ in 0..6 {
        let Some((200, status)) = world.call("GET", "/v1/status", None).await else {
            world.watch.find("teeterd answers", "GET /v1/status was not answered with 200".to_owned());
            return;
        };
        said = status["servers"].as_array().into_iter().flatten().filter_map(line_of).collect();
        if truth.iter().all(|(line, server)| said.get(line) == Some(&server.told())) {
            return;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    for (line, server) in &truth {
        let (says, is) = (said.get(line).copied(), server.told());
        if says != Some(is) {
            world.watch.find("status tells the truth", format!("{line:?} is {is}, and the status says {says:?}"));
        }
    }
}

/// A line, with its HAProxy, and what it is said to be told.
fn line_of(server: &Value) -> Option<((String, String, String), &'static str)> {
    let word = ["ready", "drain", "maint"].into_iter().find(|word| server["admin"] == *word)?;
    let text = |key: &str| server[key].as_str().map(str::to_owned);
    Some(((text("instance")?, text("backend")?, text("server")?), word))
}

/// The kind of an event, its run, its hold.
type Recorded = (String, Option<u64>, Option<u64>);

/// Every change that was accepted is in the log, and none twice.
fn keeps_a_record(world: &World) {
    let mut recorded: BTreeMap<i32, Vec<Recorded>> = BTreeMap::new();
    let mut last = 0;
    for event in world.daemon.events() {
        if event.id <= last {
            world.watch.find("the log only grows", format!("event {} comes after {last}", event.id));
        }
        last = event.id;
        if let Some(pid) = event.caller.and_then(|caller| caller.pid) {
            let what = (event.kind, event.run.map(|id| id.0), event.hold.map(|id| id.0));
            recorded.entry(pid).or_default().push(what);
        }
    }
    let answers = world.answers.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for (pid, path, status) in answers {
        let events = recorded.remove(&pid).unwrap_or_default();
        let once: BTreeSet<_> = events.iter().collect();
        if once.len() != events.len() {
            world.watch.find("no change is recorded twice", format!("{pid}: {path}: {events:?}"));
        }
        let creates = path == "/v1/holds" || path == "/v1/runs";
        if status == Some(201) && creates && events.is_empty() {
            world.watch.find("every change is recorded", format!("{pid}: {path} was answered with 201"));
        }
    }
    if let Some((pid, events)) = recorded.into_iter().next() {
        world.watch.find("nothing is recorded that nobody asked for", format!("{pid}: {events:?}"));
    }
}

const ROUNDS: u32 = 200;
