//! The record of one drain that has ended.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::farm::{FarmName, GroupName, HoldId, MemberName, RunId};
use crate::plan::Curve;

/// A drain that has ended: the servers, how long it took, and what was in flight meanwhile.
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
    /// The servers.
    pub members: Vec<MemberName>,
    /// When the drain began.
    pub began: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// How it ended.
    pub outcome: DrainOutcome,
    /// Requests that were in flight at the end.
    pub left: u64,
    /// What was in flight, over time.
    pub curve: Curve,
}

/// How a drain ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DrainOutcome {
    /// Nothing was in flight any more.
    Empty,
    /// The deadline passed, and the policy was to go on.
    WentOn,
    /// The deadline passed, and the servers stay as they are.
    Stuck,
    /// The deadline passed, and the servers come back.
    Restored,
}

impl DrainRecord {
    /// Whether its length says how long requests take to end: it ended by itself, and had something to wait for.
    pub fn is_typical(&self) -> bool {
        self.outcome == DrainOutcome::Empty && self.curve.points().iter().any(|(_, in_flight)| *in_flight > 0)
    }
}
