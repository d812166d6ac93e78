//! The input of every strategy.

use std::collections::{BTreeMap, BTreeSet};

use super::skipped::Skipped;
use super::strategy::Phase;
use crate::farm::{Farm, GroupName, HoldId, InstanceName, Layout, Seen, Side};

/// The input from which a strategy makes its plan.
#[derive(Debug, Clone, Copy)]
pub struct PlanningInput<'a> {
    /// The farm, with its settings.
    pub farm: &'a Farm,
    /// Its members and groups, as HAProxy has them.
    pub layout: &'a Layout,
    /// The version to deploy; `None` where the operator names none.
    pub version: Option<&'a str>,
    /// The phases beside the deploy itself in which the caller has work to do.
    pub phases: &'a BTreeSet<Phase>,
    /// The side that gets the traffic now; `None` where the farm has no route.
    pub live: Option<&'a Side>,
    /// What each HAProxy last answered.
    pub seen: &'a BTreeMap<InstanceName, &'a Seen>,
    /// Members that the plan skips, and those that it takes over from an earlier run.
    pub skipped: &'a Skipped,
    /// The holds by which earlier runs have left groups on standby.
    pub standby: &'a BTreeMap<GroupName, HoldId>,
}
