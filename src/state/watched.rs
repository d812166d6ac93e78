//! The record of one watch that has ended.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::farm::{BakeSettings, FarmName, GroupName, RunId};
use crate::plan::watch::{Verdict, WatchSeries};

/// A watch that has ended: its sides, what they had counted over time, and the verdict at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchRecord {
    /// The run.
    pub run: RunId,
    /// The farm of the run.
    pub farm: FarmName,
    /// The index of its step.
    pub step: usize,
    /// The version that was deployed; `None` where none was named.
    pub version: Option<String>,
    /// The groups that had got traffic.
    pub new: Vec<GroupName>,
    /// The groups that they were compared with.
    pub old: Vec<GroupName>,
    /// When it began.
    pub began: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// Whether both sides were counted over the same time.
    pub concurrent: bool,
    /// The settings that it was judged by.
    pub settings: BakeSettings,
    /// The verdict at its end.
    pub verdict: Verdict,
    /// The numbers behind the verdict, in words.
    pub text: String,
    /// What both sides had counted, over time.
    pub series: WatchSeries,
}
