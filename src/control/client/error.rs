//! The error of a request to teeterd.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use hyper::StatusCode;
use thiserror::Error;

use crate::api::{Exit, Problem};

/// The error of a request to teeterd.
#[derive(Debug, Error)]
pub enum ClientError {
    /// No process listens on the socket, or the connection ended before the answer was complete.
    #[error("teeterd does not answer on {}", path.display())]
    Unreachable {
        /// The path of the control socket.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The caller may not open the socket.
    #[error("no permission to open {}, which is for the group {group}", path.display())]
    Forbidden {
        /// The path of the control socket.
        path: PathBuf,
        /// The group that may open it.
        group: String,
        /// The error of the system.
        source: io::Error,
    },
    /// teeterd refuses, with a reason.
    #[error("{}", .0.detail)]
    Problem(Problem),
    /// The answer is not the expected document: another version of teeterd, or another program.
    #[error("the answer to {request} cannot be understood: {problem}")]
    Malformed {
        /// The method and the path of the request.
        request: String,
        /// The problem with the answer.
        problem: String,
    },
}

impl ClientError {
    /// The exit code of a command that fails with this error.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Unreachable { .. } => Exit::Unreachable,
            Self::Forbidden { .. } => Exit::NotPermitted,
            Self::Malformed { .. } => Exit::Failed,
            Self::Problem(problem) => match problem.exit {
                2 => Exit::Usage,
                3 => Exit::NotFound,
                4 => Exit::NotPermitted,
                5 => Exit::TimedOut,
                6 => Exit::Refused,
                7 => Exit::Aborted,
                8 => Exit::Busy,
                9 => Exit::Unreachable,
                _ => Exit::Failed,
            },
        }
    }

    /// Whether the requested object does not exist (any more).
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Problem(problem) if problem.status == StatusCode::NOT_FOUND.as_u16())
    }

    /// Whether teeterd does not answer or is overloaded, perhaps only for a moment.
    pub fn is_away(&self) -> bool {
        let temporary = [StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS].map(|status| status.as_u16());
        let is_temporary = |problem: &Problem| temporary.contains(&problem.status);
        matches!(self, Self::Unreachable { .. }) || matches!(self, Self::Problem(problem) if is_temporary(problem))
    }
}

pub(super) fn malformed(request: &str, problem: &dyn std::fmt::Display) -> ClientError {
    ClientError::Malformed { request: request.to_owned(), problem: problem.to_string() }
}

/// The error of an answer without success: its problem document, if it is one.
pub(super) fn refused(request: &str, status: StatusCode, body: &[u8]) -> ClientError {
    serde_json::from_slice(body).map_or_else(|_| malformed(request, &format!("status {status}")), ClientError::Problem)
}

/// The group of the socket, or of the directory that denies access to it.
pub(super) fn group_of(path: &Path) -> String {
    let Some(gid) = path.ancestors().find_map(|path| path.metadata().ok()).map(|metadata| metadata.gid().to_string())
    else {
        return "that owns it".to_owned();
    };
    let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
    let named = groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == gid).then(|| name.to_owned())
    });
    named.unwrap_or(gid)
}
