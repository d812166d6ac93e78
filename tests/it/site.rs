//! One site of its own for each test: a farm behind a real HAProxy, and a teeterd beside it.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use teeter_lab::{FarmSpec, Sample, TestFarm};
use tokio::process::{Child, Command};

/// A farm, and teeter beside it.
pub(crate) struct Site {
    pub(crate) daemon: Daemon,
    pub(crate) farm: TestFarm,
}

/// A teeterd process; killed when dropped.
pub(crate) struct Daemon {
    config: PathBuf,
    socket: PathBuf,
    /// What it is started by, where that is another program.
    by: Vec<String>,
    child: Option<Child>,
}

/// What a command left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Site {
    pub(crate) async fn start() -> Self {
        Self::with("", FarmSpec::default()).await
    }

    /// With more lines in `[farm.web]`, or another farm.
    pub(crate) async fn with(settings: &str, spec: FarmSpec) -> Self {
        let spec = FarmSpec { version: "v1".to_owned(), ..spec };
        let farm = TestFarm::start_spec(spec).await.expect("a farm starts");
        let daemon = Daemon::start(farm.dir(), &farm_config(&farm, settings)).await;
        Self { daemon, farm }
    }

    /// On another sample, as it is shipped but for what `edits` replace in its teeter.toml.
    pub(crate) async fn on(sample: Sample, edits: &[(&str, &str)]) -> Self {
        Self::on_spec(FarmSpec { sample, ..FarmSpec::default() }, edits).await
    }

    /// The same with another farm.
    pub(crate) async fn on_spec(spec: FarmSpec, edits: &[(&str, &str)]) -> Self {
        let spec = FarmSpec { version: "v1".to_owned(), ..spec };
        let farm = TestFarm::start_spec(spec).await.expect("a farm starts");
        let config = edited(&farm.toml().expect("it has a configuration"), edits);
        let daemon = Daemon::start(farm.dir(), &config).await;
        Self { daemon, farm }
    }

    /// The value of a key in the farm's map; empty where there is none.
    pub(crate) async fn route(&self, key: &str) -> String {
        let said = self.farm.haproxy().cmd(&format!("get map {} {key}", self.farm.map().display())).await;
        let said = said.expect("HAProxy answers");
        let value = said.split_once("value=\"").or_else(|| said.split_once("val=\""));
        value.map(|(_, rest)| rest.split('"').next().unwrap_or_default().to_owned()).unwrap_or_default()
    }

    /// The map's file.
    pub(crate) fn map_file(&self) -> String {
        std::fs::read_to_string(self.farm.map()).expect("there is a map")
    }

    /// Runs `teeter` to its end.
    pub(crate) async fn teeter(&self, args: &[&str]) -> Ended {
        self.daemon.teeter(args).await
    }

    /// Runs `teeter --json` and reads what it prints.
    pub(crate) async fn json(&self, args: &[&str]) -> Value {
        let ended = self.teeter(&[&["--json"], args].concat()).await;
        serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("no JSON ({error}): {ended:?}"))
    }

    /// The admin bits of every server's own line, in the order of the sample.
    pub(crate) async fn bits(&self) -> Vec<u32> {
        let mut bits = Vec::new();
        for line in self.farm.sample().lines().into_iter().filter(|line| !line.tracks) {
            bits.push(self.farm.haproxy().server_admin_bits(&line.entry).await.expect("HAProxy answers"));
        }
        bits
    }

    /// A hook that replaces the version of every server it is told of.
    pub(crate) fn hook(&self) -> String {
        self.farm.write_hook(self.farm.dir()).expect("a hook is written").display().to_string()
    }

    /// Waits until the admin bits are these.
    pub(crate) async fn wait_for_bits(&self, wanted: [u32; 4]) {
        until(|| async { self.bits().await == wanted }).await;
    }
}

impl Daemon {
    /// Starts a daemon with this configuration beside a control socket and a store in `dir`.
    pub(crate) async fn start(dir: &Path, config: &str) -> Self {
        Self::start_by(&[], dir, config).await
    }

    /// The same, started by a program that takes the daemon's command line behind its own.
    pub(crate) async fn start_by(by: &[&str], dir: &Path, config: &str) -> Self {
        let by = by.iter().map(ToString::to_string).collect();
        let socket = dir.join("control.sock");
        let path = dir.join("teeter.toml");
        let own = format!("[control]\nsocket = {socket:?}\n[store]\npath = {:?}\n", dir.join("teeter.db"));
        std::fs::write(&path, format!("{own}{config}")).expect("a configuration is written");
        let mut daemon = Self { config: path, socket, by, child: None };
        daemon.restart().await;
        daemon
    }

