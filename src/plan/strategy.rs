//! The strategies, and the phases in which the caller works.

use std::fmt;

use serde::{Deserialize, Serialize};

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
