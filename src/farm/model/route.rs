//! Routes: which side of a farm gets the traffic, by entries of HAProxy maps. Unlike a line of commands for servers,
//! an entry turns all at once.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::farm::names::{FarmName, GroupName, InstanceName};
use crate::farm::settings::canary::Percent;
use crate::farm::settings::flip::Sticky;
use crate::farm::settings::route_key::RouteKey;
use crate::farm::settings::side::Side;
use crate::haproxy::MapValue;

/// Where a farm's traffic goes, as stored: from the first time that teeter turned it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Whose traffic.
    pub farm: FarmName,
    /// The entries that say so, and the backends of each side.
    pub keys: Vec<RouteKey>,
    /// What becomes of clients that have a session elsewhere.
    pub sticky: Sticky,
    /// Whether the map's file is kept in step.
    pub write_map: bool,
    /// In which HAProxys.
    pub instances: BTreeSet<InstanceName>,
    /// The side that gets the traffic.
    pub live: Side,
    /// What clients are told that each side runs, under [`Sticky::Pin`].
    pub versions: BTreeMap<Side, MapValue>,
    /// The group that is tried with a share of the clients.
    #[serde(default)]
    pub canary: Option<Canary>,
}

/// A group that is tried with a share of the clients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Canary {
    /// Which.
    pub group: GroupName,
    /// How many in a hundred; none once it is over.
    pub share: Option<Percent>,
}

impl Route {
    /// What clients of a side are known by: under `honour` the side, under `pin` the version that it runs.
    pub fn label(&self, side: &Side) -> Option<MapValue> {
        match self.sticky {
            Sticky::Break => None,
            Sticky::Honour => side.to_string().parse().ok(),
            Sticky::Pin => self.versions.get(side).cloned(),
        }
    }

    /// Whether clients of a side can be told from those of the live one, and so be let stay there.
    pub fn can_keep(&self, side: &Side) -> bool {
        self.live != *side && self.label(side).is_some_and(|label| self.label(&self.live) != Some(label))
    }
}

/// A version as a cookie can carry it; any other text is replaced by `fallback`.
pub fn cookie_version(version: Option<&str>, fallback: &str) -> Option<MapValue> {
    let fits = |text: &&str| {
        !text.is_empty()
            && text.len() <= 64
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
    };
    version.filter(fits).unwrap_or(fallback).parse().ok()
}
