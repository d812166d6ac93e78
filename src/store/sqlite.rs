//! The store of one daemon: a SQLite file with a write-ahead log and synchronous FULL, locked while the store is open.
//! Readers have their own connections.

mod read;
#[cfg(test)]
mod tests;
mod write;

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use rusqlite::{Connection, TransactionBehavior, params};

use super::lock::{BUSY_TIMEOUT, Lock};
use super::readers::Readers;
use super::schema::{counter, failure, migrate, set_counter};
use super::verify::{self, Verified};
use super::{DrainQuery, EventQuery, Keep, Pruned, RunQuery, Store, StoreError, Tally, private, prune};
use crate::farm::RunId;
use crate::plan::Run;
use crate::platform::lock;
use crate::state::{Change, DrainRecord, Event, NewEvent, REMEMBERED, State, Transaction, WatchRecord};

/// A store in a SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    path: String,
    connection: Mutex<Connection>,
    /// `None` for a store in memory, whose only connection also reads.
    readers: Option<Readers>,
    /// The lock of the file. It must be dropped last.
    _lock: Option<Lock>,
}

impl SqliteStore {
    /// Opens the store, creates it if it does not exist, and migrates its schema.
    ///
    /// # Errors
    /// Another process has the store open, or the store is newer than this program, is damaged or cannot be opened.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        private::create(path).map_err(|source| StoreError::File { path: path.display().to_string(), source })?;
        // Two daemons on one store would reverse each other's changes.
        let lock = Lock::take(path)?;
        let error = failure(path);
        let connection = Connection::open(path).map_err(&error)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(&error)?;
        connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;").map_err(&error)?;
        // Find damage at the start, not in the middle of a deploy.
        let what: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(&error)?;
        if what != "ok" {
            return Err(StoreError::Corrupt { path: path.display().to_string(), what });
        }
        let store = Self::with_connection(connection, path)?;
        Ok(Self { readers: Some(Readers::open(path)?), _lock: Some(lock), ..store })
    }

    /// An empty store in memory, for simulations.
    ///
    /// # Errors
    /// The database failed.
    pub fn in_memory() -> Result<Self, StoreError> {
        let path = Path::new(":memory:");
        Self::with_connection(Connection::open_in_memory().map_err(failure(path))?, path)
    }

    /// A store with this connection. Migrates its schema.
    fn with_connection(mut connection: Connection, path: &Path) -> Result<Self, StoreError> {
        migrate(&mut connection, path)?;
        let path = path.display().to_string();
        Ok(Self { path, connection: Mutex::new(connection), readers: None, _lock: None })
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // If another thread has panicked, its transaction was at worst not committed.
        lock(&self.connection)
    }

    /// The connection for reads while the daemon runs.
    fn reader(&self) -> MutexGuard<'_, Connection> {
        self.readers.as_ref().map_or_else(|| self.connection(), Readers::events)
    }

    pub(super) fn error(&self, problem: rusqlite::Error) -> StoreError {
        StoreError::Database { path: self.path.clone(), problem }
    }
}

impl Store for SqliteStore {
    fn load(&self) -> Result<State, StoreError> {
        let connection = self.connection();
        let number = |name| counter(&connection, name).map_err(|source| self.error(source));
        let mut state = State {
            revision: number("revision")?,
            next_hold: number("hold")?,
            next_run: number("run")?,
            ..State::default()
        };
        let holds = "SELECT CAST(id AS TEXT), json FROM holds";
        for (key, hold) in self.rows::<crate::farm::Hold>(&connection, "hold", holds)? {
            self.check_key("hold", key, &hold.id)?;
            state.holds.insert(hold.id, hold);
        }
        for (key, baseline) in self.rows(&connection, "baseline", "SELECT entry, json FROM baselines")? {
            // Without its baseline a server would never be brought back.
            let entry = key.clone().try_into().map_err(|problem| self.misfiled("baseline", key, problem))?;
            state.baselines.insert(entry, baseline);
        }
        for (key, route) in self.rows::<crate::farm::Route>(&connection, "route", "SELECT farm, json FROM routes")? {
            self.check_key("route", key, &route.farm)?;
            state.routes.insert(route.farm.clone(), route);
        }
        let since = state.next_run.saturating_sub(REMEMBERED);
        let runs = format!("SELECT CAST(id AS TEXT), json FROM runs WHERE active OR id >= {since}");
        for (key, run) in self.rows::<Run>(&connection, "run", &runs)? {
            self.check_key("run", key, &run.id)?;
            state.runs.insert(run.id, run);
        }
        // An ended run that left servers out or on standby is found by its holds.
        let holding: BTreeSet<RunId> = state.holds.values().filter_map(|hold| hold.owner.run()).collect();
        for id in holding {
            if !state.runs.contains_key(&id)
                && let Some(run) = self.one_run(&connection, id)?
            {
                state.runs.insert(id, run);
            }
        }
        Ok(state)
    }

