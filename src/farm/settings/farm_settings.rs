//! What the configuration says about a farm.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::farm::names::GroupName;
use crate::farm::select::selector::Selector;
use crate::farm::settings::bake::BakeSettings;
use crate::farm::settings::canary::CanarySettings;
use crate::farm::settings::count::MinAvailable;
use crate::farm::settings::drain::DrainSettings;
use crate::farm::settings::drift::OnDrift;
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

/// `halves = "auto"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Halves {
    /// By name, the first half rounded down.
    Auto,
}
