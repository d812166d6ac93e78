//! Why a command failed, and its exit code.

use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::api::Exit;
use crate::control::client::ClientError;
use crate::init::{InitError, Kind};
use crate::platform::chain;
use crate::store::StoreError;

/// Why a command cannot go on.
#[derive(Debug, Error)]
pub(super) enum CliError {
    /// The request was not answered, or was refused.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// teeterd went away during a run.
    #[error("run {run} is stored, and goes on or waits when teeterd is back")]
    Lost {
        /// The run.
        run: u64,
        /// What the last attempt met.
        source: ClientError,
    },
    /// The run has waited for longer than a command waits.
    #[error("stopped following run {run} after {after}: {what}")]
    Overdue {
        /// The run.
        run: u64,
        /// The length of the wait.
        after: String,
        /// What the run waits for.
        what: String,
    },
    /// The arguments make no sense here.
    #[error("{text}")]
    Usage {
        /// Why.
        text: String,
    },
    /// The run is not in a state for this.
    #[error("{text}")]
    Refused {
        /// Why.
        text: String,
        /// What to type instead.
        hint: String,
    },
    /// The object does not exist.
    #[error("{text}")]
    NotFound {
        /// What.
        text: String,
        /// What to type instead, if that is known.
        hint: Option<String>,
    },
    /// A file of the user cannot be used.
    #[error("cannot {attempt} {}", path.display())]
    File {
        /// The attempted operation.
        attempt: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// A file cannot be verified as a store.
    #[error("cannot verify {}", path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: StoreError,
    },
    /// No configuration can be written.
    #[error(transparent)]
    Init(#[from] InitError),
    /// The file to write exists.
    #[error("{} exists, and stays as it is", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The answer cannot be written.
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
    /// The command cannot listen for signals.
    #[error("cannot listen for signals")]
    Signals(#[source] io::Error),
}

impl CliError {
    /// The exit code.
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Client(error) => error.exit(),
            Self::Lost { .. } => Exit::Unreachable,
            Self::Overdue { .. } => Exit::TimedOut,
            Self::Usage { .. } => Exit::Usage,
            Self::Init(error) => match error.kind() {
                Kind::Argument => Exit::Usage,
                Kind::Missing => Exit::NotFound,
                Kind::Right => Exit::NotPermitted,
                Kind::Silent => Exit::Unreachable,
                Kind::Failed => Exit::Failed,
            },
            Self::NotFound { .. } => Exit::NotFound,
            Self::Refused { .. } => Exit::Refused,
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
            Self::File { source, .. } | Self::Store { source: StoreError::File { source, .. }, .. } => {
                match source.kind() {
                    io::ErrorKind::NotFound => Exit::NotFound,
                    io::ErrorKind::PermissionDenied => Exit::NotPermitted,
                    _ => Exit::Failed,
                }
            }
            Self::Store { source: StoreError::InUse { .. }, .. } => Exit::Busy,
            Self::Output(_) | Self::Signals(_) | Self::Store { .. } | Self::Exists { .. } => Exit::Failed,
        }
    }

    /// The whole chain of causes, and hints on lines of their own.
    pub(super) fn text(&self) -> String {
        let mut text = format!("teeter: {}", chain(self));
        match self {
            Self::Client(ClientError::Problem(problem)) => {
                problem.hints.iter().for_each(|hint| text.push_str(&format!("\nhint: {hint}")));
            }
            Self::Refused { hint, .. } | Self::NotFound { hint: Some(hint), .. } => {
                let _ = write!(text, "\nhint: {hint}");
            }
            Self::Client(ClientError::Unreachable { .. }) => {
                text.push_str("\nIs teeterd running? Check `systemctl status teeterd`; --socket names another socket.");
            }
            Self::Client(ClientError::Forbidden { group, .. }) => {
                // Do not suggest to join root's group.
                let _ = if group == "root" {
                    write!(text, "\nSet `group` in [control] of teeterd's configuration, or ask root.")
                } else {
                    write!(text, "\n`sudo usermod -aG {group} $USER` and a new login give you access.")
                };
            }
            Self::Store { source: StoreError::InUse { .. }, .. } => {
                text.push_str("\nWithout a FILE, `teeter store verify` verifies the store of the running teeterd.");
            }
            Self::Lost { run, .. } => {
                let _ = write!(text, "\nstart it: systemctl start teeterd\n{}", going_on(*run));
            }
            Self::Overdue { run, .. } => {
                let _ = write!(text, "\nit goes on without this command\n{}", going_on(*run));
            }
            Self::Init(error) => {
                let _ = write!(text, "\nhint: {}", error.hint());
            }
            Self::Exists { .. } => text.push_str("\nhint: name another file by -o, or move this one away"),
            _ => {}
        }
        text
    }
}

/// The commands that continue a run that has no caller now.
pub(super) fn going_on(run: u64) -> String {
    format!(
        "next: teeter show {run}                       show its state\n      \
               teeter deploy --resume {run} -- HOOK    do the rest of its work from where it is\n      \
               teeter abort {run}                      end it and bring back the healthy servers"
    )
}
