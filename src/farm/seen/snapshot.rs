//! What one HAProxy process says at one moment: the servers as they are, not as they should be.

use std::collections::BTreeMap;

use crate::farm::seen::maps::SeenMaps;
use crate::farm::seen::off::Off;
use crate::farm::seen::process::Process;
use crate::farm::seen::servers::Servers;
use crate::haproxy::commands::ProxyId;
use crate::haproxy::{AdminState, BackendName, ServerRef};

/// One HAProxy process at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Its process id; another process means that everything set at runtime is gone.
    pub pid: u32,
    /// When the process started, in seconds since 1970: as HAProxy says, or by its age and the clock when it was first
    /// seen.
    pub started: Option<u64>,
    /// Its version, as printed.
    pub version: String,
    /// Every server that has been looked at.
    pub servers: Servers,
    /// Every backend that has been looked at.
    pub backends: BTreeMap<BackendName, SeenBackend>,
    /// The entries of maps that are of interest.
    pub maps: SeenMaps,
    /// Backends for whose servers HAProxy takes no orders.
    pub off: BTreeMap<BackendName, Off>,
    /// What the servers are that teeter holds, or is giving back, without its holds.
    pub before: BTreeMap<ServerRef, AdminState>,
}

impl Seen {
    /// Which process it is.
    pub fn process(&self) -> Process {
        Process { pid: self.pid, started: self.started }
    }

    /// Requests in a backend that are on none of its servers: they wait for their body or for a retry.
    pub fn between(&self, backend: &BackendName) -> u64 {
        let on_servers: u64 = self.servers.of(backend).map(|(_, server)| server.load.scur + server.load.qcur).sum();
        self.backends.get(backend).map_or(0, |backend| backend.requests).saturating_sub(on_servers)
    }
}

/// One backend at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SeenBackend {
    /// What this process knows it by, where it has counters: a name may be that of a frontend, too. One that is `disabled`
    /// in haproxy.cfg has none.
    pub id: Option<ProxyId>,
    /// Requests that it has, those for which no server is chosen yet among them.
    pub requests: u64,
}
