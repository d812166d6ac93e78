//! Drains that have ended, and the estimate for one that has not.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::words::DrainEnd;

/// A drain of a run that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DrainView {
    /// The group; `null` if the run does not have the group any more.
    pub group: Option<String>,
    /// The servers.
    pub servers: Vec<String>,
    /// When it began.
    #[schema(value_type = String)]
    pub began: Timestamp,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// How it ended.
    pub outcome: DrainEnd,
    /// Requests that were in flight at the end.
    pub left: u64,
    /// What was in flight: pairs of the milliseconds since the beginning and the number of requests, at most 32.
    pub in_flight: Vec<(u64, u64)>,
}

/// How much longer the current drain takes, by earlier drains of the farm that took at least as long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EstimateView {
    /// Half of them ended within so many seconds from now.
    pub median_s: u64,
    /// A tenth of them at most ended before, in seconds from now, rounded down.
    pub low_s: u64,
    /// A tenth of them at most ended later, in seconds from now, rounded up.
    pub high_s: u64,
    /// How many they are.
    pub drains: usize,
}
