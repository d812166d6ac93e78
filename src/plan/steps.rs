//! A plan: complete and immutable. Whoever carries it out has nothing left to choose.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::planned::Planned;
use crate::farm::{
    BakeSettings, DrainSettings, Entry, Farm, FarmName, FlipSettings, GroupName, MemberName, OnStall, Percent, Side,
    Span, VerifySettings,
};

/// How a farm is deployed to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// One half, a flip, the other half.
    #[default]
    SeeSaw,
    /// One batch after the other.
    Rolling,
    /// A share of the traffic, more of it, all of it.
    Canary,
    /// The side that gets no traffic, a flip, and the other side stands by.
    BlueGreen,
    /// No work: only turn the traffic.
    Flip,
}

impl Strategy {
    /// Whether who is turned away from stays ready to come back, also after the end.
    pub fn leaves_standby(self) -> bool {
        matches!(self, Self::BlueGreen | Self::Flip)
    }
}

/// When the caller works: the deploy itself, or something around it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// While the group still serves.
    BeforeOut,
    /// When it is empty.
    AfterOut,
    /// The deploy.
    #[default]
    Deploy,
    /// When it serves again.
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
    /// How.
    pub strategy: Strategy,
    /// On which farm.
    pub farm: FarmName,
    /// The version that is to run at the end, if one was named.
    pub version: Option<String>,
    /// Who is worked on together.
    pub groups: BTreeMap<GroupName, Vec<PlannedMember>>,
    /// Members that are left alone, and why.
    pub skipped: BTreeMap<MemberName, String>,
    /// The lines of those, by which it is seen whether they take traffic.
    #[serde(default)]
    pub aside: BTreeMap<MemberName, Vec<Entry>>,
    /// Lines of its members that are left aside, for people.
    #[serde(default)]
    pub off: Vec<String>,
    /// Whether lines of its farm were DOWN by design when it was made.
    #[serde(default)]
    pub roles: bool,
    /// Whether one member of its farm leads, and the others are DOWN with all of their lines.
    #[serde(default)]
    pub leader: bool,
    /// What is to be known of it before it begins, for people.
    #[serde(default)]
    pub notes: Vec<String>,
    /// What is done, in this order.
    pub steps: Vec<Step>,
    /// How servers are emptied.
    pub drain: DrainSettings,
    /// What servers must show before they come back.
    pub verify: VerifySettings,
    /// How traffic is turned.
    #[serde(default)]
    pub flip: FlipSettings,
    /// The side that got the traffic when the run was begun.
    #[serde(default = "all")]
    pub live: Side,
    /// Members that must be in service whenever a group goes out.
    #[serde(default)]
    pub needed: usize,
    /// What becomes of it when nobody does its work.
    #[serde(default)]
    pub on_stall: Option<OnStall>,
    /// What is watched after a flip.
    #[serde(default)]
    pub bake: Option<BakeSettings>,
    /// Servers that may fail and stay out before the run stands still.
    #[serde(default)]
    pub max_failed: usize,
}

fn all() -> Side {
    Side::All
}

impl Plan {
    /// What every plan takes over from its farm. No version, no watch, and no minimum.
    pub(super) fn of(
        farm: &Farm,
        strategy: Strategy,
        (groups, skipped): Planned,
        steps: Vec<Step>,
        live: Side,
    ) -> Self {
        let settings = &farm.settings;
        Self {
            strategy,
            farm: farm.name.clone(),
            version: None,
            groups,
            skipped,
            aside: BTreeMap::new(),
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
}

impl Plan {
    /// Every line of its members.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.groups.values().flatten().flat_map(|member| &member.entries)
    }

    /// The members that are left alone, together where the reason is the same.
    pub fn left_alone(&self) -> Vec<(Vec<&MemberName>, &str)> {
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

/// A member as a hook is told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedMember {
    /// Its name.
    pub name: MemberName,
    /// Its address, as host:port; `-` for one on a UNIX socket.
    pub address: String,
    /// Every line that stands for it.
    pub entries: Vec<Entry>,
}

impl PlannedMember {
    /// Whether teeter can ask it by itself: HAProxy does not tell the path of a UNIX socket.
    pub fn has_address(&self) -> bool {
        self.address != "-"
    }
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "do")]
pub enum Step {
    /// Ask a group whether it is well, before it goes out.
    Ask {
        /// Which.
        group: GroupName,
    },
    /// Take a group out.
    Out {
        /// Which.
        group: GroupName,
        /// The side that a route is switched to in the same change.
        #[serde(alias = "turn", default, skip_serializing_if = "Option::is_none")]
        switch: Option<Side>,
    },
    /// Wait until nothing is in flight on it.
    Drain {
        /// Which.
        group: GroupName,
    },
    /// Let the caller work on it.
    Work {
        /// Which.
        group: GroupName,
        /// On what.
        #[serde(default)]
        phase: Phase,
    },
    /// Let it come to rest.
    Settle {
        /// Which.
        group: GroupName,
        /// For how long.
        takes: Span,
    },
    /// Have it show that it is well, without traffic.
    Verify {
        /// Which.
        group: GroupName,
    },
    /// Turn the traffic: groups in, groups out, in one change.
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
        /// Which.
        group: GroupName,
        /// The group that has the rest.
        with: GroupName,
        /// How much.
        share: Percent,
    },
    /// Watch those who have just got the traffic.
    Bake {
        /// The groups that have it.
        new: Vec<GroupName>,
        /// The groups that had it before.
        old: Vec<GroupName>,
        /// For how long, where it is not as the farm says.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        takes: Option<Span>,
    },
    /// Bring a group back, and see all members up.
    In {
        /// Which.
        group: GroupName,
        /// The side that a route is switched to in the same change.
        #[serde(alias = "turn", default, skip_serializing_if = "Option::is_none")]
        switch: Option<Side>,
    },
    /// Ask everybody who was deployed to, in traffic.
    AskAll {
        /// The groups.
        groups: Vec<GroupName>,
    },
}

impl Step {
    /// The one group that it is about, if it is about one.
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

/// Stores of earlier versions have one group where there may be several now.
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
    fn steps_of_earlier_stores_are_read() {
        let step: Step = serde_json::from_str(r#"{"do":"flip","release":"a","hold":"b"}"#).unwrap();
        assert_eq!(step.to_string(), "flip b to a");
        let step: Step = serde_json::from_str(r#"{"do":"out","group":"a"}"#).unwrap();
        assert_eq!(step, Step::Out { group: "a".parse().unwrap(), switch: None });
    }
}
