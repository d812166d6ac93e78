//! Translates records of a HAProxy that has a new name in the configuration.

use std::collections::{BTreeMap, BTreeSet};

use crate::farm::model::hold::{Hold, Stage};
use crate::farm::model::reach::Reach;
use crate::farm::model::route::Route;
use crate::farm::names::{Entry, InstanceName};

/// A HAProxy with a new name in the configuration.
#[derive(Debug, Clone, Copy)]
pub struct Renamed<'a> {
    /// The name in the records.
    pub from: &'a InstanceName,
    /// The name in the configuration.
    pub to: &'a InstanceName,
}

impl Renamed<'_> {
    /// The new name for the old name; any other name unchanged.
    pub fn instance(&self, name: &InstanceName) -> InstanceName {
        if name == self.from { self.to.clone() } else { name.clone() }
    }

    /// The server line under the new name.
    pub fn entry(&self, entry: &Entry) -> Entry {
        Entry { instance: self.instance(&entry.instance), server: entry.server.clone() }
    }

    /// The server lines under the new name.
    pub fn entries<'a, C: FromIterator<Entry>>(&self, entries: impl IntoIterator<Item = &'a Entry>) -> C {
        entries.into_iter().map(|entry| self.entry(entry)).collect()
    }

    /// The HAProxys under the new name.
    pub fn instances(&self, names: &BTreeSet<InstanceName>) -> BTreeSet<InstanceName> {
        names.iter().map(|name| self.instance(name)).collect()
    }

    /// A map by HAProxy, under the new name.
    pub fn by_instance<T: Clone>(&self, by_name: &BTreeMap<InstanceName, T>) -> BTreeMap<InstanceName, T> {
        by_name.iter().map(|(name, value)| (self.instance(name), value.clone())).collect()
    }

    /// A map by server line, under the new name.
    pub fn keys<T: Clone>(&self, by_line: &BTreeMap<Entry, T>) -> BTreeMap<Entry, T> {
        by_line.iter().map(|(entry, value)| (self.entry(entry), value.clone())).collect()
    }

    /// The reach of a hold under the new name.
    pub fn reach(&self, reach: &Reach) -> Reach {
        Reach { skipped: self.entries(&reach.skipped), without: self.instances(&reach.without), ..reach.clone() }
    }

    /// A hold under the new name, also in its selectors.
    pub fn hold(&self, hold: &Hold) -> Hold {
        let stage = match &hold.stage {
            Stage::Shared { weights } => Stage::Shared { weights: self.keys(weights) },
            other => other.clone(),
        };
        let selector =
            |text: &String| match text.strip_prefix(self.from.as_str()).and_then(|rest| rest.strip_prefix(':')) {
                Some(rest) => format!("{}:{rest}", self.to),
                None => text.clone(),
            };
        Hold {
            entries: self.entries(&hold.entries),
            selectors: hold.selectors.iter().map(selector).collect(),
            stage,
            reach: self.reach(&hold.reach),
            ..hold.clone()
        }
    }

    /// A route under the new name.
    pub fn route(&self, route: &Route) -> Route {
        Route { instances: self.instances(&route.instances), ..route.clone() }
    }
}
