//! Events of the record, and the callers that caused them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One event of the record.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct EventView {
    /// Its number; later events have larger numbers.
    pub id: u64,
    /// When it happened.
    #[schema(value_type = String)]
    pub at: Timestamp,
    /// Its kind, a stable word such as `run.note` or `hold.created`.
    pub kind: String,
    /// What happened, as text.
    pub text: String,
    /// The run it belongs to.
    pub run: Option<u64>,
    /// The hold it belongs to.
    pub hold: Option<u64>,
    /// The caller that requested it, if any.
    pub caller: Option<CallerView>,
    /// The changes of its transaction, which may contain several events.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<ChangedView>,
}

/// The change of one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangedView {
    /// The object: a hold, a run, the route of a farm, or the state of a server without holds.
    pub what: String,
    /// The state before; `null` if it did not exist.
    pub before: Option<String>,
    /// The state after; `null` if it does not exist any more.
    pub after: Option<String>,
}

/// The process that requested a change, according to the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CallerView {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Process id.
    pub pid: Option<i32>,
    /// The user's name, or its number.
    pub user: String,
    /// The name of the process.
    pub command: String,
    /// The path of its program, if teeterd may read that: as root, or if both run as the same user.
    #[serde(default)]
    pub exe: Option<String>,
    /// The login user, if the process runs as another user by now, for example by sudo.
    #[serde(default)]
    pub login: Option<LoginView>,
}

/// The user of a login session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LoginView {
    /// User id.
    pub uid: u32,
    /// The user's name, or its number.
    pub user: String,
}