    /// Starts the process again, and waits until it answers.
    pub(crate) async fn restart(&mut self) {
        self.child = Some(self.command().spawn().expect("teeterd starts"));
        until(|| async { self.teeter(&["holds"]).await.code == 0 }).await;
    }

    /// The command that starts it, with its log beside its configuration.
    pub(crate) fn command(&self) -> Command {
        let log = std::fs::File::options().create(true).append(true).open(self.config.with_extension("log"));
        let daemon = env!("CARGO_BIN_EXE_teeterd").to_owned();
        let words: Vec<&String> = self.by.iter().chain([&daemon]).collect();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).arg("--config").arg(&self.config).kill_on_drop(true).stdin(Stdio::null());
        command.stderr(log.expect("a log is opened"));
        command
    }

    /// `kill -9`.
    pub(crate) async fn kill(&mut self) {
        self.child.take().expect("it runs").kill().await.expect("it is killed");
    }

    /// Sends a signal, by the name of `kill`.
    pub(crate) async fn signal(&self, name: &str) {
        let pid = self.child.as_ref().and_then(Child::id).expect("it runs").to_string();
        let sent = Command::new("kill").args([name, &pid]).status().await;
        assert!(sent.expect("kill runs").success());
    }

    /// Waits until it has ended, and gives its exit code.
    pub(crate) async fn ended(&mut self) -> Option<i32> {
        self.child.take().expect("it runs").wait().await.expect("it ends").code()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().and_then(Child::id).expect("it runs")
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.config.with_extension("log")).unwrap_or_default()
    }

    pub(crate) fn config(&self) -> &Path {
        &self.config
    }

    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    pub(crate) async fn teeter(&self, args: &[&str]) -> Ended {
        finish(self.spawn(args)).await
    }

    /// Starts `teeter` and leaves it running.
    pub(crate) fn spawn(&self, args: &[&str]) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_teeter"));
        command.args(args).env("TEETER_SOCKET", &self.socket).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("teeter starts")
    }
}

/// A text with parts of it replaced; each must be there.
pub(crate) fn edited(text: &str, edits: &[(&str, &str)]) -> String {
    let mut text = text.to_owned();
    for (from, to) in edits {
        assert!(text.contains(from), "{from:?} is not in {text}");
        text = text.replace(from, to);
    }
    text
}

/// Waits for a command's end.
pub(crate) async fn finish(child: Child) -> Ended {
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await.expect("it ends").expect("it ran");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it prints text");
    Ended { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}

/// The step that a run is at.
pub(crate) fn step_of(run: &Value) -> Option<&str> {
    let cursor = usize::try_from(run["cursor"].as_u64()?).ok()?;
    run["steps"][cursor]["text"].as_str()
}

/// Waits for a condition, with a deadline.
pub(crate) async fn until<F: Future<Output = bool>>(mut condition: impl FnMut() -> F) {
    let met = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, met).await.expect("the condition is met in time");
}

/// The table of one HAProxy.
pub(crate) fn instance(socket: &Path) -> String {
    format!("[[haproxy]]\nname = \"edge\"\nsocket = {socket:?}\n")
}

/// The tables of a farm and its HAProxy, with more lines in that of the farm.
pub(crate) fn farm_config(farm: &TestFarm, settings: &str) -> String {
    format!("{}\n{}", instance(farm.socket().as_path()), farm_table(settings))
}

fn farm_table(settings: &str) -> String {
    format!(
        r#"[farm.web]
members = ["app/web0[1-4]", "api/web0[1-4]"]
groups = {{ a = ["web01", "web02"], b = ["web03", "web04"] }}
{settings}
drain = {{ grace = "5s", deadline = "20s" }}
verify.http = {{ path = "/_status", version = {{ header = "x-version" }} }}
{}"#,
        if settings.contains("verify.deadline") { "" } else { "verify.deadline = \"20s\"\n" }
    )
}

/// Runs `teeter` against a socket that somebody else made.
pub(crate) async fn teeter_at(socket: &Path, args: &[&str]) -> io::Result<Ended> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_teeter"));
    command.args(args).env("TEETER_SOCKET", socket).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Ok(finish(command.spawn()?).await)
}

/// The bits of `set server … state maint`.
pub(crate) const MAINT: u32 = 1;
/// The bits of `set server … state drain`.
pub(crate) const DRAIN: u32 = 8;

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
