//! A look at one HAProxy: at all backends, or only at those that matter now, and at entries of maps.

use std::collections::{BTreeMap, BTreeSet};

use crate::farm::{Load, Off, Seen, SeenBackend, SeenMap, SeenMaps, SeenServer, Servers};
use crate::haproxy::commands::{
    CountAssigned, GetMap, Info, Level, ServerConnections, ServerState, ShowCliLevel, ShowServersConn,
    ShowServersState, ShowStat, StatKind, StatRow,
};
use crate::haproxy::{
    Answers, BackendName, Client, Command, CommandError, Error, Line, MapKey, MapName, RefusalKind, ServerRef, Slot,
};

/// The result of a look.
#[derive(Debug)]
pub(crate) struct Look {
    /// The process that answered.
    pub(crate) info: Info,
    /// Whether it is leaving, or two processes answered.
    pub(crate) stopping: bool,
    pub(crate) level: Option<Level>,
    pub(crate) servers: Servers,
    pub(crate) backends: BTreeMap<BackendName, SeenBackend>,
    pub(crate) maps: SeenMaps,
}

/// Entries of maps to look up.
pub(crate) type Keys = BTreeSet<(MapName, MapKey)>;

/// A client of one HAProxy, and the process that should answer it.
#[derive(Clone, Copy)]
pub(super) struct ExpectedProcess<'a> {
    pub(super) client: &'a Client,
    pub(super) process: &'a Info,
}

/// Looks at every backend. Costs much time if there are thousands of servers: done at the start, after a reload and on
/// request.
pub(crate) async fn look_at_all(client: &Client, keys: &Keys) -> Result<Look, Error> {
    let maps = look_up(client, keys).await?;
    let mut line = Line::new();
    let (state, conn, level) = (ShowServersState::default(), ShowServersConn::default(), ShowCliLevel);
    let stat = ShowStat { backend: None, kind: StatKind::BackendsAndServers };
    let slots = (line.push(&state), line.push(&stat), line.push(&conn), line.push(&level));
    let answers = client.send(&line).await?;
    let read = || {
        let tables = (answers.read(slots.0, &state)?, answers.read(slots.1, &stat)?, answers.read(slots.2, &conn)?);
        Ok((merge(tables), answers.read(slots.3, &level)?))
    };
    let ((servers, backends), level) = read().map_err(|error| client.error(error))?;
    let info = answers.info;
    let mut look = Look { stopping: info.stopping, info, level: Some(level), servers, backends, maps: SeenMaps::new() };
    look.with(maps);
    Ok(look)
}

/// Looks at some backends; `known` has their numbers. The states are read before the counters, so that a counter is never
/// older than the state beside it. `None`: the numbers belong to other backends, and a look at all is needed.
pub(crate) async fn look_at(
    client: &Client,
    backends: &BTreeSet<BackendName>,
    known: &BTreeMap<BackendName, SeenBackend>,
    keys: &Keys,
) -> Result<Option<Look>, Error> {
    let maps = look_up(client, keys).await?;
    let mut look: Option<Look> = None;
    let mut all = backends.iter().peekable();
    // Always at least one line: its reply shows which process answers.
    while look.is_none() || all.peek().is_some() {
        let mut line = Line::new();
        let mut questions = Vec::new();
        while let Some(backend) = all.next_if(|backend| questions.is_empty() || has_room(&line, backend)) {
            questions.push(Question::put(&mut line, backend, known.get(backend)));
        }
        let answers = client.send(&line).await?;
        let (mut servers, mut backends) = (Servers::default(), BTreeMap::new());
        for question in questions {
            match question.read(&answers).map_err(|error| client.error(error))? {
                Found::Rows(tables) => {
                    let mut part = merge(tables);
                    servers.take_over(part.0);
                    backends.append(&mut part.1);
                }
                Found::Gone => {}
                Found::Another => return Ok(None),
            }
        }
        let info = answers.info;
        match &mut look {
            // Answers of two processes do not make one look.
            Some(look) if !info.is_of(&look.info) => return Ok(None),
            Some(look) => {
                look.info = info;
                look.servers.take_over(servers);
                look.backends.append(&mut backends);
            }
            None => {
                let stopping = info.stopping;
                look = Some(Look { info, stopping, level: None, servers, backends, maps: SeenMaps::new() });
            }
        }
    }
    let mut look = look
        .ok_or_else(|| client.error(CommandError::Unreadable { command: ShowCliLevel.text(), said: String::new() }))?;
    look.with(maps);
    Ok(Some(look))
}

/// The rows of `show servers state`, `show stat` and `show servers conn`.
type Tables = (Vec<ServerState>, Vec<StatRow>, Vec<ServerConnections>);

/// The commands about one backend, with the places of their replies.
struct Question<'a> {
    backend: &'a BackendName,
    state: (Slot<ShowServersState>, ShowServersState),
    conn: (Slot<ShowServersConn>, ShowServersConn),
    /// `None` if the backend has no counters.
    stat: Option<(Slot<ShowStat>, ShowStat)>,
    is_known: bool,
}

/// The answer about one backend.
enum Found {
    Rows(Tables),
    /// There is no backend of this name.
    Gone,
    /// There is another backend of this name or number than the known one.
    Another,
}

impl<'a> Question<'a> {
    fn put(line: &mut Line, backend: &'a BackendName, known: Option<&SeenBackend>) -> Self {
        let state = ShowServersState { backend: Some(backend.clone()) };
        let state = (line.push(&state), state);
        let stat = known.and_then(|known| known.id).map(|id| {
            let stat = ShowStat { backend: Some(id), kind: StatKind::BackendsAndServers };
            (line.push(&stat), stat)
        });
        let conn = ShowServersConn { backend: Some(backend.clone()) };
        let conn = (line.push(&conn), conn);
        Self { backend, state, conn, stat, is_known: known.is_some() }
    }

