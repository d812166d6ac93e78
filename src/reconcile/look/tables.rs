//! Joins the three tables in which HAProxy shows its servers.

use std::collections::BTreeMap;

use crate::farm::{Load, SeenBackend, SeenServer, Servers};
use crate::haproxy::commands::{ServerConnections, ServerState, StatRow};
use crate::haproxy::{BackendName, ServerRef};

/// The rows of `show servers state`, `show stat` and `show servers conn`.
pub(super) type Tables = (Vec<ServerState>, Vec<StatRow>, Vec<ServerConnections>);

/// Joins the rows of the three tables by name.
pub(super) fn merge((states, stats, conns): Tables) -> (Servers, BTreeMap<BackendName, SeenBackend>) {
    let states = states.into_iter().filter(|row| !is_process(&row.server));
    let mut servers: Servers = states.map(|row| (row.server.clone(), seen(row))).collect();
    let mut backends: BTreeMap<BackendName, SeenBackend> =
        servers.backends().map(|backend| (backend.clone(), SeenBackend::default())).collect();
    for row in stats {
        let Ok(backend) = row.pxname.parse::<BackendName>() else { continue };
        if row.is_backend() {
            backends.insert(backend, SeenBackend { id: Some(row.iid), requests: row.scur });
            continue;
        }
        let Ok(server) = row.svname.parse() else { continue };
        let Some(server) = servers.get_mut(&ServerRef { backend, server }) else { continue };
        server.status = row.status;
        server.tracked = row.tracked.parse().ok();
        server.agent_down = row.agent_health == Some(0);
        server.backup = row.backups > 0;
        server.last_check = if row.last_chk.is_empty() { row.check_status } else { row.last_chk };
        server.load.scur = row.scur;
        server.load.qcur = row.qcur;
        server.load.stot = row.stot;
        server.load.troubles = row.econ + row.wretr;
        server.load.hrsp_5xx = row.hrsp_5xx;
        server.load.errors = row.econ + row.eresp;
        server.load.rtime = row.rtime;
        server.load.served = row.served.unwrap_or_default();
        server.load.sticky = !row.cookie.is_empty();
    }
    for row in conns {
        if let Some(server) = servers.get_mut(&row.server) {
            server.load.used = row.used;
            server.load.idle = row.idle;
            server.load.served = server.load.served.max(row.served.unwrap_or_default());
        }
    }
    (servers, backends)
}

/// Whether a row is a process, not a server:
/// [`Quirk::ProcessesAmongServers`](crate::haproxy::Quirk::ProcessesAmongServers).
fn is_process(server: &ServerRef) -> bool {
    let name = server.server.as_str();
    server.backend.as_str() == "MASTER" && (name.starts_with("cur-") || name.starts_with("old-"))
}

fn seen(row: ServerState) -> SeenServer {
    SeenServer {
        admin: row.admin,
        op: row.op,
        weight: row.weight,
        health: row.health,
        check: row.check,
        agent: row.agent,
        agent_down: false,
        backup: false,
        address: row.address,
        port: row.port,
        tracked: None,
        status: String::new(),
        last_check: String::new(),
        load: Load::default(),
    }
}
