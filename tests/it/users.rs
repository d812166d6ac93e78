//! Other users of this machine, as real processes: only root can become them.

use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::site::{Daemon, Ended, finish};

/// A user and the group of their processes. They need not be known to the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

pub(crate) const ROOT: User = User { uid: 0, gid: 0 };

/// A user that the system has no name for.
pub(crate) const fn nameless(number: u32) -> User {
    User { uid: number, gid: number }
}

/// Whether this process may become other users; says so where it may not.
pub(crate) fn can_change() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        teeter_lab::skip("only root can run processes of other users");
    }
    is_root
}

/// Lets everybody reach a control socket. Gives a `teeter` beside it that everybody may run.
pub(crate) fn open_to_all(daemon: &Daemon) -> PathBuf {
    let dir = daemon.socket().parent().expect("it is in a directory");
    set_mode(dir, 0o711);
    set_mode(daemon.socket(), 0o666);
    let teeter = dir.join("teeter");
    if !teeter.exists() {
        std::fs::copy(env!("CARGO_BIN_EXE_teeter"), &teeter).expect("it is copied");
        set_mode(&teeter, 0o755);
    }
    teeter
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("its mode is set");
}

/// Gives a file to somebody.
pub(crate) fn give(path: &Path, to: User) {
    chown(path, Some(to.uid), Some(to.gid)).expect("it is given away");
}

/// Runs `teeter` as somebody.
pub(crate) async fn teeter(user: User, program: &Path, daemon: &Daemon, args: &[&str]) -> Ended {
    let mut command = Command::new(program);
    command.args(args).env("TEETER_SOCKET", daemon.socket()).current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut command = tokio::process::Command::from(become_(user, command));
    finish(command.kill_on_drop(true).spawn().expect("it starts")).await
}

/// One request of somebody's curl: the status, and the document that was answered.
pub(crate) async fn curl(user: User, daemon: &Daemon, method: &str, path: &str, body: &str) -> (u16, Value) {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "50", "--write-out", "\n%{http_code}", "--unix-socket"]);
    command.arg(daemon.socket()).arg(format!("http://teeter{path}")).current_dir("/");
    match method {
        "HEAD" => command.arg("--head"),
        "GET" => &mut command,
        _ => command.args(["--request", method, "--header", "content-type: application/json", "--data", body]),
    };
    let mut command = tokio::process::Command::from(become_(user, command));
    let output = command.kill_on_drop(true).output().await.expect("curl runs");
    let text = String::from_utf8(output.stdout).expect("it prints text");
    let (body, status) = text.rsplit_once('\n').expect("it prints the status");
    (status.parse().expect("a number"), serde_json::from_str(body).unwrap_or_default())
}

fn become_(user: User, mut command: Command) -> Command {
    if user != ROOT {
        command.gid(user.gid).uid(user.uid);
    }
    command
}
