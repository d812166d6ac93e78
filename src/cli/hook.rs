//! The caller's hook: found before anything is begun, run in the caller's environment, ended with the caller.

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::{Child, Command};

use super::error::CliError;
use super::interrupt::Interrupt;
use super::print;

/// A program that is there and may be executed, with its arguments.
#[derive(Debug)]
pub(super) struct Hook {
    program: PathBuf,
    arguments: Vec<OsString>,
    stdout_to_stderr: bool,
}

/// How a hook ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// With exit code 0.
    Done,
    /// Otherwise: how.
    Failed(String),
    /// The caller was asked to stop, and so was the hook.
    Interrupted,
    /// Somebody else took the run on from this step, and the hook was ended.
    Left,
}

impl Hook {
    /// Finds the program, through PATH where its name has no slash.
    ///
    /// # Errors
    /// It is not there, or may not be executed.
    pub(super) fn find(words: &[OsString], stdout_to_stderr: bool) -> Result<Self, CliError> {
        let usage = |text: String| CliError::Usage { text };
        let (name, arguments) = words.split_first().ok_or_else(|| usage("no hook is given after --".to_owned()))?;
        let shown = name.to_string_lossy();
        let found = if shown.contains('/') {
            let path = PathBuf::from(name);
            if !path.is_file() {
                return Err(usage(format!("there is no hook {shown}: nothing was begun")));
            }
            executable(&path)
                .then_some(path)
                .ok_or_else(|| usage(format!("the hook {shown} is not executable: nothing was begun")))?
        } else {
            let directories = std::env::var_os("PATH").unwrap_or_default();
            let candidates = std::env::split_paths(&directories).map(|directory| directory.join(name));
            let found = candidates.into_iter().find(|path| executable(path));
            found.ok_or_else(|| usage(format!("there is no hook {shown} in PATH: nothing was begun")))?
        };
        Ok(Self { program: found, arguments: arguments.to_vec(), stdout_to_stderr })
    }

    /// Runs it to its end, or until `left` says that nobody wants its work any more.
    pub(super) async fn run(
        &self,
        variables: &[(&'static str, String)],
        interrupt: &mut Interrupt,
        left: impl Future<Output = ()>,
    ) -> Outcome {
        let mut child = match self.start(variables) {
            Ok(child) => child,
            Err(error) => return Outcome::Failed(format!("hook could not be started: {error}")),
        };
        tokio::select! {
            // What ends because it was told to is no failure of its own.
            biased;
            () = interrupt.received() => {
                print::err("ending the hook");
                end(&mut child).await;
                Outcome::Interrupted
            }
            () = left => {
                print::err("the run has left this step (aborted, or reported on by somebody else): ending the hook");
                end(&mut child).await;
                Outcome::Left
            }
            status = child.wait() => judge(status),
        }
    }

    fn start(&self, variables: &[(&'static str, String)]) -> io::Result<Child> {
        let mut command = Command::new(&self.program);
        // A group of its own, so that what the hook has started ends with it.
        command.process_group(0);
        command.args(&self.arguments).envs(variables.iter().map(|(name, value)| (name, value))).stdin(Stdio::null());
        if self.stdout_to_stderr {
            command.stdout(Stdio::from(io::stderr().as_fd().try_clone_to_owned()?));
        }
        command.spawn()
    }
}

fn executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

fn judge(status: io::Result<ExitStatus>) -> Outcome {
    use std::os::unix::process::ExitStatusExt as _;
    match status {
        Ok(status) if status.success() => Outcome::Done,
        Ok(status) => Outcome::Failed(match (status.code(), status.signal()) {
            (Some(code), _) => format!("hook exited with code {code}"),
            (None, Some(signal)) => format!("hook was ended by signal {signal}"),
            (None, None) => format!("hook ended: {status}"),
        }),
        Err(error) => Outcome::Failed(format!("hook was lost: {error}")),
    }
}

/// Asks the hook and what it has started to end, and ends them when they do not.
async fn end(child: &mut Child) {
    let Some(pid) = child.id() else { return };
    if signal("TERM", pid).await && tokio::time::timeout(LAST_WORDS, child.wait()).await.is_ok() {
        return;
    }
    if !signal("KILL", pid).await {
        // It may have ended by itself.
        let _ = child.kill().await;
    }
    let _ = child.wait().await;
}

/// The standard library only knows SIGKILL, for one process; the shell's own `kill` is on every system that runs
/// hooks.
async fn signal(name: &str, group: u32) -> bool {
    let script = format!("kill -s {name} -- \"-$0\"");
    let sent = Command::new("sh").args(["-c", &script]).arg(group.to_string()).stdin(Stdio::null()).status();
    sent.await.is_ok_and(|status| status.success())
}

/// How long a hook may take to tidy up after SIGTERM.
const LAST_WORDS: Duration = Duration::from_secs(10);
