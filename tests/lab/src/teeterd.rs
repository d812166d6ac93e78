//! A teeterd beside a HAProxy, and the commands of `teeter` that are measured.
//!
//! Every process that is started here is stopped when dropped.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::command::failure;

/// The time for teeterd to start.
const START: Duration = Duration::from_secs(10);

/// The time for one command. The limits in the configuration are shorter.
const COMMAND: Duration = Duration::from_secs(90);

/// A running teeterd.
pub(crate) struct Teeter {
    daemon: Child,
    dir: PathBuf,
    program: PathBuf,
}

impl Teeter {
    /// Whether this `teeter` has the command `flip`.
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

    /// The same with more variables in the environment of teeterd.
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
        let teeter = Self { daemon, dir: dir.to_owned(), program: bin_dir.join("teeter") };
        let deadline = Instant::now() + START;
        while UnixStream::connect(teeter.control()).await.is_err() {
            if Instant::now() >= deadline {
                return Err(failure(format!("teeterd does not answer\n{}", teeter.log())));
            }
            sleep(Duration::from_millis(10)).await;
        }
        Ok(teeter)
    }

    /// Switches the traffic to a group; returns when the other group has drained.
    pub(crate) async fn flip(&self, group: &str) -> io::Result<()> {
        self.run(&["flip", "web", group]).await.map(drop)
    }

    /// `teeter` with these arguments, not yet started.
    pub(crate) fn command(&self, args: &[&str]) -> std::process::Command {
        let mut command = std::process::Command::new(&self.program);
        command.arg("--socket").arg(self.control()).args(args).stdin(Stdio::null());
        command
    }

    /// Starts a command and leaves it running.
    pub(crate) fn spawn(&self, args: &[&str]) -> io::Result<Child> {
        let mut command = Command::from(self.command(args));
        command.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).spawn()
    }

    /// The process id of teeterd.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.daemon.id()
    }

    /// Runs a command to its end; returns its output.
    pub(crate) async fn run(&self, args: &[&str]) -> io::Result<String> {
        let mut command = Command::from(self.command(args));
        let output = timeout(COMMAND, command.kill_on_drop(true).output()).await??;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let (error, log) = (String::from_utf8_lossy(&output.stderr), self.log());
        Err(failure(format!("teeter {}: {}\n{error}\nThe log of teeterd:\n{log}", args.join(" "), output.status)))
    }

    /// Kills teeterd and reaps it: in a container no other process may do that.
    pub(crate) async fn stop(mut self) -> io::Result<()> {
        self.daemon.kill().await
    }

    /// The control socket.
    pub(crate) fn control(&self) -> PathBuf {
        self.dir.join("control.sock")
    }

    /// The log of teeterd.
    pub(crate) fn log(&self) -> String {
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
