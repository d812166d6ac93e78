//! What the configuration says about a farm.

pub(super) mod members;
pub(super) mod bake;
pub(super) mod canary;
pub(super) mod flip;
pub(super) mod rolling;
pub(super) mod trust;
pub(super) mod version;
pub(super) mod verify;
pub(super) mod warm_up;
pub(super) mod holds;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::farm::model::hold::OnDeadline;
use crate::farm::names::GroupName;
use crate::farm::select::selector::Selector;
use crate::farm::settings::bake::BakeSettings;
use crate::farm::settings::canary::CanarySettings;
use crate::farm::settings::flip::FlipSettings;
use crate::farm::settings::members::Members;
use crate::farm::settings::rolling::RollingSettings;
use crate::farm::settings::verify::VerifySettings;
use crate::farm::span::Span;

/// `[farm.NAME]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FarmSettings {
    /// Its lines, and which member each belongs to.
    pub members: Members,
    /// Which members are taken out together, by server name or glob.
    #[serde(default)]
    pub groups: BTreeMap<GroupName, Vec<Selector>>,
    /// `auto`: groups `a` and `b`, the first and second half by name.
    #[serde(default)]
    pub halves: Option<Halves>,
    /// Whether one member leads, and the others are DOWN by their checks with all of their lines.
    #[serde(default)]
    pub leader: bool,
    /// How many members must be in service at any time.
    #[serde(default)]
    pub min_available: MinAvailable,
    /// How its servers are emptied.
    #[serde(default)]
    pub drain: DrainSettings,
    /// What they must show before they come back.
    #[serde(default)]
    pub verify: VerifySettings,
    /// How traffic is turned from one group to another.
    #[serde(default)]
    pub flip: FlipSettings,
    /// What is watched after a flip, and how much worse it may be than before; nothing where unset.
    #[serde(default)]
    pub bake: Option<BakeSettings>,
    /// How a share of the traffic is tried first.
    #[serde(default)]
    pub canary: CanarySettings,
    /// How it is rolled through batch by batch.
    #[serde(default)]
    pub rolling: RollingSettings,
    /// What becomes of a run whose work nobody does; nothing where unset.
    #[serde(default)]
    pub on_stall: Option<OnStall>,
    /// What happens when somebody else changes one of its servers while it is held.
    #[serde(default)]
    pub on_drift: OnDrift,
}

/// What becomes of a run whose work nobody does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OnStall {
    /// After what time.
    pub after: Span,
    /// What is done then.
    #[serde(rename = "do", default)]
    pub action: StallAction,
}

/// What is done about a run whose work nobody does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StallAction {
    /// It stands still and says so; servers stay as they are.
    #[default]
    Hold,
    /// It is aborted: what is well comes back.
    Restore,
}

/// What happens when somebody else changes the state of a server that is held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnDrift {
    /// What makes it less strict than the hold wants is set right; what makes it stricter is kept.
    #[default]
    Reassert,
    /// teeter lets go of the server: no hold keeps it out any more.
    Yield,
    /// It is left as it was set, and said wherever the hold is shown.
    Alarm,
}

impl fmt::Display for OnDrift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Reassert => "reassert",
            Self::Yield => "yield",
            Self::Alarm => "alarm",
        })
    }
}

/// `halves = "auto"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Halves {
    /// By name, the first half rounded down.
    Auto,
}

/// `[farm.NAME.drain]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DrainSettings {
    /// How long clients that stick to a server may go on using it.
    pub grace: Span,
    /// How long to wait until nothing is in flight.
    pub deadline: Span,
    /// What happens then.
    pub on_deadline: OnDeadline,
    /// Whether to wait, too, until HAProxy keeps no idle connections to a server.
    pub idle: bool,
}

impl Default for DrainSettings {
    fn default() -> Self {
        Self { grace: Span::from_secs(30), deadline: Span::from_secs(300), on_deadline: OnDeadline::Fail, idle: false }
    }
}

/// How many members must be in service: a share of the farm, rounded up, or a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "CountText")]
pub enum MinAvailable {
    /// Percent of the farm.
    Percent(u8),
    /// Members.
    Count(usize),
}

/// A number of members, or a text that says one or a share.
#[derive(Deserialize)]
#[serde(untagged)]
pub(in crate::farm) enum CountText {
    Count(usize),
    Text(String),
}

impl CountText {
    pub(in crate::farm) fn text(self) -> String {
        match self {
            Self::Count(count) => count.to_string(),
            Self::Text(text) => text,
        }
    }
}

impl Default for MinAvailable {
    fn default() -> Self {
        Self::Count(1)
    }
}

impl MinAvailable {
    /// The number of members, of a farm of `members`.
    pub fn of(self, members: usize) -> usize {
        match self {
            Self::Percent(percent) => (members * usize::from(percent)).div_ceil(100),
            Self::Count(count) => count,
        }
    }
}

impl FromStr for MinAvailable {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let error = || format!("{text:?} is neither a number of members nor a share such as \"50%\"");
        match text.strip_suffix('%') {
            Some(percent) => percent.parse().ok().filter(|p| *p <= 100).map(Self::Percent).ok_or_else(error),
            None => text.parse().map(Self::Count).map_err(|_| error()),
        }
    }
}

impl TryFrom<CountText> for MinAvailable {
    type Error = String;

    fn try_from(text: CountText) -> Result<Self, String> {
        text.text().parse()
    }
}

impl fmt::Display for MinAvailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percent(percent) => write!(f, "{percent}%"),
            Self::Count(count) => write!(f, "{count}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_rounded_up() {
        assert_eq!("50%".parse::<MinAvailable>().unwrap().of(5), 3);
        assert_eq!("2".parse::<MinAvailable>().unwrap().of(5), 2);
        assert!("150%".parse::<MinAvailable>().is_err());
    }
}
