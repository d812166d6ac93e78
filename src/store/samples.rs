//! Reading the records of drains and watches, the latest last.

use rusqlite::{Connection, Params, params};
use serde::de::DeserializeOwned;

use super::{DrainQuery, SqliteStore, StoreError};
use crate::farm::RunId;
use crate::state::{DrainRecord, WatchRecord};

impl SqliteStore {
    /// The drains that match a query; at most [`MOST_DRAINS`].
    pub(super) fn drains_of(
        &self,
        connection: &Connection,
        query: &DrainQuery,
    ) -> Result<Vec<DrainRecord>, StoreError> {
        let (column, value) = match query {
            DrainQuery::OfRun(run) => ("run", run.to_string()),
            DrainQuery::OfFarm(farm) => ("farm", farm.to_string()),
        };
        let text = format!("SELECT json FROM drains WHERE {column} = ?1 ORDER BY id DESC LIMIT {MOST_DRAINS}");
        self.latest(connection, "drain", &text, params![value])
    }

    /// The watches of a run; at most [`MOST_WATCHES`].
    pub(super) fn watches_of(&self, connection: &Connection, run: RunId) -> Result<Vec<WatchRecord>, StoreError> {
        let text = format!("SELECT json FROM watches WHERE run = ?1 ORDER BY id DESC LIMIT {MOST_WATCHES}");
        self.latest(connection, "watch", &text, params![run.0])
    }

    /// The records of a query that finds the latest first. `kind` names the records in errors.
    fn latest<T: DeserializeOwned>(
        &self,
        connection: &Connection,
        kind: &'static str,
        text: &str,
        values: impl Params,
    ) -> Result<Vec<T>, StoreError> {
        let failed = |source| self.error(source);
        let mut statement = connection.prepare(text).map_err(failed)?;
        let rows = statement.query_map(values, |row| row.get::<_, String>(0)).map_err(failed)?;
        let records = rows.map(|row| self.read(kind, &row.map_err(failed)?));
        let mut records = records.collect::<Result<Vec<T>, StoreError>>()?;
        records.reverse();
        Ok(records)
    }
}

/// The most drains of an answer: a rolling deploy has one for each batch.
const MOST_DRAINS: usize = 100;

/// The most watches of an answer.
const MOST_WATCHES: usize = 1000;
