//! teeterd beside a HAProxy, and the one command that is measured.
//!
//! Whatever is started here is stopped when dropped.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::figures_site::failure;

/// For teeterd to be there.
const START: Duration = Duration::from_secs(10);

/// For one command; what it waits for at most is in the configuration, and less.
const COMMAND: Duration = Duration::from_secs(90);

/// A running teeterd.
pub(crate) struct Teeter {
    daemon: Child,
    dir: PathBuf,
    command: PathBuf,
}

impl Teeter {
    /// Has this `teeter` the command that is to be measured?
    pub(crate) async fn can_flip(bin_dir: &Path) -> bool {
        let mut command = Command::new(bin_dir.join("teeter"));
        command.args(["flip", "--help"]).stdin(Stdio::null()).kill_on_drop(true);
        let daemon = bin_dir.join("teeterd").exists();
        daemon && timeout(START, command.output()).await.is_ok_and(|done| done.is_ok_and(|out| out.status.success()))
    }

    /// Starts teeterd for the HAProxy at `DIR/admin.sock`; `farm` is the part of its configuration about the farm.
    pub(crate) async fn start(bin_dir: &Path, dir: &Path, farm: &str) -> io::Result<Self> {
        Self::start_with(bin_dir, dir, farm, &[]).await
    }

    /// The same with this in its environment.
    pub(crate) async fn start_with(
        bin_dir: &Path,
        dir: &Path,
        farm: &str,
        environment: &[(&str, String)],
    ) -> io::Result<Self> {
        let config = dir.join("teeter.toml");
        let text = format!("{}\n{farm}", CONFIG.replace("@DIR@", &dir.display().to_string()));
        std::fs::write(&config, text)?;
        let log = File::create(dir.join("teeterd.log"))?;
        let mut command = Command::new(bin_dir.join("teeterd"));
        command.arg("--config").arg(&config).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        let daemon = command.kill_on_drop(true).spawn()?;
        let teeter = Self { daemon, dir: dir.to_owned(), command: bin_dir.join("teeter") };
        let deadline = Instant::now() + START;
        while UnixStream::connect(teeter.control()).await.is_err() {
            if Instant::now() >= deadline {
                return Err(failure(format!("teeterd does not answer\n{}", teeter.log())));
            }
            sleep(Duration::from_millis(10)).await;
        }
        Ok(teeter)
    }

    /// Turns the traffic to a group; returns when the rest has drained.
    pub(crate) async fn flip(&self, group: &str) -> io::Result<()> {
        self.run(&["flip", "web", group]).await.map(drop)
    }

    /// A command that goes on for a while.
    pub(crate) fn spawn(&self, args: &[&str]) -> io::Result<Child> {
        let mut command = Command::new(&self.command);
        command.arg("--socket").arg(self.control()).args(args).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
    }

    /// The daemon's process.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.daemon.id()
    }

    /// A command, and what it prints.
    pub(crate) async fn run(&self, args: &[&str]) -> io::Result<String> {
        let mut command = Command::new(&self.command);
        command.arg("--socket").arg(self.control()).args(args).stdin(Stdio::null()).kill_on_drop(true);
        let output = timeout(COMMAND, command.output()).await??;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(failure(format!("teeter {}: {}\n{said}\nteeterd said:\n{}", args.join(" "), output.status, self.log())))
    }

    /// Ends teeterd and buries it: nobody else may do that where this is the last process.
    pub(crate) async fn stop(mut self) -> io::Result<()> {
        self.daemon.kill().await
    }

    /// Where it answers.
    pub(crate) fn control(&self) -> PathBuf {
        self.dir.join("control.sock")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("teeterd.log")).unwrap_or_default()
    }
}

const CONFIG: &str = r#"[control]
socket = "@DIR@/control.sock"
[store]
path = "@DIR@/teeter.db"

[[haproxy]]
name = "edge"
socket = "@DIR@/admin.sock"
"#;
