//! The same HAProxy under another name.

use std::collections::{BTreeMap, BTreeSet};

use crate::farm::model::hold::{Hold, Stage};
use crate::farm::model::reach::Reach;
use crate::farm::model::route::Route;
use crate::farm::names::{Entry, InstanceName};

/// A HAProxy that the configuration calls otherwise than before.
#[derive(Debug, Clone, Copy)]
pub struct Renamed<'a> {
    /// Its name before.
    pub from: &'a InstanceName,
    /// Its name now.
    pub to: &'a InstanceName,
}

impl Renamed<'_> {
    /// The name by which something is known now.
    pub fn instance(&self, name: &InstanceName) -> InstanceName {
        if name == self.from { self.to.clone() } else { name.clone() }
    }

    /// The same line under the new name.
    pub fn entry(&self, entry: &Entry) -> Entry {
        Entry { instance: self.instance(&entry.instance), server: entry.server.clone() }
    }

    /// The same lines.
    pub fn entries<'a, C: FromIterator<Entry>>(&self, entries: impl IntoIterator<Item = &'a Entry>) -> C {
        entries.into_iter().map(|entry| self.entry(entry)).collect()
    }

    /// The same HAProxys.
    pub fn instances(&self, names: &BTreeSet<InstanceName>) -> BTreeSet<InstanceName> {
        names.iter().map(|name| self.instance(name)).collect()
    }

    /// The same, by line.
    pub fn keys<T: Clone>(&self, by_line: &BTreeMap<Entry, T>) -> BTreeMap<Entry, T> {
        by_line.iter().map(|(entry, it)| (self.entry(entry), it.clone())).collect()
    }

    /// What a hold reaches.
    pub fn reach(&self, reach: &Reach) -> Reach {
        Reach { left: self.entries(&reach.left), without: self.instances(&reach.without), ..reach.clone() }
    }

    /// A hold. What its owner typed names the HAProxy as it is called now.
    pub fn hold(&self, hold: &Hold) -> Hold {
        let stage = match &hold.stage {
            Stage::Shared { weights } => Stage::Shared { weights: self.keys(weights) },
            other => other.clone(),
        };
        let typed = |text: &String| match text.strip_prefix(self.from.as_str()).and_then(|rest| rest.strip_prefix(':'))
        {
            Some(rest) => format!("{}:{rest}", self.to),
            None => text.clone(),
        };
        Hold {
            entries: self.entries(&hold.entries),
            selectors: hold.selectors.iter().map(typed).collect(),
            stage,
            reach: self.reach(&hold.reach),
            ..hold.clone()
        }
    }

    /// A route.
    pub fn route(&self, route: &Route) -> Route {
        Route { instances: self.instances(&route.instances), ..route.clone() }
    }
}
