//! Holds.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::words::{HoldStage, ServerAdmin};
use crate::plan::Wait;

/// One hold.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct HoldView {
    /// Its number.
    pub id: u64,
    /// Its owner: a user's name, or `run N`.
    pub owner: String,
    /// The reason.
    pub reason: String,
    /// The server lines that it holds, as INSTANCE:BACKEND/SERVER.
    pub entries: Vec<String>,
    /// The servers that are out: the name of a member if all its lines are held, otherwise its lines as BACKEND/SERVER.
    pub members: Vec<String>,
    /// The state that it sets: drain or maint, or ready while the servers drain because their route leads elsewhere.
    pub mode: ServerAdmin,
    /// How far the hold has come.
    pub stage: HoldStage,
    /// Requests that were in flight when the policy `proceed` went on.
    pub left: u64,
    /// When it was created.
    #[schema(value_type = String)]
    pub since: Timestamp,
    /// When it ends by itself; `null` if it does not.
    #[schema(value_type = Option<String>)]
    pub expires: Option<Timestamp>,
    /// What it waits for, as text.
    pub waiting: Option<String>,
    /// What it waits for, for programs.
    #[schema(value_type = Option<Object>)]
    pub wait: Option<Wait>,
    /// The longest remaining wait in seconds, if known.
    #[serde(default)]
    pub within_s: Option<u64>,
    /// Requests in flight by member; members without any are left out.
    pub in_flight: BTreeMap<String, u64>,
    /// The last problem, and the lines that the hold does not reach.
    pub note: Option<String>,
    /// HAProxy instances that it goes on without because they do not answer; each gets the change as soon as it
    /// answers.
    #[serde(default)]
    pub without: Vec<String>,
}

/// Several holds.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Holds {
    /// Each of them.
    pub holds: Vec<HoldView>,
}
