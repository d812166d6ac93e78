//! The state that one HAProxy process shows at one moment.

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
    /// The process id. Another process does not have the states that were set at runtime.
    pub pid: u32,
    /// When the process started, in seconds since 1970. If HAProxy does not report the start, teeter works it out from
    /// the age of the process at the first look.
    pub started: Option<u64>,
    /// The version, as HAProxy prints it.
    pub version: String,
    /// Every server line of the look.
    pub servers: Servers,
    /// Every backend of the look.
    pub backends: BTreeMap<BackendName, SeenBackend>,
    /// The entries that routes have in maps.
    pub maps: SeenMaps,
    /// Backends whose servers accept no commands, and why.
    pub off: BTreeMap<BackendName, Off>,
    /// The state that each server would have without teeter's holds, for servers that are held or are brought back.
    pub before: BTreeMap<ServerRef, AdminState>,
}

impl Seen {
    /// The identity of the process.
    pub fn process(&self) -> Process {
        Process { pid: self.pid, started: self.started }
    }

    /// Requests of a backend that are on none of its servers, because they wait for their body or for a retry.
    pub fn without_server(&self, backend: &BackendName) -> u64 {
        let on_servers: u64 =
            self.servers.in_backend(backend).map(|(_, server)| server.load.scur + server.load.qcur).sum();
        self.backends.get(backend).map_or(0, |backend| backend.requests).saturating_sub(on_servers)
    }
}

/// One backend at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SeenBackend {
    /// The id of the backend in this process. A backend and a frontend may share a name, so commands use the id. `None`
    /// where HAProxy has no counters for the backend, because it is `disabled` in haproxy.cfg.
    pub id: Option<ProxyId>,
    /// The requests of the backend, including those that have no server yet.
    pub requests: u64,
}
