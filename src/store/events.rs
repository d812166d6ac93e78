//! Reading recorded events.

use rusqlite::{Connection, params};

use super::{EventQuery, SqliteStore, StoreError};
use crate::farm::{HoldId, RunId};
use crate::state::Event;

impl SqliteStore {
    /// The events that match a query, in order of time.
    pub(super) fn events_of(&self, connection: &Connection, query: EventQuery) -> Result<Vec<Event>, StoreError> {
        let failed = |source| self.error(source);
        let mut statement = connection
            .prepare(
                "SELECT id, at, kind, text, run, hold, caller, changed FROM events
                 WHERE (?1 IS NULL OR run = ?1) AND id > ?2 AND (?4 IS NULL OR kind <> ?4) AND (?5 IS NULL OR at >= ?5)
                 ORDER BY id DESC LIMIT ?3",
            )
            .map_err(failed)?;
        // The number of digits in the fraction of a second varies, so texts can only be compared to the whole second.
        let since = query.since.map(|at| at.strftime("%Y-%m-%dT%H:%M:%S").to_string());
        let mut after = query.after.unwrap_or(0);
        if let Some(since) = &since {
            let first = "SELECT min(id) FROM events WHERE at >= ?1";
            let first: Option<u64> = connection.query_row(first, [since], |row| row.get(0)).map_err(failed)?;
            let Some(first) = first else { return Ok(Vec::new()) };
            after = after.max(first - 1);
        }
        let limit = i64::try_from(query.limit).unwrap_or(i64::MAX);
        let rows = statement
            .query_map(params![query.run.map(|id| id.0), after, limit, query.without, since], |row| {
                Ok((
                    (
                        row.get::<_, u64>(0)?,
                        row.get::<_, String>(1)?,
                        row.get::<_, String>(2)?,
                        row.get::<_, String>(3)?,
                    ),
                    (row.get::<_, Option<u64>>(4)?, row.get::<_, Option<u64>>(5)?),
                    (row.get::<_, Option<String>>(6)?, row.get::<_, Option<String>>(7)?),
                ))
            })
            .map_err(failed)?;
        let mut events = Vec::new();
        for row in rows {
            let ((id, at, kind, text), (run, hold), (caller, changed)) = row.map_err(failed)?;
            let changed = changed.map(|json| self.read("change", &json)).transpose()?.unwrap_or_default();
            let caller = caller.map(|json| self.read("caller", &json)).transpose()?;
            let at = at.parse().unwrap_or_default();
            events.push(Event { id, at, kind, text, run: run.map(RunId), hold: hold.map(HoldId), caller, changed });
        }
        events.reverse();
        Ok(events)
    }
}
