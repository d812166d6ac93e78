//! The true state of the fake, for the checks of a simulation. Reading it takes no simulated time.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::Fake;
use super::server::{Op, admin};
use super::traffic::State;
use super::worker::{At, Worker};

/// The state of all processes, at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truth {
    /// Every process, the oldest first.
    pub workers: Vec<WorkerTruth>,
}

/// The state of one process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerTruth {
    /// Its process id.
    pub pid: u32,
    /// Whether it takes new requests.
    pub current: bool,
    /// Its servers by backend and name.
    pub servers: BTreeMap<(String, String), ServerTruth>,
    /// The entries of each map that lookups see: keys and values, in order.
    pub maps: BTreeMap<String, Vec<(String, String)>>,
    /// The number of its requests.
    pub requests: usize,
    /// The number of clients that stick tables keep on each server.
    pub stuck: BTreeMap<(String, String), usize>,
}

/// The state of one server line in one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerTruth {
    /// `srv_admin_state`.
    pub admin: u32,
    /// `srv_op_state`.
    pub op: Op,
    /// The current weight.
    pub weight: u16,
    /// The count of its health check.
    pub health: u32,
    /// Whether it may get a request of a client that is not sticky.
    pub usable: bool,
    /// Requests that it serves or is about to serve, whether or not a counter has them.
    pub requests: usize,
    /// Requests that wait for this server only.
    pub qcur: usize,
    /// The counter of current sessions.
    pub scur: u64,
    /// The counter of all sessions.
    pub stot: u64,
}

/// A server line in a process.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The process.
    pub pid: u32,
    /// The backend.
    pub backend: String,
    /// The server.
    pub server: String,
}

impl ServerTruth {
    /// Whether it is in maintenance or drain, by itself or by the line that it tracks.
    pub fn is_out(&self) -> bool {
        self.admin & (admin::MAINT | admin::DRAIN) != 0
    }

    /// Its own state in words, without the state of the line that it tracks.
    pub fn own_state(&self) -> &'static str {
        match self.admin {
            bits if bits & admin::FORCED_MAINT != 0 => "maint",
            bits if bits & admin::FORCED_DRAIN != 0 => "drain",
            _ => "ready",
        }
    }
}

impl Truth {
    /// The process that takes new requests. `None`: HAProxy is down.
    pub fn current(&self) -> Option<&WorkerTruth> {
        self.workers.iter().find(|worker| worker.current)
    }
}

impl WorkerTruth {
    /// The server of this name.
    pub fn server(&self, backend: &str, server: &str) -> Option<&ServerTruth> {
        self.servers.get(&(backend.to_owned(), server.to_owned()))
    }
}

impl Fake {
    /// The true state.
    pub fn truth(&self) -> Truth {
        self.with(|host, now| {
            let current = host.current;
            let workers = host.workers.values().map(|worker| worker.truth(current == Some(worker.pid), now));
            (Truth { workers: workers.collect() }, None)
        })
    }
}

impl Worker {
    fn truth(&self, current: bool, now: Instant) -> WorkerTruth {
        let mut servers = BTreeMap::new();
        for (at, server) in self.all() {
            let given = |state: &State| !matches!(state, State::QueuedFor(_) | State::Queued);
            let on = self.streams.values().filter(|stream| stream.backend == at.0 && stream.server() == Some(at.1));
            let truth = ServerTruth {
                admin: server.admin,
                op: server.op,
                weight: server.weight,
                health: server.health,
                usable: server.is_usable(),
                requests: on.filter(|stream| given(&stream.state)).count(),
                qcur: server.queue.len(),
                scur: server.counters.scur,
                stot: server.counters.stot,
            };
            let place = self.place(at);
            servers.insert((place.backend, place.server), truth);
        }
        let plain =
            |map: &super::maps::Map| map.entries().iter().map(|(_, key, value)| (key.clone(), value.clone())).collect();
        let maps = self.maps.iter().map(|(name, map)| (name.clone(), plain(map))).collect();
        let mut stuck = BTreeMap::new();
        for (number, backend) in self.backends.iter().enumerate() {
            for client in backend.table.values().filter(|client| client.until > now) {
                let Place { backend, server, .. } = self.place((number, client.server));
                *stuck.entry((backend, server)).or_default() += 1;
            }
        }
        WorkerTruth { pid: self.pid, current, servers, maps, requests: self.streams.len(), stuck }
    }

    pub(super) fn place(&self, at: At) -> Place {
        let backend = &self.backends[at.0];
        Place { pid: self.pid, backend: backend.setup.name.clone(), server: backend.servers[at.1].setup.name.clone() }
    }
}
