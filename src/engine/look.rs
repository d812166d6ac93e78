//! Looking at one HAProxy: everything, or just the backends that matter now.

use std::collections::{BTreeMap, BTreeSet};

use crate::farm::{Load, Seen, SeenServer};
use crate::haproxy::commands::{
    Level, ServerConnections, ServerState, ShowCliLevel, ShowServersConn, ShowServersState, ShowStat, StatKind, StatRow,
};
use crate::haproxy::{BackendName, Client, Command, CommandError, Error, Line, RefusalKind, ServerRef};

/// What a look found.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) pid: u32,
    pub(super) version: String,
    pub(super) stopping: bool,
    pub(super) level: Option<Level>,
    pub(super) servers: BTreeMap<ServerRef, SeenServer>,
}

/// Looks at every backend. Costly where there are thousands of servers: done at the start, after a reload and when
/// somebody asks.
pub(super) async fn look_at_all(client: &Client) -> Result<Look, Error> {
    let mut line = Line::new();
    let (state, conn, level) = (ShowServersState::default(), ShowServersConn::default(), ShowCliLevel);
    let stat = ShowStat { backend: None, kind: StatKind::Servers };
    let slots = (line.push(&state), line.push(&stat), line.push(&conn), line.push(&level));
    let answers = client.send(&line).await?;
    let read = || {
        let servers =
            merge(answers.read(slots.0, &state)?, answers.read(slots.1, &stat)?, answers.read(slots.2, &conn)?);
        Ok((servers, answers.read(slots.3, &level)?))
    };
    let (servers, level) = read().map_err(|error| client.error(error))?;
    let info = answers.info;
    Ok(Look { pid: info.pid, version: info.version, stopping: info.stopping, level: Some(level), servers })
}

/// Looks at some backends. The states come before the counters, so that what is counted was counted after HAProxy
/// had what is seen.
pub(super) async fn look_at(client: &Client, backends: &BTreeSet<&BackendName>) -> Result<Look, Error> {
    let mut look: Option<Look> = None;
    let all: Vec<&BackendName> = backends.iter().copied().collect();
    // Always at least one line: it tells which process is there.
    let lines = all.chunks(BACKENDS_A_LINE).chain(all.is_empty().then_some(&[][..]));
    for backends in lines {
        let mut line = Line::new();
        let mut slots = Vec::new();
        for backend in backends {
            let backend = Some((*backend).clone());
            let state = ShowServersState { backend: backend.clone() };
            let stat = ShowStat { backend: backend.clone(), kind: StatKind::Servers };
            let conn = ShowServersConn { backend };
            slots.push((line.push(&state), state, line.push(&stat), stat, line.push(&conn), conn));
        }
        let answers = client.send(&line).await?;
        let mut servers = BTreeMap::new();
        for (state_slot, state, stat_slot, stat, conn_slot, conn) in slots {
            let rows = (
                unless_gone(answers.read(state_slot, &state)),
                unless_gone(answers.read(stat_slot, &stat)),
                unless_gone(answers.read(conn_slot, &conn)),
            );
            let failed = |error| client.error(error);
            servers.append(&mut merge(rows.0.map_err(failed)?, rows.1.map_err(failed)?, rows.2.map_err(failed)?));
        }
        let info = answers.info;
        match &mut look {
            // Two lines that two processes answered are no look at all; the caller sees the later process.
            Some(look) => {
                look.pid = info.pid;
                look.servers.append(&mut servers);
            }
            None => {
                look =
                    Some(Look { pid: info.pid, version: info.version, stopping: info.stopping, level: None, servers });
            }
        }
    }
    look.ok_or_else(|| client.error(CommandError::Unreadable { command: ShowCliLevel.text(), said: String::new() }))
}

/// A backend that is not there any more has no servers.
fn unless_gone<T>(rows: Result<Vec<T>, CommandError>) -> Result<Vec<T>, CommandError> {
    match rows {
        Err(CommandError::Refused(refusal)) if refusal.kind == RefusalKind::NoSuchBackend => Ok(Vec::new()),
        other => other,
    }
}

/// Puts the rows of the three tables together, by name.
fn merge(
    states: Vec<ServerState>,
    stats: Vec<StatRow>,
    conns: Vec<ServerConnections>,
) -> BTreeMap<ServerRef, SeenServer> {
    let mut servers: BTreeMap<ServerRef, SeenServer> =
        states.into_iter().map(|row| (row.server.clone(), seen(row))).collect();
    for row in stats {
        let (Ok(backend), Ok(server)) = (row.pxname.parse(), row.svname.parse()) else { continue };
        let Some(server) = servers.get_mut(&ServerRef { backend, server }) else { continue };
        server.status = row.status;
        server.tracked = row.tracked.parse().ok();
        server.last_check = if row.last_chk.is_empty() { row.check_status } else { row.last_chk };
        server.load.scur = row.scur;
        server.load.qcur = row.qcur;
        server.load.stot = row.stot;
        server.load.troubles = row.econ + row.wretr;
        server.load.hrsp_5xx = row.hrsp_5xx;
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
    servers
}

fn seen(row: ServerState) -> SeenServer {
    SeenServer {
        admin: row.admin,
        op: row.op,
        weight: row.weight,
        check: row.check,
        agent: row.agent,
        address: row.address,
        port: row.port,
        tracked: None,
        status: String::new(),
        last_check: String::new(),
        load: Load::default(),
    }
}

impl Look {
    /// Brings what was seen before up to date; where the process is another one, replaces it.
    pub(super) fn onto(self, before: Option<&Seen>, backends: Option<&BTreeSet<&BackendName>>) -> Seen {
        let mut servers = match (before, backends) {
            (Some(before), Some(backends)) if before.pid == self.pid => {
                let kept = before.servers.iter().filter(|(server, _)| !backends.contains(&server.backend));
                kept.map(|(server, seen)| (server.clone(), seen.clone())).collect()
            }
            _ => BTreeMap::new(),
        };
        servers.extend(self.servers);
        Seen { pid: self.pid, version: self.version, servers }
    }
}

/// Three commands for each; a name takes at most 1024 bytes but usually few, and HAProxy's buffer is 15 kB.
const BACKENDS_A_LINE: usize = 2;
