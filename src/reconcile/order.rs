//! The order for the observer of one HAProxy.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::look::Keys;
use crate::farm::{Off, Wanted, WantedMaps};
use crate::haproxy::{AdminState, BackendName, ServerRef};

/// The wanted state of one HAProxy, and what its observer has to look at.
#[derive(Debug, Clone, Default)]
pub(crate) struct Order {
    /// The store's revision from which the order was worked out.
    pub(crate) revision: u64,
    /// The wanted states of servers.
    pub(crate) wanted: Arc<Wanted>,
    /// The wanted entries of maps.
    pub(crate) maps: Arc<WantedMaps>,
    /// The entries of maps to look up.
    pub(crate) keys: Arc<Keys>,
    /// Servers that drain, by hold.
    pub(crate) draining: Arc<Vec<Draining>>,
    /// Backends whose counters a run compares.
    pub(crate) watched: Arc<BTreeSet<BackendName>>,
    /// Whether a held server may have lines in this HAProxy that are not known yet.
    pub(crate) joins_later: bool,
    /// Whether such lines may appear in any backend at any time.
    pub(crate) joins_anywhere: bool,
    /// Servers whose sessions the observer ends.
    pub(crate) kill: Arc<BTreeSet<ServerRef>>,
}

impl Order {
    /// The states that the servers of the order would have without holds.
    pub(crate) fn states_without_holds(&self) -> BTreeMap<ServerRef, AdminState> {
        self.wanted.iter().map(|(server, wanted)| (server.clone(), wanted.before)).collect()
    }

    /// The order without the servers of backends that are off: HAProxy takes no commands for them.
    pub(crate) fn without(&self, off: &BTreeMap<BackendName, Off>) -> Self {
        let mut order = self.clone();
        if order.wanted.keys().any(|server| off.contains_key(&server.backend)) {
            Arc::make_mut(&mut order.wanted).retain(|server, _| !off.contains_key(&server.backend));
        }
        order
    }
}

/// Servers that drain together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Draining {
    pub(crate) servers: BTreeSet<ServerRef>,
    /// Whether the drain ladder has no further step: the next verdict is that the servers are drained.
    pub(crate) last: bool,
    /// Whether the next step of the drain ladder waits for sticky clients.
    pub(crate) sticks: bool,
    /// Whether the drain also waits for idle connections.
    pub(crate) idle: bool,
}
