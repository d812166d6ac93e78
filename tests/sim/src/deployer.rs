//! A deploying process that behaves like `teeter deploy`: it begins a run, attends it, works with a hook, and reports.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use teeter_lab::Dice;
use tokio::task::AbortHandle;

use crate::apps::Apps;
use crate::daemon::Attending;
use crate::simulation::Simulation;

/// Deploys a version and stays until the run ends. Gives the number of the run, if one was begun.
pub async fn deploy(simulation: Arc<Simulation>, version: String, mut dice: Dice) -> Option<u64> {
    let mut run = begin(&simulation, &version).await?;
    let id = run["id"].as_u64()?;
    let mut attendance = Attendance { id, key: format!("deployer of {id}"), request: None };
    let mut lost = 0;
    loop {
        simulation.while_stalled().await;
        attendance.keep_up(&simulation);
        if is_over(&run) {
            return Some(id);
        }
        let Some(work) = pending_work(&run) else {
            tokio::time::sleep(Duration::from_millis(dice.within(20..200))).await;
            match simulation.call("GET", &format!("/v1/runs/{id}"), None).await {
                Some((200, next)) => (run, lost) = (next, 0),
                // It is tried again for a while.
                _ if lost < PATIENCE => {
                    lost += 1;
                    attendance.request = None;
                }
                _ => return Some(id),
            }
            continue;
        };
        let hook = Hook::start(&simulation, &work, &version, &mut dice);
        // Until this process reports, it may still work on the servers.
        let at_work = simulation.reports_count.then(|| AtWork::begin(&simulation.apps, servers(&work)));
        let failed = loop {
            tokio::select! {
                biased;
                failed = hook.ended() => {
                    simulation.while_stalled().await;
                    break Some(failed);
                }
                () = tokio::time::sleep(Duration::from_millis(300)) => {}
            }
            simulation.while_stalled().await;
            attendance.keep_up(&simulation);
            let now = simulation.call("GET", &format!("/v1/runs/{id}"), None).await;
            if let Some((200, now)) = now
                && pending_work(&now).as_ref() != Some(&work)
            {
                run = now;
                break None;
            }
        };
        let Some(failed) = failed else {
            // The run does not need this work any more. teeter brings the servers back when this process no longer
            // attends.
            hook.kill();
            drop(at_work);
            attendance.request = None;
            continue;
        };
        drop(at_work);
        run = report(&simulation, id, &work, failed, Some(&attendance.key)).await?;
    }
}

/// Begins the run of a deploy.
async fn begin(simulation: &Simulation, version: &str) -> Option<Value> {
    let body = simulation.shape.deploy(version);
    let (mut status, mut run) = simulation.call("POST", "/v1/runs", Some(&body)).await?;
    // If a HAProxy is away at first, it is tried again.
    for _ in 0..if simulation.shape.late > 0 { PATIENCE } else { 0 } {
        if status != 502 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        (status, run) = simulation.call("POST", "/v1/runs", Some(&body)).await?;
    }
    (status == 201).then_some(run)
}

/// The request by which a process attends a run.
struct Attendance {
    id: u64,
    key: String,
    request: Option<Attending>,
}

impl Attendance {
    /// Attends again if teeterd has ended the request, as when it was started again.
    fn keep_up(&mut self, simulation: &Simulation) {
        if self.request.as_ref().is_none_or(Attending::has_ended) && simulation.daemon.is_up() {
            self.request = simulation.daemon.attend(self.id, simulation.next_pid(), &self.key);
        }
    }
}

/// Reports how the work went, until teeterd answers. Without a key it is reported in place of the caller that attends.
pub async fn report(
    simulation: &Simulation,
    id: u64,
    work: &Value,
    failed: Option<String>,
    key: Option<&str>,
) -> Option<Value> {
    let body = json!({ "step": work["step"], "failed": failed, "key": key, "force": key.is_none() });
    for _ in 0..PATIENCE {
        let answer = simulation.call("POST", &format!("/v1/runs/{id}/advance"), Some(&body)).await;
        match answer {
            Some((200, run)) => return Some(run),
            Some((503 | 500, _)) | None => tokio::time::sleep(Duration::from_millis(500)).await,
            // The run has gone on without it.
            Some(_) => {
                if let Some((200, run)) = simulation.call("GET", &format!("/v1/runs/{id}"), None).await {
                    return Some(run);
                }
            }
        }
    }
    None
}

/// The work that a run leaves to its caller now.
pub fn pending_work(run: &Value) -> Option<Value> {
    Some(run["work"].clone()).filter(|work| !work.is_null() && run["state"] == "running")
}

/// Whether a run does not go on by itself.
pub fn is_over(run: &Value) -> bool {
    !matches!(run["state"].as_str(), Some("running" | "aborting"))
}

/// The servers of a piece of work.
fn servers(work: &Value) -> Vec<String> {
    work["servers"].as_array().into_iter().flatten().filter_map(|server| Some(server.as_str()?.to_owned())).collect()
}

/// A hook at work, in a process of its own.
pub struct Hook {
    task: AbortHandle,
    result: tokio::sync::watch::Receiver<Option<Option<String>>>,
}

impl Hook {
    /// Begins the work of a run.
    pub fn start(simulation: &Arc<Simulation>, work: &Value, version: &str, dice: &mut Dice) -> Self {
        let servers = servers(work);
        let (end, result) = tokio::sync::watch::channel(None);
        let times: Vec<Duration> = (0..4).map(|_| Duration::from_millis(dice.within(10..500))).collect();
        let fails_late = dice.within(0..2) == 0;
        let (sim, version) = (Arc::clone(simulation), version.to_owned());
        let running = tokio::spawn(async move {
            sim.watch.note(|| format!("a hook works on {servers:?}"));
            let at_work = AtWork::begin(&sim.apps, servers.clone());
            tokio::time::sleep(times[0]).await;
            for server in &servers {
                sim.apps.stop(server);
            }
            tokio::time::sleep(times[1]).await;
            if sim.hook_fails() && !fails_late {
                end.send_replace(Some(Some("the new version does not start".to_owned())));
                return;
            }
            for server in &servers {
                sim.apps.start(server, &version);
                tokio::time::sleep(times[2] / 4).await;
            }
            tokio::time::sleep(times[3]).await;
            drop(at_work);
            let failed = (fails_late && sim.hook_fails()).then(|| "a migration failed".to_owned());
            sim.watch.note(|| format!("the hook ends: {failed:?}"));
            end.send_replace(Some(failed));
        });
        let hook = Self { task: running.abort_handle(), result };
        simulation.remember_hook(&hook);
        hook
    }

    /// Waits for its end. Gives the reason if it failed.
    pub async fn ended(&self) -> Option<String> {
        let mut result = self.result.clone();
        match result.wait_for(Option::is_some).await {
            Ok(end) => end.clone().flatten(),
            Err(_) => Some("the hook was killed".to_owned()),
        }
    }

    /// A handle that kills it.
    pub fn process(&self) -> AbortHandle {
        self.task.clone()
    }

    /// Kills it.
    pub fn kill(&self) {
        self.task.abort();
    }
}

/// Work on servers, until this is dropped.
pub struct AtWork {
    apps: Apps,
    servers: Vec<String>,
    hook: u64,
}

impl AtWork {
    /// Begins to work on servers.
    pub fn begin(apps: &Apps, servers: Vec<String>) -> Self {
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

/// How often a call without an answer is repeated.
const PATIENCE: u32 = 60;
