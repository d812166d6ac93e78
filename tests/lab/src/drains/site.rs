//! Servers for every kind of traffic behind one HAProxy, and a teeterd.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use super::kinds::{Kind, SERVERS, config, name};
use crate::app::App;
use crate::haproxy::Haproxy;
use crate::ports::free_addr;

/// The paths of teeter's programs.
#[derive(Debug, Clone)]
pub struct Programs {
    /// The command.
    pub teeter: PathBuf,
    /// The daemon.
    pub teeterd: PathBuf,
}

/// The time for teeterd to start.
const START: Duration = Duration::from_secs(10);

/// The time for one command of teeter.
const COMMAND: Duration = Duration::from_secs(60);

/// All processes. They end when it is dropped.
pub(crate) struct Site {
    // The daemon is dropped before HAProxy.
    _teeterd: Child,
    _haproxy: Haproxy,
    pub(crate) lanes: Vec<Lane>,
    teeter: PathBuf,
    dir: TempDir,
}

/// The servers of one kind of traffic, and the address for their clients.
pub(crate) struct Lane {
    pub(crate) kind: Kind,
    pub(crate) front: SocketAddr,
    pub(crate) apps: Vec<App>,
}

impl Site {
    pub(crate) async fn start(kinds: &[Kind], programs: &Programs) -> io::Result<Self> {
        let dir = tempfile::Builder::new().prefix("lab-drains-").tempdir()?;
        let mut lanes = Vec::new();
        for kind in kinds {
            let mut apps = Vec::new();
            for number in 0..SERVERS {
                apps.push(App::start(&name(number), "v1").await?);
            }
            lanes.push(Lane { kind: *kind, front: free_addr()?, apps });
        }
        let addrs: Vec<_> =
            lanes.iter().map(|lane| (lane.kind, lane.front, lane.apps.iter().map(App::addr).collect())).collect();
        let haproxy = Haproxy::start(dir.path(), &config(dir.path(), &addrs)).await?;
        let path = dir.path().display();
        let settings = format!(
            "[control]\nsocket = \"{path}/control.sock\"\n[store]\npath = \"{path}/teeter.db\"\n\
             [[haproxy]]\nname = \"edge\"\nsocket = \"{path}/admin.sock\"\n"
        );
        std::fs::write(dir.path().join("teeter.toml"), settings)?;
        let log = File::create(dir.path().join("teeterd.log"))?;
        let mut command = Command::new(&programs.teeterd);
        command.arg("--config").arg(dir.path().join("teeter.toml")).kill_on_drop(true);
        let teeterd = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        let site = Self { _teeterd: teeterd, _haproxy: haproxy, lanes, teeter: programs.teeter.clone(), dir };
        let deadline = Instant::now() + START;
        while site.teeter(&["holds"]).await.is_err() {
            if Instant::now() >= deadline {
                return Err(io::Error::other(format!("teeterd does not answer\n{}", site.log())));
            }
            sleep(Duration::from_millis(10)).await;
        }
        Ok(site)
    }

    /// Runs `teeter` to its end, and returns its output.
    pub(crate) async fn teeter(&self, args: &[&str]) -> io::Result<String> {
        let mut command = Command::new(&self.teeter);
        command.args(args).env("TEETER_SOCKET", self.dir.path().join("control.sock"));
        command.stdin(Stdio::null()).kill_on_drop(true);
        let output = timeout(COMMAND, command.output()).await??;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let error = String::from_utf8_lossy(&output.stderr);
        Err(io::Error::other(format!("teeter {}: {}\n{error}", args.join(" "), output.status)))
    }

    /// The same with `--json`.
    pub(crate) async fn json(&self, args: &[&str]) -> io::Result<Value> {
        Ok(serde_json::from_str(&self.teeter(&[&["--json"], args].concat()).await?)?)
    }

    /// The log of teeterd.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("teeterd.log")).unwrap_or_default()
    }
}
