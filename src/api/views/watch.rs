//! Watches of a run: whether the side that got traffic does worse than the other side.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::words::WatchVerdict;
use crate::plan::watch::{SideCounts, WatchPoint};

/// A watch of a run: one that has ended, or the one that the run is at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WatchView {
    /// The number of its step, from 0.
    pub step: usize,
    /// The groups that had got traffic.
    pub new: Vec<String>,
    /// The groups that they are compared with.
    pub old: Vec<String>,
    /// When it began.
    #[schema(value_type = String)]
    pub began: Timestamp,
    /// When it ended; `null` while it goes on.
    #[schema(value_type = Option<String>)]
    pub ended: Option<Timestamp>,
    /// Whether both sides are counted over the same time; otherwise the other side was counted before.
    pub concurrent: bool,
    /// The verdict now, or at its end.
    pub verdict: WatchVerdict,
    /// The numbers behind the verdict, as text.
    pub text: String,
    /// Requests that are still needed to find that it is no worse, if failures go on as so far; `null` if none are
    /// needed, or no number of them is enough.
    pub needed: Option<u64>,
    /// Whether its time is over and it waits for an operator's decision, or for more requests.
    pub waits: bool,
    /// How much the share of 5xx answers may rise, such as `1%`; `null` if it is not compared.
    pub max_5xx: Option<String>,
    /// How much the share of failed requests may rise; `null` if it is not compared.
    pub max_errors: Option<String>,
    /// The chance of a false rollback over the whole watch.
    pub alpha: String,
    /// Requests without which it is never found no worse.
    pub min_requests: u64,
    /// What both sides had counted, over time: at most 32 points.
    pub points: Vec<WatchPointView>,
}

/// What both sides of a watch had counted at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WatchPointView {
    /// Milliseconds since the watch began.
    pub ms: u64,
    /// The side that is watched.
    pub new: WatchCountsView,
    /// The other side.
    pub old: WatchCountsView,
}

/// What one side of a watch had counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WatchCountsView {
    /// Requests.
    pub requests: u64,
    /// Answers with status 500 to 599.
    pub hrsp_5xx: u64,
    /// Failed connections, and answers that broke off.
    pub errors: u64,
}

impl From<WatchPoint> for WatchPointView {
    fn from(WatchPoint { ms, new, old }: WatchPoint) -> Self {
        let side = |SideCounts { requests, hrsp_5xx, errors }| WatchCountsView { requests, hrsp_5xx, errors };
        Self { ms, new: side(new), old: side(old) }
    }
}

impl From<WatchPointView> for WatchPoint {
    fn from(WatchPointView { ms, new, old }: WatchPointView) -> Self {
        let side = |WatchCountsView { requests, hrsp_5xx, errors }| SideCounts { requests, hrsp_5xx, errors };
        Self { ms, new: side(new), old: side(old) }
    }
}
