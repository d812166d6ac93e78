//! Reading the records of drains.

use rusqlite::{Connection, params};

use super::{DrainQuery, SqliteStore, StoreError};
use crate::state::DrainRecord;

impl SqliteStore {
    /// The drains that match a query, the latest last.
    pub(super) fn drains_of(
        &self,
        connection: &Connection,
        query: &DrainQuery,
    ) -> Result<Vec<DrainRecord>, StoreError> {
        let (column, value) = match query {
            DrainQuery::OfRun(run) => ("run", run.to_string()),
            DrainQuery::OfFarm(farm) => ("farm", farm.to_string()),
        };
        let failed = |source| self.error(source);
        let text = format!("SELECT json FROM drains WHERE {column} = ?1 ORDER BY id DESC LIMIT {MOST}");
        let mut statement = connection.prepare(&text).map_err(failed)?;
        let rows = statement.query_map(params![value], |row| row.get::<_, String>(0)).map_err(failed)?;
        let mut drains = Vec::new();
        for row in rows {
            drains.push(self.read("drain", &row.map_err(failed)?)?);
        }
        drains.reverse();
        Ok(drains)
    }
}

/// The most drains of an answer: a rolling deploy has one for each batch.
const MOST: usize = 100;
