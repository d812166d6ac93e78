//! `teeter deploy` as it behaves: it begins a run, attends to it, does its work with a hook, and reports.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use teeter_lab::Dice;
use tokio::task::AbortHandle;

use crate::apps::Apps;
use crate::world::World;

/// Begins a deploy of a version and stays with it to its end. Gives the run's number, if there was one.
pub async fn deploy(world: Arc<World>, version: String, mut dice: Dice) -> Option<u64> {
    let (mut status, mut run) = world.call("POST", "/v1/runs", Some(&world.shape.deploy(&version))).await?;
    // A HAProxy that is away is no reason to go home.
    for _ in 0..if world.shape.late > 0 { PATIENCE } else { 0 } {
        if status != 502 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        (status, run) = world.call("POST", "/v1/runs", Some(&world.shape.deploy(&version))).await?;
    }
    if status != 201 {
        return None;
    }
    let id = run["id"].as_u64()?;
    let key = format!("deployer of {id}");
    let mut attending = None;
    let mut lost = 0;
    loop {
        if attending.is_none() && world.daemon.is_up() {
            attending = world.daemon.attend(id, world.next_pid(), &key);
        }
        if is_over(&run) {
            return Some(id);
        }
        let Some(work) = wanted(&run) else {
            tokio::time::sleep(Duration::from_millis(dice.of(20..200))).await;
            match world.call("GET", &format!("/v1/runs/{id}"), None).await {
                Some((200, next)) => (run, lost) = (next, 0),
                // It is tried again for a while.
                _ if lost < PATIENCE => (lost, attending) = (lost + 1, None),
                _ => return Some(id),
            }
            continue;
        };
        let hook = Hook::start(&world, &work, &version, &mut dice);
        let failed = loop {
            tokio::select! {
                biased;
                failed = hook.ended() => break Some(failed),
                () = tokio::time::sleep(Duration::from_millis(300)) => {}
            }
            let now = world.call("GET", &format!("/v1/runs/{id}"), None).await;
            if let Some((200, now)) = now
                && wanted(&now).as_ref() != Some(&work)
            {
                run = now;
                break None;
            }
        };
        // Nobody wants the work any more: the hook ends, and whoever brings the servers back waits for this.
        let Some(failed) = failed else {
            hook.kill();
            attending = None;
            continue;
        };
        run = report(&world, id, &work, failed, Some(&key)).await?;
    }
}

/// Tells how the work went, until somebody has heard it; with the key of the caller that attends, or over its head.
pub async fn report(world: &World, id: u64, work: &Value, failed: Option<String>, key: Option<&str>) -> Option<Value> {
    let body = json!({ "step": work["step"], "failed": failed, "key": key, "force": key.is_none() });
    for _ in 0..PATIENCE {
        let answer = world.call("POST", &format!("/v1/runs/{id}/advance"), Some(&body)).await;
        match answer {
            Some((200, run)) => return Some(run),
            Some((503 | 500, _)) | None => tokio::time::sleep(Duration::from_millis(500)).await,
            // The run has gone on without it.
            Some(_) => {
                if let Some((200, run)) = world.call("GET", &format!("/v1/runs/{id}"), None).await {
                    return Some(run);
                }
            }
        }
    }
    None
}

/// What a run wants its caller to do.
pub fn wanted(run: &Value) -> Option<Value> {
    Some(run["work"].clone()).filter(|work| !work.is_null() && run["state"] == "running")
}

/// Whether a run will not go on by itself.
pub fn is_over(run: &Value) -> bool {
    !matches!(run["state"].as_str(), Some("running" | "aborting"))
}

/// A hook at work, in a process of its own.
pub struct Hook {
    task: AbortHandle,
    result: tokio::sync::watch::Receiver<Option<Option<String>>>,
}

impl Hook {
    /// Begins the work that a run wants.
    pub fn start(world: &Arc<World>, work: &Value, version: &str, dice: &mut Dice) -> Self {
        let servers: Vec<String> =
            work["servers"].as_array().into_iter().flatten().filter_map(|it| Some(it.as_str()?.to_owned())).collect();
        let (told, result) = tokio::sync::watch::channel(None);
        let times: Vec<Duration> = (0..4).map(|_| Duration::from_millis(dice.of(10..500))).collect();
        let begun = Arc::clone(world);
        let (world, version, late) = (Arc::clone(world), version.to_owned(), dice.of(0..2) == 0);
        let running = tokio::spawn(async move {
            world.watch.note(|| format!("a hook works on {servers:?}"));
            let at_work = AtWork::on(&world.apps, servers.clone());
            tokio::time::sleep(times[0]).await;
            for server in &servers {
                world.apps.stop(server);
            }
            tokio::time::sleep(times[1]).await;
            if world.hook_fails() && !late {
                told.send_replace(Some(Some("the new version does not start".to_owned())));
                return;
            }
            for server in &servers {
                world.apps.start(server, &version);
                tokio::time::sleep(times[2] / 4).await;
            }
            tokio::time::sleep(times[3]).await;
            drop(at_work);
            let failed = (late && world.hook_fails()).then(|| "a migration failed".to_owned());
            world.watch.note(|| format!("the hook ends: {failed:?}"));
            told.send_replace(Some(failed));
        });
        let hook = Self { task: running.abort_handle(), result };
        begun.has_begun(&hook);
        hook
    }

    /// How it ended: why it failed, if it did.
    pub async fn ended(&self) -> Option<String> {
        let mut result = self.result.clone();
        match result.wait_for(Option::is_some).await {
            Ok(ended) => ended.clone().flatten(),
            Err(_) => Some("the hook was killed".to_owned()),
        }
    }

    /// What it is to be killed by.
    pub fn process(&self) -> AbortHandle {
        self.task.clone()
    }

    /// Kills it.
    pub fn kill(&self) {
        self.task.abort();
    }
}

/// Somebody is at work on servers until this is dropped.
pub struct AtWork {
    apps: Apps,
    servers: Vec<String>,
    hook: u64,
}

impl AtWork {
    /// Begins.
    pub fn on(apps: &Apps, servers: Vec<String>) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let hook = NUMBER.fetch_add(1, Ordering::Relaxed);
        servers.iter().for_each(|server| apps.begin_work(server, hook));
        Self { apps: apps.clone(), servers, hook }
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.servers.iter().for_each(|server| self.apps.end_work(server, self.hook));
    }
}

/// How often a call is tried that teeterd does not answer.
const PATIENCE: u32 = 60;
