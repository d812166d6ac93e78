//! The entries that the maps should have, worked out from routes and holds.

use std::collections::{BTreeMap, BTreeSet};

use crate::farm::model::hold::{Emptying, Hold, Stage, Stays};
use crate::farm::model::route::Route;
use crate::farm::names::InstanceName;
use crate::farm::settings::flip::Sticky;
use crate::farm::settings::route_key::{RouteKey, SHARE, TRIAL, derived};
use crate::farm::settings::side::Side;
use crate::haproxy::{BackendName, MapKey, MapName, MapValue};

/// The wanted entries of one HAProxy's maps.
pub type WantedMaps = BTreeMap<MapName, WantedMap>;

/// The wanted entries of one map. Other entries of the map do not belong to teeter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WantedMap {
    /// The entries that name the backend that gets the traffic.
    pub live: BTreeMap<MapKey, MapValue>,
    /// Entries for clients that may stay on another side. An entry with `None` must be absent.
    pub beside: BTreeMap<MapKey, Option<MapValue>>,
    /// Whether teeter also writes the file of the map.
    pub write: bool,
    /// The backends that the map may lead to.
    pub backends: BTreeSet<BackendName>,
}

/// The wanted entries of each HAProxy's maps.
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

impl Route {
    /// Whether this hold lets clients stay on a side that does not get the traffic any more.
    fn keeps(&self, side: &Side, hold: &Hold) -> bool {
        let open = matches!(hold.stage, Stage::Draining(Emptying { hardened: false, .. }));
        let on = |key: &RouteKey| {
            let backend = key.backend(side);
            hold.entries.iter().any(|entry| Some(&entry.server.backend) == backend)
        };
        open && hold.ladder.stays != Stays::None && hold.owner.run().is_some() && self.keys.iter().any(on)
    }

    /// The wanted entries beside the live one of this key.
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
        // Several sides may run one version: the clients of this version stay on a side whose hold permits it.
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
