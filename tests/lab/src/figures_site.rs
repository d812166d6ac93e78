//! The site of the figures: a farm behind a real HAProxy, teeterd beside it, and a hook that records times.
//!
//! Every process that is started here is stopped when the site is dropped.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use teeter_lab::TestFarm;
use teeter_lab::farm::write_script;
use tokio::time::Instant;

use crate::command::failure;
use crate::figures_numbers::Memory;
use crate::teeterd::Teeter;

/// The time until a new process of HAProxy has a hold.
const RESTORED: Duration = Duration::from_secs(60);

/// All processes.
pub(crate) struct Site {
    // The daemon is dropped before the farm.
    pub(crate) teeter: Teeter,
    pub(crate) farm: TestFarm,
    hook: PathBuf,
}

/// The times of one deploy.
pub(crate) struct Deployed {
    /// For each group, from its servers' last answer to the start of its hook, in ms.
    pub(crate) drains: Vec<f64>,
    /// The time of the flip's commands, as teeter recorded it, in ms.
    pub(crate) recorded: f64,
}

impl Site {
    /// Starts servers of v0, HAProxy and teeterd.
    pub(crate) async fn start(bin_dir: &Path) -> io::Result<Self> {
        for needed in ["teeter", "teeterd"].map(|name| bin_dir.join(name)) {
            if !needed.exists() {
                return Err(failure(format!("{} does not exist: build it first", needed.display())));
            }
        }
        let farm = TestFarm::start("v0").await?;
        let teeter = Teeter::start(bin_dir, farm.dir(), FARM).await?;
        let hook = write_hook(&farm)?;
        Ok(Self { teeter, farm, hook })
    }

    /// Deploys a version to both groups.
    pub(crate) async fn deploy(&self, version: &str) -> io::Result<Deployed> {
        let notes = self.farm.dir().join("notes");
        std::fs::write(&notes, "")?;
        let hook = self.hook.display().to_string();
        let run: Value =
            serde_json::from_str(&self.teeter.run(&["--json", "deploy", "web", "--to", version, "--", &hook]).await?)?;
        let shown = self.teeter.run(&["show", &run["id"].to_string()]).await?;
        let recorded = recorded(&shown).ok_or_else(|| failure(format!("no time of the commands in:\n{shown}")))?;
        let notes = std::fs::read_to_string(&notes)?;
        let drains = drains(&notes).filter(|drains| drains.len() == 2);
        Ok(Deployed { drains: drains.ok_or_else(|| failure(format!("the hook wrote:\n{notes}")))?, recorded })
    }

    /// Reloads HAProxy while a server is held. Returns for each reload the time in ms from the first answer of the new
    /// process until the server is out again.
    pub(crate) async fn reloads(&self, times: usize) -> io::Result<Vec<f64>> {
        self.teeter.run(&["drain", "web01", "--reason", "figures"]).await?;
        let mut took = Vec::new();
        for _ in 0..times {
            self.farm.haproxy().reload().await?;
            let answered = Instant::now();
            while self.farm.haproxy().server_admin_bits("app/web01").await? == 0 {
                if answered.elapsed() > RESTORED {
                    return Err(failure(format!("the hold is not restored\n{}", self.teeter.log())));
                }
            }
            took.push(answered.elapsed().as_secs_f64() * 1e3);
        }
        self.teeter.run(&["ready", "web01"]).await?;
        Ok(took)
    }

    /// The memory of teeterd now.
    pub(crate) fn memory(&self) -> io::Result<Memory> {
        let pid = self.teeter.pid().ok_or_else(|| failure("teeterd has ended".to_owned()))?;
        memory_of(pid)
    }
}

/// The memory of a teeterd process.
pub(crate) fn memory_of(pid: u32) -> io::Result<Memory> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|value| value.trim().trim_end_matches(" kB").parse().ok())
            .ok_or_else(|| failure(format!("no {name} of teeterd")))
    };
    Ok(Memory { now: field("VmRSS")?, files: field("RssFile")?, most: field("VmHWM")? })
}

/// The time in a note such as `… (commands took 0.84 ms from the first to the last reply)`.
fn recorded(shown: &str) -> Option<f64> {
    let (_, rest) = shown.split_once("commands took")?;
    rest.split_whitespace().next()?.parse().ok()
}

/// The record of a hook: when it began, and for each server the requests that it had served by then.
fn drains(notes: &str) -> Option<Vec<f64>> {
    let mut drains: Vec<(u64, u64)> = Vec::new();
    for line in notes.lines() {
        if let Some(began) = line.strip_prefix("began ") {
            drains.push((began.parse().ok()?, 0));
        } else {
            let state: Value = serde_json::from_str(line).ok()?;
            let (_, last) = drains.last_mut()?;
            *last = (*last).max(state["last_answer"].as_u64()?);
        }
    }
    Some(drains.into_iter().map(|(began, last)| (began as f64 - last as f64) / 1e6).collect())
}

fn write_hook(farm: &TestFarm) -> io::Result<PathBuf> {
    let cases: Vec<_> =
        farm.apps().iter().map(|app| format!("    {}) admin={} ;;", app.name(), app.admin_addr())).collect();
    let text = HOOK.replace("@CASES@", &cases.join("\n")).replace("@DIR@", &farm.dir().display().to_string());
    write_script(&farm.dir().join("figures-hook.sh"), &text)
}

/// It records the time first, then the counts of the servers, and only then replaces their version.
const HOOK: &str = r#"#!/bin/sh
began=$(date +%s%N)
set -eu
echo "began $began" >>"@DIR@/notes"
for name in $TEETER_SERVERS; do
    case $name in
@CASES@
    *) echo "unknown server $name" >&2; exit 1 ;;
    esac
    curl -fsS --max-time 10 "http://$admin/state" >>"@DIR@/notes"
    curl -fsS --max-time 10 -X POST "http://$admin/replace?version=$TEETER_VERSION" >/dev/null
done
"#;

/// The part of teeter's configuration about the farm.
const FARM: &str = r#"[farm.web]
members = ["app/web0[1-4]", "api/web0[1-4]"]
groups = { a = ["web01", "web02"], b = ["web03", "web04"] }

[farm.web.drain]
grace = "5s"
deadline = "30s"

[farm.web.verify]
http = { path = "/_status", version = { header = "x-version" } }
"#;
