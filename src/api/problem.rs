//! Errors, and the exit codes of commands.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An error, as a problem document of RFC 9457.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// The kind, a stable word: `urn:teeter:KIND`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind as text.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What was attempted, on which object, and the answer.
    pub detail: String,
    /// What the caller can do next, such as a command to type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
    /// The exit code of the command line; see [`Exit`].
    pub exit: u8,
}

/// The exit codes of `teeter`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// The command succeeded.
    Done = 0,
    /// The command failed.
    Failed = 1,
    /// The arguments were not understood; nothing was attempted.
    Usage = 2,
    /// There is no such server, farm, run or hold.
    NotFound = 3,
    /// The caller or teeter lacks a permission.
    NotPermitted = 4,
    /// A deadline passed.
    TimedOut = 5,
    /// A guard refused.
    Refused = 6,
    /// The run was aborted.
    Aborted = 7,
    /// Another user's hold, or another run, is in the way.
    Busy = 8,
    /// HAProxy or teeterd did not answer.
    Unreachable = 9,
    /// Ctrl-C ended the wait of the command; the run or hold goes on. A shell shows the same code for a program that
    /// the signal `INT` has ended.
    Interrupted = 130,
}
