//! The table of a farm in the configuration.

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
    /// The farm's server lines, and the member of each.
    pub members: Members,
    /// Members that are taken out together, by server name or glob.
    #[serde(default)]
    pub groups: BTreeMap<GroupName, Vec<Selector>>,
    /// `auto`: groups `a` and `b`, the first and the second half of the members by name.
    #[serde(default)]
    pub halves: Option<Halves>,
    /// Whether one member leads, and the checks keep all lines of the others DOWN.
    #[serde(default)]
    pub leader: bool,
    /// How many members must stay in service.
    #[serde(default)]
    pub min_available: MinAvailable,
    /// How servers are emptied.
    #[serde(default)]
    pub drain: DrainSettings,
    /// The verification of servers before they come back.
    #[serde(default)]
    pub verify: VerifySettings,
    /// How traffic is switched from one group to another.
    #[serde(default)]
    pub flip: FlipSettings,
    /// The bake after a flip, with the limits of its figures; no bake if unset.
    #[serde(default)]
    pub bake: Option<BakeSettings>,
    /// How one group is tried with a share of the traffic.
    #[serde(default)]
    pub canary: CanarySettings,
    /// How a rolling deploy takes the members out, batch by batch.
    #[serde(default)]
    pub rolling: RollingSettings,
    /// What happens to a run whose caller stopped working on it; nothing where unset.
    #[serde(default)]
    pub on_stall: Option<OnStall>,
    /// What happens when a held server of the farm is changed outside teeter.
    #[serde(default)]
    pub on_drift: OnDrift,
}

/// What happens to a run whose caller stopped working on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OnStall {
    /// How long the run waits for its caller.
    pub after: Span,
    /// What happens after that time.
    #[serde(rename = "do", default)]
    pub action: StallAction,
}

/// What happens to a run after it has waited for its caller.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StallAction {
    /// The run stops and reports that its caller is missing; servers stay as they are.
    #[default]
    Hold,
    /// The run is aborted: healthy servers come back.
    Restore,
}

/// `halves = "auto"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Halves {
    /// By name. The first half is rounded down.
    Auto,
}
