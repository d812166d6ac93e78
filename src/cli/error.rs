//! Why a command ends early, and what that means for its exit code.

use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::print;
use crate::api::Exit;
use crate::control::client::ClientError;
use crate::platform::chain;
use crate::store::StoreError;

/// A command that cannot go on.
#[derive(Debug, Error)]
pub(super) enum CliError {
    /// The request has no answer, or a refusal.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// teeterd went away while a run was going on.
    #[error("run {run} is stored and goes on or waits when teeterd is back")]
    Lost {
        /// The run.
        run: u64,
        /// What the last attempt met.
        source: ClientError,
    },
    /// What a run waits for has taken too long for a command to stay.
    #[error("run {run} is left to itself after {after}: {what}")]
    Overdue {
        /// The run.
        run: u64,
        /// How long it was waited for.
        after: String,
        /// What was waited for.
        what: String,
    },
    /// What was asked makes no sense here.
    #[error("{text}")]
    Usage {
        /// Why.
        text: String,
    },
    /// There is nothing of that kind.
    #[error("{text}")]
    NotFound {
        /// What.
        text: String,
    },
    /// A file of the caller's cannot be used.
    #[error("cannot {attempt} {}", path.display())]
    File {
        /// What was attempted.
        attempt: &'static str,
        /// The file.
        path: PathBuf,
        /// What was met.
        source: io::Error,
    },
    /// A file cannot be looked into as a store.
    #[error("cannot verify {}", path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: StoreError,
    },
    /// The answer cannot be written.
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
    /// The signals cannot be listened to.
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
            Self::NotFound { .. } => Exit::NotFound,
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
            Self::File { source, .. } | Self::Store { source: StoreError::File { source, .. }, .. } => {
                match source.kind() {
                    io::ErrorKind::NotFound => Exit::NotFound,
                    io::ErrorKind::PermissionDenied => Exit::NotPermitted,
                    _ => Exit::Failed,
                }
            }
            Self::Store { source: StoreError::InUse { .. }, .. } => Exit::Busy,
            Self::Output(_) | Self::Signals(_) | Self::Store { .. } => Exit::Failed,
        }
    }

    /// Tells the user, on standard error; a problem document goes to standard output too where JSON is wanted.
    pub(super) fn report(&self, json: bool) -> Exit {
        let exit = self.exit();
        if exit == Exit::Done {
            return exit;
        }
        if let (true, Self::Client(ClientError::Problem(problem))) = (json, self) {
            // The exit code says all that this could add.
            let _ = print::json(problem);
        }
        print::err(&self.text());
        exit
    }

    /// The whole chain of causes, and hints on lines of their own.
    pub(super) fn text(&self) -> String {
        let mut text = format!("teeter: {}", chain(self));
        match self {
            Self::Client(ClientError::Problem(problem)) => {
                problem.hints.iter().for_each(|hint| text.push_str(&format!("\nhint: {hint}")));
            }
            Self::Client(ClientError::Unreachable { .. }) => {
                text.push_str("\nIs teeterd running? `systemctl status teeterd` says; --socket names another socket.");
            }
            Self::Client(ClientError::Forbidden { group, .. }) => {
                // Nobody should become a member of root's group for this.
                let _ = if group == "root" {
                    write!(text, "\nSet `group` in [control] of teeterd's configuration, or ask root.")
                } else {
                    write!(text, "\n`sudo usermod -aG {group} $USER` and a new login let you in.")
                };
            }
            Self::Store { source: StoreError::InUse { .. }, .. } => {
                text.push_str("\nWithout a FILE, `teeter store verify` asks the teeterd that has it open.");
            }
            Self::Lost { run, .. } => {
                let _ = write!(text, "\nstart it: systemctl start teeterd\n{}", going_on(*run));
            }
            Self::Overdue { run, .. } => {
                let _ = write!(text, "\nit goes on without this command\n{}", going_on(*run));
            }
            _ => {}
        }
        text
    }
}

/// The commands that go on with a run that nobody drives now.
pub(super) fn going_on(run: u64) -> String {
    format!(
        "next: teeter show {run}      how it stands\n      \
               teeter advance {run}   the work is done, or try the failed step again\n      \
               teeter abort {run}     end it and bring back what is well"
    )
}
