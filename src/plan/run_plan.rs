//! Plans: complete and immutable. The machine that carries a plan out has nothing left to choose.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::input::PlanningInput;
use super::members::{PlannedMember, PlannedMembers};
use super::step::Step;
use super::strategy::Strategy;
use crate::farm::{
    BakeSettings, DrainSettings, Entry, FarmName, FlipSettings, GroupName, MemberName, OnInconclusive, OnStall, Side,
    VerifySettings,
};

/// Everything that a run will do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The strategy that made it.
    pub strategy: Strategy,
    /// The farm that it deploys to.
    pub farm: FarmName,
    /// The version that is to run at the end; `None` where none was named.
    pub version: Option<String>,
    /// The members that are worked on together.
    pub groups: BTreeMap<GroupName, Vec<PlannedMember>>,
    /// Members that are skipped, with the reason.
    pub skipped: BTreeMap<MemberName, String>,
    /// The lines of skipped members, by which teeter sees whether they take traffic.
    #[serde(default, alias = "aside")]
    pub skipped_lines: BTreeMap<MemberName, Vec<Entry>>,
    /// Which lines of its members are skipped and why, in sentences.
    #[serde(default)]
    pub off: Vec<String>,
    /// Whether lines of the farm were DOWN by design when the plan was made.
    #[serde(default)]
    pub roles: bool,
    /// Whether one member of the farm leads, and the others are DOWN with all of their lines.
    #[serde(default)]
    pub leader: bool,
    /// What the operator should know before the run begins, in sentences.
    #[serde(default)]
    pub notes: Vec<String>,
    /// The steps, in their order.
    pub steps: Vec<Step>,
    /// How servers are emptied.
    pub drain: DrainSettings,
    /// The verification of servers before they come back.
    pub verify: VerifySettings,
    /// How traffic is switched.
    #[serde(default)]
    pub flip: FlipSettings,
    /// The side that got the traffic when the run was begun.
    #[serde(default = "all")]
    pub live: Side,
    /// Members that must be in service whenever a group goes out.
    #[serde(default)]
    pub needed: usize,
    /// What happens when no caller does the run's work.
    #[serde(default)]
    pub on_stall: Option<OnStall>,
    /// The bake after a flip; `None` without one.
    #[serde(default)]
    pub bake: Option<BakeSettings>,
    /// Servers that may fail and stay out before the run stops.
    #[serde(default)]
    pub max_failed: usize,
}

fn all() -> Side {
    Side::All
}

impl Plan {
    /// A plan with the settings of its farm, without a watch and without a minimum of members in service.
    pub(super) fn new(
        input: &PlanningInput<'_>,
        strategy: Strategy,
        members: PlannedMembers,
        steps: Vec<Step>,
        live: Side,
    ) -> Self {
        let settings = &input.farm.settings;
        Self {
            strategy,
            farm: input.farm.name.clone(),
            version: input.version.map(ToOwned::to_owned),
            groups: members.groups,
            skipped: members.skipped,
            skipped_lines: BTreeMap::new(),
            off: Vec::new(),
            roles: false,
            leader: settings.leader,
            notes: Vec::new(),
            steps,
            drain: settings.drain,
            verify: settings.verify.clone(),
            flip: settings.flip.clone(),
            live,
            needed: 0,
            on_stall: settings.on_stall,
            bake: None,
            max_failed: 0,
        }
    }

    /// What follows when a watch ends without a verdict.
    pub(super) fn on_inconclusive(&self, settings: &BakeSettings) -> OnInconclusive {
        let by_default = match self.strategy {
            Strategy::Canary => OnInconclusive::Pause,
            _ => OnInconclusive::Proceed,
        };
        settings.on_inconclusive.unwrap_or(by_default)
    }

    /// Every line of its members.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.groups.values().flatten().flat_map(|member| &member.entries)
    }

    /// The skipped members, those with the same reason together.
    pub fn skipped_by_reason(&self) -> Vec<(Vec<&MemberName>, &str)> {
        let mut by_reason: Vec<(Vec<&MemberName>, &str)> = Vec::new();
        for (member, why) in &self.skipped {
            match by_reason.iter_mut().find(|(_, reason)| reason == why) {
                Some((members, _)) => members.push(member),
                None => by_reason.push((vec![member], why)),
            }
        }
        by_reason
    }
}
