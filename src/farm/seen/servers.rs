//! Many servers, backend by backend: a copy shares what has not changed, and what belongs to one backend is found
//! without looking at the others. There may be ten thousand of them, looked at many times a second.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Index;
use std::sync::Arc;

use crate::farm::seen::server::SeenServer;
use crate::haproxy::{BackendName, ServerRef};

/// Server lines as they were seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Servers {
    backends: BTreeMap<BackendName, Arc<Lines>>,
}

/// The lines of one backend.
type Lines = BTreeMap<ServerRef, SeenServer>;

impl Servers {
    /// One line.
    pub fn get(&self, server: &ServerRef) -> Option<&SeenServer> {
        self.backends.get(&server.backend)?.get(server)
    }

    /// One line, with its name as it is here.
    pub(in crate::farm) fn line(&self, server: &ServerRef) -> Option<(&ServerRef, &SeenServer)> {
        self.backends.get(&server.backend)?.get_key_value(server)
    }

    /// One line, to be changed.
    pub fn get_mut(&mut self, server: &ServerRef) -> Option<&mut SeenServer> {
        Arc::make_mut(self.backends.get_mut(&server.backend)?).get_mut(server)
    }

    /// Adds a line, or replaces it.
    pub fn insert(&mut self, server: ServerRef, seen: SeenServer) {
        Arc::make_mut(self.backends.entry(server.backend.clone()).or_default()).insert(server, seen);
    }

    /// Takes over all of the backends that `others` has, in place of what was known of them.
    pub fn take_over(&mut self, others: Self) {
        self.backends.extend(others.backends);
    }

    /// Forgets some backends.
    pub fn forget(&mut self, backends: &BTreeSet<BackendName>) {
        for backend in backends {
            self.backends.remove(backend);
        }
    }

    /// Every line, by backend and name.
    pub fn iter(&self) -> impl Iterator<Item = (&ServerRef, &SeenServer)> {
        self.backends.values().flat_map(|servers| servers.iter())
    }

    /// The name of every line.
    pub fn keys(&self) -> impl Iterator<Item = &ServerRef> {
        self.iter().map(|(server, _)| server)
    }

    /// The lines of one backend.
    pub fn of(&self, backend: &BackendName) -> impl Iterator<Item = (&ServerRef, &SeenServer)> {
        self.backends.get(backend).into_iter().flat_map(|servers| servers.iter())
    }

    /// The backends that have any.
    pub fn backends(&self) -> impl Iterator<Item = &BackendName> {
        self.backends.keys()
    }

    /// Whether both have the same lines, at the same addresses, whatever these do.
    pub fn has_lines_of(&self, other: &Self) -> bool {
        let same = |(one, other): (&Arc<Lines>, &Arc<Lines>)| {
            let place = |(name, seen): (&ServerRef, &SeenServer)| (name.clone(), seen.address.clone(), seen.port);
            Arc::ptr_eq(one, other) || (one.len() == other.len() && one.iter().map(place).eq(other.iter().map(place)))
        };
        self.backends.keys().eq(other.backends.keys()) && self.backends.values().zip(other.backends.values()).all(same)
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.backends.values().map(|servers| servers.len()).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Index<&ServerRef> for Servers {
    type Output = SeenServer;

    /// # Panics
    /// There is no such line.
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
