//! Reading the records of watches.

use rusqlite::{Connection, params_from_iter};

use super::{SqliteStore, StoreError, WatchQuery};
use crate::state::WatchRecord;

impl SqliteStore {
    /// The watches that match a query, the latest last.
    pub(super) fn watches_of(
        &self,
        connection: &Connection,
        query: &WatchQuery,
    ) -> Result<Vec<WatchRecord>, StoreError> {
        let (condition, values) = match query {
            WatchQuery::OfRun(run) => ("run = ?1", vec![run.to_string()]),
            WatchQuery::OfFarm(farm, since) => ("farm = ?1 AND ended >= ?2", vec![farm.to_string(), since.to_string()]),
        };
        let failed = |source| self.error(source);
        let text = format!("SELECT json FROM watches WHERE {condition} ORDER BY id DESC LIMIT {MOST}");
        let mut statement = connection.prepare(&text).map_err(failed)?;
        let rows = statement.query_map(params_from_iter(values), |row| row.get::<_, String>(0)).map_err(failed)?;
        let mut watches = Vec::new();
        for row in rows {
            watches.push(self.read("watch", &row.map_err(failed)?)?);
        }
        watches.reverse();
        Ok(watches)
    }
}

/// The most watches of an answer.
const MOST: usize = 1000;
