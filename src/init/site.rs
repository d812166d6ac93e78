//! What is known of a HAProxy: its answers, and its haproxy.cfg.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::cfg::{Cfg, CfgBackend, CfgServer};
use crate::farm::{InstanceName, Seen, SeenServer};
use crate::haproxy::commands::{BackendRow, Level, MapEntry};
use crate::haproxy::{BackendName, Endpoint, MapName, ServerRef};

/// A HAProxy, as it is now.
#[derive(Debug, Clone)]
pub(super) struct Site {
    /// Its name in teeter.toml.
    pub(super) name: InstanceName,
    /// How it is reached.
    pub(super) endpoint: Endpoint,
    /// The level of its stats socket.
    pub(super) level: Option<Level>,
    /// Its master's socket, if its command line names one.
    pub(super) master: Option<PathBuf>,
    /// Its servers and backends.
    pub(super) seen: Seen,
    /// The settings of each backend.
    pub(super) settings: BTreeMap<BackendName, BackendRow>,
    /// Its configuration, if it was given.
    pub(super) cfg: Option<Cfg>,
    /// The entries of the maps that choose a backend.
    pub(super) maps: BTreeMap<MapName, Vec<MapEntry>>,
    /// The files that were read for `cfg`.
    pub(super) cfg_paths: Vec<PathBuf>,
}

impl Site {
    /// A server line.
    pub(super) fn line(&self, server: &ServerRef) -> Option<&SeenServer> {
        self.seen.servers.get(server)
    }

    /// Whether a backend is in the mode `http`.
    pub(super) fn is_http(&self, backend: &BackendName) -> bool {
        self.settings.get(backend).is_some_and(|settings| settings.mode == "http")
    }

    /// A backend in haproxy.cfg.
    pub(super) fn cfg_backend(&self, backend: &BackendName) -> Option<&CfgBackend> {
        self.cfg.as_ref()?.backends.get(backend.as_str())
    }

    /// A server in haproxy.cfg.
    pub(super) fn cfg_server(&self, server: &ServerRef) -> Option<&CfgServer> {
        self.cfg.as_ref()?.server(server.backend.as_str(), server.server.as_str())
    }

    /// The line whose check counts for this one: the end of its chain of `track`.
    pub(super) fn checked<'a>(&'a self, server: &'a ServerRef) -> &'a ServerRef {
        let mut checked = server;
        // HAProxy allows chains of servers that track one another, and refuses rings.
        for _ in 0..LONGEST_CHAIN {
            match self.line(checked).and_then(|line| line.tracked.as_ref()) {
                Some(next) => checked = next,
                None => break,
            }
        }
        checked
    }
}

/// The longest chain of servers that track one another.
const LONGEST_CHAIN: usize = 16;