    fn read(self, answers: &Answers) -> Result<Found, CommandError> {
        let (states, conns) = (answers.read(self.state.0, &self.state.1), answers.read(self.conn.0, &self.conn.1));
        let Some((states, conns)) = unless_gone(states)?.zip(unless_gone(conns)?) else { return Ok(Found::Gone) };
        let Some((slot, stat)) = self.stat else {
            return Ok(if self.is_known { Found::Rows((states, Vec::new(), conns)) } else { Found::Another });
        };
        let stats = unless_gone(answers.read(slot, &stat))?.unwrap_or_default();
        let has_name = |row: &StatRow| row.pxname == self.backend.as_str();
        let is_known = stats.iter().all(has_name) && stats.iter().any(StatRow::is_backend);
        Ok(if is_known { Found::Rows((states, stats, conns)) } else { Found::Another })
    }
}

/// Whether the three commands for a backend fit the line.
fn has_room(line: &Line, backend: &BackendName) -> bool {
    line.has_room_for(&" ".repeat(3 * (COMMAND + backend.as_str().len())))
}

/// The number of requests that HAProxy has assigned to each server, including those that no counter shows yet. `None`:
/// another process answered.
pub(super) async fn assigned(expected: ExpectedProcess<'_>) -> Result<Option<BTreeMap<ServerRef, u64>>, Error> {
    let ExpectedProcess { client, process } = expected;
    let mut line = Line::new();
    let slot = line.push(&CountAssigned);
    let answers = client.send(&line).await?;
    if !answers.info.is_of(process) {
        return Ok(None);
    }
    answers.read(slot, &CountAssigned).map(Some).map_err(|error| client.error(error))
}

/// Looks up entries of maps; with the process that answered. `None`: there are no entries to look up.
async fn look_up(client: &Client, keys: &Keys) -> Result<Option<(Info, SeenMaps)>, Error> {
    let (mut maps, mut process) = (SeenMaps::new(), None);
    let asks: Vec<GetMap> = keys.iter().map(|(map, key)| GetMap { map: map.clone(), key: key.clone() }).collect();
    let (mut line, mut slots) = (Line::new(), Vec::new());
    for ask in &asks {
        if !line.has_room_for(&ask.text()) {
            let answers = client.send(&std::mem::take(&mut line)).await?;
            process = Some(answers.info.clone());
            note(&mut maps, &answers, std::mem::take(&mut slots)).map_err(|error| client.error(error))?;
        }
        slots.push((line.push(ask), ask));
    }
    if !slots.is_empty() {
        let answers = client.send(&line).await?;
        process = Some(answers.info.clone());
        note(&mut maps, &answers, slots).map_err(|error| client.error(error))?;
    }
    Ok(process.map(|info| (info, maps)))
}

fn note(maps: &mut SeenMaps, answers: &Answers, slots: Vec<(Slot<GetMap>, &GetMap)>) -> Result<(), CommandError> {
    for (slot, ask) in slots {
        let map = maps.entry(ask.map.clone()).or_default();
        match answers.read(slot, ask) {
            Ok(value) => {
                map.entries.insert(ask.key.clone(), value);
            }
            // From 3.4 on, reading a map needs level admin. A too low level is reported elsewhere.
            Err(CommandError::Refused(refusal))
                if matches!(refusal.kind, RefusalKind::NoSuchMapEntry | RefusalKind::PermissionDenied) =>
            {
                *map = SeenMap { missing: true, ..SeenMap::default() };
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// `None`: the backend is not there (any more).
fn unless_gone<T>(rows: Result<T, CommandError>) -> Result<Option<T>, CommandError> {
    match rows {
        Err(CommandError::Refused(refusal)) if refusal.kind == RefusalKind::NoSuchBackend => Ok(None),
        other => other.map(Some),
    }
}

/// Joins the rows of the three tables by name.
fn merge((states, stats, conns): Tables) -> (Servers, BTreeMap<BackendName, SeenBackend>) {
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

/// Whether a row is a process, not a server: [`Quirk::ProcessesAmongServers`](crate::haproxy::Quirk::ProcessesAmongServers).
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

impl Look {
    /// Adds the entries of maps. If another process answered for them, the look is of no use.
    fn with(&mut self, maps: Option<(Info, SeenMaps)>) {
        let Some((info, maps)) = maps else { return };
        self.maps = maps;
        self.stopping |= !self.info.is_of(&info);
    }

    /// Merges a look at some `backends` into the state seen `before` of the same process. Without `before` or `backends`,
    /// the look replaces that state.
    pub(crate) fn onto(self, before: Option<&Seen>, backends: Option<&BTreeSet<BackendName>>) -> Seen {
        let (mut servers, mut all) = match (before, backends) {
            (Some(before), Some(part)) => {
                let mut servers = before.servers.clone();
                servers.forget(part);
                let kept = before.backends.iter().filter(|(name, _)| !part.contains(name));
                (servers, kept.map(|(name, backend)| (name.clone(), *backend)).collect())
            }
            _ => (Servers::default(), BTreeMap::new()),
        };
        servers.take_over(self.servers);
        all.extend(self.backends);
        // HAProxy lists the servers of a disabled backend, and has no counters for it.
        let disabled = all.iter().filter(|(_, backend)| backend.id.is_none());
        let off = disabled.map(|(name, _)| (name.clone(), Off::Disabled)).collect();
        let Info { pid, started, version, .. } = self.info;
        Seen { pid, started, version, servers, backends: all, maps: self.maps, off, before: BTreeMap::new() }
    }
}

/// The length of the longest command without the name of the backend: `show servers state `, and the separator.
const COMMAND: usize = 24;
