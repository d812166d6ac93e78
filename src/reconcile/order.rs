//! What the observer of one HAProxy is told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::look::Keys;
use crate::farm::{Off, Wanted, WantedMaps};
use crate::haproxy::{AdminState, BackendName, ServerRef};

/// What an instance is told.
#[derive(Debug, Clone, Default)]
pub(crate) struct Order {
    /// The store's revision that this was worked out from.
    pub(crate) revision: u64,
    /// What HAProxy should be told.
    pub(crate) wanted: Arc<Wanted>,
    /// What its maps should have.
    pub(crate) maps: Arc<WantedMaps>,
    /// Entries of maps that are to be looked up.
    pub(crate) keys: Arc<Keys>,
    /// Servers whose drain is waited for, by hold.
    pub(crate) draining: Arc<Vec<Draining>>,
    /// Backends whose counters a run watches.
    pub(crate) watched: Arc<BTreeSet<BackendName>>,
    /// Whether servers are held that may have lines here, too, once HAProxy answers.
    pub(crate) follows: bool,
    /// Whether there may be lines of them in any backend, any moment.
    pub(crate) spreads: bool,
    /// Servers whose sessions are to be ended.
    pub(crate) kill: Arc<BTreeSet<ServerRef>>,
}

impl Order {
    /// What the servers are that it is about, without teeter's holds.
    pub(crate) fn before(&self) -> BTreeMap<ServerRef, AdminState> {
        self.wanted.iter().map(|(server, wanted)| (server.clone(), wanted.before)).collect()
    }

    /// The same without the servers of backends that are off: HAProxy takes no orders for them.
    pub(crate) fn without(&self, off: &BTreeMap<BackendName, Off>) -> Self {
        let mut order = self.clone();
        if order.wanted.keys().any(|server| off.contains_key(&server.backend)) {
            Arc::make_mut(&mut order.wanted).retain(|server, _| !off.contains_key(&server.backend));
        }
        order
    }
}

/// Servers that are being emptied together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Draining {
    pub(crate) servers: BTreeSet<ServerRef>,
    /// Whether no step of the ladder is left: what is said of them next is that they are drained.
    pub(crate) last: bool,
    /// Whether clients that stick to them keep the next step from being taken.
    pub(crate) sticks: bool,
    /// Whether idle connections are waited for, too.
    pub(crate) idle: bool,
}
