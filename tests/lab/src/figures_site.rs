//! The site of the figures: a farm behind a real HAProxy, teeterd beside it, and a hook that records times.
//!
//! Every process that is started here is stopped when the site is dropped.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use teeter_lab::TestFarm;
use teeter_lab::farm::write_script;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::figures_numbers::Memory;

/// The time for teeterd to start.
const START: Duration = Duration::from_secs(10);

/// The time for one command of teeter. A deploy takes one to three seconds.
const COMMAND: Duration = Duration::from_secs(60);

/// All processes.
pub(crate) struct Site {
    // The daemon is dropped before the farm.
    teeterd: Child,
    pub(crate) farm: TestFarm,
    teeter: PathBuf,
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
        let [teeter, binary] = ["teeter", "teeterd"].map(|name| bin_dir.join(name));
        for needed in [&teeter, &binary] {
            if !needed.exists() {
                return Err(failure(format!("{} does not exist: build it first", needed.display())));
            }
        }
        let farm = TestFarm::start("v0").await?;
        let dir = farm.dir();
        let config = dir.join("teeter.toml");
        std::fs::write(&config, CONFIG.replace("@DIR@", &dir.display().to_string()))?;
        let log = File::create(dir.join("teeterd.log"))?;
        let mut command = Command::new(binary);
        command.arg("--config").arg(&config).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let teeterd = command.kill_on_drop(true).spawn()?;
        let hook = write_hook(&farm)?;
        let site = Self { teeterd, farm, teeter, hook };
        let deadline = Instant::now() + START;
        while UnixStream::connect(site.control()).await.is_err() {
            if Instant::now() >= deadline {
                return Err(failure(format!("teeterd does not answer\n{}", site.log())));
            }
            sleep(Duration::from_millis(10)).await;
        }
        Ok(site)
    }

    fn control(&self) -> PathBuf {
        self.farm.dir().join("control.sock")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.farm.dir().join("teeterd.log")).unwrap_or_default()
    }

    /// `teeter` with these arguments, not yet started.
    pub(crate) fn command(&self, args: &[&str]) -> std::process::Command {
        let mut command = std::process::Command::new(&self.teeter);
        command.arg("--socket").arg(self.control()).args(args).stdin(Stdio::null());
        command
    }

    async fn teeter(&self, args: &[&str]) -> io::Result<String> {
        let mut command = Command::from(self.command(args));
        let output = timeout(COMMAND, command.kill_on_drop(true).output()).await??;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(failure(format!("teeter {}: {}\n{said}\nteeterd said:\n{}", args.join(" "), output.status, self.log())))
    }

    /// Deploys a version to both groups.
    pub(crate) async fn deploy(&self, version: &str) -> io::Result<Deployed> {
        let notes = self.farm.dir().join("notes");
        std::fs::write(&notes, "")?;
        let hook = self.hook.display().to_string();
        let run: Value =
            serde_json::from_str(&self.teeter(&["--json", "deploy", "web", "--to", version, "--", &hook]).await?)?;
        let shown = self.teeter(&["show", &run["id"].to_string()]).await?;
        let recorded = recorded(&shown).ok_or_else(|| failure(format!("no time of the commands in:\n{shown}")))?;
        let notes = std::fs::read_to_string(&notes)?;
        let drains = drains(&notes).filter(|drains| drains.len() == 2);
        Ok(Deployed { drains: drains.ok_or_else(|| failure(format!("the hook wrote:\n{notes}")))?, recorded })
    }

    /// Reloads HAProxy while a server is held. Gives for each reload the time in ms from the first answer of the new process
    /// until the server is out again.
    pub(crate) async fn reloads(&self, times: usize) -> io::Result<Vec<f64>> {
        self.teeter(&["drain", "web01", "--reason", "figures"]).await?;
        let mut took = Vec::new();
        for _ in 0..times {
            self.farm.haproxy().reload().await?;
            let answered = Instant::now();
            while self.farm.haproxy().server_admin_bits("app/web01").await? == 0 {
                if answered.elapsed() > COMMAND {
                    return Err(failure(format!("the hold is not restored\n{}", self.log())));
                }
            }
            took.push(answered.elapsed().as_secs_f64() * 1e3);
        }
        self.teeter(&["ready", "web01"]).await?;
        Ok(took)
    }

    /// The memory of teeterd now.
    pub(crate) fn memory(&self) -> io::Result<Memory> {
        let pid = self.teeterd.id().ok_or_else(|| failure("teeterd has ended".to_owned()))?;
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

pub(crate) fn failure(text: String) -> io::Error {
    io::Error::other(text)
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

const CONFIG: &str = r#"[control]
socket = "@DIR@/control.sock"
[store]
path = "@DIR@/teeter.db"

[[haproxy]]
name = "edge"
socket = "@DIR@/admin.sock"

[farm.web]
members = ["app/web0[1-4]", "api/web0[1-4]"]
groups = { a = ["web01", "web02"], b = ["web03", "web04"] }

[farm.web.drain]
grace = "5s"
deadline = "30s"

[farm.web.verify]
http = { path = "/_status", version = { header = "x-version" } }
"#;
