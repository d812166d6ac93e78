//! Reads the records of the database, and checks that each has its own key.

use rusqlite::{Connection, OptionalExtension as _};
use serde::de::DeserializeOwned;

use super::SqliteStore;
use crate::farm::RunId;
use crate::plan::Run;
use crate::store::StoreError;

impl SqliteStore {
    /// The keys and records that a query finds. `kind` names the records in errors.
    pub(super) fn rows<T: DeserializeOwned>(
        &self,
        connection: &Connection,
        kind: &'static str,
        sql: &str,
    ) -> Result<Vec<(String, T)>, StoreError> {
        let mut statement = connection.prepare(sql).map_err(|source| self.error(source))?;
        let rows = statement
            .query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))
            .map_err(|source| self.error(source))?;
        rows.map(|row| {
            let (key, json) = row.map_err(|source| self.error(source))?;
            Ok((key, self.read(kind, &json)?))
        })
        .collect()
    }

    /// Parses a record.
    pub(in crate::store) fn read<T: DeserializeOwned>(&self, kind: &'static str, json: &str) -> Result<T, StoreError> {
        serde_json::from_str(json).map_err(|source| StoreError::Damaged { path: self.path.clone(), kind, source })
    }

    pub(super) fn one_run(&self, connection: &Connection, id: RunId) -> Result<Option<Run>, StoreError> {
        let json: Option<String> = connection
            .query_row("SELECT json FROM runs WHERE id = ?1", [id.0], |row| row.get(0))
            .optional()
            .map_err(|source| self.error(source))?;
        let run: Option<Run> = json.map(|json| self.read("run", &json)).transpose()?;
        if let Some(run) = &run {
            self.check_key("run", id.to_string(), &run.id)?;
        }
        Ok(run)
    }

    /// Checks that a record has its own key. Of two records with one identity, one would be lost.
    pub(in crate::store) fn check_key(
        &self,
        kind: &'static str,
        key: String,
        identity: &impl ToString,
    ) -> Result<(), StoreError> {
        let identity = identity.to_string();
        if key == identity { Ok(()) } else { Err(self.misfiled(kind, key, format!("the record is {identity}"))) }
    }

    pub(super) fn misfiled(&self, kind: &'static str, key: String, problem: String) -> StoreError {
        StoreError::Misfiled { path: self.path.clone(), kind, key, problem }
    }
}
