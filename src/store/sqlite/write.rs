//! Writes changes and events inside a transaction of the database.

use rusqlite::params;
use serde::Serialize;

use super::SqliteStore;
use crate::state::{Change, NewEvent};
use crate::store::StoreError;

impl SqliteStore {
    /// The JSON of a record. `kind` names the record in errors.
    pub(super) fn write(&self, kind: &'static str, value: &impl Serialize) -> Result<String, StoreError> {
        serde_json::to_string(value).map_err(|source| StoreError::Damaged { path: self.path.clone(), kind, source })
    }

    /// Writes one change.
    pub(super) fn apply(&self, transaction: &rusqlite::Transaction<'_>, change: &Change) -> Result<(), StoreError> {
        let written = match change {
            Change::PutHold(hold) => {
                let json = self.write("hold", hold)?;
                transaction.execute("INSERT OR REPLACE INTO holds VALUES (?1, ?2)", params![hold.id.0, json])
            }
            Change::DropHold(id) => transaction.execute("DELETE FROM holds WHERE id = ?1", params![id.0]),
            Change::PutBaseline(entry, baseline) => {
                let json = self.write("baseline", baseline)?;
                transaction
                    .execute("INSERT OR REPLACE INTO baselines VALUES (?1, ?2)", params![entry.to_string(), json])
            }
            Change::DropBaseline(entry) => {
                transaction.execute("DELETE FROM baselines WHERE entry = ?1", params![entry.to_string()])
            }
            Change::PutRoute(route) => {
                let json = self.write("route", route)?;
                transaction.execute("INSERT OR REPLACE INTO routes VALUES (?1, ?2)", params![route.farm.as_str(), json])
            }
            Change::DropRoute(farm) => {
                transaction.execute("DELETE FROM routes WHERE farm = ?1", params![farm.as_str()])
            }
            Change::PutRun(run) => {
                let json = self.write("run", run)?;
                transaction.execute(
                    "INSERT OR REPLACE INTO runs VALUES (?1, ?2, ?3)",
                    params![run.id.0, run.is_active(), json],
                )
            }
            Change::AddDrain(drain) => {
                let json = self.write("drain", drain)?;
                let (run, farm) = (drain.run.map(|run| run.0), drain.farm.as_ref().map(ToString::to_string));
                transaction.execute(
                    "INSERT INTO drains (run, farm, ended, json) VALUES (?1, ?2, ?3, ?4)",
                    params![run, farm, drain.ended.to_string(), json],
                )
            }
            Change::AddWatch(watch) => {
                let json = self.write("watch", watch)?;
                transaction.execute(
                    "INSERT INTO watches (run, ended, json) VALUES (?1, ?2, ?3)",
                    params![watch.run.0, watch.ended.to_string(), json],
                )
            }
        };
        written.map(drop).map_err(|source| self.error(source))
    }

    /// Appends events to the record.
    pub(super) fn append(
        &self,
        transaction: &rusqlite::Transaction<'_>,
        events: &[NewEvent],
    ) -> Result<(), StoreError> {
        for event in events {
            let caller = event.caller.as_ref().map(|caller| self.write("caller", caller)).transpose()?;
            let (run, hold) = (event.run.map(|id| id.0), event.hold.map(|id| id.0));
            let changed = Some(&event.changed).filter(|changed| !changed.is_empty());
            let changed = changed.map(|changed| self.write("change", changed)).transpose()?;
            transaction
                .execute(
                    "INSERT INTO events (at, kind, text, run, hold, caller, changed) VALUES (?1, ?2, ?3, ?4, ?5, ?6, \
                     ?7)",
                    params![event.at.to_string(), event.kind, event.text, run, hold, caller, changed],
                )
                .map_err(|source| self.error(source))?;
        }
        Ok(())
    }
}
