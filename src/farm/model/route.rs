//! Routes: which side of a farm gets the traffic, by entries of HAProxy maps. An entry switches all traffic at once;
//! commands for servers take effect one after the other.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::farm::names::{FarmName, GroupName, InstanceName};
use crate::farm::settings::canary::Percent;
use crate::farm::settings::flip::Sticky;
use crate::farm::settings::route_key::RouteKey;
use crate::farm::settings::side::Side;
use crate::haproxy::MapValue;

/// The stored route of a farm. A farm has one from the first switch of its traffic by teeter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The farm whose traffic is switched.
    pub farm: FarmName,
    /// The keys of the maps, with the backends of each side.
    pub keys: Vec<RouteKey>,
    /// What happens to clients that have a session on another side.
    pub sticky: Sticky,
    /// Whether teeter also writes the map's file.
    pub write_map: bool,
    /// The HAProxys that have the maps.
    pub instances: BTreeSet<InstanceName>,
    /// The side that gets the traffic.
    pub live: Side,
    /// The version of each side in the cookies of clients, under [`Sticky::Pin`].
    pub versions: BTreeMap<Side, MapValue>,
    /// The canary: a group that a share of the clients tries.
    #[serde(default)]
    pub canary: Option<Canary>,
}

/// A group that a share of the clients tries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Canary {
    /// The group that the clients try.
    pub group: GroupName,
    /// The share in percent; `None` once the canary is over.
    pub share: Option<Percent>,
}

impl Route {
    /// The label of a side's clients: under `honour` the side, under `pin` the version of the side. `None` under
    /// `break`.
    pub fn label(&self, side: &Side) -> Option<MapValue> {
        match self.sticky {
            Sticky::Break => None,
            Sticky::Honour => side.to_string().parse().ok(),
            Sticky::Pin => self.versions.get(side).cloned(),
        }
    }

    /// Whether the clients of a side can stay: their label differs from the label of the live side.
    pub fn can_keep(&self, side: &Side) -> bool {
        self.live != *side && self.label(side).is_some_and(|label| self.label(&self.live) != Some(label))
    }
}

/// A version that fits into a cookie; any other text is replaced by `fallback`.
pub fn cookie_version(version: Option<&str>, fallback: &str) -> Option<MapValue> {
    let fits = |text: &&str| {
        !text.is_empty()
            && text.len() <= 64
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
    };
    version.filter(fits).unwrap_or(fallback).parse().ok()
}
