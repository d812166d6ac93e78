//! Many servers, grouped by backend. A copy shares the unchanged backends, and the servers of one backend are found
//! without a pass over the others. There may be ten thousand servers, and many looks a second.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Index;
use std::sync::Arc;

use crate::farm::seen::server::SeenServer;
use crate::haproxy::{BackendName, ServerRef};

/// The server lines that a look has found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Servers {
    backends: BTreeMap<BackendName, Arc<Lines>>,
}

/// The server lines of one backend.
type Lines = BTreeMap<ServerRef, SeenServer>;

impl Servers {
    /// The server line of this name.
    pub fn get(&self, server: &ServerRef) -> Option<&SeenServer> {
        self.backends.get(&server.backend)?.get(server)
    }

    /// The server line of this name, with the stored copy of the name.
    pub(in crate::farm) fn line(&self, server: &ServerRef) -> Option<(&ServerRef, &SeenServer)> {
        self.backends.get(&server.backend)?.get_key_value(server)
    }

    /// The server line of this name, to be changed.
    pub fn get_mut(&mut self, server: &ServerRef) -> Option<&mut SeenServer> {
        Arc::make_mut(self.backends.get_mut(&server.backend)?).get_mut(server)
    }

    /// Adds or replaces a server line.
    pub fn insert(&mut self, server: ServerRef, seen: SeenServer) {
        Arc::make_mut(self.backends.entry(server.backend.clone()).or_default()).insert(server, seen);
    }

    /// Adds the backends of `others`, and replaces backends of the same name.
    pub fn take_over(&mut self, others: Self) {
        self.backends.extend(others.backends);
    }

    /// Removes these backends with their servers.
    pub fn forget(&mut self, backends: &BTreeSet<BackendName>) {
        for backend in backends {
            self.backends.remove(backend);
        }
    }

    /// Every server line, ordered by backend and name.
    pub fn iter(&self) -> impl Iterator<Item = (&ServerRef, &SeenServer)> {
        self.backends.values().flat_map(|servers| servers.iter())
    }

    /// The name of every server line.
    pub fn keys(&self) -> impl Iterator<Item = &ServerRef> {
        self.iter().map(|(server, _)| server)
    }

    /// The server lines of one backend.
    pub fn in_backend(&self, backend: &BackendName) -> impl Iterator<Item = (&ServerRef, &SeenServer)> {
        self.backends.get(backend).into_iter().flat_map(|servers| servers.iter())
    }

    /// The backends that have server lines.
    pub fn backends(&self) -> impl Iterator<Item = &BackendName> {
        self.backends.keys()
    }

    /// Whether both have the same server lines at the same addresses, in any state.
    pub fn has_lines_of(&self, other: &Self) -> bool {
        let same = |(own, other): (&Arc<Lines>, &Arc<Lines>)| {
            let identity = |(name, seen): (&ServerRef, &SeenServer)| (name.clone(), seen.address.clone(), seen.port);
            Arc::ptr_eq(own, other)
                || (own.len() == other.len() && own.iter().map(identity).eq(other.iter().map(identity)))
        };
        self.backends.keys().eq(other.backends.keys()) && self.backends.values().zip(other.backends.values()).all(same)
    }

    /// The number of server lines.
    pub fn len(&self) -> usize {
        self.backends.values().map(|servers| servers.len()).sum()
    }

    /// Whether there are no server lines.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Index<&ServerRef> for Servers {
    type Output = SeenServer;

    /// # Panics
    /// There is no such server line.
    fn index(&self, server: &ServerRef) -> &SeenServer {
        self.get(server).unwrap_or_else(|| panic!("no server {server}"))
    }
}

impl FromIterator<(ServerRef, SeenServer)> for Servers {
    fn from_iter<I: IntoIterator<Item = (ServerRef, SeenServer)>>(servers: I) -> Self {
        let mut all = Self::default();
        for (server, seen) in servers {
            all.insert(server, seen);
        }
        all
    }
}
