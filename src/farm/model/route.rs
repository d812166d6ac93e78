//! Routes: which side of a farm gets the traffic, by entries of HAProxy maps. Unlike a line of commands for servers,
//! an entry turns all at once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::farm::diff::maps::{WantedMap, WantedMaps};
use crate::farm::model::hold::{Hold, Stage, Stays};
use crate::farm::names::{FarmName, GroupName, InstanceName};
use crate::farm::settings::canary::Percent;
use crate::farm::settings::flip::{RouteKey, Sticky};
use crate::haproxy::{MapKey, MapName, MapValue, NameError};

/// A side of a farm: one group, or all of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Side {
    /// Every member.
    All,
    /// The members of one group.
    Group(GroupName),
}

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

    /// Whether this hold lets clients stay on a side that the traffic has been turned away from.
    fn keeps(&self, side: &Side, hold: &Hold) -> bool {
        let open = matches!(hold.stage, Stage::Draining { hardened: false, .. });
        let on = |key: &RouteKey| {
            let backend = key.backend(side);
            hold.entries.iter().any(|entry| Some(&entry.server.backend) == backend)
        };
        open && hold.ladder.stays != Stays::Nobody && hold.owner.run().is_some() && self.keys.iter().any(on)
    }

    /// The entries that the maps should have.
    fn entries(&self, key: &RouteKey, holds: &[&Hold]) -> Vec<(MapKey, Option<MapValue>)> {
        let mut entries = Vec::new();
        if self.sticky == Sticky::Pin {
            let version =
                |side: &Side| Some((derived(key, '.', side.as_str())?, Some(self.versions.get(side)?.clone())));
            entries.extend(key.backends().filter_map(|(side, _)| version(&side)));
        }
        if let Some(canary) = &self.canary {
            let backend = key.backend(&Side::Group(canary.group.clone())).filter(|_| canary.share.is_some());
            let share = canary.share.and_then(|share| share.get().to_string().parse().ok());
            entries.extend(derived(key, '.', SHARE).map(|key| (key, share)));
            entries.extend(derived(key, '.', TRIAL).map(|key| (key, backend.cloned().map(MapValue::from))));
        }
        // Several sides may run one version: its clients stay where somebody lets them.
        let mut labels: BTreeMap<MapValue, Option<MapValue>> = BTreeMap::new();
        for (side, backend) in key.backends().filter(|_| self.sticky != Sticky::Break) {
            let Some(label) = self.label(&side).filter(|_| side != Side::All) else { continue };
            let kept =
                self.live != Side::All && self.can_keep(&side) && holds.iter().any(|hold| self.keeps(&side, hold));
            let value = kept.then(|| MapValue::from(backend.clone()));
            let entry = labels.entry(label).or_default();
            *entry = entry.take().or(value);
        }
        entries
            .extend(labels.into_iter().filter_map(|(label, value)| Some((derived(key, '@', label.as_str())?, value))));
        entries
    }
}

/// The entries that each HAProxy's maps should have.
pub fn wanted_maps<'a>(
    routes: impl IntoIterator<Item = &'a Route>,
    holds: impl IntoIterator<Item = &'a Hold>,
) -> BTreeMap<InstanceName, WantedMaps> {
    let holds: Vec<&Hold> = holds.into_iter().collect();
    let mut all: BTreeMap<InstanceName, WantedMaps> = BTreeMap::new();
    for route in routes {
        for instance in &route.instances {
            let maps = all.entry(instance.clone()).or_default();
            let holds: Vec<&Hold> = holds
                .iter()
                .filter(|hold| hold.entries.iter().any(|entry| entry.instance == *instance))
                .copied()
                .collect();
            for key in &route.keys {
                let Some(live) = key.backend(&route.live) else { continue };
                let map = maps
                    .entry(key.map.clone())
                    .or_insert_with(|| WantedMap { write: route.write_map, ..WantedMap::default() });
                map.write |= route.write_map;
                map.beside.extend(route.entries(key, &holds));
                map.live.insert(key.key.clone(), live.clone().into());
                map.backends.extend(key.backends().map(|(_, backend)| backend.clone()));
            }
        }
    }
    all
}

impl RouteKey {
    /// The entries that say which version each side runs.
    pub fn versions(&self) -> impl Iterator<Item = (Side, (MapName, MapKey))> {
        let entry = |(side, _): (Side, _)| {
            let key = derived(self, '.', side.as_str())?;
            Some((side, (self.map.clone(), key)))
        };
        self.backends().filter_map(entry)
    }
}

/// The keys beside a route's own: `KEY@LABEL` for clients that may stay, `KEY.SIDE` for the version of a side.
fn derived(key: &RouteKey, separator: char, label: &str) -> Option<MapKey> {
    format!("{}{separator}{label}", key.key).parse().ok()
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

impl Side {
    /// Its name.
    pub fn as_str(&self) -> &str {
        match self {
            Self::All => ALL,
            Self::Group(group) => group.as_str(),
        }
    }
}

impl FromStr for Side {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text == ALL { Ok(Self::All) } else { Ok(Self::Group(text.parse()?)) }
    }
}

impl TryFrom<String> for Side {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<Side> for String {
    fn from(side: Side) -> String {
        side.as_str().to_owned()
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// `KEY.share` says how many clients in a hundred are to try something, and `KEY.trial` which backend. They sort so
/// that the share is there first and gone first: whoever sees a share alone finds nothing to try.
pub(in crate::farm) const SHARE: &str = "share";
pub(in crate::farm) const TRIAL: &str = "trial";

/// The word for every member; no group may be called so where there is a route.
const ALL: &str = "all";