    fn commit(&self, wanted: &Transaction) -> Result<u64, StoreError> {
        let mut connection = self.connection();
        let failed = |source| self.error(source);
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let found = counter(&transaction, "revision").map_err(failed)?;
        if found != wanted.expect {
            return Err(StoreError::Conflict { expected: wanted.expect, found });
        }
        let revision = found + 1;
        set_counter(&transaction, "revision", revision).map_err(failed)?;
        for change in &wanted.changes {
            self.apply(&transaction, change)?;
            // The numbers of holds and runs are never used again, so the counters outlive them.
            let used = match change {
                Change::PutHold(hold) => Some(("hold", hold.id.0 + 1)),
                Change::PutRun(run) => Some(("run", run.id.0 + 1)),
                _ => None,
            };
            if let Some((name, next)) = used {
                transaction
                    .execute("UPDATE counters SET value = max(value, ?2) WHERE name = ?1", params![name, next])
                    .map_err(failed)?;
            }
        }
        self.append(&transaction, &wanted.events)?;
        transaction.commit().map_err(failed)?;
        Ok(revision)
    }

    fn record(&self, events: &[NewEvent]) -> Result<(), StoreError> {
        let mut connection = self.connection();
        let transaction = connection.transaction().map_err(|source| self.error(source))?;
        self.append(&transaction, events)?;
        transaction.commit().map_err(|source| self.error(source))
    }

    fn tally(&self, run: RunId, kind: &str) -> Result<Tally, StoreError> {
        let count =
            "SELECT count(*), ifnull(sum(length(CAST(text AS BLOB))), 0) FROM events WHERE run = ?1 AND kind = ?2";
        let tally = self
            .connection()
            .query_row(count, params![run.0, kind], |row| Ok(Tally { events: row.get(0)?, bytes: row.get(1)? }));
        tally.map_err(|source| self.error(source))
    }

    fn events(&self, query: EventQuery) -> Result<Vec<Event>, StoreError> {
        self.events_of(&self.reader(), query)
    }

    fn run(&self, id: RunId) -> Result<Option<Run>, StoreError> {
        self.one_run(&self.reader(), id)
    }

    fn runs(&self, query: &RunQuery) -> Result<Vec<Run>, StoreError> {
        self.runs_of(&self.reader(), query)
    }

    fn drains(&self, query: &DrainQuery) -> Result<Vec<DrainRecord>, StoreError> {
        self.drains_of(&self.reader(), query)
    }

    fn watches(&self, run: RunId) -> Result<Vec<WatchRecord>, StoreError> {
        self.watches_of(&self.reader(), run)
    }

    fn prune(&self, keep: &Keep, limit: usize, event: Option<&NewEvent>) -> Result<Pruned, StoreError> {
        let mut connection = self.connection();
        let failed = |source| self.error(source);
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let pruned = prune::prune(&transaction, keep, limit).map_err(failed)?;
        if !pruned.is_empty() {
            self.append(&transaction, event.map(std::slice::from_ref).unwrap_or_default())?;
            transaction.commit().map_err(failed)?;
        }
        Ok(pruned)
    }

    fn try_to_write(&self) -> Result<(), StoreError> {
        let written = self.connection().execute("UPDATE counters SET value = value WHERE name = 'revision'", []);
        written.map(drop).map_err(|source| self.error(source))
    }

    fn verify(&self) -> Result<Verified, StoreError> {
        match &self.readers {
            Some(readers) => readers.verify(),
            None => verify::verify(&self.connection()).map_err(|source| self.error(source)),
        }
    }

    fn backup(&self) -> Result<File, StoreError> {
        let in_memory = || StoreError::File {
            path: self.path.clone(),
            source: io::Error::new(io::ErrorKind::Unsupported, "a store in memory has no file"),
        };
        self.readers.as_ref().ok_or_else(in_memory)?.copy()
    }

    fn size(&self) -> Option<u64> {
        let size = |suffix: &str| std::fs::metadata(format!("{}{suffix}", self.path)).map(|metadata| metadata.len());
        let file = size("").ok()?;
        // There may be no log: SQLite creates it with the first change.
        Some(file + size("-wal").unwrap_or_default())
    }

    fn holds_lease(&self) -> bool {
        true
    }
}
