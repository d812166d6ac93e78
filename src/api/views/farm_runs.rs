//! The runs of one farm in a period, in short.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::run::FlipView;
use crate::api::words::{DrainEnd, RunFailure, RunStatus, RunStrategy};

/// The latest runs of a farm, also those that ended long ago.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct FarmRuns {
    /// The farm.
    pub farm: String,
    /// Only runs that were started then or later; `null` if the request has no such time.
    #[schema(value_type = Option<String>)]
    pub since: Option<Timestamp>,
    /// The runs, the latest first; at most 500.
    pub runs: Vec<RunSummaryView>,
    /// Whether the farm has earlier runs in this period, which are left out.
    pub more: bool,
}

/// One run in short, without its steps and servers.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RunSummaryView {
    /// Its number.
    pub id: u64,
    /// The strategy.
    pub strategy: RunStrategy,
    /// The version that the farm runs at the end.
    pub version: Option<String>,
    /// The state of the run.
    pub state: RunStatus,
    /// Why it failed, or was rolled back, as text.
    pub why: Option<String>,
    /// The kind of the failure.
    pub failure: Option<RunFailure>,
    /// The user who started it.
    pub by: String,
    /// When it was started.
    #[schema(value_type = String)]
    pub started: Timestamp,
    /// When it ended; `null` while it is active.
    #[schema(value_type = Option<String>)]
    pub finished: Option<Timestamp>,
    /// Its flips, with measured times.
    pub flips: Vec<FlipView>,
    /// Its drains that have ended, the latest last; at most 100.
    pub drains: Vec<DrainSummaryView>,
}

/// One drain in short, without what was in flight over time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DrainSummaryView {
    /// The group; `null` if the run does not have the group any more.
    pub group: Option<String>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// How it ended.
    pub outcome: DrainEnd,
    /// Requests that were in flight at the end.
    pub left: u64,
}
