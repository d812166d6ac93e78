//! A plan: complete and immutable. Whoever carries it out has nothing left to choose.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::farm::{DrainSettings, Entry, FarmName, GroupName, MemberName, VerifySettings};

/// How a farm is deployed to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// One half, a flip, the other half.
    #[default]
    SeeSaw,
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::SeeSaw => "see-saw",
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
    /// What is done, in this order.
    pub steps: Vec<Step>,
    /// How servers are emptied.
    pub drain: DrainSettings,
    /// What servers must show before they come back.
    pub verify: VerifySettings,
}

/// A member as a hook is told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedMember {
    /// Its name.
    pub name: MemberName,
    /// Its address, as host:port.
    pub address: String,
    /// Every line that stands for it.
    pub entries: Vec<Entry>,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "do")]
pub enum Step {
    /// Take a group out.
    Out {
        /// Which.
        group: GroupName,
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
    },
    /// Have it show that it is well, without traffic.
    Verify {
        /// Which.
        group: GroupName,
    },
    /// Turn the traffic: one group in, another out, in one change.
    Flip {
        /// The group that comes in.
        release: GroupName,
        /// The group that goes out.
        hold: GroupName,
    },
    /// Bring a group back, and see all members up.
    In {
        /// Which.
        group: GroupName,
    },
}

impl Step {
    /// The group that the step is about; for a flip the one that goes out.
    pub fn group(&self) -> &GroupName {
        match self {
            Self::Out { group }
            | Self::Drain { group }
            | Self::Work { group }
            | Self::Verify { group }
            | Self::In { group } => group,
            Self::Flip { hold, .. } => hold,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Out { group } => format!("out {group}"),
            Self::Drain { group } => format!("drain {group}"),
            Self::Work { group } => format!("work {group}"),
            Self::Verify { group } => format!("verify {group}"),
            Self::Flip { release, hold } => format!("flip {hold} to {release}"),
            Self::In { group } => format!("in {group}"),
        };
        f.pad(&text)
    }
}
