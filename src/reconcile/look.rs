//! A look at one HAProxy: at all backends, or only at those that matter now, and at entries of maps.

mod backend;
mod maps;
mod tables;

use std::collections::{BTreeMap, BTreeSet};

use self::backend::{Found, Question, has_room};
use self::maps::look_up;
use self::tables::merge;
use crate::farm::{Off, Seen, SeenBackend, SeenMaps, Servers};
use crate::haproxy::commands::{
    CountAssigned, Info, Level, ShowCliLevel, ShowServersConn, ShowServersState, ShowStat, StatKind,
};
use crate::haproxy::{BackendName, Client, Command, CommandError, Error, Line, MapKey, MapName, ServerRef};

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

/// Looks at some backends; `known` has their numbers. The states are read before the counters, so that a counter is
/// never older than the state beside it. `None`: the numbers belong to other backends, and a look at all is needed.
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
        .ok_or_else(|| client.error(CommandError::Unreadable { command: ShowCliLevel.text(), reply: String::new() }))?;
    look.with(maps);
    Ok(Some(look))
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

impl Look {
    /// Adds the entries of maps. If another process answered for them, the look is of no use.
    fn with(&mut self, maps: Option<(Info, SeenMaps)>) {
        let Some((info, maps)) = maps else { return };
        self.maps = maps;
        self.stopping |= !self.info.is_of(&info);
    }

    /// Merges a look at some `backends` into the state seen `before` of the same process. Without `before` or
    /// `backends`, the look replaces that state.
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
