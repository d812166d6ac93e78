//! The record of one drain that has ended.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::farm::{FarmName, GroupName, HoldId, MemberName, RunId, Stage};
use crate::plan::Curve;

/// A drain that has ended: the servers, the time that it took, and the requests in flight meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrainRecord {
    /// The hold that kept the servers out.
    pub hold: HoldId,
    /// The run of the hold; `None` for a hold by hand.
    pub run: Option<RunId>,
    /// The farm of the servers; `None` if they belong to none, or to several.
    pub farm: Option<FarmName>,
    /// The group of the run.
    pub group: Option<GroupName>,
    /// The members whose servers were drained.
    pub members: Vec<MemberName>,
    /// When the drain began.
    pub began: Timestamp,
    /// When the drain ended.
    pub ended: Timestamp,
    /// How the drain ended.
    pub outcome: DrainOutcome,
    /// Requests that were in flight at the end.
    pub left: u64,
    /// The requests in flight, over time.
    pub curve: Curve,
}

/// How a drain ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DrainOutcome {
    /// No request was in flight any more.
    Empty,
    /// The deadline passed, and the policy was to go on.
    WentOn,
    /// The deadline passed, and the servers stay as they are.
    Stuck,
    /// The servers come back before they were empty: by the policy at the deadline, or because their hold ended.
    Restored,
}

impl DrainOutcome {
    /// The outcome of a drain whose hold goes on to this stage, or ends; `None` if the drain goes on.
    pub fn of_stage(next: Option<&Stage>) -> Option<Self> {
        match next {
            Some(Stage::Draining(_)) => None,
            Some(Stage::Out { left: 0, .. }) => Some(Self::Empty),
            Some(Stage::Out { .. }) => Some(Self::WentOn),
            Some(Stage::Stuck { .. }) => Some(Self::Stuck),
            Some(Stage::Verifying(_) | Stage::Verified { .. } | Stage::Shared { .. }) | None => Some(Self::Restored),
        }
    }
}

impl DrainRecord {
    /// Whether the length of this drain shows how long requests take: the drain ended by itself, and requests were in
    /// flight.
    pub fn is_typical(&self) -> bool {
        self.outcome == DrainOutcome::Empty && self.curve.points().iter().any(|(_, in_flight)| *in_flight > 0)
    }
}
