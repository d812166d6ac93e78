//! The commands about one backend, and their replies.

use super::tables::Tables;
use crate::farm::SeenBackend;
use crate::haproxy::commands::{ShowServersConn, ShowServersState, ShowStat, StatKind, StatRow};
use crate::haproxy::{Answers, BackendName, CommandError, Line, RefusalKind, Slot};

/// The commands about one backend, with the places of their replies.
pub(super) struct Question<'a> {
    backend: &'a BackendName,
    state: (Slot<ShowServersState>, ShowServersState),
    conn: (Slot<ShowServersConn>, ShowServersConn),
    /// `None` if the backend has no counters.
    stat: Option<(Slot<ShowStat>, ShowStat)>,
    is_known: bool,
}

/// The answer about one backend.
pub(super) enum Found {
    Rows(Tables),
    /// There is no backend of this name.
    Gone,
    /// There is another backend of this name or number than the known one.
    Another,
}

impl<'a> Question<'a> {
    pub(super) fn put(line: &mut Line, backend: &'a BackendName, known: Option<&SeenBackend>) -> Self {
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

    pub(super) fn read(self, answers: &Answers) -> Result<Found, CommandError> {
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
pub(super) fn has_room(line: &Line, backend: &BackendName) -> bool {
    line.has_room_for(&" ".repeat(3 * (COMMAND + backend.as_str().len())))
}

/// `None`: the backend is not there (any more).
fn unless_gone<T>(rows: Result<T, CommandError>) -> Result<Option<T>, CommandError> {
    match rows {
        Err(CommandError::Refused(refusal)) if refusal.kind == RefusalKind::NoSuchBackend => Ok(None),
        other => other.map(Some),
    }
}

/// The length of the longest command without the name of the backend: `show servers state `, and the separator.
const COMMAND: usize = 24;
