//! Errors, and what exit code a command ends with.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An error, as RFC 9457 has it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Which kind, stable: `urn:teeter:KIND`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What was attempted, on which object, and the answer.
    pub detail: String,
    /// What the caller can do next, such as a command to type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
    /// The exit code of the command line: see [`Exit`].
    pub exit: u8,
}

/// What a command's exit code means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Failed.
    Failed = 1,
    /// Not understood; nothing was attempted.
    Usage = 2,
    /// No such server, farm, run or hold.
    NotFound = 3,
    /// Not permitted, to the caller or to teeter.
    NotPermitted = 4,
    /// A deadline passed.
    TimedOut = 5,
    /// A guard refused.
    Refused = 6,
    /// The run was aborted.
    Aborted = 7,
    /// Somebody else's run or hold is in the way.
    Busy = 8,
    /// HAProxy or teeterd did not answer.
    Unreachable = 9,
}
