//! `route = { map, key, … }`: one key of a HAProxy map, and the backend of each side.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::farm::names::GroupName;
use crate::farm::settings::side::Side;
use crate::haproxy::{BackendName, MapKey, MapName};

/// `route = { map, key, all, GROUP = BACKEND, … }`: one entry of a map, and the backend of each side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteKey {
    /// The map, by the path in haproxy.cfg.
    pub map: MapName,
    /// The key that haproxy.cfg looks up.
    pub key: MapKey,
    /// The backend with all members.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all: Option<BackendName>,
    /// The backend of each group.
    #[serde(flatten)]
    pub groups: BTreeMap<GroupName, BackendName>,
}

impl RouteKey {
    /// The backend of a side.
    pub fn backend(&self, side: &Side) -> Option<&BackendName> {
        match side {
            Side::All => self.all.as_ref(),
            Side::Group(group) => self.groups.get(group),
        }
    }

    /// The side that a backend belongs to.
    pub fn side(&self, backend: &str) -> Option<Side> {
        if self.all.as_ref().is_some_and(|all| all.as_str() == backend) {
            return Some(Side::All);
        }
        let group = self.groups.iter().find(|(_, named)| named.as_str() == backend)?;
        Some(Side::Group(group.0.clone()))
    }

    /// Each side with its backend.
    pub fn backends(&self) -> impl Iterator<Item = (Side, &BackendName)> {
        let all = self.all.iter().map(|backend| (Side::All, backend));
        all.chain(self.groups.iter().map(|(group, backend)| (Side::Group(group.clone()), backend)))
    }

    /// The file behind the map; `None` for a map in memory, which HAProxy has since 3.1.
    pub fn file(&self) -> Option<&str> {
        file_of(&self.map)
    }

    /// The entries with the version of each side, for clients.
    pub fn versions(&self) -> impl Iterator<Item = (Side, (MapName, MapKey))> {
        let entry = |(side, _): (Side, _)| {
            let key = derived(self, '.', side.as_str())?;
            Some((side, (self.map.clone(), key)))
        };
        self.backends().filter_map(entry)
    }
}

/// The file behind a map, without the prefixes that HAProxy has since 3.1; `None` for a map in memory.
pub fn file_of(map: &MapName) -> Option<&str> {
    let name = map.as_str();
    if name.starts_with("virt@") {
        return None;
    }
    Some(name.strip_prefix("opt@").or_else(|| name.strip_prefix("file@")).unwrap_or(name))
}

/// A key that belongs to the key of a route: `KEY@LABEL` for clients that may stay, `KEY.SIDE` for the version of a
/// side.
pub(in crate::farm) fn derived(key: &RouteKey, separator: char, label: &str) -> Option<MapKey> {
    format!("{}{separator}{label}", key.key).parse().ok()
}

/// The suffix of the entry for the share of clients, in percent, that try the canary; [`TRIAL`] is the suffix of the
/// entry for their backend. In the order of the keys the share is added first and removed first: a request that finds
/// only a share has no backend to try.
pub(in crate::farm) const SHARE: &str = "share";
/// The suffix of the entry for the backend of the canary.
pub(in crate::farm) const TRIAL: &str = "trial";
