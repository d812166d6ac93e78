//! The steps of plans.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::strategy::Phase;
use crate::farm::{GroupName, Percent, Side, Span};

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
        /// The bake time; `None` for the farm's setting.
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
