//! Plans: complete and immutable. The machine that carries a plan out has nothing left to choose.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::input::PlanningInput;
use super::members::{PlannedMember, PlannedMembers};
use crate::farm::{
    BakeSettings, DrainSettings, Entry, FarmName, FlipSettings, GroupName, MemberName, OnStall, Percent, Side, Span,
    VerifySettings,
};

/// How a farm is deployed to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// One half, a flip, the other half.
    #[default]
    SeeSaw,
    /// One batch after the other.
    Rolling,
    /// A share of the traffic, a larger share, all of it.
    Canary,
    /// The side that gets no traffic, then a flip; the other side stays on standby.
    BlueGreen,
    /// No work: the traffic is only switched.
    Flip,
}

impl Strategy {
    /// Whether the side that the traffic is switched away from stays on standby, also after the end of the run.
    pub fn leaves_standby(self) -> bool {
        matches!(self, Self::BlueGreen | Self::Flip)
    }
}

/// When the caller works: on the deploy itself, or on something around it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// While the group still serves.
    BeforeOut,
    /// When nothing is in flight on the group any more.
    AfterOut,
    /// The deploy itself.
    #[default]
    Deploy,
    /// When the group serves again.
    AfterIn,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::BeforeOut => "before-out",
            Self::AfterOut => "after-out",
            Self::Deploy => "deploy",
            Self::AfterIn => "after-in",
        })
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::SeeSaw => "see-saw",
            Self::Rolling => "rolling",
            Self::Canary => "canary",
            Self::BlueGreen => "blue-green",
            Self::Flip => "flip",
        })
    }
}

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
    /// What is done, in this order.
    pub steps: Vec<Step>,
    /// How servers are emptied.
    pub drain: DrainSettings,
    /// What servers must show before they come back.
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
    /// What is watched after a flip; `None` where nothing is.
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

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "do")]
pub enum Step {
    /// Ask the members of a group whether they are healthy, before it goes out.
    Ask {
        /// The group that is asked.
        group: GroupName,
    },
    /// Take a group out.
    Out {
        /// The group that goes out.
        group: GroupName,
        /// The side that a route is switched to in the same change.
        #[serde(alias = "turn", default, skip_serializing_if = "Option::is_none")]
        switch: Option<Side>,
    },
    /// Wait until nothing is in flight on a group.
    Drain {
        /// The group that is emptied.
        group: GroupName,
    },
    /// Let the caller work on a group.
    Work {
        /// The group that is worked on.
        group: GroupName,
        /// The deploy itself, or the hook.
        #[serde(default)]
        phase: Phase,
    },
    /// Give a group time to settle.
    Settle {
        /// The group that settles.
        group: GroupName,
        /// The length of the pause.
        takes: Span,
    },
    /// Have a group show that it is healthy, without traffic.
    Verify {
        /// The group that is verified.
        group: GroupName,
    },
    /// Switch the traffic: groups in, groups out, in one change.
    Flip {
        /// The groups that come in.
        #[serde(deserialize_with = "one_or_many")]
        release: Vec<GroupName>,
        /// The groups that go out.
        #[serde(deserialize_with = "one_or_many")]
        hold: Vec<GroupName>,
        /// The side that a route is switched to in the same change.
        #[serde(alias = "turn", default, skip_serializing_if = "Option::is_none")]
        switch: Option<Side>,
    },
    /// Give a group a share of the traffic.
    Share {
        /// The group that gets the share.
        group: GroupName,
        /// The group that has the rest.
        with: GroupName,
        /// The share, in percent.
        share: Percent,
    },
    /// Watch the groups that have just got the traffic.
    Bake {
        /// The groups that have the traffic.
        new: Vec<GroupName>,
        /// The groups that had it before.
        old: Vec<GroupName>,
        /// The bake time, where it differs from the farm's setting.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        takes: Option<Span>,
    },
    /// Bring a group back, and wait until all members are up.
    In {
        /// The group that comes back.
        group: GroupName,
        /// The side that a route is switched to in the same change.
        #[serde(alias = "turn", default, skip_serializing_if = "Option::is_none")]
        switch: Option<Side>,
    },
    /// Ask all members that were deployed to, in service.
    AskAll {
        /// The groups of these members.
        groups: Vec<GroupName>,
    },
}

impl Step {
    /// The group that it is about; `None` where it is about several.
    pub fn group(&self) -> Option<&GroupName> {
        match self {
            Self::Ask { group }
            | Self::Out { group, .. }
            | Self::Drain { group }
            | Self::Work { group, .. }
            | Self::Settle { group, .. }
            | Self::Verify { group }
            | Self::In { group, .. } => Some(group),
            Self::Flip { .. } | Self::Share { .. } | Self::Bake { .. } | Self::AskAll { .. } => None,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |groups: &[GroupName]| groups.iter().map(GroupName::as_str).collect::<Vec<_>>().join(" and ");
        let text = match self {
            Self::Ask { group } => format!("ask {group}"),
            Self::Out { group, .. } => format!("out {group}"),
            Self::Drain { group } => format!("drain {group}"),
            Self::Work { group, phase: Phase::Deploy } => format!("work {group}"),
            Self::Work { group, phase } => format!("{phase} {group}"),
            Self::Settle { group, takes } => format!("settle {group} {takes}"),
            Self::Verify { group } => format!("verify {group}"),
            Self::Flip { switch: Some(Side::All), .. } => "flip to all".to_owned(),
            Self::Flip { release, hold, switch } => match (&release[..], &hold[..], switch) {
                ([], _, Some(side)) => format!("flip to {side}"),
                ([], hold, None) => format!("flip away from {}", list(hold)),
                (release, [], _) => format!("flip to all, with {} again", list(release)),
                (release, hold, _) => format!("flip {} to {}", list(hold), list(release)),
            },
            Self::Share { group, share, .. } => format!("share {share} {group}"),
            Self::Bake { new, takes: Some(takes), .. } => format!("bake {} {takes}", list(new)),
            Self::Bake { new, .. } => format!("bake {}", list(new)),
            Self::In { group, .. } => format!("in {group}"),
            Self::AskAll { .. } => "ask all".to_owned(),
        };
        f.pad(&text)
    }
}

/// Reads one group, as in stores of earlier versions, or a list of groups.
fn one_or_many<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<GroupName>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(GroupName),
        Many(Vec<GroupName>),
    }
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(group) => vec![group],
        OneOrMany::Many(groups) => groups,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_of_earlier_versions_are_read() {
        let step: Step = serde_json::from_str(r#"{"do":"flip","release":"a","hold":"b"}"#).unwrap();
        assert_eq!(step.to_string(), "flip b to a");
        let step: Step = serde_json::from_str(r#"{"do":"out","group":"a"}"#).unwrap();
        assert_eq!(step, Step::Out { group: "a".parse().unwrap(), switch: None });
    }
}
