//! The caller's hook: found before the run starts, run in the caller's environment, ended with the caller.

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::process::{Child, Command};
use tokio::sync::watch;

use super::error::CliError;
use super::output::Output;
use crate::farm::Span;

/// An executable program with its arguments.
#[derive(Debug)]
pub(super) struct Hook {
    program: PathBuf,
    arguments: Vec<OsString>,
    limit: Option<Span>,
}

/// How a hook ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// With exit code 0.
    Done,
    /// With another exit code or a signal, as text.
    Failed(String),
    /// The caller was asked to stop, and has ended the hook.
    Interrupted,
    /// Another caller moved the run on from this step, and the hook was ended.
    Left,
}

/// Why running hooks must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// The caller was asked to stop.
    Interrupted,
    /// The run no longer waits for their work.
    Left,
}

impl Hook {
    /// Finds the program, through PATH if its name has no slash. A call may take as long as `limit`.
    ///
    /// # Errors
    /// The program does not exist, or may not be executed.
    pub(super) fn find(words: &[OsString], limit: Option<Span>) -> Result<Self, CliError> {
        let usage = |text: String| CliError::Usage { text };
        let (name, arguments) = words.split_first().ok_or_else(|| usage("no hook is given after --".to_owned()))?;
        let shown = name.to_string_lossy();
        let found = if shown.contains('/') {
            let path = PathBuf::from(name);
            if !path.is_file() {
                return Err(usage(format!("there is no hook {shown}; no run was started")));
            }
            executable(&path)
                .then_some(path)
                .ok_or_else(|| usage(format!("the hook {shown} is not executable; no run was started")))?
        } else {
            let directories = std::env::var_os("PATH").unwrap_or_default();
            let candidates = std::env::split_paths(&directories).map(|directory| directory.join(name));
            let found = candidates.into_iter().find(|path| executable(path));
            found.ok_or_else(|| usage(format!("there is no hook {shown} in PATH; no run was started")))?
        };
        Ok(Self { program: found, arguments: arguments.to_vec(), limit })
    }

    /// The program, as text.
    pub(super) fn program(&self) -> String {
        self.program.display().to_string()
    }

    /// Runs the hook to its end, or until it must stop. Its output is labelled with `from`.
    pub(super) async fn run(
        &self,
        variables: &[(&'static str, String)],
        from: &str,
        output: &Output,
        mut stop: watch::Receiver<Option<Stop>>,
    ) -> Outcome {
        let mut child = match self.start(variables) {
            Ok(child) => child,
            Err(error) => return Outcome::Failed(format!("hook could not be started: {error}")),
        };
        let reading = output.read_from(&mut child, from);
        let outcome = tokio::select! {
            // A hook that was told to end has not failed.
            biased;
            why = stop_requested(&mut stop) => {
                end(&mut child).await;
                match why {
                    Stop::Interrupted => Outcome::Interrupted,
                    Stop::Left => Outcome::Left,
                }
            }
            status = child.wait() => judge(status),
            limit = passed(self.limit) => {
                end(&mut child).await;
                Outcome::Failed(format!("hook took longer than {limit} and was ended"))
            }
        };
        reading.rest().await;
        outcome
    }

    fn start(&self, variables: &[(&'static str, String)]) -> io::Result<Child> {
        let mut command = Command::new(&self.program);
        // A process group of its own, so that the processes that the hook has started end with it.
        command.process_group(0);
        command.args(&self.arguments).envs(variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
    }
}

fn executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

async fn stop_requested(stop: &mut watch::Receiver<Option<Stop>>) -> Stop {
    let why = stop.wait_for(Option::is_some).await.ok().and_then(|why| *why);
    match why {
        Some(why) => why,
        // The sender is gone: no stop can arrive.
        None => std::future::pending().await,
    }
}

async fn passed(limit: Option<Span>) -> Span {
    match limit {
        Some(limit) => {
            tokio::time::sleep(limit.duration()).await;
            limit
        }
        None => std::future::pending().await,
    }
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

/// Asks the hook and the processes that it has started to end, and kills those that do not end in time.
async fn end(child: &mut Child) {
    let group = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
    let Some(group) = group else { return };
    // An error means that no process is left in the group.
    let _ = kill_process_group(group, Signal::TERM);
    let all_gone = async {
        let _ = child.wait().await;
        while test_kill_process_group(group).is_ok() {
            tokio::time::sleep(AGAIN).await;
        }
    };
    if tokio::time::timeout(LAST_WORDS, all_gone).await.is_err() {
        let _ = kill_process_group(group, Signal::KILL);
        let _ = child.wait().await;
    }
}

/// The time for a hook to clean up after SIGTERM.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// The interval between two checks whether all processes of a hook have ended.
const AGAIN: Duration = Duration::from_millis(50);
